"""The format is open: a reader in another language, with nothing but that language's standard library, reaches the same verdicts."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from tests.hostile.alterations import FLIPPED, KINDS, MISPLACED, Altered, altered
from tests.hostile.scene import Scene, scene
from tests.support.go_reader import SOURCE, Directory, shortly, verdicts
from tests.support.parcels import key
from tests.unit.exchange.bench import AGENCIES
from tests.vectors.make import FOLDER

VECTORS: dict[str, Any] = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.json"))}


def test_it_has_the_standard_library_alone() -> None:
    """No import has a dot in its first part, which is how Go tells what has to be fetched; and the module requires nothing."""
    imports = [
        name for file in SOURCE.rglob("*.go") for name in re.findall(r'^\t"([^"]+)"$', file.read_text(encoding="utf-8"), re.MULTILINE)
    ]
    assert "crypto/ed25519" in imports
    assert [name for name in imports if "." in name.partition("/")[0]] == []
    assert "require" not in (SOURCE / "go.mod").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", [name for name, vector in VECTORS.items() if vector["kind"] in ("parcel", "delivery", "batch")])
def test_every_golden_parcel_verifies(name: str, tmp_path: Path) -> None:
    """Both algorithms, both forms, records of outboxes and deliveries: leaf, sections and what was withheld are as the vector says."""
    vector = VECTORS[name]
    messages = vector.get("messages", [vector])
    values = [bytes.fromhex(message["value"]) for message in messages]
    told = verdicts(values, vector["directory"], tmp_path, recipient=vector.get("recipient", ""))
    for message, line in zip(messages, told, strict=True):
        assert line["verified"], line
        assert line["leaf"] == message["leaf"]
        assert line["sections"] == sorted(part["section"] for part in message["sections"] if part["carried"])
        assert line["batch"] == ("batch" in message["statement"])
        if "slip" in message:
            slip = message["slip"]["record"]
            assert line["withheld"] == sorted(part["section"] for part in slip["withheld"])
            assert line["bound"] == {part["section"]: part["purposes"] for part in slip.get("bound", ())}


def test_every_bad_golden_value_is_refused_for_the_same_reason(tmp_path: Path) -> None:
    """All cases of refusals.json, with the code that both other readers give."""
    vector = VECTORS["refusals"]
    for number, case in enumerate(vector["cases"]):
        folder = tmp_path / str(number)
        folder.mkdir()
        directory = {**vector["directory"], **case.get("directory", {})}
        (line,) = verdicts(
            [bytes.fromhex(case["value"])], directory, folder, recipient=case.get("recipient", ""), limit=case.get("limit", 1 << 20)
        )
        assert (line["verified"], line.get("code")) == (False, case["code"]), case["name"]


def test_a_flip_of_any_byte_is_noticed(tmp_path: Path) -> None:
    """One bit of every byte of a delivery in direct form and of one in batch form."""
    for name in ("delivery-withheld", "delivery-batch"):
        vector, folder = VECTORS[name], tmp_path / name
        folder.mkdir()
        value = bytes.fromhex(vector["value"])
        flipped = [value[:at] + bytes([value[at] ^ 1 << at % 8]) + value[at + 1 :] for at in range(len(value))]
        told = verdicts(flipped, vector["directory"], folder, recipient=vector["recipient"])
        assert [at for at, line in enumerate(told) if line["verified"]] == []


@pytest.mark.parametrize("name", [name for name, vector in VECTORS.items() if vector["kind"] in ("parcel", "delivery", "batch")])
def test_the_short_reader_reads_every_golden_parcel(name: str, tmp_path: Path) -> None:
    """Header and sections come out as they went in, both algorithms and both forms; where one bit is changed, it is refused, or what is
    said by it is the same: it does not look at what bears no content, which is for the strict reader."""
    vector = VECTORS[name]
    value, told, recipient = b"", None, vector.get("recipient", "")
    for message in vector.get("messages", [vector]):
        value, record = bytes.fromhex(message["value"]), message["statement"]["record"]
        told = shortly(value, vector["directory"], tmp_path, recipient)
        assert told is not None
        assert told["verified"]
        assert [told["header"][key] for key in ("subject", "revision", "tlp")] == [record[key] for key in ("subject", "revision", "tlp")]
        carried = {part["section"] for part in message["sections"] if part["carried"]}
        assert set(told["sections"]) == carried
        assert set(told["withheld"]) == {part["section"] for part in message["sections"]} - carried - {"audience"}
        if "core" in carried:
            core = next(part["record"] for part in message["sections"] if part["section"] == "core")
            assert told["sections"]["core"]["risk_category"] == core["risk_category"]
    assert shortly(value, vector["directory"], tmp_path, "" if recipient else "AE-CUSTOMS") is None
    for at in range(0, len(value), 29):
        changed = shortly(value[:at] + bytes([value[at] ^ 1 << at % 8]) + value[at + 1 :], vector["directory"], tmp_path, recipient)
        assert changed is None or changed == told, at


LEFT = {
    "one byte over the limit", "the array's length in a byte of its own", "commitments out of order",
    "a statement with a receipt and a signature of its own", "a byte behind a receipt", "a proof that is not canonical",
    "a byte behind a proof",
}  # fmt: skip
"""What the short reader leaves to the strict one: size, odd encodings, and bytes that nothing is read from."""


def test_the_short_reader_refuses_the_bad_golden_values(tmp_path: Path) -> None:
    """All cases of refusals.json but those few, none of which says anything that was not signed."""
    vector = VECTORS["refusals"]
    taken = {
        case["name"]
        for case in vector["cases"]
        if shortly(bytes.fromhex(case["value"]), {**vector["directory"], **case.get("directory", {})}, tmp_path, case.get("recipient", ""))
    }
    assert len(vector["cases"]) > 70
    assert taken == LEFT


def directory_of(made: Scene) -> Directory:
    """The scene's keys as the reader wants them."""
    keys = {agency: [key(agency).spki.hex()] for agency in AGENCIES} | {"MY-CUSTOMS": [made.p256.spki.hex(), key("MY-CUSTOMS").spki.hex()]}
    return {
        "exchange_id": made.rules.exchange_id,
        "environment": made.rules.environment,
        "keys": keys,
        "relay": [key("relay").spki.hex()],
    }


