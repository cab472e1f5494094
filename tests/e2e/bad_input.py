"""What hostile or broken senders put into an outbox, each under a certificate that Kafka accepts, and what becomes of it."""

from __future__ import annotations

import hashlib
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, NamedTuple

from broker import ids
from broker.app import Member
from broker.app.connect import connect
from broker.envelope import cose
from broker.envelope.receipt import Receipt
from broker.errors import Refusal
from broker.exchange.receive import is_receipt, read_receipt
from broker.exchange.rules import Rules
from broker.families.message import Message
from broker.ports import Outgoing, Transport
from broker.testing.samples import sample_alert
from tests.support.parcels import Author, Made, committed, key, make, parcel, put

VICTIM: Final = "KR-CUSTOMS"
STRANGER: Final = "SG-CUSTOMS"
_RECEIPTS_S: Final = 30.0


class BadInput(NamedTuple):
    """Bytes for an outbox, and the code and step that they must be refused with."""

    name: str
    code: str
    step: int
    value: bytes


@dataclass(frozen=True)
class Sent:
    """A bad input that was written: where it lay, and the receipts about these bytes that came to the owner of the outbox."""

    bad: BadInput
    place: str
    receipts: Sequence[Receipt]


def _alert(number: int, now_ms: int) -> Message:
    return sample_alert(f"{VICTIM}/2026/BAD-{number:02}", now_ms=now_ms, agencies=[STRANGER], description="a description for the test")


def _swapped(made: Made) -> Made:
    core, goods = made.sections["core"], made.sections["goods"]
    return made.carrying(core=goods, goods=core)


def _altered_header(made: Made) -> bytes:
    """The same signature over another subject."""
    statement = made.statement
    payload = statement.payload.replace(b"/2026/BAD-", b"/2025/BAD-")
    assert payload != statement.payload
    return put(replace(parcel(made.value), statement=replace(statement, payload=payload)))


def _large(made: Made, author: Author) -> bytes:
    """Signed by its author and right in every way, but for 2 MiB in a section."""
    sections = {**made.sections, "goods": made.sections["goods"] + bytes(2 << 20)}
    return make(committed(made.header, sections), sections, author.by, author.rules.aad).value


def bad_inputs(rules: Rules, home: Path, stranger_home: Path, *, now_ms: int) -> Iterator[BadInput]:
    """Everything that is written into :data:`VICTIM`'s outbox. Each message begins a stream of its own."""
    own, other = Member(home, VICTIM, connect).files.signer(), Member(stranger_home, STRANGER, connect).files.signer()
    numbers = iter(range(1, 100))

    def author(agency: str = VICTIM) -> Author:
        return Author(agency, own if agency == VICTIM else other, rules, seed=now_ms + next(numbers))

    def good() -> Made:
        return author().write(_alert(next(numbers), now_ms), now_ms=now_ms)

    value = good().value
    yield BadInput("garbage bytes", "NOT_A_PARCEL", 1, random.Random(7).randbytes(300))
    yield BadInput("an empty record", "NOT_A_PARCEL", 1, b"")
    yield BadInput("truncated CBOR", "BAD_CBOR", 1, value[:-40])
    yield BadInput("non-canonical CBOR", "NOT_CANONICAL", 1, value[:3] + b"\x98\x03" + value[4:])
    yield BadInput("wrong magic", "NOT_A_PARCEL", 1, b"XB\x09" + value[3:])
    yield BadInput("unknown key", "UNKNOWN_KEY", 2, author().write(_alert(50, now_ms), now_ms=now_ms, by=key("nobody")).value)
    yield BadInput("another agency's key", "KEY_OF_ANOTHER_AGENCY", 2, author().write(_alert(51, now_ms), now_ms=now_ms, by=other).value)
    theirs = replace(_alert(52, now_ms), subject=f"{STRANGER}/2026/BAD-52")
    yield BadInput("another agency's message", "WRONG_OUTBOX", 4, author(STRANGER).write(theirs, now_ms=now_ms).value)
    yield BadInput("altered header", "BAD_SIGNATURE", 3, _altered_header(good()))
    made = good()
    section = made.sections["goods"].replace(b"description", b"DESCRIPTION")
    assert section != made.sections["goods"]
    yield BadInput("altered section", "COMMITMENT_MISMATCH", 7, made.carrying(goods=section).value)
    yield BadInput("swapped sections", "COMMITMENT_MISMATCH", 7, _swapped(good()).value)
    production = cose.context(rules.exchange_id, "production")
    yield BadInput("another environment", "WRONG_ENVIRONMENT", 3, author().write(_alert(53, now_ms), now_ms=now_ms, aad=production).value)
    writer = author()
    draft = writer.draft(_alert(54, now_ms), now_ms=now_ms)
    header = committed(draft.header, draft.sections, {"goods": hashlib.sha256(b"no schema").digest()})
    yield BadInput("unknown schema", "UNKNOWN_SCHEMA", 8, make(header, draft.sections, own, rules.aad).value)
    yield BadInput("a message of 2 MiB", "TOO_LARGE", 1, _large(good(), author()))


async def send_bad_inputs(home: Path, stranger_home: Path) -> list[Sent]:
    """Write every bad input with the victim's own certificate, and collect the receipts about them from its inbox."""
    member = Member(home, VICTIM, connect)
    transport = member.transport()
    try:
        knowledge = member.knowledge(transport)
        await knowledge.load()
        rules = knowledge.rules
        await knowledge.close()
        bads = list(bad_inputs(rules, home, stranger_home, now_ms=member.clock.now_ms()))
        source = (ids.inbox(VICTIM), 0)
        inlet = await transport.inlet()
        await inlet.assign({source: "end"})
        await inlet.ends()
        places = [await _write(transport, bad.value) for bad in bads]
        receipts: dict[bytes, list[Receipt]] = {hashlib.sha256(bad.value).digest(): [] for bad in bads}
        deadline = time.monotonic() + _RECEIPTS_S
        while not all(receipts.values()) and time.monotonic() < deadline:
            for record in await inlet.poll(max_records=500, timeout=0.5):
                if is_receipt(record.key) and record.value is not None:
                    receipt = read_receipt(record.value, rules)
                    assert not isinstance(receipt, Refusal), receipt
                    receipts.setdefault(receipt.digest, []).append(receipt)
        return [Sent(bad, place, receipts[hashlib.sha256(bad.value).digest()]) for bad, place in zip(bads, places, strict=True)]
    finally:
        await transport.close()


async def _write(transport: Transport, value: bytes) -> str:
    outlet = await transport.outlet()
    at = await (await outlet.send(Outgoing(ids.outbox(VICTIM), b"whatever", value)))
    return f"{at.topic}/{at.partition}/{at.offset}"
