"""Members and labels as Cedar entities (Cedar JSON entity format), and members that no rule can tell apart.

Two agencies of the same kind and standing get the same answer unless the message or a rule names one of them, its country or one
of its communities: Cedar can only compare entities, not look inside their names. So one agency of each such set is asked and
the others share its answer; a decision costs with the number of distinguishable agencies, not with the size of the exchange.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from broker.ids import country_of
from broker.policy.cedar import MESSAGE
from broker.policy.facts import Circle, Facts
from broker.policy.model import EVIDENCE, Labels, Member
from broker.policy.rules import Reading

ROLES: Final[Mapping[str, str]] = {
    "ORIGIN": "origin",
    "EXPORT": "export",
    "TRANSIT": "transit",
    "TRANSHIPMENT": "transhipment",
    "DESTINATION": "destination",
    "ZONE_HOST": "zoneHost",
    "LICENCE_ISSUER": "licenceIssuer",
    "PLACE": "place",
}
"""The header's country roles and the attribute of a message that holds the countries in that role."""

DISTINCTIVE: Final[Mapping[str, str]] = {
    "purposes": "purposes",
    "legalBasis": "legal_basis",
    "hsChapters": "hs_chapters",
    "category": "category",
    "freeZone": "free_zone",
    "validUntil": "valid_until_ms",
    "embargoUntil": "embargo_until_ms",
    "sourceGrade": "source_grade",
    "informationGrade": "information_grade",
    "evidentialUse": "evidential_use",
    "retention": "retention",
}
"""Attributes that differ from message to message and the label each comes from. Cedar is given them only where a rule reads them."""

FACTUAL: Final = (
    "agreements",
    "personalAgreements",
    "operations",
    "regimes",
    "originatorCountry",
    "consented",
    "consentedElse",
    "emergency",
)
"""Attributes of a message that follow from facts: given to Cedar where the schema has them."""

GRADES: Final[Mapping[str, str]] = {"sourceGrade": "SourceGrade", "informationGrade": "InformationGrade", "retention": "Retention"}
"""Optional attributes of an enumerated type, and the type."""

DATES: Final[Mapping[str, str]] = {"validUntil": "valid_until_ms", "embargoUntil": "embargo_until_ms"}
"""Attributes that are dates, and their labels."""

_ALWAYS: Final = (
    "family", "originator", "tlp", "handling", "pap", "urgency", "onward", "sections", "audience_agencies",
    "audience_communities", "audience_countries", "consents",
)  # fmt: skip
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def labels_read(reading: Reading, facts: Facts) -> tuple[str, ...]:
    """The fields of :class:`Labels` on which a decision under these policies and facts can depend, dates that rules only compare with
    now left out (:func:`sides`)."""
    read = [label for attribute, label in DISTINCTIVE.items() if attribute in reading.attributes and attribute not in reading.relative]
    if any(attribute in reading.attributes for attribute in ROLES.values()):
        read.append("countries")
    if any(each.purposes for each in facts.agreements):
        read.append("purposes")
    if any(each.chapters for each in facts.agreements):
        read.append("hs_chapters")
    return (*_ALWAYS, *dict.fromkeys(read))


def reference(kind: str, name: str) -> dict[str, object]:
    """An entity reference as an attribute's value."""
    return {"__entity": {"type": kind, "id": name}}


def moment(at_ms: int) -> dict[str, object]:
    """A Cedar datetime. Raises OverflowError outside the years 1 to 9999."""
    text = (_EPOCH + timedelta(milliseconds=at_ms)).strftime("%Y-%m-%dT%H:%M:%S")
    return {"__extn": {"fn": "datetime", "arg": f"{text.rjust(19, '0')}.{at_ms % 1000:03d}Z"}}


def context(now_ms: int, purpose: str | None = None) -> str:
    """The context of a question, as JSON. ``purpose`` is what a person reads for, where one does."""
    more = {} if purpose is None else {"purpose": reference("Purpose", purpose)}
    return json.dumps({"now": moment(now_ms), **more})


