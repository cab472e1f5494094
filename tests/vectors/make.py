"""Makes the golden vectors beside it: ``python -m tests.vectors.make`` writes them, a test compares them with the files.

Everything is deterministic: fixed inputs (:mod:`tests.vectors.content`), Ed25519, and ECDSA with RFC 6979.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from pathlib import Path
from typing import Final

from broker.envelope import note, receipt
from broker.envelope.parcel import parcel_bytes
from broker.envelope.section import digest
from tests.vectors import content
from tests.vectors.content import CUSTOMS, DIRECTORY, LICENSING, RELAY, Record, TestKey
from tests.vectors.messages import (
    Signed,
    batch_of,
    delivered,
    delivery,
    readable,
    recall_of,
    sections,
    sign,
    sign_together,
    statement,
    unsigned_slip,
)
from tests.vectors.refusals import refusals

FOLDER: Final = Path(__file__).resolve().parent
RECIPIENTS: Final[list[Record]] = [
    {
        "agency": "AE-CUSTOMS", "sections": ["core", "goods"], "withheld": ["grounds"],
        "rule": "receive.named", "withheld_by": ["default"],
    },
    {"agency": "MY-CUSTOMS", "sections": ["core", "goods", "grounds"], "withheld": [], "rule": "receive.community", "withheld_by": []},
    {
        "agency": "TH-CUSTOMS", "sections": [], "withheld": ["core", "goods", "grounds"],
        "rule": "no-longer-disclosed", "withheld_by": ["no-longer-disclosed"] * 3,
    },
]  # fmt: skip
"""Recipients in a receipt of version 2."""


def shown_sections(all_of_them: dict[str, bytes], carried: set[str]) -> list[Record]:
    """Sections as a vector shows them; ``carried`` says which are in the value."""
    return [
        {
            "section": name, "schema": content.SECTION_SCHEMAS[name].path, "schema_id": content.SECTION_SCHEMAS[name].id.hex(),
            "salt": value[:16].hex(), "record": readable(content.SECTIONS[name]), "body": value[16:].hex(),
            "digest": digest(value).hex(), "carried": name in carried,
        }
        for name, value in sorted(all_of_them.items())
    ]  # fmt: skip


def parcel_vector(about: str, signed: Signed, carried: dict[str, bytes]) -> Record:
    """A record of an outbox."""
    return {
        "kind": "parcel", "note": about, "directory": DIRECTORY, "statement": signed.shown, "leaf": signed.leaf.hex(),
        "sections": shown_sections(carried, set(carried)), "value": parcel_bytes(signed.statement, carried, {}).hex(),
    }  # fmt: skip


def delivery_vector() -> Record:
    """The alert as AE-CUSTOMS gets it: without grounds (withheld) and audience (never delivered)."""
    carried = sections()
    signed = statement(carried)
    value, slip_made = delivered(signed, carried, ["grounds"])
    return {
        "kind": "delivery",
        "note": "The parcel of parcel-ed25519.json as the relay delivers it to AE-CUSTOMS: policy withheld `grounds`, and `audience` "
        "never leaves the exchange. The originator's statement is unchanged, byte for byte; the relay's slip is extra 1, and it "
        "lists every committed section except audience as given or withheld.",
        "directory": DIRECTORY, "recipient": "AE-CUSTOMS", "statement": signed.shown, "leaf": signed.leaf.hex(),
        "sections": shown_sections(carried, {"core", "goods"}), "slip": slip_made.shown, "value": value.hex(),
    }  # fmt: skip


def bound_vector() -> Record:
    """The alert as an agency gets it to which the owner consented: goods for one purpose alone, all else withheld."""
    carried = sections()
    signed = statement(carried)
    changes = {"rule": "receive.consented", "bound": [{"section": name, "purposes": ["STC_ENFORCEMENT"]} for name in ("core", "goods")]}
    value, slip_made = delivered(signed, carried, ["grounds"], recipient="MY-POLICE", **changes)
    return {
        "kind": "delivery",
        "note": "The parcel of parcel-ed25519.json as the relay delivers it to MY-POLICE by the owner's consent: the slip is of version 2, "
        "its content type says so, and binds what it gives to the purposes consented to.",
        "directory": DIRECTORY, "recipient": "MY-POLICE", "statement": signed.shown, "leaf": signed.leaf.hex(),
        "sections": shown_sections(carried, {"core", "goods"}), "slip": slip_made.shown, "value": value.hex(),
    }  # fmt: skip


def message(signed: Signed, carried: dict[str, bytes]) -> Record:
    """One message of a batch."""
    return {
        "statement": signed.shown, "leaf": signed.leaf.hex(), "sections": shown_sections(carried, set(carried)),
        "value": parcel_bytes(signed.statement, carried, {}).hex(),
    }  # fmt: skip


def batch_vector(about: str, key: TestKey, count: int) -> Record:
    """Records of an outbox that share a signature."""
    made = batch_of(key, count)
    together, tree = sign_together(key, [signed for signed, _ in made])
    messages = [message(signed, carried) for signed, (_, carried) in zip(together, made, strict=True)]
    return {"kind": "batch", "note": about, "directory": DIRECTORY, "tree": tree, "messages": messages}


def transaction_vectors() -> dict[str, Record]:
    """What the relay makes of the batch's first message: two deliveries and a receipt under one signature."""
    made = batch_of(CUSTOMS, 5)
    signed = sign_together(CUSTOMS, [each for each, _ in made])[0][0]
    carried = made[0][1]
    slips = [
        unsigned_slip(signed, carried, ["grounds"]),
        unsigned_slip(signed, carried, [], recipient="MY-CUSTOMS", counter=7, prev=bytes(32), rule="receive.community"),
    ]
    leaves: list[Signed | bytes] = []
    for slip_made, _ in slips:
        leaves += slip_made, hmac.digest(carried["audience"], slip_made.statement.payload, "sha256")
    value = parcel_bytes(signed.statement, carried, {})
    record = content.receipt(
        signed.leaf, hashlib.sha256(value).digest(), stream=content.BATCH_STREAM, subject="SG-CUSTOMS/2026/000201",
        message_id=bytes.fromhex("0198c0de000070008000000000000b01"),
        recipients=[
            {"agency": "AE-CUSTOMS", "sections": ["core", "goods"], "withheld": ["grounds"]},
            {"agency": "MY-CUSTOMS", "sections": ["core", "goods", "grounds"], "withheld": []},
        ],
    )  # fmt: skip
    leaves.append(sign(RELAY, content.RECEIPT_V1, receipt.CONTENT_TYPES[1], record))
    (slip_made, _, answer), _ = sign_together(RELAY, leaves)
    return {
        "delivery-batch": {
            "kind": "delivery",
            "note": "The first message of parcel-batch.json as the relay delivers it to AE-CUSTOMS. Statement and slip are in batch form: "
            "the statement in the tree of its originator's batch, the slip in that of the relay's transaction, which has five leaves: "
            "this slip, a blind, the slip of another recipient, a blind, the receipt of receipt-batch.json.",
            "directory": DIRECTORY, "recipient": "AE-CUSTOMS", "statement": signed.shown, "leaf": signed.leaf.hex(),
            "sections": shown_sections(carried, {"core", "goods"}), "slip": slip_made.shown,
            "value": delivery(signed, slips[0][1], slip_made).hex(),
        },
        "receipt-batch": {
            "kind": "note",
            "note": "The relay's answer to the first message of parcel-batch.json, in batch form: the last of the five leaves of the tree "
            "of delivery-batch.json. digest = SHA-256 of the parcel's value.",
            "directory": DIRECTORY, "statement": answer.shown, "value": note.note_of(answer.statement).hex(),
        },
    }  # fmt: skip


