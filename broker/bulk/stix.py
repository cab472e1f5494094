"""Records as objects of STIX 2.1 (OASIS), with the marks of TLP 2.0.

A message becomes a ``report`` by its originator's ``identity``. Its parties are identities, its countries ``location`` objects; the whole
message as JSON is in a property extension of the report, so that nothing is lost. Ids are UUIDv5 over what names the thing (RFC 9562
section 5.5), so the same message gives the same objects in every export.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from typing import Any, Final, cast

NAMESPACE: Final = uuid.uuid5(uuid.NAMESPACE_URL, "urn:broker:stix")
"""Of all ids here; not the one that STIX keeps for its observables."""
_TLP_EXTENSION: Final = "extension-definition--60a3c5c5-0d10-413e-aab3-9e08dde9e88d"
_TLP_CREATED: Final = "2022-10-01T00:00:00.000Z"
TLP: Final[Mapping[str, str]] = {
    "CLEAR": "marking-definition--94868c89-83c2-464b-929b-a1a8aa3c8487",
    "GREEN": "marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb",
    "AMBER": "marking-definition--55d920b0-5e8b-4f79-9ee9-91f868d9b421",
    "AMBER+STRICT": "marking-definition--939a9414-2ddd-4d32-a0cd-375ea402b003",
    "RED": "marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1",
}
"""The ids under which OASIS published the marks of TLP 2.0."""
_PERSON: Final = "1"
"""The person type of a natural person."""
Object = dict[str, Any]


def _id(kind: str, *names: str) -> str:
    return f"{kind}--{uuid.uuid5(NAMESPACE, '/'.join(names))}"


def marking(tlp: str) -> Object:
    """The marking definition of a TLP label, as published."""
    return {
        "type": "marking-definition", "spec_version": "2.1", "id": TLP[tlp], "created": _TLP_CREATED, "name": f"TLP:{tlp}",
        "extensions": {_TLP_EXTENSION: {"extension_type": "property-extension", "tlp_2_0": tlp.lower()}},
    }  # fmt: skip


class Stix:
    """The objects of one bundle for ``exchange``, in which each stands once. ``at`` is when the bundle is made (ISO 8601)."""

    def __init__(self, exchange: str, at: str) -> None:
        self._exchange, self._at = exchange, at
        self._seen: set[str] = set()
        self.maker = _id("identity", exchange)
        self.extension = _id("extension-definition", "message")

    def bundle_id(self, view: str, agency: str) -> str:
        """The id of the bundle."""
        return _id("bundle", self._exchange, view, agency, self._at)

    def start(self) -> Iterator[Object]:
        """The exchange itself, and what the extension of reports is."""
        yield from self._once(self._identity(self.maker, self._exchange, "system", None, _TLP_CREATED))
        yield from self._once({
            "type": "extension-definition", "spec_version": "2.1", "id": self.extension, "created": _TLP_CREATED,
            "modified": _TLP_CREATED, "created_by_ref": self.maker, "name": "message",
            "description": "A message of the exchange as JSON, with what was withheld from the agency that exported it.",
            "schema": "docs/messages.md", "version": "1.0.0", "extension_types": ["property-extension"],
        })  # fmt: skip

    def objects(self, view: str, record: Mapping[str, Any]) -> Iterator[Object]:
        """The objects of a record (as ``--json`` shows it) that this bundle does not have yet, the report last."""
        header: Mapping[str, Any] = record.get("header", {})
        tlp = record.get("tlp") or header.get("tlp")
        marks = [TLP[tlp]] if tlp in TLP else []
        if marks:
            yield from self._once(marking(str(tlp)))
        author = str(record.get("originator") or record.get("authority") or str(record["subject"]).partition("/")[0])
        created = _time(record.get("issued_at") or record.get("published_at") or record.get("admitted_at") or self._at)
        by = _id("identity", self._exchange, "agency", author)
        yield from self._once(self._identity(by, author, "organization", None, _TLP_CREATED))
        named = list(self._named(record, by, marks, created))
        for each in named:
            yield from self._once(each)
        revision = str(record.get("revision", ""))
        recipient = str(record.get("agency", ""))
        report = {
            "type": "report", "spec_version": "2.1",
            "id": _id("report", self._exchange, view, str(record["subject"]), revision, recipient),
            "created": created, "modified": created, "created_by_ref": by, "name": _name(view, record),
            "report_types": [str(record.get("family") or view).replace("_", "-")], "published": created,
            "object_refs": sorted({by, *(each["id"] for each in named)}),
            "extensions": {self.extension: {"extension_type": "property-extension", "message": dict(record)}},
        }  # fmt: skip
        yield from self._once({**report, "object_marking_refs": marks} if marks else report)

    def _once(self, found: Object) -> Iterator[Object]:
        if found["id"] not in self._seen:
            self._seen.add(found["id"])
            yield found

    def _identity(self, ref: str, name: str, kind: str, by: str | None, created: str) -> Object:
        made: Object = {
            "type": "identity", "spec_version": "2.1", "id": ref, "created": created, "modified": created, "name": name,
            "identity_class": kind,
        }  # fmt: skip
        return made if by is None else {**made, "created_by_ref": by}

    def _named(self, record: Mapping[str, Any], by: str, marks: list[str], created: str) -> Iterator[Object]:
        """Parties and countries, wherever they stand in the sections. Those of one message belong to it: two messages that name the same
        firm do not share an object, since each may only be passed on under its own marks."""
        message = f"{record['subject']}/{record.get('revision', '')}"
        marked: Object = {"object_marking_refs": marks} if marks else {}
        for party in _parties(record.get("sections", {})):
            kind = "individual" if str(party.get("person_type")) == _PERSON else "organization"
            ref = _id("identity", self._exchange, message, kind, str(party["name"]))
            roles = [str(party["role"]).lower()] if party.get("role") else []
            made = self._identity(ref, str(party["name"]), kind, by, created)
            yield {**made, **({"roles": roles} if roles else {}), **marked}
        for country in sorted(set(_countries(record))):
            ref = _id("location", self._exchange, country)
            yield {
                "type": "location", "spec_version": "2.1", "id": ref, "created": _TLP_CREATED, "modified": _TLP_CREATED, "country": country,
            }  # fmt: skip


def _name(view: str, record: Mapping[str, Any]) -> str:
    parts = [str(record.get("family") or view), str(record["subject"])]
    parts += [f"revision {record['revision']}"] if record.get("revision") else []
    parts += [f"to {record['agency']}"] if record.get("agency") else []
    return " ".join(parts)


def _time(text: Any) -> str:
    """A time as STIX writes it: UTC with milliseconds."""
    found = str(text)
    return found if "." in found else found.replace("Z", ".000Z")


def _parties(value: Any) -> Iterator[Mapping[str, Any]]:
    """Every object with a name and a kind of person."""
    if isinstance(value, dict):
        found = cast("dict[str, Any]", value)
        if isinstance(found.get("name"), str) and found["name"] and "person_type" in found:
            yield found
        for each in found.values():
            yield from _parties(each)
    elif isinstance(value, list):
        for each in cast("list[Any]", value):
            yield from _parties(each)


def _countries(record: Mapping[str, Any]) -> Iterator[str]:
    """Countries that the message is about: of its route, or the destinations of a licence."""
    sections: Mapping[str, Any] = record.get("sections", {})
    for entry in sections.get("route", {}).get("countries") or ():
        if len(str(entry.get("country", ""))) == 2:
            yield entry["country"]
    yield from (each for each in record.get("destinations") or () if len(each) == 2)
