"""Entity watches (domain dictionary 2.5): somebody or something to watch for, with grounds and a date of review."""

from datetime import date
from typing import Final, Literal, NotRequired, TypedDict, Unpack

from broker.errors import Finding, Refusal
from broker.families.completion import complete_sections
from broker.families.family import Family, no_mark_rules
from broker.families.message import Audience, LabelArguments, Message, Sections
from broker.families.routing import RoutingLabels, routing_labels
from broker.families.rules import bad, check_countries, check_day_past, check_row_countries, check_subject, days_after, first, found, rows
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


REVIEW_DAYS: Final = 366
"""A person is watched for a year at most before the owner has to look at it again."""
_WITHOUT_ID: Final = ("PERSON", "ADDRESS")
"""Kinds of which many have no identification number that an officer would find."""


def _check(sections: Sections) -> list[Finding] | Refusal:
    core, identity, grounds = sections["core"], sections["identity"], sections["grounds"]
    names = rows(identity, "names")
    if not any(name.get("name", "").strip() for name in names):
        return bad("identity.names", "give at least one name: of an address or device, what it is called")
    if sum(name.get("name_kind") == "PRIMARY" for name in names) != 1:
        return bad("identity.names", "exactly one name is PRIMARY")
    if not (grounds.get("proportionality_note") or "").strip():
        return bad("grounds.proportionality_note", "say why the watch is needed and why no milder means will do")
    refusal = first(
        check_countries(rows(core, "countries"), "core.countries"),
        check_row_countries(rows(identity, "addresses"), "identity.addresses"),
        *(check_subject(each.get("subject"), f"identity.relations[{n}].subject") for n, each in enumerate(rows(identity, "relations"))),
    )
    if refusal is not None:
        return refusal
    known = any(identity.get(name) for name in ("lei", "eori", "imo", "other_ids"))
    return [] if known or core.get("entity_kind") in _WITHOUT_ID else [found("NO_ENTITY_ID", "identity")]


def _check_times(message: Message, issued_ms: int) -> list[Finding] | Refusal:
    core = message.sections["core"]
    days = days_after(core.get("review_date"), issued_ms)
    if days is not None and days < 0:
        return bad("core.review_date", "the review lies before the issue")
    if days is not None and days > REVIEW_DAYS and core.get("entity_kind") == "PERSON":
        return bad("core.review_date", "a watch for a person is reviewed within a year of its issue")
    return check_day_past(message.sections["identity"].get("birth_date"), issued_ms, "identity.birth_date") or []


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
    check_marks=no_mark_rules,
    check_times=_check_times,
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
