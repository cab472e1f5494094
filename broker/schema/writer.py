"""Encoder as Python source written for one schema and compiled once: the quick way for good values.

It writes what :mod:`broker.schema.encoder` writes, for values of exactly the types that are named there; at anything else it gives up
without saying why, and the encoder is asked, which names the field, or takes what is unusual and right (a Mapping that is no dict, a
tuple for a list). A property test keeps the two together.

Receipt, slip and header with four sections of an alert, on CPython 3.11 (best of nine runs on a shared core): 34 µs, where the encoder
takes 62.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any, Final, TypeAlias, assert_never

from broker.schema.avsc import Array, DecimalFixed, Enum, Fixed, Node, Nullable, Record, Scalar
from broker.schema.encoder import FieldError, compile_encoder, varint
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
    forbidden_character,
)

Write: TypeAlias = Callable[[object], bytearray]
"""The body of a record. Raises one of :data:`UNWRITABLE` where the encoder has to be asked."""


class Unwritable(ValueError):
    """A value that is not of the usual type, or out of range."""


UNWRITABLE: Final = (ValueError, KeyError, TypeError, AttributeError, IndexError, OverflowError, FieldError)
"""What writing an unusual value can raise."""

_SMALL: Final = tuple(varint(number) for number in range(1_024))
_GIVEN: Final[dict[str, Any]] = {
    "EPOCH": datetime(1970, 1, 1, tzinfo=UTC), "SMALL": _SMALL, "UTC": UTC, "Unwritable": Unwritable, "date": date,
    "datetime": datetime, "faulty": forbidden_character, "varint": varint,
}  # fmt: skip


def compile_writer(schema: Record) -> Write:
    """The writer of a linted schema."""
    source = _Source()
    source.node(schema, "d")
    lines = ["def write(d):", "    o = bytearray()", *source.lines, "    return o"]
    names: dict[str, Any] = {**_GIVEN, **source.constants}
    exec(compile("\n".join(lines), f"<writer of {schema.name}>", "exec"), names)  # noqa: S102 (our own source, of linted ASCII names)
    return names["write"]


class _Source:
    """Writes the body of a writer: ``o`` is what is written so far."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.constants: dict[str, object] = {}
        self._depth = 1
        self._count = 0

    def _add(self, *lines: str) -> None:
        self.lines += [f"{'    ' * self._depth}{line}" for line in lines]

    def _name(self, letter: str) -> str:
        self._count += 1
        return f"{letter}{self._count}"

    def _refuse_if(self, condition: str) -> None:
        self._add(f"if {condition}:", "    raise Unwritable")

    def _number(self, value: str) -> None:
        self._add(f"o += SMALL[{value}] if 0 <= {value} < 1024 else varint({value})")

    def node(self, node: Node, value: str) -> None:
        """Write the value of the variable ``value``."""
        match node:
            case Scalar():
                self._scalar(node, value)
            case Fixed(size):
                self._refuse_if(f"{value}.__class__ is not bytes or len({value}) != {size}")
                self._add(f"o += {value}")
            case DecimalFixed():
                self._decimal(node, value)
            case Enum(symbols):
                self._enum(symbols, value)
            case Nullable(inner):
                self._add(f"if {value} is None:", "    o.append(0)", "else:", "    o.append(2)")
                self._depth += 1
                self.node(inner, value)
                self._depth -= 1
            case Array(items):
                self._array(items, value)
            case Record():
                self._record(node, value)
            case _:
                assert_never(node)

    def _record(self, node: Record, value: str) -> None:
        self._refuse_if(f"{value}.__class__ is not dict or len({value}) != {len(node.fields)}")
        for field in node.fields:
            name = self._name("v")
            self._add(f"{name} = {value}[{field.name!r}]")
            self.node(field.node, name)

    def _array(self, items: Node, value: str) -> None:
        item = self._name("v")
        self._refuse_if(f"{value}.__class__ is not list or len({value}) > {ITEM_LIMIT}")
        self._add(f"if {value}:")
        self._depth += 1
        self._add(f"n = len({value})")
        self._number("n")
        self._add(f"for {item} in {value}:")
        self._depth += 1
        self.node(items, item)
        self._depth -= 2
        self._add("o.append(0)")

    def _scalar(self, node: Scalar, value: str) -> None:
        match node.kind:
            case "boolean":
                self._refuse_if(f"{value} is not True and {value} is not False")
                self._add(f"o.append({value})")
            case "string":
                self._refuse_if(f"{value}.__class__ is not str or (not {value}.isprintable() and faulty({value}))")
                self._add(f"t = {value}.encode()", "n = len(t)")
                self._number("n")
                self._add("o += t")
            case "bytes":
                self._refuse_if(f"{value}.__class__ is not bytes")
                self._add(f"n = len({value})")
                self._number("n")
                self._add(f"o += {value}")
            case "int":
                self._whole(INT_MIN, INT_MAX, value)
            case "long":
                self._whole(LONG_MIN, LONG_MAX, value)
            case "timestamp":
                self._timestamp(value)
            case "date":
                self._refuse_if(f"{value}.__class__ is not date or not {_day(FIRST_DAY)} <= {value}.toordinal() <= {_day(LAST_DAY)}")
                self._add(f"o += varint({value}.toordinal() - {EPOCH_DAY})")

    def _whole(self, low: int, high: int, value: str) -> None:
        self._refuse_if(f"{value}.__class__ is not int or not {low} <= {value} <= {high}")
        self._number(value)

    def _timestamp(self, value: str) -> None:
        """Milliseconds, or a datetime in UTC: other zones are the encoder's matter."""
        self._add(f"n = {value}", f"if {value}.__class__ is datetime:")
        self._depth += 1
        self._refuse_if(f"{value}.tzinfo is not UTC or {value}.microsecond % 1000")
        self._add(f"s = {value} - EPOCH", "n = s.days * 86400000 + s.seconds * 1000 + s.microseconds // 1000")
        self._depth -= 1
        self._refuse_if(f"n.__class__ is not int or not {FIRST_MS} <= n <= {LAST_MS}")
        self._add("o += varint(n)")

    def _decimal(self, node: DecimalFixed, value: str) -> None:
        """Rare enough: the encoder's own step, which raises FieldError."""
        name = self._name("D")
        self.constants[name] = compile_encoder(node)
        self._add(f"{name}({value}, o)")

    def _enum(self, symbols: tuple[str, ...], value: str) -> None:
        name = self._name("E")
        self.constants[name] = {symbol: varint(index) for index, symbol in enumerate(symbols)}
        self._add(f"o += {name}[{value}]")


def _day(day: date) -> int:
    return day.toordinal()
