"""Dated facts that rules speak of: agreements between countries, operations and regimes with their members, assurances on file.

They are data of the bundle, signed by officers with its rules, in a file ``entities.json``::

    {"agreements": [{"id": "CMAA:TH-SG", "title", "basis", "from", "until",
                     "countries": ["SG", "TH"], "agencies": [...], "communities": [...],    who is party to it
                     "kinds": ["customs"],                    agencies of which kinds act under it; without: of every kind
                     "families": [...], "purposes": [...], "chapters": [...],    what it covers; without: everything
                     "personal": true,                        whether it covers data about persons and firms
                     "assurance": false}],                    whether an agency needs an assurance on file to be party
     "assurances": [{"agency", "agreement", "basis", "from", "until"}],
     "operations": [{"id", "title", "basis", "from", "until", "members": {agency: {"from", "until"}}}],
     "regimes":    [{the same}]}

A fact holds from ``from`` (inclusive) until ``until`` (exclusive; without it: until it is changed). A rule never joins facts: what
holds at a moment becomes *membership* (an agency is in the agreements it is party to, in the communities of its operations and regimes)
and *labels* of the message (the agreements that its originator is party to and that cover it), so ``principal in resource.agreements``
asks whether both are party to one agreement that covers this message now.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar, cast

from broker import ids
from broker.errors import UsageError
from broker.policy.model import Labels, Member

FACTS_FILE: Final = "entities.json"
FACT_LIMIT: Final = 2000
"""Most facts of one kind."""
_ID: Final = re.compile(r"[A-Z0-9][A-Za-z0-9:_.-]{1,63}")
_COUNTRY: Final = re.compile(r"[A-Z]{2}")
_WORD: Final = re.compile(r"[a-z_]{2,30}|[A-Z_]{2,30}")
_CHAPTER: Final = re.compile(r"[0-9]{2}")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_ADVICE: Final = "see docs/policy.md, Agreements and other dated facts"
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Span:
    """When something holds, in Unix milliseconds: from (inclusive) until (exclusive, None: open)."""

    from_ms: int
    until_ms: int | None = None

    def holds(self, now_ms: int) -> bool:
        """Whether it holds at this moment."""
        return self.from_ms <= now_ms and (self.until_ms is None or now_ms < self.until_ms)

    @property
    def dates(self) -> tuple[int, ...]:
        """The moments at which it begins and ends to hold."""
        return (self.from_ms,) if self.until_ms is None else (self.from_ms, self.until_ms)


@dataclass(frozen=True, slots=True)
class Agreement:
    """An agreement. Empty ``kinds``, ``families``, ``purposes``, ``chapters`` do not limit it; nobody is party to one without parties."""

    id: str
    title: str
    basis: str
    span: Span
    countries: frozenset[str] = frozenset()
    agencies: frozenset[str] = frozenset()
    communities: frozenset[str] = frozenset()
    kinds: frozenset[str] = frozenset()
    families: frozenset[str] = frozenset()
    purposes: frozenset[str] = frozenset()
    chapters: frozenset[str] = frozenset()
    personal: bool = False
    assurance: bool = False

    def names(self, member: Member) -> bool:
        """Whether the member is a party by its country, id or community, and of a kind that acts under it."""
        party = member.country in self.countries or member.agency in self.agencies or not self.communities.isdisjoint(member.communities)
        return party and (not self.kinds or member.kind in self.kinds)

    def covers(self, labels: Labels) -> bool:
        """Whether its scope is that of the message: the family, each purpose, each HS chapter. What a message does not say is not covered."""
        return (
            (not self.families or labels.family in self.families)
            and (not self.purposes or (bool(labels.purposes) and self.purposes.issuperset(labels.purposes)))
            and (not self.chapters or (bool(labels.hs_chapters) and self.chapters.issuperset(labels.hs_chapters)))
        )


@dataclass(frozen=True, slots=True)
class Assurance:
    """An agency's assurance under an agreement: confidentiality and use for enforcement only (19 USC 1628)."""

    agency: str
    agreement: str
    basis: str
    span: Span


@dataclass(frozen=True, slots=True)
class Circle:
    """An operation or a regime: a community whose members come and go at dates."""

    id: str
    title: str
    basis: str
    span: Span
    members: Mapping[str, Span] = field(default_factory=dict[str, Span], hash=False)

    def holds(self, agency: str, now_ms: int) -> bool:
        """Whether the agency is a member at this moment."""
        own = self.members.get(agency)
        return own is not None and own.holds(now_ms) and self.span.holds(now_ms)


