"""The good messages of the golden vectors: statements, sections, deliveries, made with the product's envelope package."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from broker.envelope import cose, header, slip
from broker.envelope.batch import Tree, batch_context, receipt_protected, unprotected_bytes
from broker.envelope.cose import Sign1
from broker.envelope.parcel import SLIP, parcel_bytes
from broker.envelope.section import digest, seal_body
from tests.vectors import content
from tests.vectors.content import CUSTOMS, ENVIRONMENT, EXCHANGE, NOON, RELAY, Record, TestKey

SIGNED_NOTE: Final = (
    "protected, external_aad and payload are wrapped as the Sig_structure of RFC 9052 section 4.4 and signed with key.seed. "
    "payload is record as schemaless Avro under schema, with bytes shown in hex and times in Unix milliseconds."
)

BATCH_NOTE: Final = (
    "The statement's own signature is empty: from its leaf, index and path follow to the root of the batch's tree. The root is the "
    "detached payload of the receipt; protected, external_aad and root are wrapped as a Sig_structure and signed with key.seed. "
    "unprotected is the statement's unprotected header, which holds the receipt."
)


@dataclass(frozen=True)
class Signed:
    """A statement made for a vector."""

    statement: Sign1
    tbs: bytes
    leaf: bytes
    shown: Record

    @property
    def parts(self) -> tuple[bytes, bytes, bytes]:
        """Protected header, payload and signature."""
        return self.statement.protected, self.statement.payload, self.statement.signature


def sign(key: TestKey, schema: content.Schema, content_type: str, record: Record, **context: Any) -> Signed:
    """Sign an Avro record; ``context`` may name another exchange or environment for bad cases, ``low=False`` the wrong s."""
    protected = cose.protected_header(key.alg, key.kid, content_type)
    aad = cose.context(context.get("exchange_id", EXCHANGE), context.get("environment", ENVIRONMENT))
    payload = schema.encode(record)
    tbs = cose.to_be_signed(protected, aad, payload)
    signature = key.sign(tbs, low=context.get("low", True))
    shown = {
        "note": SIGNED_NOTE, "key": key.shown(), "content_type": content_type, "protected": protected.hex(), "external_aad": aad.hex(),
        "schema": schema.path, "record": readable(record), "payload": payload.hex(), "to_be_signed": tbs.hex(),
        "signature": signature.hex(),
    }  # fmt: skip
    return Signed(Sign1(protected, payload, signature, key.alg, key.kid, content_type), tbs, cose.leaf_hash(tbs), shown)


def sign_together(key: TestKey, signed: Sequence[Signed | bytes], **context: Any) -> tuple[list[Signed], Record]:
    """The same statements under one signature, in a tree with leaves that are none (bytes); and the tree as a vector shows it.

    ``context`` may name another exchange or environment, another ``size`` to sign, or ``low=False``, for bad cases.
    """
    leaves = [each if isinstance(each, bytes) else each.leaf for each in signed]
    tree = Tree(leaves)
    protected = receipt_protected(key.alg, key.kid)
    names = context.get("exchange_id", EXCHANGE), context.get("environment", ENVIRONMENT)
    aad = batch_context(*names, context.get("size", tree.size))
    tbs = cose.to_be_signed(protected, aad, tree.root)
    signature = key.sign(tbs, low=context.get("low", True))
    common = {
        "tree_size": tree.size, "root": tree.root.hex(), "protected": protected.hex(), "external_aad": aad.hex(),
        "to_be_signed": tbs.hex(), "signature": signature.hex(),
    }  # fmt: skip
    made: list[Signed] = []
    for index, each in enumerate(signed):
        if isinstance(each, bytes):
            continue
        proof = tree.proof(index, signature)
        path = {"leaf_index": index, "path": [step.hex() for step in proof.path]}
        unprotected = unprotected_bytes(key.alg, key.kid, proof).hex()
        shown = {**each.shown, "signature": "", "batch": {"note": BATCH_NOTE, **common, **path, "unprotected": unprotected}}
        made.append(Signed(replace(each.statement, signature=b"", proof=proof), each.tbs, each.leaf, shown))
    return made, {"leaves": [leaf.hex() for leaf in leaves], **common}


def readable(value: Any) -> Any:
    """A record with its bytes in hex."""
    if isinstance(value, dict):
        return {key: readable(entry) for key, entry in value.items()}  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, list):
        return [readable(entry) for entry in value]  # pyright: ignore[reportUnknownVariableType]
    return value.hex() if isinstance(value, bytes) else value


def sections(label: str = "") -> dict[str, bytes]:
    """The alert's sections as carried; ``label`` varies the salts."""
    return {
        name: seal_body(content.salt(f"{name}{label}"), content.SECTION_SCHEMAS[name].encode(record))
        for name, record in content.SECTIONS.items()
    }


