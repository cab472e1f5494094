"""A second reader of parcels, written from the wire format alone: it imports nothing of the product
(:mod:`wire` beside it holds the formats).

::

    stranger.py VECTOR.json                                               check one golden vector
    stranger.py --parcel FILE --directory FILE --schemas DIR              verify a captured record value
                [--recipient AGENCY]                                      as this agency's delivery

The directory file is JSON: ``exchange_id``, ``environment``, ``keys`` (agency id to a list of hex SubjectPublicKeyInfo) and
``relay`` (a list of the same). One line per check; exit code 0 where all hold, 1 where one fails, 2 for bad usage.

It is a reading aid, not a hardened reader: it hands bytes to general CBOR and Avro libraries, and reports only the first failure.
"""

# What JSON, CBOR and Avro decode to has no static type:
# pyright: reportUnknownVariableType=false, reportUnknownMemberType=false, reportUnknownArgumentType=false

from __future__ import annotations

import argparse
import hashlib
import json
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path

import cbor2
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from wire import (
    Failed,
    Json,
    Sign1,
    context,
    fail,
    leaf_of,
    path_root,
    read_avro,
    read_cbor,
    read_sign1,
    readable,
    schema_id,
    structure,
    to_be_signed,
    tree_root,
    verifies,
)

ENVIRONMENTS = ("production", "test", "exercise")
HEADER_TYPE = "application/vnd.broker.header+avro;v=1"
SLIP_TYPES = {f"application/vnd.broker.slip+avro;v={version}": version for version in (1, 2)}
"""Content types of slips, and the version of the schema that each names."""
RECEIPT_TYPES = {f"application/vnd.broker.receipt+avro;v={version}": f"schemas/receipt/v{version}/receipt.avsc" for version in (1, 2)}
"""Content types of receipts, and the schema that each names."""
REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass
class Exchange:
    """What a reader has to know beforehand."""

    exchange_id: str
    environment: str
    agencies: dict[bytes, tuple[str, bytes]]
    relays: dict[bytes, bytes]
    schemas: dict[bytes, tuple[str, Json]]
    header: Json
    slips: dict[int, Json]

    @classmethod
    def of(cls, directory: Json, schemas: Path) -> Exchange:
        """From the directory file and the folder of schemas (``<family>/v<N>/<section>.avsc``)."""
        agencies: dict[bytes, tuple[str, bytes]] = {}
        for agency, keys in directory["keys"].items():
            for spki in [keys] if isinstance(keys, str) else keys:
                raw = bytes.fromhex(spki)
                agencies[hashlib.sha256(raw).digest()[:16]] = (agency, raw)
        relays = [directory["relay"]] if isinstance(directory["relay"], str) else directory["relay"]
        known: dict[bytes, tuple[str, Json]] = {}
        for path in sorted(schemas.glob("*/v*/*.avsc")):
            schema = json.loads(path.read_text(encoding="utf-8"))
            known[schema_id(schema)] = (f"{path.parts[-3]}/{path.parts[-2]}/{path.stem}", schema)
        named = dict(known.values())
        return cls(
            directory["exchange_id"], directory["environment"], agencies,
            {hashlib.sha256(raw).digest()[:16]: raw for raw in map(bytes.fromhex, relays)},
            known, named["header/v1/header"], {version: named[f"slip/v{version}/slip"] for version in SLIP_TYPES.values()},
        )  # fmt: skip

    @property
    def names(self) -> tuple[str, str]:
        """What everything signed here is bound to."""
        return self.exchange_id, self.environment


