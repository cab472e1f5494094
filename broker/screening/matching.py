"""How much a shipment agrees with what the register holds, and why: pure functions of both.

Each thing that agrees is evidence with a weight of its own, 0 to 100; together they count as chances that are independent,
``1 - (1 - a)(1 - b)``. A container, a document or a party's number is nearly enough alone. What thousands of shipments share (an HS code, a
ship, a route) counts little beside them, and much where the alert is about exactly that: a commodity, a conveyance, a route.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from broker.families.rules import rows
from broker.register import keys
from broker.register.answers import LicenceAnswer
from broker.register.crossing import of_another_authority
from broker.register.keys import comparable, control_code
from broker.register.licences import STOPPED
from broker.register.rows import Key
from broker.screening import probes
from broker.screening.hits import Evidence, Hit, Subject
from broker.screening.name_index import Found
from broker.screening.probes import Probe, Trader
from broker.screening.shipment import Record, Shipment

ZONE: Final = "ZONE"
ROUTE: Final = "ROUTE"
PLACE: Final = "PLACE"
STATUS: Final = "STATUS"

WEIGHTS: Final[Mapping[str, Mapping[str, int]]] = {
    keys.CONTAINER: {"": 95}, keys.DOCUMENT: {"": 95}, keys.PARTY_ID: {"": 90}, keys.LICENCE: {"": 85},
    keys.CONVEYANCE: {"": 35, "CONVEYANCE": 90, "ENTITY_WATCH": 90}, "LEG": {"": 60, "CONVEYANCE": 95},
    keys.HS: {"": 15, "COMMODITY": 75, "ROUTE": 45}, keys.CONTROL: {"": 45, "COMMODITY": 90, "ROUTE": 60},
    ROUTE: {"": 15, "ROUTE": 75, "COMMODITY": 30}, PLACE: {"": 10, "ROUTE": 40}, ZONE: {"": 40, "ROUTE": 80, "FZ_WARNING": 80},
}  # fmt: skip
"""Kind of evidence, and type of the alert (or family in capitals), to its weight alone; the empty type is any other. LEG is a conveyance
with its voyage or day."""
SHORT: Final = 5
"""A number of fewer signs is anybody's: it counts as much as :data:`SHORT_WEIGHT`."""
SHORT_WEIGHT: Final = 30
COARSER: Final = 0.6
"""What remains of an HS or control code's weight where one of the two says less than the other."""
NAME_SHARE: Final = 0.94
"""A name is never as certain as a number: what remains of its score."""
INTERMEDIARIES: Final = ("DECLARANT", "AGENT", "CARRIER", "BROKER")
"""Roles of parties in an alert who are in it by their trade."""
INTERMEDIARY_SHARE: Final = 0.4
ENDS: Final = {"ORIGIN": 0, "EXPORT": 0, "DESTINATION": 1}
_PERSONS: Final = ("parties", "identity", "tenants")
SECTIONS: Final[Mapping[str, tuple[str, ...]]] = {
    keys.CONTAINER: ("equipment", "movements"), keys.DOCUMENT: ("core", "equipment", "movements"),
    keys.CONVEYANCE: ("route", "equipment", "identity"), keys.PARTY_ID: _PERSONS, keys.LICENCE: ("core",),
}  # fmt: skip
"""Which sections a key comes from: one of them has to be open for whoever screens."""

_WORDS: Final[Mapping[str, str]] = {
    keys.CONTAINER: "container", keys.DOCUMENT: "document", keys.CONVEYANCE: "conveyance", keys.PARTY_ID: "party's number",
    keys.NAME: "name", keys.HS: "HS code", keys.CONTROL: "control code", keys.LICENCE: "licence cited", ROUTE: "route", PLACE: "place",
    ZONE: "free zone", STATUS: "licence status",
}  # fmt: skip


def weighed(kind: str, subject: Subject) -> int:
    """The weight of a kind of evidence for a subject."""
    table = WEIGHTS[kind]
    return table.get(subject.kind, table[""])


def key_evidence(probe: Probe, key: Key, subject: Subject) -> Evidence | None:
    """The evidence that a key of the shipment is one of the subject's; None where the section that it came from is not open."""
    if not any(section in subject.sections for section in SECTIONS[probe.kind]):
        return None
    value = probe.value
    kind = "LEG" if probe.kind == keys.CONVEYANCE and "/" in value else probe.kind
    weight = round(weighed(kind, subject) * (_share(key.detail, subject) if kind == keys.PARTY_ID else 1))
    short = len(value) < SHORT and kind != keys.CONVEYANCE
    return Evidence(probe.kind, min(weight, SHORT_WEIGHT) if short else weight, probe.where, probe.text, value)


def content_evidence(shipment: Shipment, subject: Subject) -> Iterator[Evidence]:
    """What agrees in goods, route and zones."""
    goods = rows(subject.sections.get("goods"), "items")
    yield from _best(_goods(shipment, goods, subject))
    route = subject.sections.get("route")
    yield from _zones(shipment, subject)
    if route is not None:
        yield from _route(shipment, route, subject)


def _goods(shipment: Shipment, goods: Sequence[Record], subject: Subject) -> Iterator[Evidence]:
    ours, entries = probes.commodities(shipment), probes.controls(shipment)
    for holder in (each for item in goods for each in (item, item.get("declared"), item.get("found")) if each):
        code = comparable(str(holder.get("hs_code") or ""))
        yield from _coded(keys.HS, ours, code, subject, least=6) if code else ()
        for entry in rows(holder, "control_codes"):
            yield from _coded(keys.CONTROL, entries, control_code(str(entry["code"])), subject, least=5)


