"""A delivery taken out of an inbox holds by itself: a reader that shares no code with the product verifies it."""

from __future__ import annotations

import json
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.program import Program, local_exchange, write_jsonl
from tests.e2e.stranger import altered, read_as_stranger, trusted_keys
from tests.e2e.three_homes import critical_alerts

pytestmark = pytest.mark.kafka


@dataclass(frozen=True)
class Captured:
    """One delivery as a file, whose it is, and the file of keys."""

    parcel: Path
    keys: Path
    recipient: str


@pytest.fixture(scope="module")
def captured(records: Path, tmp_path_factory: pytest.TempPathFactory) -> Generator[Captured]:
    """An alert made from a record, published, and captured at a licensing authority that gets two of its sections."""
    folder = tmp_path_factory.mktemp("stranger")
    program = Program(folder)
    agencies = folder / "agencies.json"
    agencies.write_text(json.dumps([
        {"id": "KR-CUSTOMS", "kind": "customs"},
        {"id": "SG-CUSTOMS", "kind": "customs", "communities": ["STCE-FORUM"]},
        {"id": "GB-LICENSING", "kind": "licensing", "communities": ["STCE-FORUM"]},
    ]))  # fmt: skip
    with local_exchange(program, folder / "home", "--agencies", agencies) as exchange:
        alert = next(each for each in critical_alerts(records) if each.message["header"]["tlp"] == "AMBER")
        file = write_jsonl(folder / "alert.jsonl", [alert.message])
        program.run("publish", file, "--as", "KR-CUSTOMS", "--home", exchange.home, "--json").must()
        reader = ("subscribe", "--as", "GB-LICENSING", "--home", exchange.home, "--json", "--max", "1", "--timeout", "10")
        delivery = program.run(*reader, "--capture", folder / "captured").must().line
        assert delivery["withheld"]
        keys = trusted_keys(program, exchange.home, folder / "keys.json")
        yield Captured(folder / "captured" / f"{delivery['message_id']}.parcel", keys, "GB-LICENSING")


def test_every_check_of_a_stranger_holds(captured: Captured) -> None:
    """Signature, leaf, slip, withheld sections, commitments and schemas: nothing but the wire format was needed."""
    reading = read_as_stranger(captured.parcel, captured.keys, captured.recipient)
    assert reading.code == 0, reading.lines
    assert all(line.startswith("ok ") for line in reading.lines)
    said = "\n".join(reading.lines)
    for check in ("statement signature", "slip signature", "slip sections", "commitment: core", "section: goods decodes"):
        assert check in said


def test_an_altered_copy_fails(captured: Captured, tmp_path: Path) -> None:
    """One bit changed anywhere, at a dozen places from the first byte to the last: the stranger refuses each copy."""
    value = captured.parcel.read_bytes()
    for at in {*range(0, len(value), max(1, len(value) // 12)), len(value) - 1}:
        copy = tmp_path / f"{at}.parcel"
        copy.write_bytes(altered(value, at))
        reading = read_as_stranger(copy, captured.keys, captured.recipient)
        assert reading.code == 1, (at, reading.lines)
        assert reading.lines[-1].startswith("FAIL")


def test_a_delivery_for_somebody_else_fails(captured: Captured) -> None:
    """The same bytes are not a delivery to another agency."""
    reading = read_as_stranger(captured.parcel, captured.keys, "SG-CUSTOMS")
    assert reading.code == 1
    assert "NOT_FOR_ME" in reading.lines[-1]
