"""The lint: each rule refuses its own bad schema, and a good schema passes."""

from __future__ import annotations

import time
from typing import Any

import pytest

from broker.schema.avsc import JsonValue
from broker.schema.lint import MAX_DEPTH, MAX_FIELDS, MAX_NODES, lint
from tests.unit.schema.samples import CODES, EVERYTHING, TIMESTAMP, field, one, record


def _deep(levels: int) -> JsonValue:
    avsc: JsonValue = record("R0", field("a", "int"))
    for level in range(1, levels):
        avsc = record(f"R{level}", field("a", avsc))
    return avsc


def _laughs(levels: int) -> JsonValue:
    """Records that hold the one before ten times: 10**levels values from one small schema."""
    inner: JsonValue = record("L0", field("a", "int"))
    for level in range(1, levels):
        fields = [field("f0", inner), *(field(f"f{number}", f"L{level - 1}") for number in range(1, 10))]
        inner = record(f"L{level}", *fields)
    return inner


def test_a_schema_with_every_kind_of_field_passes() -> None:
    """The subset is not empty: the sample with all kinds has no finding."""
    assert lint(EVERYTHING) == []


BAD: dict[str, tuple[str, str, JsonValue]] = {
    "no record at the top": ("SCHEMA_ROOT", "", "string"),
    "nullable at the top": ("SCHEMA_ROOT", "", ["null", one("int")]),
    "direct recursion": ("SCHEMA_RECURSION", "next", record("Node", field("next", ["null", "Node"]))),
    "recursion through an array": (
        "SCHEMA_RECURSION", "a.b[]", record("A", field("a", record("B", field("b", {"type": "array", "items": "A"})))),
    ),
    "array of null": ("SCHEMA_TYPE", "a[]", one({"type": "array", "items": "null"})),
    "array of empty records": ("SCHEMA_ZERO_SIZE", "a[]", one({"type": "array", "items": record("E")})),
    "array of fixed(0)": ("SCHEMA_ZERO_SIZE", "a[]", one({"type": "array", "items": {"type": "fixed", "name": "F", "size": 0}})),
    "huge fixed": ("SCHEMA_ZERO_SIZE", "a", one({"type": "fixed", "name": "F", "size": 1 << 40})),
    "map": ("SCHEMA_TYPE", "a", one({"type": "map", "values": "int"})),
    "double": ("SCHEMA_TYPE", "a", one("double")),
    "null alone": ("SCHEMA_TYPE", "a", one("null")),
    "null second": ("SCHEMA_UNION", "a", one(["string", "null"])),
    "three branches": ("SCHEMA_UNION", "a", one(["null", "string", "int"])),
    "two values": ("SCHEMA_UNION", "a", one(["int", "string"])),
    "union in a union": ("SCHEMA_UNION", "a", one(["null", ["null", "int"]])),
    "decimal on bytes": ("SCHEMA_LOGICAL_TYPE", "a", one({"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2})),
    "decimal too wide": ("SCHEMA_DECIMAL", "a", one({"type": "fixed", "name": "D", "size": 4, "logicalType": "decimal", "precision": 10})),
    "scale above precision": (
        "SCHEMA_DECIMAL", "a", one({"type": "fixed", "name": "D", "size": 4, "logicalType": "decimal", "precision": 2, "scale": 3}),
    ),
    "uuid text": ("SCHEMA_LOGICAL_TYPE", "a", one({"type": "string", "logicalType": "uuid"})),
    "microseconds": ("SCHEMA_LOGICAL_TYPE", "a", one({"type": "long", "logicalType": "timestamp-micros"})),
    "logical type of another shape": ("SCHEMA_LOGICAL_TYPE", "a", one({"type": "long", "logicalType": ["x"]})),
    "too deep": ("SCHEMA_TOO_DEEP", "", _deep(MAX_DEPTH + 1)),
    "too many fields": ("SCHEMA_TOO_LARGE", "", record("R", *(field(f"f{number}", "int") for number in range(MAX_FIELDS + 1)))),
    "billion laughs": ("SCHEMA_TOO_LARGE", "", _laughs(7)),
    "default of a record": ("SCHEMA_DEFAULT", "a", record("R", field("a", record("S", field("b", "int")), default={"b": 1}))),
    "default array that is full": ("SCHEMA_DEFAULT", "a", record("R", field("a", {"type": "array", "items": "int"}, default=[0] * 1000))),
    "long default text": ("SCHEMA_DEFAULT", "a", record("R", field("a", "string", default="x" * 65))),
    "default of the wrong type": ("SCHEMA_DEFAULT", "a", record("R", field("a", "int", default=True))),
    "default beyond int": ("SCHEMA_DEFAULT", "a", record("R", field("a", "int", default=1 << 31))),
    "default that is no symbol": ("SCHEMA_DEFAULT", "a", record("R", field("a", CODES, default="PURPLE"))),
    "default of a nullable": ("SCHEMA_DEFAULT", "a", record("R", field("a", ["null", "int"], default=1))),
    "default time": ("SCHEMA_DEFAULT", "a", record("R", field("a", TIMESTAMP, default=0))),
    "enum default": ("SCHEMA_DEFAULT", "a", one({"type": "enum", "name": "E", "doc": "E.", "symbols": ["A"], "default": "B"})),
    "Cyrillic field": ("SCHEMA_NAME", "\\u0441ode", record("R", field("сode", "int"))),
    "Cyrillic symbol": ("SCHEMA_ENUM", "a", one({"type": "enum", "name": "E", "doc": "E.", "symbols": ["СLEAR"]})),
    "no symbols": ("SCHEMA_ENUM", "a", one({"type": "enum", "name": "E", "doc": "E.", "symbols": []})),
    "symbol twice": ("SCHEMA_ENUM", "a", one({"type": "enum", "name": "E", "doc": "E.", "symbols": ["A", "A"]})),
    "field twice": ("SCHEMA_NAME", "a", record("R", field("a", "int"), field("a", "int"))),
    "type twice": ("SCHEMA_NAME", "b", record("R", field("a", CODES), field("b", CODES))),
    "used before defined": ("SCHEMA_TYPE", "a", record("R", field("a", "Tlp"), field("b", CODES))),
    "unknown attribute": ("SCHEMA_ATTRIBUTE", "a", record("R", field("a", "int", group="x"))),
    "strange order": ("SCHEMA_ATTRIBUTE", "a", record("R", field("a", "int", order={"by": "name"}))),
    "strange aliases": ("SCHEMA_NAME", "a", record("R", field("a", "int", aliases="b"))),
    "strange namespace": ("SCHEMA_NAME", "", record("R", field("a", "int"), namespace="a..b")),
    "field without doc": ("SCHEMA_UNDOCUMENTED", "a", record("R", {"name": "a", "type": "int"})),
    "record without doc": ("SCHEMA_UNDOCUMENTED", "", {"type": "record", "name": "R", "fields": [field("a", "int")]}),
    "enum without doc": ("SCHEMA_UNDOCUMENTED", "a", one({"type": "enum", "name": "E", "symbols": ["A"]})),
    "nominal record": ("SCHEMA_NOMINAL", "a", record("R", field("a", record("S", field("b", "int")), nominal=True))),
    "nominal array of records": (
        "SCHEMA_NOMINAL", "a", record("R", field("a", {"type": "array", "items": record("S", field("b", "int"))}, nominal=True)),
    ),
    "nominal false": ("SCHEMA_NOMINAL", "a", record("R", field("a", "int", nominal=False))),
}  # fmt: skip


@pytest.mark.parametrize(("code", "path", "avsc"), BAD.values(), ids=BAD.keys())
def test_each_rule_rejects_with_a_path(code: str, path: str, avsc: JsonValue) -> None:
    """A schema that breaks one rule gets that rule's code at that field, as REJECT."""
    findings = lint(avsc)
    assert (code, path) in {(finding.code, finding.path) for finding in findings}
    assert {finding.severity for finding in findings} == {"REJECT"}


@pytest.mark.parametrize(("family", "section"), [("alert", "core"), ("header", "header"), ("slip", "slip"), ("receipt", "receipt")])
def test_nominal_fields_stay_out_of_what_everyone_reads(family: str, section: str) -> None:
    """The same nominal field passes in `parties` and is rejected in `core` and in the header."""
    avsc = record("R", field("a", {"type": "array", "items": "string"}, nominal=True))
    assert lint(avsc, family="alert", section="parties") == []
    assert [finding.code for finding in lint(avsc, family=family, section=section)] == ["SCHEMA_NOMINAL"]


def test_limits_are_inclusive() -> None:
    """Exactly the allowed depth and number of fields pass."""
    assert lint(_deep(MAX_DEPTH)) == []
    assert lint(record("R", *(field(f"f{number}", "int") for number in range(MAX_FIELDS)))) == []


def test_expanding_bombs_are_counted_not_expanded() -> None:
    """A schema that stands for 10**40 values is rejected at once."""
    avsc = _laughs(18)
    start = time.perf_counter()
    findings = lint(avsc)
    assert time.perf_counter() - start < 0.5
    assert {"SCHEMA_TOO_LARGE", "SCHEMA_TOO_DEEP"} <= {finding.code for finding in findings}
    assert MAX_NODES < 10**18


def test_endless_nesting_is_rejected() -> None:
    """A type nested far beyond any use neither crashes the lint nor passes."""
    avsc: Any = "int"
    for _ in range(5_000):
        avsc = {"type": "array", "items": avsc}
    assert "SCHEMA_TOO_DEEP" in {finding.code for finding in lint(one(avsc))}
