"""Entry summary declarations of the import control system in XML: CC315A (declaration), CC313A (amendment), CC351A (intervention).

Element names end in what they belong to (``NamCO17`` is a consignor's name, ``NamTRE1`` a representative's); their beginning says what
they are, and parties are read by that.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from broker.screening.carriage import MODES, border_conveyance, loading_place
from broker.screening.ens_parties import part_of
from broker.screening.ens_rules import ens_findings
from broker.screening.shipment import HS_EDITION, BadRow, Row, Shipment, distinct, party, present
from broker.screening.xml_tree import Element

RECORDS: Final = frozenset({"CC315A", "CC313A", "CC351A"})
PARTIES: Final[Mapping[str, str]] = {
    "TRACONCO1": "CONSIGNOR", "TRACONCE1": "CONSIGNEE", "NOTPAR670": "NOTIFY", "TRAREP": "AGENT", "PERLODSUMDEC": "DECLARANT",
    "TRACARENT601": "CARRIER", "TRACONCO2": "CONSIGNOR", "TRACONCE2": "CONSIGNEE", "PRTNOT640": "NOTIFY",
}  # fmt: skip
"""Elements of parties, of the whole declaration and of an item."""


def of_ens(document: Element) -> Row:
    """The shipment of one message."""
    items, head = document.all("GOOITEGDS"), document.first("HEAHEA") or Element("HEAHEA", document.line)
    mode = MODES.get(head.value("TraModAtBorHEA76") or "", "NOT_APPLICABLE")
    seals = [seal for each in document.all("SEAID529") if (seal := each.value("SeaIdSEAID530"))]
    flag = head.value("NatOfMeaOfTraCroHEA87") or head.value("NatHEA001")
    shipment = Shipment(
        "ens",
        document.line,
        f"/{document.name}",
        reference=head.value("RefNumHEA4") or "",
        mrn=head.value("DocNumHEA5"),
        ucr=head.value("ComRefNumHEA"),
        units=distinct(present(id=box.text, seals=seals) for item in items for box in item.all("CONNR2/ConNumNR21") if box.text.strip()),
        documents=distinct(
            present(type=each.value("DocTypDC21"), id=each.value("DocRefDC23"))
            for item in items for each in item.all("PRODOCDC2") if each.value("DocRefDC23")
        ),
        conveyances=distinct(
            [border_conveyance(mode, head.value("IdeOfMeaOfTraCroHEA85"), flag, head.value("ConRefNumHEA")), *_vehicles(items, mode)]
        ),
        parties=distinct(_party(element) for holder in (document, *items) for element in holder.children if element.name in PARTIES),
        goods=distinct(_goods(item) for item in items),
        countries=distinct(present(country=each.text, role="TRANSIT") for each in document.all("ITI/CouOfRouCodITI1")),
        places=distinct(place for holder in (head, *items) for place in _places(holder)),
        remarks=tuple(ens_findings(document)) if document.name in ("CC315A", "CC313A") else (),
    )  # fmt: skip
    if shipment.empty:
        return BadRow(document.line, "NOTHING_TO_SCREEN", f"{document.name} names nothing that could be looked for")
    return shipment


def _party(element: Element) -> dict[str, Any] | None:
    found = {part: child.text for child in element.children if (part := part_of(child)) is not None and child.text.strip()}
    address = present(**{part: found.get(part) for part in ("street", "city", "postcode", "country")})
    return party(PARTIES[element.name], found.get("name"), address=address, eori=found.get("eori"))


def _vehicles(items: list[Element], mode: str) -> Iterator[dict[str, Any]]:
    """Means of transport of single items: lorries on a ferry, wagons."""
    for each in (vehicle for item in items for vehicle in item.all("IDEMEATRAGI970")):
        identity, flag = each.value("IdeMeaTraGIMEATRA971"), each.value("NatIDEMEATRAGI973")
        yield border_conveyance("ROAD" if mode == "SEA" else mode, identity, flag, None) if identity else {}


def _goods(item: Element) -> dict[str, Any]:
    code = item.value("COMCODGODITM/ComNomCMD1")
    return present(
        hs_code=code, hs_edition=HS_EDITION if code else None, description=item.value("GooDesGDS23"),
        gross_mass_kg=item.value("GroMasGDS46"), un_number=item.value("UNDanGooCodGDI1"),
    )  # fmt: skip


def _places(holder: Element) -> Iterator[dict[str, Any]]:
    for child in holder.children:
        if child.name.startswith(("PlaLoa", "PlaUnl")) and not child.name.endswith("LNG"):
            yield loading_place("LOADING" if child.name.startswith("PlaLoa") else "DISCHARGE", child.text)
