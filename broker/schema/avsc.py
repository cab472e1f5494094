"""An Avro schema of our subset as a tree of small values: what the walk, the codec and the JSON form are compiled from.

The subset (see :mod:`broker.schema.lint`, which says in words what is wrong with a schema) leaves few kinds of node, so that each
compiler is one ``match`` over them. :func:`read_schema` expects a linted schema and raises UsageError at anything else.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, TypeGuard, cast

from broker.errors import UsageError

JsonValue: TypeAlias = "bool | int | float | str | list[JsonValue] | dict[str, JsonValue] | None"
"""What a JSON document is in Python."""

PRIMITIVES: Final = frozenset({"boolean", "int", "long", "string", "bytes"})
"""The primitive types of the subset. ``float`` and ``double`` are out: a NaN has many encodings, and money is no float."""

ScalarKind = Literal["boolean", "int", "long", "string", "bytes", "timestamp", "date"]


@dataclass(frozen=True, slots=True)
class Scalar:
    """A primitive type, or ``timestamp`` (long timestamp-millis) or ``date`` (int date)."""

    kind: ScalarKind


@dataclass(frozen=True, slots=True)
class Fixed:
    """``size`` bytes."""

    size: int


@dataclass(frozen=True, slots=True)
class DecimalFixed:
    """A decimal number as ``size`` bytes of two's complement, big end first: at most ``precision`` digits, ``scale`` of them
    after the point."""

    size: int
    precision: int
    scale: int


@dataclass(frozen=True, slots=True)
class Enum:
    """One of the symbols. ``default`` is what a reader takes for a symbol that a later version added."""

    symbols: tuple[str, ...]
    default: str | None = None


@dataclass(frozen=True, slots=True)
class Nullable:
    """The union ``[null, inner]``."""

    inner: Node


@dataclass(frozen=True, slots=True)
class Array:
    """Any number of items."""

    items: Node


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a record. ``nominal``: it can name or describe a natural person. ``default`` counts if ``has_default``.
    ``aliases`` are the names it had in earlier versions."""

    name: str
    node: Node
    nominal: bool
    has_default: bool
    default: JsonValue
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Record:
    """Fields in the order in which they are encoded."""

    name: str
    fields: tuple[Field, ...]


Node: TypeAlias = Scalar | Fixed | DecimalFixed | Enum | Nullable | Array | Record


def is_object(value: object) -> TypeGuard[dict[str, JsonValue]]:
    """Whether a JSON value is an object."""
    return isinstance(value, dict)


def is_list(value: object) -> TypeGuard[list[JsonValue]]:
    """Whether a JSON value is an array."""
    return isinstance(value, list)


def _unique(pairs: list[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("an object has the same key twice")
    return found


def _no_fraction(text: str) -> JsonValue:
    raise ValueError(f"`{text[:40]}` is no whole number, and a schema needs no other")


def read_text(text: str) -> JsonValue:
    """Parse the text of an ``.avsc`` file (RFC 8259) more strictly than JSON asks: a key once, whole numbers only.

    Raises UsageError.
    """
    try:
        value = json.loads(text, object_pairs_hook=_unique, parse_float=_no_fraction, parse_constant=_no_fraction)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"the schema is no JSON: {error}", advice="correct the .avsc file") from error
    return cast("JsonValue", value)


def full_name(name: str, namespace: str) -> str:
    """The full name of a named type as Avro 1.12 "Names" resolves it: a dotted name stands for itself."""
    return name if "." in name or not namespace else f"{namespace}.{name}"


def namespace_of(schema: dict[str, JsonValue], namespace: str) -> str:
    """The namespace in which the types inside this named type are resolved (Avro 1.12 "Names")."""
    name = schema.get("name")
    if isinstance(name, str) and "." in name:
        return name.rpartition(".")[0]
    own = schema.get("namespace")
    return own if isinstance(own, str) else namespace


def read_schema(avsc: JsonValue) -> Record:
    """The tree of a linted schema. Raises UsageError where the schema leaves the subset."""
    try:
        node = _Reader().node(avsc, "")
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UsageError("the schema is outside the Avro subset of the exchange", advice="see what the lint says") from error
    if not isinstance(node, Record):
        raise UsageError("a section's schema is a record", advice="wrap the type in a record")
    return node


class _Reader:
    def __init__(self) -> None:
        self.named: dict[str, Node] = {}

    def node(self, schema: JsonValue, namespace: str) -> Node:
        if is_list(schema):
            if len(schema) == 2 and schema[0] == "null":
                return Nullable(self.node(schema[1], namespace))
        elif isinstance(schema, str):
            if schema in PRIMITIVES:
                return Scalar(cast("ScalarKind", schema))
            return self.named[full_name(schema, namespace)]
        elif is_object(schema):
            return self._object(schema, namespace)
        raise UsageError(f"`{str(schema)[:60]}` is outside the Avro subset of the exchange", advice="see what the lint says")

    def _object(self, schema: dict[str, JsonValue], namespace: str) -> Node:
        kind = schema["type"]
        match kind, schema.get("logicalType"):
            case "array", None:
                return Array(self.node(schema["items"], namespace))
            case "long", "timestamp-millis":
                return Scalar("timestamp")
            case "int", "date":
                return Scalar("date")
            case str(), None if kind in PRIMITIVES:
                return Scalar(cast("ScalarKind", kind))
            case _:
                return self._definition(schema, kind, namespace)

    def _definition(self, schema: dict[str, JsonValue], kind: JsonValue, namespace: str) -> Node:
        inner = namespace_of(schema, namespace)
        name = full_name(cast("str", schema["name"]), inner)
        match kind, schema.get("logicalType"):
            case "fixed", None:
                node: Node = Fixed(cast("int", schema["size"]))
            case "fixed", "decimal":
                node = DecimalFixed(cast("int", schema["size"]), cast("int", schema["precision"]), cast("int", schema.get("scale", 0)))
            case "enum", None:
                node = Enum(tuple(cast("list[str]", schema["symbols"])), cast("str | None", schema.get("default")))
            case "record", None:
                node = Record(name, tuple(self._fields(cast("list[JsonValue]", schema["fields"]), inner)))
            case _:
                raise UsageError(f"`{str(kind)[:60]}` is outside the Avro subset of the exchange", advice="see what the lint says")
        self.named[name] = node
        return node

    def _fields(self, fields: list[JsonValue], namespace: str) -> Iterator[Field]:
        for field in fields:
            if not is_object(field):
                raise TypeError
            node = self.node(field["type"], namespace)
            nominal = field.get("nominal") is True
            aliases = tuple(cast("list[str]", field.get("aliases", [])))
            yield Field(cast("str", field["name"]), node, nominal, "default" in field, field.get("default"), aliases)


def leaves(record: Record, prefix: str = "") -> Iterator[tuple[str, Field]]:
    """Every field that holds a value rather than a record, with its path: ``parties[].name``. Arrays of values count as leaves."""
    for field in record.fields:
        path, node = f"{prefix}{field.name}", field.node
        while isinstance(node, Nullable | Array):
            path, node = (f"{path}[]", node.items) if isinstance(node, Array) else (path, node.inner)
        if isinstance(node, Record):
            yield from leaves(node, f"{path}.")
        else:
            yield path, field


def within(outer: str, inner: str) -> str:
    """A path inside a path: ``goods`` and ``[3].hs`` give ``goods[3].hs``, ``route`` and ``mode`` give ``route.mode``."""
    if not inner or not outer:
        return outer or inner
    return f"{outer}{inner}" if inner.startswith("[") else f"{outer}.{inner}"
