"""The codec: what it writes is what fastavro would, and what fastavro would write wrongly is refused."""

from __future__ import annotations

import copy
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from broker.schema.avsc import read_schema
from broker.schema.codec import Codec
from broker.schema.encoder import FieldError
from broker.schema.limits import BODY_LIMIT, ITEM_LIMIT
from tests.unit.schema.samples import EVERYTHING, field, notice, one, record

CODEC = Codec(read_schema(EVERYTHING))


def test_a_record_survives() -> None:
    """Decoding what was encoded gives the record back, with times as aware datetimes."""
    assert CODEC.decode(CODEC.encode(notice())) == notice()


def test_plain_decoding_gives_milliseconds() -> None:
    """With logical=False times are Unix milliseconds, absent ones stay absent, and the same bytes come out of either."""
    body = CODEC.encode(notice())
    plain = CODEC.decode(body, logical=False)
    assert plain["at"] == 1_795_489_200_123
    assert plain["day"] == date(2026, 11, 24)
    assert CODEC.encode(plain) == body


def test_zones_are_one_instant() -> None:
    """A time in another zone is written as the same instant."""
    local = notice() | {"at": datetime(2026, 11, 24, 11, 0, 0, 123_000, timezone(timedelta(hours=8)))}
    assert CODEC.encode(local) == CODEC.encode(notice())


def test_decimals_keep_their_value_not_their_zeros() -> None:
    """1.5, 1.50 and 15E-1 are one number and one encoding; zero has no sign."""
    encoded = {CODEC.encode(notice() | {"value": Decimal(text)}) for text in ("1.5", "1.50", "15E-1")}
    assert len(encoded) == 1
    assert CODEC.encode(notice() | {"value": Decimal("-0.00")}) == CODEC.encode(notice() | {"value": Decimal("0E+9")})


WRONG: list[tuple[str, object, str]] = [
    ("flag", 1, "flag"),
    ("count", True, "count"),
    ("count", 1.0, "count"),
    ("count", 1 << 31, "count"),
    ("count", -(1 << 31) - 1, "count"),
    ("count", 10**5_000, "count"),
    ("mass", 1 << 63, "mass"),
    ("mass", "7", "mass"),
    ("text", b"bytes", "text"),
    ("text", None, "text"),
    ("text", "bell\x07", "text"),
    ("text", "half \ud800", "text"),
    ("text", "fake \u202egnp.exe", "text"),
    ("blob", "text", "blob"),
    ("blob", bytearray(b"x"), "blob"),
    ("id", bytes(15), "id"),
    ("id", "00" * 16, "id"),
    ("other_id", bytes(17), "other_id"),
    ("value", 1.5, "value"),
    ("value", 1, "value"),
    ("value", Decimal("1.005"), "value"),
    ("value", Decimal("NaN"), "value"),
    ("value", Decimal("Infinity"), "value"),
    ("value", Decimal(10) ** 16, "value"),
    ("value", Decimal("1E+999999"), "value"),
    ("at", datetime(2026, 11, 24, 3, 0, 0), "at"),
    ("at", datetime(2026, 11, 24, 3, 0, 0, 1, UTC), "at"),
    ("at", datetime(1989, 12, 31, 23, 59, 59, tzinfo=UTC), "at"),
    ("at", datetime(2101, 1, 1, tzinfo=UTC), "at"),
    ("at", date(2026, 11, 24), "at"),
    ("at", -1, "at"),
    ("at", True, "at"),
    ("day", datetime(2026, 11, 24, tzinfo=UTC), "day"),
    ("day", 20_000, "day"),
    ("day", date(1899, 12, 31), "day"),
    ("day", date(2101, 1, 1), "day"),
    ("tlp", "PURPLE", "tlp"),
    ("tlp", 0, "tlp"),
    ("tlp", ["CLEAR"], "tlp"),
    ("places", "SGSIN", "places"),
    ("places", {"SGSIN"}, "places"),
    ("places", ["SGSIN", 7], "places[1]"),
    ("places", [""] * (ITEM_LIMIT + 1), "places"),
    ("route", None, "route"),
    ("route", ["x"], "route"),
    ("route", {"mode": 1}, "route.until"),
    ("route", {"mode": 1, "until": None, "via": "x"}, "route.via"),
    ("items", [{"hs": "1", "tags": []}, {"hs": "1", "tags": ["CLEAR", "CLAER"]}], "items[1].tags[1]"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value", "path"), WRONG, ids=[f"{at}-{name}" for at, (name, _, _) in enumerate(WRONG)])
def test_wrong_values_are_named(name: str, value: object, path: str) -> None:
    """A value that does not fit raises FieldError with its path, and nothing is written."""
    with pytest.raises(FieldError) as caught:
        CODEC.encode(notice() | {name: value})
    assert caught.value.path == path
    assert caught.value.reason
    with pytest.raises(FieldError):
        CODEC.check(notice() | {name: value})


@pytest.mark.parametrize("name", notice())
def test_missing_fields_are_named(name: str) -> None:
    """Every field is demanded, whether it has a default or may be absent: the record says what it says."""
    incomplete = notice()
    del incomplete[name]
    with pytest.raises(FieldError, match="missing") as caught:
        CODEC.encode(incomplete)
    assert caught.value.path == name


def test_unknown_fields_are_named() -> None:
    """A misspelt field is refused instead of being dropped, even if its name is hostile."""
    for name in ("shipper", "a\x1b[2J"):
        with pytest.raises(FieldError, match="no such field") as caught:
            CODEC.encode(notice() | {name: 1})
        assert caught.value.path.isprintable()


def test_tuples_and_other_mappings_are_accepted() -> None:
    """Typed callers hold tuples and read-only mappings; they encode like lists and dicts."""
    frozen: dict[str, Any] = copy.deepcopy(notice())
    frozen["places"] = tuple(frozen["places"])
    assert CODEC.encode(frozen) == CODEC.encode(notice())


def test_large_records_are_refused_by_bytes_and_by_values() -> None:
    """Neither a body above the limit nor more values in arrays than a reader accepts can be written."""
    text = Codec(read_schema(one("string")))
    assert len(text.encode({"a": "x" * (BODY_LIMIT - 3)})) == BODY_LIMIT
    with pytest.raises(FieldError, match="bytes once encoded"):
        text.encode({"a": "x" * (BODY_LIMIT - 2)})
    cells = {"type": "array", "items": record("Cell", *(field(f"f{number}", "int") for number in range(24)))}
    table = Codec(read_schema(record("Table", field("left", cells), field("right", cells | {"items": "Cell"}))))
    cell = {f"f{number}": 0 for number in range(24)}
    table.encode({"left": [cell] * 5_000, "right": [cell] * 5_000})
    with pytest.raises(FieldError, match="too many values"):
        table.encode({"left": [cell] * 5_000, "right": [cell] * 5_001})