def member_entity(member: Member) -> str:
    """A member as a Cedar entity, as JSON."""
    parents = [{"type": "Country", "id": member.country}, *({"type": "Community", "id": each} for each in member.communities)]
    parents += [{"type": "Agreement", "id": each} for each in member.agreements]
    attributes = {
        "kind": reference("Kind", member.kind),
        "country": reference("Country", member.country),
        "suspended": member.suspended,
    }
    return json.dumps({"uid": {"type": "Agency", "id": member.agency}, "attrs": attributes, "parents": parents})


def factual(labels: Labels, facts: Facts, originator: Member | None, now_ms: int, section: str | None = None) -> dict[str, object]:
    """The attributes of :data:`FACTUAL`. ``originator`` as it stands at this moment; ``section``: consents count that hold for it."""
    named, now = set(labels.audience_communities), _consented(labels, section, now_ms)

    def communities(circles: Iterable[Circle]) -> list[object]:
        return [reference("Community", each.id) for each in circles if each.id in named and each.span.holds(now_ms)]

    return {
        "agreements": [reference("Agreement", each) for each in facts.covering(labels, originator)],
        "personalAgreements": [reference("Agreement", each) for each in facts.covering(labels, originator, personal=True)],
        "operations": communities(facts.operations),
        "regimes": communities(facts.regimes),
        "originatorCountry": reference("Country", country_of(labels.originator)),
        "consented": [reference("Agency", each.agency) for each in labels.consents if each.holds(section, now_ms) and not each.emergency],
        "emergency": [reference("Agency", each.agency) for each in labels.consents if each.holds(section, now_ms) and each.emergency],
        "consentedElse": [reference("Agency", each) for each in _consented(labels, None, now_ms) if each not in now],
    }


def _consented(labels: Labels, section: str | None, now_ms: int) -> dict[str, None]:
    """Who has consent, or an opening in an emergency, that holds for a section: each once, in order."""
    return dict.fromkeys(each.agency for each in labels.consents if each.holds(section, now_ms))


def variant(section: str) -> str:
    """The id of the message as it is asked for when a section is to be read, or it is to be used in court, and the owner consented to
    something: each has a message of its own, which differs in who has consent."""
    return f"{MESSAGE}/{section}"


def variants(labels: Labels) -> dict[str, str]:
    """The id of the message by action, where it is another than usual."""
    if not labels.consents:
        return {}
    return {f"read:{section}": variant(section) for section in labels.sections} | {EVIDENCE: variant(EVIDENCE)}


def message_entity(labels: Labels, reading: Reading, more: Mapping[str, object], name: str = MESSAGE) -> str:
    """The message as a Cedar entity, as JSON. Attributes of :data:`DISTINCTIVE` and roles that no rule reads are left empty.

    ``more``: those of :func:`factual` that the schema has; ``name``: the entity's id.
    """
    attributes: dict[str, object] = {
        "family": reference("Family", labels.family),
        "originator": reference("Agency", labels.originator),
        "tlp": reference("Tlp", labels.tlp),
        "handling": reference("Handling", labels.handling),
        "urgency": reference("Urgency", labels.urgency),
        "onward": reference("Onward", labels.onward),
        "audienceAgencies": [reference("Agency", each) for each in labels.audience_agencies],
        "audienceCommunities": [reference("Community", each) for each in labels.audience_communities],
        "audienceCountries": [reference("Country", each) for each in labels.audience_countries],
        "purposes": [],
        "legalBasis": "",
        "hsChapters": [],
        **{attribute: [] for attribute in ROLES.values()},
        **more,
    }
    if labels.pap is not None:
        attributes["pap"] = reference("Pap", labels.pap)
    attributes.update(_distinctive(labels, reading.attributes))
    return json.dumps({"uid": {"type": "Message", "id": name}, "attrs": attributes, "parents": []})


