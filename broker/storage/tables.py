"""Tables in files: CSV (RFC 4180) and workbooks (Office Open XML), row by row in bounded memory. Text is text: nothing is calculated.

The file is not trusted. A name that is no plain file is refused, a workbook is weighed before it is opened, lines and rows have limits,
and a row that cannot be read is told by its line while the rest goes on.
"""

from __future__ import annotations

import codecs
import contextlib
import csv
import io
import re
import stat
from collections.abc import Generator, Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

from broker.bulk.mapping import FileForm
from broker.bulk.rows import BadRow, Row, bad_row
from broker.errors import UsageError

LINE_LIMIT: Final = 1 << 20
"""Most characters of one line of text."""
COLUMNS_LIMIT: Final = 1000
_LOOK: Final = 4096
_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"),
)  # fmt: skip
_SIGNED: Final = re.compile(r"[+-][\d.,' ]*")
_UNDECODED: Final = re.compile("[\udc80-\udcff\ufffd\0]")
_WORKBOOK: Final = b"PK\x03\x04"
_OLD_WORKBOOK: Final = b"\xd0\xcf\x11\xe0"


class Cells(NamedTuple):
    """The cells of one row, by their place. ``moments`` and ``formulas`` are places."""

    line: int
    texts: Sequence[str]
    moments: frozenset[int] = frozenset()
    formulas: frozenset[int] = frozenset()


class Table:
    """A table that is open: its rows are read once, in order. ``size`` is the file's in bytes."""

    def __init__(self, columns: Sequence[str], rows: Iterator[Row | BadRow], size: int, file: BinaryIO) -> None:
        self.columns, self.rows, self.size = columns, rows, size
        self._file = file

    def position(self) -> int:
        """How many of ``size`` bytes have been read, about."""
        return min(self._file.tell(), self.size)


@contextlib.contextmanager
def open_table(path: Path, form: FileForm, wanted: Sequence[str] = ()) -> Generator[Table]:
    """The table of a file; a workbook is known by its first bytes. Raises UsageError where the file is none, where its encoding has to be
    said, and where it lacks one of the ``wanted`` columns."""
    with _opened(path) as file:
        first = file.read(_LOOK)
        file.seek(0)
        if first.startswith(_WORKBOOK):
            from broker.storage.workbooks import workbook_rows  # a library that nobody else needs

            with workbook_rows(path, file, form.sheet) as cells:
                yield _table(path, cells, file, form, wanted)
        else:
            encoding = _encoding(path, first, form.encoding)
            errors = "replace" if encoding.startswith(("utf-16", "utf-32")) else "surrogateescape"
            with io.TextIOWrapper(file, encoding=encoding, errors=errors, newline="") as text:
                yield _table(path, _csv_rows(text, form.delimiter), file, form, wanted)


@contextlib.contextmanager
def _opened(path: Path) -> Generator[BinaryIO]:
    advice = "give a CSV file or a workbook (.xlsx)"
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise UsageError(f"`{path}` is no plain file", advice=advice)
        file = path.open("rb")
    except (OSError, ValueError) as error:
        raise UsageError(f"`{path}` cannot be read: {getattr(error, 'strerror', error)}", advice=advice) from error
    with file:
        yield file


def _encoding(path: Path, first: bytes, said: str | None) -> str:
    """By the byte order mark, or what the mapping says, or UTF-8. Raises UsageError where these cannot be."""
    if first.startswith(_OLD_WORKBOOK):
        raise UsageError(f"`{path}` is an old or an encrypted workbook", advice="save it as .xlsx without a password, or as CSV")
    marked = next((encoding for mark, encoding in _MARKS if first.startswith(mark)), None)
    if said is not None and marked is not None and not codecs.lookup(said).name.startswith(marked[:5]):
        raise UsageError(f"`{path}` says that it is {marked[:6].upper()}, the mapping says {said}", advice="correct the mapping's encoding")
    if said is None and marked is None and first.count(0) > len(first) // 8:
        side = "le" if first[1::2].count(0) > first[::2].count(0) else "be"
        raise UsageError(
            f"`{path}` looks like UTF-16 without its mark", advice=f'say encoding = "utf-16-{side}" under [file] of the mapping'
        )
    return marked or said or "utf-8"


