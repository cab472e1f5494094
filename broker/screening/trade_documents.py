"""Papers of the sea and air trade in JSON: transport documents of the Digital Container Shipping Association (DCSA, electronic bill of
lading 3), and manifests, bills of lading, waybills, filings and entries in the traceability vocabulary (W3C CCG, after the data model of
UN/CEFACT).

Both say the same things under names that recur, wherever they stand. A manifest is one shipment for each of its bills of lading; the ship
and its ports go with each.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, cast

from broker.screening.carriage import flight, ship
from broker.screening.shipment import HS_EDITION, BadRow, Row, Shipment, distinct, party, present

Object = Mapping[str, Any]
KINDS: Final = frozenset({
    "SeaCargoManifest", "FreightManifest", "MasterBillOfLading", "BillOfLading", "HouseBillOfLading", "IATAAirWaybill", "CBPEntry",
    "ImporterSecurityFiling", "SIMASteelImportLicense",
})  # fmt: skip
"""Documents of the vocabulary that are read, by their type."""
BILLS: Final = ("transportDocumentInformation", "billsOfLading")
"""Where a manifest has its bills of lading."""
PARTIES: Final[Mapping[str, str]] = {
    "shipper": "CONSIGNOR", "consignor": "CONSIGNOR", "exporter": "EXPORTER", "seller": "CONSIGNOR", "consignee": "CONSIGNEE",
    "importer": "CONSIGNEE", "buyer": "CONSIGNEE", "shipToParty": "CONSIGNEE", "notify": "NOTIFY", "notifyParty": "NOTIFY",
    "notifyParties": "NOTIFY", "carrier": "CARRIER", "issuingParty": "CARRIER", "manufacturer": "OTHER",
    "licensedCompany": "CONSIGNEE", "consolidator": "AGENT", "organization": "CONSIGNEE", "endorsee": "CONSIGNEE",
}  # fmt: skip
"""What a party's name in a document is in ours."""
PAPERS: Final[Mapping[str, str]] = {
    "billOfLadingNumber": "705", "transportDocumentReference": "705", "bolNumber": "705", "airWaybillNumber": "741", "bookingNumber": "LO",
    "carrierBookingReference": "LO",
}  # fmt: skip
"""Numbers of papers, with their type (UN/EDIFACT 1001, of a booking REC 1153's)."""
PLACES: Final[Mapping[str, str]] = {
    "portOfLoading": "LOADING", "portOfDeparture": "LOADING", "airportOfDeparture": "LOADING", "portOfDischarge": "DISCHARGE",
    "portOfArrival": "DISCHARGE", "destinationAirport": "DISCHARGE", "portOfUnlading": "DISCHARGE",
}  # fmt: skip
PARTS: Final = 20_000
"""Most objects of a document that are looked at."""
_SHIP: Final = re.compile(r"(?:urn:epc:id:imovn:|IMO)?([0-9]{7})")


def is_trade_document(value: Object) -> bool:
    """Whether a JSON object is one of these documents."""
    kinds = value.get("type")
    return bool(KINDS.intersection(_texts(kinds))) or ("documentParties" in value and "consignmentItems" in value)


def of_trade_document(value: Object, line: int) -> Iterator[Row]:
    """The shipments of a document."""
    name = next((each for each in BILLS if isinstance(value.get(each), list)), None)
    if name is None:
        yield _shipment(value, (value,), line, f"line {line}")
        return
    head = {key: each for key, each in value.items() if key != name}
    bills = [cast("Object", each) for each in value[name] if isinstance(each, dict)]
    for number, bill in enumerate(bills):
        yield _shipment(bill, (bill, head), line, f"line {line} {name}[{number}]")
    if not bills:
        yield _shipment(head, (head,), line, f"line {line}")


def _shipment(own: Object, holders: tuple[Object, ...], line: int, position: str) -> Row:
    found = [each for holder in holders for each in _walk(holder)]
    papers = [(name, text) for name, each in found for text in _texts(each) if name in PAPERS and "{" not in text]
    air = (_text(own.get("airlineCodeNumber")), _text(own.get("serialNumber")))
    papers += [("airWaybillNumber", "-".join(air))] if all(air) else []
    shipment = Shipment(
        "trade-json",
        line,
        position,
        reference=next((text for name, text in papers if PAPERS[name] in ("705", "741")), ""),
        units=_units(cast("Object", each) for _, each in found if isinstance(each, dict)),
        documents=distinct(present(type=PAPERS[name], id=text) for name, text in papers),
        conveyances=distinct(each for holder in holders for each in _conveyances(holder)),
        parties=distinct(each for holder in holders for name, value in _walk(holder) for each in _parties(name, value)),
        goods=distinct(each for _, value in found for each in _goods(value)),
        countries=distinct(
            present(country=text, role="ORIGIN" if name == "countryOfOrigin" else "EXPORT")
            for name, each in found for text in _texts(each)
            if name in ("countryOfOrigin", "countryOfExportation") and re.fullmatch("[A-Z]{2}", text)
        ),
        places=distinct(_place(PLACES[name], cast("Object", each)) for name, each in found if name in PLACES and isinstance(each, dict)),
    )  # fmt: skip
    return BadRow(line, "NOTHING_TO_SCREEN", "the document names nothing that could be looked for") if shipment.empty else shipment


