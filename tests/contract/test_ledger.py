"""What every ledger promises: all or nothing, one holder at a time, and an end that a reader reaches. In memory and on Kafka."""

from __future__ import annotations

import uuid

import pytest

from broker.errors import Fenced, UsageError
from broker.exchange.topology import KAFKA_LIMIT
from tests.contract.worlds import World, nothing, out, read, read_to_end, send_all


def name() -> str:
    """A ledger's name that no other test uses."""
    return f"relay-{uuid.uuid4().hex}"


async def test_a_commit_is_visible_in_all_its_topics(world: World) -> None:
    """What one commit wrote to several topics and partitions is read from each of them, in order."""
    first, second = await world.topic(), await world.topic(partitions=2)
    transport = world.operator()
    ledger = await transport.ledger(name())
    for turn in range(3):
        await ledger.commit([out(first, b"%d" % (10 * turn + number)) for number in range(10)] + [out(second, b"%d" % turn, partition=1)])
    inlet = await transport.inlet()
    await inlet.assign({(first, 0): "beginning", (second, 0): "beginning", (second, 1): "beginning"})
    records = await read(inlet, 33)
    assert [record.value for record in records if record.topic == first] == [b"%d" % number for number in range(30)]
    assert [(record.partition, record.value) for record in records if record.topic == second] == [(1, b"%d" % turn) for turn in range(3)]


async def test_nothing_of_a_commit_is_visible_before_it_is_done(world: World) -> None:
    """Written but not committed: neither topic shows it, and what others write behind it waits too; then all is there."""
    first, second = await world.topic(), await world.topic()
    transport = world.operator()
    pending = await world.pend(name(), [out(first, b"a"), out(second, b"b")])
    await send_all(transport, [out(first, b"behind")])
    inlet = await transport.inlet()
    await inlet.assign({(first, 0): "beginning", (second, 0): "beginning"})
    assert set((await inlet.ends()).values()) == {0}
    await nothing(inlet)
    await pending.go_on()
    records = await read(inlet, 3)
    assert [record.value for record in records if record.topic == first] == [b"a", b"behind"]
    assert [record.value for record in records if record.topic == second] == [b"b"]
    await pending.close()


async def test_an_idle_ledger_is_fenced_by_the_next_of_its_name(world: World) -> None:
    """The earlier holder's next commit is refused, as often as it tries; the later one works, and one of another name too."""
    topic = await world.topic()
    transport = world.operator()
    shard, other = name(), name()
    earlier = await transport.ledger(shard)
    await earlier.commit([out(topic, b"before")])
    unrelated = await transport.ledger(other)
    later = await transport.ledger(shard)
    for _ in range(2):
        with pytest.raises(Fenced):
            await earlier.commit([out(topic, b"zombie")])
    await later.commit([out(topic, b"after")])
    await unrelated.commit([out(topic, b"unrelated")])
    inlet = await transport.inlet()
    await inlet.assign({(topic, 0): "beginning"})
    assert [record.value for record in await read(inlet, 3)] == [b"before", b"after", b"unrelated"]
    await nothing(inlet)
    await earlier.close()


async def test_a_pending_transaction_ends_when_its_name_is_taken(world: World) -> None:
    """Opening a name ends what its holder left open: readers are free at once, and the old commit can never be."""
    topic = await world.topic()
    transport = world.operator()
    shard = name()
    pending = await world.pend(shard, [out(topic, b"zombie"), out(topic, b"zombie too")])
    later = await transport.ledger(shard)
    inlet = await transport.inlet()
    await inlet.assign({(topic, 0): "beginning"})
    assert await read_to_end(inlet) == []
    assert inlet.position((topic, 0)) == 3
    with pytest.raises(Fenced):
        await pending.go_on()
    await later.commit([out(topic, b"after")])
    assert [record.value for record in await read(inlet, 1)] == [b"after"]
    await nothing(inlet)
    await pending.close()


