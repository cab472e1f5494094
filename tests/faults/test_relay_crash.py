"""The relay's worker dies, hangs, or never learns what became of its commit: nothing is lost, doubled or reordered."""

from __future__ import annotations

import asyncio

import pytest

from broker.exchange.topology import STATE
from broker.service.relay import RelayWorker
from broker.testing.exchange import Attempt, Fault, Faults
from broker.testing.memory import MemoryTransport
from tests.faults.checks import check_inboxes, half_in_doubt
from tests.support.eventually import eventually
from tests.unit.service.world import World


def faulty_commit(number: int, fault: Fault) -> tuple[list[int], Faults]:
    """The list that counts the relay's commits, and a hook that spoils the one of this number, from 1."""
    commits: list[int] = []

    def faults(attempt: Attempt) -> Fault:
        if attempt.kind == "commit":
            commits.append(len(attempt.records))
            return fault if len(commits) == number else Fault.APPLY
        return Fault.APPLY

    return commits, faults


async def publish(world: World, names: list[tuple[int, int]]) -> list[tuple[str, int]]:
    """Publish (number, revision) one after the other, and wait for all answers."""
    publisher = await world.agency().publisher()
    handles = [await publisher.publish(world.alert(number, revision=revision)) for number, revision in names]
    receipts = [await handle.receipt(10) for handle in handles]
    assert {receipt.outcome for receipt in receipts} == {"ACCEPTED"}
    assert [receipt.seq for receipt in receipts] == list(range(1, len(names) + 1))
    return [(handle.subject, handle.revision) for handle in handles]


async def other_worker(world: World, member: str = "relay-0") -> tuple[RelayWorker, asyncio.Task[None]]:
    """A second worker, whose name makes the shard its own."""
    operator = world.exchange.operator
    worker = operator.relay(operator.transport("relay"), member)
    return worker, asyncio.create_task(worker.run())


@pytest.mark.parametrize("number", [1, 2, 3])
@pytest.mark.parametrize("fault", [Fault.LOSE, Fault.KEEP])
async def test_commit_with_unknown_end(world: World, fault: Fault, number: int) -> None:
    """A commit that was lost is done again; one that was kept without an answer is found in the state and not done again."""
    commits, faults = faulty_commit(number, fault)
    world.memory.faults = faults
    expected = await publish(world, [(1, 1), (2, 1), (1, 2)])
    publisher = await world.agency().publisher()
    for revision in (3, 4, 5):
        handle = await publisher.publish(world.alert(1, revision=revision))
        assert (await handle.receipt(10)).outcome == "ACCEPTED"
        expected.append((handle.subject, revision))
    assert len(commits) > number
    check_inboxes(world, expected)


async def test_every_commit_in_turn(world: World) -> None:
    """Half of all commits end in doubt, in every order: the outcome is the same as without any."""
    fates = half_in_doubt(world)
    expected: list[tuple[str, int]] = []
    publisher = await world.agency().publisher()
    for revision in range(1, 13):
        handle = await publisher.publish(world.alert(revision % 3, revision=revision))
        assert (await handle.receipt(20)).outcome == "ACCEPTED"
        expected.append((handle.subject, revision))
    assert {Fault.LOSE, Fault.KEEP} <= set(fates)
    check_inboxes(world, expected)


