"""Shipments in EDIFACT messages: BAPLIE (stowage), COPRAR (loading and discharge orders), CUSCAR (cargo reports), IFTSTA (status).

Each message is a head (the voyage, its places, who sends it) and groups: a stowage place, a container, a consignment. A group is a
shipment with what the head says. In a CUSCAR the head also lists the containers, which consignments cite.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from broker.screening.carriage import MODES, border_conveyance, flight, ship
from broker.screening.segments import Segment, read_segments
from broker.screening.shipment import HS_EDITION, BadRow, Chunks, Record, Row, Shipment, distinct, party, present

GROUPS: Final[Mapping[str, tuple[str, str]]] = {
    "BAPLIE": ("LOC", "147"), "COPRAR": ("EQD", ""), "CUSCAR": ("CNI", ""), "IFTSTA": ("CNI", ""),
}  # fmt: skip
"""Message to the segment, and its first element where one is meant, that begins a group."""
_PLACES: Final[Mapping[str, str]] = {
    "5": "OTHER", "7": "OTHER", "9": "LOADING", "11": "DISCHARGE", "12": "DISCHARGE", "13": "TRANSHIPMENT", "17": "OTHER", "20": "OTHER",
    "60": "OTHER", "61": "OTHER", "76": "LOADING", "83": "OTHER", "88": "OTHER", "92": "TRANSHIPMENT", "125": "OTHER", "175": "OTHER",
}  # fmt: skip
"""Function of a place (3227) to its role."""
_COUNTRIES: Final[Mapping[str, str]] = {"27": "ORIGIN", "28": "DESTINATION", "35": "EXPORT", "36": "DESTINATION"}
_DOCUMENTS: Final[Mapping[str, str]] = {
    "BM": "N705", "MB": "N704", "AWB": "N740", "AAM": "N740", "BN": "N335", "HWB": "N703", "BH": "N714", "CAW": "N741",
}  # fmt: skip
"""Kind of a reference (1153) that is a transport document."""
_ROLES: Final[Mapping[str, str]] = {
    "CZ": "CONSIGNOR", "EX": "EXPORTER", "SE": "CONSIGNOR", "OS": "CONSIGNOR", "CN": "CONSIGNEE", "UC": "CONSIGNEE", "BY": "CONSIGNEE",
    "N1": "NOTIFY", "N2": "NOTIFY", "NI": "NOTIFY", "CA": "CARRIER", "CF": "CARRIER", "AG": "AGENT", "FW": "AGENT", "DT": "DECLARANT",
}  # fmt: skip
_LICENCES: Final = ("IP", "EX", "LI", "AHZ")
"""Kinds of a reference that is a licence: import licence, export licence, and others as partners agree."""


@dataclass
class _Part:
    """What was read of a head or a group."""

    line: int = 1
    number: int = 1
    reference: str = ""
    mrn: str | None = None
    ucr: str | None = None
    units: list[Record] = field(default_factory=list[Record])
    documents: list[Record] = field(default_factory=list[Record])
    conveyances: list[Record] = field(default_factory=list[Record])
    parties: list[Record] = field(default_factory=list[Record])
    goods: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    licences: list[Record] = field(default_factory=list[Record])
    countries: list[Record] = field(default_factory=list[Record])
    places: list[Record] = field(default_factory=list[Record])

    def item(self, *, anew: bool = False) -> dict[str, Any]:
        """The item of goods that is being described."""
        if anew or not self.goods:
            self.goods.append({})
        return self.goods[-1]


@dataclass
class _Message:
    """A message while it is read."""

    kind: str
    begun: int
    head: _Part
    group: _Part | None = None
    listed: dict[str, Record] = field(default_factory=dict[str, Record])
    """The containers of a CUSCAR's head."""

    @property
    def part(self) -> _Part:
        return self.head if self.group is None else self.group


