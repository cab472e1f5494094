"""Numbers and codes are compared without the signs that people put between them."""

from __future__ import annotations

import pytest

from broker.register import keys
from broker.register.rows import Key


@pytest.mark.parametrize(
    ("written", "form"),
    [
        ("csqu 305438-3", "CSQU3054383"),
        (" CSQU3054383\t", "CSQU3054383"),
        ("ＣＳＱＵ3054383", "CSQU3054383"),
        ("E/2026-08 15", "E20260815"),
    ],
)
def test_comparable(written: str, form: str) -> None:
    """Spaces, hyphens, slashes, case and full width do not matter."""
    assert keys.comparable(written) == form


def test_letters_outside_ascii_are_kept() -> None:
    """A Cyrillic letter in a number is not lost, so that the number is not taken for another."""
    assert keys.comparable("СSQU 305438-3") == "СSQU3054383" != "CSQU3054383"


def test_control_codes_keep_their_dots() -> None:
    """3A001.a.1 and 3A001.a1 are two entries."""
    assert keys.control_code(" 3A001.a.1") == "3A001.A.1" != keys.control_code("3A001.a1")


@pytest.mark.parametrize(
    ("conveyance", "values"),
    [
        ({"mode": "SEA", "imo": "9074729", "voyage": "017E", "name": "Ever Forward"}, {"9074729", "9074729/017E", "EVERFORWARD"}),
        ({"mode": "AIR", "flight": "SQ 12", "flight_date": __import__("datetime").date(2026, 10, 1)}, {"SQ12", "SQ12/2026-10-01"}),
        ({"mode": "RAIL", "wagon": "31 81 866 5048-3"}, {"318186650483"}),
        ({"mode": "ROAD", "plate": "B-XY 123"}, {"BXY123"}),
    ],
)
def test_conveyances(conveyance: dict[str, object], values: set[str]) -> None:
    """With and without voyage or day; and what a person asks for takes the same form."""
    assert {key.value for key in keys.conveyance_keys(conveyance)} == values
    for value in values:
        assert keys.conveyance_value(value.lower() if "-" not in value else value) == value


def test_units_as_declared_and_as_found() -> None:
    """A container that bore another number than declared is found by both."""
    found = list(keys.equipment_keys([{"id": "CSQU3054383", "observed_raw": "CSQU 305438 4"}]))
    assert found == [Key("CONTAINER", "CSQU3054383", ""), Key("CONTAINER", "CSQU3054384", "observed")]
