"""What is true of a subject, from whichever of its revisions a replica has seen, in whatever order and however often.

The revisions seen are a set, merging is union (associative, commutative, idempotent: a join-semilattice), and the state is a
function of the set alone. So replicas that saw the same end the same, and a late revision never overwrites a newer one: a grant of
lower revision cannot take back a revocation (domain dictionary 4, licence). The relay keeps order and refuses illegal moves; here
nothing is refused, since a replica may lack revisions that it was not entitled to or that compaction took.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from broker.families.clocks.dates import years_later
from broker.families.heading import Heading
from broker.families.lifecycles.licence import DENIAL_YEARS, DENIALS
from broker.families.lifecycles.tables import JOINT, RECALL_FAMILY, initial_of, machines_of, move_of
from broker.families.rules import instant_ms


@dataclass(frozen=True, slots=True)
class Revision:
    """One revision as far as its subject's state depends on it. Times are Unix ms UTC.

    ``holds_from`` None: since ever (an annulment, and what names no time). ``holds_until``: what it says ends then by itself.
    """

    number: int
    family: str
    leaf: bytes
    move: str
    holds_from: int | None = None
    holds_until: int | None = None


def revision_of(header: Heading, core: Mapping[str, Any], leaf: bytes) -> Revision:
    """A message's revision. ``core`` may be empty for a recall, which carries none of its subject's sections."""
    move = move_of(header.family, core, revision=header.revision)
    if header.family != "licence":
        return Revision(header.revision, header.family, leaf, move, header.valid_from, header.valid_until)
    begins: int | None = None if core.get("retroactive") is True else instant_ms(core.get("effective_at"))
    ends = instant_ms(core.get("expires_at"))
    if move in ("DENY", "RENEW_DENIAL", "AMEND_DENIAL"):
        effective = instant_ms(core.get("effective_at"))
        latest = years_later(effective, DENIAL_YEARS) if effective is not None else None
        ends = min((each for each in (ends, latest) if each is not None), default=None)
    return Revision(header.revision, header.family, leaf, move, begins, ends)


@dataclass(frozen=True, slots=True)
class Standing:
    """How a subject stands: the state, since which revision, and whether what was said holds (a licence may be used)."""

    state: str
    revision: int
    standing: bool


@dataclass(frozen=True, slots=True)
class SubjectHistory:
    """The set of revisions of one subject that a replica has seen."""

    seen: frozenset[Revision] = frozenset()

    def merge(self, *revisions: Revision) -> SubjectHistory:
        """With these revisions as well."""
        return replace(self, seen=self.seen.union(revisions))

    def join(self, other: SubjectHistory) -> SubjectHistory:
        """All that either replica has seen."""
        return replace(self, seen=self.seen | other.seen)

    @property
    def family(self) -> str:
        """The subject's family; ``recall`` while nothing but its recall was seen."""
        named = ((each.number, each.family) for each in self.seen if each.family != RECALL_FAMILY)
        return max(named, default=(0, RECALL_FAMILY))[1]

    @property
    def disputed(self) -> bool:
        """Whether two messages claim one revision: the relay lets none pass, so it is evidence against somebody."""
        return len({each.number for each in self.seen}) < len({each.leaf for each in self.seen})

    @property
    def state(self) -> str:
        """The publication's state after the newest revision, whenever that takes effect; a recall ends it, whatever else was seen."""
        family = self.family
        machines = machines_of(family)
        if any(each.family == RECALL_FAMILY for each in self.seen):
            return JOINT.join("RECALLED" for _ in machines)
        states = [machine.initial for machine in machines]
        for each in sorted((each for each in self.seen if each.family == family), key=self._order):
            states = [
                machine.settle(state, move) if move in machine.move_names else state
                for machine, state, move in zip(machines, states, each.move.split(JOINT), strict=True)
            ]
        return JOINT.join(states)

    @staticmethod
    def _order(each: Revision) -> tuple[int, bool, bytes, str, int, int]:
        """By revision. Of two that claim the same one, the one after which less is allowed comes last; then by leaf. The rest
        makes the order total: a leaf names one message."""
        machines, moves = machines_of(each.family), each.move.split(JOINT)
        stands = all(
            move in machine.move_names and machine.lands(move) in machine.standing
            for machine, move in zip(machines, moves, strict=True)
        )  # fmt: skip
        return each.number, not stands, each.leaf, each.move, each.holds_from or 0, each.holds_until or 0

    def newest(self, now_ms: int | None = None) -> Revision | None:
        """The revision that counts: the highest, or the highest in effect at a time."""
        found = [each for each in self.seen if now_ms is None or each.holds_from is None or each.holds_from <= now_ms]
        recalls = [each for each in found if each.family == RECALL_FAMILY]
        return max(recalls or found, key=self._order, default=None)


def status_at(history: SubjectHistory, now_ms: int) -> Standing:
    """How a subject stands at a time (Unix ms UTC), as far as this replica knows.

    The issuer's revisions order its decisions. ``effective_at`` only says from when one holds, may be past or to come, and never
    puts an older decision before a newer one: a decision is overtaken as soon as a higher revision is in effect. What ends by
    itself (a licence, a denial at three years, an alert past its validity) has ended here without a message that says so.
    """
    current = history.newest(now_ms)
    if current is None:
        return Standing(initial_of(history.family), 0, standing=False)
    state = SubjectHistory(frozenset(each for each in history.seen if _counts(each, current, now_ms))).state
    machines = machines_of(history.family)
    stands = all(part in machine.standing for machine, part in zip(machines, state.split(JOINT), strict=True))
    if current.holds_until is not None and current.holds_until <= now_ms:
        if state in DENIALS:
            return Standing("DENIAL_LAPSED", current.number, standing=False)
        if stands or state == "SUSPENDED":
            return Standing(_ended(history.family), current.number, standing=False)
    return Standing(state, current.number, stands)


def _counts(each: Revision, current: Revision, now_ms: int) -> bool:
    """Whether a revision was in effect on the way to the current one."""
    return each == current or (each.number <= current.number and (each.holds_from is None or each.holds_from <= now_ms))


def _ended(family: str) -> str:
    """The state in which a publication ends by itself."""
    for machine in machines_of(family):
        for name in ("EXPIRE", "FALL_DUE"):
            if name in machine.move_names:
                return machine.lands(name)
    return initial_of(family)
