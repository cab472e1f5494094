"""Header, slip and receipt against their Avro schemas: every record of the schema is one value of the dataclass and back."""

from __future__ import annotations

import dataclasses
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fastavro
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from broker.envelope.header import Header, Routing, header_of, header_record
from broker.envelope.receipt import VERSION, Disclosure, Receipt, receipt_of, receipt_record
from broker.envelope.section import Commitment
from broker.envelope.slip import Slip, slip_of, slip_record
from broker.errors import Finding
from broker.values import Correlation, Evaluation

if TYPE_CHECKING:
    from collections.abc import Callable

LAW = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=60)
SCHEMAS = Path(__file__).parents[2] / "schemas"


def physical(schema: Any) -> Any:
    """The schema without logical types: times stay integers."""
    if isinstance(schema, dict):
        return {key: physical(value) for key, value in schema.items() if key != "logicalType"}  # pyright: ignore[reportUnknownVariableType]
    return [physical(entry) for entry in schema] if isinstance(schema, list) else schema  # pyright: ignore[reportUnknownVariableType]


def load(name: str, version: int = 1) -> dict[str, Any]:
    """The schema file of one of the three records."""
    return physical(json.loads((SCHEMAS / name / f"v{version}" / f"{name}.avsc").read_text(encoding="utf-8")))


def values(schema: Any, named: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[Any]:
    """Any value of a schema; ``named`` collects the named types as they are defined."""
    if isinstance(schema, list):
        return st.one_of([values(branch, named) for branch in schema])  # pyright: ignore[reportUnknownVariableType]
    if isinstance(schema, str):
        plain = {
            "null": st.none(), "string": st.text(max_size=12), "boolean": st.booleans(),
            "int": st.integers(-(1 << 31), (1 << 31) - 1), "long": st.integers(-(1 << 63), (1 << 63) - 1),
        }  # fmt: skip
        return plain[schema] if schema in plain else named[schema]
    match schema["type"]:
        case "record":
            made = st.fixed_dictionaries({field["name"]: values(field["type"], named) for field in schema["fields"]})
        case "enum":
            made = st.sampled_from(schema["symbols"])
        case "fixed":
            made = st.binary(min_size=schema["size"], max_size=schema["size"])
        case "array":
            return st.lists(values(schema["items"], named), max_size=3)
        case inner:
            return values(inner, named)
    named[schema["name"]] = made
    return made


HEADER, SLIP, SLIP_V1, RECEIPT, RECEIPT_V1 = load("header"), load("slip", 2), load("slip"), load("receipt", VERSION), load("receipt")


def check(schema: dict[str, Any], record: dict[str, Any], there: Callable[[Any], Any], back: Callable[[Any], dict[str, object]]) -> None:
    """A record becomes a value, the value the record again, and the codec takes it and gives the same value."""
    value = there(record)
    assert back(value) == record
    hash(value)
    buffer = io.BytesIO()
    fastavro.schemaless_writer(buffer, schema, back(value), strict=True)  # pyright: ignore[reportUnknownMemberType]
    buffer.seek(0)
    assert there(fastavro.schemaless_reader(buffer, schema, None)) == value  # pyright: ignore[reportUnknownMemberType]


@given(values(HEADER, {}))
@LAW
def test_headers(record: dict[str, Any]) -> None:
    """Header and Avro record are each other's image."""
    check(HEADER, record, header_of, header_record)


@given(values(SLIP, {}))
@LAW
def test_slips(record: dict[str, Any]) -> None:
    """Slip and Avro record are each other's image, each in the version that says all: without a bound section in the first."""
    binds = bool(record["bound"])
    assert slip_of(record).version == (2 if binds else 1)
    image = record if binds else {name: value for name, value in record.items() if name != "bound"}
    check(SLIP if binds else SLIP_V1, image, slip_of, slip_record)


@given(values(RECEIPT, {}))
@LAW
def test_receipts(record: dict[str, Any]) -> None:
    """Receipt and Avro record are each other's image."""
    check(RECEIPT, record, receipt_of, receipt_record)


@given(values(RECEIPT_V1, {}))
@LAW
def test_receipts_of_version_1(record: dict[str, Any]) -> None:
    """A record of version 1 is a receipt that names no rules, and that receipt written in version 1 is the record."""
    check(RECEIPT_V1, record, receipt_of, lambda receipt: receipt_record(receipt, 1))
    assert all(each.rule is None and each.withheld_by == () for each in receipt_of(record).recipients)


@given(values(RECEIPT, {}))
@LAW
def test_what_version_1_leaves_out(record: dict[str, Any]) -> None:
    """Written in version 1, a receipt loses the rules and nothing else."""
    receipt = receipt_of(record)
    bare = tuple(dataclasses.replace(each, rule=None, withheld_by=()) for each in receipt.recipients)
    check(RECEIPT_V1, receipt_record(receipt, 1), receipt_of, lambda receipt: receipt_record(receipt, 1))
    assert receipt_of(receipt_record(receipt, 1)) == dataclasses.replace(receipt, recipients=bare)


def records(schema: Any) -> dict[str, list[str]]:
    """Names of the fields of every record in a schema, by the record's name."""
    found: dict[str, list[str]] = {}
    if isinstance(schema, list):
        for branch in schema:  # pyright: ignore[reportUnknownVariableType]
            found |= records(branch)
    elif isinstance(schema, dict):
        if schema["type"] == "record":
            found[schema["name"]] = [field["name"] for field in schema["fields"]]  # pyright: ignore[reportUnknownVariableType]
            for field in schema["fields"]:  # pyright: ignore[reportUnknownVariableType]
                found |= records(field["type"])
        elif schema["type"] == "array":
            found |= records(schema["items"])
        elif not isinstance(schema["type"], str):
            found |= records(schema["type"])
    return found


@pytest.mark.parametrize(
    ("schema", "types"),
    [
        (HEADER, {"MessageHeader": Header, "Evaluation": Evaluation, "Routing": Routing}),
        (HEADER, {"Correlation": Correlation, "Commitment": Commitment}),
        (SLIP, {"Slip": Slip}),
        (RECEIPT, {"Receipt": Receipt}),
    ],
    ids=["header", "parts of the header", "slip", "receipt"],
)
def test_fields_are_those_of_the_schema(schema: dict[str, Any], types: dict[str, type[Any]]) -> None:
    """The dataclasses have exactly the fields of the schema's records, in its order."""
    expected = records(schema)
    for name, kind in types.items():
        assert [field.name for field in dataclasses.fields(kind)] == expected[name], name


def test_parts_of_a_receipt_are_those_of_the_schema() -> None:
    """Recipients and findings have the fields of the schema's records."""
    fields = {tuple(names) for names in records(RECEIPT).values()}
    for kind in (Disclosure, Finding):
        assert tuple(field.name for field in dataclasses.fields(kind)) in fields, kind
