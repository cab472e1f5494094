"""Deterministic CBOR (RFC 8949 section 4.2.1), the small part of it that records are made of, read strictly.

What a record may hold: integers of at most 64 bits, byte strings, text strings, arrays, maps with integer or text keys, null,
and tag 18 (COSE_Sign1). No floats, booleans, other tags or big numbers. One value has exactly one encoding, so equal bytes and
equal values are the same thing, and what :func:`decode` accepts :func:`encode` gives back byte for byte.

The decoder is our own because it meets hostile bytes before any signature is checked: it never reserves memory from a claimed
length, never nests deeper than :data:`DEPTH`, never merges duplicate keys, and raises nothing but :class:`CborError`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final, Literal, NamedTuple, NoReturn, TypeAlias

DEPTH: Final = 8
"""Deepest nesting of arrays, maps and tags."""
SIGN1_TAG: Final = 18
"""The only tag: COSE_Sign1 (RFC 9052 section 4.2)."""
ITEMS: Final = 4096
"""Most items in one encoding: a megabyte of empty maps would cost half a second and 70 MB, a parcel has about fifty."""

_WIDTHS: Final = {24: (1, 24), 25: (2, 1 << 8), 26: (4, 1 << 16), 27: (8, 1 << 32)}
"""Additional information of an initial byte: bytes of the argument that follow, and the least value that needs so many."""

Code: TypeAlias = Literal["BAD_CBOR", "NOT_CANONICAL"]


class CborError(ValueError):
    """Bytes that are not what this format allows. ``code`` is BAD_CBOR (broken, cut off, or a kind of value that records never
    hold) or NOT_CANONICAL (readable, but not in the one deterministic encoding)."""

    def __init__(self, code: Code, reason: str) -> None:
        super().__init__(reason)
        self.code: Code = code
        self.reason = reason


class Tagged(NamedTuple):
    """A tagged item; ``tag`` is 18 wherever :func:`decode` made it."""

    tag: int
    value: Item


Item: TypeAlias = "int | bytes | str | list[Item] | dict[int | str, Item] | Tagged | None"
"""What :func:`decode` returns."""
EncodableMap: TypeAlias = "Mapping[int, Encodable] | Mapping[str, Encodable] | Mapping[int | str, Encodable]"
Encodable: TypeAlias = "int | bytes | str | Sequence[Encodable] | EncodableMap | Tagged | None"
"""What :func:`encode` takes: an Item, or the same with tuples and read-only mappings."""


def head(major: int, argument: int) -> bytes:
    """The initial byte and argument of an item in the shortest form (RFC 8949 section 3); ``argument`` below 2**64."""
    if argument < 24:
        return bytes((major << 5 | argument,))
    if argument < 1 << 8:
        return bytes((major << 5 | 24, argument))
    if argument < 1 << 16:
        return bytes((major << 5 | 25, argument >> 8, argument & 0xFF))
    if argument < 1 << 32:
        return bytes((major << 5 | 26,)) + argument.to_bytes(4, "big")
    return bytes((major << 5 | 27,)) + argument.to_bytes(8, "big")


@lru_cache(maxsize=4096)
def bytes_head(length: int) -> bytes:
    """The head of a byte string of ``length`` bytes: assembling records joins heads with the strings themselves."""
    return head(2, length)


@lru_cache(maxsize=256)
def text(value: str) -> bytes:
    """A text string; remembered, because names of sections come again in every record."""
    raw = value.encode()
    return head(3, len(raw)) + raw


def encode(value: Encodable) -> bytes:
    """The one deterministic encoding of a value.

    Raises TypeError for a value that records cannot hold, ValueError for an integer over 64 bits, another tag than 18, nesting
    deeper than :data:`DEPTH` or more than :data:`ITEMS` items: both are mistakes of the calling code.
    """
    parts: list[bytes] = []
    if _write(value, 0, parts) > ITEMS:
        raise ValueError(f"more than {ITEMS} items")
    return b"".join(parts)


def _write(value: Encodable, depth: int, parts: list[bytes]) -> int:
    """Append the encoding; the number of items written."""
    match value:
        case None:
            parts.append(b"\xf6")
        case bytes():
            parts += head(2, len(value)), value
        case str():
            raw = value.encode()
            parts += head(3, len(raw)), raw
        case bool():
            raise TypeError("records hold no booleans: write 0 or 1")
        case int():
            parts.append(_integer(value))
        case list():  # as any other sequence below, and without asking an abstract class: most rows are lists
            parts.append(head(4, len(value)))
            below = _deeper(depth)
            count = 1
            for entry in value:
                count += _write(entry, below, parts)
            return count
        case Tagged(tag, inner):
            if tag != SIGN1_TAG:
                raise ValueError(f"tag {tag} is not used in records, only tag {SIGN1_TAG}")
            parts.append(b"\xd2")
            return 1 + _write(inner, _deeper(depth), parts)
        case Mapping():
            return _write_map({_key(key): entry for key, entry in value.items()}, _deeper(depth), parts)
        case Sequence() if not isinstance(value, (bytearray, memoryview)):
            parts.append(head(4, len(value)))
            below = _deeper(depth)
            return 1 + sum(_write(entry, below, parts) for entry in value)
        case _:  # pyright: ignore[reportUnnecessaryComparison]  callers without a type checker
            raise TypeError(f"records hold no {type(value).__name__}")
    return 1


def _write_map(entries: Mapping[bytes, Encodable], depth: int, parts: list[bytes]) -> int:
    parts.append(head(5, len(entries)))
    count = 1 + len(entries)
    for key in sorted(entries):
        parts.append(key)
        count += _write(entries[key], depth, parts)
    return count


def _deeper(depth: int) -> int:
    if depth >= DEPTH:
        raise ValueError(f"nesting deeper than {DEPTH}")
    return depth + 1


def _integer(value: int) -> bytes:
    number = value if value >= 0 else -1 - value
    if number >> 64:
        raise ValueError("an integer needs more than 64 bits")
    return head(0 if value >= 0 else 1, number)


def _key(key: int | str) -> bytes:
    if isinstance(key, str):
        return text(key)
    if isinstance(key, bool) or not isinstance(key, int):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError("map keys are integers or text")
    return _integer(key)


def decode(data: bytes) -> Item:
    """Read exactly one item, the whole of ``data``. Raises CborError, and nothing else, whatever the bytes are."""
    try:
        item, end = _read(data, 0, 0, [ITEMS - 1])
    except IndexError:
        _cut_off()
    if end != len(data):
        raise CborError("BAD_CBOR", f"{len(data) - end} bytes follow the end of the item")
    return item


def _cut_off() -> NoReturn:
    raise CborError("BAD_CBOR", "the bytes end inside an item") from None


def _read(data: bytes, at: int, depth: int, left: list[int]) -> tuple[Item, int]:
    """The item that begins at ``at``, and where it ends. Raises CborError, or IndexError where the bytes end.

    ``left`` holds one number, how many more items there may be.
    """
    first = data[at]
    at += 1
    argument = first & 31
    if argument > 23:
        argument, at = _argument(data, at, first)
    kind = first >> 5
    if 2 <= kind <= 3:
        end = at + argument
        if end > len(data):
            _cut_off()
        return (data[at:end] if kind == 2 else _text(data[at:end])), end
    if kind == 0:
        return argument, at
    if kind == 1:
        return -1 - argument, at
    if kind == 7:
        if first != 0xF6:
            raise CborError("BAD_CBOR", "records hold no floating-point numbers, booleans or other simple values than null")
        return None, at
    if depth >= DEPTH:
        raise CborError("BAD_CBOR", f"the items nest deeper than {DEPTH}")
    if kind == 5:
        return _read_map(data, at, argument, depth + 1, left)
    if kind == 4:
        return _read_array(data, at, argument, depth + 1, left)
    if argument != SIGN1_TAG:
        raise CborError("BAD_CBOR", f"tag {argument} is not used in records, only tag {SIGN1_TAG}")
    _take(left, 1)
    item, at = _read(data, at, depth + 1, left)
    return Tagged(SIGN1_TAG, item), at


def _take(left: list[int], count: int) -> None:
    left[0] -= count
    if left[0] < 0:
        raise CborError("BAD_CBOR", f"there are more than {ITEMS} items")


def _argument(data: bytes, at: int, first: int) -> tuple[int, int]:
    """An argument longer than the initial byte, and where it ends."""
    information = first & 31
    if information == 24 and data[at] > 23:
        return data[at], at + 1
    if information > 27:
        if information == 31 and 2 <= first >> 5 <= 5:
            raise CborError("NOT_CANONICAL", "an item has no definite length")
        raise CborError("BAD_CBOR", f"no item begins with the byte {first:02x}")
    width, least = _WIDTHS[information]
    end = at + width
    if end > len(data):
        _cut_off()
    argument = int.from_bytes(data[at:end], "big")
    if argument < least and first >> 5 != 7:
        raise CborError("NOT_CANONICAL", f"the number {argument} is written in {width} bytes and needs fewer")
    return argument, end


def _text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise CborError("BAD_CBOR", "a text string is not UTF-8") from None


def _read_array(data: bytes, at: int, count: int, depth: int, left: list[int]) -> tuple[list[Item], int]:
    _take(left, count)
    items: list[Item] = []
    for _ in range(count):
        item, at = _read(data, at, depth, left)
        items.append(item)
    return items, at


def _read_map(data: bytes, at: int, count: int, depth: int, left: list[int]) -> tuple[dict[int | str, Item], int]:
    _take(left, 2 * count)
    entries: dict[int | str, Item] = {}
    before = b""
    for _ in range(count):
        start = at
        key, at = _read(data, at, depth, left)
        if not isinstance(key, (int, str)):
            raise CborError("BAD_CBOR", "the keys of a map are integers or text")
        # The rule compares encodings, not values: 100 comes before -1, and "z" before "aa".
        encoded = data[start:at]
        if encoded <= before:
            raise CborError("NOT_CANONICAL", "the keys of a map are not in ascending order of their bytes, each once")
        before = encoded
        entries[key], at = _read(data, at, depth, left)
    return entries, at
