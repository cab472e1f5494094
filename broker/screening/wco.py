"""Declarations of the WCO Data Model (3.x, in the profile that customs print as DEC-DMS) and the responses to them, in XML."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from broker.screening.carriage import MODES, flight, ship
from broker.screening.shipment import HS_EDITION, BadRow, Row, Shipment, distinct, party, present
from broker.screening.xml_tree import Element

RECORDS: Final = frozenset({"Declaration", "Response"})
AMENDMENT: Final = "/Declaration/Amendment"
RESPONSE: Final = "/Response"
ROLES: Final[Mapping[str, str]] = {
    "Declarant": "DECLARANT", "Exporter": "EXPORTER", "Agent": "AGENT", "Consignee": "CONSIGNEE", "Consignor": "CONSIGNOR",
    "Importer": "CONSIGNEE", "Buyer": "OTHER", "Seller": "OTHER", "NotifyParty": "NOTIFY", "Carrier": "CARRIER", "EndUser": "END_USER",
}  # fmt: skip
MEANS: Final = ("BorderTransportMeans", "DepartureTransportMeans", "ArrivalTransportMeans")
LICENCES: Final = ("X", "E", "L", "9")
"""How the codes of documents begin that are licences or authorisations; statements (Y) and permissions to use a procedure (C) are not."""
_STATEMENT: Final = "Y"
_TARIFF: Final = ("TSP", "HS", "SRX")
"""Kinds of a classification that begin with the six digits of the Harmonized System; CV is the number of a chemical in ECICS."""


def of_wco(document: Element) -> Row:
    """The shipment of one declaration or response."""
    declaration = document if document.name == "Declaration" else document.first("Declaration") or document
    shipments = declaration.all("GoodsShipment")
    items = [item for each in shipments for item in each.all("GovernmentAgencyGoodsItem")]
    carried = [each for holder in (declaration, *shipments) for each in holder.all("Consignment")]
    holders = (declaration, *shipments, *carried, *items)
    papers = [each for holder in holders for each in holder.children if each.name.endswith("Document")]
    licences = [each for each in papers if each.name == "AdditionalDocument" and _code(each).startswith(LICENCES)]
    shipment = Shipment(
        "wco",
        document.line,
        AMENDMENT if declaration.first("Amendment") is not None else f"/{document.name}",
        reference=declaration.value("FunctionalReferenceID") or document.value("FunctionalReferenceID") or "",
        mrn=declaration.value("ID"),
        ucr=next((ucr for holder in holders if (ucr := holder.value("UCR/ID") or holder.value("UCR/TraderAssignedReferenceID"))), None),
        units=distinct(
            present(id=box.value("ID"), seals=[seal.text for seal in box.all("Seal/ID")])
            for each in carried for box in each.all("TransportEquipment") if box.value("ID")
        ),
        documents=distinct(present(type=_type(each), id=each.value("ID")) for each in papers if each not in licences and _is_paper(each)),
        conveyances=distinct(_conveyance(each) for holder in holders for name in MEANS for each in holder.all(name)),
        parties=distinct(_party(each) for holder in holders for each in holder.children if each.name in ROLES),
        goods=distinct(_goods(item) for item in items),
        licence_refs=distinct(
            present(authority=each.value("Submitter/Name"), licence_no=each.value("ID")) for each in licences if each.value("ID")
        ),
        countries=distinct(_countries(declaration, holders)),
        places=distinct(_places(carried)),
    )  # fmt: skip
    if shipment.empty:
        return BadRow(document.line, "NOTHING_TO_SCREEN", f"the {document.name} names nothing that could be looked for")
    return shipment


def _code(paper: Element) -> str:
    return f"{paper.value('CategoryCode') or ''}{paper.value('TypeCode') or ''}"


def _type(paper: Element) -> str | None:
    code = _code(paper) or None
    return code if code is not None and len(code) <= 4 else None


def _is_paper(paper: Element) -> bool:
    return paper.value("ID") is not None and not _code(paper).startswith(_STATEMENT)


def _conveyance(means: Element) -> dict[str, Any]:
    """By the type of its identification: 10 IMO number, 11 name of a ship, 20 wagon, 30 plate, 40 flight."""
    identity, kind = means.value("ID"), means.value("IdentificationTypeCode") or ""
    flag, journey = means.value("RegistrationNationalityCode"), means.value("JourneyID")
    if not identity:
        return {}
    if kind.startswith("1"):
        return ship(identity, voyage=journey, flag=flag)
    if kind.startswith("4"):
        return flight(journey or identity)
    name = {"2": "wagon", "3": "plate"}.get(kind[:1], "name")
    mode = {"2": "RAIL", "3": "ROAD"}.get(kind[:1]) or MODES.get(means.value("ModeCode") or "", "NOT_APPLICABLE")
    return {"mode": mode, **present(**{name: identity}, flag=flag)}


def _party(element: Element) -> dict[str, Any] | None:
    where = element.first("Address")
    address = present(
        street=where.value("Line"), city=where.value("CityName"), postcode=where.value("PostcodeID"), country=where.value("CountryCode"),
    ) if where is not None else {}  # fmt: skip
    return party(ROLES[element.name], element.value("Name"), address=address, eori=element.value("ID"))


def _goods(item: Element) -> dict[str, Any]:
    commodity = item.first("Commodity") or Element("Commodity", item.line)
    codes = {each.value("IdentificationTypeCode") or "": each.value("ID") for each in commodity.all("Classification")}
    tariff = next((codes[kind] for kind in _TARIFF if codes.get(kind)), None)
    return present(
        hs_code=tariff, hs_edition=HS_EDITION if tariff else None, description=commodity.value("Description"), cus=codes.get("CV"),
        gross_mass_kg=commodity.value("GoodsMeasure/GrossMassMeasure"), un_number=commodity.value("DangerousGoods/UNDGID"),
        package_type=item.value("Packaging/TypeCode"), marks=item.value("Packaging/MarksNumbersID"),
    )  # fmt: skip


def _countries(declaration: Element, holders: tuple[Element, ...]) -> Iterator[dict[str, Any]]:
    paths = (("Origin/CountryCode", "ORIGIN"), ("ExportCountry/ID", "EXPORT"), ("Destination/CountryCode", "DESTINATION"))
    for path, role in paths:
        for holder in holders:
            for each in holder.all(path):
                yield present(country=each.text, role=role) if each.text.strip() else {}
    for each in declaration.all("Itinerary/RoutingCountryCode") + [e for h in holders for e in h.all("Itinerary/RoutingCountryCode")]:
        yield present(country=each.text, role="TRANSIT") if each.text.strip() else {}


def _places(carried: list[Element]) -> Iterator[dict[str, Any]]:
    for path, role in (("LoadingLocation/ID", "LOADING"), ("UnloadingLocation/ID", "DISCHARGE")):
        for each in (found for consignment in carried for found in consignment.all(path)):
            code = each.text.strip()
            yield present(role=role, country=code[:2], locode=code) if code else {}
