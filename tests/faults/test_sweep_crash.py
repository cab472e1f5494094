"""The relay's worker dies at any commit of a sweep: whoever joined late gets each subject once, and nothing older after anything newer."""

from __future__ import annotations

import pytest

from broker.exchange import catch_up
from broker.exchange.receive import Received, receive
from broker.exchange.topology import CURRENT
from broker.service import current
from broker.testing.exchange import Attempt, Fault, Faults
from tests.faults.checks import half_in_doubt
from tests.unit.service.test_latecomers import COMMUNITY, NEWCOMER, send, settled
from tests.unit.service.world import World

SUBJECTS = range(1, 13)


@pytest.fixture(autouse=True)
def _small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three subjects a batch: a sweep of a dozen has five commits."""
    monkeypatch.setattr(catch_up, "LOOKS", 3)
    monkeypatch.setattr(current, "MAX_RECORDS", 5)


def spoiled(world: World, number: int, fault: Fault) -> list[int]:
    """The numbers of the commits of a sweep so far; the one of this number, from 1, is spoiled. Commits before it are not counted."""
    seen: list[int] = []
    begun = False

    def faults(attempt: Attempt) -> Fault:
        nonlocal begun
        if attempt.kind != "commit":
            return Fault.APPLY
        begun = begun or any(record.topic == CURRENT and (record.key or b"").startswith(b"-/") for record in attempt.records)
        if begun:
            seen.append(len(attempt.records))
        return fault if len(seen) == number else Fault.APPLY

    chosen: Faults = faults
    world.memory.faults = chosen
    return seen


def check_newcomer(world: World, expected: dict[str, int]) -> None:
    """Its inbox holds each subject's revisions in order, none twice, the last being the expected, in one unbroken chain."""
    found: list[Received] = []
    for value in world.inbox_values(NEWCOMER):
        received = receive(value, world.rules, recipient=NEWCOMER)
        assert isinstance(received, Received), received
        found.append(received)
    names = [(each.header.subject, each.header.revision) for each in found]
    assert len(names) == len(set(names))
    for subject in {subject for subject, _ in names}:
        revisions = [revision for name, revision in names if name == subject]
        assert revisions == sorted(revisions)
    assert {subject: max(revision for name, revision in names if name == subject) for subject, _ in names} == expected
    before: bytes | None = None
    for number, each in enumerate(found, 1):
        assert (each.slip.counter, each.slip.prev) == (number, before)
        before = each.leaf


def subjects(revisions: dict[int, int] | None = None) -> dict[str, int]:
    """Each subject with the revision that is its last."""
    return {f"SG-CUSTOMS/2026/{number:06}": (revisions or {}).get(number, 1) for number in SUBJECTS}


@pytest.mark.parametrize("number", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("fault", [Fault.LOSE, Fault.KEEP])
async def test_killed_at_a_commit_of_the_sweep(world: World, fault: Fault, number: int) -> None:
    """A commit of the sweep is lost, or kept without an answer: the shard is taken again, and the sweep goes on from its row."""
    await send(world, *SUBJECTS)
    commits = spoiled(world, number, fault)
    await world.exchange.join(NEWCOMER, "customs", [COMMUNITY])
    await settled(world)
    assert len(commits) >= number
    check_newcomer(world, subjects())
    told = [receipt for receipt in world.receipts() if [each.agency for each in receipt.recipients] == [NEWCOMER]]
    assert sorted(receipt.subject or "" for receipt in told) == sorted(subjects())


async def test_half_of_all_commits_in_doubt_under_traffic(world: World) -> None:
    """Half of all commits end in doubt while a newcomer is served and revisions are published: the newcomer has each subject's last
    revision in the end, none twice, none after a newer one."""
    await send(world, *SUBJECTS)
    fates = half_in_doubt(world)
    await world.exchange.join(NEWCOMER, "customs", [COMMUNITY])
    for number in (12, 3, 7, 1, 5, 9):
        await send(world, number, revision=2)
    await settled(world)
    assert {Fault.LOSE, Fault.KEEP} <= set(fates)
    check_newcomer(world, subjects(dict.fromkeys((12, 3, 7, 1, 5, 9), 2)))
