"""A saved mapping, in TOML: which columns of a table become which fields of a message.

::

    family = "licence"
    subject = "{@agency}/{date:%Y}/{licence_group}"
    group = "licence_group"                      # rows that follow each other with the same value are one message
    required = ["licence_group", "date"]

    [file]                                       # all of it may be left out
    encoding = "cp1252"                          # default UTF-8, or what the byte order mark says
    delimiter = ";"                              # default a comma
    sheet = "Licences"                           # of a workbook; default the first
    header = 1                                   # the row with the names of the columns

    [dates]
    date = "%Y-%m-%d"
    [numbers]
    value_gbp = "."                              # the decimal sign; the other one of . and , groups digits
    [split]
    containers = ";"
    [translate.refused]                          # for {refused|refused}; a key may end in * and then stands for what begins so
    0 = "GRANT"
    1 = "DENY"

    [header]
    urgency = "ROUTINE"
    [sections.core]
    decision_type = "{refused|refused}"
    destinations = ["{country|countries}"]       # a list takes its entries from every row of the group, equal ones once
    [sections.reason]
    "@when" = { refused = ["1"] }                # only where the cell of the group's first row is one of these
    reason_code = "OTHER"

A text without braces is the same in every row; ``{@agency}`` is who imports, ``{@row}`` the row's number in its group from 1, ``{id:06}``
fills with zeros, ``{date:%Y}`` writes a date, ``{date:+90d}`` and ``{date:+3y}`` are so many days and years later. An empty cell leaves its
field out, and an object or section of which every cell is empty.
"""

from __future__ import annotations

import codecs
import re
import tomllib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, cast

from broker.errors import UsageError
from broker.families.catalogue import FAMILIES
from broker.values import immutable

_FIELD: Final = re.compile(r"\{([^{}|:]+)(?:\|([^{}|:]+))?(?::([^{}]+))?\}")
_ADVICE: Final = "see docs/bulk.md for the form of a mapping"
_KEYS: Final = frozenset(
    {"family", "subject", "revision", "group", "required", "file", "dates", "numbers", "split", "translate", "header", "sections"}
)
_FILE: Final = frozenset({"encoding", "delimiter", "sheet", "header"})
AGENCY: Final = "@agency"
ROW: Final = "@row"
WHEN: Final = "@when"
_SOME_DAY: Final = datetime(2026, 11, 24, tzinfo=UTC)
DEPTH: Final = 12
"""Deepest nesting of a mapping: far below what a reader of TOML lets through, above any schema."""


@immutable
class Constant:
    """The same in every row."""

    value: object


@immutable
class Part:
    """A cell in a text: its column, the translation, and how it is written (``06``, ``%Y``, ``+90d``)."""

    column: str
    table: str | None
    form: str | None


@immutable
class Text:
    """Texts and cells, one behind the other."""

    parts: tuple[str | Part, ...]


@immutable
class Entries:
    """A list."""

    items: tuple[Node, ...]


@immutable
class Fields:
    """An object. ``when``: columns and the values that let it be there."""

    fields: Mapping[str, Node]
    when: Mapping[str, frozenset[str]]


Node = Constant | Text | Entries | Fields
Table = Mapping[str, "str | bool | int"]


@immutable
class FileForm:
    """How a table is written. ``encoding`` and ``sheet`` None: by the file itself."""

    encoding: str | None = None
    delimiter: str = ","
    sheet: str | None = None
    header: int = 1


@immutable
class ColumnMapping:
    """A mapping that was read. ``columns`` are all that it names, in order."""

    family: str
    subject: Text
    revision: Node
    group: str | None
    required: tuple[str, ...]
    file: FileForm
    dates: Mapping[str, tuple[str, ...]]
    numbers: Mapping[str, str]
    split: Mapping[str, str]
    tables: Mapping[str, Table]
    header: Fields
    sections: Mapping[str, Fields]
    columns: tuple[str, ...]


class _Broken(ValueError):
    """What is wrong with a mapping, and where."""


def read_mapping(text: str) -> ColumnMapping:
    """The mapping of a TOML text. Raises UsageError with the place and what is wrong there."""
    try:
        return _Reading(tomllib.loads(text)).mapping()
    except (ValueError, RecursionError) as error:  # a ValueError is also a number of more digits than Python reads
        raise UsageError(f"this is no mapping: {str(error)[:300]}", advice=_ADVICE) from error


def _table(value: object, where: str, keys: frozenset[str] | None = None) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _Broken(f"{where} is a table")
    found = cast("dict[str, Any]", value)
    unknown = sorted(found.keys() - keys) if keys is not None else []
    if unknown:
        raise _Broken(f"{where}: there is no `{unknown[0][:40]}`; use {', '.join(sorted(keys or ()))}")
    return found


def _text(value: object, where: str) -> str:
    if not isinstance(value, str) or not value:
        raise _Broken(f"{where} is a text")
    return value


def _texts(value: object, where: str) -> tuple[str, ...]:
    listed = cast("list[object]", value) if isinstance(value, list) else [value]
    return tuple(_text(each, where) for each in listed)