def commitments(carried: dict[str, bytes]) -> list[Record]:
    """Commitments to sections as carried, sorted by section."""
    return [
        {"section": name, "schema_id": content.SECTION_SCHEMAS[name].id, "digest": digest(carried[name]), "plain": None}
        for name in sorted(carried)
    ]


def statement(carried: dict[str, bytes], key: TestKey = CUSTOMS, *, context: Record | None = None, **changes: Any) -> Signed:
    """The alert's statement over these sections; ``changes`` replace fields of the header."""
    record = content.header(**{"commitments": commitments(carried), **changes})
    return sign(key, content.HEADER, header.CONTENT_TYPE, record, **(context or {}))


def recall_of(before: Signed) -> Signed:
    """The statement that recalls the alert: the next of its stream, without sections."""
    return statement(
        {}, message_id=bytes.fromhex("0198c0de00007000800000000000000b"), seq=2, prev=before.leaf, revision=2,
        issued_at=NOON + 3_600_000, valid_until=None, language=None,
    )  # fmt: skip


def batch_of(key: TestKey, count: int, *, context: Record | None = None) -> list[tuple[Signed, dict[str, bytes]]]:
    """The first messages of a stream with their sections, not yet signed together: the first has four sections, the others two."""
    made: list[tuple[Signed, dict[str, bytes]]] = []
    prev: bytes | None = None
    for seq in range(1, count + 1):
        carried = sections(f" {seq}")
        if seq > 1:
            carried = {name: carried[name] for name in ("audience", "core")}
        signed = statement(
            carried, key, stream=content.BATCH_STREAM, seq=seq, prev=prev, urgency="PRIORITY" if seq == 1 else "ROUTINE",
            message_id=bytes.fromhex(f"0198c0de000070008000000000000b{seq:02x}"), originator=key.agency,
            subject=f"{key.agency}/2026/{200 + seq:06}", issued_at=NOON + seq, context=context,
        )  # fmt: skip
        made.append((signed, carried))
        prev = signed.leaf
    return made


def unsigned_slip(signed: Signed, carried: dict[str, bytes], withheld: list[str], **changes: Any) -> tuple[Signed, dict[str, bytes]]:
    """The slip of a delivery, signed by itself, and the sections that it gives."""
    given = {name: value for name, value in carried.items() if name not in {"audience", *withheld}}
    record = content.slip(signed.leaf, sorted(given), withheld, **changes)
    schema, version = (content.BINDING_SLIP, 2) if "bound" in changes else (content.SLIP, 1)
    return sign(RELAY, schema, slip.CONTENT_TYPES[version], record), given


def delivery(signed: Signed, given: dict[str, bytes], slip_made: Signed) -> bytes:
    """The record value of an inbox."""
    return parcel_bytes(signed.statement, given, {SLIP: cose.statement_bytes(slip_made.statement)})


def delivered(signed: Signed, carried: dict[str, bytes], withheld: list[str], **changes: Any) -> tuple[bytes, Signed]:
    """The record value of an inbox and its slip, in direct form."""
    slip_made, given = unsigned_slip(signed, carried, withheld, **changes)
    return delivery(signed, given, slip_made), slip_made
