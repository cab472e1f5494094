"""Bad files for the screening show: what each comes to, and that it costs no memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain, repeat
from typing import Final

from broker.screening.mapping import read_mapping
from broker.screening.reading import read_rows
from broker.screening.shipment import BadRow, Chunks

COLUMNS: Final = read_mapping('[shipment]\nunits = [{ id = "{Box}" }]\nparties = [{ role = "CONSIGNEE", name = "{Buyer}" }]')
BOX: Final = b'{"units": [{"id": "CSQU3054383"}]}\n'
BOMB: Final = b'<!DOCTYPE d [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]><Declaration><ID>&b;</ID></Declaration>'
STOWED: Final = b"UNH+1+BAPLIE:D:95B:UN'TDT+20+017E'LOC+147+0030586::5'EQD+CN+CSQU3054383'"


def _endless(begin: bytes, megabytes: int, end: bytes = b"") -> Iterator[bytes]:
    return chain([begin], repeat(b"x" * 65_536, 16 * megabytes), [end])


def bad_files() -> Mapping[str, tuple[Chunks, str]]:
    """Name of a file to its content, and to what has to be said of its rows, in order; ``ok`` is a shipment."""
    return {
        "XML with entities that multiply": ([BOMB], "XML_DTD"),
        "XML with an outside entity": ([b'<!DOCTYPE d SYSTEM "file:///etc/passwd"><Declaration/>'], "XML_DTD"),
        "XML that ends early": ([b"<all><Declaration><ID>1</ID></Declaration><Declaration><ID>2"], "ok BAD_XML"),
        "XML 70 elements deep": ([b"<Declaration>" + b"<a>" * 70], "TOO_DEEP"),
        "XML with a tag of 100 MB": (_endless(b"<Declaration ", 100), "TOO_LONG"),
        "XML in a wrong encoding": ([b"<Declaration><ID>\xff</ID></Declaration>"], "BAD_XML"),
        "JSON in 10,000 brackets": ([b"[" * 10_000 + b"\n" + BOX], "TOO_DEEP"),
        "JSON of one line of 100 MB, and one more": (_endless(b'{"mrn": "', 100, b"\n" + BOX), "TOO_LONG ok"),
        "JSON of which one line is Latin 1": ([BOX, '{"mrn": "é"}\n'.encode("latin-1"), BOX], "ok BAD_ENCODING ok"),
        "CSV with a quote that is never closed": ([b'Box,Buyer\nCSQU3054383,"A\nMSKU9070323,B\n'], "BAD_CSV ok"),
        "CSV with formula cells": ([b'Box,Buyer\n=1+1,"=HYPERLINK(""http://x"")"\n'], "ok"),
        "CSV with too few cells": ([b"Box,Buyer\nCSQU3054383\nMSKU9070323,B\n"], "WRONG_COLUMNS ok"),
        "CSV in Latin 1": (["Box,Buyer\nCSQU3054383,Müller\nMSKU9070323,B\n".encode("latin-1")], "BAD_ENCODING ok"),
        "EDIFACT without terminators": ([STOWED.replace(b"'", b"\n")], "NO_TERMINATOR UNKNOWN_MESSAGE"),
        "EDIFACT with a segment of 100 MB": (_endless(STOWED, 100), "NO_TERMINATOR ok TRUNCATED"),
        "EDIFACT without its trailer": ([STOWED], "ok TRUNCATED"),
        "EDIFACT that lost a segment": ([STOWED + b"UNT+6+1'"], "ok COUNT_MISMATCH"),
        "nothing": ([b""], "EMPTY"),
        "a picture": ([b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 40], "BAD_ENCODING NO_COLUMN"),
    }  # fmt: skip


def said_of(chunks: Chunks) -> str:
    """What is said of a file's rows."""
    return " ".join(row.code if isinstance(row, BadRow) else "ok" for row in read_rows(chunks, mapping=COLUMNS))
