"""Shipments in JSON: one object a line, or one document with an object or a list of them; ours, or an entry summary's JSON form."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, cast

from broker.errors import UsageError
from broker.schema.json_form import read_json
from broker.screening.ens_json import is_entry_summary, of_entry_summary
from broker.screening.fields import shipment_of
from broker.screening.lines import LINE_LIMIT, lines
from broker.screening.shipment import BadRow, Chunks, Row
from broker.screening.trade_documents import is_trade_document, of_trade_document

DEPTH: Final = 32
"""Brackets inside of brackets; a shipment has five."""
DOCUMENT_LIMIT: Final = 16 << 20
"""Bytes of a document that is not written line by line."""


def read_json_rows(chunks: Chunks) -> Iterator[Row]:
    """The shipments of a file. A file whose first line is no whole value is read as one document."""
    source = lines(chunks)
    first = next(((number, line) for number, line in source if line is None or line.strip()), None)
    if first is None:
        yield BadRow(1, "EMPTY", "there is not one row")
        return
    number, line = first
    if line is not None and not _whole(line):
        yield from _document(number, line, source)
        return
    yield from _line(number, line)
    for number, line in source:
        if line is None or line.strip():
            yield from _line(number, line)


def _whole(line: bytes) -> bool:
    """Whether the first line is a row of its own: it ends with what it began with, or is no JSON at all."""
    text = line.strip()
    return not text.startswith((b"{", b"[")) or (text.startswith(b"{") and _level(text) <= 0) or text.endswith(b"]")


def _level(text: bytes) -> int:
    """How many brackets are open at the end, strings left out."""
    return _measure(text)[0]


def _measure(text: bytes) -> tuple[int, int]:
    """Brackets open at the end, and at most."""
    depth = deepest = 0
    inside = escaped = False
    for sign in text:
        if inside:
            if escaped:
                escaped = False
            elif sign == 0x5C:
                escaped = True
            elif sign == 0x22:
                inside = False
        elif sign == 0x22:
            inside = True
        elif sign in b"{[":
            depth += 1
            deepest = max(deepest, depth)
        elif sign in b"}]":
            depth -= 1
    return depth, deepest


def _document(number: int, line: bytes, rest: Iterator[tuple[int, bytes | None]]) -> Iterator[Row]:
    held, size = [line], len(line)
    for at, more in rest:
        if more is None:
            yield BadRow(at, "TOO_LONG", f"the line has over {LINE_LIMIT:,} bytes")
            return
        held.append(more)
        size += len(more) + 1
        if size > DOCUMENT_LIMIT:
            yield BadRow(number, "TOO_LARGE", f"the document has over {DOCUMENT_LIMIT:,} bytes: write one shipment a line")
            return
    yield from _line(number, b"\n".join(held))


def _line(number: int, line: bytes | None) -> Iterator[Row]:
    value = BadRow(number, "TOO_LONG", f"the line has over {LINE_LIMIT:,} bytes") if line is None else _value(number, line)
    if isinstance(value, BadRow):
        yield value
        return
    if value == []:
        yield BadRow(number, "EMPTY", "the list is empty")
    if not isinstance(value, list):
        yield from _rows(value, number)
        return
    for place, each in enumerate(cast("list[object]", value)):
        yield from _rows(each, number, f"/{place}")


def _rows(value: Any, number: int, at: str = "") -> Iterator[Row]:
    """The shipments of one value; ``at`` is its JSON pointer in the line or document."""
    given = cast("dict[str, Any]", value) if isinstance(value, dict) else None
    if given is not None and is_entry_summary(given):
        yield of_entry_summary(given, number, at)
    elif given is not None and is_trade_document(given):
        yield from of_trade_document(given, number)
    else:
        yield shipment_of(given if given is not None else cast("object", value), "json", number)


def _value(number: int, line: bytes) -> Any:
    """The JSON value of a line, or a bad row."""
    brackets = line.count(b"{") + line.count(b"[")
    if brackets > DEPTH and (deepest := _measure(line)[1]) > DEPTH:
        return BadRow(number, "TOO_DEEP", f"{deepest:,} brackets lie in each other; {DEPTH} are read")
    try:
        return read_json(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        return BadRow(number, "BAD_ENCODING", f"byte {error.start + 1} of the line is not UTF-8")
    except UsageError as error:
        return BadRow(number, "BAD_JSON", str(error)[:300])
