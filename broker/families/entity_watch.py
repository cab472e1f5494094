"""Entity watches (domain dictionary 2.5): somebody or something to watch for, with grounds and a date of review."""

from datetime import date
from typing import Literal, NotRequired, TypedDict, Unpack

from broker.errors import Finding, Refusal
from broker.families.completion import complete_sections
from broker.families.family import Family
from broker.families.message import Audience, LabelArguments, Message, Sections
from broker.families.routing import RoutingLabels, routing_labels
from broker.families.rules import rows
from broker.families.shipment import Address, Listing, RiskCategory, SourceReport

EntityKind = Literal["PERSON", "COMPANY", "VESSEL", "AIRCRAFT", "ADDRESS", "DEVICE"]


class EntityWatchCore(TypedDict):
    """That somebody or something is to be watched for, without saying whom."""

    entity_kind: EntityKind
    review_date: date
    requested_actions: NotRequired[list[str]]
    risk_category: NotRequired[RiskCategory | None]
    countries: NotRequired[list[str]]


class EntityName(TypedDict):
    """A name in one script."""

    name: str
    name_kind: Literal["PRIMARY", "ALIAS", "FORMER", "TRADING"]
    script: NotRequired[str | None]
    transliteration: NotRequired[str | None]


class OtherId(TypedDict):
    """An identification number."""

    id_scheme: str
    id: str
    country: NotRequired[str | None]


class Relation(TypedDict):
    """Another entity that this one has to do with."""

    relation: str
    name: str
    subject: NotRequired[str | None]


class EntityWatchIdentity(TypedDict):
    """Who or what is watched for. Personal data."""

    names: list[EntityName]
    lei: NotRequired[str | None]
    eori: NotRequired[str | None]
    imo: NotRequired[str | None]
    flag: NotRequired[str | None]
    other_ids: NotRequired[list[OtherId]]
    birth_date: NotRequired[date | None]
    addresses: NotRequired[list[Address]]
    relations: NotRequired[list[Relation]]
    listings: NotRequired[list[Listing]]


class EntityWatchGrounds(TypedDict):
    """Why it is watched for, and why that is proportionate; names people."""

    narrative: str
    proportionality_note: str
    related_cases: NotRequired[list[str]]


def _routing(sections: Sections) -> RoutingLabels:
    core = sections.get("core", {})
    return routing_labels([(country, "PLACE") for country in rows(core, "countries")], (), core.get("risk_category"), None)


def _check(sections: Sections) -> list[Finding] | Refusal:
    return []


def _check_marks(message: Message) -> Refusal | None:
    return None


ENTITY_WATCH = Family(
    name="entity_watch",
    sections=("core", "identity", "grounds", "source", "audience"),
    mandatory=("core", "identity", "grounds", "audience"),
    types={
        "core": EntityWatchCore,
        "identity": EntityWatchIdentity,
        "grounds": EntityWatchGrounds,
        "source": SourceReport,
    },
    routing=_routing,
    check=_check,
    check_marks=_check_marks,
)


def entity_watch(
    *,
    subject: str,
    core: EntityWatchCore,
    identity: EntityWatchIdentity,
    grounds: EntityWatchGrounds,
    audience: Audience | None = None,
    source: SourceReport | None = None,
    valid_until_ms: int | None = None,
    **labels: Unpack[LabelArguments],
) -> Message:
    """A watch for an entity. It is kept for a year unless renewed."""
    labels.setdefault("retention", "R1Y")
    sections = complete_sections(ENTITY_WATCH.types, {"core": core, "identity": identity, "grounds": grounds, "source": source})
    return Message("entity_watch", subject, sections, audience or Audience(), valid_until_ms=valid_until_ms, **labels)
