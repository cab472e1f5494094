"""What the columns of a CSV file mean: a shipment in our own form whose texts name columns, in TOML.

::

    delimiter = ";"                       # default a comma
    encoding = "cp1252"                   # default UTF-8
    [translate."Mode of Transport"]       # a cell's value, and what it stands for
    10 = "SEA"
    [split]                               # cells that hold several values
    Containers = ","
    [shipment]
    reference = "{Declaration ID}"
    units = [{ id = "{Containers}" }]
    goods = [{ hs_code = "{HS6 Code:06}", hs_edition = 2022 }]     # :06 fills with zeros to six characters
    parties = [{ role = "CONSIGNEE", id = "{Importer ID}", id_scheme = "TAX" }]

A text without braces is the same in every row. An empty cell leaves its field out, and a record of which every cell is empty.
"""

from __future__ import annotations

import codecs
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from broker.errors import UsageError
from broker.screening.fields import FREE_ZONES, RECORDS, TEXTS

_COLUMN: Final = re.compile(r"\{([^{}:]+)(?::0([0-9]{1,2}))?\}")
_WIDE: Final = ("utf_16", "utf_32", "utf_7")

Cells = Mapping[str, str]
Build = Callable[[Cells], Any]
"""Makes a value of a row's cells; None where there is nothing."""


@dataclass(frozen=True, slots=True)
class ColumnMapping:
    """A mapping that was read: how the file is written, which columns it needs, and how a row becomes a shipment in our form."""

    delimiter: str
    encoding: str
    columns: tuple[str, ...]
    build: Callable[[Cells], dict[str, Any]]


def read_mapping(text: str) -> ColumnMapping:
    """The mapping of a TOML text. Raises UsageError with what is wrong in it."""
    advice = "see docs/screening.md for the form of a mapping"
    try:
        given = tomllib.loads(text)
        return _Reading(given).mapping()
    except (tomllib.TOMLDecodeError, RecursionError, ValueError, LookupError) as error:
        raise UsageError(f"this is no mapping: {str(error)[:200]}", advice=advice) from error


class _Reading:
    def __init__(self, given: Mapping[str, Any]) -> None:
        unknown = given.keys() - {"delimiter", "encoding", "translate", "split", "shipment"}
        if unknown:
            raise ValueError(f"there is no `{min(unknown)}` in a mapping")
        self._given = given
        self._translate = cast("dict[str, dict[str, str]]", _table(given, "translate"))
        self._split = cast("dict[str, str]", _table(given, "split"))
        self._columns: dict[str, None] = {}

    def mapping(self) -> ColumnMapping:
        delimiter, encoding = self._given.get("delimiter", ","), self._given.get("encoding", "utf-8")
        if not (isinstance(delimiter, str) and len(delimiter) == 1 and delimiter not in '"\r\n'):
            raise ValueError("the delimiter is one character, and no quote or line end")
        name = codecs.lookup(str(encoding)).name.replace("-", "_")
        if name.startswith(_WIDE) or not getattr(codecs.lookup(str(encoding)), "_is_text_encoding", True):
            raise ValueError(f"`{encoding}` is no encoding in which lines can be told: files of UTF-16 and UTF-32 are known by their mark")
        fields = {name: self._field(name, value) for name, value in _table(self._given, "shipment").items()}
        missing = (self._translate.keys() | self._split.keys()) - self._columns.keys()
        if missing:
            raise ValueError(f"`{min(missing)}` is translated or split, and no field names that column")
        if not self._columns:
            raise ValueError("no field of [shipment] names a column: write it in braces")
        return ColumnMapping(delimiter, str(encoding), tuple(self._columns), lambda cells: _filled(fields, cells))

    def _field(self, name: str, value: Any) -> Build:
        if name in TEXTS:
            return self._text(value)
        if name not in RECORDS and name != FREE_ZONES:
            raise ValueError(f"a shipment has no field `{name}`; it has {', '.join((*TEXTS, *RECORDS, FREE_ZONES))}")
        if not isinstance(value, list):
            raise ValueError(f"`{name}` is a list")  # noqa: TRY004 - told like every other mistake in the file
        entries = [self._entry(each) for each in cast("list[Any]", value)]
        return lambda cells: [one for entry in entries for one in entry(cells)]

    def _entry(self, value: Any) -> Callable[[Cells], list[Any]]:
        """An entry of a list: as often as there are values in the cell that is split."""
        build = self._record(cast("dict[str, Any]", value)) if isinstance(value, dict) else self._text(value)
        named = cast("list[tuple[str, str]]", _COLUMN.findall(repr(cast("object", value))))
        several = next((column for column, _ in named if column in self._split), None)
        if several is None:
            return lambda cells: [one] if (one := build(cells)) else []
        sign = self._split[several]
        if not (isinstance(sign, str) and sign):  # pyright: ignore[reportUnnecessaryIsInstance] - it comes from a file
            raise ValueError(f'`{several}` is split by a text such as ";"')

        def many(cells: Cells) -> list[Any]:
            parts = [part.strip() for part in cells.get(several, "").split(sign)]
            return [one for part in parts if part and (one := build({**cells, several: part}))]

        return many

    def _record(self, value: dict[str, Any]) -> Build:
        fields: dict[str, Build] = {}
        told: set[str] = set()
        for name, each in value.items():
            if isinstance(each, dict):
                fields[name] = self._record(cast("dict[str, Any]", each))
            elif isinstance(each, list):
                entries = [self._entry(one) for one in cast("list[Any]", each)]
                fields[name] = _joined(entries)
            else:
                fields[name] = self._text(each)
            if _COLUMN.search(repr(cast("object", each))):
                told.add(name)
        return lambda cells: record if told & (record := _filled(fields, cells)).keys() else None

    def _text(self, value: Any) -> Build:
        if not isinstance(value, str):
            return lambda _cells: value
        found = _COLUMN.fullmatch(value)
        if found is None and "{" in value:
            raise ValueError(f'`{value[:60]}`: a field is one column, such as "{{Container}}", or a text without braces')
        if found is None:
            return lambda _cells: value or None
        column, width = found[1], int(found[2] or 0)
        self._columns[column] = None
        words = self._translate.get(column)

        def cell(cells: Cells) -> str | None:
            text = cells.get(column, "").strip()
            if words is not None:
                text = str(words.get(text, text))
            return text.zfill(width) if text else None

        return cell


def _joined(entries: list[Callable[[Cells], list[Any]]]) -> Build:
    return lambda cells: [one for entry in entries for one in entry(cells)]


def _filled(fields: Mapping[str, Build], cells: Cells) -> dict[str, Any]:
    built = ((name, build(cells)) for name, build in fields.items())
    return {name: value for name, value in built if value not in (None, "", [])}


def _table(given: Mapping[str, Any], name: str) -> dict[str, Any]:
    value = given.get(name, {})
    if not isinstance(value, dict):
        raise ValueError(f"`{name}` is a table")  # noqa: TRY004 - told like every other mistake in the file
    return cast("dict[str, Any]", value)
