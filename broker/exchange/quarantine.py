"""Refused bytes as they lie on ``exchange.quarantine``: a CBOR map with the record's value untouched, and why it was refused.

Only of a value that would not fit into a record together with the reason, the end is left off; ``size`` and ``digest`` tell.
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


@dataclass(frozen=True, slots=True)
class Quarantined:
    """One refused record. ``place`` names it: source topic, partition and offset. Times are Unix milliseconds.

    ``originator``, ``subject`` and ``leaf`` are known only where the bytes were authentic.
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


def quarantine_value(
    record: Record, refusal: Refusal, *, at_ms: int, originator: str | None, subject: str | None, leaf: bytes | None
) -> bytes:
    """The record value for ``exchange.quarantine``."""
    value = record.value or b""
    return cbor.encode({
        "code": refusal.code, "step": refusal.step, "reason": refusal.reason, "path": refusal.path, "topic": record.topic,
        "partition": record.partition, "offset": record.offset, "timestamp": record.timestamp_ms, "at": at_ms,
        "originator": originator, "subject": subject, "leaf": leaf, "value": value[:KEPT_BYTES], "size": len(value),
        "digest": hashlib.sha256(value).digest(),
    })  # fmt: skip


def place_of(record: Record) -> str:
    """What a quarantined record is called: where it lay."""
    return f"{record.topic}/{record.partition}/{record.offset}"


def read_quarantined(value: bytes) -> Quarantined:
    """The inverse of :func:`quarantine_value`. Raises CborError on bytes that the relay did not write."""
    row: Any = cbor.decode(value)
    return Quarantined(
        f"{row['topic']}/{row['partition']}/{row['offset']}", row["code"], row["step"], row["reason"], row["path"], row["topic"],
        row["partition"], row["offset"], row["timestamp"], row["at"], row["originator"], row["subject"], row["leaf"], row["value"],
        row["size"], row["digest"],
    )  # fmt: skip
