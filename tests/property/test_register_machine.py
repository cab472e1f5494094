"""The register is a function of the set of messages: order, duplicates, lost transactions and restarts change nothing."""

from __future__ import annotations

import random
import tempfile
from dataclasses import replace
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from broker.register.rows import Delivered
from broker.testing.sample_answers import SAMPLES, sample_recall_reply
from broker.testing.sample_reports import sample_fz_warning, sample_licit_movement, sample_seizure
from tests.support.deliveries import Kept
from tests.unit.register.scene import NOW, acknowledged, citing, decision, put, recalled, used, with_container, zone_event


@cache
def pool() -> tuple[Delivered, ...]:
    """Messages that have to do with each other in every way a rule looks at, in several revisions, some with sections withheld."""
    alert, other = citing(1), citing(2, owner="MY-CUSTOMS")
    messages = [
        decision("GRANT", 1), decision("SUSPEND", 2), decision("REINSTATE", 3), decision("REVOKE", 4),
        decision("REVOKE", 1, subject="FR-DGA/2026/L-0815"), decision("GRANT", 2, subject="FR-DGA/2026/L-0815", number="77"),
        alert, replace(citing(1, licence="77", authority="FR-DGA"), revision=2), recalled(alert.subject, 3), replace(alert, revision=4),
        other, replace(with_container(other, "MSKU9070323"), revision=2),
        used(1, 3), used(1, 5, revision=2), used(2, 2), used(2, 2, revision=2, cancelled=True), used(3, 1, line=9),
        sample_seizure(alert_id=alert.subject), replace(sample_seizure(alert_id=other.subject), revision=2),
        zone_event(8, "FZ_IN", day=-80), zone_event(9, "FZ_OUT", day=-10), replace(zone_event(9, "FZ_OUT", day=-60), revision=2),
        sample_fz_warning(), sample_licit_movement(), acknowledged(alert.subject),
        sample_recall_reply(target=alert.subject, target_revision=3),
    ]  # fmt: skip
    made = [put(message, at=NOW + 97 * number % 61, counter=number + 1) for number, message in enumerate(messages)]
    made += [
        put(message, at=NOW + 70, counter=number + 90, only=[])
        for number, message in enumerate((replace(other, revision=3), used(3, 1, revision=2)))
    ]
    made.append(put(replace(other, revision=2), at=NOW + 71, counter=95, withheld=["equipment", "parties"]))
    made.append(put(sample_seizure(alert_id=alert.subject), at=NOW + 3, counter=2, withheld=["method"]))
    return tuple(made)


def rows_of(deliveries: list[Delivered]) -> dict[str, list[tuple[Any, ...]]]:
    """The register of these, taken in this order."""
    kept = Kept()
    try:
        kept.take(*deliveries)
        return kept.rows()
    finally:
        kept.close()


numbers = st.integers(0, len(pool()) - 1)


@given(st.lists(numbers, max_size=40), st.randoms(use_true_random=False))
@settings(max_examples=150, deadline=None)
def test_any_order_and_any_duplicates(taken: list[int], chance: random.Random) -> None:
    """The same set, shuffled, with some of it twice, gives the same rows in every table, flags and age included."""
    once = sorted(set(taken))
    shuffled = [*once, *taken]
    chance.shuffle(shuffled)
    assert rows_of([pool()[number] for number in shuffled]) == rows_of([pool()[number] for number in once])


class Registers(NamedTuple):
    """Registers built from random deliveries: how many, of what, and how many that saw one set were not alike."""

    histories: int
    deliveries: int
    duplicates: int
    reorderings: int
    sets: int
    disagreements: int


def random_registers(count: int) -> Registers:
    """Histories of up to 60 deliveries from a fixed seed: each is built as it came and once more in the order of the pool."""
    chance, ends = random.Random(20260815), dict[frozenset[int], dict[str, list[tuple[Any, ...]]]]()
    deliveries = duplicates = reorderings = disagreements = 0
    for _ in range(count):
        taken = [chance.randrange(len(pool())) for _ in range(chance.randrange(60))]
        rows = rows_of([pool()[number] for number in taken])
        deliveries += len(taken)
        duplicates += len(taken) - len(set(taken))
        reorderings += sum(later < earlier for earlier, later in pairwise(taken))
        in_order = rows_of([pool()[number] for number in sorted(set(taken))])
        disagreements += ends.setdefault(frozenset(taken), rows) != rows or rows != in_order
    return Registers(count, deliveries, duplicates, reorderings, len(ends), disagreements)


@pytest.mark.parametrize("count", [pytest.param(100, id="short"), pytest.param(10_000, id="long", marks=pytest.mark.soak)])
def test_random_histories(count: int) -> None:
    """The same over random histories; every replica of a set ends in the same state."""
    found = random_registers(count)
    assert found.disagreements == 0
    assert min(found.duplicates, found.reorderings) > count


@pytest.mark.parametrize("family", sorted(SAMPLES))
def test_flags_come_from_what_is_there(family: str) -> None:
    """A message of any family among the others, erased again, leaves the flags that were there without it."""
    message = SAMPLES[family]()
    others = [each for each in pool() if each.subject != message.subject]
    without, erased = (
        rows_of(others),
        rows_of([put(message, counter=200), *others, put(replace(message, revision=9), only=[], counter=201)]),
    )
    assert erased["flag"] == without["flag"]
    assert erased["used"] == without["used"]
    assert erased["look"] == without["look"]


class RegisterMachine(RuleBasedStateMachine):
    """A register in a file, fed in batches, some of which are lost with their process."""

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory()
        self._path = Path(self._folder.name) / "register.sqlite"
        self._kept = Kept(self._path)
        self._committed: set[int] = set()

    @rule(batch=st.lists(numbers, min_size=1, max_size=6))
    def commit(self, batch: list[int]) -> None:
        """A batch in one transaction."""
        self._take(batch)
        self._kept.store.commit()
        self._committed |= set(batch)

    @rule(batch=st.lists(numbers, min_size=1, max_size=6))
    def die(self, batch: list[int]) -> None:
        """The process ends before the commit, and another one begins."""
        self._take(batch)
        self._kept.close()
        self._kept = Kept(self._path)

    @rule(batch=st.lists(numbers, min_size=1, max_size=6))
    def fail(self, batch: list[int]) -> None:
        """The batch is rolled back, and the same process goes on."""
        self._take(batch)
        self._kept.store.rollback()

    @precondition(lambda self: self._committed)
    @rule()
    def compare(self) -> None:
        """What was committed, in the order of the pool, gives the same."""
        assert self._kept.rows() == rows_of([pool()[number] for number in sorted(self._committed)])

    def _take(self, batch: list[int]) -> None:
        self._kept.store.begin()
        for number in batch:
            self._kept.store.register.take(pool()[number])

    def teardown(self) -> None:
        """Let go of the file."""
        if self._committed:
            self.compare()
        self._kept.close()
        self._folder.cleanup()


TestRegisterMachine = RegisterMachine.TestCase
TestRegisterMachine.settings = settings(max_examples=25, stateful_step_count=15, deadline=None)
