"""The formats that parcels are made of, read a second time: deterministic CBOR, COSE_Sign1, canonical Avro, schema ids.

Part of :mod:`stranger`; imports nothing of the product.
"""

# What JSON, CBOR and Avro decode to has no static type:
# pyright: reportUnknownVariableType=false, reportUnknownMemberType=false, reportUnknownArgumentType=false

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import dataclass
from typing import Any, NoReturn, TypeAlias

import cbor2
import fastavro
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import load_der_public_key

Json: TypeAlias = Any
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


class Failed(Exception):
    """A check that does not hold: the refusal code and why."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(f"{code}: {reason}")
        self.code = code


def fail(code: str, reason: str) -> NoReturn:
    """End the verification with a refusal code."""
    raise Failed(code, reason)


def plain(item: Json) -> bool:
    """Whether an item holds only the kinds of value that records use."""
    if isinstance(item, cbor2.CBORTag):
        return item.tag == 18 and plain(item.value)
    if isinstance(item, dict):
        return all(isinstance(key, int | str) and plain(value) for key, value in item.items())
    if isinstance(item, list):
        return all(plain(entry) for entry in item)
    return item is None or (isinstance(item, int | str | bytes) and not isinstance(item, bool))


def read_cbor(data: bytes) -> Json:
    """One item of deterministic CBOR: a general library reads it, and writing it again must give the same bytes."""
    try:
        item: Json = cbor2.loads(data)
        again = cbor2.dumps(item, canonical=True)
    except (cbor2.CBORError, ValueError, TypeError, OverflowError, RecursionError) as error:
        fail("BAD_CBOR", f"no CBOR: {error}")
    if not plain(item) or (data.startswith(again) and len(data) > len(again)):
        fail("BAD_CBOR", "a kind of value that records do not use, or bytes behind the end")
    if again != data:
        fail("NOT_CANONICAL", "not the deterministic encoding")
    return item


@dataclass
class Sign1:
    """The four parts of a COSE_Sign1, and what the protected header says."""

    protected: bytes
    payload: bytes
    signature: bytes
    alg: int
    content_type: str
    kid: bytes


def read_sign1(item: Json) -> Sign1:
    """A COSE_Sign1 with exactly algorithm, content type and key id protected, and nothing unprotected."""
    if not isinstance(item, cbor2.CBORTag) or item.tag != 18 or not isinstance(item.value, list) or len(item.value) != 4:
        fail("BAD_STATEMENT", "no COSE_Sign1")
    protected, unprotected, payload, signature = item.value
    if unprotected != {} or not all(isinstance(part, bytes) for part in (protected, payload, signature)):
        fail("BAD_STATEMENT", "unprotected header not empty, or a part that is no byte string")
    try:
        labels = read_cbor(protected)
    except Failed as failed:
        fail("BAD_STATEMENT", f"protected header: {failed}")
    if not isinstance(labels, dict) or set(labels) != {1, 3, 4} or labels[1] not in (-19, -9):
        fail("BAD_STATEMENT", "the protected header holds exactly 1 (-19 or -9), 3 and 4")
    if not isinstance(labels[3], str) or not isinstance(labels[4], bytes) or len(labels[4]) != 16 or len(signature) != 64:
        fail("BAD_STATEMENT", "content type, key id or signature of another kind or length")
    return Sign1(protected, payload, signature, labels[1], labels[3], labels[4])


def context(exchange_id: str, environment: str) -> bytes:
    """The external_aad of everything signed in an exchange."""
    return cbor2.dumps(["xb/1", exchange_id, environment])


def to_be_signed(signed: Sign1, aad: bytes) -> bytes:
    """The Sig_structure."""
    return cbor2.dumps(["Signature1", signed.protected, aad, signed.payload])


def verifies(signed: Sign1, aad: bytes, spki: bytes) -> bool:
    """Whether the signature fits; ECDSA as r and s of 32 bytes, with the lower of the two possible s."""
    key = load_der_public_key(spki)
    message = to_be_signed(signed, aad)
    try:
        if isinstance(key, ed25519.Ed25519PublicKey) and signed.alg == -19:
            key.verify(signed.signature, message)
            return True
        if isinstance(key, ec.EllipticCurvePublicKey) and signed.alg == -9:
            r, s = int.from_bytes(signed.signature[:32], "big"), int.from_bytes(signed.signature[32:], "big")
            key.verify(encode_dss_signature(r, s), message, ec.ECDSA(hashes.SHA256()))
            return s <= P256_ORDER // 2
    except InvalidSignature:
        pass
    return False


def physical(schema: Json) -> Json:
    """The schema without logical types, so that times stay integers and decimals stay bytes."""
    if isinstance(schema, dict):
        return {key: physical(value) for key, value in schema.items() if key != "logicalType"}
    return [physical(entry) for entry in schema] if isinstance(schema, list) else schema


def read_avro(schema: Json, body: bytes) -> Json:
    """The record of an Avro body, which must be the one encoding of that record: writing it again gives the same bytes."""
    stream = io.BytesIO(body)
    try:
        record: Json = fastavro.schemaless_reader(stream, physical(schema), None)
        again = write_avro(schema, record)
    except (ValueError, TypeError, KeyError, IndexError, EOFError, OverflowError, AssertionError) as error:
        fail("BAD_STRUCTURE", f"no Avro of this schema: {error}")
    if again != body:
        fail("BAD_STRUCTURE", "not the canonical Avro encoding of its record")
    return record


def write_avro(schema: Json, record: Json) -> bytes:
    """The Avro body of a record."""
    stream = io.BytesIO()
    fastavro.schemaless_writer(stream, physical(schema), record, strict=True)
    return stream.getvalue()


def readable(value: Json) -> Json:
    """A decoded record as the vectors show it: bytes in hex."""
    if isinstance(value, dict):
        return {key: readable(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [readable(entry) for entry in value]
    return value.hex() if isinstance(value, bytes) else value


PRIMITIVE = {"null", "boolean", "int", "long", "float", "double", "bytes", "string"}


def strict_form(schema: Json, space: str) -> Json:
    """The canonical form whose SHA-256 names a schema: full names, no docs, all else kept; an attribute-free primitive is a string."""
    if isinstance(schema, str):
        return schema if schema in PRIMITIVE or "." in schema or not space else f"{space}.{schema}"
    if isinstance(schema, list):
        return [strict_form(branch, space) for branch in schema]
    attributes: dict[str, Json] = {key: value for key, value in schema.items() if key not in ("doc", "namespace")}
    kind = attributes["type"]
    if kind in ("record", "enum", "fixed"):
        name = attributes["name"]
        space = name.rpartition(".")[0] or schema.get("namespace", space)
        attributes["name"] = name if "." in name or not space else f"{space}.{name}"
        if "aliases" in attributes:
            attributes["aliases"] = [alias if "." in alias or not space else f"{space}.{alias}" for alias in attributes["aliases"]]
        if kind == "record":
            attributes["fields"] = [
                {**{key: value for key, value in entry.items() if key != "doc"}, "type": strict_form(entry["type"], space)}
                for entry in attributes["fields"]
            ]
        return attributes
    for part in ("items", "values"):
        if part in attributes:
            attributes[part] = strict_form(attributes[part], space)
    if kind in PRIMITIVE:
        return kind if len(attributes) == 1 else attributes
    return attributes if isinstance(kind, str) else {**attributes, "type": strict_form(kind, space)}


def schema_id(schema: Json) -> bytes:
    """SHA-256 of the canonical form, written by RFC 8785."""
    text = json.dumps(strict_form(schema, ""), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).digest()
