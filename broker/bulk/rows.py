"""Rows as they come out of a table, and what is said of them: by line, column and code, with what to do."""

from __future__ import annotations

from typing import Final

from broker.values import immutable

ADVICE: Final = {
    "BAD_DATE": "write the date as the mapping says under [dates], or correct the mapping",
    "BAD_NUMBER": "write the number as the mapping says under [numbers], or correct the mapping",
    "BAD_TEXT": "say the file's encoding in the mapping, such as encoding = \"cp1252\", or save the file as UTF-8",
    "DIFFERENT_IN_GROUP": "rows of one group differ where one value is wanted: correct the rows, or map the column inside a list",
    "EMPTY_CELL": "fill the cell, or take the column out of the mapping's `required`",
    "FORMULA": "it is taken as text and never calculated: save the values instead of the formula if a result was meant",
    "GROUP_TOO_LARGE": "one message takes at most 1,000 rows: group by another column",
    "LINE_TOO_LONG": "a line has at most 1 MiB: look for a quote that is not closed",
    "NOT_CSV": "quote cells that hold the delimiter or a line break, double the quotes inside",
    "SAME_SUBJECT": "two lines make the same revision of one subject: group them, or number the revisions by a column",
    "TOO_MANY_CELLS": "the row has more cells than the header: quote cells that hold the delimiter",
    "UNKNOWN_CODE": "add the value to the mapping's translation, or correct the row",
}  # fmt: skip
"""What to do, for each code of an import's own. All others are the publisher's, see docs/codes.md."""


@immutable
class Row:
    """A row of a table. ``line`` is its first line in the file (from 1), or its row in the sheet. Cells are text by column; ``moments``
    are columns that hold a date by the sheet's own word, written as ISO 8601; ``formulas`` those whose text would be calculated by a
    spreadsheet. Nothing ever is here."""

    line: int
    cells: dict[str, str]
    moments: frozenset[str] = frozenset()
    formulas: frozenset[str] = frozenset()


@immutable
class Remark:
    """What is wrong with a row. ``severity`` REJECT keeps it from being published, WARN does not; ``column`` and ``path`` (of the field in
    the message) are empty where it is about the row."""

    severity: str
    code: str
    line: int
    column: str
    path: str
    reason: str
    advice: str


@immutable
class BadRow:
    """A row that could not be read as one."""

    remark: Remark


def remark(code: str, line: int, reason: str, *, column: str = "", path: str = "", severity: str = "REJECT") -> Remark:
    """A remark with a code of this module."""
    return Remark(severity, code, line, column, path, reason, ADVICE[code])


def bad_row(code: str, line: int, reason: str) -> BadRow:
    """A row that is no row, with a code of this module."""
    return BadRow(remark(code, line, reason))
