"""Any file of shipments: its format is told by its content, or named."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Literal, get_args

from broker.screening.csv_rows import read_csv_rows
from broker.screening.edifact import read_edifact_rows
from broker.screening.json_rows import read_json_rows
from broker.screening.lines import begun, narrow
from broker.screening.mapping import ColumnMapping
from broker.screening.shipment import BadRow, Chunks, Row
from broker.screening.xml_rows import read_xml_rows

Format = Literal["json", "csv", "xml", "edifact"]
FORMATS: Final[tuple[Format, ...]] = get_args(Format)

HEAD: Final = 256
"""Bytes that tell the format."""


def detected(head: bytes) -> Format | None:
    """The format that the beginning of a file shows; None where it shows none."""
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    if text.startswith((b"UNA", b"UNB", b"UNH")):
        return "edifact"
    if text.startswith(b"<"):
        return "xml"
    return "json" if text.startswith((b"{", b"[")) else None


def read_rows(chunks: Chunks, *, form: Format | None = None, mapping: ColumnMapping | None = None) -> Iterator[Row]:
    """The shipments and bad rows of a file, in order. ``mapping`` is for CSV; with it, a file that shows no format is CSV. Never raises for
    what the file holds."""
    head, rest = begun(chunks, HEAD)
    if not head.strip():
        head, rest = begun(rest, 1 << 16)
    form = form or detected(_plain(head)) or ("csv" if mapping is not None else None)
    if form == "xml":
        yield from read_xml_rows(rest)  # its own declaration tells its encoding
    elif not head.strip():
        yield BadRow(1, "EMPTY", "there is not one row")
    elif form == "json":
        yield from read_json_rows(narrow(head, rest))
    elif form == "edifact":
        yield from read_edifact_rows(_from_tag(narrow(head, rest)))
    elif form == "csv":
        yield from (
            read_csv_rows(narrow(head, rest), mapping) if mapping else iter([BadRow(1, "NO_MAPPING", "a CSV file came without a mapping")])
        )
    else:
        yield BadRow(1, "UNKNOWN_FORMAT", "the file begins like none of JSON, XML, EDIFACT")


def _plain(head: bytes) -> bytes:
    """The head as narrow text."""
    return b"".join(narrow(head, iter([head])))


def _from_tag(chunks: Chunks) -> Iterator[bytes]:
    """Without white space at the beginning: UNA has to be the first sign."""
    begins = True
    for chunk in chunks:
        piece = chunk.lstrip() if begins else chunk
        begins = begins and not piece
        if piece:
            yield piece
