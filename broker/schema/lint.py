"""What a schema may not be. A schema is the other half of a hostile message: an empty record nested ten by ten decodes from no
bytes at all into gigabytes, and a recursive one ends the process. The rules keep every value's size in proportion to its bytes.

Avro 1.12, narrowed: a record at the top; no recursion, maps, floats or unions other than ``[null, T]``; nothing that takes no
bytes; decimals on ``fixed`` only; logical types ``timestamp-millis``, ``date`` and ``decimal``; at most 8 records and arrays inside
each other, 200 fields and 2,000 nodes once references are expanded; small defaults; ASCII names; no attribute we do not know.
Besides: every record, field and enum says what it means (``doc``), and ``nominal`` marks single values only, none of them in a
section or header that everyone entitled to the message reads.

A finding of severity REJECT keeps the schema out of every catalogue.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, NamedTuple

from broker.errors import Finding
from broker.schema.avsc import PRIMITIVES, JsonValue, full_name, is_list, is_object, namespace_of, within

MAX_DEPTH: Final = 8
MAX_FIELDS: Final = 200
MAX_NODES: Final = 2_000
MAX_FIXED: Final = 1_024
MAX_SYMBOLS: Final = 1_024
OPEN_TO_ALL: Final = frozenset({"header", "slip", "receipt"})
"""Families whose records carry no nominal field at all; in the others ``core`` carries none."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_FULL_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}(?:\.[A-Za-z_][A-Za-z0-9_]{0,63}){0,9}")
_LOGICAL: Final[dict[str, JsonValue]] = {"long": "timestamp-millis", "int": "date", "fixed": "decimal"}
_KNOWN: Final[dict[str, frozenset[str]]] = {
    "record": frozenset({"type", "name", "namespace", "doc", "aliases", "fields"}),
    "enum": frozenset({"type", "name", "namespace", "doc", "aliases", "symbols", "default"}),
    "fixed": frozenset({"type", "name", "namespace", "doc", "aliases", "size", "logicalType", "precision", "scale"}),
    "array": frozenset({"type", "items"}),
}
_OF_PRIMITIVE: Final = frozenset({"type", "logicalType"})
_OF_FIELD: Final = frozenset({"name", "type", "doc", "default", "aliases", "order", "nominal"})
_UNFOLD: Final = 40  # how deep the JSON itself may nest before we stop looking


class _Shape(NamedTuple):
    nodes: int  # of the tree with every reference expanded
    depth: int  # records and arrays inside each other
    kind: str  # "record", "enum", "fixed", a primitive, "array of records", "array of values"
    nullable: bool = False
    symbols: tuple[JsonValue, ...] = ()


_UNKNOWN = _Shape(1, 0, "unknown")


def lint(avsc: JsonValue, *, family: str = "", section: str = "") -> list[Finding]:
    """Everything wrong with a schema, each with the path of the field. ``family`` and ``section`` say where it is to serve."""
    linter = _Linter(nominal_allowed=family not in OPEN_TO_ALL and section != "core")
    shape = linter.visit(avsc, "", "", 0)
    if shape.kind != "record" or shape.nullable:
        linter.reject("SCHEMA_ROOT", "", "the top of a section's schema is a record")
    if linter.fields > MAX_FIELDS:
        linter.reject("SCHEMA_TOO_LARGE", "", f"{linter.fields} fields, at most {MAX_FIELDS} are allowed")
    if shape.nodes > MAX_NODES:
        linter.reject("SCHEMA_TOO_LARGE", "", f"{shape.nodes} nodes once expanded, at most {MAX_NODES} are allowed")
    if shape.depth > MAX_DEPTH:
        linter.reject("SCHEMA_TOO_DEEP", "", f"{shape.depth} records and arrays inside each other, at most {MAX_DEPTH} are allowed")
    return linter.findings


def _shown(value: JsonValue) -> str:
    return str(value)[:60].encode("unicode_escape").decode("ascii")


