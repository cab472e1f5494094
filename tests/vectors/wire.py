"""The formats that parcels are made of, read a second time: deterministic CBOR, COSE_Sign1 in both forms, canonical Avro, schema ids.

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
class Proof:
    """What a statement in batch form carries in place of a signature, and the protected header of the receipt that it was in."""

    size: int
    index: int
    path: list[bytes]
    protected: bytes
    signature: bytes


@dataclass
class Sign1:
    """The four parts of a COSE_Sign1, what the protected header says, and in batch form the proof."""

    protected: bytes
    payload: bytes
    signature: bytes
    alg: int
    content_type: str
    kid: bytes
    proof: Proof | None


def read_sign1(item: Json) -> Sign1:
    """A COSE_Sign1 with exactly algorithm, content type and key id protected, and unprotected nothing or the receipt of a batch."""
    if not isinstance(item, cbor2.CBORTag) or item.tag != 18 or not isinstance(item.value, list) or len(item.value) != 4:
        fail("BAD_STATEMENT", "no COSE_Sign1")
    protected, unprotected, payload, signature = item.value
    if not isinstance(unprotected, dict) or not all(isinstance(part, bytes) for part in (protected, payload, signature)):
        fail("BAD_STATEMENT", "a part of another kind")
    labels = inside("protected header", protected)
    if not isinstance(labels, dict) or set(labels) != {1, 3, 4} or labels[1] not in (-19, -9):
        fail("BAD_STATEMENT", "the protected header holds exactly 1 (-19 or -9), 3 and 4")
    if not isinstance(labels[3], str) or not isinstance(labels[4], bytes) or len(labels[4]) != 16:
        fail("BAD_STATEMENT", "content type or key id of another kind or length")
    proof = read_batch(unprotected, labels) if unprotected else None
    if len(signature) != (0 if proof else 64):
        fail("BAD_STATEMENT", "a signature of 64 bytes in direct form, of none in batch form")
    return Sign1(protected, payload, signature, labels[1], labels[3], labels[4], proof)


def inside(name: str, data: Json) -> Json:
    """The deterministic CBOR inside a byte string of a statement."""
    if not isinstance(data, bytes):
        fail("BAD_STATEMENT", f"{name}: no byte string")
    try:
        return read_cbor(data)
    except Failed as failed:
        fail("BAD_STATEMENT", f"{name}: {failed}")


def read_batch(unprotected: Json, labels: Json) -> Proof:
    """The one proof in the one receipt of an unprotected header; it names the key and algorithm of its statement."""
    if set(unprotected) != {394} or not isinstance(unprotected[394], list) or len(unprotected[394]) != 1:
        fail("BAD_STATEMENT", "the unprotected header holds exactly one receipt")
    receipt = inside("receipt", unprotected[394][0])
    if not isinstance(receipt, cbor2.CBORTag) or receipt.tag != 18 or not isinstance(receipt.value, list) or len(receipt.value) != 4:
        fail("BAD_STATEMENT", "the receipt is no COSE_Sign1")
    protected, held, payload, signature = receipt.value
    if inside("receipt's protected header", protected) != {1: labels[1], 4: labels[4], 395: 1}:
        fail("BAD_STATEMENT", "the receipt is not of the statement's key and algorithm over an RFC 9162 tree")
    if payload is not None or not isinstance(signature, bytes) or len(signature) != 64:
        fail("BAD_STATEMENT", "the receipt's payload is nil and its signature has 64 bytes")
    if not isinstance(held, dict) or set(held) != {396} or not isinstance(held[396], dict) or set(held[396]) != {-1}:
        fail("BAD_STATEMENT", "the receipt holds exactly proofs of inclusion")
    if not isinstance(held[396][-1], list) or len(held[396][-1]) != 1:
        fail("BAD_STATEMENT", "the receipt holds exactly one proof")
    position = inside("proof", held[396][-1][0])
    if not isinstance(position, list) or len(position) != 3:
        fail("BAD_STATEMENT", "a proof has three parts")
    size, index, path = position
    if not isinstance(size, int) or not isinstance(index, int) or not 1 < size <= 65_536 or not 0 <= index < size:
        fail("BAD_STATEMENT", "a tree has 2 to 65,536 leaves, and the index is one of them")
    if not isinstance(path, list) or not 0 < len(path) <= 16 or not all(isinstance(each, bytes) and len(each) == 32 for each in path):
        fail("BAD_STATEMENT", "a path is 1 to 16 hashes of 32 bytes")
    return Proof(size, index, path, protected, signature)


def context(exchange_id: str, environment: str, size: int = 0) -> bytes:
    """The external_aad of everything signed in an exchange; with a size, that of the root of a batch's tree."""
    return cbor2.dumps(["xb/1-batch", exchange_id, environment, size] if size else ["xb/1", exchange_id, environment])


