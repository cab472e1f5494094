"""Free-zone warnings (domain dictionary 2.5): a pattern of abuse, and the goods' ways in and out in pairs."""

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final, Literal, NotRequired, TypedDict, Unpack

from broker.errors import Finding, Refusal
from broker.families.completion import complete_sections
from broker.families.family import Family, no_mark_rules
from broker.families.message import Audience, LabelArguments, Message, Sections
from broker.families.routing import RoutingLabels, routing_labels
from broker.families.rules import (
    Findings,
    bad,
    check_country,
    check_day_past,
    check_filled,
    check_free_zone,
    check_measure,
    check_past,
    check_row_countries,
    first,
    found,
    instant_ms,
    rows,
)
from broker.families.shipment import (
    ControlCode,
    EquipmentUnit,
    Parties,
    RiskCategory,
    RouteCountry,
    SourceReport,
    TransportDocument,
    TransportMode,
)

ZonePattern = Literal["RELABEL", "REPACK", "ROUTE_BREAK", "CONSIGNEE_SWAP", "DWELL_LIMIT", "SPLIT", "FALSE_ORIGIN", "SHELL_TENANT"]


class FzWarningCore(TypedDict):
    """A pattern of abuse in a free zone, without personal data."""

    free_zone_code: str
    patterns: list[ZonePattern]
    period_from: date
    period_until: date
    cases: int
    dwell_days: NotRequired[int | None]
    dwell_limit_days: NotRequired[int | None]
    transport_mode: NotRequired[TransportMode | None]
    recommended_checks: list[str]
    risk_category: NotRequired[RiskCategory | None]
    countries: NotRequired[list[RouteCountry]]


class ZoneMovement(TypedDict):
    """One crossing of the zone's border."""

    units: list[EquipmentUnit]
    documents: NotRequired[list[TransportDocument]]
    mrn: NotRequired[str | None]
    moved_at: datetime


class MovementPair(TypedDict):
    """The same goods on their way in and out."""

    inbound: ZoneMovement
    outbound: NotRequired[ZoneMovement | None]
    dwell_days: NotRequired[int | None]


class FzWarningMovements(TypedDict):
    """How the goods came into the zone and left it, in pairs."""

    pairs: list[MovementPair]


class ZoneGoods(TypedDict):
    """What goods are called at one crossing."""

    hs_code: str
    hs_edition: int
    description: str
    country: NotRequired[str | None]
    quantity: NotRequired[Decimal | None]
    unit: NotRequired[str | None]


class ZoneItem(TypedDict):
    """An item of goods."""

    inbound: NotRequired[ZoneGoods | None]
    outbound: NotRequired[ZoneGoods | None]
    control_codes: NotRequired[list[ControlCode]]
    un_number: NotRequired[str | None]
    cas: NotRequired[str | None]


class FzWarningGoods(TypedDict):
    """The goods as declared on the way in and on the way out."""

    items: list[ZoneItem]


class FzWarningTenants(TypedDict):
    """What the zone's own authority needs: which tenants, and whether to hold. A tenant may be a natural person."""

    operator: str
    tenant_ids: NotRequired[list[str]]
    hold_requested: bool


def _routing(sections: Sections) -> RoutingLabels:
    core = sections.get("core", {})
    zone = core.get("free_zone_code")
    countries = [(row["country"], row["role"]) for row in rows(core, "countries")]
    if zone:
        countries.append((zone[:2], "ZONE_HOST"))
    codes = [item[way]["hs_code"] for item in rows(sections.get("goods"), "items") for way in ("inbound", "outbound") if item.get(way)]
    return routing_labels(countries, codes, core.get("risk_category"), zone)


_DAY_MS: Final = 86_400_000


def _moved_at(pair: Mapping[str, Any], way: str) -> Any:
    return None if pair.get(way) is None else pair[way].get("moved_at")


def dwell_days(pair: Mapping[str, Any]) -> int | None:
    """Whole days from the way in to the way out of a pair of the movements section; None while the goods are in the zone."""
    came, left = instant_ms(_moved_at(pair, "inbound")), instant_ms(_moved_at(pair, "outbound"))
    return None if came is None or left is None else (left - came) // _DAY_MS


def _check_core(core: Mapping[str, Any]) -> Refusal | None:
    if not rows(core, "patterns"):
        return bad("core.patterns", "name at least one pattern")
    if not rows(core, "recommended_checks"):
        return bad("core.recommended_checks", "say what recipients should check, at least one code")
    if core.get("cases", 0) < 1:
        return bad("core.cases", "a warning rests on one case at least")
    since, until = core.get("period_from"), core.get("period_until")
    if since is not None and until is not None and until < since:
        return bad("core.period_until", "the period ends before it begins")
    if "DWELL_LIMIT" in rows(core, "patterns") and core.get("dwell_days") is None:
        return bad("core.dwell_days", "say how long the goods were in the zone")
    for name in ("dwell_days", "dwell_limit_days"):
        if (core.get(name) or 0) < 0:
            return bad(f"core.{name}", "days are 0 or more")
    return first(
        check_free_zone(core.get("free_zone_code"), True, "core.free_zone_code"),
        check_row_countries(rows(core, "countries"), "core.countries"),
    )


