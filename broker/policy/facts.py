"""Dated facts that rules speak of: agreements between countries, operations and regimes with their members, assurances on file.

They are data of the bundle, signed by officers with its rules (:mod:`broker.policy.facts_file` has their form). A fact holds from its
first moment (inclusive) until its last (exclusive; without one: until it is changed). A rule never joins facts: what holds at a moment
becomes *membership* (an agency is in the agreements it is party to, in the communities of its operations and regimes) and *labels* of the
message (the agreements that its originator is party to and that cover it), so ``principal in resource.agreements`` asks whether both are
party to one agreement that covers this message now.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, TypeVar

from broker.policy.model import Labels, Member

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Span:
    """When something holds, in Unix milliseconds: from (inclusive) until (exclusive, None: open)."""

    from_ms: int
    until_ms: int | None = None

    def holds(self, now_ms: int) -> bool:
        """Whether it holds at this moment."""
        return self.from_ms <= now_ms and (self.until_ms is None or now_ms < self.until_ms)

    def within(self, other: Span) -> bool:
        """Whether the other one holds whenever this one does."""
        return self.from_ms >= other.from_ms and (other.until_ms is None or (self.until_ms is not None and self.until_ms <= other.until_ms))

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
        """Whether its scope holds the message: the family, each purpose, each HS chapter. What a message does not say is not covered."""
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
            _merged(self.assurances, other.assurances, lambda each: f"{each.agency} {each.agreement}"),
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


def _merged(old: Iterable[T], new: Iterable[T], key: Callable[[T], str]) -> tuple[T, ...]:
    found = {key(each): each for each in (*old, *new)}
    return tuple(found[name] for name in sorted(found))
