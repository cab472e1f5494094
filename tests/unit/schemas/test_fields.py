"""Every field of every schema: what does not fit its type, and what is missing, is refused at its own path."""

from __future__ import annotations

from typing import Any

import pytest

from broker.errors import Refusal
from broker.schema.avsc import Array, Nullable, Record
from broker.schema.catalogue import Section
from broker.schema.encoder import FieldError
from broker.schema.json_form import from_json, to_json
from tests.unit.schemas.fields import CATALOGUE, PLACES, Place, filled, unfit, with_value, without

NAMES = [place.name for place in PLACES]


def test_the_fields_are_those_of_the_schemas() -> None:
    """No test over no field: each section has some, names are unique, and nested ones are among them."""
    assert len(NAMES) == len(set(NAMES)) > 700
    assert {place.section.schema_id for place in PLACES} == {section.schema_id for section in CATALOGUE}
    assert {"alert/v1/parties/parties[].address.city", "seizure/v1/goods/items[].control_codes[].code"} <= set(NAMES)


@pytest.mark.parametrize("section", list(CATALOGUE), ids=lambda section: f"{section.family}/v{section.version}/{section.section}")
def test_what_is_filled_fits(section: Section) -> None:
    """The value from which each case below differs in one place is good, so that the place is what is refused."""
    record = from_json(section, filled(section.schema))
    assert not isinstance(record, Refusal)
    assert from_json(section, to_json(section, record)) == record


@pytest.mark.parametrize("place", PLACES, ids=NAMES)
def test_a_wrong_type_is_refused_at_its_field(place: Place) -> None:
    """Other types, impossible dates and times, unknown words, control and direction signs: BAD_FIELD with the field's path."""
    for value in unfit(place.field.node):
        refusal = from_json(place.section, with_value(place, value))
        assert isinstance(refusal, Refusal), value
        assert refusal.code == "BAD_FIELD"
        assert refusal.path == place.refused_at, value
    if isinstance(place.field.node, Array) and not isinstance(place.field.node.items, Record):
        for value in unfit(place.field.node.items):
            refusal = from_json(place.section, with_value(place, [value]))
            assert isinstance(refusal, Refusal), value
            assert refusal.path == f"{place.refused_at}[0]"


@pytest.mark.parametrize("place", PLACES, ids=NAMES)
def test_a_missing_value_is_refused_at_its_field_or_takes_its_default(place: Place) -> None:
    """A mandatory field that is missing is refused at its path; any other becomes null, an empty list or false."""
    read = from_json(place.section, without(place))
    if place.field.has_default or isinstance(place.field.node, Nullable):
        default: Any = place.field.default if place.field.has_default else None
        assert read == from_json(place.section, with_value(place, default))
        return
    assert isinstance(read, Refusal)
    assert (read.code, read.path) == ("BAD_FIELD", place.refused_at)


@pytest.mark.parametrize("place", PLACES, ids=NAMES)
def test_an_encoder_is_as_strict_as_the_reader(place: Place) -> None:
    """A program that builds records itself meets the same wall: no value of another type is encoded, none is left out."""
    record: Any = from_json(place.section, filled(place.section.schema))
    holder = record
    *steps, last = place.path.replace("[]", ".[]").split(".")
    for step in steps:
        holder = holder[0] if step == "[]" else holder[step]
    for value in (object(), 1.5):
        holder[last] = value
        with pytest.raises(FieldError) as refused:
            place.section.codec.encode(record)
        assert f"{place.section.section}.{refused.value.path}" == place.refused_at
    del holder[last]
    with pytest.raises(FieldError) as refused:
        place.section.codec.encode(record)
    assert f"{place.section.section}.{refused.value.path}" in (place.refused_at, place.refused_at.rpartition(".")[0])


def test_a_section_is_an_object() -> None:
    """What is no object at all is refused at the section."""
    for section in CATALOGUE:
        assert isinstance(section.schema, Record)
        values: list[Any] = [None, [], "x", 1]
        for value in values:
            refusal = from_json(section, value)
            assert isinstance(refusal, Refusal)
            assert refusal.path == section.section
