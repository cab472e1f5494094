"""Every field of every schema with a value that fits and one that does not, made from the schemas themselves."""

from __future__ import annotations

import re
from collections.abc import Iterator
from copy import deepcopy
from typing import Any, NamedTuple

from broker.schema.avsc import Array, DecimalFixed, Enum, Field, Fixed, Node, Nullable, Record, Scalar
from broker.schema.catalogue import Section
from broker.schema.json_form import WRITTEN
from broker.storage.schemas import load_catalogue

CATALOGUE = load_catalogue()
_STEP = re.compile(r"[^.\[\]]+|\[\]")


class Place(NamedTuple):
    """A field: the section it is in, and its path there, ``items[].found.hs_code``."""

    section: Section
    path: str
    field: Field

    @property
    def name(self) -> str:
        """``alert/v1/goods/items[].hs_code``: the id of the field's test parameters."""
        section = self.section
        return f"{section.family}/v{section.version}/{section.section}/{self.path}"

    @property
    def refused_at(self) -> str:
        """The path of a refusal where the field of the first row of each list is wrong."""
        return f"{self.section.section}.{self.path.replace('[]', '[0]')}"


def places_of(section: Section) -> Iterator[Place]:
    """The fields of a section at every depth, outer ones first; a list that is a value itself is one field."""

    def inside(node: Node, prefix: str) -> Iterator[Place]:
        while isinstance(node, Nullable | Array):
            prefix, node = (f"{prefix}[]", node.items) if isinstance(node, Array) else (prefix, node.inner)
        if isinstance(node, Record):
            for field in node.fields:
                path = f"{prefix}.{field.name}".lstrip(".")
                yield Place(section, path, field)
                yield from inside(field.node, path)

    return inside(section.schema, "")


PLACES = [place for section in CATALOGUE for place in places_of(section)]


def filled(node: Node) -> Any:
    """A JSON value that fits, with one row in each list and nothing absent."""
    match node:
        case Scalar(kind):
            times = {"timestamp": "2026-11-24T03:00:00Z", "date": "2026-11-24"}
            return {"boolean": True, "int": 1, "long": 1, "string": "x", "bytes": "00"}.get(kind) or times[kind]
        case Fixed(size):
            return "00" * size
        case DecimalFixed():
            return "1.5"
        case Enum(symbols):
            return WRITTEN.get(symbols[0], symbols[0])
        case Nullable(inner):
            return filled(inner)
        case Array(items):
            return [filled(items)]
        case Record(_, fields):
            return {field.name: filled(field.node) for field in fields}


def unfit(node: Node) -> list[Any]:
    """JSON values that do not fit a type: other types, and the impossible of its own."""
    match node:
        case Nullable(inner):
            return [value for value in unfit(inner) if value is not None]
        case Scalar("boolean"):
            return ["true", 1, []]
        case Scalar("int"):
            return ["1", True, 1 << 31, []]
        case Scalar("long"):
            return ["1", True, 1 << 63, []]
        case Scalar("timestamp"):
            return [1_797_724_800_000, "2026-02-30T00:00:00Z", "2026-11-24T25:00:00Z", "2026-11-24", "1989-12-31T23:59:59Z", {}]
        case Scalar("date"):
            return [20_000, "2026-02-30", "1899-12-31", "24.11.2026", {}]
        case Scalar("string"):
            return [1, True, [], "name\x00", "name\u202egnp.exe", "a\u2066b", "a\u2028b"]
        case Scalar():
            return [1, "0", "xy"]
        case Fixed() | DecimalFixed():
            return [True, "xy", "1,5", {}]
        case Enum():
            return [0, "NO_SUCH_WORD", "", None]
        case Array():
            return ["x", {}, None]
        case Record():
            return ["x", [], None]


def with_value(place: Place, value: Any) -> Any:
    """The section filled, with this value in the place."""
    holder, last, whole = _holder(place)
    holder[last] = value
    return whole


def without(place: Place) -> Any:
    """The section filled, with the place left out."""
    holder, last, whole = _holder(place)
    del holder[last]
    return whole


def _holder(place: Place) -> tuple[Any, str, Any]:
    """The object that has the field, the field's key in it, and the whole section, filled."""
    whole: Any = deepcopy(filled(place.section.schema))
    *steps, last = _STEP.findall(place.path)
    holder = whole
    for step in steps:
        holder = holder[0] if step == "[]" else holder[step]
    return holder, last, whole
