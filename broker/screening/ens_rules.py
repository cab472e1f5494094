"""Business rules of entry summary declarations (CC315A): conditions between elements, which no schema can say.

Each rule is a general sentence about a declaration. A finding points at the element that is wrong, or at the one in which something is
missing, as a path of counted steps such as ``/ie:CC315A[1]/GOOITEGDS[2]/PACGS2[1]``, and its code holds the number under which the import
control system answers the same. Forms of single elements are the schema's matter, and not repeated here, but for numbers with a sign.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Set
from decimal import Decimal, InvalidOperation
from itertools import islice
from typing import Final

from broker.errors import Finding
from broker.screening.ens_parties import HERE, party_findings, rule
from broker.screening.xml_tree import Element

MOST: Final = 100
"""Most findings on one declaration."""
BULK: Final = frozenset({"VQ", "VG", "VL", "VY", "VR", "VS", "VO"})
"""Kinds of packages (UN Recommendation 21) that are goods in bulk: nothing to count."""
MODES: Final = frozenset({"1", "2", "3", "4", "7", "8", "10", "11"})
IDENTIFIED: Final = {
    "1": (re.compile(r"[0-9]{7}"), "an IMO number of seven digits"),
    "8": (re.compile(r"[0-9]{8}"), "an ENI number of eight digits"),
}
"""Modes of which the ship is named by a number."""
CIRCUMSTANCES: Final = {"C": ("3", 8111, "road"), "D": ("2", 8112, "rail")}
"""Special circumstance, the one mode that it is for, the number of the rule, and the mode in words."""
_SENDER: Final = re.compile(r"[0-9A-Za-z]{3,17}/[0-9A-Za-z]{1,15}")
_TRANSFER: Final = re.compile(r"XFER[0-9A-Za-z]+(?::[0-9A-Za-z]+)?")


def ens_findings(document: Element) -> Iterator[Finding]:
    """The findings of all rules, so many as are worth telling."""
    root = f"/ie:{document.name}[1]"
    items = [(item, f"{root}/GOOITEGDS[{number}]") for number, item in enumerate(document.all("GOOITEGDS"), 1)]
    head = document.first("HEAHEA") or Element("HEAHEA", document.line)
    return islice(_all(document, root, head, items), MOST)


def _all(document: Element, root: str, head: Element, items: list[tuple[Element, str]]) -> Iterator[Finding]:
    at = f"{root}/HEAHEA[1]"
    yield from _sender(document, root)
    yield from _transport(head, at, items)
    yield from _circumstance(head, at)
    yield from _masses(head, at, items)
    yield from _counts(document, root, head, items)
    yield from _filled(head, items)
    marked = _marked(items)
    for item, where in items:
        yield from _packages(item, where, marked)
    yield from party_findings(document, root, items)


def _sender(document: Element, root: str) -> Iterator[Finding]:
    sender, declarant = document.value("MesSenMES3") or "", document.value("PERLODSUMDEC/TINPLD1")
    if not _SENDER.fullmatch(sender):
        yield rule(4065, f"{root}/MesSenMES3[1]", "the sender is a trader's number, one stroke, and the branch in letters and digits")
    if declarant and not declarant.startswith(HERE):
        yield rule(
            8692, f"{root}/PERLODSUMDEC[1]/TINPLD1[1]", f"the declarant's number is one of this customs territory ({', '.join(HERE)})"
        )


def _transport(head: Element, at: str, items: list[tuple[Element, str]]) -> Iterator[Finding]:
    """What carries the goods over the border, for the whole or item by item."""
    written, ship = head.value("TraModAtBorHEA76") or "", head.value("IdeOfMeaOfTraCroHEA85")
    mode, journey = written.lstrip("0"), head.value("ConRefNumHEA")
    if written not in MODES:
        yield rule(8690, at, f"`{written[:4]}` is no mode of transport: {', '.join(sorted(MODES, key=int))}")
    if mode in IDENTIFIED and ship is None:
        yield rule(8107, at, f"in this mode the ship is named: {IDENTIFIED[mode][1]}")
    if mode == "4" and ship is not None:
        yield rule(8113, at, "an aircraft is named by its flight, as the conveyance reference: leave its identity out")
    if mode == "4" and journey is None:
        yield rule(8118, at, "the flight is missing: give it as the conveyance reference")
    if journey is not None and journey.startswith("XFER") and not _TRANSFER.fullmatch(journey):
        yield rule(8685, at, "a transfer is XFER with one or two references in letters and digits, a colon between them")
    if mode in IDENTIFIED and ship is not None and not IDENTIFIED[mode][0].fullmatch(ship):
        yield rule(8114, at, f"the ship's identity is {IDENTIFIED[mode][1]}")
    for item, where in items:
        for number, vehicle in enumerate(item.all("IDEMEATRAGI970"), 1):
            yield from _vehicle(vehicle, f"{where}/IDEMEATRAGI970[{number}]", mode, whole=ship is not None)


def _vehicle(vehicle: Element, at: str, mode: str, *, whole: bool) -> Iterator[Finding]:
    """A means of transport of one item."""
    identity = vehicle.value("IdeMeaTraGIMEATRA971") or ""
    if whole or mode == "4":
        yield rule(8198, at, "the means of transport is named for the whole declaration, or is a flight: not item by item")
    if mode != "2" and vehicle.value("NatIDEMEATRAGI973") is None:
        yield rule(8147, at, "the nationality of the means of transport is missing")
    if mode in IDENTIFIED and not IDENTIFIED[mode][0].fullmatch(identity):
        yield rule(8114, f"{at}/IdeMeaTraGIMEATRA971[1]", f"the ship's identity is {IDENTIFIED[mode][1]}")


def _circumstance(head: Element, at: str) -> Iterator[Finding]:
    circumstance = head.value("SpeCirIndHEA1")
    if circumstance == "A":
        yield rule(8691, at, "postal and express consignments have no simplified form here")
    only = CIRCUMSTANCES.get(circumstance or "")
    if only is not None and (head.value("TraModAtBorHEA76") or "").lstrip("0") != only[0]:
        yield rule(only[1], at, f"this special circumstance is for {only[2]} only")


def _masses(head: Element, at: str, items: list[tuple[Element, str]]) -> Iterator[Finding]:
    """Gross masses: numbers without a sign, for the whole or of every item, and the whole is not less than its parts."""
    whole = head.value("TotGroMasHEA307")
    if whole is not None:
        if whole.startswith(("+", "-")):
            yield rule(8673, at, "the total gross mass is a number without a sign")
        yield from _written(whole, f"{at}/TotGroMasHEA307[1]")
    parts = Decimal(0)
    for item, where in items:
        mass = item.value("GroMasGDS46")
        if mass is None:
            if whole is None:
                yield rule(8103, where, "a gross mass is needed, for the whole declaration or for every item")
            continue
        parts += _decimal(mass) or 0
        if mass.startswith(("+", "-")):
            yield rule(8679, f"{where}/GroMasGDS46[1]", "a gross mass is a number without a sign")
        yield from _written(mass, f"{where}/GroMasGDS46[1]")
    total = None if whole is None else _decimal(whole)
    if total is not None and total < parts:
        yield rule(8686, at, f"the total gross mass is less than that of its items, {parts:f}")


def _written(mass: str, at: str) -> Iterator[Finding]:
    """How a mass is written: at most 11 digits, three of them after the point, no zeros that say nothing."""
    digits = mass.lstrip("+-")
    before = digits.partition(".")[0]
    if len(before) > 1 and before.startswith("0"):
        yield rule(8674, at, "a mass does not begin with a zero before other digits")
    if sum(sign.isdigit() for sign in digits) > 11:
        yield rule(8675, at, "a mass has at most 11 digits, three of them after the point")
    if digits.startswith("."):
        yield rule(8677, at, "a mass has a digit before the point")


def _decimal(text: str) -> Decimal | None:
    if len(text) > 40:
        return None
    try:
        value = Decimal(text)
    except InvalidOperation:
        return None
    return value if value.is_finite() else None


def _counts(document: Element, root: str, head: Element, items: list[tuple[Element, str]]) -> Iterator[Finding]:
    """Totals of items and packages."""
    told = _count(head.value("TotNumOfIteHEA305"))
    if told is not None and told != len(items):
        yield rule(8206, f"{root}/HEAHEA[1]", f"{told} items are announced, {len(items)} are here")
    if _count(head.value("TotNumOfPacHEA306")) and not document.all("GOOITEGDS/PACGS2"):
        yield rule(8688, root, "packages are announced, and no item says what it is packed in")


def _count(text: str | None) -> int | None:
    return int(text) if text and len(text) <= 12 and text.isascii() and text.isdigit() else None


def _filled(head: Element, items: list[tuple[Element, str]]) -> Iterator[Finding]:
    """What is said once for the whole or of every item: places, and a paper by which the goods are found."""
    for item, where in items:
        if head.value("PlaLoaGOOITE334") is None and item.value("PlaLoaGOOITE333") is None:
            yield rule(8104, where, "the place of loading is missing, for the whole declaration and here")
        if head.value("PlaUnlGOOITE334") is None and item.value("PlaUnlGOOITE333") is None:
            yield rule(8687, where, "the place of unloading is missing, for the whole declaration and here")
        if head.value("ComRefNumHEA") is None and item.value("ComRefNumGIM1") is None and not item.all("PRODOCDC2"):
            yield rule(8170, where, "neither a document nor a commercial reference is given, for the whole declaration or here")


def _packages(item: Element, at: str, marked: Set[str]) -> Iterator[Finding]:
    for number, package in enumerate(item.all("PACGS2"), 1):
        where, count = f"{at}/PACGS2[{number}]", package.value("NumOfPacGS24")
        if package.value("KinOfPacGS23") in BULK and (count is not None or package.value("NumOfPieGS25") is not None):
            yield rule(8149, where, "goods in bulk have neither packages nor pieces to count")
        if _count(count) == 0 and package.value("MarNumOfPacGSL21") not in marked:
            yield rule(8153, where, "no packages, and no other item has packages with the same marks that these goods could be in")


def _marked(items: list[tuple[Element, str]]) -> Set[str]:
    """The marks on packages that are counted."""
    packages = (package for item, _ in items for package in item.all("PACGS2") if _count(package.value("NumOfPacGS24")))
    return {marks for package in packages if (marks := package.value("MarNumOfPacGSL21")) is not None}