def _check_pair(pair: Mapping[str, Any], path: str, *, may_stay: bool) -> Refusal | None:
    """A pair has containers on both ways, and its days are those between them."""
    for way in ("inbound", "outbound"):
        if pair.get(way) is not None and not rows(pair[way], "units"):
            return bad(f"{path}.{way}.units", "name the containers: without them nobody can follow the goods through the zone")
    if pair.get("outbound") is None:
        return None if may_stay else bad(f"{path}.outbound", "name the way out; only DWELL_LIMIT warns of goods that are still in the zone")
    days = dwell_days(pair)
    if days is not None and days < 0:
        return bad(f"{path}.outbound.moved_at", "the goods left before they came")
    if pair.get("dwell_days") is not None and pair["dwell_days"] != days:
        return bad(f"{path}.dwell_days", f"from the way in to the way out it is {days} whole days: give that, or leave it out")
    return None


def _check_movements(sections: Sections) -> Refusal | None:
    core, pairs = sections["core"], rows(sections.get("movements"), "pairs")
    may_stay = "DWELL_LIMIT" in rows(core, "patterns")
    for number, pair in enumerate(pairs):
        refusal = _check_pair(pair, f"movements.pairs[{number}]", may_stay=may_stay)
        if refusal is not None:
            return refusal
    days = [dwell_days(pair) for pair in pairs]
    known = [each for each in days if each is not None]
    if known and len(known) == len(days) and core.get("dwell_days") is not None and core["dwell_days"] != max(known):
        return bad("core.dwell_days", f"the longest dwell of the pairs is {max(known)} whole days")
    return check_filled(sections.get("movements"), "pairs", "movements.pairs")


def _check_named(goods: Mapping[str, Any], path: str) -> Refusal | None:
    origin = check_country(goods["country"], f"{path}.country") if goods.get("country") is not None else None
    return check_measure(goods, path) or origin


def _check_goods(sections: Sections) -> Refusal | None:
    for number, item in enumerate(rows(sections.get("goods"), "items")):
        path = f"goods.items[{number}]"
        if not item.get("inbound") and not item.get("outbound"):
            return bad(f"{path}.inbound", "say what the goods were declared as, on one way at least")
        for way in ("inbound", "outbound"):
            refusal = _check_named(item[way], f"{path}.{way}") if item.get(way) else None
            if refusal is not None:
                return refusal
    return check_filled(sections.get("goods"), "items", "goods.items")


def _check(sections: Sections) -> list[Finding] | Refusal:
    refusal = (
        _check_core(sections["core"])
        or _check_movements(sections)
        or _check_goods(sections)
        or check_filled(sections.get("parties"), "parties", "parties.parties")
    )
    if refusal is not None:
        return refusal
    findings: Findings = []
    if "goods" not in sections:
        findings.append(found("NO_GOODS", "goods"))
    if "movements" not in sections and rows(sections["core"], "patterns") != ["SHELL_TENANT"]:
        findings.append(found("NO_PAIR", "movements"))
    return findings


def _check_times(message: Message, issued_ms: int) -> list[Finding] | Refusal:
    for number, pair in enumerate(rows(message.sections.get("movements"), "pairs")):
        for way in ("inbound", "outbound"):
            refusal = check_past(_moved_at(pair, way), issued_ms, f"movements.pairs[{number}].{way}.moved_at")
            if refusal is not None:
                return refusal
    return check_day_past(message.sections["core"].get("period_from"), issued_ms, "core.period_from") or []


FZ_WARNING = Family(
    name="fz_warning",
    sections=("core", "movements", "goods", "tenants", "parties", "source", "audience"),
    mandatory=("core", "audience"),
    types={
        "core": FzWarningCore,
        "movements": FzWarningMovements,
        "goods": FzWarningGoods,
        "tenants": FzWarningTenants,
        "parties": Parties,
        "source": SourceReport,
    },
    routing=_routing,
    check=_check,
    check_marks=no_mark_rules,
    check_times=_check_times,
)


def fz_warning(
    *,
    subject: str,
    core: FzWarningCore,
    audience: Audience | None = None,
    movements: FzWarningMovements | None = None,
    goods: FzWarningGoods | None = None,
    tenants: FzWarningTenants | None = None,
    parties: Parties | None = None,
    source: SourceReport | None = None,
    valid_until_ms: int | None = None,
    **labels: Unpack[LabelArguments],
) -> Message:
    """A warning of abuse of a free zone."""
    sections = complete_sections(
        FZ_WARNING.types, {"core": core, "movements": movements, "goods": goods, "tenants": tenants, "parties": parties, "source": source}
    )
    return Message("fz_warning", subject, sections, audience or Audience(), valid_until_ms=valid_until_ms, **labels)
