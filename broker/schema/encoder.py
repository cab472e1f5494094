"""From a Python value to canonical Avro, checking everything on the way, compiled once per schema.

fastavro's writer puts 1.5 into an int as 1, ``True`` into a long as 1, a naive datetime in the zone of the machine, and drops the
digits of a time below the millisecond, all silently. An agency that signs what it did not mean is worse off than one that gets an
error, so values are checked first; once they are, writing them is one line for each type. Check and fastavro's writer
one after the other took about 40 µs where this takes 20 (the record is described in :mod:`broker.schema.codec`), so fastavro does not
write here; it is the oracle of the tests, and writes the same bytes.

Python types: boolean ``bool``; int and long ``int``; string ``str``; bytes and fixed ``bytes``; decimal ``Decimal``; timestamp an
aware ``datetime`` of whole milliseconds, or ``int`` Unix milliseconds; date ``date``; enum ``str``; array ``list`` or ``tuple``;
record a ``Mapping`` with every field and no other; absent ``None``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Final, TypeAlias, assert_never, cast

from broker.errors import UsageError
from broker.schema.avsc import Array, DecimalFixed, Enum, Fixed, Node, Nullable, Record, Scalar, within
from broker.schema.limits import (
    EPOCH_DAY,
    FIRST_DAY,
    FIRST_MS,
    INT_MAX,
    INT_MIN,
    ITEM_LIMIT,
    LAST_DAY,
    LAST_MS,
    LONG_MAX,
    LONG_MIN,
    character_fault,
    cost,
)

Encode: TypeAlias = Callable[[object, bytearray], None]
"""``(value, bytes so far)``; raises FieldError with the path inside the value."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class FieldError(UsageError):
    """A field's value does not fit the schema. ``path`` is like ``goods.items[3].hs``, empty for the whole record."""

    code = "BAD_FIELD"

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}" if path else reason, advice="correct the field named by the path")
        self.path = path
        self.reason = reason


def compile_encoder(node: Node) -> Encode:
    """The encoder for one node of a schema."""
    match node:
        case Scalar():
            return _scalar(node)
        case Fixed(size):
            return _fixed(size)
        case DecimalFixed():
            return _decimal(node)
        case Enum(symbols):
            return _enum(symbols)
        case Nullable(inner):
            return _nullable(compile_encoder(inner))
        case Array(items):
            return _array(compile_encoder(items))
        case Record():
            return _record(node)
        case _:
            assert_never(node)


def array_values(node: Node, value: object) -> int:
    """Values inside the arrays of a valid value, counted as the walk counts them against its budget."""
    match node:
        case Nullable(inner):
            return 0 if value is None else array_values(inner, value)
        case Record(_, fields):
            record = cast("Mapping[str, object]", value)
            return sum(array_values(field.node, record[field.name]) for field in fields)
        case Array(items):
            listed = cast("list[object]", value)
            return len(listed) * cost(items) + sum(array_values(items, item) for item in listed)
        case _:
            return 0


