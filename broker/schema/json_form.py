"""The JSON form of a record: what officers' systems send over HTTP, what files hold, what the screen shows.

| Avro | JSON |
| --- | --- |
| timestamp | ``"2026-11-24T03:00:00Z"`` (RFC 3339; milliseconds only if there are any; any offset is read, Z is written) |
| date | ``"2026-11-24"`` |
| decimal | ``"1234.50"``; a whole number is read too; a number with a fraction only if the reader kept its digits (:func:`read_json`) |
| fixed of 16 bytes | UUID text; any other fixed, and bytes | hexadecimal digits |
| enum | the symbol, or its written form: ``AMBER+STRICT``, ``CBRN-N`` |
| absent | the key left out, or null |

A key that is missing takes the schema's default, or null where the field may be absent. An unknown key is refused.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Final, TypeAlias, assert_never, cast

from broker.errors import Refusal, UsageError
from broker.ids import uuid_text
from broker.schema.avsc import Array, DecimalFixed, Enum, Field, Fixed, Node, Nullable, Record, Scalar, within
from broker.schema.catalogue import Section
from broker.schema.codec import AvroRecord
from broker.schema.encoder import FieldError

JsonForm: TypeAlias = "bool | int | str | list[JsonForm] | dict[str, JsonForm] | None"
"""What :func:`to_json` gives. It holds no floats."""

WRITTEN: Final = {"AMBER_STRICT": "AMBER+STRICT"} | {f"CBRN_{letter}": f"CBRN-{letter}" for letter in "CBRN"}
"""Symbols whose written form in the field is no Avro name: TLP 2.0 (FIRST), and the four kinds of CBRN material."""

_TIME: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:[Zz]|[+-]\d\d:\d\d)", re.ASCII)
_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_DECIMAL: Final = re.compile(r"-?\d{1,40}(?:\.\d{1,40})?", re.ASCII)
_HEX: Final = re.compile(r"(?:[0-9a-fA-F]{2})*")
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        twice = next(key for at, (key, _) in enumerate(pairs) if key in dict(pairs[:at]))
        raise ValueError(f"the key `{_shown(twice)}` stands twice in one object")
    return found


def _no_constant(text: str) -> object:
    raise ValueError(f"`{text}` is no JSON number")


def read_json(text: str) -> object:
    """Parse JSON (RFC 8259) with fractions kept as Decimal, digit for digit, and each key once. Raises UsageError."""
    try:
        return cast("object", json.loads(text, parse_float=Decimal, parse_constant=_no_constant, object_pairs_hook=_unique))
    except (ValueError, RecursionError, InvalidOperation) as error:
        raise UsageError(f"this is no JSON: {error}", advice="correct the file, or write it with a JSON library") from error


def from_json(section: Section, value: object, *, logical: bool = True) -> AvroRecord | Refusal:
    """The record of a JSON value, valid for ``section.codec.encode``; a BAD_FIELD refusal names the first field that is wrong.

    ``logical=False`` gives timestamps as Unix milliseconds instead of aware datetimes.
    """
    try:
        record = cast("AvroRecord", _Reading(logical=logical).node(section.schema, value))
        section.codec.check(record)
    except FieldError as error:
        return Refusal("BAD_FIELD", error.reason, within(section.section, error.path))
    return record


def to_json(section: Section, record: Mapping[str, object]) -> dict[str, JsonForm]:
    """The JSON form of a valid record, fields in the schema's order and absent ones as null; :func:`from_json` is its inverse."""
    return cast("dict[str, JsonForm]", _written(section.schema, record))


def _shown(value: object) -> str:
    return str(value)[:60].encode("unicode_escape").decode("ascii")


def _text(value: object, expected: str) -> str:
    if not isinstance(value, str):
        raise FieldError("", f"{expected} is expected as text, in quotes")
    return value