@dataclass
class Verification:
    """The checks of one record value, in order. ``lines`` are the checks that held."""

    exchange: Exchange
    recipient: str | None = None
    limit: int = (1 << 20) + 65_536
    lines: list[str] = field(default_factory=list[str])
    header: Json = None
    slip: Json = None
    leaf: bytes = b""

    def held(self, name: str, detail: str) -> None:
        """Note a check that held."""
        self.lines.append(f"ok    {name}: {detail}")

    def run(self, value: bytes) -> None:
        """All checks; raises Failed at the first that does not hold."""
        statement, sections, extras = self.framing(value)
        self.authorship(statement)
        if self.recipient is not None or 1 in extras:
            self.delivery(extras, set(sections))
        else:
            self.held("slip", "none: a record of an outbox, which carries every section")
        self.commitments(sections)
        self.decode(sections)

    def framing(self, value: bytes) -> tuple[Sign1, dict[str, bytes], dict[int, bytes]]:
        """Step 1."""
        if len(value) > self.limit:
            fail("TOO_LARGE", f"{len(value)} bytes, {self.limit} allowed")
        if value[:3] != b"XB\x01":
            fail("NOT_A_PARCEL", f"begins with {value[:3].hex(' ')}")
        self.held("magic", "58 42 01")
        item = read_cbor(value[3:])
        self.held("canonical CBOR", f"{len(value)} bytes, and writing the item again gives the same")
        if not isinstance(item, list) or len(item) != 3:
            fail("BAD_PARCEL", "no array of three")
        statement = read_sign1(item[0])
        sections: Json = item[1]
        extras: Json = item[2]
        if not isinstance(sections, dict) or not isinstance(extras, dict) or len(sections) > 16 or len(extras) > 8:
            fail("BAD_PARCEL", "sections or the exchange's part are no map, or too large")
        for name, carried in sections.items():
            if not isinstance(name, str) or not re.fullmatch("[a-z_]{1,32}", name) or not isinstance(carried, bytes):
                fail("BAD_PARCEL", f"section {name!r}")
        for key, carried in extras.items():
            if not isinstance(key, int) or not 0 <= key <= 65536 or not isinstance(carried, bytes):
                fail("BAD_PARCEL", f"extra {key!r}")
        return statement, sections, extras

    def authorship(self, statement: Sign1) -> None:
        """Steps 2 and 3, and the header."""
        if statement.content_type != HEADER_TYPE:
            fail("BAD_STATEMENT", f"content type {statement.content_type}")
        if statement.kid not in self.exchange.agencies:
            fail("UNKNOWN_KEY", f"key {statement.kid.hex()}")
        agency, spki = self.exchange.agencies[statement.kid]
        self.held("key id", f"{statement.kid.hex()} of {agency}")
        if not verifies(statement, *self.exchange.names, spki):
            for other in ENVIRONMENTS:
                if verifies(statement, self.exchange.exchange_id, other, spki):
                    fail("WRONG_ENVIRONMENT", f"signed for {other}")
            fail("BAD_SIGNATURE", "the statement's signature does not fit")
        self.leaf = leaf_of(statement, *self.exchange.names)
        self.held("statement signature", f"algorithm {statement.alg}, {form(statement)}; leaf {self.leaf.hex()}")
        try:
            self.header = read_avro(self.exchange.header, statement.payload)
        except Failed as failed:
            fail("BAD_HEADER", str(failed))
        if self.header["originator"] != agency:
            fail("KEY_OF_ANOTHER_AGENCY", f"the header names {self.header['originator']}")
        self.held("header", f"{self.header['subject']} revision {self.header['revision']}, sequence {self.header['seq']}")

    def delivery(self, extras: dict[int, bytes], carried: set[str]) -> None:
        """The slip: signed by the relay, for this exchange and recipient, of this leaf, with a full account of the sections."""
        if 1 not in extras:
            fail("BAD_SLIP", "no slip")
        try:
            signed = read_sign1(read_cbor(extras[1]))
            spki = self.exchange.relays.get(signed.kid)
            version = SLIP_TYPES.get(signed.content_type)
            if version is None or spki is None or not verifies(signed, *self.exchange.names, spki):
                fail("BAD_SLIP", "not signed as a slip by a relay of this exchange")
            self.slip = read_avro(self.exchange.slips[version], signed.payload)
        except Failed as failed:
            fail("BAD_SLIP", str(failed))
        self.held("slip signature", f"relay key {signed.kid.hex()}, {form(signed)}")
        slip = self.slip
        here = (self.exchange.exchange_id, self.exchange.environment, self.recipient or slip["recipient"])
        if (slip["exchange_id"], slip["environment"], slip["recipient"]) != here:
            fail("NOT_FOR_ME", f"for {slip['recipient']} on {slip['exchange_id']} ({slip['environment']})")
        if slip["leaf"] != self.leaf:
            fail("NOT_FOR_ME", "the slip names another parcel")
        self.held("slip leaf", f"delivery {slip['counter']} of shard {slip['shard']} to {slip['recipient']}")
        given = sorted(entry["section"] for entry in slip["given"])
        withheld = sorted(entry["section"] for entry in slip["withheld"])
        committed = sorted(entry["section"] for entry in self.header["commitments"] if entry["section"] != "audience")
        if given != sorted(carried) or sorted(given + withheld) != committed:
            fail("BAD_SLIP", "the slip does not list exactly the sections carried and withheld")
        bound = {entry["section"]: entry["purposes"] for entry in slip.get("bound", [])}
        if not set(bound) <= set(given) or not all(bound.values()):
            fail("BAD_SLIP", "the slip binds what it does not give, or to nothing")
        self.held("slip sections", f"given {', '.join(given) or 'none'}; withheld {', '.join(withheld) or 'none'}")
        for section, purposes in bound.items():
            self.held("slip bound", f"{section} is for {', '.join(purposes)} alone")

    def commitments(self, sections: dict[str, bytes]) -> None:
        """Step 7."""
        committed = {entry["section"]: entry["digest"] for entry in self.header["commitments"]}
        if [entry["section"] for entry in self.header["commitments"]] != sorted(committed):
            fail("BAD_HEADER", "commitments not sorted, or a section twice")
        for name, carried in sections.items():
            if name not in committed:
                fail("UNCOMMITTED_SECTION", name)
            if hashlib.sha256(carried).digest() != committed[name]:
                fail("COMMITMENT_MISMATCH", name)
            if len(carried) < 16:
                fail("BAD_STRUCTURE", f"{name} is shorter than a salt")
            self.held("commitment", name)
        missing = sorted(set(committed) - set(sections))
        if self.slip is None and missing:
            fail("MISSING_SECTION", ", ".join(missing))

    def decode(self, sections: dict[str, bytes]) -> None:
        """Step 8: the schema that the header names, found by its content id."""
        for entry in self.header["commitments"]:
            name = entry["section"]
            found = self.exchange.schemas.get(entry["schema_id"])
            if found is None:
                fail("UNKNOWN_SCHEMA", f"{name}: {entry['schema_id'].hex()}")
            where, schema = found
            if not re.fullmatch(f"{'audience' if name == 'audience' else self.header['family']}/v[0-9]+/{name}", where):
                fail("WRONG_SCHEMA", f"{name} has schema {where}")
            if name in sections:
                read_avro(schema, sections[name][16:])
                self.held("section", f"{name} decodes as {where}")


