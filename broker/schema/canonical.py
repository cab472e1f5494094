"""The strict canonical form of a schema, whose SHA-256 is the schema's name on the wire.

Avro's own Parsing Canonical Form (Avro 1.12, "Transforming into Parsing Canonical Form") drops defaults, aliases and logical
types, so two schemas that decode to different values share one fingerprint. This form keeps whatever can change a value or its
meaning, ``nominal`` included. Rules, applied to the parsed JSON:

1. ``doc`` is dropped, everywhere it is an attribute of a type or a field;
2. names and references of named types, and aliases of named types, become full names; ``namespace`` is dropped;
3. ``{"type": "string"}`` with no other attribute left becomes ``"string"`` (likewise for each primitive type);
4. the result is written by RFC 8785 (JSON Canonicalization Scheme): keys sorted, no white space, UTF-8. Arrays keep their order.
"""

from __future__ import annotations

import hashlib
import json
from typing import Final

from broker.errors import UsageError
from broker.schema.avsc import JsonValue, full_name, is_list, is_object, namespace_of

_PRIMITIVES: Final = frozenset({"null", "boolean", "int", "long", "float", "double", "bytes", "string"})
_NAMED: Final = frozenset({"record", "enum", "fixed"})


def canonical(avsc: JsonValue) -> bytes:
    """The canonical form of a schema as UTF-8. Raises UsageError where the schema holds a fraction."""
    return json.dumps(_type(avsc, ""), sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode("utf-8")


def schema_id(avsc: JsonValue) -> bytes:
    """The content id of a schema: SHA-256 of its canonical form, 32 bytes."""
    return hashlib.sha256(canonical(avsc)).digest()


def _type(schema: JsonValue, namespace: str) -> JsonValue:
    if isinstance(schema, str):
        return schema if schema in _PRIMITIVES else full_name(schema, namespace)
    if is_list(schema):
        return [_type(branch, namespace) for branch in schema]
    if not is_object(schema):
        return _plain(schema)
    kind = schema.get("type")
    if isinstance(kind, str) and kind in _NAMED:
        return _definition(schema, namespace)
    kept = {key: _plain(value) for key, value in schema.items() if key not in {"doc", "items", "values", "type"}}
    for key in ("items", "values"):
        if key in schema:
            kept[key] = _type(schema[key], namespace)
    if isinstance(kind, str) and kind in _PRIMITIVES and not kept:
        return kind
    return {**kept, "type": kind if isinstance(kind, str) else _type(kind, namespace)}


def _definition(schema: dict[str, JsonValue], namespace: str) -> JsonValue:
    inner = namespace_of(schema, namespace)
    form: dict[str, JsonValue] = {}
    for key, value in schema.items():
        if key in {"doc", "namespace"}:
            continue
        if key == "name" and isinstance(value, str):
            form[key] = full_name(value, inner)
        elif key == "aliases" and is_list(value):
            form[key] = [full_name(alias, inner) if isinstance(alias, str) else _plain(alias) for alias in value]
        elif key == "fields" and is_list(value):
            form[key] = [_field(field, inner) for field in value]
        else:
            form[key] = _plain(value)
    return form


def _field(field: JsonValue, namespace: str) -> JsonValue:
    if not is_object(field):
        return _plain(field)
    kept = {key: _plain(value) for key, value in field.items() if key not in {"doc", "type"}}
    return {**kept, "type": _type(field.get("type"), namespace)}


def _plain(value: JsonValue) -> JsonValue:
    if isinstance(value, float):
        raise UsageError(f"the schema holds the fraction {value!r}", advice="use whole numbers, or a decimal on a fixed")
    if is_list(value):
        return [_plain(item) for item in value]
    if is_object(value):
        return {key: _plain(item) for key, item in value.items()}
    return value
