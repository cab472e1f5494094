"""The relay worker: reads outboxes, survives everything in them, and follows directory and policy while it runs."""

from __future__ import annotations

import asyncio
import hashlib
from itertools import count

import pytest

from broker.errors import RefusedError, UsageError
from broker.exchange.quarantine import KEPT_BYTES
from broker.exchange.topology import DAY_MS, STATE, TopicSpec
from broker.service.publisher import Publisher
from tests.support.eventually import eventually
from tests.support.officers import NO_PARTIES, change, shipped_files
from tests.support.standing import reinstate, suspend
from tests.unit.exchange.hostile import BAD
from tests.unit.service.world import Taker, World
from tests.unit.service.world import world as running


async def test_everything_bad_passes_through_a_running_relay(world: World) -> None:
    """All bad records at once, each followed by a good message of the same stream: every bad one lies in quarantine with its code and
    bytes and is answered, every good one is delivered, and the worker that did it still runs."""
    values: list[bytes | None] = []
    for number, bad in enumerate(BAD.values()):
        author = world.author(seed=number)
        values.append(bad.build(world, author, world.alert(2 * number + 100)))
        values.append(author.write(world.alert(2 * number + 101), now_ms=world.now).value)
    await world.put(*values)

    receipts = await world.answered(len(values))

    codes = [bad.code for bad in BAD.values()]
    assert [receipt.code for receipt in receipts[0::2]] == codes
    assert {receipt.outcome for receipt in receipts[1::2]} == {"ACCEPTED"}
    kept = world.quarantine()
    assert [item.code for item in kept] == codes
    for item, value in zip(kept, values[0::2], strict=True):
        assert item.value == (value or b"")[:KEPT_BYTES]
        assert item.digest == hashlib.sha256(value or b"").digest()
    taker = Taker()
    counts = await world.subscribe(taker)
    assert taker.seen == [(f"{2 * number + 101:06}", 1) for number in range(len(BAD))]
    assert (counts.refused, counts.gaps) == (0, 0)
    relay = world.exchange.relay
    assert relay is not None
    assert relay.serving == {0}
    assert relay.totals["accepted"] == len(BAD)


async def test_state_outlives_the_worker(world: World) -> None:
    """A worker that takes the shard later goes on where the last one stopped, and answers a duplicate with the same receipt."""
    author = world.author()
    first, second = (author.write(world.alert(number), now_ms=world.now).value for number in (1, 2))
    await world.put(first)
    (receipt,) = await world.answered(1)
    await world.exchange.stop_relay()
    await world.exchange.start_relay("relay-2")
    world.clock.advance(60_000)
    await world.put(first, second)
    receipts = await world.answered(3)
    assert receipts[1] == receipt
    assert [each.seq for each in receipts] == [1, 1, 2]
    assert len(world.inbox_values()) == 2


async def test_parked_messages_expire_with_the_clock_alone(world: World) -> None:
    """Nothing more needs to arrive: when 60 s are over, what waits for an earlier message is refused, then accepted on a re-send."""
    author = world.author()
    first, second = (author.write(world.alert(number), now_ms=world.now).value for number in (1, 2))
    await world.put(second)
    await eventually(lambda: bool(world.memory.records(STATE)))
    world.clock.advance(60_000)
    (expired,) = await world.answered(1)
    assert expired.code == "SEQUENCE_GAP"
    await world.put(first, second)
    assert [receipt.code for receipt in await world.answered(3)] == ["SEQUENCE_GAP", "", ""]


async def test_new_agency_is_served_without_restart(world: World) -> None:
    """An agency that joins while the relay runs is read and delivered to at once."""
    new = await world.exchange.join("TH-CUSTOMS", "customs", ["STCE-ASEAN"])
    await world.learn()
    receipt = await new.publish(world.alert(1, owner="TH-CUSTOMS"))
    assert receipt.outcome == "ACCEPTED"
    assert {each.agency for each in receipt.recipients} == {"AE-CUSTOMS", "MY-CUSTOMS", "SG-CUSTOMS"}
    assert len(await new.deliveries(1)) == 0
    await world.agency().publish(world.alert(2))
    assert [delivery.originator for delivery in await new.deliveries(5)] == ["SG-CUSTOMS"]


async def test_new_policy_is_taken_without_restart(world: World) -> None:
    """A bundle that two officers signed decides the next message, without a restart."""
    sg = world.agency()
    assert "parties" in (await sg.publish(world.alert(1))).recipients[1].sections
    await change(world.exchange.operator, shipped_files(stop=NO_PARTIES))

    numbers = count(100)

    async def taken() -> bool:
        return (await sg.publish(world.alert(next(numbers)))).policy_version == 2

    await eventually(taken)
    receipt = await sg.publish(world.alert(2))
    assert receipt.policy_version == 2
    assert all("parties" not in each.sections for each in receipt.recipients)
    (last,) = [delivery for delivery in await world.agency("MY-CUSTOMS").deliveries(50) if delivery.subject.endswith("/000002")]
    assert last.withheld == {"parties": "stop-parties"}


