"""Tables in files are read in bounded memory, as text, whatever is in them; what cannot be read is told, and the rest goes on."""

from __future__ import annotations

import datetime
import io
import os
import tracemalloc
import zipfile
from itertools import islice
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from broker.bulk.mapping import FileForm
from broker.bulk.rows import Row
from broker.errors import UsageError
from broker.storage.tables import LINE_LIMIT, open_table


def read(path: Path, form: FileForm | None = None, wanted: tuple[str, ...] = ()) -> list[Any]:
    """All rows: cells, or line and code of one that is none."""
    with open_table(path, form or FileForm(), wanted) as table:
        return [row.cells if isinstance(row, Row) else (row.remark.line, row.remark.code) for row in table.rows]


def csv_file(folder: Path, content: bytes) -> Path:
    """A file with these bytes."""
    path = folder / "table.csv"
    path.write_bytes(content)
    return path


def workbook(folder: Path, rows: list[list[Any]]) -> Path:
    """A workbook with one sheet."""
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)  # pyright: ignore[reportOptionalMemberAccess, reportAttributeAccessIssue, reportUnknownMemberType]
    path = folder / "table.xlsx"
    book.save(path)
    return path


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_the_byte_order_mark_is_believed(tmp_path: Path, encoding: str) -> None:
    """The same table in each encoding that says so itself; without a mark it is UTF-8."""
    assert read(csv_file(tmp_path, "name,città\nZoë,東京\n".encode(encoding))) == [{"name": "Zoë", "città": "東京"}]


def test_another_encoding_is_told_row_by_row_and_can_be_said(tmp_path: Path) -> None:
    """Rows that are no UTF-8 are told with the byte and what it would be; the others go on; with the encoding said, all are read."""
    path = csv_file(tmp_path, "name\nplain\ncafé\nlast\n".encode("cp1252"))
    assert read(path) == [{"name": "plain"}, (3, "BAD_TEXT"), {"name": "last"}]
    with open_table(path, FileForm()) as table:
        reason = next(row.remark.reason for row in table.rows if not isinstance(row, Row))
    assert "the byte E9 is no UTF-8" in reason
    assert r"caf\xe9" in reason
    assert read(path, FileForm(encoding="cp1252")) == [{"name": "plain"}, {"name": "café"}, {"name": "last"}]


