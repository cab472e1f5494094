"""What a subject can be found by, in comparable forms: ``csqu 305438-3`` on a paper and ``CSQU3054383`` in an alert are one container."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from typing import Any, Final

from broker.families.rules import rows
from broker.register.names import name_forms
from broker.register.rows import Key

CONTAINER: Final = "CONTAINER"
DOCUMENT: Final = "DOCUMENT"
CONVEYANCE: Final = "CONVEYANCE"
NAME: Final = "NAME"
LATIN: Final = "LATIN"
BARE: Final = "BARE"
PARTY_ID: Final = "PARTY_ID"
HS: Final = "HS"
CONTROL: Final = "CONTROL"
LICENCE: Final = "LICENCE"
KINDS: Final = (CONTAINER, DOCUMENT, CONVEYANCE, NAME, LATIN, BARE, PARTY_ID, HS, CONTROL, LICENCE)
"""Kinds of keys. A party's name gives three: as written, romanised, romanised without the kind of company."""

_SIGNS: Final = re.compile(r"[^0-9A-Z]+")
_IDENTITIES: Final = ("declared", "found", "inbound", "outbound")
"""Where an item of goods is described more than once."""
_DOTTED: Final = re.compile(r"\s+")


def comparable(text: str) -> str:
    """A number or code without signs and spaces, in capitals. Letters outside of ASCII stay letters, so that none is lost."""
    if text.isascii():
        return _SIGNS.sub("", text.upper())
    return "".join(c for c in unicodedata.normalize("NFKC", text).upper() if c.isalnum())


def control_code(text: str) -> str:
    """A control list's entry with its dots and brackets, which tell entries apart: ``3A001.a.1`` as ``3A001.A.1``."""
    return _DOTTED.sub("", unicodedata.normalize("NFKC", text).upper())


def conveyance_keys(conveyance: Mapping[str, Any]) -> Iterator[Key]:
    """A ship by IMO number, with and without its voyage, or by name; a flight with and without its day; a wagon; a plate."""
    mode = str(conveyance.get("mode") or "")
    for name, leg in (("imo", "voyage"), ("flight", "flight_date")):
        value = conveyance.get(name)
        if value:
            yield Key(CONVEYANCE, comparable(value), mode)
            more = conveyance.get(leg)
            if more:
                yield Key(CONVEYANCE, f"{comparable(value)}/{_leg(more)}", mode)
    for name in ("wagon", "plate", "name"):
        if conveyance.get(name):
            yield Key(CONVEYANCE, comparable(conveyance[name]), mode)


def _leg(value: Any) -> str:
    return value.isoformat() if isinstance(value, date) else comparable(str(value))


def conveyance_value(text: str) -> str:
    """A conveyance as a person asks for it: ``9074729``, ``9074729/017E``, ``SQ12/2026-10-01``, a plate."""
    what, slash, leg = text.partition("/")
    return comparable(what) + (f"/{leg if re.fullmatch(r'[0-9]{4}-[0-9]{2}-[0-9]{2}', leg) else comparable(leg)}" if slash else "")


def equipment_keys(units: Iterable[Mapping[str, Any]]) -> Iterator[Key]:
    """Containers as declared and as found: both are what somebody may look for."""
    for unit in units:
        for name in ("id", "observed_raw"):
            if unit.get(name) and comparable(unit[name]):
                yield Key(CONTAINER, comparable(unit[name]), "observed" if name == "observed_raw" else "")


def document_keys(documents: Iterable[Mapping[str, Any]], *numbers: str | None) -> Iterator[Key]:
    """Transport documents, and further numbers by which papers are found (MRN, UCR)."""
    for document in documents:
        if document.get("id") and comparable(document["id"]):
            yield Key(DOCUMENT, comparable(document["id"]), str(document.get("type") or ""))
    for number in numbers:
        if number and comparable(number):
            yield Key(DOCUMENT, comparable(number))


def name_keys(name: str, detail: str) -> Iterator[Key]:
    """The forms of a name; empty ones are left out."""
    forms = name_forms(name)
    for kind, value in ((NAME, forms.normal), (LATIN, forms.latin), (BARE, forms.bare)):
        if value:
            yield Key(kind, value, detail)


def party_keys(parties: Iterable[Mapping[str, Any]]) -> Iterator[Key]:
    """Names and numbers of parties."""
    for party in parties:
        detail = f"{party.get('role') or ''} {party['name']}".strip()
        yield from name_keys(party["name"], detail)
        for name in ("id", "lei", "eori"):
            if party.get(name) and comparable(party[name]):
                yield Key(PARTY_ID, comparable(party[name]), detail)


def goods_keys(items: Iterable[Mapping[str, Any]]) -> Iterator[Key]:
    """HS codes (asked for by any beginning: heading, subheading) and entries of control lists."""
    for item in items:
        for holder in (item, *(item.get(name) for name in _IDENTITIES)):
            code = None if holder is None else holder.get("hs_code")
            if code and comparable(code):
                yield Key(HS, comparable(code))
        for entry in rows(item, "control_codes"):
            if control_code(entry["code"]):
                yield Key(CONTROL, control_code(entry["code"]), str(entry.get("scheme") or ""))


def licence_keys(refs: Iterable[Mapping[str, Any]]) -> Iterator[Key]:
    """Licences that the papers cite, with the authority as they name it."""
    for ref in refs:
        if comparable(ref["licence_no"]):
            yield Key(LICENCE, comparable(ref["licence_no"]), str(ref.get("authority") or ""))


def watch_keys(identity: Mapping[str, Any] | None) -> Iterator[Key]:
    """Names and numbers of a watched entity; a ship also as a conveyance. A romanisation by its owner counts as a name of its own."""
    if identity is None:
        return
    for entry in rows(identity, "names"):
        for name in (entry["name"], entry.get("transliteration")):
            if name:
                yield from name_keys(name, f"{entry.get('name_kind') or ''} {entry['name']}".strip())
    for name in ("lei", "eori", "imo"):
        if identity.get(name) and comparable(identity[name]):
            yield Key(PARTY_ID, comparable(identity[name]), name.upper())
    if identity.get("imo") and comparable(identity["imo"]):
        yield Key(CONVEYANCE, comparable(identity["imo"]), "SEA")
    for entry in rows(identity, "other_ids"):
        if comparable(entry["id"]):
            yield Key(PARTY_ID, comparable(entry["id"]), str(entry.get("id_scheme") or ""))
