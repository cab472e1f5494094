"""Canonical JSON and the strict reading of its fields: what directory entries, requests and replies are written in.

One value has one text: keys sorted, no spaces, UTF-8, whole numbers only (RFC 8785 restricted to the types used here).
Reading re-encodes and compares, so duplicate keys, escapes and odd number forms never pass.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final, TypeAlias, TypeVar, cast

from broker.errors import UsageError

Json: TypeAlias = "bool | int | str | Sequence[Json] | Mapping[str, Json] | None"
_T = TypeVar("_T")

INTEGER_LIMIT: Final = 2**53 - 1
"""Largest whole number written: every JSON reader holds it exactly."""


class Flaw(ValueError):
    """A rule that signed or unsigned input breaks, in words. Stays inside ``trust``: its doors turn it into a Refusal."""


def canonical_json(value: Json) -> bytes:
    """The only text of a value. Raises ValueError on a lone surrogate, which has no UTF-8."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def read_canonical(data: bytes) -> Fields:
    """Read a canonical JSON object. Raises Flaw when it is no object, or any byte differs from the canonical text."""
    fields = read_object(data)
    try:
        same = canonical_json(cast(Json, fields)) == data
    except (ValueError, RecursionError):
        same = False
    if not same:
        raise Flaw("the text is not canonical JSON: sorted unique keys, no spaces, plain UTF-8, whole numbers")
    return Fields(fields)


def read_object(data: bytes | str) -> dict[str, object]:
    """Read any JSON object. Raises Flaw."""
    try:
        text = data if isinstance(data, str) else data.decode()
        value: object = json.loads(text, parse_float=_no_fraction, parse_constant=_no_fraction)
    except (ValueError, RecursionError) as error:
        raise Flaw("the text is not JSON") from error
    if not isinstance(value, dict):
        raise Flaw("the text is no JSON object")
    return cast(dict[str, object], value)


def _no_fraction(text: str) -> float:
    raise ValueError(f"{text[:20]} is no whole number")


class Fields:
    """The fields of one object, each taken by its type. Every getter raises Flaw with the field's name."""

    def __init__(self, values: Mapping[str, object]) -> None:
        self._values = values

    def exactly(self, names: Collection[str], optional: Collection[str] = ()) -> None:
        """These fields and no others: what a reader does not know it must not act upon. ``optional`` ones may be left out."""
        missing, extra = set(names) - set(self._values), set(self._values) - set(names) - set(optional)
        if missing:
            raise Flaw(f"the field `{min(missing)}` is missing")
        if extra:
            raise Flaw(f"there is a field that is not known here: `{ascii(min(extra))[1:-1][:40]}`")

    def has(self, name: str) -> bool:
        """Whether the field is there: for those that may be left out."""
        return name in self._values

    def inner(self, name: str) -> Fields:
        """The fields of an object within this one."""
        value = self._values.get(name)
        if not isinstance(value, dict):
            raise Flaw(f"`{name}` must be an object")
        return Fields(cast(dict[str, object], value))

    def text(self, name: str, limit: int = 200) -> str:
        """A printable text of at most ``limit`` characters: no control or bidirectional-override characters."""
        value = self._values.get(name)
        if not isinstance(value, str) or len(value) > limit or not value.isprintable():
            raise Flaw(f"`{name}` must be a printable text of at most {limit} characters")
        return value

    def lines(self, name: str, limit: int) -> str:
        """An ASCII text of several lines, such as PEM."""
        value = self._values.get(name)
        if not isinstance(value, str) or len(value) > limit or not value.replace("\n", "").isprintable() or not value.isascii():
            raise Flaw(f"`{name}` must be a plain text of at most {limit} characters")
        return value

    def one_of(self, name: str, options: Collection[str]) -> str:
        """One of the given words."""
        value = self._values.get(name)
        if not isinstance(value, str) or value not in options:
            raise Flaw(f"`{name}` must be one of {', '.join(options)}")
        return value

    def named(self, name: str, parse: Callable[[str], _T]) -> _T:
        """An identifier, parsed by its rule in ``broker.ids``."""
        value = self._values.get(name)
        if not isinstance(value, str):
            raise Flaw(f"`{name}` must be a text")
        try:
            return parse(value)
        except UsageError as error:
            raise Flaw(f"`{name}`: {error}") from error

    def integer(self, name: str, low: int = 0, high: int = INTEGER_LIMIT) -> int:
        """A whole number within the limits."""
        value = self._values.get(name)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise Flaw(f"`{name}` must be a whole number from {low} to {high}")
        return value

    def integer_or_none(self, name: str) -> int | None:
        """A whole number from 0, or null."""
        return None if self._values.get(name) is None else self.integer(name)

    def octets(self, name: str, limit: int = 512) -> bytes:
        """Bytes written in lower-case hex."""
        return _octets(self._values.get(name), name, limit)

    def octets_list(self, name: str, most: int) -> tuple[bytes, ...]:
        """A list of one to ``most`` different byte strings in hex."""
        values = tuple(_octets(item, name, 512) for item in self._list(name, most))
        if not values or len(set(values)) != len(values):
            raise Flaw(f"`{name}` must hold at least one item, none twice")
        return values

    def texts(self, name: str, most: int, limit: int) -> tuple[str, ...]:
        """A list of at most ``most`` texts of at most ``limit`` characters."""
        items = self._list(name, most)
        texts = tuple(item for item in items if isinstance(item, str) and len(item) <= limit)
        if len(texts) != len(items):
            raise Flaw(f"`{name}` must be a list of texts of at most {limit} characters")
        return texts

    def named_list(self, name: str, parse: Callable[[str], _T], most: int) -> tuple[_T, ...]:
        """A list, in ascending order without repetition, of at most ``most`` identifiers."""
        items = self._list(name, most)
        texts = [item for item in items if isinstance(item, str)]
        if len(texts) != len(items) or sorted(set(texts)) != texts:
            raise Flaw(f"`{name}` must be an ascending list of texts, none twice")
        try:
            return tuple(parse(text) for text in texts)
        except UsageError as error:
            raise Flaw(f"`{name}`: {error}") from error

    def _list(self, name: str, most: int) -> list[object]:
        value = self._values.get(name)
        if not isinstance(value, list) or len(cast(list[object], value)) > most:
            raise Flaw(f"`{name}` must be a list of at most {most} items")
        return cast(list[object], value)


def _octets(value: object, name: str, limit: int) -> bytes:
    if isinstance(value, str) and len(value) <= 2 * limit:
        try:
            octets = bytes.fromhex(value)
        except ValueError:
            octets = b""
        if octets and octets.hex() == value:
            return octets
    raise Flaw(f"`{name}` must be bytes in lower-case hex, {limit} at most")