def read_edifact_rows(chunks: Chunks) -> Iterator[Row]:
    """The shipments of an interchange, or of messages without one."""
    message: _Message | None = None
    any_message, line = False, 1
    for segment in read_segments(chunks):
        if isinstance(segment, BadRow):
            yield segment
            continue
        line = segment.line
        if segment.tag == "UNH":
            any_message = True
            if message is not None:
                yield from _finished(message)
                yield BadRow(line, "TRUNCATED", f"a {message.kind} ends without UNT before segment {segment.number}")
            message = _begun(segment)
            if message is None:
                yield BadRow(line, "UNKNOWN_MESSAGE", f"`{segment.at(2)[:20]}` is not read")
        elif message is not None and segment.tag == "UNT":
            yield from _finished(message)
            count = segment.number - message.begun + 1
            if segment.at(1).isascii() and segment.at(1).isdigit() and int(segment.at(1)[:9]) != count:
                yield BadRow(
                    line, "COUNT_MISMATCH", f"the trailer of the {message.kind} counts {segment.at(1)[:9]} segments, {count} are here"
                )
            message = None
        elif message is not None:
            yield from _taken(message, segment)
    if message is not None:
        yield from _finished(message)
        yield BadRow(line, "TRUNCATED", f"the {message.kind} ends without UNT")
    if not any_message:
        yield BadRow(1, "UNKNOWN_MESSAGE", "there is no message: no UNH")


def _begun(segment: Segment) -> _Message | None:
    kind = segment.at(2)
    return _Message(kind, segment.number, _Part(segment.line, segment.number)) if kind in GROUPS else None


def _taken(message: _Message, segment: Segment) -> Iterator[Row]:
    tag, first = GROUPS[message.kind]
    if segment.tag == tag and (not first or segment.at(1) == first):
        if message.group is not None:
            yield from _finished(message)
        message.group = _Part(segment.line, segment.number)
    reader = _READERS.get(segment.tag)
    if reader is not None:
        reader(message, segment)


def _finished(message: _Message) -> Iterator[Row]:
    """The shipment of the group that ends here; of the head where no group came."""
    head, group = message.head, message.group
    if message.kind == "CUSCAR" and group is None:
        group = replace(_Part(head.line, head.number), units=list(message.listed.values()))
    part = group if group is not None else _Part(head.line, head.number)
    shipment = Shipment(
        message.kind.lower(),
        part.line,
        f"segment {part.number}",
        reference=part.reference or head.reference,
        mrn=part.mrn or head.mrn,
        ucr=part.ucr or head.ucr,
        units=distinct([*part.units, *head.units]),
        documents=distinct([*part.documents, *head.documents]),
        conveyances=distinct([*head.conveyances, *part.conveyances]),
        parties=distinct([*part.parties, *head.parties]),
        goods=distinct(each for each in part.goods if each),
        licence_refs=distinct([*part.licences, *head.licences]),
        countries=distinct([*part.countries, *head.countries]),
        places=distinct([*part.places, *head.places]),
    )
    message.group = None
    own = group is not None or head.units or head.documents
    yield (
        shipment if own and not shipment.empty else BadRow(part.line, "NOTHING_TO_SCREEN", f"the {message.kind} names nothing to look for")
    )


def _reference(message: _Message, segment: Segment) -> None:
    if segment.tag == "BGM":
        message.head.reference = segment.at(2)
    elif not message.part.reference:
        message.part.reference = segment.at(2)


def _transport(message: _Message, segment: Segment) -> None:
    """TDT: stage, voyage or flight, mode, means, carrier, ..., identity with its kind (146 IMO number, 103 call sign) and name."""
    mode = MODES.get(segment.at(3), "SEA" if message.kind != "IFTSTA" else "NOT_APPLICABLE")
    identity, kind, name = segment.at(8), segment.at(8, 1), segment.at(8, 3)
    if mode == "SEA":
        number = identity if kind in ("146", "") and identity else None
        found = ship(number, voyage=segment.at(2) or None, name=name or None, call_sign=identity if kind == "103" else None)
    elif mode == "AIR":
        found = flight(segment.at(2))
    else:
        found = border_conveyance(mode, identity or name, None, segment.at(2) or None)
    if found:
        message.part.conveyances.append(found)