class _Reading:
    """One mapping under way; the columns that it names are gathered."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        self._given = _table(given, "the mapping", _KEYS)
        self._columns: dict[str, None] = {}
        self._tables = {name: self._translation(name, table) for name, table in self._named("translate").items()}

    def _named(self, key: str) -> dict[str, Any]:
        return _table(self._given.get(key, {}), key)

    def mapping(self) -> ColumnMapping:
        """All of it."""
        family = _text(self._given.get("family"), "family")
        if family not in FAMILIES:
            raise _Broken(f"there is no family `{family[:40]}`; use {', '.join(FAMILIES)}")
        sections = _table(self._given.get("sections"), "sections", frozenset(FAMILIES[family].types))
        subject = self._node(self._given.get("subject"), "subject", 0)
        group = self._given.get("group")
        if not isinstance(subject, Text):
            raise _Broken("subject is a text that names a column: otherwise all rows would have the same one")
        return ColumnMapping(
            family=family,
            subject=subject,
            revision=self._node(self._given.get("revision", 1), "revision", 0),
            group=None if group is None else self._column(_text(group, "group")),
            required=tuple(self._column(each) for each in _texts(self._given.get("required", []), "required")),
            file=self._file(),
            dates={self._column(name): self._date_forms(name, forms) for name, forms in self._named("dates").items()},
            numbers={self._column(name): self._sign(name, sign) for name, sign in self._named("numbers").items()},
            split={self._column(name): _text(sign, f"split.{name}") for name, sign in self._named("split").items()},
            tables=self._tables,
            header=self._fields(self._named("header"), "header", 0),
            sections={name: self._fields(value, f"sections.{name}", 0) for name, value in sections.items()},
            columns=tuple(self._columns),
        )

    def _column(self, name: str) -> str:
        if not name.startswith("@"):
            self._columns[name] = None
        elif name not in (AGENCY, ROW):
            raise _Broken(f"there is no `{name[:40]}`; use {AGENCY} or {ROW}")
        return name

    def _date_forms(self, name: str, forms: object) -> tuple[str, ...]:
        found = _texts(forms, f"dates.{name}")
        for form in found:
            try:
                datetime.strptime(_SOME_DAY.strftime(form), form)
            except (ValueError, re.error) as error:
                raise _Broken(f"dates.{name}: `{form[:40]}` is no form of a date, such as %d.%m.%Y") from error
        return found

    def _sign(self, name: str, sign: object) -> str:
        if sign not in (".", ","):
            raise _Broken(f"numbers.{name} is the decimal sign, a point or a comma")
        return str(sign)

    def _file(self) -> FileForm:
        given = _table(self._given.get("file", {}), "file", _FILE)
        encoding, delimiter, header = given.get("encoding"), given.get("delimiter", ","), given.get("header", 1)
        if encoding is not None:
            encoding = _known_encoding(_text(encoding, "file.encoding"))
        if not isinstance(delimiter, str) or len(delimiter) != 1 or delimiter in '"\r\n':
            raise _Broken("file.delimiter is one character, such as a semicolon")
        if not isinstance(header, int) or not 1 <= header <= 1000:
            raise _Broken("file.header is the number of the row with the names of the columns, from 1")
        sheet = given.get("sheet")
        return FileForm(encoding, delimiter, None if sheet is None else _text(sheet, "file.sheet"), header)

    def _translation(self, name: str, table: object) -> Table:
        found = _table(table, f"translate.{name}")
        for key, value in found.items():
            if not isinstance(value, str | bool | int):
                raise _Broken(f"translate.{name}.{key[:40]} is a text, a whole number, true or false")
        return found

    def _node(self, value: object, where: str, depth: int) -> Node:
        if depth > DEPTH:
            raise _Broken(f"{where} is nested too deep")
        if isinstance(value, str):
            return self._template(value, where)
        if isinstance(value, bool | int):
            return Constant(value)
        if isinstance(value, list):
            listed = cast("list[object]", value)
            return Entries(tuple(self._node(each, f"{where}[{number}]", depth + 1) for number, each in enumerate(listed)))
        if isinstance(value, dict):
            return self._fields(cast("dict[str, Any]", value), where, depth + 1)
        raise _Broken(f"{where} is a text, a whole number, true or false, a list or a table; write dates and decimals in quotes")

    def _fields(self, value: object, where: str, depth: int) -> Fields:
        given = _table(value, where)
        when = _table(given.get(WHEN, {}), f"{where}.{WHEN}")
        fields = {name: self._node(each, f"{where}.{name}", depth) for name, each in given.items() if name != WHEN}
        return Fields(fields, {self._column(name): frozenset(_texts(values, f"{where}.{WHEN}")) for name, values in when.items()})

    def _template(self, text: str, where: str) -> Node:
        parts: list[str | Part] = []
        end = 0
        for match in _FIELD.finditer(text):
            column, table, form = match.groups()
            if table is not None and table not in self._tables:
                raise _Broken(f"{where}: there is no translation `{table[:40]}`")
            if form is not None and not re.fullmatch(r"0[1-9][0-9]?|\+[0-9]{1,4}[dy]|(?:%[YmdHMSyj]|[-/.])+", form):
                raise _Broken(f"{where}: `{form[:40]}` is no form; use 06 to fill with zeros, %Y, %m, %d of a date, or +90d, +3y after it")
            parts += [part for part in (text[end : match.start()], Part(self._column(column), table, form)) if part]
            end = match.end()
        if "{" in text[end:] or "}" in text[end:]:
            raise _Broken(f"{where}: a column is named in braces, such as {{licence_no}}")
        return Text((*parts, text[end:]) if text[end:] else tuple(parts)) if parts else Constant(text)


def _known_encoding(name: str) -> str:
    try:
        found = codecs.lookup(name)
        "a,1\n".encode(name).decode(name)  # a codec of texts, not of bytes
    except (LookupError, UnicodeError, TypeError) as error:
        raise _Broken(f"there is no encoding `{name[:40]}`") from error
    return found.name