def structure(protected: bytes, aad: bytes, payload: bytes) -> bytes:
    """The Sig_structure."""
    return cbor2.dumps(["Signature1", protected, aad, payload])


def leaf_of(signed: Sign1, exchange_id: str, environment: str) -> bytes:
    """The leaf of a statement."""
    return hashlib.sha256(b"\x00" + structure(signed.protected, context(exchange_id, environment), signed.payload)).digest()


def largest_power_below(size: int) -> int:
    """Where the left subtree of a tree ends: the largest power of two that is smaller than its size."""
    power = 1
    while 2 * power < size:
        power *= 2
    return power


def tree_root(leaves: list[bytes]) -> bytes:
    """The root of a tree: MTH of RFC 9162 section 2.1.1, over leaves that are hashes already."""
    if len(leaves) == 1:
        return leaves[0]
    middle = largest_power_below(len(leaves))
    return hashlib.sha256(b"\x01" + tree_root(leaves[:middle]) + tree_root(leaves[middle:])).digest()


def path_root(leaf: bytes, index: int, size: int, path: list[bytes]) -> bytes | None:
    """The root that a path (lowest sibling first) leads to, None where it is too short or too long for this place."""
    if size == 1 or not path:
        return leaf if size == 1 and not path else None
    middle, sibling = largest_power_below(size), path[-1]
    if index < middle:
        below = path_root(leaf, index, middle, path[:-1])
        return None if below is None else hashlib.sha256(b"\x01" + below + sibling).digest()
    below = path_root(leaf, index - middle, size - middle, path[:-1])
    return None if below is None else hashlib.sha256(b"\x01" + sibling + below).digest()


def to_be_signed(signed: Sign1, exchange_id: str, environment: str) -> bytes | None:
    """The bytes under the signature: of the statement itself, or of the root that its proof leads to."""
    if signed.proof is None:
        return structure(signed.protected, context(exchange_id, environment), signed.payload)
    proof = signed.proof
    root = path_root(leaf_of(signed, exchange_id, environment), proof.index, proof.size, proof.path)
    return None if root is None else structure(proof.protected, context(exchange_id, environment, proof.size), root)


def verifies(signed: Sign1, exchange_id: str, environment: str, spki: bytes) -> bool:
    """Whether this key signed the statement, alone or in a batch, for this exchange and environment."""
    message = to_be_signed(signed, exchange_id, environment)
    signature = signed.proof.signature if signed.proof else signed.signature
    return message is not None and fits(signature, message, signed.alg, spki)


def fits(signature: bytes, message: bytes, alg: int, spki: bytes) -> bool:
    """Whether a signature is the key's for these bytes; ECDSA as r and s of 32 bytes, with the lower of the two possible s."""
    key = load_der_public_key(spki)
    try:
        if isinstance(key, ed25519.Ed25519PublicKey) and alg == -19:
            key.verify(signature, message)
            return True
        if isinstance(key, ec.EllipticCurvePublicKey) and alg == -9:
            r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
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
