"""A schema with one field of every kind, and a record of it."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

TIMESTAMP: Any = {"type": "long", "logicalType": "timestamp-millis"}


def field(name: str, kind: Any, **more: Any) -> Any:
    return {"name": name, "type": kind, "doc": f"The {name}.", **more}


def record(name: str, *fields: Any, **more: Any) -> Any:
    return {"type": "record", "name": name, "doc": f"A {name}.", "fields": list(fields), **more}


def one(kind: Any) -> Any:
    """A schema with one field `a` of this type."""
    return record("One", field("a", kind))


CODES: Any = {"type": "enum", "name": "Tlp", "doc": "TLP 2.0.", "symbols": ["CLEAR", "GREEN", "AMBER_STRICT"]}

EVERYTHING: Any = record(
    "Notice",
    field("flag", "boolean"),
    field("count", "int"),
    field("mass", "long"),
    field("text", "string"),
    field("blob", "bytes"),
    field("id", {"type": "fixed", "name": "fixed16", "size": 16}),
    field("digest", {"type": "fixed", "name": "fixed32", "size": 32}),
    field("other_id", ["null", "fixed16"]),
    field("value", {"type": "fixed", "name": "money", "size": 8, "logicalType": "decimal", "precision": 18, "scale": 2}),
    field("at", TIMESTAMP),
    field("day", {"type": "int", "logicalType": "date"}),
    field("tlp", CODES),
    field("remark", ["null", "string"], nominal=True),
    field("places", {"type": "array", "items": "string"}, default=[]),
    field("route", record("Route", field("mode", "int"), field("until", ["null", TIMESTAMP]))),
    field("items", {"type": "array", "items": record("Item", field("hs", "string"), field("tags", {"type": "array", "items": "Tlp"}))}),
    namespace="test.v1",
)


def notice() -> dict[str, object]:
    """A valid record of EVERYTHING."""
    return {
        "flag": True,
        "count": -3,
        "mass": 1 << 40,
        "text": "Überführung\nshed 4",
        "blob": b"\x00\xff",
        "id": bytes(range(16)),
        "digest": bytes(32),
        "other_id": bytes(range(16)),
        "value": Decimal("-120000.50"),
        "at": datetime(2026, 11, 24, 3, 0, 0, 123_000, UTC),
        "day": date(2026, 11, 24),
        "tlp": "AMBER_STRICT",
        "remark": None,
        "places": ["SGSIN", "AEJEA"],
        "route": {"mode": 1, "until": None},
        "items": [{"hs": "840120", "tags": []}, {"hs": "281111", "tags": ["GREEN", "CLEAR"]}],
    }