async def test_suspension_stops_publishing_and_deliveries_without_restart(world: World) -> None:
    """From the directory entry on, a suspended agency gets nothing and what it has sent is refused; reinstated, it goes on, and
    nobody has lost a message that was accepted."""
    sg, my = world.agency(), world.agency("MY-CUSTOMS")
    await my.publish(world.alert(1, owner="MY-CUSTOMS"))
    author = world.author("MY-CUSTOMS")
    numbers = count(100)

    async def reaches_it() -> bool:
        receipt = await sg.publish(world.alert(next(numbers)))
        return "MY-CUSTOMS" in [each.agency for each in receipt.recipients]

    async def reaches_it_not() -> bool:
        return not await reaches_it()

    await suspend(world.exchange.operator, "MY-CUSTOMS")
    await eventually(reaches_it_not)
    # It has no rights at Kafka any more; this record was in its outbox before they went.
    late = author.write(world.alert(3, owner="MY-CUSTOMS"), now_ms=world.now)
    await world.put(late.value, outbox="MY-CUSTOMS", owner=False)
    assert (await world.answered(2, "MY-CUSTOMS"))[1].code == "AGENCY_SUSPENDED"

    await reinstate(world.exchange.operator, "MY-CUSTOMS")
    await eventually(reaches_it)
    after = author.write(world.alert(4, owner="MY-CUSTOMS"), now_ms=world.now)
    await world.put(after.value, outbox="MY-CUSTOMS")
    assert (await world.answered(3, "MY-CUSTOMS"))[2].outcome == "ACCEPTED"


async def test_wrong_number_of_shards_is_refused() -> None:
    """A worker that finds another number of partitions than the directory's shards does not start: positions would be wrong."""
    async with running(shards=2) as world:
        await world.exchange.stop_relay()
        world.memory._logs[STATE].pop()  # pyright: ignore[reportPrivateUsage]
        worker = world.exchange.operator.relay(world.exchange.operator.transport("relay"), "relay-9")
        with pytest.raises(UsageError, match=r"exchange.state has 1 partitions, the directory says 2"):
            await worker.run()
        world.memory.specs[STATE] = TopicSpec(STATE, 1)


async def test_outbox_is_trimmed_a_week_behind(world: World) -> None:
    """Records of an outbox go seven days after the relay dealt with them, and never before."""
    sg = world.agency()
    for day in range(9):
        await sg.publish(world.alert(day + 1))
        world.clock.advance(DAY_MS)
    log = world.memory.log(("out.SG-CUSTOMS", 0))
    await eventually(lambda: log.start > 0)
    await sg.publish(world.alert(50))
    assert 1 <= log.start <= 3
    await world.exchange.stop_relay()
    await world.exchange.start_relay()
    assert (await sg.publish(world.alert(51))).outcome == "ACCEPTED"


async def test_two_workers_share_the_shards() -> None:
    """Shards are divided among workers; when one leaves, the other takes over, and every message is delivered once."""
    async with running(shards=4) as world:
        operator = world.exchange.operator
        second = operator.relay(operator.transport("relay"), "relay-2")
        running_second = asyncio.create_task(second.run())
        publishers: list[Publisher] = [await world.agency(name).publisher() for name in ("SG-CUSTOMS", "MY-CUSTOMS", "AE-CUSTOMS")]
        owners = ("SG-CUSTOMS", "MY-CUSTOMS", "AE-CUSTOMS")
        for turn in range(3):
            handles = [
                await publisher.publish(world.alert(turn * 10 + n, owner=owner))
                for publisher, owner in zip(publishers, owners, strict=True) for n in range(4)
            ]  # fmt: skip
            assert {(await handle.receipt(10)).outcome for handle in handles} == {"ACCEPTED"}
            if turn == 1:
                second.stop()
                await running_second
        taker = Taker()
        counts = await world.subscribe(taker, "MY-CUSTOMS")
        assert len(taker.taken) == 24
        assert (counts.gaps, counts.duplicates) == (0, 0)


async def test_relay_ends_when_it_cannot_follow_the_directory(world: World) -> None:
    """A relay that no longer hears of suspensions and revoked keys ends with the error instead of going on blindly."""
    relay = world.exchange.relay
    assert relay is not None
    granted = world.memory.grants.pop("relay")
    world.memory.grants["relay"] = frozenset(grant for grant in granted if grant.name != "exchange.policy")
    world.memory.ring()
    with pytest.raises(Exception, match=r"may not READ topic `exchange\.policy`"):
        await world.exchange._running  # pyright: ignore[reportPrivateUsage, reportGeneralTypeIssues]
    world.exchange.relay = None
    with pytest.raises(RefusedError):
        await world.agency().publish(world.alert(1, owner="MY-CUSTOMS"))