def _table(path: Path, rows: Iterator[Cells | BadRow], file: BinaryIO, form: FileForm, wanted: Sequence[str]) -> Table:
    """The table behind its header. Raises UsageError."""
    header: Cells | None = None
    for number, found in enumerate(rows, 1):
        if number == form.header and isinstance(found, Cells):
            header = found
        if number >= form.header:
            break
    if header is None:
        raise UsageError(f"`{path}` has no header in row {form.header}", advice="the first row names the columns; or say [file] header = N")
    columns = [text.strip() for text in header.texts]
    while columns and not columns[-1]:
        columns.pop()
    named = [column for column in columns if column]
    twice = next((column for column in named if named.count(column) > 1), None)
    if len(columns) > COLUMNS_LIMIT or (twice is not None and twice in wanted):
        many = len(columns) > COLUMNS_LIMIT
        told = f"{len(columns)} columns, {COLUMNS_LIMIT} are the most" if many else f"two columns `{(twice or '')[:60]}`"
        raise UsageError(f"`{path}` has {told}", advice="name each column once")
    missing = [column for column in wanted if column not in columns]
    if missing:
        has = ", ".join(columns)[:300].encode("utf-8", "backslashreplace").decode()
        raise UsageError(f"`{path}` has no column `{missing[0][:60]}`; it has {has}", advice="correct the mapping, its delimiter or header")
    return Table(columns, _rows(rows, columns), path.stat().st_size, file)


def _rows(rows: Iterable[Cells | BadRow], columns: Sequence[str]) -> Iterator[Row | BadRow]:
    """Rows by the names of their columns; empty ones are passed over."""
    for found in rows:
        if isinstance(found, BadRow):
            yield found
            continue
        line, texts = found.line, found.texts
        if any(text.strip() for text in texts[len(columns) :]):
            yield bad_row("TOO_MANY_CELLS", line, f"{len(texts)} cells, and the header has {len(columns)}")
            continue
        cells = {column: text.strip() for column, text in zip(columns, texts, strict=False)}
        if not any(cells.values()):
            continue
        broken = next((column for column, text in cells.items() if _UNDECODED.search(text)), None)
        if broken is not None:
            yield bad_row("BAD_TEXT", line, f"`{broken[:60]}`: {_undecoded(cells[broken])}")
            continue
        moments = frozenset(columns[place] for place in found.moments)
        formulas = frozenset(columns[place] for place in found.formulas if place < len(columns))
        yield Row(line, cells, moments, formulas)


def _undecoded(text: str) -> str:
    """What is wrong with a text that is not in the encoding it was read as."""
    place = _UNDECODED.search(text)
    found = place[0] if place else ""
    if found == "\0":
        return "there is a zero byte in the cell"
    if not "\udc80" <= found <= "\udcff":
        return "there are bytes that are no text"
    raw = text.encode("utf-8", "surrogateescape")
    read = raw.decode("cp1252", "replace")[:60]
    return f"the byte {ord(found) - 0xDC00:02X} is no UTF-8; as windows-1252 the cell would be `{read.encode('unicode_escape').decode()}`"


def _csv_rows(text: io.TextIOWrapper, delimiter: str) -> Iterator[Cells | BadRow]:
    lines = _Lines(text)
    reader = csv.reader(lines, delimiter=delimiter)
    while True:
        line = lines.number + 1
        try:
            texts = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield bad_row("NOT_CSV", line, str(error))
            continue
        if lines.too_long is not None:
            yield bad_row("LINE_TOO_LONG", lines.too_long, f"the line has more than {LINE_LIMIT:,} characters")
            lines.too_long = None
            continue
        formulas = frozenset(place for place, cell in enumerate(texts) if cell[:1] in _BEGINNINGS and _is_formula(cell))
        yield Cells(line, texts, frozenset(), formulas)


_BEGINNINGS: Final = frozenset("=@+-\t\r")


def _is_formula(cell: str) -> bool:
    return cell[0] in "=@\t\r" or not _SIGNED.fullmatch(cell)


class _Lines:
    """Lines of a text, none of them longer than :data:`LINE_LIMIT`: of a longer one nothing is kept."""

    def __init__(self, text: io.TextIOWrapper) -> None:
        self._text = text
        self.number = 0
        self.too_long: int | None = None

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = self._text.readline(LINE_LIMIT)
        if not line:
            raise StopIteration
        self.number += 1
        if len(line) < LINE_LIMIT or line.endswith("\n"):
            return line
        while line and not line.endswith("\n"):
            line = self._text.readline(LINE_LIMIT)
        self.too_long = self.number
        return "\n"