class _Reading:
    def __init__(self, *, logical: bool) -> None:
        self.logical = logical

    def node(self, node: Node, value: object) -> object:
        match node:
            case Scalar():
                return self._scalar(node, value)
            case Fixed(size):
                return _octets(value, size)
            case DecimalFixed(_, _, scale):
                return _decimal(value, scale)
            case Enum():
                return _text(value, "a code").replace("+", "_").replace("-", "_")
            case Nullable(inner):
                return None if value is None else self.node(inner, value)
            case Array(items):
                return self._items(items, value)
            case Record(_, fields):
                return self._record(fields, value)
            case _:
                assert_never(node)

    def _scalar(self, node: Scalar, value: object) -> object:
        match node.kind:
            case "timestamp":
                time = _time(value)
                return time if self.logical else _milliseconds(time)
            case "date":
                return _date(value)
            case "bytes":
                return _octets(value, None)
            case _:
                return value

    def _items(self, items: Node, value: object) -> list[object]:
        if not isinstance(value, list):
            raise FieldError("", "a list is expected")
        read: list[object] = []
        for item in cast("list[object]", value):
            try:
                read.append(self.node(items, item))
            except FieldError as error:
                raise FieldError(within(f"[{len(read)}]", error.path), error.reason) from None
        return read

    def _record(self, fields: tuple[Field, ...], value: object) -> AvroRecord:
        if not isinstance(value, Mapping):
            raise FieldError("", "an object with named fields is expected")
        given = cast("Mapping[object, object]", value)
        names = {field.name for field in fields}
        for key in given:
            if key not in names:
                raise FieldError(_shown(key), f"there is no such field; the fields are {', '.join(sorted(names))}")
        record: AvroRecord = {}
        for field in fields:
            try:
                record[field.name] = self._field(field, given)
            except FieldError as error:
                raise FieldError(within(field.name, error.path), error.reason) from None
        return record

    def _field(self, field: Field, given: Mapping[object, object]) -> object:
        if field.name in given:
            return self.node(field.node, given[field.name])
        if field.has_default:
            return self.node(field.node, field.default)
        if isinstance(field.node, Nullable):
            return None
        raise FieldError("", "the field is missing")


def _time(value: object) -> datetime:
    text = _text(value, "a time such as 2026-11-24T03:00:00Z")
    if _TIME.fullmatch(text):
        try:
            time = datetime.fromisoformat(text.upper()).astimezone(UTC)
        except (ValueError, OverflowError):
            time = None
        if time is not None:
            if re.search(r"\.\d{3}0*[1-9]", text):
                raise FieldError("", f"`{_shown(text)}` is finer than a millisecond: round it")
            return time
    raise FieldError("", f"`{_shown(text)}` is no time with its zone such as 2026-11-24T03:00:00Z (RFC 3339)")


def _date(value: object) -> date:
    text = _text(value, "a date such as 2026-11-24")
    if _DATE.fullmatch(text):
        try:
            return date.fromisoformat(text)
        except ValueError:
            pass
    raise FieldError("", f"`{_shown(text)}` is no date such as 2026-11-24")


def _decimal(value: object, scale: int) -> Decimal:
    if isinstance(value, Decimal) or (isinstance(value, int) and not isinstance(value, bool)):
        return Decimal(value)
    if isinstance(value, float):
        raise FieldError("", "write the number in quotes: a binary fraction would alter its digits")
    text = _text(value, "a decimal number such as 1234.50")
    if not _DECIMAL.fullmatch(text):
        raise FieldError("", f"`{_shown(text)}` is no decimal number with at most {scale} digits after a point")
    return Decimal(text)


def _octets(value: object, size: int | None) -> bytes:
    if size == 16 and isinstance(value, str) and _UUID.fullmatch(value):
        return bytes.fromhex(value.replace("-", ""))
    text = _text(value, "a UUID" if size == 16 else "a row of hexadecimal digits")
    if not _HEX.fullmatch(text) or (size is not None and len(text) != 2 * size):
        wanted = "a UUID" if size == 16 else "hexadecimal" if size is None else f"{2 * size} hexadecimal digits"
        raise FieldError("", f"`{_shown(text)}` is not {wanted}")
    return bytes.fromhex(text)


def _milliseconds(time: datetime) -> int:
    since = time - _EPOCH
    return since.days * 86_400_000 + since.seconds * 1_000 + since.microseconds // 1_000


def _written(node: Node, value: object) -> JsonForm:
    match node:
        case Scalar(kind):
            return _scalar_written(kind, value)
        case Fixed(size):
            octets = cast("bytes", value)
            return uuid_text(octets) if size == 16 else octets.hex()
        case DecimalFixed():
            return f"{cast('Decimal', value):f}"
        case Enum():
            symbol = cast("str", value)
            return WRITTEN.get(symbol, symbol)
        case Nullable(inner):
            return None if value is None else _written(inner, value)
        case Array(items):
            return [_written(items, item) for item in cast("list[object]", value)]
        case Record(_, fields):
            record = cast("Mapping[str, object]", value)
            return {field.name: _written(field.node, record[field.name]) for field in fields}
        case _:
            assert_never(node)


def _scalar_written(kind: str, value: object) -> JsonForm:
    match value:
        case bytes():
            return value.hex()
        case datetime():
            milliseconds = _milliseconds(value)
        case date():
            return value.isoformat()
        case int() if kind == "timestamp":
            milliseconds = value
        case _:
            return cast("bool | int | str", value)
    seconds, rest = divmod(milliseconds, 1_000)
    text = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{rest:03d}Z" if rest else f"{text}Z"