def _walk(holder: Object) -> Iterator[tuple[str, Any]]:
    """Every named value in an object, at any depth, the outer ones first; entries of a list have the list's name."""
    queue: deque[tuple[str, Any]] = deque([("", holder)])
    for _ in range(PARTS):
        if not queue:
            return
        name, value = queue.popleft()
        if isinstance(value, dict):
            for key, each in cast("dict[str, Any]", value).items():
                yield key, each
                if isinstance(each, dict | list):
                    queue.append((key, cast("Any", each)))
        elif isinstance(value, list):
            for each in cast("list[Any]", value):
                if isinstance(each, dict):
                    yield name, each
                    queue.append((name, cast("Any", each)))


def _units(holders: Iterable[Object]) -> tuple[dict[str, Any], ...]:
    """Containers, each once, with the seals of wherever they are told."""
    seals: dict[str, dict[str, None]] = {}
    for holder in holders:
        number = _text(holder.get("equipmentReference"))
        if number and "{" not in number:
            told = (text for name, each in _walk(holder) if name in ("sealNumber", "number") and (text := _text(each)))
            seals.setdefault(number, {}).update(dict.fromkeys(told))
    return tuple(present(id=number, seals=list(each)) for number, each in seals.items())


def _conveyances(holder: Object) -> Iterator[dict[str, Any]]:
    for where in (holder, *(cast("Object", each) for _, each in _walk(holder) if isinstance(each, dict))):
        number = _SHIP.fullmatch(_text(where.get("vesselNumber") or where.get("vesselIMONumber") or where.get("transportMeansId")))
        name = _text(where.get("vesselName") or where.get("transportMeans") or where.get("conveyanceName"))
        voyage = _text(where.get("voyageNumber") or where.get("voyage") or where.get("carrierExportVoyageNumber"))
        if number or name:
            yield ship(number[1] if number else None, name=name or None, voyage=voyage or None)
        yield flight(_text(where.get("requestedFlight")), _text(where.get("requestedDate")))


def _parties(name: str, value: Any) -> Iterator[dict[str, Any] | None]:
    if name not in PARTIES or not isinstance(value, dict):
        return
    given = cast("Object", value)
    where = _object(_object(given.get("location")).get("address")) or _object(given.get("address"))
    country = _text(where.get("countryCode") or where.get("addressCountry"))
    address = present(
        street=_text(where.get("streetAddress") or where.get("street")), city=_text(where.get("addressLocality") or where.get("city")),
        postcode=_text(where.get("postalCode") or where.get("postCode")), country=country if len(country) == 2 else None,
    )  # fmt: skip
    codes = (cast("Object", each) for each in given.get("identifyingCodes") or () if isinstance(each, dict))
    lei = next((_text(each.get("partyCode")) for each in codes if each.get("codeListName") == "LEI"), None)
    yield party(PARTIES[name], _text(given.get("name") or given.get("partyName")), address=address, lei=lei)


def _goods(value: Any) -> Iterator[dict[str, Any]]:
    if not isinstance(value, dict):
        return
    item = cast("Object", value)
    commodity = _object(item.get("commodity"))
    codes = [_text(commodity.get("commodityCode")), *_texts(item.get("HSCodes"))]
    words = next((text for key in ("description", "descriptionOfGoods", "productDescription") for text in _texts(item.get(key))), None)
    dangerous = next((text for key, each in _walk(item) if key in ("unNumber", "UNNumber") and (text := _text(each))), None)
    if not commodity and "HSCodes" not in item:
        return
    mass = _text(_object(item.get("grossWeight")).get("value") or _object(item.get("weight")).get("value"))
    for code in dict.fromkeys("".join(each.split()) for each in codes if each):
        yield present(
            hs_code=code, hs_edition=HS_EDITION, description=words or _text(commodity.get("description")) or None,
            gross_mass_kg=mass or None, un_number=dangerous,
        )  # fmt: skip


def _place(role: str, where: Object) -> dict[str, Any]:
    code = _text(where.get("unLocode") or where.get("UNLocationCode"))
    name = _text(_object(where.get("address")).get("addressLocality") or where.get("iataAirportCode") or where.get("name"))
    if not code:
        return present(role=role, name=name) if name else {}
    return present(role=role, country=code[:2], locode=code, name=name)


def _object(value: Any) -> Object:
    return cast("Object", value) if isinstance(value, dict) else {}


def _texts(value: Any) -> list[str]:
    given = cast("list[Any]", value) if isinstance(value, list) else [value]
    return [text for each in given if (text := _text(each))]


def _text(value: Any) -> str:
    return value[:512].strip() if isinstance(value, str) else str(value) if isinstance(value, int | float) and value is not True else ""