async def test_hanging_worker_is_fenced_by_the_next_holder(world: World) -> None:
    """A worker hangs in its commit; another takes the shard, which fences it. The open transaction comes to nothing, readers are no
    longer stuck, the new holder does the work once, and the old one does no more."""
    old = world.exchange.relay
    assert old is not None
    commits, faults = faulty_commit(1, Fault.HANG)
    world.memory.faults = faults
    publisher = await world.agency().publisher()
    handle = await publisher.publish(world.alert(1))
    await eventually(lambda: len(commits) == 1)
    await asyncio.sleep(0.05)
    assert world.inbox_values("MY-CUSTOMS") == []
    new, running = await other_worker(world)
    assert (await handle.receipt(10)).outcome == "ACCEPTED"
    second = await publisher.publish(world.alert(1, revision=2))
    assert (await second.receipt(10)).outcome == "ACCEPTED"
    check_inboxes(world, [(handle.subject, 1), (handle.subject, 2)])
    await eventually(lambda: (old.serving, new.serving) == (set(), {0}))
    assert old.totals.get("accepted", 0) == 0
    assert new.totals["accepted"] == 2
    new.stop()
    await running
    third = await publisher.publish(world.alert(1, revision=3))
    assert (await third.receipt(10)).outcome == "ACCEPTED"
    assert old.totals["accepted"] == 1


async def test_worker_that_was_not_told_is_fenced(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker stands still in its commit and never hears that its shard was given away: only the ledger's name stops it. What it had
    open comes to nothing as soon as the next holder opens the ledger, so that no reader waits for it."""
    old = world.exchange.relay
    assert old is not None
    commits, faults = faulty_commit(1, Fault.HANG)
    world.memory.faults = faults
    asleep: object = world.memory._members["relay-1"]  # pyright: ignore[reportPrivateUsage]
    told = world.memory.shards_of

    def untold(member: str, holder: object) -> frozenset[int]:
        return frozenset({0}) if holder is asleep else told(member, holder)

    monkeypatch.setattr(world.memory, "shards_of", untold)
    publisher = await world.agency().publisher()
    handle = await publisher.publish(world.alert(1))
    await eventually(lambda: len(commits) == 1)
    new, running = await other_worker(world)
    assert (await handle.receipt(10)).outcome == "ACCEPTED"
    await eventually(lambda: (old.serving, new.serving) == (set(), {0}))
    assert (old.totals.get("accepted", 0), new.totals["accepted"]) == (0, 1)
    check_inboxes(world, [(handle.subject, 1)])
    new.stop()
    await running


async def test_zombie_commits_nothing(world: World) -> None:
    """Somebody else opened the shard's ledger behind the worker's back: its next commit is refused, it discards what it knew, takes
    the shard again from the state topic, and nothing is doubled."""
    first = await publish(world, [(1, 1)])
    intruder = await MemoryTransport(world.memory, "relay").ledger("relay-0")
    publisher = await world.agency().publisher()
    handle = await publisher.publish(world.alert(1, revision=2))
    assert (await handle.receipt(10)).outcome == "ACCEPTED"
    await intruder.close()
    check_inboxes(world, [*first, (handle.subject, 2)])


async def test_worker_killed_without_a_word(world: World) -> None:
    """A worker process vanishes in the middle of a commit that Kafka completes; the next one reads that from the state."""
    commits, faults = faulty_commit(2, Fault.KEEP)
    world.memory.faults = faults
    first = await publish(world, [(1, 1)])
    publisher = await world.agency().publisher()
    handle = await publisher.publish(world.alert(1, revision=2))
    await eventually(lambda: len(commits) >= 2)
    running = world.exchange._running  # pyright: ignore[reportPrivateUsage]
    assert running is not None
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await world.exchange.start_relay("relay-2")
    assert (await handle.receipt(10)).outcome == "ACCEPTED"
    check_inboxes(world, [*first, (handle.subject, 2)])


async def test_state_topic_may_be_compacted_at_any_time(world: World) -> None:
    """A worker that takes the shard from a compacted state topic goes on exactly as from the whole one."""
    expected = await publish(world, [(1, 1), (2, 1), (1, 2), (2, 2)])
    await world.exchange.stop_relay()
    world.memory.compact(STATE)
    await world.exchange.start_relay()
    publisher = await world.agency().publisher()
    handle = await publisher.publish(world.alert(1, revision=3))
    assert (await handle.receipt(10)).outcome == "ACCEPTED"
    check_inboxes(world, [*expected, (handle.subject, 3)])
