"""Replicas that saw the same revisions, in any order and any number of times, end in the same state."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.families.lifecycles.history import Revision, SubjectHistory, status_at
from broker.families.lifecycles.machine import CLOCK
from broker.families.lifecycles.tables import JOINT, initial_of, machines_of

YEAR = 365 * 86_400_000
FAMILIES = ("licence", "licence", "alert", "seizure", "entity_watch", "rfi")


def history(random: Random) -> tuple[list[Revision], str]:
    """A life that the relay would have let pass, move by move from the tables, with dates at random; and where it ended."""
    family = random.choice(FAMILIES)
    machines = machines_of(family)
    states = initial_of(family).split(JOINT)
    found: list[Revision] = []
    number = 0
    for _ in range(random.randint(1, 12)):
        number += 1 if random.random() < 0.9 else random.randint(2, 4)
        names = [
            [move.name for move in machine.moves if state in move.sources and move.actor != CLOCK and move.name != "RECALL"]
            for machine, state in zip(machines, states, strict=True)
        ]
        recalled = bool(found) and random.random() < 0.05
        if not recalled and not all(names):
            break
        moves = ["RECALL"] * len(machines) if recalled else [random.choice(each) for each in names]
        rows = [machine.row(state, move) for machine, state, move in zip(machines, states, moves, strict=True)]
        states = [row.target for row in rows if row is not None]
        begins = None if recalled or random.random() < 0.2 else random.randrange(YEAR)
        ends = random.randrange(2 * YEAR) if random.random() < 0.3 else None
        found.append(
            Revision(
                number, "recall" if recalled else family, random.randbytes(8), JOINT.join(moves) if not recalled else "RECALL", begins, ends
            )
        )
        if recalled:
            break
    return found, JOINT.join(states)


def coming(random: Random, revisions: list[Revision]) -> list[Revision]:
    """Revisions as a replica gets them: in any order, some several times."""
    found = [*revisions, *random.choices(revisions, k=random.randint(0, len(revisions)))]
    random.shuffle(found)
    return found


def merged(random: Random, arriving: list[Revision]) -> SubjectHistory:
    """A replica of what arrives, one by one or by joining what two others have."""
    one, other = SubjectHistory(), SubjectHistory()
    for each in arriving:
        if random.random() < 0.5:
            one = one.merge(each)
        else:
            other = other.merge(each)
        if random.random() < 0.1:
            one = one.join(other)
    return one.join(other) if random.random() < 0.5 else other.join(one)


def shaken(random: Random, revisions: list[Revision]) -> SubjectHistory:
    """A replica that gets them in any order, some several times, one by one or by joining what two others have."""
    return merged(random, coming(random, revisions))


@dataclass
class Tally:
    """What replicas went through, and how often they did not agree."""

    histories: int = 0
    revisions: int = 0
    arrivals: int = 0
    duplicates: int = 0
    reorderings: int = 0
    replicas: int = 0
    compared: int = 0
    disagreements: int = 0
    ends: Counter[str] = field(default_factory=Counter[str])

    def arrive(self, random: Random, revisions: list[Revision]) -> SubjectHistory:
        """A replica of these, counted."""
        arriving = coming(random, revisions)
        self.replicas += 1
        self.arrivals += len(arriving)
        self.duplicates += len(arriving) - len(revisions)
        self.reorderings += sum(later.number < earlier.number for earlier, later in pairwise(arriving))
        return merged(random, arriving)

    def compare(self, *values: object) -> None:
        """Whether replicas say the same."""
        self.compared += 1
        self.disagreements += len(set(values)) != 1

    def live(self, random: Random) -> None:
        """One random life at three replicas that saw all of it and two that saw the same part; also after later times, and in order."""
        revisions, state = history(random)
        self.histories += 1
        self.revisions += len(revisions)
        self.ends[state] += 1
        replicas = [self.arrive(random, revisions) for _ in range(3)]
        part = random.sample(revisions, random.randint(1, len(revisions)))
        partial = [self.arrive(random, part) for _ in range(2)]
        self.compare(state, *(replica.state for replica in replicas))
        self.compare(*replicas)
        self.compare(*partial)
        for now in (0, random.randrange(YEAR), YEAR, 3 * YEAR):
            self.compare(*(status_at(replica, now) for replica in replicas))
            self.compare(*(status_at(replica, now) for replica in partial))
        newest = replicas[0].newest()
        self.compare(newest.number if newest else None, revisions[-1].number)


def random_lives(count: int) -> Tally:
    """So many random lives, from a fixed seed."""
    random, tally = Random(20261124), Tally()
    for _ in range(count):
        tally.live(random)
    return tally


@pytest.mark.parametrize("count", [pytest.param(400, id="short"), pytest.param(10_000, id="long", marks=pytest.mark.soak)])
def test_random_histories_end_the_same_everywhere(count: int) -> None:
    """Three replicas of each random life agree at every time and with the relay that saw it in order; those that saw only a part agree
    with each other. A revision that was seen never gives way to an older one."""
    tally = random_lives(count)
    assert tally.disagreements == 0
    assert tally.compared == 12 * count
    assert min(tally.duplicates, tally.reorderings) > count
    assert len(tally.ends) > 30


REVISIONS = st.builds(
    Revision,
    number=st.integers(1, 6),
    family=st.sampled_from(["licence", "licence", "licence", "recall"]),
    leaf=st.binary(min_size=1, max_size=2),
    move=st.sampled_from(["GRANT", "AMEND", "SUSPEND", "REINSTATE", "REVOKE", "DENY", "RENEW_DENIAL", "EXPIRE"]),
    holds_from=st.none() | st.integers(0, 100),
    holds_until=st.none() | st.integers(0, 100),
).map(lambda each: each if each.family == "licence" else Revision(each.number, "recall", each.leaf, "RECALL"))
HISTORIES = st.lists(REVISIONS, max_size=6).map(lambda seen: SubjectHistory().merge(*seen))


@given(HISTORIES, HISTORIES, HISTORIES)
def test_joining_is_a_semilattice(one: SubjectHistory, two: SubjectHistory, three: SubjectHistory) -> None:
    """Joining is associative, commutative and idempotent, whatever is joined, also what no honest exchange would deliver."""
    assert one.join(two).join(three) == one.join(two.join(three))
    assert one.join(two) == two.join(one)
    assert one.join(one) == one
    assert one.join(SubjectHistory()) == one


@given(st.lists(REVISIONS, min_size=1, max_size=8), st.randoms(use_true_random=False), st.integers(0, 120))
def test_any_set_in_any_order_gives_one_status(revisions: list[Revision], random: Random, now: int) -> None:
    """Also sets that contradict themselves: two messages of one revision, moves that no table allows, revisions after a recall."""
    replicas = [shaken(random, revisions) for _ in range(3)]
    assert len({(replica.state, status_at(replica, now)) for replica in replicas}) == 1
    if any(each.family == "recall" for each in revisions):
        assert replicas[0].state == "RECALLED"
        assert not status_at(replicas[0], now).standing


@given(st.lists(REVISIONS, min_size=2, max_size=8, unique_by=lambda each: each.number), st.integers(0, 120))
def test_learning_more_never_goes_back(revisions: list[Revision], now: int) -> None:
    """As revisions arrive one by one in any order, the one that counts only ever gets higher, but for a recall, after which it stays."""
    seen = SubjectHistory()
    passed: list[tuple[bool, int]] = []
    for each in revisions:
        seen = seen.merge(each)
        newest = seen.newest(now)
        if newest is not None:
            passed.append((newest.family == "recall", newest.number))
    assert all(before <= after for before, after in pairwise(passed))
