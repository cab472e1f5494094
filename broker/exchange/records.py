"""Records as read and as written: the only shapes that pass between the pure core and the log beneath it."""

from __future__ import annotations

from broker.values import immutable


@immutable
class Record:
    """A record as read. ``timestamp_ms`` is Unix milliseconds (LogAppendTime on outboxes: the broker's clock)."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None


@immutable
class Outgoing:
    """A record to write. A ``None`` value is a tombstone on a compacted topic."""

    topic: str
    key: bytes | None
    value: bytes | None
    partition: int = 0
