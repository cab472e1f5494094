"""The good messages of the golden vectors: statements, sections, deliveries, made with the product's envelope package."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from broker.envelope import cose, header, slip
from broker.envelope.cose import Sign1
from broker.envelope.parcel import SLIP, parcel_bytes
from broker.envelope.section import digest, seal_body
from tests.vectors import content
from tests.vectors.content import CUSTOMS, ENVIRONMENT, EXCHANGE, NOON, RELAY, Record, TestKey

SIGNED_NOTE: Final = (
    "protected, external_aad and payload are wrapped as the Sig_structure of RFC 9052 section 4.4 and signed with key.seed. "
    "payload is record as schemaless Avro under schema, with bytes shown in hex and times in Unix milliseconds."
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


def delivered(signed: Signed, carried: dict[str, bytes], withheld: list[str], **changes: Any) -> tuple[bytes, Signed]:
    """The record value of an inbox and its slip."""
    given = {name: value for name, value in carried.items() if name not in {"audience", *withheld}}
    record = content.slip(signed.leaf, sorted(given), withheld, **changes)
    note_of_delivery = sign(RELAY, content.SLIP, slip.CONTENT_TYPE, record)
    return parcel_bytes(signed.statement, given, {SLIP: cose.sign1_bytes(*note_of_delivery.parts)}), note_of_delivery