def form(signed: Sign1) -> str:
    """How a statement is signed."""
    return f"number {signed.proof.index} of a batch of {signed.proof.size}" if signed.proof else "by itself"


def equal(name: str, found: Json, expected: Json) -> None:
    """A part of a vector that this reader reaches too."""
    if found != expected:
        fail("VECTOR", f"{name}: found {found}, the vector has {expected}")


def check_message(vector: Json, schemas: Path) -> list[str]:
    """A parcel or delivery: verify the value, then compare every intermediate that the file shows."""
    return check_value(vector, Exchange.of(vector["directory"], schemas), schemas)


def check_value(vector: Json, exchange: Exchange, schemas: Path) -> list[str]:
    """The same, in an exchange that is known already."""
    run = Verification(exchange, vector.get("recipient"))
    value = bytes.fromhex(vector["value"])
    run.run(value)
    item: Json = cbor2.loads(value[3:])
    check_signed("statement", vector["statement"], item[0], run.exchange, run.exchange.header)
    equal("leaf", run.leaf.hex(), vector["leaf"])
    for part in vector["sections"]:
        schema = json.loads((schemas.parent / part["schema"]).read_text(encoding="utf-8"))
        body, salt = bytes.fromhex(part["body"]), bytes.fromhex(part["salt"])
        equal(f"{part['section']} record", readable(read_avro(schema, body)), part["record"])
        equal(f"{part['section']} schema id", schema_id(schema).hex(), part["schema_id"])
        equal(f"{part['section']} digest", hashlib.sha256(salt + body).hexdigest(), part["digest"])
        equal(f"{part['section']} carried", item[1].get(part["section"]), salt + body if part["carried"] else None)
    if "slip" in vector:
        version = SLIP_TYPES.get(read_sign1(cbor2.loads(item[2][1])).content_type, 0)
        check_signed("slip", vector["slip"], cbor2.loads(item[2][1]), run.exchange, run.exchange.slips[version])
    return [*run.lines, "ok    vector: every intermediate value is as written"]