def _named(value: object) -> str:
    """What a value is, in words."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "true or false"
        case int():
            return "a whole number"
        case float() | Decimal():
            return "a number"
        case str():
            return "text"
        case bytes():
            return f"{len(value)} bytes"
        case Mapping():
            return "an object"
        case list() | tuple():
            return "a list"
        case _:
            return "something else"


def _shown(text: object) -> str:
    return f"`{str(text)[:60].encode('unicode_escape').decode('ascii')}`"


def varint(value: int) -> bytes:
    """A zigzag varint (Avro 1.12, "Primitive Types")."""
    raw = (value << 1) ^ (value >> 63)
    if raw < 0x80:
        return bytes((raw,))
    out = bytearray()
    while raw > 0x7F:
        out.append(raw & 0x7F | 0x80)
        raw >>= 7
    out.append(raw)
    return bytes(out)


_COUNTS: Final = tuple(varint(count) for count in range(1_024))


def _record(node: Record) -> Encode:
    encoders = tuple((field.name, compile_encoder(field.node)) for field in node.fields)
    names, count = frozenset(name for name, _ in encoders), len(encoders)

    def encode(value: object, out: bytearray) -> None:
        if type(value) is not dict and not isinstance(value, Mapping):
            raise FieldError("", f"an object with named fields is expected, not {_named(value)}")
        record = cast("Mapping[object, object]", value)
        name = ""
        try:
            for name, write in encoders:
                write(record[name], out)
        except FieldError as error:
            raise FieldError(within(name, error.path), error.reason) from None
        except KeyError:
            raise FieldError(name, "the field is missing") from None
        if len(record) != count:
            unknown = next(key for key in record if key not in names)
            raise FieldError(_shown(unknown)[1:-1], "the schema has no such field")

    return encode


def _array(write: Encode) -> Encode:
    def encode(value: object, out: bytearray) -> None:
        if not isinstance(value, list | tuple):
            raise FieldError("", f"a list is expected, not {_named(value)}")
        items = cast("list[object]", value)
        if not items:
            out.append(0)
            return
        if len(items) > ITEM_LIMIT:
            raise FieldError("", f"{len(items)} items, at most {ITEM_LIMIT} are allowed")
        out += varint(len(items))
        at = 0
        try:
            for item in items:
                write(item, out)
                at += 1
        except FieldError as error:
            raise FieldError(within(f"[{at}]", error.path), error.reason) from None
        out.append(0)

    return encode


def _nullable(write: Encode) -> Encode:
    def encode(value: object, out: bytearray) -> None:
        if value is None:
            out.append(0)
        else:
            out.append(2)
            write(value, out)

    return encode


def _scalar(node: Scalar) -> Encode:
    match node.kind:
        case "boolean":
            return _boolean
        case "string":
            return _string
        case "bytes":
            return _bytes
        case "int":
            return _whole(INT_MIN, INT_MAX, "32")
        case "long":
            return _whole(LONG_MIN, LONG_MAX, "64")
        case "timestamp":
            return _timestamp
        case "date":
            return _date


def _boolean(value: object, out: bytearray) -> None:
    if value is not True and value is not False:
        raise FieldError("", f"true or false is expected, not {_named(value)}")
    out.append(value)


def _string(value: object, out: bytearray) -> None:
    if not isinstance(value, str):
        raise FieldError("", f"text is expected, not {_named(value)}")
    if not value.isprintable():
        fault = character_fault(value)
        if fault:
            raise FieldError("", fault)
    text = value.encode()
    length = len(text)
    out += _COUNTS[length] if length < 1_024 else varint(length)
    out += text


def _bytes(value: object, out: bytearray) -> None:
    if not isinstance(value, bytes):
        raise FieldError("", f"bytes are expected, not {_named(value)}")
    out += varint(len(value))
    out += value


def _whole(low: int, high: int, bits: str) -> Encode:
    def encode(value: object, out: bytearray) -> None:
        if type(value) is not int:
            raise FieldError("", f"a whole number is expected, not {_named(value)}")
        if not low <= value <= high:
            raise FieldError("", f"the number does not fit into {bits} bits")
        out += _COUNTS[value] if 0 <= value < 1_024 else varint(value)

    return encode


def _timestamp(value: object, out: bytearray) -> None:
    if isinstance(value, datetime):
        if value.tzinfo is not UTC and value.utcoffset() is None:
            raise FieldError("", "the time has no zone: give it in UTC")
        since = value - _EPOCH
        if since.microseconds % 1_000:
            raise FieldError("", "the time is finer than a millisecond: round it")
        milliseconds = since.days * 86_400_000 + since.seconds * 1_000 + since.microseconds // 1_000
    elif type(value) is int:
        milliseconds = value
    else:
        raise FieldError("", f"a time with its zone is expected, not {_named(value)}")
    if not FIRST_MS <= milliseconds <= LAST_MS:
        raise FieldError("", "the time lies outside the years 1990 to 2100")
    out += varint(milliseconds)


def _date(value: object, out: bytearray) -> None:
    if not isinstance(value, date) or isinstance(value, datetime):
        raise FieldError("", f"a date is expected, not {'a time' if isinstance(value, datetime) else _named(value)}")
    if not FIRST_DAY <= value <= LAST_DAY:
        raise FieldError("", "the date lies outside the years 1900 to 2100")
    out += varint(value.toordinal() - EPOCH_DAY)


def _fixed(size: int) -> Encode:
    def encode(value: object, out: bytearray) -> None:
        if not isinstance(value, bytes) or len(value) != size:
            raise FieldError("", f"exactly {size} bytes are expected, not {_named(value)}")
        out += value

    return encode


def _decimal(node: DecimalFixed) -> Encode:
    size, scale, whole_digits = node.size, node.scale, node.precision - node.scale

    def encode(value: object, out: bytearray) -> None:
        if not isinstance(value, Decimal):
            raise FieldError("", f"a decimal number is expected, not {_named(value)}")
        sign, digits, exponent = value.as_tuple()
        if not isinstance(exponent, int):
            raise FieldError("", "a finite number is expected")
        if -exponent > scale:
            raise FieldError("", f"more than {scale} digits after the point")
        if not value:
            out += bytes(size)
            return
        if value.adjusted() >= whole_digits:
            raise FieldError("", f"more than {whole_digits} digits before the point")
        unscaled = int("".join(map(str, digits))) * 10 ** (exponent + scale)
        out += (-unscaled if sign else unscaled).to_bytes(size, "big", signed=True)

    return encode


def _enum(symbols: tuple[str, ...]) -> Encode:
    indexes: dict[object, bytes] = {symbol: varint(index) for index, symbol in enumerate(symbols)}
    listed = ", ".join(symbols) if len(symbols) <= 20 else f"{', '.join(symbols[:20])} ..."

    def encode(value: object, out: bytearray) -> None:
        if not isinstance(value, str) or value not in indexes:
            raise FieldError("", f"{_shown(value)} is none of {listed}")
        out += indexes[value]

    return encode
