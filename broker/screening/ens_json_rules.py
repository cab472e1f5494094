"""The business rules of :mod:`broker.screening.ens_rules` for entry summary declarations in JSON.

The two forms say the same: what the JSON holds is laid out as the elements of the XML form that the rules read, each with the JSON pointer
(RFC 6901) of the value that it came from. So there is one set of rules, and a finding points into the document that was sent. Where a rule
points at the head, which the JSON form spreads over several objects, the finding points at the value that the rule is about, or at the
object in which it is missing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple, cast

from broker.errors import Finding
from broker.screening.ens_rules import ens_findings
from broker.screening.xml_tree import Element

RULED: Final[Mapping[str, str]] = {"IE315": "CC315A", "IE313": "CC313A"}
"""Message types that the rules are for, and the name of their XML form."""
ITEMS: Final = 20_000
"""Most items of goods that are read."""
NESTED: Final = 1_000
"""Most packages, papers, mentions and means of transport that are read of one item."""


class Field(NamedTuple):
    """An element of the XML form, and where its text is in the JSON form: a path of names."""

    element: str
    path: tuple[str, ...]


HEAD: Final = (
    Field("SpeCirIndHEA1", ("specificCircumstancesIndicator",)), Field("TraModAtBorHEA76", ("itinerary", "modeOfTransportAtBorder")),
    Field("IdeOfMeaOfTraCroHEA85", ("itinerary", "identityOfMeansOfCrossingBorder", "identity")),
    Field("ConRefNumHEA", ("itinerary", "conveyanceReference")), Field("ComRefNumHEA", ("itinerary", "commercialReferenceNumber")),
    Field("PlaLoaGOOITE334", ("itinerary", "loading", "placeOfLoading")),
    Field("PlaUnlGOOITE334", ("itinerary", "loading", "placeOfUnloading")),
    Field("TotNumOfIteHEA305", ("goods", "numberOfItems")), Field("TotNumOfPacHEA306", ("goods", "numberOfPackages")),
    Field("TotGroMasHEA307", ("goods", "grossMass")),
)  # fmt: skip
ITEM: Final = (
    Field("GroMasGDS46", ("grossMass",)), Field("ComRefNumGIM1", ("commercialReferenceNumber",)),
    Field("PlaLoaGOOITE333", ("loading", "placeOfLoading")), Field("PlaUnlGOOITE333", ("loading", "placeOfUnloading")),
)  # fmt: skip
NESTED_IN_ITEM: Final[Mapping[str, tuple[str, tuple[Field, ...]]]] = {
    "documents": ("PRODOCDC2", (Field("DocRefDC23", ("reference",)),)),
    "packages": ("PACGS2", (
        Field("KinOfPacGS23", ("kindOfPackages",)), Field("NumOfPacGS24", ("numberOfPackages",)),
        Field("NumOfPieGS25", ("numberOfPieces",)), Field("MarNumOfPacGSL21", ("marks",)),
    )),
    "identityOfMeansOfCrossingBorder": ("IDEMEATRAGI970", (
        Field("NatIDEMEATRAGI973", ("nationality",)), Field("IdeMeaTraGIMEATRA971", ("identity",)),
    )),
}  # fmt: skip
"""Lists of objects in an item."""
WHOLE: Final[Mapping[str, str]] = {
    "consignor": "TRACONCO1", "consignee": "TRACONCE1", "notifyParty": "NOTPAR670", "representative": "TRAREP",
    "declarant": "PERLODSUMDEC", "carrier": "TRACARENT601",
}  # fmt: skip
OF_ITEM: Final[Mapping[str, str]] = {"consignor": "TRACONCO2", "consignee": "TRACONCE2", "notifyParty": "PRTNOT640"}
PARTY: Final = (
    Field("Nam", ("name",)), Field("Str", ("address", "streetAndNumber")), Field("Pos", ("address", "postalCode")),
    Field("Cit", ("address", "city")), Field("Cou", ("address", "countryCode")), Field("LNG", ("language",)),
)  # fmt: skip
"""A party's parts, by how the names of their elements begin."""
ABOUT: Final[Mapping[str, tuple[str, ...]]] = {
    "ENS_8690": ("itinerary", "modeOfTransportAtBorder"), "ENS_8107": ("itinerary", "identityOfMeansOfCrossingBorder", "identity"),
    "ENS_8113": ("itinerary", "identityOfMeansOfCrossingBorder", "identity"),
    "ENS_8114": ("itinerary", "identityOfMeansOfCrossingBorder", "identity"), "ENS_8118": ("itinerary", "conveyanceReference"),
    "ENS_8685": ("itinerary", "conveyanceReference"), "ENS_8691": ("specificCircumstancesIndicator",),
    "ENS_8111": ("itinerary", "modeOfTransportAtBorder"), "ENS_8112": ("itinerary", "modeOfTransportAtBorder"),
    "ENS_8673": ("goods", "grossMass"), "ENS_8686": ("goods", "grossMass"), "ENS_8206": ("goods", "numberOfItems"),
    "ENS_8688": ("goods", "numberOfPackages"), "ENS_8193": ("parties", "consignor"), "ENS_4065": ("metadata", "senderEORI"),
}  # fmt: skip
"""What a rule about the head or the whole is about, where the XML form has no element of its own for it to point at."""