def check_batch(vector: Json, schemas: Path) -> list[str]:
    """Messages under one signature: each verifies alone, and all their leaves are the leaves of the tree, in order."""
    exchange = Exchange.of(vector["directory"], schemas)
    lines: list[str] = []
    for message in vector["messages"]:
        lines += check_value(message, exchange, schemas)
    tree = vector["tree"]
    leaves = [message["leaf"] for message in vector["messages"]]
    equal("leaves", leaves, tree["leaves"])
    equal("tree size", len(leaves), tree["tree_size"])
    equal("root", tree_root([bytes.fromhex(leaf) for leaf in leaves]).hex(), tree["root"])
    for message in vector["messages"]:
        for name in ("tree_size", "root", "protected", "external_aad", "to_be_signed", "signature"):
            equal(f"{name} of each message", message["statement"]["batch"][name], tree[name])
    return [*lines, f"ok    tree: the root over all {len(leaves)} leaves is the one that was signed"]


def check_note(vector: Json, schemas: Path) -> list[str]:
    """A note (a receipt): magic bytes, signature of the relay, record."""
    exchange = Exchange.of(vector["directory"], schemas)
    value = bytes.fromhex(vector["value"])
    equal("magic", value[:3].hex(), "584202")
    item = read_cbor(value[3:])
    path = RECEIPT_TYPES.get(read_sign1(item).content_type, "no schema of a receipt")
    equal("schema of the content type", path, vector["statement"]["schema"])
    schema = json.loads((schemas.parent / path).read_text(encoding="utf-8"))
    check_signed("note", vector["statement"], item, exchange, schema)
    return ["ok    note: magic, canonical CBOR, signature and record"]


def check_signed(name: str, shown: Json, item: Json, exchange: Exchange, schema: Json) -> None:
    """What a vector shows of one COSE_Sign1, from the private key to the signature."""
    signed = read_sign1(item)
    seed = bytes.fromhex(shown["key"]["seed"])
    if signed.alg == -19:
        public = ed25519.Ed25519PrivateKey.from_private_bytes(seed).public_key()
    else:
        public = ec.derive_private_key(int.from_bytes(seed, "big"), ec.SECP256R1()).public_key()
    spki = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    aad = context(*exchange.names)
    equal(f"{name} key", spki.hex(), shown["key"]["spki"])
    equal(f"{name} key id", hashlib.sha256(spki).digest()[:16].hex(), shown["key"]["kid"])
    equal(f"{name} key id", signed.kid.hex(), shown["key"]["kid"])
    equal(f"{name} content type", signed.content_type, shown["content_type"])
    equal(f"{name} protected", signed.protected.hex(), shown["protected"])
    equal(f"{name} external_aad", aad.hex(), shown["external_aad"])
    equal(f"{name} payload", signed.payload.hex(), shown["payload"])
    equal(f"{name} record", readable(read_avro(schema, signed.payload)), shown["record"])
    equal(f"{name} to be signed", structure(signed.protected, aad, signed.payload).hex(), shown["to_be_signed"])
    equal(f"{name} signature", signed.signature.hex(), shown["signature"])
    equal(f"{name} batch form", signed.proof is not None, "batch" in shown)
    if signed.proof is not None:
        check_proof(name, shown["batch"], signed, item, exchange)
    equal(f"{name} verifies", verifies(signed, *exchange.names, spki), True)


