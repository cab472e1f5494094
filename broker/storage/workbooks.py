"""Workbooks (Office Open XML, ``.xlsx``) as rows of text, weighed before they are opened.

A workbook is a ZIP archive of XML. A kilobyte of it can unpack to gigabytes, so the sizes that its directory states are looked at first:
nothing is unpacked beyond them. Formulas stay text, links and macros are never followed, XML entities are not expanded (defusedxml).
"""

from __future__ import annotations

import contextlib
import datetime as dates
import warnings
import zipfile
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final

import openpyxl

from broker.bulk.rows import BadRow
from broker.errors import UsageError
from broker.storage.tables import COLUMNS_LIMIT, Cells

UNPACKED_LIMIT: Final = 1 << 30
"""Most bytes of a workbook unpacked: a sheet of a million rows and twenty columns has some 700 MB."""
STRINGS_LIMIT: Final = 64 << 20
"""Most bytes of the shared texts, which are held in memory."""
RATIO_LIMIT: Final = 200
"""Most bytes that one packed byte may stand for, in a part of more than :data:`SMALL`; a real sheet has 5 to 60."""
SMALL: Final = 4 << 20
PARTS_LIMIT: Final = 5_000
_SAVE: Final = "save the sheet as CSV"
_BROKEN: Final = (zipfile.BadZipFile, KeyError, ValueError, TypeError, OSError, EOFError, AttributeError, IndexError, NotImplementedError)
"""What openpyxl and zipfile raise for archives that are no workbook."""


def weigh(path: Path, file: BinaryIO) -> None:
    """Refuse an archive that would unpack to too much, or names places outside itself. Raises UsageError."""
    try:
        parts = zipfile.ZipFile(file).infolist()
    except (zipfile.BadZipFile, ValueError, OSError, EOFError) as error:
        raise UsageError(f"`{path}` is a broken archive: {error}", advice=_SAVE) from error
    finally:
        file.seek(0)
    if len(parts) > PARTS_LIMIT:
        raise UsageError(f"`{path}` has {len(parts):,} parts, {PARTS_LIMIT:,} are the most", advice=_SAVE)
    total = 0
    for part in parts:
        total += part.file_size
        name = part.filename[:60].encode("unicode_escape").decode()
        if part.filename.startswith(("/", "\\")) or ".." in part.filename.replace("\\", "/").split("/") or ":" in part.filename:
            raise UsageError(f"`{path}` has a part `{name}` outside the workbook", advice=_SAVE)
        if part.flag_bits & 1:
            raise UsageError(f"`{path}` is encrypted", advice="save it without a password")
        if part.file_size > SMALL and part.file_size > RATIO_LIMIT * max(1, part.compress_size):
            ratio = part.file_size // max(1, part.compress_size)
            raise UsageError(f"`{path}`: `{name}` unpacks to {ratio:,} times its size, {RATIO_LIMIT} is the most", advice=_SAVE)
        if "sharedstrings" in part.filename.lower() and part.file_size > STRINGS_LIMIT:
            raise UsageError(f"`{path}` has {part.file_size:,} bytes of texts, {STRINGS_LIMIT:,} are the most", advice=_SAVE)
    if total > UNPACKED_LIMIT:
        raise UsageError(f"`{path}` unpacks to {total:,} bytes, {UNPACKED_LIMIT:,} are the most", advice=_SAVE)


@contextlib.contextmanager
def workbook_rows(path: Path, file: BinaryIO, sheet: str | None) -> Generator[Iterator[Cells | BadRow]]:
    """The rows of a sheet, by default the first. Raises UsageError, also in the midst of the rows where the rest cannot be read."""
    weigh(path, file)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what openpyxl does not keep: it is only read here
        try:
            book: Any = openpyxl.load_workbook(file, read_only=True, data_only=False, keep_links=False)
        except _BROKEN as error:
            raise _broken(path, error) from error
        except Exception as error:
            raise _broken(path, error) from error
        try:
            names: list[str] = [each.title for each in book.worksheets]
            if not names or (sheet is not None and sheet not in names):
                has = ", ".join(names)[:200]
                raise UsageError(f"`{path}` has no sheet `{(sheet or '')[:60]}`; it has {has or 'none'}", advice="correct the mapping")
            yield _rows(path, book[sheet] if sheet is not None else book.worksheets[0])
        finally:
            book.close()


def _broken(path: Path, error: Exception) -> UsageError:
    told = str(error)[:200].encode("unicode_escape").decode()
    return UsageError(f"`{path}` is no workbook that can be read: {type(error).__name__} {told}", advice=_SAVE)


def _rows(path: Path, sheet: Any) -> Iterator[Cells | BadRow]:
    # What the sheet says of its size may be wrong: it is not believed.
    sheet.reset_dimensions()
    rows = sheet.iter_rows(max_col=COLUMNS_LIMIT)
    number = 0
    while True:
        number += 1
        try:
            row = next(rows)
        except StopIteration:
            return
        except Exception as error:
            raise _broken(path, error) from error
        yield _cells(number, row)


def _cells(number: int, row: Any) -> Cells:
    texts: list[str] = []
    moments: set[int] = set()
    formulas: set[int] = set()
    for place, cell in enumerate(row):
        value, kind = cell.value, cell.data_type
        if kind == "f":
            formulas.add(place)
        if isinstance(value, dates.datetime):
            value = value.isoformat(timespec="seconds") if value.time() != dates.time() else value.date().isoformat()
            moments.add(place)
        elif isinstance(value, dates.date):
            value = value.isoformat()
            moments.add(place)
        texts.append(_text(value))
    return Cells(number, texts, frozenset(moments), frozenset(formulas))


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    return str(value)
