"""The recipient's side of admission: what arrives in an inbox is a signed parcel with the relay's slip, or a receipt.

A recipient trusts nobody on the way: it checks the originator's signature, the relay's slip, that the slip names this parcel
and this recipient, that exactly the sections the slip gives are carried, and each section against the originator's
commitment. "Policy withheld it" and "somebody stripped it" are thereby two different things. The slip's counter shows a
delivery that was dropped.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from broker import ids
from broker.envelope import cose, receipt, slip
from broker.envelope.header import Header
from broker.envelope.note import read_note
from broker.envelope.parcel import SLIP, Parcel, read_parcel
from broker.errors import Refusal
from broker.exchange.admit import AUDIENCE, authenticate_parcel, examine
from broker.exchange.rules import Rules
from broker.exchange.topology import MESSAGE_LIMIT
from broker.values import immutable

DELIVERY_LIMIT = MESSAGE_LIMIT + 65_536
"""Largest delivered record: a parcel and its slip."""


@immutable
class Received:
    """A verified delivery. ``sections`` are decoded records by name, each seen as the newest version that this program has;
    ``written`` names the version it was written under. ``withheld`` maps a section's name to the rule."""

    header: Header
    slip: slip.Slip
    leaf: bytes
    sections: dict[str, dict[str, Any]]
    withheld: dict[str, str]
    written: dict[str, int]


@dataclass(frozen=True, slots=True)
class ChainGap:
    """Deliveries of one shard into this inbox are missing: ``expected`` up to ``got`` - 1 never came.

    Normal for a reader that was away longer than the inbox keeps each revision (30 days), a finding for anybody else.
    """

    shard: int
    expected: int
    got: int


@immutable
class Opened:
    """A delivery whose slip was read but not verified: ``slip`` says which versions of directory and policy it takes."""

    parcel: Parcel
    slip: slip.Slip
    signed: cose.Sign1


def open_delivery(value: bytes, rules: Rules) -> Opened | Refusal:
    """Step 1, and what the slip claims. A reader whose directory is older than the slip's catches up before :func:`accept`."""
    parcel = read_parcel(value, DELIVERY_LIMIT)
    if isinstance(parcel, Refusal):
        return parcel
    carried = parcel.extras.get(SLIP)
    if carried is None:
        return Refusal("BAD_SLIP", "the parcel carries no slip")
    signed = cose.read_sign1_bytes(carried)
    if isinstance(signed, Refusal):
        return Refusal("BAD_SLIP", signed.reason)
    schema = rules.catalogue.named("slip", "slip", slip.version_of(signed.content_type) or 0)
    if schema is None:
        return Refusal("BAD_SLIP", f"content type `{signed.content_type[:60]}` is not of a slip that is known here")
    record = schema.read(signed.payload, logical=False)
    if isinstance(record, Refusal):
        return Refusal("BAD_SLIP", record.reason, record.path)
    return Opened(parcel, slip.slip_of(record), signed)


def receive(value: bytes, rules: Rules, *, recipient: str) -> Received | Refusal:
    """All steps of a recipient's admission that need no memory."""
    opened = open_delivery(value, rules)
    return opened if isinstance(opened, Refusal) else accept(opened, rules, recipient=recipient)


def accept(opened: Opened, rules: Rules, *, recipient: str) -> Received | Refusal:
    """The same, from a delivery that was opened already."""
    payload = _relay_signed(opened.signed, opened.signed.content_type, rules)
    if isinstance(payload, Refusal):
        return payload
    note = opened.slip
    authentic = authenticate_parcel(opened.parcel, rules, at_ms=note.admitted_at)
    if isinstance(authentic, Refusal):
        return authentic
    refusal = _check_slip(note, authentic.leaf, recipient, rules)
    if refusal is None:
        committed = {commitment.section for commitment in authentic.header.commitments}
        refusal = _check_disclosure(note, committed, set(opened.parcel.sections))
    refusal = refusal or examine(authentic, rules, complete=False, logical=True)
    if refusal is not None:
        return refusal
    sections = {name: authentic.records[name] for name in sorted(opened.parcel.sections)}
    written = {
        commitment.section: schema.version
        for commitment in authentic.header.commitments
        if commitment.section in sections and (schema := rules.catalogue.by_id(commitment.schema_id)) is not None
    }
    return Received(authentic.header, note, authentic.leaf, sections, dict(note.withheld), written)


