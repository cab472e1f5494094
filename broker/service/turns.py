"""The order in which a batch takes what was read: one record of each outbox after the other.

A poll gives each outbox its share, but a batch may be full after ten large messages, and the next begins where it stopped. So
neither the share of a busy outbox nor what is left of it stands before the single record of another.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from broker.ports import Record, Source


def in_turns(records: Sequence[Record]) -> list[Record]:
    """The same records: in each round one of every source that has some left, each source's own in their order. Sources come in the
    order of their first records."""
    queues: dict[Source, deque[Record]] = {}
    for record in records:
        queues.setdefault((record.topic, record.partition), deque()).append(record)
    if len(queues) < 2:
        return list(records)
    taken: list[Record] = []
    while queues:
        for source, queue in list(queues.items()):
            taken.append(queue.popleft())
            if not queue:
                del queues[source]
    return taken


def weight(records: Sequence[Record]) -> int:
    """Bytes of the records' values."""
    return sum(len(record.value or b"") for record in records)
