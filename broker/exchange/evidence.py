"""Portable evidence that an agency signed two different messages under one number of one stream.

::

    58 42 03 || CBOR [ statement, statement ]

Both statements are as they were signed (COSE_Sign1 of the parcel, either form), in the order in which they reached the exchange.
No section travels with them: the headers commit to the sections, and what was said is not needed to prove that two things were
said. Whoever has the directory checks the file offline: no word of the exchange, the relay or its operator is in it.

Not proven by it: which of the two was admitted, and that the agency meant harm. A store copied back from an old backup does the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from broker.envelope import cbor
from broker.envelope.cose import Sign1, read_sign1, statement_bytes
from broker.envelope.parcel import Parcel, read_parcel
from broker.errors import Refusal
from broker.exchange.admit import Authentic, authenticate_parcel
from broker.exchange.quarantine import Quarantined
from broker.exchange.rules import Rules
from broker.exchange.topology import KAFKA_LIMIT, MESSAGE_LIMIT

MAGIC: Final = b"XB\x03"
"""Its own, so that evidence is taken neither for a parcel nor for a note."""


@dataclass(frozen=True, slots=True)
class Proven:
    """Two authentic messages of one originator, stream and number, and not the same: ``first`` reached the exchange first."""

    first: Authentic
    second: Authentic


def is_evidence(value: bytes) -> bool:
    """Whether these bytes claim to be evidence."""
    return value.startswith(MAGIC)


def evidence_of(item: Quarantined) -> bytes | None:
    """The evidence that lies in quarantine under EQUIVOCATION; None where it is not whole: the first message was trimmed away before
    it was read again, or the second one is longer than what is kept."""
    if item.code != "EQUIVOCATION" or item.first is None or item.first.value is None or not item.is_whole:
        return None
    read = [read_parcel(value, MESSAGE_LIMIT) for value in (item.first.value, item.value)]
    statements = [parcel.statement for parcel in read if isinstance(parcel, Parcel)]
    return evidence_bytes(*statements) if len(statements) == 2 else None


def evidence_bytes(first: Sign1, second: Sign1) -> bytes:
    """The file for two statements. Their bytes are written as they are, so their signatures still hold."""
    return MAGIC + b"\x82" + statement_bytes(first) + statement_bytes(second)


def read_evidence(value: bytes) -> tuple[Sign1, Sign1] | Refusal:
    """Read the file; nothing is verified. Refusals: TOO_LARGE, BAD_CBOR, NOT_CANONICAL, BAD_STATEMENT."""
    if len(value) > KAFKA_LIMIT:
        return Refusal("TOO_LARGE", f"the file has {len(value)} bytes, {KAFKA_LIMIT} is the most")
    if not is_evidence(value):
        return Refusal("BAD_STATEMENT", f"it begins with `{value[:3].hex(' ')}`, evidence with `{MAGIC.hex(' ')}`")
    try:
        item = cbor.decode(value[len(MAGIC) :])
    except cbor.CborError as error:
        return Refusal(error.code, error.reason)
    if not isinstance(item, list) or len(item) != 2:
        return Refusal("BAD_STATEMENT", "evidence is an array of two statements")
    first, second = read_sign1(item[0]), read_sign1(item[1])
    if isinstance(first, Refusal):
        return Refusal(first.code, first.reason, "first")
    if isinstance(second, Refusal):
        return Refusal(second.code, second.reason, "second")
    return first, second


def prove(value: bytes, rules: Rules) -> Proven | Refusal:
    """Check the evidence against the directory. A refusal names the statement that does not hold (``first``, ``second``), or is
    NOT_PROVEN where both hold and do not contradict each other."""
    statements = read_evidence(value)
    if isinstance(statements, Refusal):
        return statements
    found: list[Authentic] = []
    for name, statement in zip(("first", "second"), statements, strict=True):
        authentic = authenticate_parcel(Parcel(statement, {}, {}), rules, at_ms=None)
        if isinstance(authentic, Refusal):
            return Refusal(authentic.code, authentic.reason, name)
        found.append(authentic)
    first, second = found
    reason = _agreement(first, second)
    return Refusal("NOT_PROVEN", reason) if reason else Proven(first, second)


def _agreement(first: Authentic, second: Authentic) -> str:
    """Why these two may well stand beside each other; empty where they may not."""
    one, other = first.header, second.header
    if one.originator != other.originator:
        return f"the first is {one.originator}'s, the second {other.originator}'s"
    if one.stream != other.stream:
        return "they are of two streams, and each stream has its own numbers"
    if one.seq != other.seq:
        return f"the first is number {one.seq}, the second number {other.seq}"
    if first.leaf == second.leaf:
        return "they are one message, signed twice or not: the same header"
    return ""
