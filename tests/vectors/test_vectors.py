"""The golden vectors: made as the files say, read by a second implementation, and read by our own."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from broker.envelope import cose
from broker.envelope.header import header_of, header_record
from broker.envelope.note import note_of, read_note
from broker.envelope.parcel import SLIP, Parcel, parcel_bytes, read_parcel
from broker.envelope.receipt import receipt_of, receipt_record, version_of
from broker.envelope.section import body_of, check_sections
from broker.envelope.slip import slip_of, slip_record
from broker.envelope.slip import version_of as slip_version
from broker.errors import REFUSALS, Refusal
from broker.exchange.verify import Roots, is_signed
from broker.storage.schemas import load_catalogue
from broker.trust.keys import VerifyKey
from tests.vectors import content, make

LIMIT = 1 << 20
NAMES = sorted(path.stem for path in make.FOLDER.glob("*.json"))
VECTORS: dict[str, Any] = {name: json.loads((make.FOLDER / f"{name}.json").read_text(encoding="utf-8")) for name in NAMES}
CASES: list[dict[str, Any]] = VECTORS["refusals"]["cases"]
MESSAGES: dict[str, Any] = {name: vector for name, vector in VECTORS.items() if vector["kind"] in {"parcel", "delivery"}} | {
    f"{name} {number}": {**message, "kind": "parcel", "directory": vector["directory"]}
    for name, vector in VECTORS.items() if vector["kind"] == "batch"
    for number, message in enumerate(vector["messages"])
}  # fmt: skip


def stranger(*arguments: str | Path) -> tuple[int, str]:
    """Run the second reader; exit code and what it printed."""
    command = [sys.executable, str(make.FOLDER / "stranger.py"), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("name", sorted({*NAMES, *make.build()}))
def test_files_are_what_make_builds(name: str) -> None:
    """Each file is exactly what the generator makes of its fixed inputs: nothing drifts unseen."""
    assert (make.FOLDER / f"{name}.json").read_text(encoding="utf-8") == make.text(make.build()[name])


@pytest.mark.parametrize("name", NAMES)
def test_a_stranger_reads_every_vector(name: str) -> None:
    """The second implementation reaches every value in the file, and refuses every bad case with its code."""
    code, printed = stranger(make.FOLDER / f"{name}.json")
    assert code == 0, printed
    lines = printed.splitlines()
    assert lines
    assert all(line.startswith("ok ") for line in lines)


def test_the_stranger_is_one() -> None:
    """The second reader imports nothing of the product: only general libraries and the standard one."""
    for name in ("stranger.py", "wire.py"):
        tree = ast.parse((make.FOLDER / name).read_text(encoding="utf-8"))
        imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        imported |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        tops = {module.partition(".")[0] for module in imported}
        assert tops <= {*sys.stdlib_module_names, "cbor2", "cryptography", "fastavro", "wire"}, name


@pytest.mark.parametrize(
    ("name", "path"),
    [
        *[("delivery-withheld", path) for path in (
        ("leaf",), ("value",), ("statement", "protected"), ("statement", "payload"), ("statement", "to_be_signed"),
        ("statement", "signature"), ("statement", "key", "kid"), ("statement", "record", "revision"), ("sections", 0, "digest"),
        ("sections", 1, "record", "risk_score"),
        ("sections", 2, "schema_id"), ("sections", 3, "carried"), ("slip", "signature"), ("slip", "record", "counter"), ("recipient",),
        )],
        *[("delivery-batch", (part, "batch", name)) for part in ("statement", "slip") for name in (
            "tree_size", "leaf_index", "root", "protected", "external_aad", "to_be_signed", "signature", "unprotected",
        )],
        *[("parcel-batch", ("tree", name)) for name in ("tree_size", "root", "protected", "external_aad", "to_be_signed", "signature")],
        ("delivery-batch", ("slip", "batch", "path", 2)), ("delivery-batch", ("slip", "signature")),
        ("parcel-batch", ("tree", "leaves", 4)), ("parcel-batch", ("messages", 3, "value")), ("parcel-batch", ("messages", 2, "leaf")),
        ("receipt-batch", ("statement", "batch", "root")), ("receipt-batch", ("value",)),
        ("delivery-bound", ("slip", "record", "bound", 1, "purposes", 0)), ("delivery-bound", ("slip", "content_type")),
        ("receipt-v2-accepted", ("statement", "record", "recipients", 0, "rule")),
        ("receipt-v2-accepted", ("statement", "record", "recipients", 2, "withheld_by", 1)),
        ("receipt-v2-accepted", ("statement", "schema")), ("receipt-v2-refused", ("statement", "content_type")),
    ],
    ids=lambda part: part if isinstance(part, str) else ".".join(map(str, part)),
)  # fmt: skip
def test_the_stranger_notices_an_altered_vector(name: str, path: tuple[str | int, ...], tmp_path: Path) -> None:
    """Each value in a vector is really compared: altered, it fails the check."""
    vector = json.loads(json.dumps(VECTORS[name]))
    parent = vector
    for step in path[:-1]:
        parent = parent[step]
    before = parent[path[-1]]
    if isinstance(before, str):
        parent[path[-1]] = before[:-1] + ("0" if before[-1:] != "0" else "1")
    else:
        parent[path[-1]] = not before if isinstance(before, bool) else before + 1
    altered = tmp_path / "altered.json"
    altered.write_text(json.dumps(vector), encoding="utf-8")
    code, printed = stranger(altered)
    assert code == 1
    assert "FAIL" in printed


def test_the_stranger_verifies_captured_parcels(tmp_path: Path) -> None:
    """A raw record value and a small directory file are enough: one line per check, exit code 0 or 1, and 2 for bad usage."""
    vector = VECTORS["delivery-withheld"]
    value = bytes.fromhex(vector["value"])
    captured, directory, altered = tmp_path / "captured", tmp_path / "directory.json", tmp_path / "altered"
    captured.write_bytes(value)
    altered.write_bytes(value.replace(b"2B001", b"2B002"))
    directory.write_text(json.dumps(vector["directory"]), encoding="utf-8")
    common = ("--directory", directory, "--schemas", content.REPOSITORY / "schemas")

    code, printed = stranger("--parcel", captured, *common, "--recipient", "AE-CUSTOMS")
    assert code == 0, printed
    checks = [line[6:].partition(":")[0] for line in printed.splitlines()]
    assert checks == [
        "magic", "canonical CBOR", "key id", "statement signature", "header", "slip signature", "slip leaf", "slip sections",
        "commitment", "commitment", "section", "section",
    ]  # fmt: skip
    code, printed = stranger("--parcel", captured, *common, "--recipient", "MY-CUSTOMS")
    assert (code, printed.splitlines()[-1][:17]) == (1, "FAIL  NOT_FOR_ME:")
    code, printed = stranger("--parcel", altered, *common)
    assert (code, printed.splitlines()[-1]) == (1, "FAIL  COMMITMENT_MISMATCH: goods")
    assert stranger("--parcel", captured)[0] == 2


@pytest.mark.parametrize("name", MESSAGES)
def test_we_read_every_message(name: str) -> None:
    """Our reader finds the parts of each parcel and delivery, the signature fits, and assembling gives the same bytes."""
    vector = MESSAGES[name]
    value = bytes.fromhex(vector["value"])
    parcel = read_parcel(value, LIMIT)
    assert isinstance(parcel, Parcel)
    assert parcel_bytes(parcel.statement, parcel.sections, parcel.extras) == value
    payload = verified(parcel.statement, vector["statement"], vector["directory"])
    record = content.HEADER.decode(payload)
    header = header_of(record)
    assert header_record(header) == record
    assert check_sections(header.commitments, parcel.sections, complete=vector["kind"] == "parcel") is None
    shown = {part["section"]: part["body"] for part in vector["sections"] if part["carried"]}
    assert {section: body_of(carried).hex() for section, carried in parcel.sections.items()} == shown
    if "slip" in vector:
        slip = cose.read_sign1_bytes(parcel.extras[SLIP])
        assert isinstance(slip, cose.Sign1)
        schema = {1: content.SLIP, 2: content.BINDING_SLIP}[slip_version(slip.content_type) or 0]
        made = schema.decode(verified(slip, vector["slip"], vector["directory"]))
        assert slip_record(slip_of(made)) == made
        assert slip_of(made).leaf.hex() == vector["leaf"]


@pytest.mark.parametrize("name", [name for name in NAMES if VECTORS[name]["kind"] == "note"])
def test_we_read_every_note(name: str) -> None:
    """Our reader finds the signed receipt of each note in the version that its content type names, and writing it in that version gives
    the same bytes."""
    vector = VECTORS[name]
    value = bytes.fromhex(vector["value"])
    note = read_note(value, LIMIT)
    assert isinstance(note, cose.Sign1)
    assert note_of(note) == value
    version = version_of(note.content_type)
    assert version is not None
    schema = {1: content.RECEIPT_V1, 2: content.RECEIPT}[version]
    payload = verified(note, vector["statement"], vector["directory"])
    receipt = receipt_of(schema.decode(payload))
    assert schema.encode(receipt_record(receipt, version)) == payload


@pytest.mark.parametrize(("name", "version"), [("receipt-accepted", 1), ("receipt-batch", 1), ("receipt-v2-accepted", 2)])
def test_the_relay_would_write_the_vectors(name: str, version: int) -> None:
    """The compiled writer of the shipped schema makes the payload of the vector, and the shipped reader reads the receipt back; rules are
    in version 2 alone."""
    payload = bytes.fromhex(VECTORS[name]["statement"]["payload"])
    section = load_catalogue().named("receipt", "receipt", version)
    assert section is not None
    record = section.read(payload, logical=False)
    assert not isinstance(record, Refusal)
    receipt = receipt_of(record)
    assert section.codec.encode(receipt_record(receipt, version)) == payload
    assert [each.rule for each in receipt.recipients] == [each.get("rule") for each in VECTORS[name]["statement"]["record"]["recipients"]]


def verified(signed: cose.Sign1, shown: dict[str, Any], directory: dict[str, Any]) -> bytes:
    """The payload of a COSE_Sign1 whose signature fits the key that the vector shows."""
    assert (signed.alg, signed.kid.hex(), signed.content_type) == (shown["key"]["alg"], shown["key"]["kid"], shown["content_type"])
    assert fits(signed, directory, bytes.fromhex(shown["key"]["spki"]))
    return signed.payload


def fits(signed: cose.Sign1, directory: dict[str, Any], spki: bytes, environment: str = "") -> bool:
    """Whether the statement is signed, alone or in a batch, in the exchange of the directory."""
    key = VerifyKey.from_spki(spki)
    assert isinstance(key, VerifyKey)
    names = {"exchange_id": directory["exchange_id"], "environment": environment or directory["environment"]}
    return is_signed(signed, cose.to_be_signed(signed.protected, cose.context(**names), signed.payload), key, **names, roots=Roots())


@pytest.mark.parametrize("name", [name for name in NAMES if VECTORS[name]["kind"] == "batch"])
def test_one_signature_serves_a_batch(name: str) -> None:
    """The messages of a batch follow each other in their stream, differ, and have one root, which is checked once for all."""
    vector = VECTORS[name]
    parcels = [read_parcel(bytes.fromhex(message["value"]), LIMIT) for message in vector["messages"]]
    statements = [parcel.statement for parcel in parcels if isinstance(parcel, Parcel)]
    assert len({message["value"] for message in vector["messages"]}) == len(statements) == vector["tree"]["tree_size"]
    key = VerifyKey.from_spki(bytes.fromhex(vector["messages"][0]["statement"]["key"]["spki"]))
    assert isinstance(key, VerifyKey)
    names = {"exchange_id": vector["directory"]["exchange_id"], "environment": vector["directory"]["environment"]}
    roots = Roots()
    for statement in statements:
        signed = cose.to_be_signed(statement.protected, cose.context(**names), statement.payload)
        assert is_signed(statement, signed, key, **names, roots=roots)
    assert len(roots) == 1
    records = [message["statement"]["record"] for message in vector["messages"]]
    assert [record["seq"] for record in records] == list(range(1, len(records) + 1))
    assert [record["prev"] for record in records[1:]] == [message["leaf"] for message in vector["messages"][:-1]]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_we_refuse_every_bad_case(case: dict[str, Any]) -> None:
    """Framing and commitments are refused with the code of the case; signatures do not verify. (Slips: see the exchange's tests.)"""
    assert REFUSALS[case["code"]][0] == case["step"]
    parcel = read_parcel(bytes.fromhex(case["value"]), case.get("limit", LIMIT))
    if case["step"] == 1:
        assert isinstance(parcel, Refusal)
        assert parcel.code == case["code"]
        return
    assert isinstance(parcel, Parcel)
    if "recipient" in case:
        return
    directory = VECTORS["refusals"]["directory"]
    keys = {key.kid: key.spki for key in (content.CUSTOMS, content.LICENSING)}
    spki = keys[parcel.statement.kid]
    assert fits(parcel.statement, directory, spki) == (case["step"] > 3)
    if case["step"] == 3:
        assert fits(parcel.statement, directory, spki, "exercise") == (case["code"] == "WRONG_ENVIRONMENT")
        return
    header = header_of(content.HEADER.decode(parcel.statement.payload))
    refusal = check_sections(header.commitments, parcel.sections, complete=True)
    assert refusal is not None
    assert refusal.code == case["code"]


def test_every_refusal_of_the_wire_format_has_a_case() -> None:
    """Steps 1, 3 and 7 are the wire format's own: no code of theirs is without an example."""
    wanted = {code for code, (step, _) in REFUSALS.items() if step in {1, 3, 7}}
    assert wanted <= {case["code"] for case in CASES}