def _place(message: _Message, segment: Segment) -> None:
    function, code, name = segment.at(1), segment.at(2), segment.at(2, 3)
    if function in _COUNTRIES and code:
        message.part.countries.append(present(country=code[:2], role=_COUNTRIES[function]))
    elif function in _PLACES and (code or name):
        coded = segment.at(2, 1) in ("139", "") and len(code) == 5
        place = {"country": code[:2], "locode": code} if coded else {}
        message.part.places.append(present(role=_PLACES[function], **place, name=name[:35] or (None if coded else code)))


def _references(message: _Message, segment: Segment) -> None:
    kind, number = segment.at(1), segment.at(1, 1)
    if not number:
        return
    if kind in _DOCUMENTS:
        message.part.documents.append({"type": _DOCUMENTS[kind], "id": number})
    elif kind in ("EQ", "AAQ"):
        message.part.units.append({"id": number})
    elif kind in ("ABT", "MRN"):
        message.part.mrn = number
    elif kind in ("UCN", "UCR"):
        message.part.ucr = number
    elif kind in _LICENCES:
        message.part.licences.append({"licence_no": number})


def _equipment(message: _Message, segment: Segment) -> None:
    unit = present(id=segment.at(2), size_type=segment.at(3), fullness=segment.at(6))
    if not segment.at(2):
        return
    if message.kind == "CUSCAR" and message.group is None:
        message.listed[segment.at(2)] = unit
    else:
        message.part.units.append(unit)


def _seal(message: _Message, segment: Segment) -> None:
    units = list(message.listed.values()) if message.kind == "CUSCAR" and message.group is None else message.part.units
    if units and isinstance(units[-1], dict) and segment.at(1):
        units[-1].setdefault("seals", []).append(segment.at(1))


def _cited(message: _Message, segment: Segment) -> None:
    """SGP: the goods of a consignment lie in this container."""
    number = segment.at(1)
    if number:
        message.part.units.append(message.listed.get(number, {"id": number}))


def _named(message: _Message, segment: Segment) -> None:
    """NAD: function, number, ..., name and address in lines or in elements of their own."""
    role = _ROLES.get(segment.at(1), "OTHER")
    free, name = segment.elements[2] if len(segment.elements) > 2 else [], segment.at(4)
    name = name or (free[0] if free else "")
    street = " ".join(part.strip() for part in (segment.elements[4] if len(segment.elements) > 4 else free[1:]) if part.strip())
    address = present(street=street, city=segment.at(6), postcode=segment.at(8), country=segment.at(9))
    scheme = "EORI" if segment.at(2, 1) in ("167", "EORI") else None
    found = party(role, name, address=address, **({"eori": segment.at(2)} if scheme else {"id": segment.at(2)}))
    if found:
        message.part.parties.append(found)


def _goods_item(message: _Message, _segment: Segment) -> None:
    message.part.item(anew=True)


def _text(message: _Message, segment: Segment) -> None:
    """FTX: AAA and AAD describe the goods."""
    if segment.at(1) in ("AAA", "AAD") and message.group is not None:
        words = " ".join(part.strip() for part in (segment.elements[3] if len(segment.elements) > 3 else []) if part.strip())
        item = message.part.item()
        if words:
            item["description"] = f"{item['description']} {words}"[:512] if "description" in item else words[:512]


def _tariff(message: _Message, segment: Segment) -> None:
    """CST: commodity codes; PIA: numbers of a product, HS among them."""
    numbers = [segment.elements[at] for at in range(1, len(segment.elements))]
    for parts in numbers:
        code = parts[0].strip() if parts else ""
        if code.isascii() and code.isdigit() and 6 <= len(code) <= 10 and (segment.tag == "CST" or "HS" in parts[1:2]):
            message.part.item().update(hs_code=code, hs_edition=HS_EDITION)
            return


def _danger(message: _Message, segment: Segment) -> None:
    if segment.at(3):
        message.part.item()["un_number"] = segment.at(3)


_READERS: Final = {
    "BGM": _reference, "CNI": _reference, "TDT": _transport, "LOC": _place, "RFF": _references, "EQD": _equipment, "SEL": _seal,
    "SGP": _cited, "NAD": _named, "GID": _goods_item, "FTX": _text, "CST": _tariff, "PIA": _tariff, "DGS": _danger,
}  # fmt: skip
"""Segment to what it adds. Others say nothing that is looked for."""