def ens_json_findings(value: Mapping[str, Any], at: str = "") -> Iterator[Finding]:
    """The findings of all rules on a declaration or amendment; nothing for other messages. ``at``: the JSON pointer of ``value`` itself."""
    root = RULED.get(str(_at(value, ("metadata", "messageType")) or ""))
    if root is None:
        return
    laid = _Laid(root)
    laid.out(value)
    for found in ens_findings(laid.root):
        pointer = laid.pointers.get(found.path)
        if pointer is None:
            pointer = _nearest(value, ABOUT.get(found.code, ()))
        yield Finding(found.severity, found.code, at + pointer, found.reason)


class _Laid:
    """A declaration laid out as elements; ``pointers``: of each element's path that stands for one value, the JSON pointer."""

    def __init__(self, root: str) -> None:
        self.root = Element(root, 1)
        self.pointers: dict[str, str] = {}
        self._counts: Counter[tuple[str, str]] = Counter()

    def out(self, value: Mapping[str, Any]) -> None:
        path = f"/ie:{self.root.name}[1]"
        sender = [_text(value, ("metadata", name)) or "" for name in ("senderEORI", "senderBranch")]
        self._put(self.root, path, "MesSenMES3", None, "/".join(sender))
        head, head_path = self._put(self.root, path, "HEAHEA", None)
        self._fill(head, head_path, HEAD, value, "")
        self._parties(self.root, path, WHOLE, _at(value, ("parties",)), "/parties")
        items = _at(value, ("goods", "goodsItems"))
        for number, item in _objects(items, ITEMS):
            self._item(path, item, f"/goods/goodsItems/{number}")

    def _item(self, path: str, item: Mapping[str, Any], pointer: str) -> None:
        element, where = self._put(self.root, path, "GOOITEGDS", pointer)
        self._fill(element, where, ITEM, item, pointer)
        self._parties(element, where, OF_ITEM, item, pointer)
        for name, (nested, fields) in NESTED_IN_ITEM.items():
            for number, each in _objects(item.get(name), NESTED):
                inner, inner_path = self._put(element, where, nested, f"{pointer}/{name}/{number}")
                self._fill(inner, inner_path, fields, each, f"{pointer}/{name}/{number}")
        mentions = item.get("specialMentions")
        for number, mention in enumerate(cast("list[object]", mentions)[:NESTED] if isinstance(mentions, list) else ()):
            if isinstance(mention, str):
                inner, inner_path = self._put(element, where, "SPEMENMT2", f"{pointer}/specialMentions/{number}")
                self._put(inner, inner_path, "AddInfCodMT23", None, mention)

    def _parties(self, holder: Element, path: str, names: Mapping[str, str], value: object, pointer: str) -> None:
        given: Mapping[str, Any] = cast("Mapping[str, Any]", value) if isinstance(value, dict) else {}
        for name, element in names.items():
            party: object = given.get(name)
            if isinstance(party, dict):
                made, where = self._put(holder, path, element, f"{pointer}/{name}")
                number = Field("TINPLD1" if element == "PERLODSUMDEC" else "TIN", ("eori",))
                self._fill(made, where, (*PARTY, number), cast("Mapping[str, Any]", party), f"{pointer}/{name}")

    def _fill(self, element: Element, path: str, fields: tuple[Field, ...], value: Mapping[str, Any], pointer: str) -> None:
        for each in fields:
            text = _text(value, each.path)
            if text is not None:
                self._put(element, path, each.element, f"{pointer}/{'/'.join(each.path)}", text)

    def _put(self, holder: Element, path: str, name: str, pointer: str | None, text: str = "") -> tuple[Element, str]:
        self._counts[path, name] += 1
        where = f"{path}/{name}[{self._counts[path, name]}]"
        made = Element(name, 1)
        made.text = text
        holder.children.append(made)
        if pointer is not None:
            self.pointers[where] = pointer
        return made, where


def _nearest(value: Mapping[str, Any], path: tuple[str, ...]) -> str:
    """The pointer of what lies at a path, or of the object in which it is missing."""
    while path and _at(value, path) is None:
        path = path[:-1]
    return "".join(f"/{name}" for name in path)


def _at(value: object, path: tuple[str, ...]) -> object:
    for name in path:
        if not isinstance(value, dict):
            return None
        value = cast("dict[str, object]", value).get(name)
    return value


def _text(value: Mapping[str, Any], path: tuple[str, ...]) -> str | None:
    """A text, or a number as text; None where there is neither."""
    found = _at(value, path)
    if isinstance(found, bool) or not isinstance(found, str | int | float):
        return None
    return str(found)[:512]


def _objects(value: object, most: int) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """The objects of a list with their places in it."""
    if isinstance(value, list):
        for number, each in enumerate(cast("list[object]", value)[:most]):
            if isinstance(each, dict):
                yield number, cast("Mapping[str, Any]", each)