@dataclass(frozen=True, slots=True)
class Facts:
    """All dated facts, each kind in order of id."""

    agreements: tuple[Agreement, ...] = ()
    assurances: tuple[Assurance, ...] = ()
    operations: tuple[Circle, ...] = ()
    regimes: tuple[Circle, ...] = ()

    @property
    def dates(self) -> frozenset[int]:
        """Every moment at which anything begins or ends to hold."""
        spans = [each.span for each in (*self.agreements, *self.assurances, *self.circles)]
        spans += [span for each in self.circles for span in each.members.values()]
        return frozenset(date for span in spans for date in span.dates)

    @property
    def circles(self) -> tuple[Circle, ...]:
        """Operations and regimes."""
        return (*self.operations, *self.regimes)

    def joined(self, other: Facts) -> Facts:
        """These facts and others, for example confidential operations. What has the same id is taken from ``other``."""
        return Facts(
            _merged(self.agreements, other.agreements, lambda each: each.id),
            _merged(self.assurances, other.assurances, lambda each: (each.agency, each.agreement)),
            _merged(self.operations, other.operations, lambda each: each.id),
            _merged(self.regimes, other.regimes, lambda each: each.id),
        )

    def standing(self, member: Member, now_ms: int) -> Member:
        """The member with the communities and agreements that these facts put it in at this moment."""
        circles = [each.id for each in self.circles if each.holds(member.agency, now_ms)]
        if circles:
            member = replace(member, communities=tuple(dict.fromkeys((*member.communities, *circles))))
        agreements = [each.id for each in self.agreements if each.span.holds(now_ms) and self._party(each, member, now_ms)]
        return replace(member, agreements=tuple(agreements)) if agreements else member

    def _party(self, agreement: Agreement, member: Member, now_ms: int) -> bool:
        if not agreement.names(member):
            return False
        return not agreement.assurance or any(
            (each.agency, each.agreement) == (member.agency, agreement.id) and each.span.holds(now_ms) for each in self.assurances
        )

    def covering(self, labels: Labels, originator: Member | None, *, personal: bool = False) -> tuple[str, ...]:
        """The ids of the agreements that the originator is party to (as it stands now) and that cover the message."""
        party = frozenset(originator.agreements) if originator else frozenset[str]()
        return tuple(
            each.id for each in self.agreements if each.id in party and (each.personal or not personal) and each.covers(labels)
        )  # fmt: skip


NO_FACTS: Final = Facts()


def read_facts(text: str) -> Facts:
    """Read ``entities.json``. Raises UsageError naming the fact and what is wrong with it."""
    if not text.strip():
        return NO_FACTS
    try:
        content: Any = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{FACTS_FILE} is no JSON: {error}", advice=_ADVICE) from error
    values = _object(content, FACTS_FILE, ("agreements", "assurances", "operations", "regimes"))
    agreements = [_agreement(each) for each in _list(values, "agreements")]
    assurances = [_assurance(each) for each in _list(values, "assurances")]
    operations = [_circle(each, "operation") for each in _list(values, "operations")]
    regimes = [_circle(each, "regime") for each in _list(values, "regimes")]
    for names in ([each.id for each in agreements], [each.id for each in (*operations, *regimes)]):
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise UsageError(f"{FACTS_FILE}: `{twice[0]}` is there twice", advice="give each fact an id of its own")
    known = {each.id for each in agreements}
    for each in assurances:
        if each.agreement not in known:
            raise UsageError(f"{FACTS_FILE}: {each.agency} gives an assurance under `{each.agreement}`, which is not among the agreements")
    found = Facts(tuple(agreements), tuple(assurances), tuple(operations), tuple(regimes))
    return NO_FACTS.joined(found)


def _merged(old: Iterable[T], new: Iterable[T], key: Any) -> tuple[T, ...]:
    found = {key(each): each for each in (*old, *new)}
    return tuple(found[name] for name in sorted(found))


def _agreement(value: Any) -> Agreement:
    limits = ("countries", "agencies", "communities", "kinds", "families", "purposes", "chapters")
    values = _object(value, "an agreement", ("id", "title", "basis", "from", "until", *limits, "personal", "assurance"))
    name, title, basis = _named(values, "agreement")
    found = Agreement(
        name, title, basis, _span(values, name),
        _names(values, "countries", name, _COUNTRY), frozenset(ids.agency_id(each) for each in _texts(values, "agencies", name)),
        frozenset(ids.community_id(each) for each in _texts(values, "communities", name)),
        frozenset(ids.kind(each) for each in _texts(values, "kinds", name)),
        _names(values, "families", name, _WORD), _names(values, "purposes", name, _WORD), _names(values, "chapters", name, _CHAPTER),
        _flag(values, "personal", name), _flag(values, "assurance", name),
    )  # fmt: skip
    if not (found.countries or found.agencies or found.communities):
        raise UsageError(f"{FACTS_FILE}: nobody is party to `{name}`", advice="name countries, agencies or communities")
    return found