def test_what_the_wire_can_do_is_refused(tmp_path: Path) -> None:
    """Every kind of alteration that admission is tested with, some two thousand: nothing altered verifies, and the originals do."""
    made = scene()
    directory, places = directory_of(made), defaultdict[str, list[Altered]](list)
    for each in altered(made, step=260, thin=26):
        if each.kind == MISPLACED and not each.original.delivered:
            continue  # a record is its author's wherever it is found: whose outbox it lay in is the relay's to say
        places[(each.reader or each.original.reader) if each.original.delivered else ""].append(each)
    originals = {reader: [each.value for each in made.inbox if each.reader == reader] for reader in AGENCIES}
    originals[""] = [each.value for each in made.outbox]
    seen: set[str] = set()
    for reader, alterations in places.items():
        folder = tmp_path / (reader or "outbox")
        folder.mkdir()
        good = originals[reader]
        told = verdicts([*good, *(each.value for each in alterations)], directory, folder, recipient=reader)
        assert [line for line in told[: len(good)] if not line["verified"]] == []
        wrong = [
            (each.kind, each.original.form, line) for each, line in zip(alterations, told[len(good) :], strict=True) if line["verified"]
        ]
        assert wrong == []
        seen |= {each.kind for each in alterations}
    assert seen == {FLIPPED, MISPLACED, *KINDS}


def test_the_size_that_is_promised() -> None:
    """As the auditor's page says: how long the verifying part of the short reader is, and its encodings; and of the strict one."""
    page = (SOURCE.parent / "auditor.md").read_text(encoding="utf-8")
    lines = {f"{file.relative_to(SOURCE)}": len(file.read_text(encoding="utf-8").splitlines()) for file in SOURCE.rglob("*.go")}
    told = {name: int(count) for name, count in re.findall(r"`((?:short/)?\w+\.go)`(?:\]\(\S+\))? \((\d+) lines\)", page)}
    assert told == lines
    assert lines["short/verify.go"] <= 125
    assert sum(lines.values()) <= 1000


def test_it_is_written_as_go_is() -> None:
    """The formatter of Go would change nothing."""
    gofmt = shutil.which("gofmt")
    if gofmt is None:
        pytest.skip("the Go toolchain is not installed")
    ran = subprocess.run([gofmt, "-l", str(SOURCE)], capture_output=True, text=True, timeout=60, check=True)
    assert ran.stdout == ""
