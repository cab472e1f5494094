"""Records as CloudEvents 1.0 (CNCF), for its JSON format and its Avro format.

``source`` and ``id`` name an event for good: the exchange and the originator, and the message's id (or what a record has in its place).
The attributes beside those of the specification are ``revision``, ``urgency``, ``tlp`` and ``withheld`` (names of sections).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

VERSION: Final = "1.0"
JSON_TYPE: Final = "application/cloudevents-batch+json"
"""Media type of a JSON array of events."""
AVRO_TYPE: Final = "application/cloudevents+avro"
_JSON_VALUE: Final = ["null", "boolean", {"type": "map", "values": "CloudEventData"}, {"type": "array", "items": "CloudEventData"},
                      "double", "string"]  # fmt: skip
_DATA: Final = {
    "type": "record", "name": "CloudEventData", "doc": "Representation of a JSON Value",
    "fields": [{"name": "value", "type": {"type": "map", "values": _JSON_VALUE}}],
}  # fmt: skip
AVRO_SCHEMA: Final[dict[str, Any]] = {
    "namespace": "io.cloudevents", "type": "record", "name": "CloudEvent", "version": "1.0", "doc": "Avro Event Format for CloudEvents",
    "fields": [
        {"name": "attribute", "type": {"type": "map", "values": ["null", "boolean", "int", "string", "bytes"]}},
        {"name": "data", "type": [
            "bytes", "null", "boolean", {"type": "map", "values": ["null", "boolean", _DATA, "double", "string"]},
            {"type": "array", "items": "CloudEventData"}, "double", "string",
        ]},
    ],
}  # fmt: skip
"""The record that the Avro format (section 2.4 of its specification) prescribes for every event. Data goes into the branch of bytes."""


def event(view: str, record: Mapping[str, Any], *, exchange: str, at: str) -> dict[str, Any]:
    """The event of a record (as ``--json`` shows it), in the JSON format. ``at`` (ISO 8601) stands where the record has no time."""
    header: Mapping[str, Any] = record.get("header", {})
    subject = str(record["subject"])
    author = str(record.get("originator") or record.get("authority") or subject.partition("/")[0])
    own = ":".join(str(each) for each in (subject, record.get("revision"), record.get("agency")) if each)
    withheld = record.get("withheld")
    more = {
        "revision": record.get("revision"),
        "urgency": record.get("urgency") or header.get("urgency"),
        "tlp": record.get("tlp") or header.get("tlp"),
        "withheld": " ".join(withheld) if withheld else None,
    }
    return {
        "specversion": VERSION, "id": str(record.get("message_id") or own), "source": f"/exchanges/{exchange}/agencies/{author}",
        "type": f"broker.{record.get('family') or view}", "subject": subject, "datacontenttype": "application/json",
        "time": str(record.get("issued_at") or record.get("published_at") or record.get("admitted_at") or at),
        **{name: value for name, value in more.items() if value is not None},
        "data": dict(record),
    }  # fmt: skip


def avro_event(event: Mapping[str, Any]) -> dict[str, Any]:
    """An event as the record of :data:`AVRO_SCHEMA`, its data as JSON in bytes."""
    attributes = {name: value for name, value in event.items() if name != "data"}
    return {"attribute": attributes, "data": json.dumps(event["data"], ensure_ascii=False, separators=(",", ":")).encode()}
