"""The JSON form: what officers write, what they see, and what is refused with a path."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from broker.errors import Refusal, UsageError
from broker.schema.catalogue import Section
from broker.schema.json_form import from_json, read_json, to_json
from tests.unit.schema.samples import EVERYTHING, notice

SECTION = Section.from_text("notice", "extra", 1, json.dumps(EVERYTHING))

WRITTEN: dict[str, object] = {
    "flag": True,
    "count": -3,
    "mass": 1 << 40,
    "text": "Überführung\nshed 4",
    "blob": "00ff",
    "id": "00010203-0405-0607-0809-0a0b0c0d0e0f",
    "digest": "00" * 32,
    "other_id": "00010203-0405-0607-0809-0a0b0c0d0e0f",
    "value": "-120000.50",
    "at": "2026-11-24T03:00:00.123Z",
    "day": "2026-11-24",
    "tlp": "AMBER+STRICT",
    "remark": None,
    "places": ["SGSIN", "AEJEA"],
    "route": {"mode": 1, "until": None},
    "items": [{"hs": "840120", "tags": []}, {"hs": "281111", "tags": ["GREEN", "CLEAR"]}],
}


def test_both_ways() -> None:
    """A record is written as expected, in the schema's order, and the written form reads as the record."""
    assert to_json(SECTION, notice()) == WRITTEN
    assert list(to_json(SECTION, notice())) == list(WRITTEN)
    assert from_json(SECTION, WRITTEN) == notice()


def test_milliseconds_instead_of_datetimes() -> None:
    """With logical=False times are integers, and they are written as the same text."""
    record = from_json(SECTION, WRITTEN, logical=False)
    assert not isinstance(record, Refusal)
    assert record["at"] == 1_795_489_200_123
    assert to_json(SECTION, record) == WRITTEN


def test_what_may_be_left_out() -> None:
    """Fields that may be absent become null, fields with a default take it; the result can be encoded."""
    short = {key: value for key, value in WRITTEN.items() if key not in {"remark", "other_id", "places"}}
    record = from_json(SECTION, short | {"route": {"mode": 1}})
    assert record == notice() | {"other_id": None, "places": []}
    SECTION.codec.encode(record)


@pytest.mark.parametrize(
    ("name", "written", "value"),
    [
        ("at", "2026-11-24T03:00:00Z", datetime(2026, 11, 24, 3, tzinfo=UTC)),
        ("at", "2026-11-24t11:00:00.100000+08:00", datetime(2026, 11, 24, 3, 0, 0, 100_000, UTC)),
        ("day", "2028-02-29", date(2028, 2, 29)),
        ("value", 17, Decimal(17)),
        ("value", Decimal("0.10"), Decimal("0.1")),
        ("value", "-0.01", Decimal("-0.01")),
        ("id", "000102030405060708090A0B0C0D0E0F", bytes(range(16))),
        ("tlp", "AMBER_STRICT", "AMBER_STRICT"),
        ("tlp", "AMBER-STRICT", "AMBER_STRICT"),
    ],
)
def test_other_accepted_spellings(name: str, written: object, value: object) -> None:
    """Offsets, whole numbers, kept fractions, plain hexadecimal and several spellings of a code are read."""
    record = from_json(SECTION, WRITTEN | {name: written})
    assert not isinstance(record, Refusal), record
    assert record[name] == value


REFUSED: list[tuple[str, object, str]] = [
    ("value", 0.1, "value"),
    ("value", "1,50", "value"),
    ("value", "1e3", "value"),
    ("value", "0.005", "value"),
    ("value", "١٢", "value"),
    ("value", True, "value"),
    ("value", Decimal("1E+400000"), "value"),
    ("count", 1.0, "count"),
    ("count", Decimal("1.5"), "count"),
    ("count", "3", "count"),
    ("count", 1 << 31, "count"),
    ("flag", "true", "flag"),
    ("text", 7, "text"),
    ("text", "bell\x07", "text"),
    ("at", 1_795_489_200_123, "at"),
    ("at", "2026-11-24T03:00:00", "at"),
    ("at", "2026-11-24", "at"),
    ("at", "2026-W48-2T03:00:00Z", "at"),
    ("at", "2026-11-31T03:00:00Z", "at"),
    ("at", "2026-11-24T03:00:60Z", "at"),
    ("at", "0001-01-01T00:00:00+14:00", "at"),
    ("at", "1970-01-01T00:00:00Z", "at"),
    ("at", "2026-11-24T03:00:00.0001Z", "at"),
    ("at", "2026-11-24T03:00:00.000000001Z", "at"),
    ("day", "24.11.2026", "day"),
    ("day", "2027-02-29", "day"),
    ("day", "20261124", "day"),
    ("id", "0001", "id"),
    ("id", "urn:uuid:00010203-0405-0607-0809-0a0b0c0d0e0f", "id"),
    ("digest", "zz" * 32, "digest"),
    ("blob", "abc", "blob"),
    ("tlp", "amber", "tlp"),
    ("tlp", 3, "tlp"),
    ("remark", 3, "remark"),
    ("places", "SGSIN", "places"),
    ("route", None, "route"),
    ("route", {}, "route.mode"),
    ("route", {"mode": 1, "modus": 2}, "route.modus"),
    ("items", [{"hs": "1"}], "items[0].tags"),
    ("items", [{"hs": "1", "tags": []}, {"hs": "1", "tags": ["GREEN", "RED"]}], "items[1].tags[1]"),
]


@pytest.mark.parametrize(
    ("name", "written", "path"),
    REFUSED,
)
def test_wrong_values_are_refused_with_their_path(name: str, written: object, path: str) -> None:
    """What is not the field's form is a BAD_FIELD refusal at `<section>.<field>`; nothing is guessed."""
    refused = from_json(SECTION, WRITTEN | {name: written})
    assert isinstance(refused, Refusal)
    assert (refused.code, refused.path) == ("BAD_FIELD", f"extra.{path}")
    assert refused.reason.isprintable()


def test_unknown_and_missing_fields_and_no_object() -> None:
    """A misspelt key is named together with the keys there are; a missing key and a value that is no object are refused."""
    misspelt = from_json(SECTION, WRITTEN | {"remarks": "x"})
    assert isinstance(misspelt, Refusal)
    assert misspelt.path == "extra.remarks"
    assert "remark" in misspelt.reason
    missing = from_json(SECTION, {key: value for key, value in WRITTEN.items() if key != "count"})
    assert missing == Refusal("BAD_FIELD", "the field is missing", "extra.count")
    values: tuple[object, ...] = (None, ["x"], "x", 1)
    for value in values:
        refused = from_json(SECTION, value)
        assert isinstance(refused, Refusal)
        assert refused.path == "extra"


def test_fractions_keep_their_digits() -> None:
    """read_json keeps 0.10 as a decimal, so that a file may hold plain JSON numbers."""
    record = from_json(SECTION, read_json(json.dumps(WRITTEN).replace('"-120000.50"', "0.10")))
    assert not isinstance(record, Refusal)
    assert str(record["value"]) == "0.10"


@pytest.mark.parametrize("text", ["", "{", '{"a": 1, "a": 2}', '{"a": Infinity}', "[" * 200_000, "1" * 10_000])
def test_bad_json_is_the_callers_mistake(text: str) -> None:
    """Broken JSON, doubled keys, constants that are no JSON, and absurd nesting or numbers raise UsageError."""
    with pytest.raises(UsageError):
        read_json(text)
