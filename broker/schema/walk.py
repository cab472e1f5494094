"""The structural walk: what stands between received bytes and the Avro decoder.

fastavro 1.13 is built for trusted bytes: 7 of them make it allocate gigabytes, and it accepts trailing bytes, an enum index of -1,
a boolean 7 and a varint of any length. The walk, compiled once per schema, reads a body without building anything and accepts
exactly one encoding of each value (Avro 1.12 "Binary Encoding", narrowed):

- varints in their shortest form; ``int`` within 32 bits, ``long`` within 64; booleans 0 or 1; enum and union indexes in range;
- lengths and counts never above the bytes that are left; an array as one block of positive count, then 0, or 0 alone;
- text valid UTF-8 without forbidden characters; times, dates and decimals within their limits (:mod:`broker.schema.limits`);
- the record ends where the bytes end; bytes, array items and values inside arrays stay within budgets.

So equal content has equal bytes, and a decoder that comes after can neither fail nor swell. Closures, one per field, with
the fields of inner records in one row: on CPython 3.11 a record of 40 values and 756 bytes takes 16 µs, a message header of 486
bytes 11 µs (best of nine runs on a shared core).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias, assert_never

from broker.schema.avsc import Array, DecimalFixed, Enum, Field, Fixed, JsonValue, Node, Nullable, Record, Scalar, read_schema, within
from broker.schema.limits import FIRST_DAYS, FIRST_MS, ITEM_LIMIT, LAST_DAYS, LAST_MS, NODE_LIMIT, character_fault, cost

Step: TypeAlias = Callable[[bytes, int, list[int]], int]
"""``(body, position, [values left in the budget]) -> position after the value``."""
Walk: TypeAlias = Callable[[bytes, int], None]
"""``(body, most bytes allowed)``; raises WalkError."""

_ENDS_EARLY: Final = "the bytes end inside this value"


class WalkError(ValueError):
    """Bytes are not the canonical Avro of their schema. ``path`` is like ``goods.items[3].hs``, empty for the whole."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}" if path else reason)
        self.path = path
        self.reason = reason


def compile_walk(avsc: JsonValue | Record) -> Walk:
    """The walk for a linted schema. Raises UsageError where the schema leaves the subset.

    The walk raises WalkError and nothing else, whatever the bytes are, and keeps no state between calls.
    """
    step = _record(avsc if isinstance(avsc, Record) else read_schema(avsc))

    def walk(body: bytes, limit: int) -> None:
        if len(body) > limit:
            raise WalkError("", f"{len(body)} bytes, at most {limit} are allowed")
        end = step(body, 0, [NODE_LIMIT])
        if end != len(body):
            raise WalkError("", f"{len(body) - end} bytes follow the end of the record")

    return walk


def _compile(node: Node) -> Step:
    match node:
        case Scalar():
            return _scalar(node)
        case Fixed(size):
            return _fixed(size)
        case DecimalFixed():
            return _decimal(node)
        case Enum(symbols):
            return _enum(len(symbols))
        case Nullable(inner):
            return _nullable(_compile(inner))
        case Array(items):
            return _array(_compile(items), cost(items))
        case Record():
            return _record(node)
        case _:
            assert_never(node)


def _flat(fields: tuple[Field, ...], prefix: str) -> list[tuple[Step, str]]:
    """A record in a record is no more than its fields in a row: one call less for each."""
    steps: list[tuple[Step, str]] = []
    for field in fields:
        path = within(prefix, field.name)
        if isinstance(field.node, Record):
            steps += _flat(field.node.fields, path)
        else:
            steps.append((_compile(field.node), path))
    return steps


def _record(node: Record) -> Step:
    steps = tuple(_flat(node.fields, ""))

    def step(body: bytes, at: int, budget: list[int]) -> int:
        path = ""
        try:
            for walk, path in steps:  # noqa: B007 (the handlers read it)
                at = walk(body, at, budget)
        except WalkError as error:
            raise WalkError(within(path, error.path), error.reason) from None
        except IndexError:
            raise WalkError(path, _ENDS_EARLY) from None
        except UnicodeDecodeError:
            raise WalkError(path, "the text is no UTF-8") from None
        return at

    return step