@pytest.mark.parametrize(
    ("content", "form", "told"),
    [
        ("a,b\n1,2\n".encode("utf-16-le"), FileForm(), "looks like UTF-16 without its mark"),
        ("a\n1\n".encode("utf-8-sig"), FileForm(encoding="cp1252"), "the mapping says cp1252"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", FileForm(), "old or an encrypted workbook"),
        (b"PK\x03\x04 and nothing more", FileForm(), "broken archive"),
        (b"", FileForm(), "has no header in row 1"),
        (b"a,b\n", FileForm(header=9), "has no header in row 9"),
        (b"a,a\n1,2\n", FileForm(), "two columns `a`"),
        (b"b,c\n1,2\n", FileForm(), "has no column `a`; it has b, c"),
        (b"a," + b"x," * 1200 + b"\n", FileForm(), "1000 are the most"),
    ],
)
def test_a_file_that_cannot_be_read_is_told(tmp_path: Path, content: bytes, form: FileForm, told: str) -> None:
    """Wrong use, with what is wrong; nothing else is ever raised."""
    with pytest.raises(UsageError) as error:
        read(csv_file(tmp_path, content), form, ("a",))
    assert told in str(error.value)


def test_only_plain_files_are_opened(tmp_path: Path) -> None:
    """No folder, no pipe that would be waited for, no device, no name with a zero byte."""
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe", Path("/dev/zero"), tmp_path / "none", Path("a\0b")):
        with pytest.raises(UsageError):
            read(path)


def test_a_bad_row_stops_nothing(tmp_path: Path) -> None:
    """Too many cells, a quote never closed, a line without end, a zero byte, empty lines, rows that are too short."""
    lines = [b"a,b", b"1,2,3", b"", b"4", b'"5,6', b'x"y",7', b"z" * (LINE_LIMIT + 9), b"8,9", b"\x00,1", b"10,11"]
    rows = read(csv_file(tmp_path, b"\n".join(lines) + b"\n"))
    assert rows[0] == (2, "TOO_MANY_CELLS")
    assert rows[1] == {"a": "4"}
    assert (7, "LINE_TOO_LONG") in rows
    assert (9, "BAD_TEXT") in rows
    assert rows[-1] == {"a": "10", "b": "11"}


def test_a_quote_that_swallows_the_file_does_not_fill_the_memory(tmp_path: Path) -> None:
    """Megabytes behind a quote that is never closed: that row is told, what follows is read, and little is ever held."""
    path = csv_file(tmp_path, b'a,b\n1,"' + b"x,y\n" * 1_000_000)
    tracemalloc.start()
    try:
        with open_table(path, FileForm()) as table:
            first = next(table.rows)
            some = list(islice(table.rows, 100))
        assert tracemalloc.get_traced_memory()[1] < 4_000_000
    finally:
        tracemalloc.stop()
    assert not isinstance(first, Row)
    assert (first.remark.line, first.remark.code) == (2, "NOT_CSV")
    assert all(isinstance(row, Row) for row in some)


def test_formulas_and_dates_of_a_workbook_are_text(tmp_path: Path) -> None:
    """A formula is its text and is marked; a date is ISO 8601 and is marked; whole numbers have no point."""
    rows = [["n", "day", "sum", "yes"], [5.0, datetime.datetime(2026, 11, 24), "=A2+1", True], ["0017", None, 1.5, "+44 20"]]
    with open_table(workbook(tmp_path, rows), FileForm()) as table:
        first, second = table.rows
    assert isinstance(first, Row)
    assert isinstance(second, Row)
    assert first.cells == {"n": "5", "day": "2026-11-24", "sum": "=A2+1", "yes": "true"}
    assert (first.formulas, first.moments) == ({"sum"}, {"day"})
    assert second.cells == {"n": "0017", "day": "", "sum": "1.5", "yes": "+44 20"}


def test_formulas_in_csv_are_marked(tmp_path: Path) -> None:
    """What a spreadsheet would calculate; a signed number is none."""
    with open_table(csv_file(tmp_path, b"a,b,c,d\n=1+1,@SUM,-5.5,-x\n"), FileForm()) as table:
        (row,) = table.rows
    assert isinstance(row, Row)
    assert row.formulas == {"a", "b", "d"}


def test_a_sheet_is_chosen_by_name(tmp_path: Path) -> None:
    """By default the first; one that is not there is told with those that are."""
    path = workbook(tmp_path, [["a"], ["1"]])
    assert read(path, FileForm(sheet="Sheet")) == [{"a": "1"}]
    with pytest.raises(UsageError, match="no sheet `Other`; it has Sheet"):
        read(path, FileForm(sheet="Other"))


def altered(path: Path, name: str, content: bytes, method: int = zipfile.ZIP_DEFLATED) -> Path:
    """The workbook with one part in place of its own, or added."""
    with zipfile.ZipFile(path) as archive:
        parts = {each: archive.read(each) for each in archive.namelist()}
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", method) as archive:
        for each, text in (parts | {name: content}).items():
            archive.writestr(each, text)
    path.write_bytes(packed.getvalue())
    return path


SHEET = "xl/worksheets/sheet1.xml"


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        (SHEET, b" " * 50_000_000, "times its size"),
        ("xl/sharedStrings.xml", os.urandom(1 << 16) * 1100, "times its size|bytes of texts"),
        ("../../outside.xml", b"<a/>", "outside the workbook"),
        ("/etc/cron.d/x", b"<a/>", "outside the workbook"),
        ("C:\\x.xml", b"<a/>", "outside the workbook"),
        ("xl/workbook.xml", b"<broken", "no workbook that can be read"),
        (SHEET, b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "cc"><!ENTITY d "&b;&b;">]><worksheet>&d;</worksheet>', "no workbook"),
        (SHEET, b"<worksheet><sheetData><row><c", "no workbook that can be read|has no header"),
    ],
)
def test_a_hostile_workbook_is_refused(tmp_path: Path, name: str, content: bytes, told: str) -> None:
    """Bombs, names that lead outside, entities, broken XML: told before anything is unpacked, or where it breaks."""
    path = altered(workbook(tmp_path, [["a"], ["1"]]), name, content)
    with pytest.raises(UsageError) as error:
        read(path)
    assert any(each in str(error.value) for each in told.split("|")), error.value


def test_a_bomb_is_refused_without_being_unpacked(tmp_path: Path) -> None:
    """300 MB of spaces in 300 kB: the memory that the refusal takes is less than a hundredth of it."""
    path = altered(workbook(tmp_path, [["a"], ["1"]]), SHEET, b" " * 300_000_000)
    tracemalloc.start()
    try:
        with pytest.raises(UsageError, match="times its size"):
            read(path)
        assert tracemalloc.get_traced_memory()[1] < 3_000_000
    finally:
        tracemalloc.stop()
