"""High-risk shipment alerts (domain dictionary 2.2): typed sections, routing labels, conditional rules, builder."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, Literal, NotRequired, TypedDict, Unpack

from broker.errors import Finding, Refusal
from broker.families.attachment import Attachments, check_attachments
from broker.families.completion import complete_sections
from broker.families.family import Family
from broker.families.message import Audience, LabelArguments, Message, Sections
from broker.families.routing import RoutingLabels, routing_labels, well_formed_hs
from broker.families.rules import Findings, bad, check_filled, found, instant_ms, rows
from broker.families.shipment import (
    CONTROLLED,
    Confidence,
    ControlCode,
    Conveyance,
    Equipment,
    LicenceRef,
    Listing,
    Parties,
    RiskCategory,
    RouteCountry,
    RoutePlace,
    SourceReport,
    TransportDocument,
    TransportMode,
    check_route,
    route_countries,
    time_findings,
)

RequestedAction = Literal[
    "ASSESS_ONLY", "RFI", "RFS_SCREEN", "DO_NOT_LOAD", "HOLD", "SPECIFIC_CHECK", "DISCREET_SURVEILLANCE", "SIGHTING_REPORT",
    "CONTROLLED_DELIVERY", "RELEASE_WITH_REPORT",
]  # fmt: skip

INDICATOR_LIMIT: Final = 50


class Indicator(TypedDict):
    """A risk signal."""

    code: str
    text: NotRequired[str | None]


class AlertLink(TypedDict):
    """Another alert that belongs to this one."""

    subject: str
    issuer: str
    resolved: NotRequired[bool]


class AlertCore(TypedDict):
    """What an officer needs to act. Never nominal."""

    alert_type: Literal["SHIPMENT", "ROUTE", "COMMODITY", "CONVEYANCE", "ENTITY_PATTERN"]
    risk_category: RiskCategory
    risk_score: NotRequired[int | None]
    confidence: NotRequired[Confidence | None]
    indicators: list[Indicator]
    requested_actions: list[RequestedAction]
    decision_deadline: NotRequired[datetime | None]
    deadline_anchor: NotRequired[Literal["LOADING", "DEPARTURE", "ARRIVAL", "PRESENTATION"] | None]
    transport_mode: TransportMode
    documents: NotRequired[list[TransportDocument]]
    mrn: NotRequired[str | None]
    ucr: NotRequired[str | None]
    catch_all_basis: NotRequired[Literal["WMD", "MIL_EMBARGO", "PRIOR_UNAUTH", "CYBER", "NATIONAL"] | None]
    licence_refs: NotRequired[list[LicenceRef]]
    alert_links: NotRequired[list[AlertLink]]


class GoodsItem(TypedDict):
    """An item of goods."""

    hs_code: str
    hs_edition: int
    description: str
    gross_mass_kg: NotRequired[Decimal | None]
    quantity: NotRequired[Decimal | None]
    unit: NotRequired[str | None]
    package_count: NotRequired[int | None]
    package_type: NotRequired[str | None]
    marks: NotRequired[str | None]
    un_number: NotRequired[str | None]
    cus: NotRequired[str | None]
    cas: NotRequired[str | None]
    control_codes: NotRequired[list[ControlCode]]


class AlertGoods(TypedDict):
    """The goods section."""

    items: list[GoodsItem]


class AlertRoute(TypedDict):
    """The route section."""

    countries: list[RouteCountry]
    places: list[RoutePlace]
    conveyances: NotRequired[list[Conveyance]]
    free_zone_code: NotRequired[str | None]
    free_zone_role: NotRequired[Literal["ORIGIN", "STORAGE", "PROCESSING", "TRANSHIPMENT", "DESTINATION", "OTHER"] | None]
    free_zone_operator: NotRequired[str | None]
    free_zone_entered_at: NotRequired[datetime | None]


class AlertGrounds(TypedDict):
    """The grounds section: why the shipment is suspected. Nominal."""

    narrative: str
    profile_ref: NotRequired[str | None]
    listings: NotRequired[list[Listing]]
    related_cases: NotRequired[list[str]]


class AlertValue(TypedDict):
    """The value section."""

    amount: Decimal
    currency: str
    incoterm: NotRequired[Literal["EXW", "FCA", "CPT", "CIP", "DAP", "DPU", "DDP", "FAS", "FOB", "CFR", "CIF"] | None]
    incoterm_place: NotRequired[str | None]


def _routing(sections: Sections) -> RoutingLabels:
    core, route = sections.get("core", {}), sections.get("route", {})
    codes = [item["hs_code"] for item in rows(sections.get("goods"), "items")]
    return routing_labels(route_countries(route), codes, core.get("risk_category"), route.get("free_zone_code"))


def _check_core(sections: Sections) -> Refusal | None:
    core = sections["core"]
    if not 1 <= len(rows(core, "indicators")) <= INDICATOR_LIMIT:
        return bad("core.indicators", f"give 1 to {INDICATOR_LIMIT} risk indicators: a score never stands alone")
    if not rows(core, "requested_actions"):
        return bad("core.requested_actions", "say what the recipient should do; ASSESS_ONLY asks for nothing more")
    score = core.get("risk_score")
    if score is not None and not 0 <= score <= 100:
        return bad("core.risk_score", "a score is 0 to 100")
    urgent = [action for action in rows(core, "requested_actions") if action in ("DO_NOT_LOAD", "HOLD")]
    if urgent and core.get("decision_deadline") is None:
        return bad("core.decision_deadline", f"{urgent[0]} needs the time by which the recipient must decide")
    if core.get("decision_deadline") is not None and core.get("deadline_anchor") is None:
        return bad("core.deadline_anchor", "say which event the deadline hangs on: LOADING, DEPARTURE, ARRIVAL or PRESENTATION")
    return None


def _check_identified(sections: Sections) -> Refusal | None:
    """An alert names a document, container, conveyance or party; a pattern of route or commodity names its route or goods instead."""
    core, route = sections["core"], sections.get("route")
    if any((
        rows(core, "documents"), core.get("mrn"), core.get("ucr"), rows(sections.get("equipment"), "units"),
        rows(route, "conveyances"), rows(sections.get("parties"), "parties"),
    )):  # fmt: skip
        return None
    kind = core.get("alert_type")
    if (kind == "ROUTE" and rows(route, "places")) or (kind == "COMMODITY" and rows(sections.get("goods"), "items")):
        return None
    reason = "name at least one document, container, conveyance or party, or nobody can find the shipment"
    if kind in ("ROUTE", "COMMODITY"):
        pattern = "route" if kind == "ROUTE" else "goods"
        reason = f"name the {pattern} that an alert of type {kind} is about, or a document, container, conveyance or party"
    return bad("core.documents", reason)


def _speaks_of_zone(route: Mapping[str, Any] | None) -> bool:
    return route is not None and any(route.get(f"free_zone_{name}") is not None for name in ("role", "operator", "entered_at"))


def _findings(sections: Sections) -> Findings:
    core, goods, route = sections["core"], sections.get("goods"), sections.get("route")
    items = rows(goods, "items")
    findings = [
        found("BAD_HS", f"goods.items[{number}].hs_code") for number, item in enumerate(items) if not well_formed_hs(item.get("hs_code"))
    ]
    if goods is None:
        findings.append(found("NO_GOODS", "goods"))
    coded = core.get("catch_all_basis") is not None or any(item.get("control_codes") for item in items)
    if goods is not None and core.get("risk_category") in CONTROLLED and not coded:
        findings.append(found("NO_CONTROL_CODE", "goods.items"))
    if route is None:
        findings.append(found("NO_ROUTE", "route"))
    elif len(rows(route, "countries")) < 2:
        findings.append(found("SHORT_ROUTE", "route.countries"))
    return findings + time_findings(rows(route, "places"), "route.places")


def _check(sections: Sections) -> list[Finding] | Refusal:
    refusal = (
        _check_core(sections)
        or _check_identified(sections)
        or check_route(sections.get("route"), speaks_of_zone=_speaks_of_zone(sections.get("route")))
        or check_filled(sections.get("goods"), "items", "goods.items")
        or check_filled(sections.get("equipment"), "units", "equipment.units")
        or check_filled(sections.get("parties"), "parties", "parties.parties")
        or check_attachments(sections.get("attachments"))
    )
    return refusal or _findings(sections)


def _check_marks(message: Message) -> Refusal | None:
    """Discreet surveillance must be marked so that nobody speaks to the trader (PAP RED or AMBER, domain dictionary 2.2)."""
    if "DISCREET_SURVEILLANCE" in rows(message.sections.get("core"), "requested_actions") and message.pap not in ("RED", "AMBER"):
        return Refusal("BAD_LABELS", "DISCREET_SURVEILLANCE needs PAP RED or AMBER", "header.pap")
    return None


def _check_times(message: Message, issued_ms: int) -> list[Finding] | Refusal:
    """A deadline that nobody can keep any more is told, not refused: the warning still helps."""
    deadline = instant_ms(message.sections["core"].get("decision_deadline"))
    return [found("PAST_DEADLINE", "core.decision_deadline")] if deadline is not None and deadline <= issued_ms else []


ALERT = Family(
    name="alert",
    sections=("core", "goods", "equipment", "route", "parties", "grounds", "source", "value", "attachments", "audience"),
    mandatory=("core", "audience"),
    types={
        "core": AlertCore,
        "goods": AlertGoods,
        "equipment": Equipment,
        "route": AlertRoute,
        "parties": Parties,
        "grounds": AlertGrounds,
        "source": SourceReport,
        "value": AlertValue,
        "attachments": Attachments,
    },
    routing=_routing,
    check=_check,
    check_marks=_check_marks,
    check_times=_check_times,
)


def alert(
    *,
    subject: str,
    core: AlertCore,
    valid_until_ms: int,
    audience: Audience | None = None,
    goods: AlertGoods | None = None,
    equipment: Equipment | None = None,
    route: AlertRoute | None = None,
    parties: Parties | None = None,
    grounds: AlertGrounds | None = None,
    source: SourceReport | None = None,
    value: AlertValue | None = None,
    attachments: Attachments | None = None,
    **labels: Unpack[LabelArguments],
) -> Message:
    """A shipment alert; ``valid_until_ms`` (Unix ms UTC) is mandatory. Other labels take :class:`Message`'s defaults."""
    given = {
        "core": core,
        "goods": goods,
        "equipment": equipment,
        "route": route,
        "parties": parties,
        "grounds": grounds,
        "source": source,
        "value": value,
        "attachments": attachments,
    }
    sections = complete_sections(ALERT.types, given)
    return Message("alert", subject, sections, audience or Audience(), valid_until_ms=valid_until_ms, **labels)