def _distinctive(labels: Labels, read: frozenset[str]) -> dict[str, object]:
    values: dict[str, object] = {
        "purposes": [reference("Purpose", each) for each in labels.purposes],
        "legalBasis": labels.legal_basis,
        "hsChapters": list(labels.hs_chapters),
        "category": labels.category,
        "freeZone": labels.free_zone,
        "evidentialUse": labels.evidential_use,
    }
    for attribute, kind in GRADES.items():
        value = getattr(labels, DISTINCTIVE[attribute])
        values[attribute] = None if value is None else reference(kind, value)
    for role, attribute in ROLES.items():
        values[attribute] = [reference("Country", country) for country, part in labels.countries if part == role]
    dates = {"validUntil": labels.valid_until_ms, "embargoUntil": labels.embargo_until_ms}
    values.update({name: moment(at) for name, at in dates.items() if at is not None and name in read})
    return {name: value for name, value in values.items() if value is not None and name in read}


def window(labels: Labels, reading: Reading, facts: Facts, now_ms: int) -> tuple[int | None, int | None]:
    """The span around ``now_ms`` in which no decision can change: from (inclusive) and until (exclusive), None for no bound.

    Dates of the message that rules only compare with now are left out: :func:`sides` says on which side of them now is.
    """
    dates = set(reading.dates)
    for attribute, label in DATES.items():
        at = getattr(labels, label)
        if at is not None and attribute in reading.attributes and attribute not in reading.relative:
            dates.add(at)
    # `<` changes at the date itself, `<=` a millisecond later.
    turns = dates | {date + 1 for date in dates} | facts.dates
    turns.update(date for each in labels.consents for date in (each.from_ms, each.until_ms))
    return max((at for at in turns if at <= now_ms), default=None), min((at for at in turns if at > now_ms), default=None)


def sides(at: tuple[int | None, ...], now_ms: int) -> tuple[int | None, ...]:
    """On which side of each date now is: -1 before it, 0 at it, 1 after it; None where there is none.

    With these in its place in the key, messages share a decision though each has an end of its own.
    """
    return tuple([None if date is None else (now_ms > date) - (now_ms < date) for date in at]) if at else ()


def next_turn(at: tuple[int | None, ...], now_ms: int, until_ms: int | None) -> int | None:
    """The next moment at which the side of one of these dates changes, or ``until_ms`` where that comes first."""
    turns = [date if now_ms < date else date + 1 for date in at if date is not None and now_ms <= date]
    if until_ms is not None:
        turns.append(until_ms)
    return min(turns, default=None)


def alike(labels: Labels, reading: Reading, members: Mapping[str, Member], agreements: Iterable[str] = ()) -> list[list[Member]]:
    """The members in sets that no rule can tell apart for this message, each in the order of ``members``.

    An agency stands alone if it is the originator or written in a rule; only of such an agency can a rule ask for the country. Who has
    the owner's consent stands alone too. ``agreements`` are those that cover the message.
    """
    alone = {labels.originator, *reading.entities.get("Agency", ())}
    addressed = frozenset(labels.audience_agencies)
    countries = {
        *labels.audience_countries,
        country_of(labels.originator),
        *(country for country, _ in labels.countries),
        *reading.entities.get("Country", ()),
        *(members[agency].country for agency in alone if agency in members),
    }
    communities = {*labels.audience_communities, *reading.entities.get("Community", ())}
    shared_agreements = {*agreements, *reading.entities.get("Agreement", ())}
    consented = {each.agency for each in labels.consents}
    sets: dict[object, list[Member]] = {}
    for member in members.values():
        if member.agency in alone or member.agency in consented:
            key: object = member.agency
        else:
            country = member.country if member.country in countries else ""
            shared = frozenset(communities.intersection(member.communities))
            party = frozenset(shared_agreements.intersection(member.agreements))
            key = (member.agency in addressed, member.kind, member.suspended, country, shared, party)
        sets.setdefault(key, []).append(member)
    return list(sets.values())
