"""Air waybills in IATA's Cargo-XML: XFWB (master) and XFZB (house)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from broker.screening.carriage import flight
from broker.screening.shipment import HS_EDITION, BadRow, Row, Shipment, distinct, party, present
from broker.screening.xml_tree import Element

RECORDS: Final = frozenset({"Waybill", "HouseWaybill"})
ROLES: Final[Mapping[str, tuple[str, str]]] = {
    "ConsignorParty": ("CONSIGNOR", "SHP"), "ConsigneeParty": ("CONSIGNEE", "CNE"), "FreightForwarderParty": ("AGENT", "AGT"),
    "AssociatedParty": ("NOTIFY", "NFY"), "NotifiedParty": ("NOTIFY", "NFY"), "NotifyParty": ("NOTIFY", "NFY"),
}  # fmt: skip
"""Element of a party, its role, and what customs notes call it."""
TRADER: Final = "T"
"""Kind of a customs note: the number of a trader."""


def of_waybill(document: Element) -> Row:
    """The shipment of one waybill."""
    masters = document.all("MasterConsignment")
    consignments = [*masters, *document.all("MasterConsignment/IncludedHouseConsignment"), *document.all("HouseConsignment")]
    kind = document.value("MessageHeaderDocument/TypeCode")
    numbers = [(kind, document.value("BusinessHeaderDocument/ID"))]
    numbers += [("741", each.value("TransportContractDocument/ID")) for each in masters]
    notes = {
        note.value("SubjectCode"): note.value("Content")
        for each in consignments for note in each.all("IncludedCustomsNote") if note.value("ContentCode") == TRADER
    }  # fmt: skip
    items = [item for each in consignments for item in _items(each)]
    shipment = Shipment(
        "waybill",
        document.line,
        f"/{document.name}",
        reference=numbers[0][1] or "",
        documents=distinct(present(type=f"N{code}" if code else None, id=number) for code, number in numbers if number),
        conveyances=distinct(_flight(leg) for each in consignments for leg in each.all("SpecifiedLogisticsTransportMovement")),
        parties=distinct(_party(child, notes) for each in consignments for child in each.children if child.name in ROLES),
        goods=distinct(_goods(item) for item in items),
        units=distinct(present(id=_load(each)) for item in items for each in item.all("AssociatedUnitLoadTransportEquipment")),
        places=distinct(place for each in consignments for place in _places(each)),
    )  # fmt: skip
    return BadRow(document.line, "NOTHING_TO_SCREEN", "the waybill names nothing that could be looked for") if shipment.empty else shipment


def _items(consignment: Element) -> list[Element]:
    paths = (
        "ApplicableRating/IncludedMasterConsignmentItem",
        "IncludedHouseConsignmentItem",
        "ApplicableRating/IncludedHouseConsignmentItem",
    )
    return [item for path in paths for item in consignment.all(path)]


def _flight(leg: Element) -> dict[str, Any]:
    return flight(leg.value("ID"), leg.value("DepartureEvent/ScheduledOccurrenceDateTime"))


def _load(equipment: Element) -> str:
    """A unit load device: type, serial number, owner."""
    owner = equipment.value("OperatingParty/PrimaryID") or ""
    return f"{equipment.value('CharacteristicCode') or ''}{equipment.value('ID') or ''}{owner}"


def _party(element: Element, notes: Mapping[str | None, str | None]) -> dict[str, Any] | None:
    role, subject = ROLES[element.name]
    where = element.first("PostalStructuredAddress") or element.first("FreightForwarderAddress")
    address = present(
        street=where.value("StreetName"), city=where.value("CityName"), postcode=where.value("PostcodeCode"),
        country=where.value("CountryID"),
    ) if where is not None else {}  # fmt: skip
    number = notes.get(subject)
    name = (element.value("Name") or "").split("\n")[0]
    return party(role, name, address=address, id=number, id_scheme="TAX" if number else None)


def _goods(item: Element) -> dict[str, Any]:
    code = item.value("TypeCode")
    words = item.value("NatureIdentificationTransportCargo/Identification")
    tariff = code if code and code.isascii() and code.isdigit() and len(code) >= 6 else None
    return present(
        hs_code=tariff, hs_edition=HS_EDITION if tariff else None, description=" ".join(words.split()) if words else None,
        gross_mass_kg=item.value("GrossWeightMeasure"), un_number=item.value("HandlingDangerousGoods/ID"),
    )  # fmt: skip


def _places(consignment: Element) -> Iterator[dict[str, Any]]:
    """Airports by their IATA codes, which are no UN/LOCODEs."""
    ends = (("OriginLocation/ID", "LOADING"), ("FinalDestinationLocation/ID", "DISCHARGE"))
    legs = "SpecifiedLogisticsTransportMovement/ArrivalEvent/OccurrenceArrivalLocation/ID"
    for path, role in (*ends, (legs, "TRANSHIPMENT")):
        for each in consignment.all(path):
            yield present(role=role, name=each.text) if each.text.strip() else {}
