"""Rows into the JSON form of a message, by a mapping, with each field's column: what is wrong with a field is told of its cell."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Final, cast

from broker.bulk.mapping import AGENCY, ROW, ColumnMapping, Constant, Entries, Fields, Node, Part, Table, Text
from broker.bulk.rows import Remark, Row, remark
from broker.schema.avsc import Array, DecimalFixed, Nullable, Record, Scalar
from broker.schema.avsc import Node as SchemaNode
from broker.schema.catalogue import Catalogue
from broker.values import immutable

_WHOLE: Final = re.compile(r"[+-]?\d{1,18}", re.ASCII)
_NUMBERS: Final = {
    ".": re.compile(r"([+-]?)(\d+|\d{1,3}(?:[, ']\d{3})+)(?:\.(\d+))?", re.ASCII),
    ",": re.compile(r"([+-]?)(\d+|\d{1,3}(?:[. ']\d{3})+)(?:,(\d+))?", re.ASCII),
}
"""Sign, whole part with its thousands grouped or not, and fraction, by the decimal sign."""
GROUP_LIMIT: Final = 1000
"""Most rows of one message."""
_TIMES: Final = frozenset({"valid_from", "valid_until", "embargo_until"})
_FLAGS: Final = {"true": True, "false": False}
_INDEX: Final = re.compile(r"\[\d+\]$|\.[^.\[\]]+$")


class _Absent:
    """Every cell that a value would come from is empty."""


ABSENT: Final = _Absent()


@immutable
class _Moment:
    """A date that was read, to be written as its field wants it."""

    at: datetime


@immutable
class Built:
    """A message in its JSON form, as far as the rows give one. ``columns`` are the columns of its fields by path (``core.licence_no``,
    ``header.valid_until``, ``subject``)."""

    line: int
    lines: int
    value: dict[str, Any]
    remarks: tuple[Remark, ...]
    columns: Mapping[str, str]

    @property
    def rejected(self) -> bool:
        """Whether something is wrong that keeps it from being published."""
        return any(each.severity == "REJECT" for each in self.remarks)

    def column_of(self, path: str) -> str:
        """The column that a field came from, or that its nearest neighbour above or below came from; empty where none is known."""
        while path:
            if path in self.columns:
                return self.columns[path]
            below = next((column for each, column in self.columns.items() if each.startswith((f"{path}.", f"{path}["))), None)
            if below is not None:
                return below
            path = _INDEX.sub("", path) if _INDEX.search(path) else ""
        return ""


class Grouping:
    """Rows that are one message: each by itself, or those that follow each other with the same value of the group's column. Of a group
    that is too large one row more than is allowed is kept, which tells."""

    def __init__(self, mapping: ColumnMapping) -> None:
        self._column = mapping.group
        self._rows: list[Row] = []

    def add(self, row: Row) -> list[Row]:
        """Take a row in; the group that is complete by that, or nothing."""
        if self._column is None:
            return [row]
        ended: list[Row] = []
        if self._rows and row.cells.get(self._column, "") != self._rows[0].cells.get(self._column, ""):
            ended = self.rest()
        if len(self._rows) <= GROUP_LIMIT:
            self._rows.append(row)
        return ended

    def rest(self) -> list[Row]:
        """The last group, behind the last row."""
        ended, self._rows = self._rows, []
        return ended


def build(mapping: ColumnMapping, rows: Sequence[Row], catalogue: Catalogue, agency: str) -> Built:
    """The message of one or more rows. Nothing is raised for what a table can hold: it is remarked."""
    return _Building(mapping, rows, catalogue, agency).built()


class _Building:
    def __init__(self, mapping: ColumnMapping, rows: Sequence[Row], catalogue: Catalogue, agency: str) -> None:
        self._mapping, self._rows, self._catalogue, self._agency = mapping, rows, catalogue, agency
        self._remarks: list[Remark] = []
        self._columns: dict[str, str] = {}

    def built(self) -> Built:
        mapping, rows = self._mapping, self._rows
        if len(rows) > GROUP_LIMIT:
            self._say("GROUP_TOO_LARGE", rows[0], f"more than {GROUP_LIMIT} rows that follow have the same `{mapping.group}`")
        for column in mapping.required:
            for row in rows:
                if not row.cells.get(column, ""):
                    self._say("EMPTY_CELL", row, f"the cell of `{column}` is empty", column)
        for row in rows:
            for column in row.formulas.intersection(mapping.columns):
                self._say("FORMULA", row, f"`{_shown(row.cells[column])}` looks like a formula", column, severity="WARN")
        value: dict[str, Any] = {"family": mapping.family}
        for name, node in (("subject", mapping.subject), ("revision", mapping.revision)):
            found = self._value(node, rows, name)
            value[name] = int(found) if name == "revision" and isinstance(found, str) and _WHOLE.fullmatch(found) else _plain(found)
        header = self._value(mapping.header, rows, "header")
        value["header"] = {} if header is ABSENT else {name: self._label(name, each) for name, each in header.items()}
        value["sections"] = {}
        for name, node in mapping.sections.items():
            section, schema = self._value(node, rows, name), self._catalogue.current(mapping.family, name)
            if section is not ABSENT:
                value["sections"][name] = _fitted(schema.schema if schema else None, section)
        return Built(rows[0].line, len(rows), value, tuple(self._remarks), self._columns)

    def _say(self, code: str, row: Row, reason: str, column: str = "", path: str = "", severity: str = "REJECT") -> None:
        found = remark(code, row.line, reason, column=column, path=path, severity=severity)
        if found not in self._remarks:
            self._remarks.append(found)

    def _label(self, name: str, value: Any) -> Any:
        """A label of the header, which no schema describes: times are text, so is all else that came from a cell."""
        if name in _TIMES:
            return _time_text(value) if isinstance(value, _Moment) else value
        if name == "evidential_use" and isinstance(value, str):
            return _FLAGS.get(value.lower(), value)
        return _plain(value)

    def _value(self, node: Node, rows: Sequence[Row], path: str) -> Any:
        match node:
            case Text(parts):
                return self._text(parts, rows, path)
            case Constant(value):
                return value
            case Entries(items):
                return self._entries(items, rows, path)
            case Fields():
                return self._fields(node, rows, path)

    def _fields(self, node: Fields, rows: Sequence[Row], path: str) -> Any:
        for column, values in node.when.items():
            if rows[0].cells.get(column, "") not in values:
                return ABSENT
        kept: dict[str, Any] = {}
        depends = filled = False
        for name, each in node.fields.items():
            if isinstance(each, Constant):
                kept[name] = each.value
                continue
            depends, value = True, self._value(each, rows, f"{path}.{name}")
            if value is not ABSENT:
                kept[name], filled = value, True
        return kept if filled or not depends else ABSENT

    def _entries(self, items: tuple[Node, ...], rows: Sequence[Row], path: str) -> Any:
        """Constants once, everything else of every row; equal ones once."""
        found: list[Any] = []
        for item in items:
            for row in rows if not isinstance(item, Constant) else rows[:1]:
                value = self._value(item, [row], f"{path}[{len(found)}]")
                several = cast("list[Any]", value) if isinstance(item, Text) and isinstance(value, list) else [value]
                found += [each for each in several if each is not ABSENT and each not in found]
        return found if found else ABSENT

    def _text(self, parts: tuple[str | Part, ...], rows: Sequence[Row], path: str) -> Any:
        if len(parts) == 1 and isinstance(parts[0], Part):
            return self._cell(parts[0], rows, path)
        texts: list[str] = []
        for part in parts:
            value = part if isinstance(part, str) else self._cell(part, rows, path)
            if value is ABSENT:
                return ABSENT
            texts.append(str(_plain(value)))
        return "".join(texts)

    def _cell(self, part: Part, rows: Sequence[Row], path: str) -> Any:
        row, column = rows[0], part.column
        if column == AGENCY:
            return self._agency
        if column == ROW:
            return self._rows.index(row) + 1
        self._columns.setdefault(path, column)
        raw = row.cells.get(column, "")
        for other in rows[1:]:
            if other.cells.get(column, "") != raw:
                reason = f"line {row.line} has `{_shown(raw)}`, this one `{_shown(other.cells.get(column, ''))}`"
                self._say("DIFFERENT_IN_GROUP", other, reason, column, path)
        if not raw:
            return ABSENT
        sign = self._mapping.split.get(column)
        if sign is not None:
            pieces = [piece.strip() for piece in raw.split(sign) if piece.strip()]
            return [self._one(part, row, piece, path) for piece in pieces] or ABSENT
        return self._one(part, row, raw, path)

    def _one(self, part: Part, row: Row, raw: str, path: str) -> Any:
        if part.table is not None:
            value = _translated(self._mapping.tables[part.table], raw)
            if value is None:
                self._say("UNKNOWN_CODE", row, f"`{_shown(raw)}` is not in the translation `{part.table}`", part.column, path)
                return raw
            return value
        formats = self._mapping.dates.get(part.column)
        if formats is not None or part.column in row.moments:
            at = _moment(raw, ("%Y-%m-%dT%H:%M:%S", "%Y-%m-%d") if part.column in row.moments else formats or ())
            if at is None:
                self._say("BAD_DATE", row, f"`{_shown(raw)}` is no date written {' or '.join(formats or ())}", part.column, path)
                return raw
            if part.form and part.form[0] == "+":
                return _later(at, int(part.form[1:-1]), part.form[-1])
            return at.at.strftime(part.form) if part.form and "%" in part.form else at
        if part.column in self._mapping.numbers:
            return self._number(part, row, raw, path)
        return raw.zfill(int(part.form)) if part.form and part.form.isdigit() else raw

    def _number(self, part: Part, row: Row, raw: str, path: str) -> str:
        """A number with its digits as they are, a point for the decimal sign, and no grouping."""
        sign = self._mapping.numbers[part.column]
        found = _NUMBERS[sign].fullmatch(raw)
        if found is None:
            self._say("BAD_NUMBER", row, f"`{_shown(raw)}` is no number with `{sign}` as its decimal sign", part.column, path)
            return raw
        minus, whole, fraction = found.groups()
        return minus.removeprefix("+") + re.sub(r"\D", "", whole) + (f".{fraction}" if fraction else "")


def _shown(text: str) -> str:
    return text[:60].encode("unicode_escape").decode("ascii")


def _translated(table: Table, raw: str) -> str | bool | int | None:
    if raw in table:
        return table[raw]
    ends = [key for key in table if key.endswith("*") and raw.startswith(key[:-1])]
    return table[max(ends, key=len)] if ends else None


@lru_cache(maxsize=4096)
def _moment(raw: str, formats: tuple[str, ...]) -> _Moment | None:
    """Remembered: a table has few days, and reading one costs a tenth of a row."""
    for form in formats:
        try:
            at = datetime.strptime(raw, form)
        except ValueError:
            continue
        return _Moment(at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC))
    return None


def _later(moment: _Moment, count: int, unit: str) -> _Moment:
    """So many days or years later; 29 February becomes the 28th where there is none. Times beyond year 9999 stay as they are."""
    at = moment.at
    try:
        if unit == "d":
            return _Moment(at + timedelta(days=count))
        return _Moment(at.replace(year=at.year + count, day=28 if (at.month, at.day) == (2, 29) else at.day))
    except (ValueError, OverflowError):
        return moment


def _time_text(value: _Moment) -> str:
    return value.at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _plain(value: Any) -> Any:
    """A value where no schema says what is wanted: a date as a day."""
    if isinstance(value, _Moment):
        return value.at.date().isoformat()
    if isinstance(value, list):
        return [_plain(each) for each in value]  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}  # pyright: ignore[reportUnknownVariableType]
    return None if value is ABSENT else value


_BY_NAME: Final[dict[int, tuple[Record, Mapping[str, SchemaNode]]]] = {}
"""Fields of records by name, by the identity of the record: to compare a record would be most of the work."""


def _nodes(record: Record) -> Mapping[str, SchemaNode]:
    known = _BY_NAME.get(id(record))
    if known is None or known[0] is not record:
        known = _BY_NAME[id(record)] = (record, {field.name: field.node for field in record.fields})
    return known[1]


def _fitted(schema: SchemaNode | None, value: Any) -> Any:
    """Texts of cells as the schema's fields want them. What does not fit is left as it is, for the schema to refuse with its path."""
    while isinstance(schema, Nullable):
        schema = schema.inner
    if isinstance(value, str):
        return _fitted_text(schema, value)
    if isinstance(schema, Array) and isinstance(value, list):
        return [_fitted(schema.items, each) for each in value]  # pyright: ignore[reportUnknownVariableType]
    if isinstance(schema, Record) and isinstance(value, dict):
        nodes = _nodes(schema)
        return {name: _fitted(nodes.get(name), each) for name, each in value.items()}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    if isinstance(value, _Moment) and isinstance(schema, Scalar) and schema.kind == "timestamp":
        return _time_text(value)
    return _plain(value)


def _fitted_text(schema: SchemaNode | None, value: str) -> Any:
    if isinstance(schema, DecimalFixed):
        return value.removeprefix("+")
    if isinstance(schema, Scalar):
        if schema.kind in ("int", "long") and _WHOLE.fullmatch(value):
            return int(value)
        if schema.kind == "boolean":
            return _FLAGS.get(value.lower(), value)
    return value
