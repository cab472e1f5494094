"""The published rule cases of entry summary declarations, also in JSON: each XML case is written in the JSON form of the same declaration.

The correspondence is that of the published pair of samples (``CC315A_full.xml`` and ``CC315A_all_optional.json``), which a test holds this
module to. It is written from the XML side, with names of elements in full, and shares nothing with the reader under test.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

ROOT: Final = "/ie:CC315A[1]"
TRADERS: Final[Mapping[str, tuple[str, str]]] = {
    # element: name in JSON; endings of name, street, postcode, city, country, language, number
    "TRACONCO1": ("consignor", "NamCO17 StrAndNumCO122 PosCodCO123 CitCO124 CouCO125 NADLNGCO TINCO159"),
    "TRACONCE1": ("consignee", "NamCE17 StrAndNumCE122 PosCodCE123 CitCE124 CouCE125 NADLNGCE TINCE159"),
    "NOTPAR670": (
        "notifyParty", "NamNOTPAR672 StrNumNOTPAR673 PosCodNOTPAR676 CitNOTPAR674 CouCodNOTPAR675 NOTPAR670LNG TINNOTPAR671"
    ),
    "TRAREP": ("representative", "NamTRE1 StrAndNumTRE1 PosCodTRE1 CitTRE1 CouCodTRE1 TRAREPLNG TINTRE1"),
    "PERLODSUMDEC": ("declarant", "NamPLD1 StrAndNumPLD1 PosCodPLD1 CitPLD1 CouCodPLD1 PERLODSUMDECLNG TINPLD1"),
    "TRACARENT601": (
        "carrier",
        "NamTRACARENT604 StrNumTRACARENT607 PstCodTRACARENT606 CtyTRACARENT603 CouCodTRACARENT605 TRACARENT601LNG TINTRACARENT602",
    ),
    "TRACONCO2": ("consignor", "NamCO27 StrAndNumCO222 PosCodCO223 CitCO224 CouCO225 NADLNGGTCO TINCO259"),
    "TRACONCE2": ("consignee", "NamCE27 StrAndNumCE222 PosCodCE223 CitCE224 CouCE225 NADLNGGICE TINCE259"),
    "PRTNOT640": (
        "notifyParty", "NamPRTNOT642 StrNumPRTNOT646 PstCodPRTNOT644 CtyPRTNOT643 CouCodGINOT647 PRTNOT640LNG TINPRTNOT641"
    ),
}  # fmt: skip
PARTS: Final = (
    "name", "address/streetAndNumber", "address/postalCode", "address/city", "address/countryCode", "language", "eori"
)  # fmt: skip
FIELDS: Final[Mapping[str, Mapping[str, str]]] = {
    "HEAHEA": {
        "SpeCirIndHEA1": "specificCircumstancesIndicator", "TraModAtBorHEA76": "itinerary/modeOfTransportAtBorder",
        "IdeOfMeaOfTraCroHEA85": "itinerary/identityOfMeansOfCrossingBorder/identity",
        "IdeOfMeaOfTraCroHEA85LNG": "itinerary/identityOfMeansOfCrossingBorder/language",
        "NatOfMeaOfTraCroHEA87": "itinerary/identityOfMeansOfCrossingBorder/nationality",
        "TotNumOfIteHEA305": "goods/numberOfItems", "TotNumOfPacHEA306": "goods/numberOfPackages", "TotGroMasHEA307": "goods/grossMass",
        "TraChaMetOfPayHEA1": "itinerary/transportChargesMethodOfPayment", "ComRefNumHEA": "itinerary/commercialReferenceNumber",
        "ConRefNumHEA": "itinerary/conveyanceReference", "PlaLoaGOOITE334": "itinerary/loading/placeOfLoading",
        "PlaLoaGOOITE334LNG": "itinerary/loading/loadingLanguage", "PlaUnlGOOITE334": "itinerary/loading/placeOfUnloading",
        "CodPlUnHEA357LNG": "itinerary/loading/unloadingLanguage",
    },
    "GOOITEGDS": {
        "IteNumGDS7": "itemNumber", "GooDesGDS23": "description", "GooDesGDS23LNG": "descriptionLanguage", "GroMasGDS46": "grossMass",
        "MetOfPayGDI12": "transportChargesMethodOfPayment", "ComRefNumGIM1": "commercialReferenceNumber",
        "UNDanGooCodGDI1": "unDangerousGoodsCode", "PlaLoaGOOITE333": "loading/placeOfLoading",
        "PlaLoaGOOITE333LNG": "loading/loadingLanguage", "PlaUnlGOOITE333": "loading/placeOfUnloading",
        "PlaUnlGOOITE333LNG": "loading/unloadingLanguage",
    },
    "PRODOCDC2": {"DocTypDC21": "type", "DocRefDC23": "reference", "DocRefDCLNG": "language"},
    "CONNR2": {"ConNumNR21": "containerNumber"},
    "IDEMEATRAGI970": {
        "NatIDEMEATRAGI973": "nationality", "IdeMeaTraGIMEATRA971": "identity", "IdeMeaTraGIMEATRA972LNG": "language",
    },
    "PACGS2": {
        "KinOfPacGS23": "kindOfPackages", "NumOfPacGS24": "numberOfPackages", "NumOfPieGS25": "numberOfPieces",
        "MarNumOfPacGSL21": "marks", "MarNumOfPacGSL21LNG": "marksLanguage",
    },
    "SEAID529": {"SeaIdSEAID530": "identity", "SeaIdSEAID530LNG": "identityLanguage"},
}  # fmt: skip
LISTS: Final = {"PRODOCDC2": "documents", "CONNR2": "containers", "IDEMEATRAGI970": "identityOfMeansOfCrossingBorder", "PACGS2": "packages"}
COUNTED: Final = ("goods/numberOfItems", "goods/numberOfPackages")
HEAD: Final = ("/itinerary", "/goods/number", "/goods/grossMass", "/specificCircumstancesIndicator")
"""How pointers begin of what the XML form has in its head."""


@dataclass(frozen=True, slots=True)
class RuleCase:
    """A case in one of the forms: its name, the declaration's bytes, and the errors that are expected: number and location. A location in
    JSON is a pointer, or several beginnings of pointers where the form has no such element (``beginnings``)."""

    name: str
    declaration: bytes
    expected: frozenset[tuple[str, str]]
    beginnings: tuple[tuple[str, tuple[str, ...]], ...] = ()

    def located(self, found: set[tuple[str, str]]) -> set[tuple[str, str]]:
        """Of the findings (number, location), those that are where one of this number is expected."""
        return {
            (number, place)
            for number, place in found
            if (number, place) in self.expected or any(number == each and place.startswith(some) for each, some in self.beginnings)
        }

    @property
    def errors(self) -> int:
        """How many errors are expected."""
        return len(self.expected) + len(self.beginnings)


def xml_cases(folder: Path) -> Iterator[RuleCase]:
    """The cases as they are published."""
    for case in _published(folder):
        errors = frozenset((each["number"], each["location"]) for each in case["expected_errors"])
        yield RuleCase(case["case"], case["xml"].encode(), errors)


def json_cases(folder: Path) -> Iterator[RuleCase]:
    """The same cases in JSON."""
    for case in _published(folder):
        root = ElementTree.fromstring(case["xml"])
        pointers: dict[str, str] = {}
        value = as_json(root, pointers)
        exact, beginnings = set[tuple[str, str]](), list[tuple[str, tuple[str, ...]]]()
        for each in case["expected_errors"]:
            number, place = each["number"], each["location"]
            if place in pointers:
                exact.add((number, pointers[place]))
            elif place == f"{ROOT}/HEAHEA[1]":
                beginnings.append((number, HEAD))
            else:
                beginnings.append((number, {f"{ROOT}/MesSenMES3[1]": ("/metadata/sender",), ROOT: ("/parties", "/goods/number")}[place]))
        yield RuleCase(case["case"], json.dumps(value).encode(), frozenset(exact), tuple(beginnings))


def _published(folder: Path) -> Iterator[dict[str, Any]]:
    for line in (folder / "shipments/ens/ens-rule-cases.jsonl").read_text(encoding="utf-8").splitlines():
        yield json.loads(line)


def as_json(root: Element, pointers: dict[str, str]) -> dict[str, Any]:
    """A CC315A as its JSON form says it; ``pointers`` gets the pointer of every element that has one, by its counted path."""
    value: dict[str, Any] = {"submissionId": "1", "metadata": {"messageType": "IE315"}, "parties": {}, "goods": {}, "itinerary": {}}
    sender = (root.findtext("MesSenMES3") or "").partition("/")
    value["metadata"] |= {"senderEORI": sender[0], "senderBranch": sender[2]}
    _fields(root.find("HEAHEA"), "HEAHEA", f"{ROOT}/HEAHEA[1]", value, "", pointers)
    for name in COUNTED:
        holder, last = value["goods"], name.partition("/")[2]
        if last in holder:
            holder[last] = int(holder[last])
    _traders(root, ROOT, value["parties"], "/parties", pointers)
    seals = [_fields(each, "SEAID529", "", {}, "", {}) for each in root.findall("SEAID529")]
    items = [_item(each, number, pointers) for number, each in enumerate(root.findall("GOOITEGDS"))]
    routing = [each.text for each in root.findall("ITI/CouOfRouCodITI1")]
    value["goods"] |= ({"seals": seals} if seals else {}) | {"goodsItems": items}
    value["itinerary"] |= {"countriesOfRouting": routing} if routing else {}
    return value


def _item(item: Element, number: int, pointers: dict[str, str]) -> dict[str, Any]:
    path, pointer = f"{ROOT}/GOOITEGDS[{number + 1}]", f"/goods/goodsItems/{number}"
    pointers[path] = pointer
    value = _fields(item, "GOOITEGDS", path, {}, pointer, pointers)
    for element, name in LISTS.items():
        for count, each in enumerate(item.findall(element)):
            where, at = f"{path}/{element}[{count + 1}]", f"{pointer}/{name}/{count}"
            pointers[where] = at
            value.setdefault(name, []).append(_fields(each, element, where, {}, at, pointers))
    mentions = [each.text for each in item.findall("SPEMENMT2/AddInfCodMT23")]
    value |= {"specialMentions": mentions} if mentions else {}
    code = item.findtext("COMCODGODITM/ComNomCMD1")
    value |= {"commodityCode": code} if code else {}
    _traders(item, path, value, pointer, pointers)
    return value


def _traders(holder: Element, path: str, value: dict[str, Any], pointer: str, pointers: dict[str, str]) -> None:
    for element, (name, parts) in TRADERS.items():
        found = holder.find(element)
        if found is not None:
            pointers[f"{path}/{element}[1]"] = f"{pointer}/{name}"
            names: dict[str, str] = dict(zip(parts.split(), PARTS, strict=True))
            value[name] = _put(found, names, f"{path}/{element}[1]", {}, f"{pointer}/{name}", pointers)


def _fields(found: Element | None, kind: str, path: str, value: dict[str, Any], pointer: str, pointers: dict[str, str]) -> dict[str, Any]:
    return value if found is None else _put(found, FIELDS[kind], path, value, pointer, pointers)


def _put(
    found: Element, names: Mapping[str, str], path: str, value: dict[str, Any], pointer: str, pointers: dict[str, str]
) -> dict[str, Any]:
    for child in found:
        if child.tag in names:
            *holders, last = names[child.tag].split("/")
            inner = value
            for name in holders:
                inner = inner.setdefault(name, {})
            inner[last] = (child.text or "").strip()
            pointers[f"{path}/{child.tag}[1]"] = f"{pointer}/{names[child.tag]}"
    return value
