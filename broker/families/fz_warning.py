"""Free-zone warnings (domain dictionary 2.5): a pattern of abuse, and the goods' ways in and out in pairs."""

from datetime import date, datetime
from decimal import Decimal
from typing import Literal, NotRequired, TypedDict, Unpack

from broker.errors import Finding, Refusal
from broker.families.completion import complete_sections
from broker.families.family import Family
from broker.families.message import Audience, LabelArguments, Message, Sections
from broker.families.routing import RoutingLabels, routing_labels
from broker.families.rules import rows
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


def _check(sections: Sections) -> list[Finding] | Refusal:
    return []


def _check_marks(message: Message) -> Refusal | None:
    return None


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
    check_marks=_check_marks,
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
