"""What a rule read when it was asked: the labels and the attributes of members that it names, with the values they had, in words.

Found in the rule's syntax tree, so it is all that the rule can depend on (see :mod:`broker.policy.rules`), not only what decided it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from types import MappingProxyType
from typing import Final, cast

from cedarpy import pst

from broker.ids import country_of
from broker.policy import cedar
from broker.policy.entities import DISTINCTIVE, FACTUAL, GRADES, ROLES
from broker.policy.facts import NO_FACTS, Facts
from broker.policy.model import Labels, Member

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_PLAIN: Final[Mapping[str, tuple[str, str]]] = {
    "family": ("family", "family"), "tlp": ("TLP", "tlp"), "handling": ("handling", "handling"), "pap": ("PAP", "pap"),
    "urgency": ("urgency", "urgency"), "onward": ("onward use", "onward"), "legalBasis": ("the legal basis", "legal_basis"),
    "category": ("the category", "category"), "freeZone": ("the free zone", "free_zone"),
}  # fmt: skip
"""Attributes of a message with one value each: what they are called, and the label they come from."""
_LISTS: Final[Mapping[str, tuple[str, str]]] = {"purposes": ("purposes", "purposes"), "hsChapters": ("HS chapters", "hs_chapters")}
_AUDIENCE: Final[Mapping[str, str]] = {
    "audienceAgencies": "audience_agencies", "audienceCommunities": "audience_communities", "audienceCountries": "audience_countries",
}  # fmt: skip
_ROLE_OF: Final[Mapping[str, str]] = {attribute: role for role, attribute in ROLES.items()}


@dataclass(frozen=True, slots=True)
class Situation:
    """One question's ground: a message's labels, the agency that asks, the moment (Unix milliseconds), the dated facts."""

    labels: Labels
    member: Member
    now_ms: int
    facts: Facts = NO_FACTS

    @property
    def standing(self) -> Member:
        """The agency with the communities and agreements that the facts put it in now."""
        return self.facts.standing(self.member, self.now_ms)


_GRADED: Final[Mapping[str, str]] = {
    "sourceGrade": "grade of the source", "informationGrade": "grade of the information", "retention": "class of retention",
}  # fmt: skip


@lru_cache(maxsize=16)
def trees(policies: str) -> Mapping[str, pst.Template]:
    """The syntax tree of each rule by its id. ``policies``: the checked text of a bundle. Remembered by text."""
    parsed = cedar.read_policies(policies).to_pst().static_policies.values()
    return MappingProxyType({policy.annotations["id"]: policy for policy in parsed})


def facts(rule: pst.Template, situation: Situation, members: Mapping[str, Member]) -> tuple[str, ...]:
    """The facts that a rule read, one sentence each without a full stop, in the order in which the rule names them.

    Of the parts that countries have in a shipment only those are told that the agency's country has; where it has none, that is told.
    """
    situation = replace(situation, member=situation.standing)
    told: list[str] = []
    asked_roles: list[str] = []
    for base, name in _reads(rule):
        if base == "resource" and name in _ROLE_OF:
            asked_roles.append(_ROLE_OF[name])
            told.extend(_part(name, situation))
        else:
            told.append(_told(base, name, situation, members))
    if asked_roles and not any(part for role in asked_roles for part in _part(ROLES[role], situation)):
        told.append(f"{situation.member.country} is not {_either(asked_roles)}")
    return tuple(dict.fromkeys(each for each in told if each))


def tlp_shown(value: str) -> str:
    """A TLP mark as people write it."""
    return value.replace("AMBER_STRICT", "AMBER+STRICT")


def moment_shown(at_ms: int) -> str:
    """Unix milliseconds as ISO 8601 UTC, as short as it can be told exactly."""
    try:
        moment = _EPOCH + timedelta(milliseconds=at_ms)
    except OverflowError:
        return f"{at_ms} ms after 1970"
    return moment.isoformat(timespec="milliseconds" if at_ms % 1000 else "seconds").replace("+00:00", "Z")


def _reads(rule: pst.Template) -> Iterator[tuple[str, str]]:
    """What a rule reads, as (of what, which): ``("resource", "tlp")``, ``("in", 'Country::"SG"')`` for what is written out."""
    if isinstance(rule.principal, pst.ScopeEq | pst.ScopeIn) and isinstance(rule.principal.entity, pst.EntityUid):
        yield "in", str(rule.principal.entity)
    for clause in rule.clauses:
        yield from _expressions(clause.expr)


def _expressions(root: object) -> Iterator[tuple[str, str]]:
    stack: list[object] = [root]
    while stack:
        node = stack.pop()
        match node:
            case pst.GetAttr(pst.Var(name), attribute):
                yield name, attribute
            case pst.GetAttr(pst.GetAttr(pst.Var("resource"), base), attribute):
                yield f"resource.{base}", attribute
            case pst.HasAttr(pst.Var(name), attributes):
                yield from ((name, attribute) for attribute in attributes)
            case pst.UnaryOp("is_empty", pst.GetAttr(pst.Var("resource"), attribute)):
                yield "size", attribute
            case pst.BinaryOp("eq" | "not_eq" | "in", pst.Var("principal"), right):
                yield from (("in", str(uid)) for uid in _literals(right))
                stack.append(right)
            case _:
                stack.extend(reversed(list(_children(node))))


def _literals(node: object) -> list[pst.EntityUid]:
    elements = node.elements if isinstance(node, pst.Set) else (node,)
    return [each.value for each in elements if isinstance(each, pst.EntityLit)]


def _children(node: object) -> Iterator[object]:
    if isinstance(node, tuple):
        yield from cast("tuple[object, ...]", node)
    elif is_dataclass(node):
        yield from (cast("object", getattr(node, each.name)) for each in fields(node))


def _told(base: str, name: str, situation: Situation, members: Mapping[str, Member]) -> str:
    labels, member = situation.labels, situation.member
    if base == "in":
        return _within(name, member)
    if base == "size":
        return _size(name, labels)
    if base == "context":
        return f"it is {moment_shown(situation.now_ms)}" if name == "now" else ""
    if base == "principal":
        return _of_member(name, member)
    if base == "resource.originator":
        originator = members.get(labels.originator)
        return _of_member(name, originator) if originator else f"the originator {labels.originator} is not a member"
    if base != "resource":
        return ""
    return _of_facts(name, situation, members) if name in FACTUAL else _of_message(name, situation)


def _within(literal: str, member: Member) -> str:
    kind, _, name = literal.rpartition("::")
    name = name.strip('"')
    if kind == "Agency":
        return f"the agency is {member.agency}" if name == member.agency else f"{member.agency} is not {name}"
    held = name == member.country if kind == "Country" else name in member.communities
    return f"{member.agency} {'belongs' if held else 'does not belong'} to {name}"


def _size(attribute: str, labels: Labels) -> str:
    field = _AUDIENCE.get(attribute) or _LISTS.get(attribute, ("", ""))[1]
    if not field:
        return ""
    count = len(cast("tuple[str, ...]", getattr(labels, field)))
    where = "the audience" if attribute in _AUDIENCE else "the message"
    things = {"audienceAgencies": "agencies", "audienceCommunities": "communities", "audienceCountries": "countries"}.get(attribute, "")
    return f"{where} names {count or 'no'} {things or _LISTS[attribute][0]}"


def _of_member(attribute: str, member: Member) -> str:
    match attribute:
        case "kind":
            return f"{member.agency} is {member.kind}"
        case "country":
            return f"{member.agency} belongs to {member.country}"
        case "suspended":
            return f"{member.agency} is {'' if member.suspended else 'not '}suspended"
        case _:
            value: object = getattr(member, attribute, None)
            return "" if value is None else f"{attribute} of {member.agency} is {value}"


def _of_message(attribute: str, situation: Situation) -> str:
    labels, member = situation.labels, situation.member
    if attribute in _AUDIENCE:
        return _addressed(attribute, labels, member)
    if attribute in _PLAIN:
        called, field = _PLAIN[attribute]
        value = cast("str | None", getattr(labels, field))
        return f"there is no {called.removeprefix('the ')}" if value is None else f"{called} is {tlp_shown(value)}"
    if attribute in _LISTS:
        called, field = _LISTS[attribute]
        values = cast("tuple[str, ...]", getattr(labels, field))
        return f"{called} are {', '.join(values)}" if values else f"there are no {called}"
    if attribute in GRADES:
        value = cast("str | None", getattr(labels, DISTINCTIVE[attribute]))
        return f"no {_GRADED[attribute]} is given" if value is None else f"the {_GRADED[attribute]} is {value}"
    match attribute:
        case "evidentialUse":
            return f"use in court is {'allowed' if labels.evidential_use else 'not allowed'} by its marks"
        case "originator":
            own = labels.originator == member.agency
            return f"{member.agency} is the originator" if own else f"the originator is {labels.originator}"
        case "validUntil":
            return "no end of validity is given" if labels.valid_until_ms is None else f"valid until {moment_shown(labels.valid_until_ms)}"
        case "embargoUntil":
            at_ms = labels.embargo_until_ms
            return "there is no embargo" if at_ms is None else f"the embargo ends at {moment_shown(at_ms)}"
        case _:
            value: object = getattr(labels, attribute, None)
            return "" if value is None else f"{attribute} is {value}"


def _of_facts(attribute: str, situation: Situation, members: Mapping[str, Member]) -> str:
    """What follows from the dated facts for this agency and this message."""
    labels, member, facts, now_ms = situation.labels, situation.member, situation.facts, situation.now_ms
    match attribute:
        case "originatorCountry":
            country = country_of(labels.originator)
            return f"{member.agency} is {'' if member.country == country else 'not '}of {country}, the originator's country"
        case "agreements" | "personalAgreements":
            owner = members.get(labels.originator)
            owner = facts.standing(owner, now_ms) if owner else None
            covering = facts.covering(labels, owner, personal=attribute == "personalAgreements")
            shared = [each for each in covering if each in member.agreements]
            scope = "the message and persons and firms" if attribute == "personalAgreements" else "the message"
            if shared:
                return f"{' and '.join(shared)} is in force between {labels.originator} and {member.agency} and covers {scope}"
            return f"no agreement in force between {labels.originator} and {member.agency} covers {scope}"
        case "operations" | "regimes":
            circles = facts.operations if attribute == "operations" else facts.regimes
            named = [each.id for each in circles if each.id in labels.audience_communities and each.span.holds(now_ms)]
            shared = [each for each in named if each in member.communities]
            kind = attribute.removesuffix("s")
            held = f"{member.agency} belongs to the {kind} {' and '.join(shared)}, named in the audience"
            return held if shared else f"{member.agency} belongs to no {kind} under way that is named in the audience"
        case _:
            consented = any(each.agency == member.agency and each.holds(None, now_ms) for each in labels.consents)
            return f"the owner {'consented' if consented else 'has not consented'} to {member.agency}"


def _addressed(attribute: str, labels: Labels, member: Member) -> str:
    match attribute:
        case "audienceAgencies":
            return f"{member.agency} is {'' if member.agency in labels.audience_agencies else 'not '}named in the audience"
        case "audienceCountries":
            return f"{member.country} is {'' if member.country in labels.audience_countries else 'not '}named in the audience"
        case _:
            shared = [each for each in labels.audience_communities if each in member.communities]
            if shared:
                return f"{member.agency} belongs to {' and '.join(shared)}, named in the audience"
            return f"{member.agency} belongs to no community named in the audience"


def _part(attribute: str, situation: Situation) -> list[str]:
    role, country = _ROLE_OF[attribute], situation.member.country
    return [f"{country} is {role}"] if (country, role) in situation.labels.countries else []


def _either(names: list[str]) -> str:
    *most, last = dict.fromkeys(names)
    return f"{', '.join(most)} or {last}" if most else last
