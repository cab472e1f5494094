"""A delivery taken out of an inbox holds by itself: a reader that shares no code with the product verifies it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.enrolment import SeparateHomes
from tests.e2e.stranger import altered, read_as_stranger, trusted_keys
from tests.e2e.three_homes import Exchanged

pytestmark = pytest.mark.kafka


@dataclass(frozen=True)
class Captured:
    """One delivery as a file, whose it is, and the file of keys."""

    parcel: Path
    keys: Path
    recipient: str


@pytest.fixture(scope="module")
def captured(homes: SeparateHomes, exchanged: Exchanged, tmp_path_factory: pytest.TempPathFactory) -> Captured:
    """An alert made from a record, captured at a licensing authority that gets two of its sections."""
    assert exchanged.account.delivered["GB-LICENSING"]
    folder = tmp_path_factory.mktemp("stranger")
    reader = ("subscribe", "--as", "GB-LICENSING", "--home", homes.home("GB-LICENSING"), "--json", "--from", "beginning", "--max", "1")
    delivery = homes.program.run(*reader, "--timeout", "10", "--capture", folder / "captured").must().line
    assert delivery["withheld"]
    keys = trusted_keys(homes.program, homes.exchange.home, folder / "keys.json")
    return Captured(folder / "captured" / f"{delivery['message_id']}.parcel", keys, "GB-LICENSING")


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
