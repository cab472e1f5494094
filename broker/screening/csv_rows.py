"""Shipments in CSV (RFC 4180), one a record, by a mapping of columns. A cell is text, whatever it begins with: nothing is ever computed."""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Final

from broker.screening.fields import shipment_of
from broker.screening.lines import LINE_LIMIT, lines
from broker.screening.mapping import ColumnMapping
from broker.screening.shipment import BadRow, Chunks, Row

RECORD_LINES: Final = 50
"""Most lines that one record runs over: a quote that is never closed must not swallow the file."""

Numbered = tuple[int, str]


def read_csv_rows(chunks: Chunks, mapping: ColumnMapping) -> Iterator[Row]:
    """The shipments of a file whose first record names the columns."""
    header: list[str] | None = None
    for found in _records(chunks, mapping):
        if isinstance(found, BadRow):
            yield found
            continue
        number, cells = found
        if header is None:
            header = [cell.strip() for cell in cells]
            missing = [column for column in mapping.columns if column not in header]
            if missing:
                yield BadRow(number, "NO_COLUMN", f"the header has no column `{missing[0][:60]}`; it has {', '.join(header)[:200]}")
                return
        elif len(cells) != len(header):
            yield BadRow(number, "WRONG_COLUMNS", f"{len(cells)} cells, and the header has {len(header)}")
        else:
            yield shipment_of(mapping.build(dict(zip(header, cells, strict=True))), "csv", number)
    if header is None:
        yield BadRow(1, "EMPTY", "there is no header")


def _records(chunks: Chunks, mapping: ColumnMapping) -> Iterator[tuple[int, Sequence[str]] | BadRow]:
    """Cells of each record with the number of its first line."""
    source = _decoded(chunks, mapping.encoding)
    ahead: deque[Numbered | BadRow] = deque()
    while (first := ahead.popleft() if ahead else next(source, None)) is not None:
        if isinstance(first, BadRow):
            yield first
            continue
        number, text = first
        if text.count('"') % 2 and not _closed(ahead, source, text):
            yield BadRow(number, "BAD_CSV", f"a quote is closed neither within {RECORD_LINES} lines nor before the end or a bad line")
            continue
        while text.count('"') % 2:
            more = ahead.popleft()
            text += "\n" + more[1] if not isinstance(more, BadRow) else ""
        if text.strip():
            yield _cells(number, text, mapping.delimiter)


def _closed(ahead: deque[Numbered | BadRow], source: Iterator[Numbered | BadRow], text: str) -> bool:
    """Whether a following line closes the open quote; the lines that were looked at are put ``ahead``."""
    quotes = text.count('"')
    for at in range(RECORD_LINES):
        if at == len(ahead):
            line = next(source, None)
            if line is None:
                return False
            ahead.append(line)
        line = ahead[at]
        if isinstance(line, BadRow):
            return False
        quotes += line[1].count('"')
        if quotes % 2 == 0:
            return True
    return False


def _cells(number: int, text: str, delimiter: str) -> tuple[int, Sequence[str]] | BadRow:
    try:
        return number, next(csv.reader([text], delimiter=delimiter, strict=True))
    except (csv.Error, StopIteration) as error:
        return BadRow(number, "BAD_CSV", str(error) or "there are no cells")


def _decoded(chunks: Chunks, encoding: str) -> Iterator[Numbered | BadRow]:
    for number, line in lines(chunks):
        if line is None:
            yield BadRow(number, "TOO_LONG", f"the line has over {LINE_LIMIT:,} bytes")
            continue
        try:
            text = line.decode(encoding).removesuffix("\r")
        except UnicodeDecodeError as error:
            yield BadRow(number, "BAD_ENCODING", f"byte {error.start + 1} of the line is not {encoding}")
            continue
        yield (number, text) if "\0" not in text else BadRow(number, "BAD_ENCODING", "the line holds zero bytes: the file is no text")