def _array(item: Step, cost: int) -> Step:
    def step(body: bytes, at: int, budget: list[int]) -> int:
        raw = body[at]
        at += 1
        if raw >= 0x80:
            raw, at = long_varint(body, at - 1)
        if not raw:
            return at
        count = raw >> 1
        if raw & 1:
            raise WalkError("", "an array is one block with a positive count")
        if count > len(body) - at:
            raise WalkError("", f"{count} items are announced, {len(body) - at} bytes are left")
        budget[0] -= count * cost
        if count > ITEM_LIMIT or budget[0] < 0:
            raise WalkError("", f"too many items: at most {ITEM_LIMIT} in an array and {NODE_LIMIT} values in all arrays")
        number = 0
        try:
            while number < count:
                at = item(body, at, budget)
                number += 1
        except WalkError as error:
            raise WalkError(within(f"[{number}]", error.path), error.reason) from None
        except IndexError:
            raise WalkError(f"[{number}]", _ENDS_EARLY) from None
        except UnicodeDecodeError:
            raise WalkError(f"[{number}]", "the text is no UTF-8") from None
        if body[at]:
            raise WalkError("", "an array is one block, then a zero")
        return at + 1

    return step


def _nullable(inner: Step) -> Step:
    def step(body: bytes, at: int, budget: list[int]) -> int:
        branch = body[at]
        if not branch:
            return at + 1
        if branch == 2:
            return inner(body, at + 1, budget)
        raise WalkError("", "a value that may be absent begins with 00 or 02")

    return step


def _scalar(node: Scalar) -> Step:
    match node.kind:
        case "boolean":
            return _boolean
        case "string":
            return _string
        case "bytes":
            return _bytes
        case "int":
            return _int
        case "long":
            return _long
        case "timestamp":
            return _ranged(FIRST_MS, LAST_MS, "the time lies outside the years 1990 to 2100")
        case "date":
            return _ranged(FIRST_DAYS, LAST_DAYS, "the date lies outside the years 1900 to 2100")


def long_varint(body: bytes, at: int) -> tuple[int, int]:
    """A varint of one byte or more, zigzag not undone, and the position after it."""
    byte = body[at]
    raw, shift = byte & 0x7F, 7
    while byte & 0x80:
        at += 1
        byte = body[at]
        raw |= (byte & 0x7F) << shift
        shift += 7
        if shift == 70 and byte > 1:
            raise WalkError("", "a number exceeds 64 bits")
    if not byte and shift > 7:
        raise WalkError("", "a number is not in its shortest form")
    return raw, at + 1


def _boolean(body: bytes, at: int, _budget: list[int]) -> int:
    if body[at] > 1:
        raise WalkError("", "a boolean is 00 or 01")
    return at + 1


def _string(body: bytes, at: int, _budget: list[int]) -> int:
    raw = body[at]
    at += 1
    if raw >= 0x80:
        raw, at = long_varint(body, at - 1)
    end = at + (raw >> 1)
    if raw & 1 or end > len(body):
        raise WalkError("", "a length is negative or above the bytes that are left")
    text = body[at:end].decode()
    if not text.isprintable():
        fault = character_fault(text)
        if fault:
            raise WalkError("", fault)
    return end


def _bytes(body: bytes, at: int, _budget: list[int]) -> int:
    raw, at = long_varint(body, at)
    end = at + (raw >> 1)
    if raw & 1 or end > len(body):
        raise WalkError("", "a length is negative or above the bytes that are left")
    return end


def _int(body: bytes, at: int, _budget: list[int]) -> int:
    if body[at] < 0x80:
        return at + 1
    raw, at = long_varint(body, at)
    if raw > 0xFFFF_FFFF:
        raise WalkError("", "an int exceeds 32 bits")
    return at


def _long(body: bytes, at: int, _budget: list[int]) -> int:
    if body[at] < 0x80:
        return at + 1
    return long_varint(body, at)[1]


def _ranged(low: int, high: int, reason: str) -> Step:
    def step(body: bytes, at: int, _budget: list[int]) -> int:
        raw, at = long_varint(body, at)
        if not low <= (raw >> 1) ^ -(raw & 1) <= high:
            raise WalkError("", reason)
        return at

    return step


def _fixed(size: int) -> Step:
    def step(body: bytes, at: int, _budget: list[int]) -> int:
        at += size
        if at > len(body):
            raise WalkError("", _ENDS_EARLY)
        return at

    return step


def _decimal(node: DecimalFixed) -> Step:
    size, bound = node.size, 10**node.precision

    def step(body: bytes, at: int, _budget: list[int]) -> int:
        end = at + size
        if end > len(body):
            raise WalkError("", _ENDS_EARLY)
        if not -bound < int.from_bytes(body[at:end], "big", signed=True) < bound:
            raise WalkError("", f"a decimal has more than {node.precision} digits")
        return end

    return step


def _enum(symbols: int) -> Step:
    bound = 2 * symbols

    def step(body: bytes, at: int, _budget: list[int]) -> int:
        raw = body[at]
        at += 1
        if raw >= 0x80:
            raw, at = long_varint(body, at - 1)
        if raw >= bound or raw & 1:
            raise WalkError("", f"an enum of {symbols} symbols has no such index")
        return at

    return step