def _relay_signed(signed: cose.Sign1, content_type: str, rules: Rules) -> bytes | Refusal:
    """The payload of something a relay of this exchange signed."""
    if signed.content_type != content_type:
        return Refusal("BAD_SLIP", f"content type `{signed.content_type[:60]}` is not {content_type}")
    key = rules.directory.relay_key(signed.kid)
    if key is None:
        return Refusal("BAD_SLIP", f"key {signed.kid.hex()} is no relay's key (directory version {rules.directory.version})")
    if signed.alg != key.alg or not rules.signed_by(signed, cose.to_be_signed(signed.protected, rules.aad, signed.payload), key):
        return Refusal("BAD_SLIP", "the relay's signature does not verify")
    return signed.payload


def _check_slip(signed: slip.Slip, leaf: bytes, recipient: str, rules: Rules) -> Refusal | None:
    """Step 4: the slip speaks of this parcel, to this recipient, on this exchange."""
    if (signed.exchange_id, signed.environment) != (rules.exchange_id, rules.environment):
        return Refusal("NOT_FOR_ME", f"the slip is of {signed.exchange_id} ({signed.environment})")
    if signed.recipient != recipient:
        return Refusal("NOT_FOR_ME", f"the slip names {signed.recipient}")
    if signed.leaf != leaf:
        return Refusal("NOT_FOR_ME", "the slip names another parcel")
    return None


def _check_disclosure(signed: slip.Slip, committed: set[str], carried: set[str]) -> Refusal | None:
    """Exactly what the slip gives is carried, and given and withheld are together all that the originator committed to."""
    given, withheld = {name for name, _ in signed.given}, {name for name, _ in signed.withheld}
    if carried != given:
        name = min(carried ^ given)
        return Refusal("BAD_SLIP", "a section was added or stripped after the relay's decision", name)
    if AUDIENCE in given or given & withheld or given | withheld != committed - {AUDIENCE}:
        return Refusal("BAD_SLIP", "the slip does not account for each section of the message")
    if any(name not in given or not purposes for name, purposes in signed.bound):
        return Refusal("BAD_SLIP", "the slip binds a section that it does not give, or to no purpose")
    return None


def read_receipt(value: bytes, rules: Rules) -> receipt.Receipt | Refusal:
    """Verify a relay's receipt from an inbox, in any version."""
    signed = read_note(value, DELIVERY_LIMIT)
    if isinstance(signed, Refusal):
        return signed
    version = receipt.version_of(signed.content_type)
    payload = _relay_signed(signed, receipt.CONTENT_TYPES[version or receipt.VERSION], rules)
    if isinstance(payload, Refusal):
        return payload
    schema = rules.catalogue.named("receipt", "receipt", version or 0)
    if schema is None:
        return Refusal("BAD_SLIP", f"the receipt's schema, version {version}, is not known here")
    record = schema.read(payload, logical=False)
    if isinstance(record, Refusal):
        return Refusal("BAD_SLIP", record.reason, record.path)
    answer = receipt.receipt_of(record)
    if (answer.exchange_id, answer.environment) != (rules.exchange_id, rules.environment):
        return Refusal("NOT_FOR_ME", f"the receipt is of {answer.exchange_id} ({answer.environment})")
    return answer


def follow_chain(last: tuple[int, bytes | None] | None, signed: slip.Slip) -> ChainGap | None:
    """Whether a new delivery follows the last one of its shard. ``last`` is (counter, leaf), None where there is none yet.

    Told apart from a duplicate before: the caller drops a leaf that it has seen.
    """
    counter, leaf = last if last is not None else (0, None)
    if signed.counter == counter + 1 and signed.prev == leaf:
        return None
    return ChainGap(signed.shard, counter + 1, signed.counter)


def is_receipt(key: bytes | None) -> bool:
    """Whether an inbox record is a receipt (key ``r/...``) rather than a delivery (``s/...``)."""
    return key is not None and key.startswith(b"r/")


def subject_of(key: bytes | None) -> ids.SubjectId | None:
    """The subject that an inbox key names, unverified: only good for finding things."""
    return ids.SubjectId(key[2:].decode("ascii", "replace")) if key else None
