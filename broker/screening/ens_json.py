"""Entry summary declarations and interventions in JSON (submission and outcome stores of import control): parties, goods, itinerary."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, cast

from broker.screening.carriage import MODES, border_conveyance, loading_place
from broker.screening.ens_json_rules import ITEMS, ens_json_findings
from broker.screening.shipment import HS_EDITION, BadRow, Row, Shipment, distinct, party, present

ROLES: Final[Mapping[str, str]] = {
    "consignor": "CONSIGNOR", "consignee": "CONSIGNEE", "notifyParty": "NOTIFY", "declarant": "DECLARANT", "representative": "AGENT",
    "carrier": "CARRIER",
}  # fmt: skip


def is_entry_summary(value: Mapping[str, Any]) -> bool:
    """Whether a JSON object is of this form."""
    return "metadata" in value and "itinerary" in value


def of_entry_summary(value: Mapping[str, Any], line: int, at: str = "") -> Row:
    """The shipment of an entry summary declaration; ``at``: the JSON pointer of ``value``, under which the findings of rules point."""
    goods = _part(value, "goods")
    items = _list(goods, "goodsItems")[:ITEMS]
    declaration, route = _part(value, "declaration"), _part(value, "itinerary")
    mode = MODES.get(_text(route, "modeOfTransportAtBorder") or "", "NOT_APPLICABLE")
    border = _part(route, "identityOfMeansOfCrossingBorder")
    seals = [seal for each in _list(goods, "seals") if (seal := _text(each, "identity"))]
    units = [_unit(box, seals) for item in items for box in _list(item, "containers")]
    shipment = Shipment(
        "ens-json",
        line,
        f"line {line}",
        reference=_text(declaration, "localReferenceNumber") or "",
        mrn=_text(declaration, "movementReferenceNumber") or _text(_part(value, "amendment"), "movementReferenceNumber"),
        ucr=_text(route, "commercialReferenceNumber"),
        units=distinct(units),
        documents=distinct(_document(each) for item in items for each in _list(item, "documents")),
        conveyances=distinct(
            [border_conveyance(mode, _text(border, "identity"), _text(border, "nationality"), _text(route, "conveyanceReference"))]
        ),
        parties=distinct(_parties(_part(value, "parties"), items)),
        goods=distinct(_goods(item) for item in items),
        countries=distinct(
            present(country=code, role="TRANSIT") for code in _texts(route, "countriesOfRouting")
        ),
        places=distinct(place for holder in (route, *items) for place in _places(_part(holder, "loading"))),
        remarks=tuple(ens_json_findings(value, at)),
    )  # fmt: skip
    return BadRow(line, "NOTHING_TO_SCREEN", "the declaration names nothing that could be looked for") if shipment.empty else shipment


def _unit(box: Mapping[str, Any], seals: list[str]) -> dict[str, Any]:
    number = _text(box, "containerNumber")
    return present(id=number, seals=seals) if number else {}


def _document(each: Mapping[str, Any]) -> dict[str, Any]:
    return present(type=_text(each, "type"), id=_text(each, "reference")) if _text(each, "reference") else {}


def _parties(whole: Mapping[str, Any], items: list[Mapping[str, Any]]) -> Iterator[dict[str, Any] | None]:
    for holder in (whole, *items):
        for name, role in ROLES.items():
            given = _part(holder, name)
            where = _part(given, "address")
            address = present(
                street=_text(where, "streetAndNumber"), city=_text(where, "city"), postcode=_text(where, "postalCode"),
                country=_text(where, "countryCode"),
            )  # fmt: skip
            yield party(role, _text(given, "name"), address=address, eori=_text(given, "eori"))


def _goods(item: Mapping[str, Any]) -> dict[str, Any]:
    code = _text(item, "commodityCode")
    return present(
        hs_code=code, hs_edition=HS_EDITION if code else None, description=_text(item, "description"),
        gross_mass_kg=_text(item, "grossMass"), un_number=_text(item, "unDangerousGoodsCode"),
    )  # fmt: skip


def _places(loading: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    yield loading_place("LOADING", _text(loading, "placeOfLoading"))
    yield loading_place("DISCHARGE", _text(loading, "placeOfUnloading"))


def _part(holder: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = holder.get(name)
    return cast("Mapping[str, Any]", value) if isinstance(value, dict) else {}


def _list(holder: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    value = holder.get(name)
    return (
        [cast("Mapping[str, Any]", each) for each in cast("list[object]", value) if isinstance(each, dict)]
        if isinstance(value, list)
        else []
    )


def _texts(holder: Mapping[str, Any], name: str) -> list[str]:
    value = holder.get(name)
    return [each for each in cast("list[object]", value) if isinstance(each, str)] if isinstance(value, list) else []


def _text(holder: Mapping[str, Any], name: str) -> str | None:
    value = holder.get(name)
    return value[:512] if isinstance(value, str) and value.strip() else None