def receipt_vector(about: str, record: Record, version: int = 1) -> Record:
    """A note of the relay."""
    schema = content.RECEIPT_V1 if version == 1 else content.RECEIPT
    signed = sign(RELAY, schema, receipt.CONTENT_TYPES[version], record)
    return {
        "kind": "note", "note": about, "directory": DIRECTORY, "statement": signed.shown,
        "value": note.note_bytes(*signed.parts).hex(),
    }  # fmt: skip


def build() -> dict[str, Record]:
    """Every vector by the name of its file."""
    carried = sections()
    signed = statement(carried)
    value = parcel_bytes(signed.statement, carried, {})
    licensing = statement(carried, LICENSING, originator="DE-BAFA", subject="DE-BAFA/2026/0001")
    refused: Record = {
        "outcome": "REFUSED", "code": "NOT_A_PARCEL", "step": 1, "reason": "the record begins with `4f 62 6a`, a parcel with `58 42 01`",
        "advice": "send with the publisher", "message_id": None, "stream": None, "seq": None, "subject": None, "revision": None,
        "recipients": [], "findings": [],
    }  # fmt: skip
    return {
        "parcel-ed25519": parcel_vector(
            "A record of the outbox of SG-CUSTOMS, signed with Ed25519. value = 58 42 01, then the deterministic CBOR of [18([protected, "
            "{}, payload, signature]), {section: salt, then body}, {}]. leaf = SHA-256 of 00 and to_be_signed. Each digest = SHA-256 of "
            "salt and body. schema_id = SHA-256 of the schema's canonical form (see README.md).", signed, carried,
        ),
        "parcel-p256": parcel_vector(
            "The same alert by DE-BAFA, signed with ECDSA on P-256 and SHA-256 (nonce by RFC 6979): r and s, 32 bytes each, the lower "
            "of the two possible s.", licensing, carried,
        ),
        "parcel-recall": parcel_vector(
            "The recall of the alert of parcel-ed25519.json: no sections, sequence number 2, and prev is the leaf of that parcel.",
            recall_of(signed), {},
        ),
        "delivery-withheld": delivery_vector(), "delivery-bound": bound_vector(),
        "receipt-accepted": receipt_vector(
            "The relay's answer to parcel-ed25519.json: a note, 58 42 02 and a COSE_Sign1. digest = SHA-256 of the parcel's value.",
            content.receipt(signed.leaf, hashlib.sha256(value).digest()),
        ),
        "receipt-refused": receipt_vector(
            "The relay's answer to a record of the outbox that is no parcel: what could not be read is null.",
            content.receipt(None, hashlib.sha256(b"Obj\x01").digest(), **refused),
        ),
        "receipt-v2-accepted": receipt_vector(
            "The answer of receipt-accepted.json in version 2, which names the rule by which each recipient received, and those that "
            "withheld sections, in the order of withheld. TH-CUSTOMS held an earlier revision and gets nothing of this one: a withdrawal.",
            content.receipt(signed.leaf, hashlib.sha256(value).digest(), recipients=RECIPIENTS), 2,
        ),
        "receipt-v2-refused": receipt_vector(
            "The answer of receipt-refused.json in version 2: without recipients the record is the same, and the content type is not.",
            content.receipt(None, hashlib.sha256(b"Obj\x01").digest(), **refused), 2,
        ),
        "parcel-batch": batch_vector(
            "Five records of the outbox of SG-CUSTOMS under one Ed25519 signature (batch form, RFC 9942 receipts over an RFC 9162 tree). "
            "value = 58 42 01, then the deterministic CBOR of [18([protected, {394: [receipt]}, payload, h'']), sections, {}].", CUSTOMS, 5,
        ),
        "parcel-batch-p256": batch_vector(
            "Three records of the outbox of DE-BAFA under one ECDSA signature (P-256, nonce by RFC 6979, the lower s). The third leaf "
            "stands alone in its level: its path has one hash, those of the others two.", LICENSING, 3,
        ),
        **transaction_vectors(),
        "refusals": refusals(),
    }  # fmt: skip


def text(vector: Record) -> str:
    """A vector as its file has it."""
    return json.dumps(vector, indent=1, ensure_ascii=False) + "\n"


def main() -> None:
    """Write the files."""
    for name, vector in build().items():
        (FOLDER / f"{name}.json").write_text(text(vector), encoding="utf-8")


if __name__ == "__main__":
    main()