def check_proof(name: str, shown: Json, signed: Sign1, item: Json, exchange: Exchange) -> None:
    """What a vector shows of the batch form: the place in the tree, the root, and the signature over it."""
    proof = signed.proof
    if proof is None:
        fail("VECTOR", f"{name}: no batch form")
    root = path_root(leaf_of(signed, *exchange.names), proof.index, proof.size, proof.path)
    equal(f"{name} tree size", proof.size, shown["tree_size"])
    equal(f"{name} leaf index", proof.index, shown["leaf_index"])
    equal(f"{name} path", [each.hex() for each in proof.path], shown["path"])
    equal(f"{name} root", root.hex() if root else None, shown["root"])
    equal(f"{name} receipt's protected header", proof.protected.hex(), shown["protected"])
    equal(f"{name} root's external_aad", context(*exchange.names, proof.size).hex(), shown["external_aad"])
    equal(f"{name} root to be signed", (to_be_signed(signed, *exchange.names) or b"").hex(), shown["to_be_signed"])
    equal(f"{name} root's signature", proof.signature.hex(), shown["signature"])
    equal(f"{name} unprotected header", cbor2.dumps(item.value[1], canonical=True).hex(), shown["unprotected"])


def check_refusals(vector: Json, schemas: Path) -> list[str]:
    """Each case is refused with its code."""
    lines: list[str] = []
    for case in vector["cases"]:
        exchange = Exchange.of({**vector["directory"], **case.get("directory", {})}, schemas)
        run = Verification(exchange, case.get("recipient"), case.get("limit", 1 << 20))
        code = ""
        try:
            run.run(bytes.fromhex(case["value"]))
        except Failed as failed:
            code = failed.code
        equal(case["name"], code, case["code"])
        lines.append(f"ok    refused: {case['code']} {case['name']}")
    return lines


KINDS = {"parcel": check_message, "batch": check_batch, "delivery": check_message, "note": check_note, "refusals": check_refusals}


def main(arguments: list[str]) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="stranger.py", description="check a golden vector or a captured parcel")
    parser.add_argument("vector", nargs="?", type=Path)
    parser.add_argument("--parcel", type=Path)
    parser.add_argument("--directory", type=Path)
    parser.add_argument("--schemas", type=Path, default=REPOSITORY / "schemas")
    parser.add_argument("--recipient")
    given: Json = parser.parse_args(arguments)
    if (given.vector is None) == (given.parcel is None) or (given.parcel is None) != (given.directory is None):
        parser.error("give a vector, or --parcel with --directory")
    run: Verification | None = None
    try:
        if given.vector is not None:
            vector: Json = json.loads(given.vector.read_text(encoding="utf-8"))
            lines = KINDS[vector["kind"]](vector, given.schemas)
        else:
            value: bytes = given.parcel.read_bytes()
            directory: Json = json.loads(given.directory.read_text(encoding="utf-8"))
            run = Verification(Exchange.of(directory, given.schemas), given.recipient)
            run.run(value)
            lines = run.lines
    except Failed as failed:
        print("\n".join([*(run.lines if run else []), f"FAIL  {failed}"]))
        return 1
    print("\n".join(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