class _Linter:
    def __init__(self, *, nominal_allowed: bool) -> None:
        self.findings: list[Finding] = []
        self.fields = 0
        self.named: dict[str, _Shape | None] = {}  # None while the type is being read: a reference to it is recursion
        self.nominal_allowed = nominal_allowed

    def reject(self, code: str, path: str, reason: str) -> None:
        self.findings.append(Finding("REJECT", code, path, reason))

    def visit(self, schema: JsonValue, path: str, namespace: str, level: int) -> _Shape:
        if level > _UNFOLD:
            self.reject("SCHEMA_TOO_DEEP", path, "types are nested too deeply to be read")
            return _UNKNOWN
        if isinstance(schema, str):
            return self._reference(schema, path, namespace)
        if is_list(schema):
            return self._union(schema, path, namespace, level)
        if not is_object(schema):
            self.reject("SCHEMA_TYPE", path, f"`{_shown(schema)}` is no type")
            return _UNKNOWN
        kind = schema.get("type")
        known = _KNOWN.get(kind, _OF_PRIMITIVE if kind in PRIMITIVES else None) if isinstance(kind, str) else None
        if not isinstance(kind, str) or known is None:
            self.reject("SCHEMA_TYPE", path, f"the type `{_shown(kind)}` is not allowed: {_instead(kind)}")
            return _UNKNOWN
        self._attributes(schema, known, path)
        self._logical(schema, kind, path)
        if kind in PRIMITIVES:
            return _Shape(1, 0, kind)
        if kind == "array":
            return self._array(schema, path, namespace, level)
        return self._definition(schema, kind, path, namespace, level)

    def _attributes(self, schema: dict[str, JsonValue], known: frozenset[str], path: str) -> None:
        for key in sorted(schema.keys() - known):
            self.reject("SCHEMA_ATTRIBUTE", path, f"the attribute `{_shown(key)}` has no meaning here: remove it")

    def _logical(self, schema: dict[str, JsonValue], kind: str, path: str) -> None:
        logical = schema.get("logicalType")
        if kind == "fixed" and (logical == "decimal" or "precision" in schema or "scale" in schema):
            self._decimal(schema, path)
        elif "logicalType" in schema and logical != _LOGICAL.get(kind, ""):
            advice = "hold decimals in a fixed" if logical == "decimal" else "use timestamp-millis, date or a decimal on a fixed"
            self.reject("SCHEMA_LOGICAL_TYPE", path, f"the logical type `{_shown(logical)}` on {kind} is not allowed: {advice}")

    def _decimal(self, schema: dict[str, JsonValue], path: str) -> None:
        size, precision, scale = schema.get("size"), schema.get("precision"), schema.get("scale", 0)
        if schema.get("logicalType") != "decimal":
            self.reject("SCHEMA_LOGICAL_TYPE", path, "precision and scale belong to the logical type decimal")
        elif not _whole(precision, 1, 38) or not _whole(scale, 0, 38) or int(str(scale)) > int(str(precision)):
            self.reject("SCHEMA_DECIMAL", path, "a decimal has a precision of 1 to 38 digits and a scale of 0 up to the precision")
        elif _whole(size, 1, MAX_FIXED) and 10 ** int(str(precision)) > 1 << (8 * int(str(size)) - 1):
            self.reject("SCHEMA_DECIMAL", path, f"{size} bytes do not hold {precision} digits: enlarge the fixed")

    def _reference(self, name: str, path: str, namespace: str) -> _Shape:
        if name in PRIMITIVES:
            return _Shape(1, 0, name)
        full = full_name(name, namespace)
        if full not in self.named:
            self.reject("SCHEMA_TYPE", path, f"the type `{_shown(name)}` is not allowed or not defined before: {_instead(name)}")
            return _UNKNOWN
        shape = self.named[full]
        if shape is None:
            self.reject("SCHEMA_RECURSION", path, f"`{_shown(name)}` contains itself: refer to the other thing by its id")
            return _UNKNOWN
        return shape

    def _union(self, branches: list[JsonValue], path: str, namespace: str, level: int) -> _Shape:
        if len(branches) != 2 or branches[0] != "null" or is_list(branches[1]):
            self.reject("SCHEMA_UNION", path, "a union is [null, T] with null first, and nothing else")
            return _UNKNOWN
        inner = self.visit(branches[1], path, namespace, level + 1)
        return _Shape(inner.nodes + 2, inner.depth, inner.kind, nullable=True)

    def _array(self, schema: dict[str, JsonValue], path: str, namespace: str, level: int) -> _Shape:
        items = self.visit(schema.get("items"), f"{path}[]", namespace, level + 1)
        kind = "array of records" if items.kind in {"record", "array of records"} else "array of values"
        return _Shape(items.nodes + 1, items.depth + 1, kind)

    def _definition(self, schema: dict[str, JsonValue], kind: str, path: str, namespace: str, level: int) -> _Shape:
        inner = namespace_of(schema, namespace)
        name, own_namespace = schema.get("name"), schema.get("namespace")
        if not isinstance(name, str) or not _FULL_NAME.fullmatch(name):
            self.reject("SCHEMA_NAME", path, f"`{_shown(name)}` is no name: use ASCII letters, digits and underscores, 64 at most")
            name = "unnamed"
        if "namespace" in schema and not (isinstance(own_namespace, str) and _FULL_NAME.fullmatch(own_namespace)):
            self.reject("SCHEMA_NAME", path, f"`{_shown(own_namespace)}` is no namespace: use ASCII names joined by dots")
        self._aliases(schema, path, _FULL_NAME)
        if kind != "fixed":
            self._doc(schema, path, kind)
        full = full_name(name, inner)
        if full in self.named or name in PRIMITIVES:
            self.reject("SCHEMA_NAME", path, f"`{_shown(full)}` is defined already: give the second type another name")
        self.named[full] = None
        if kind == "record":
            shape = self._record(schema, path, inner, level)
        else:
            symbols = self._enum(schema, path) if kind == "enum" else self._fixed(schema, path)
            shape = _Shape(1, 0, kind, symbols=symbols)
        self.named[full] = shape
        return shape

    def _fixed(self, schema: dict[str, JsonValue], path: str) -> tuple[JsonValue, ...]:
        if not _whole(schema.get("size"), 1, MAX_FIXED):
            self.reject("SCHEMA_ZERO_SIZE", path, f"a fixed has a size of 1 to {MAX_FIXED} bytes")
        return ()

    def _enum(self, schema: dict[str, JsonValue], path: str) -> tuple[JsonValue, ...]:
        symbols = schema.get("symbols")
        if not is_list(symbols) or not 1 <= len(symbols) <= MAX_SYMBOLS:
            self.reject("SCHEMA_ENUM", path, f"an enum has 1 to {MAX_SYMBOLS} symbols")
            return ()
        named = [symbol for symbol in symbols if isinstance(symbol, str) and _NAME.fullmatch(symbol)]
        if len(named) != len(symbols) or len(set(named)) != len(named):
            self.reject("SCHEMA_ENUM", path, "symbols are ASCII letters, digits and underscores, each once")
        if "default" in schema and schema["default"] not in named:
            self.reject("SCHEMA_DEFAULT", path, f"the default `{_shown(schema['default'])}` is none of the symbols")
        return tuple(symbols)

    def _record(self, schema: dict[str, JsonValue], path: str, namespace: str, level: int) -> _Shape:
        fields = schema.get("fields")
        if not is_list(fields) or not fields:
            self.reject("SCHEMA_ZERO_SIZE", path, "a record has at least one field: an empty one takes no bytes")
            return _Shape(1, 1, "record")
        nodes, depth, seen = 1, 0, set[str]()
        for number, field in enumerate(fields):
            if not is_object(field):
                self.reject("SCHEMA_FIELD", path, f"field {number} is no object with a name and a type")
                continue
            shape = self._field(field, path, namespace, level, seen)
            nodes, depth = nodes + shape.nodes, max(depth, shape.depth)
        self.fields += len(fields)
        return _Shape(nodes, depth + 1, "record")

    def _field(self, field: dict[str, JsonValue], outer: str, namespace: str, level: int, seen: set[str]) -> _Shape:
        name = field.get("name")
        path = within(outer, _shown(name))
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            self.reject("SCHEMA_NAME", path, "a field's name is ASCII letters, digits and underscores, 64 at most")
        elif name in seen:
            self.reject("SCHEMA_NAME", path, "the record has a field of this name already")
        else:
            seen.add(name)
        self._attributes(field, _OF_FIELD, path)
        self._doc(field, path, "field")
        self._aliases(field, path, _NAME)
        if "order" in field and field["order"] not in ("ascending", "descending", "ignore"):
            self.reject("SCHEMA_ATTRIBUTE", path, "order is ascending, descending or ignore")
        shape = self.visit(field.get("type"), path, namespace, level + 1)
        if "default" in field:
            self._default(field["default"], field.get("type"), shape, path)
        if "nominal" in field:
            self._nominal(field["nominal"], shape, path)
        return shape

    def _nominal(self, value: JsonValue, shape: _Shape, path: str) -> None:
        if value is not True:
            self.reject("SCHEMA_NOMINAL", path, "nominal is true, or absent")
        if shape.kind in {"record", "array of records"}:
            self.reject("SCHEMA_NOMINAL", path, "mark the single fields inside as nominal, not the record")
        if not self.nominal_allowed:
            self.reject("SCHEMA_NOMINAL", path, "everyone entitled to the message reads this: move the field to another section")

    def _default(self, value: JsonValue, declared: JsonValue, shape: _Shape, path: str) -> None:
        checks: dict[str, Callable[[JsonValue], bool]] = {
            "boolean": lambda given: isinstance(given, bool),
            "int": lambda given: _whole(given, -(1 << 31), (1 << 31) - 1),
            "long": lambda given: _whole(given, -(1 << 63), (1 << 63) - 1),
            "string": lambda given: isinstance(given, str) and len(given) <= 64,
            "enum": lambda given: given in shape.symbols,
            "array of values": lambda given: given == [],
            "array of records": lambda given: given == [],
        }
        if shape.nullable:
            fits = value is None
        else:
            logical = is_object(declared) and "logicalType" in declared
            fits = shape.kind in checks and not logical and checks[shape.kind](value)
        if not fits:
            self.reject("SCHEMA_DEFAULT", path, "a default is null for [null, T], [] for an array, or one short value of a plain type")

    def _doc(self, schema: dict[str, JsonValue], path: str, kind: str) -> None:
        doc = schema.get("doc")
        if not isinstance(doc, str) or not doc.strip():
            self.reject("SCHEMA_UNDOCUMENTED", path, f"the {kind} has no doc: say what it means, its unit and its code list")

    def _aliases(self, schema: dict[str, JsonValue], path: str, pattern: re.Pattern[str]) -> None:
        aliases = schema.get("aliases", [])
        if not is_list(aliases) or not all(isinstance(alias, str) and pattern.fullmatch(alias) for alias in aliases):
            self.reject("SCHEMA_NAME", path, "aliases are a list of ASCII names")


def _whole(value: JsonValue, low: int, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _instead(kind: JsonValue) -> str:
    match kind:
        case "float" | "double":
            return "use a decimal on a fixed, or an int in a stated unit"
        case "map":
            return "use an array of records"
        case "null":
            return "null stands only in [null, T]"
        case _:
            return "use boolean, int, long, string, bytes, fixed, enum, array, record or [null, T]"
