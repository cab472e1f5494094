"""The typed dictionaries are the schemas: same fields, same types, same nullability, same defaults."""

from __future__ import annotations

import dataclasses
import json
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, is_typeddict

import pytest

from broker.families import message as words
from broker.families.catalogue import FAMILIES
from broker.families.completion import REQUIRED, complete, fields
from broker.families.message import LabelArguments, Message, audience_of
from broker.families.routing import ROLES
from broker.families.shipment import TRANSPORT_MODE_CODES, Address, EquipmentUnit, Parties
from broker.schema.catalogue import Section
from tests.unit.families.samples import GOOD

SCHEMAS = Path(__file__).parents[3] / "schemas"
SECTIONS = [(family.name, section) for family in FAMILIES.values() for section in family.types]
PRIMITIVES = {"string": str, "int": int, "long": int, "boolean": bool, "bytes": bytes}
LOGICAL = {"timestamp-millis": datetime, "date": date, "decimal": Decimal}


def newest(family: str, section: str) -> Path:
    """The file of a section's newest version: what this program writes, and sees every other version as."""
    return max(SCHEMAS.glob(f"{family}/v*/{section}.avsc"), key=lambda path: int(path.parent.name[1:]))


def schema_of(family: str, section: str) -> dict[str, Any]:
    return json.loads(newest(family, section).read_text("utf-8"))


def section_of(family: str, section: str) -> Section:
    return Section.from_text(family, section, 1, newest(family, section).read_text("utf-8"))


def shape_of_schema(schema: Any, named: dict[str, Any]) -> Any:
    """A schema as nested Python: a record is a dict of field → (shape, nullable, default)."""
    if isinstance(schema, str):
        return PRIMITIVES[schema] if schema in PRIMITIVES else named[schema]
    kind = schema["type"]
    if kind == "array":
        return [shape_of_schema(schema["items"], named)]
    shape: Any
    if "logicalType" in schema:
        shape = LOGICAL[schema["logicalType"]]
    elif kind == "enum":
        shape = tuple(schema["symbols"])
    elif kind == "fixed":
        shape = bytes
    else:
        shape = {}
        for field in schema["fields"]:
            nullable = isinstance(field["type"], list)
            inner = field["type"][1] if nullable else field["type"]
            shape[field["name"]] = (shape_of_schema(inner, named), nullable, field.get("default", REQUIRED))
    if "name" in schema:
        named[schema["name"]] = shape
    return shape


def shape_of_type(kind: Any) -> Any:
    """A typed dictionary, or a type of one of its fields, in the same form."""
    if is_typeddict(kind):
        return {name: (shape_of_type(bare), nullable, default) for name, (bare, nullable, default) in fields(kind).items()}
    if get_origin(kind) is list:
        return [shape_of_type(get_args(kind)[0])]
    if get_origin(kind) is Literal:
        return get_args(kind)
    return kind


@pytest.mark.parametrize(("family", "section"), SECTIONS)
def test_types_equal_schemas(family: str, section: str) -> None:
    """Names in order, types, nullability and defaults of every section's newest version are the same in Python and in Avro."""
    shape = shape_of_type(FAMILIES[family].types[section])
    schema = shape_of_schema(schema_of(family, section), {})
    assert shape == schema
    assert list(shape) == list(schema)


def test_families_and_schema_folders_agree() -> None:
    """Every family's sections are exactly the schema files of its folder, and audience is shared."""
    for family in FAMILIES.values():
        files = {path.stem for path in (SCHEMAS / family.name).glob("v*/*.avsc")}
        assert files == set(family.types) == set(family.sections) - {"audience"}
        assert {"core", "audience"} <= set(family.mandatory) <= set(family.sections)


@pytest.mark.parametrize(
    ("field", "vocabulary"),
    [
        ("urgency", words.URGENCIES),
        ("handling", words.HANDLING),
        ("tlp", words.TLP),
        ("pap", words.PAP),
        ("onward", words.ONWARD),
        ("retention", words.RETENTION),
    ],
)
def test_header_vocabularies_equal_the_schema(field: str, vocabulary: tuple[str, ...]) -> None:
    """The words that label rules accept are the symbols that the header can carry."""
    assert shape_of_schema(schema_of("header", "header"), {})[field][0] == vocabulary


def test_nested_header_vocabularies_equal_the_schema() -> None:
    """Grades and roles of countries too."""
    header = shape_of_schema(schema_of("header", "header"), {})
    assert header["evaluation"][0]["source"][0] == words.SOURCE_GRADES
    assert header["evaluation"][0]["information"][0] == words.INFORMATION_GRADES
    assert header["routing"][0]["countries"][0][0]["role"][0] == ROLES


def test_transport_modes_carry_the_official_code() -> None:
    """UN Recommendation 19 numbers modes from 1; the schema lists them in that order and the table says so."""
    symbols = shape_of_schema(schema_of("alert", "core"), {})["transport_mode"][0]
    assert {symbol: str(number) for number, symbol in enumerate(symbols, start=1)} == TRANSPORT_MODE_CODES


@pytest.mark.parametrize("family", FAMILIES)
def test_what_a_builder_makes_is_what_the_codec_takes(family: str) -> None:
    """A builder fills what was left out: strict Avro encoding takes every section, and decoding gives it back."""
    message = GOOD[family]()
    for section, record in message.sections.items():
        compiled = section_of(family, section)
        body = compiled.codec.encode(record)
        assert compiled.check(body) is None
        assert compiled.codec.decode(body) == record
    assert set(message.sections) == set(FAMILIES[family].types)


def test_audience_record_fits_its_schema() -> None:
    """The audience that a message names is encoded under its own schema, and read back."""
    audience = GOOD["alert"]().audience
    codec = section_of("audience", "audience").codec
    assert audience_of(codec.decode(codec.encode(audience.record()))) == audience


def test_completion_fills_every_depth_and_shares_nothing() -> None:
    """Defaults reach nested records; two completions do not share a list; what was given is not changed."""
    given = {"parties": [{"role": "AGENT", "name": "A", "person_type": "2", "address": {"country": "SG"}}]}
    whole = complete(Parties, given)
    assert whole["parties"][0]["address"] == dict.fromkeys(fields(Address), None) | {"country": "SG"}
    assert given == {"parties": [{"role": "AGENT", "name": "A", "person_type": "2", "address": {"country": "SG"}}]}
    one, two = complete(EquipmentUnit, {"id": "1"}), complete(EquipmentUnit, {"id": "2"})
    one["seals"].append("S")
    assert two["seals"] == []


def test_completion_leaves_mistakes_for_the_codec() -> None:
    """Unknown keys and values of a wrong type stay, so that the codec can name them."""
    wrong = {"parties": ["nobody", {"address": 7}], "partys": []}
    whole = complete(Parties, wrong)
    assert whole["parties"][0] == "nobody"
    assert whole["parties"][1]["address"] == 7
    assert whole["partys"] == []
    assert complete(Parties, {"parties": None}) == {"parties": None}


def test_builders_take_every_label() -> None:
    """A label of Message that no builder could set would be lost; valid_until_ms and the parts are arguments of their own."""
    own = {"family", "subject", "sections", "audience", "valid_until_ms"}
    assert set(LabelArguments.__annotations__) == {field.name for field in dataclasses.fields(Message)} - own
