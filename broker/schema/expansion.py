"""A schema with nothing left to look up: every reference replaced by what it stands for. And what its words say of units.

The identity of a schema leaves ``doc`` out, and Avro has no place for units: kilograms would become tonnes by a change of words.
So the words that name a unit, a time zone or a code standard are picked out of each field's ``doc`` and compared by themselves.
They are found by a list of words: a unit that is not in it, or that the ``doc`` does not name, is not seen.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple, TypeAlias, cast

from broker.schema.avsc import JsonValue, full_name, is_list, is_object, namespace_of, within

Json: TypeAlias = dict[str, JsonValue]
NAMED: Final = ("record", "enum", "fixed")
"""Kinds of types that have a name."""

_STANDARD: Final = r"ISO \d+(?:-\d+)?(?: alpha-\d)?|UN Recommendation \d+|UN/LOCODE|WGS 84|UTC"
_UNIT: Final = (
    r"kg|kilograms?|grams?|tonnes?|pounds?|litres?|cubic|metres?|kilometres?|miles?|degrees?|tenths?|hundredths?|thousandths?|millionths?"
    r"|percent|per cent|milliseconds?|microseconds?|seconds?|minutes?|hours?|days?|weeks?|months?|years?|local|euros?|dollars?|cents?"
)
_SAYS_UNIT: Final = re.compile(rf"(?<!\w)(?:{_STANDARD}|(?i:{_UNIT}))(?!\w)")


class ExpandedField(NamedTuple):
    """A field of an expanded schema. ``single``: it holds values, not records."""

    path: str
    schema: Json
    single: bool


def expanded(avsc: JsonValue) -> JsonValue:
    """The linted schema with every reference replaced by its definition, and every named type under its full name."""
    named: dict[str, JsonValue] = {}

    def expand(schema: JsonValue, namespace: str) -> JsonValue:
        if isinstance(schema, str):
            return named.get(full_name(schema, namespace), schema)
        if is_list(schema):
            return [expand(branch, namespace) for branch in schema]
        if not is_object(schema):
            return schema
        kind = schema.get("type")
        if kind == "array":
            return {**schema, "items": expand(schema.get("items"), namespace)}
        if kind not in NAMED:
            return kind if schema.keys() == {"type"} else schema
        inner = namespace_of(schema, namespace)
        made: Json = {**schema, "name": full_name(str(schema["name"]), inner)}
        if kind == "record":
            made["fields"] = [{**field, "type": expand(field["type"], inner)} for field in objects(schema["fields"])]
        named[cast("str", made["name"])] = made
        return made

    return expand(avsc, "")


def objects(value: JsonValue) -> list[Json]:
    """The objects in a list."""
    return [item for item in value if is_object(item)] if is_list(value) else []


def fields(schema: JsonValue, path: str = "") -> Iterator[ExpandedField]:
    """Every field of an expanded schema at every depth, with its path: ``items[].unit``."""
    if is_list(schema):
        for branch in schema:
            yield from fields(branch, path)
    elif is_object(schema) and schema.get("type") == "array":
        yield from fields(schema.get("items"), f"{path}[]")
    elif is_object(schema) and schema.get("type") == "record":
        for field in objects(schema["fields"]):
            inner = within(path, str(field["name"]))
            below = list(fields(field["type"], inner))
            yield ExpandedField(inner, field, single=not below)
            yield from below


def unit_words(field: Json) -> list[str]:
    """What the ``doc`` of a field says of its unit, time zone and code standard, sorted: ``["ISO 4217"]``, ``["day"]``."""
    found: list[str] = _SAYS_UNIT.findall(str(field.get("doc", "")))
    return sorted({word if word.startswith(("ISO", "UN", "WGS", "UTC")) else word.lower().removesuffix("s") for word in found})


def units(avsc: JsonValue) -> dict[str, list[str]]:
    """The unit words of every field that holds values: path to words, where there are any."""
    said = {field.path: unit_words(field.schema) for field in fields(expanded(avsc)) if field.single}
    return {path: words for path, words in sorted(said.items()) if words}