def _assurance(value: Any) -> Assurance:
    values = _object(value, "an assurance", ("agency", "agreement", "basis", "from", "until"))
    agency = ids.agency_id(str(values.get("agency", "")))
    return Assurance(agency, str(values.get("agreement", "")), _text(values, "basis", agency), _span(values, agency))


def _circle(value: Any, kind: str) -> Circle:
    values = _object(value, f"an {kind}", ("id", "title", "basis", "from", "until", "members"))
    name, title, basis = _named(values, kind)
    ids.community_id(name)
    members: dict[str, Span] = {}
    for agency, own in _object(values.get("members"), name, None).items():
        members[ids.agency_id(agency)] = _span(_object(own, agency, ("from", "until")), f"{name}, {agency}", since=0)
    return Circle(name, title, basis, _span(values, name), dict(sorted(members.items())))


def _named(values: Mapping[str, Any], kind: str) -> tuple[str, str, str]:
    name = values.get("id")
    if not isinstance(name, str) or not _ID.fullmatch(name):
        shown = ascii(name)[:70]
        advice = "use 2 to 64 ASCII letters, digits and : _ . -: CMAA:TH-SG"
        raise UsageError(f"{FACTS_FILE}: {shown} is no id of an {kind}", advice=advice)
    return name, _text(values, "title", name), _text(values, "basis", name)


def _object(value: Any, where: str, known: tuple[str, ...] | None) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise UsageError(f"{FACTS_FILE}: {where} is no object", advice=_ADVICE)
    values = cast("dict[str, Any]", value)
    if known is not None and (odd := sorted(values.keys() - set(known))):
        raise UsageError(f"{FACTS_FILE}: {where} has `{ascii(odd[0])[1:40]}`", advice=f"use {', '.join(known)}")
    return values


def _list(values: Mapping[str, Any], name: str) -> list[Any]:
    found = values.get(name, [])
    if not isinstance(found, list) or len(cast("list[Any]", found)) > FACT_LIMIT:
        raise UsageError(f"{FACTS_FILE}: `{name}` is no list of at most {FACT_LIMIT:,}", advice=_ADVICE)
    return cast("list[Any]", found)


def _text(values: Mapping[str, Any], name: str, where: str) -> str:
    found = values.get(name)
    if not isinstance(found, str) or not found.strip():
        raise UsageError(f"{FACTS_FILE}: {where} has no `{name}`", advice="say in a sentence what it is, and the clause that it comes from")
    return found.strip()


def _texts(values: Mapping[str, Any], name: str, where: str) -> list[str]:
    found = values.get(name, [])
    if not isinstance(found, list) or not all(isinstance(each, str) for each in cast("list[Any]", found)):
        raise UsageError(f"{FACTS_FILE}: `{name}` of {where} is no list of texts", advice=_ADVICE)
    return cast("list[str]", found)


def _names(values: Mapping[str, Any], name: str, where: str, form: re.Pattern[str]) -> frozenset[str]:
    found = _texts(values, name, where)
    for each in found:
        if not form.fullmatch(each):
            raise UsageError(f"{FACTS_FILE}: `{ascii(each)[1:40]}` is none of the {name} that {where} could name", advice=_ADVICE)
    return frozenset(found)


def _flag(values: Mapping[str, Any], name: str, where: str) -> bool:
    found = values.get(name, False)
    if not isinstance(found, bool):
        raise UsageError(f"{FACTS_FILE}: `{name}` of {where} is neither true nor false", advice=_ADVICE)
    return found


def _span(values: Mapping[str, Any], where: str, since: int | None = None) -> Span:
    begins = since if values.get("from") is None else _date(values["from"], where)
    if begins is None:
        raise UsageError(f"{FACTS_FILE}: {where} has no `from`", advice="say from when it holds: 2026-01-01T00:00:00Z")
    ends = None if values.get("until") is None else _date(values["until"], where)
    if ends is not None and ends <= begins:
        raise UsageError(f"{FACTS_FILE}: {where} ends before it begins", advice="`until` is the moment from which it does not hold any more")
    return Span(begins, ends)


def _date(value: Any, where: str) -> int:
    try:
        found = datetime.fromisoformat(value)
    except (ValueError, TypeError) as error:
        raise UsageError(f"{FACTS_FILE}: `{ascii(value)[1:40]}` of {where} is no date", advice="write 2026-01-01T00:00:00Z") from error
    if found.tzinfo is None:
        raise UsageError(f"{FACTS_FILE}: `{value}` of {where} has no time zone", advice="write 2026-01-01T00:00:00Z: UTC")
    return (found - _EPOCH) // timedelta(milliseconds=1)