def _coded(kind: str, given: Iterable[tuple[str, str]], listed: str, subject: Subject, *, least: int) -> Iterator[Evidence]:
    """Codes that are the same, or of which one begins like the other."""
    for code, where in given:
        shorter, longer = sorted((code, listed), key=len)
        if len(shorter) >= least and longer.startswith(shorter):
            same = code == listed or (kind == keys.HS and len(listed) == 6)
            yield Evidence(kind, round(weighed(kind, subject) * (1 if same else COARSER)), where, code, listed)


def _best(found: Iterable[Evidence]) -> Iterator[Evidence]:
    """Of each kind the strongest: ten items under one code are one reason."""
    best: dict[str, Evidence] = {}
    for each in found:
        if each.kind not in best or each.weight > best[each.kind].weight:
            best[each.kind] = each
    return iter(best.values())


def _zones(shipment: Shipment, subject: Subject) -> Iterator[Evidence]:
    """The zone of a route or of a warning; a place of the shipment beside the zone counts half."""
    holders: tuple[Record, ...] = (subject.sections.get("route") or {}, subject.sections.get("core") or {})
    zone = next((str(code) for holder in holders if (code := holder.get("free_zone_code"))), "")
    if not zone:
        return
    weight = weighed(ZONE, subject)
    if zone in shipment.free_zones:
        yield Evidence(ZONE, weight, f"free_zones[{shipment.free_zones.index(zone)}]", zone, zone)
    elif (where := probes.places(shipment).get(zone[:5])) is not None:
        yield Evidence(ZONE, weight // 2, where, zone[:5], zone)


def _route(shipment: Shipment, route: Record, subject: Subject) -> Iterator[Evidence]:
    """Both ends of the route, and what else of its places and countries."""
    listed = rows(route, "countries")
    ends: tuple[set[str], set[str]] = (set(), set())
    for each in listed:
        if each.get("role") in ENDS:
            ends[ENDS[each["role"]]].add(each["country"])
    passed = probes.countries(shipment)
    if all(ends) and ends[0] & passed and ends[1] & passed and (not passed <= ends[0] or not passed <= ends[1]):
        through = [each["country"] for each in listed if each["country"] in passed]
        if len(set(through)) > 1:
            text = " to ".join(dict.fromkeys(through))
            yield Evidence(ROUTE, weighed(ROUTE, subject), "countries", text, " to ".join(each["country"] for each in listed))
    ours = probes.places(shipment)
    for place in rows(route, "places"):
        if place.get("locode") in ours and place.get("role") in ("TRANSHIPMENT", "FREE_ZONE", "LOADING"):
            code = str(place["locode"])
            yield Evidence(PLACE, weighed(PLACE, subject), ours[code], code, code)
            return


def together(evidence: Iterable[Evidence]) -> int:
    """The score of all evidence, 0 to 100: of what stands in one place the strongest, all places as independent chances."""
    best: dict[tuple[str, str], int] = {}
    for each in evidence:
        mark = ("", each.where) if each.kind not in (keys.NAME, keys.PARTY_ID) else ("party", each.where.partition(".")[0])
        best[mark] = max(best.get(mark, 0), each.weight)
    doubt = 1.0
    for weight in best.values():
        doubt *= 1 - weight / 100
    return round(100 * (1 - doubt))


def hit(subject: Subject, evidence: Sequence[Evidence]) -> Hit:
    """The hit that the evidence makes, the strongest first."""
    ordered = tuple(sorted(dict.fromkeys(evidence), key=lambda each: (-each.weight, each.where)))
    told = [f"{_WORDS[each.kind]} {_quoted(each)}" for each in ordered[:3]]
    more = f" and {len(ordered) - 3} more" if len(ordered) > 3 else ""
    category = str(subject.sections.get("core", {}).get("risk_category") or "")
    about = f"{subject.family.replace('_', ' ')}{f' ({category})' if category else ''}"
    reason = f"{', '.join(told)}{more}: as in the {about} of {subject.originator}"
    return Hit(
        subject.subject, subject.revision, subject.family, subject.originator, subject.urgency, together(ordered), reason, subject.actions,
        ordered,
    )  # fmt: skip


def _quoted(each: Evidence) -> str:
    differs = each.given != each.listed and each.kind in (keys.NAME, keys.HS, keys.CONTROL, ZONE)
    return f"{each.given} ~ {each.listed}" if differs else each.given


def licence_hit(ref: Record, where: str, answer: LicenceAnswer, urgency: str, now_ms: int) -> Hit | None:
    """The hit of a licence that a shipment relies on and may not; None where it may. An authority that the papers name by another
    agency's id has another licence of the same number."""
    if answer.status not in STOPPED or of_another_authority(str(ref.get("authority") or ""), answer.licence.authority):
        return None
    row = answer.licence
    when = "" if row.effective_at <= now_ms else ", to come into force"
    reason = f"licence {row.licence_no} of {row.authority} is {answer.status}{when}"
    evidence = Evidence(STATUS, 100, where, str(ref["licence_no"]), f"{row.licence_no} {answer.status}")
    actions = (row.instruction,) if row.instruction else ("HOLD",)
    return Hit(answer.subject, answer.revision, "licence", row.authority, urgency, 100, reason, actions, (evidence,))


def name_evidence(trader: Trader, like: Found, subject: Subject) -> Evidence:
    """The evidence of a name."""
    detail = like.listed.detail
    return Evidence(keys.NAME, round(like.score * NAME_SHARE * _share(detail, subject)), trader.where, trader.name, detail, like.parts)


def _share(detail: str, subject: Subject) -> float:
    """What a party counts: less where it only carried or declared the shipment that an alert is about, for it does that for many."""
    through = subject.family != "entity_watch" and detail.partition(" ")[0] in INTERMEDIARIES
    return INTERMEDIARY_SHARE if through else 1.0
