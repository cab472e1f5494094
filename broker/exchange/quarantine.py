"""Refused bytes as they lie on ``exchange.quarantine``: a CBOR map with the record's value untouched, and why it was refused.

Only of a value that would not fit into a record together with the reason, the end is left off; ``size`` and ``digest`` tell.
Of a message whose number was consumed long ago (STALE_SEQUENCE) none is kept: a publisher that sends a long backlog twice would
fill the quarantine with what the exchange has already; the outbox has the bytes until it is trimmed.

The record of an EQUIVOCATION has the other message too: :mod:`broker.exchange.evidence` makes one file of both.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, Final

from broker.envelope import cbor
from broker.errors import Refusal
from broker.exchange.records import Record
from broker.exchange.topology import KAFKA_LIMIT

KEPT_BYTES: Final = KAFKA_LIMIT - 65_536
"""Most bytes of a refused record's value that are kept."""


UNKEPT: Final = frozenset({"STALE_SEQUENCE"})
"""Codes whose bytes are not kept."""


@dataclass(frozen=True, slots=True)
class First:
    """The message that took the number before the refused one: its leaf, where it lay in the same outbox (None: not known), when it
    reached the exchange, and its bytes (None: not fetched, or trimmed away)."""

    leaf: bytes
    offset: int | None = None
    timestamp_ms: int | None = None
    value: bytes | None = None


@dataclass(frozen=True, slots=True)
class Quarantined:
    """One refused record. ``place`` names it: source topic, partition and offset. Times are Unix milliseconds.

    ``originator``, ``subject`` and ``leaf`` are known only where the bytes were authentic; ``first`` is there for EQUIVOCATION.
    """

    place: str
    code: str
    step: int
    reason: str
    path: str
    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    at_ms: int
    originator: str | None
    subject: str | None
    leaf: bytes | None
    value: bytes
    size: int
    digest: bytes
    first: First | None = None

    @property
    def is_whole(self) -> bool:
        """Whether all the bytes are here."""
        return len(self.value) == self.size


def quarantine_value(
    record: Record,
    refusal: Refusal,
    *,
    at_ms: int,
    originator: str | None,
    subject: str | None,
    leaf: bytes | None,
    first: First | None = None,
) -> bytes:
    """The record value for ``exchange.quarantine``."""
    value = record.value or b""
    kept = b"" if refusal.code in UNKEPT else value[:KEPT_BYTES]
    row: dict[str, cbor.Encodable] = {
        "code": refusal.code, "step": refusal.step, "reason": refusal.reason, "path": refusal.path, "topic": record.topic,
        "partition": record.partition, "offset": record.offset, "timestamp": record.timestamp_ms, "at": at_ms,
        "originator": originator, "subject": subject, "leaf": leaf, "value": kept, "size": len(value),
        "digest": hashlib.sha256(value).digest(),
    }  # fmt: skip
    if first is not None:
        row["first"] = {"leaf": first.leaf, "offset": first.offset, "timestamp": first.timestamp_ms, "value": first.value}
    return cbor.encode(row)


def place_of(record: Record) -> str:
    """What a quarantined record is called: where it lay."""
    return f"{record.topic}/{record.partition}/{record.offset}"


def read_quarantined(value: bytes) -> Quarantined:
    """The inverse of :func:`quarantine_value`. Raises CborError on bytes that the relay did not write."""
    row: Any = cbor.decode(value)
    known: Any = row.get("first")
    first = First(known["leaf"], known["offset"], known["timestamp"], known["value"]) if known is not None else None
    return Quarantined(
        f"{row['topic']}/{row['partition']}/{row['offset']}", row["code"], row["step"], row["reason"], row["path"], row["topic"],
        row["partition"], row["offset"], row["timestamp"], row["at"], row["originator"], row["subject"], row["leaf"], row["value"],
        row["size"], row["digest"], first,
    )  # fmt: skip
