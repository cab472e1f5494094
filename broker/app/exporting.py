"""Records of a view, written in a format that other systems read. Records are as ``--json`` shows them, and are written as they come."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO, Final, Protocol

from fastavro import parse_schema
from fastavro.write import Writer as AvroWriter

from broker.bulk import cells, cloudevents
from broker.bulk.stix import Stix
from broker.errors import UsageError
from broker.schema.catalogue import Catalogue

FORMATS: Final[Mapping[str, str]] = {
    "csv": "text/csv; charset=utf-8",
    "jsonl": "application/jsonl",
    "stix": "application/stix+json;version=2.1",
    "cloudevents": cloudevents.JSON_TYPE,
    "cloudevents-avro": "application/avro",
}
"""Formats and their media types; the last is an Avro object container file of events in CloudEvents' Avro format."""


@dataclass(frozen=True, slots=True)
class About:
    """What an export is of: the view, the exchange and the agency, when it is made (ISO 8601)."""

    view: str
    exchange: str
    agency: str
    at: str


class Export(Protocol):
    """An export under way."""

    def add(self, record: Mapping[str, Any]) -> None:
        """Write one record."""
        ...

    def finish(self) -> None:
        """Write what follows the last."""
        ...


def export_to(out: BinaryIO, form: str, about: About, catalogue: Catalogue) -> Export:
    """Begin an export in one of :data:`FORMATS`. Nothing is held but what was seen of STIX's shared objects. Raises UsageError."""
    if form not in FORMATS:
        raise UsageError(f"there is no format `{form}`", advice=f"use {', '.join(FORMATS)}")
    match form:
        case "csv":
            return _Csv(out, about, catalogue)
        case "jsonl":
            return _Lines(out)
        case "stix":
            return _Bundle(out, about)
        case "cloudevents":
            return _Events(out, about)
        case _:
            return _AvroEvents(out, about)


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "backslashreplace")


class _Csv:
    """RFC 4180, UTF-8 with its mark: without it spreadsheets take the text for an old encoding."""

    def __init__(self, out: BinaryIO, about: About, catalogue: Catalogue) -> None:
        self._text = io.TextIOWrapper(out, encoding="utf-8-sig", errors="backslashreplace", newline="", write_through=True)
        self._rows = csv.writer(self._text)
        self._view, self._columns = about.view, cells.columns(about.view, catalogue)
        self._rows.writerow(self._columns)

    def add(self, record: Mapping[str, Any]) -> None:
        self._rows.writerows(cells.table_rows(self._view, record, self._columns))

    def finish(self) -> None:
        self._text.detach()


class _Lines:
    def __init__(self, out: BinaryIO) -> None:
        self._out = out

    def add(self, record: Mapping[str, Any]) -> None:
        self._out.write(_json(record) + b"\n")

    def finish(self) -> None:
        pass


class _Array:
    """A JSON array, entry by entry."""

    def __init__(self, out: BinaryIO) -> None:
        self._out, self._first = out, True

    def add(self, entry: Any) -> None:
        self._out.write((b"\n" if self._first else b",\n") + _json(entry))
        self._first = False


class _Bundle:
    def __init__(self, out: BinaryIO, about: About) -> None:
        self._out, self._view = out, about.view
        self._stix = Stix(about.exchange, about.at)
        out.write(b'{"type":"bundle","id":' + _json(self._stix.bundle_id(about.view, about.agency)) + b',"objects":[')
        self._objects = _Array(out)
        self._write(self._stix.start())

    def _write(self, objects: Iterator[dict[str, Any]]) -> None:
        for each in objects:
            self._objects.add(each)

    def add(self, record: Mapping[str, Any]) -> None:
        self._write(self._stix.objects(self._view, record))

    def finish(self) -> None:
        self._out.write(b"\n]}\n")


class _Events:
    def __init__(self, out: BinaryIO, about: About) -> None:
        self._out, self._about = out, about
        out.write(b"[")
        self._events = _Array(out)

    def add(self, record: Mapping[str, Any]) -> None:
        self._events.add(cloudevents.event(self._about.view, record, exchange=self._about.exchange, at=self._about.at))

    def finish(self) -> None:
        self._out.write(b"\n]\n")


class _AvroEvents:
    def __init__(self, out: BinaryIO, about: About) -> None:
        self._about = about
        self._writer: Any = AvroWriter(out, parse_schema(cloudevents.AVRO_SCHEMA))

    def add(self, record: Mapping[str, Any]) -> None:
        found = cloudevents.event(self._about.view, record, exchange=self._about.exchange, at=self._about.at)
        self._writer.write(cloudevents.avro_event(found))

    def finish(self) -> None:
        self._writer.flush()