async def test_reading_reaches_an_end_that_is_a_commit_s_marker(world: World) -> None:
    """State ends in a marker: the position gets to the end, whether or not the last poll stopped just before it."""
    topic = await world.topic()
    transport = world.operator()
    shard = name()
    ledger = await transport.ledger(shard)
    await ledger.commit([out(topic, b"%d" % number, key=b"k") for number in range(6)])
    await transport.ledger(shard)  # as a new holder does; from here the markers are certain to be there
    inlet = await transport.inlet()
    for batch in (3, 6, 500):
        await inlet.assign({(topic, 0): "beginning"})
        records = await read_to_end(inlet, max_records=batch)
        assert [record.offset for record in records] == list(range(6))
        assert inlet.position((topic, 0)) == (await inlet.ends())[topic, 0] == 7


async def test_reading_reaches_an_end_that_is_an_aborted_transaction(world: World) -> None:
    """The last thing in the log is a transaction that never was: the reader gets past it without seeing it."""
    topic, empty = await world.topic(), await world.topic()
    transport = world.operator()
    shard = name()
    await send_all(transport, [out(topic, b"kept")])
    pending = await world.pend(shard, [out(topic, b"never"), out(empty, b"never")])
    await transport.ledger(shard)
    with pytest.raises(Fenced):
        await pending.go_on()
    await pending.close()
    inlet = await transport.inlet()
    await inlet.assign({(topic, 0): "beginning", (empty, 0): "beginning"})
    assert [record.value for record in await read_to_end(inlet)] == [b"kept"]
    assert {source: inlet.position(source) for source in ((topic, 0), (empty, 0))} == {(topic, 0): 3, (empty, 0): 2}


async def test_the_next_holder_reads_all_that_was_committed(world: World) -> None:
    """Taking a shard over, many times in a row: open the name, read to the end, and every earlier commit is there."""
    topic = await world.topic()
    transport = world.operator()
    shard = name()
    for turn in range(5):
        ledger = await transport.ledger(shard)
        inlet = await transport.inlet()
        await inlet.assign({(topic, 0): "beginning"})
        assert [record.value for record in await read_to_end(inlet)] == [b"%d" % number for number in range(turn)]
        await ledger.commit([out(topic, b"%d" % turn)])
        await inlet.close()


async def test_an_empty_commit_writes_nothing(world: World) -> None:
    """No records, no transaction, no marker."""
    topic = await world.topic()
    transport = world.operator()
    ledger = await transport.ledger(name())
    await ledger.commit([])
    await ledger.commit([out(topic, b"x")])
    await ledger.commit([])
    inlet = await transport.inlet()
    await inlet.assign({(topic, 0): "beginning"})
    await read(inlet, 1)
    assert [record.offset for record in await read_to_end(inlet)] == []
    assert inlet.position((topic, 0)) == 2


async def test_large_records_fit_into_a_transaction(world: World) -> None:
    """Records of 2 MiB and of Kafka's limit, among small ones, keep their order; a larger one is refused before anything is written."""
    topic = await world.topic()
    transport = world.operator()
    ledger = await transport.ledger(name())
    with pytest.raises(UsageError):
        await ledger.commit([out(topic, b"fine"), out(topic, bytes(KAFKA_LIMIT + 1))])
    sizes = [10, 2 << 20, 30, 700 << 10, 700 << 10, KAFKA_LIMIT, 5]
    await ledger.commit([out(topic, bytes(size)) for size in sizes])
    inlet = await transport.inlet()
    await inlet.assign({(topic, 0): "beginning"})
    assert [len(record.value or b"") for record in await read(inlet, len(sizes))] == sizes


async def test_a_transaction_to_many_topics(world: World) -> None:
    """One commit to fifty inboxes: each has its record, in one go from a ledger that knew none of them."""
    topic = await world.topic(partitions=50)
    transport = world.operator()
    ledger = await transport.ledger(name())
    await ledger.commit([out(topic, b"%d" % part, partition=part) for part in range(50) for _ in range(3)])
    inlet = await transport.inlet()
    await inlet.assign({(topic, part): "beginning" for part in range(50)})
    records = await read(inlet, 150)
    assert sorted(record.partition for record in records) == sorted(part for part in range(50) for _ in range(3))
