"""What a shipment is looked up by: keys of the register (:mod:`broker.register.keys`), each with its place in the shipment."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple

from broker.register import keys
from broker.register.rows import Key
from broker.screening.shipment import Record, Shipment


class Probe(NamedTuple):
    """A key, where in the shipment it stands (``units[0].id``), and what stands there."""

    kind: str
    value: str
    where: str
    text: str


class Trader(NamedTuple):
    """A party's name, where it stands, and its role."""

    name: str
    where: str
    role: str


def probes(shipment: Shipment) -> list[Probe]:
    """Containers, documents, conveyances, numbers of parties, cited licences."""
    found = list(_probes(shipment))
    return list(dict.fromkeys(found))


def _probes(shipment: Shipment) -> Iterator[Probe]:
    for number, unit in enumerate(shipment.units):
        yield from _each(keys.equipment_keys([unit]), f"units[{number}].id", str(unit["id"]))
    for number, document in enumerate(shipment.documents):
        yield from _each(keys.document_keys([document]), f"documents[{number}].id", str(document["id"]))
    for name, text in (("mrn", shipment.mrn), ("ucr", shipment.ucr)):
        if text:
            yield from _each(keys.document_keys((), text), name, text)
    for number, conveyance in enumerate(shipment.conveyances):
        yield from _conveyance(conveyance, f"conveyances[{number}]")
    for number, party in enumerate(shipment.parties):
        for name in ("id", "lei", "eori"):
            if party.get(name) and (value := keys.comparable(str(party[name]))):
                yield Probe(keys.PARTY_ID, value, f"parties[{number}].{name}", str(party[name]))
    for number, ref in enumerate(shipment.licence_refs):
        yield from _each(keys.licence_keys([ref]), f"licence_refs[{number}].licence_no", str(ref["licence_no"]))


def _each(found: Iterable[Key], where: str, text: str) -> Iterator[Probe]:
    for key in found:
        yield Probe(key.kind, key.value, where, text)


def _conveyance(conveyance: Record, where: str) -> Iterator[Probe]:
    text = next((str(conveyance[name]) for name in ("imo", "flight", "wagon", "plate", "name") if conveyance.get(name)), "")
    for key in keys.conveyance_keys(conveyance):
        if key.value:
            yield Probe(key.kind, key.value, where, text)
    sign = keys.comparable(str(conveyance.get("call_sign") or ""))
    if sign:
        yield Probe(keys.PARTY_ID, sign, f"{where}.call_sign", str(conveyance["call_sign"]))


def traders(shipment: Shipment) -> list[Trader]:
    """The names to compare: of parties, and of ships."""
    named = [
        Trader(str(party["name"]), f"parties[{number}].name", str(party.get("role") or ""))
        for number, party in enumerate(shipment.parties)
        if party.get("name")
    ]
    ships = [
        Trader(str(each["name"]), f"conveyances[{number}].name", "SHIP")
        for number, each in enumerate(shipment.conveyances)
        if each.get("name") and each.get("mode") == "SEA"
    ]
    return named + ships


def commodities(shipment: Shipment) -> list[tuple[str, str]]:
    """HS codes, digits only, and where they stand."""
    coded = ((number, keys.comparable(str(item.get("hs_code") or ""))) for number, item in enumerate(shipment.goods))
    return [(code, f"goods[{number}].hs_code") for number, code in coded if len(code) >= 6]


def controls(shipment: Shipment) -> list[tuple[str, str]]:
    """Entries of control lists, and where they stand."""
    return [
        (_control(str(entry["code"])), f"goods[{number}].control_codes[{at}]")
        for number, item in enumerate(shipment.goods)
        for at, entry in enumerate(item.get("control_codes") or ())
    ]


@lru_cache(maxsize=4096)
def _control(code: str) -> str:
    return keys.control_code(code)


def countries(shipment: Shipment) -> set[str]:
    """The countries that the shipment passes, wherever it names them."""
    return {str(each["country"]) for each in (*shipment.countries, *shipment.places) if each.get("country")}


def places(shipment: Shipment) -> dict[str, str]:
    """UN/LOCODE of each place to where it stands."""
    found = {str(each["locode"]): f"places[{number}].locode" for number, each in enumerate(shipment.places) if each.get("locode")}
    zones = {zone[:5]: f"free_zones[{number}]" for number, zone in enumerate(shipment.free_zones)}
    return found | zones
