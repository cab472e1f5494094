"""Parties of an entry summary declaration: when a number stands alone, when name and address have to be given, who may be named where.

The findings carry the numbers that the import control system's own answers have. They run in series: of each party, its name, street,
postcode, city and country, in this order.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from broker.errors import Finding
from broker.screening.xml_tree import Element

TO_ORDER: Final = "10600"
"""Special mention: a bill of lading to order, so that the consignee is not known, and somebody to notify is named instead."""
HERE: Final = ("GB", "XI")
"""How numbers of traders begin that the receiving customs can look up."""
PARTS: Final = ("name", "street", "postcode", "city", "country")
_BEGINNINGS: Final[Mapping[str, tuple[str, ...]]] = {
    "name": ("Nam",), "street": ("Str",), "postcode": ("Pos", "Pst"), "city": ("Cit", "Cty"), "country": ("Cou",), "eori": ("TIN",),
}  # fmt: skip
"""What a party's element is, by how its name begins."""


class Numbers(NamedTuple):
    """The first number of three series: a part is missing where there is no trader's number; a part is given beside a number that says it
    already; a part is missing beside a number of another country. ``unnamed``: the number itself is missing. 0 where none is known."""

    missing: int
    beside: int
    foreign: int = 0
    unnamed: int = 0


WHOLE: Final[Mapping[str, Numbers]] = {
    "TRACONCO1": Numbers(8120, 8626), "TRACONCE1": Numbers(8125, 8631), "NOTPAR670": Numbers(8130, 8636), "TRAREP": Numbers(0, 8656),
    "PERLODSUMDEC": Numbers(0, 8661), "TRACARENT601": Numbers(8159, 8666, 0, 8164),
}  # fmt: skip
"""Parties of the whole declaration."""
OF_ITEM: Final[Mapping[str, Numbers]] = {
    "TRACONCO2": Numbers(8137, 8641), "TRACONCE2": Numbers(8142, 8646, 8242), "PRTNOT640": Numbers(8154, 8651),
}  # fmt: skip
"""Parties of one item."""
BY_NUMBER: Final = ("TRAREP", "PERLODSUMDEC")
"""Parties who are known by their number alone, whatever country it is of."""


def part_of(element: Element) -> str | None:
    """What a child of a party's element is: name, street, postcode, city, country, eori; None for anything else."""
    if element.name.endswith("LNG"):
        return None
    return next((part for part, begins in _BEGINNINGS.items() if element.name.startswith(begins)), None)


def rule(number: int, location: str, reason: str) -> Finding:
    """A finding of a rule, by the number that the import control system gives it; ENS_RULE where none is known."""
    return Finding("WARN", f"ENS_{number}" if number else "ENS_RULE", location, reason)


def party_findings(document: Element, root: str, items: list[tuple[Element, str]]) -> Iterator[Finding]:
    """What is wrong with who is named."""
    for holder, at, numbers in ((document, root, WHOLE), *((item, at, OF_ITEM) for item, at in items)):
        for name, series in numbers.items():
            for count, element in enumerate(holder.all(name), 1):
                yield from _one(element, f"{at}/{name}[{count}]", series)
    yield from _consignors(document, root, items)
    yield from _consignees(document, root, items)
    yield from _notified(document, root, items)


def _one(element: Element, at: str, numbers: Numbers) -> Iterator[Finding]:
    given = {part: child for child in element.children if (part := part_of(child)) is not None and child.text.strip()}
    trader = given["eori"].text.strip() if "eori" in given else ""
    alone = trader.startswith(HERE) or (trader and element.name in BY_NUMBER)
    for place, part in enumerate(PARTS):
        if alone and part in given:
            yield rule(numbers.beside + place, f"{at}/{given[part].name}[1]", f"the number {trader[:17]} says the {part}: leave it out")
        elif not alone and part not in given:
            if trader:
                yield rule(
                    numbers.foreign and numbers.foreign + place, at, f"a trader with a number of another country: give the {part} too"
                )
            elif numbers.missing:
                yield rule(numbers.missing + place, at, f"no number of a trader is given, so the {part} is needed")
    if numbers.unnamed and not trader:
        yield rule(numbers.unnamed, at, "the carrier is named by a trader's number")


def _consignors(document: Element, root: str, items: list[tuple[Element, str]]) -> Iterator[Finding]:
    """One consignor for all belongs to the whole."""
    named = ["|".join(sorted(child.text.strip() for child in each.children)) for item, _ in items for each in item.all("TRACONCO2")]
    if named and len(set(named)) == 1 and (len(named) > 1 or len(items) == 1) and not document.all("TRACONCO1"):
        yield rule(8193, root, "all items that name a consignor name the same: name it once, for the whole declaration")


def _consignees(document: Element, root: str, items: list[tuple[Element, str]]) -> Iterator[Finding]:
    """The consignee is named once for the whole or item by item; of goods to order, not at all."""
    whole = document.first("TRACONCE1")
    if whole is not None and any(to_order(item) for item, _ in items):
        yield rule(8204, f"{root}/TRACONCE1[1]", "goods are to order: a consignee cannot be named for the whole declaration")
    certified = document.value("HEAHEA/SpeCirIndHEA1") == "E"
    for item, at in items:
        here = f"{at}/TRACONCE2[1]"
        own = item.first("TRACONCE2")
        if own is None:
            if whole is None and not to_order(item):
                yield rule(8623, at, "no consignee is named, and the goods are not to order")
            continue
        if whole is not None:
            yield rule(8625, here, "a consignee is named for the whole declaration already")
        if to_order(item):
            yield rule(8624, here, "the goods are to order: name whom to notify, and no consignee")
        if certified and not any(part_of(child) == "eori" and child.text.strip() for child in own.children):
            yield rule(8208, here, "under the simplified form for certified traders the consignee is named by number")


def _notified(document: Element, root: str, items: list[tuple[Element, str]]) -> Iterator[Finding]:
    """Whom to notify is said of goods to order, and of no others."""
    whole = document.first("NOTPAR670")
    if whole is not None and not any(to_order(item) for item, _ in items):
        yield rule(8619, f"{root}/NOTPAR670[1]", "no goods are to order: name the consignee, and nobody to notify")
    for item, at in items:
        own = item.first("PRTNOT640")
        if to_order(item) and own is None and whole is None:
            yield rule(8622, at, "the goods are to order: name whom to notify")
        if own is not None and not to_order(item):
            yield rule(8620, f"{at}/PRTNOT640[1]", "the goods are not to order: name the consignee, and nobody to notify")


def to_order(item: Element) -> bool:
    """Whether an item is under a bill of lading to order."""
    return any(mention.text.strip() == TO_ORDER for mention in item.all("SPEMENMT2/AddInfCodMT23"))
