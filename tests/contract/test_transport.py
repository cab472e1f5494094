"""What every transport promises: order, acknowledgement, reading to the end, access control, limits. In memory and on Kafka."""

from __future__ import annotations

import asyncio
import time

import pytest

from broker import ids
from broker.errors import NotAuthorised, PositionLost, UsageError
from broker.exchange.topology import KAFKA_LIMIT, outbox_spec
from broker.ports import Record, Told
from tests.contract.worlds import World, nothing, out, read, read_to_end, send_all
from tests.support.eventually import eventually


async def test_records_are_acknowledged_and_read_in_the_order_of_sending(world: World) -> None:
    """Each answer names the next offset, and a reader gets keys, values and offsets exactly so."""
    topic = await world.topic()
    transport = world.operator()
    outlet = await transport.outlet()
    answers = [await outlet.send(out(topic, b"%d" % number, key=b"k%d" % (number % 3))) for number in range(200)]
    positions = [await answer for answer in answers]
    assert [(position.topic, position.partition, position.offset) for position in positions] == [(topic, 0, at) for at in range(200)]
    inlet = await transport.inlet()
    await inlet.assign({(topic, 0): "beginning"})
    records = await read(inlet, 200)
    assert [(record.offset, record.key, record.value) for record in records] == [(at, b"k%d" % (at % 3), b"%d" % at) for at in range(200)]
    assert all(record.topic == topic and record.timestamp_ms > 1_600_000_000_000 for record in records)


async def test_the_partition_is_the_sender_s_choice(world: World) -> None:
    """A record goes to the partition that was named, whatever its key, and is read from there only."""
    topic = await world.topic(partitions=3)
    transport = world.operator()
    await send_all(transport, [out(topic, b"%d" % number, key=b"same", partition=number) for number in range(3)])
    assert await transport.partitions(topic) == 3
    inlet = await transport.inlet()
    await inlet.assign({(topic, 2): "beginning"})
    records = await read_to_end(inlet)
    assert [(record.partition, record.value) for record in records] == [(2, b"2")]


async def test_a_tombstone_is_a_record_without_value(world: World) -> None:
    """A record with a key and no value is written and read as such; one with neither is the caller's mistake."""
    transport = world.operator()
    topic = await world.topic()
    outlet = await transport.outlet()
    await (await outlet.send(out(topic, b"", key=b"k")))
    with pytest.raises(UsageError, match="key"):
        await outlet.send(type(out(topic, b""))(topic, None, None))
    await (await outlet.send(type(out(topic, b""))(topic, b"k", None)))
    inlet = await transport.inlet()
    await inlet.assign({(topic, 0): "beginning"})
    assert [(record.key, record.value) for record in await read_to_end(inlet)] == [(b"k", b""), (b"k", None)]


async def test_reading_begins_where_it_was_asked_to(world: World) -> None:
    """From the beginning, from the end, or from an offset; each source by itself."""
    topic = await world.topic(partitions=3)
    transport = world.operator()
    await send_all(transport, [out(topic, b"%d" % number, partition=part) for part in range(3) for number in range(5)])
    inlet = await transport.inlet()
    await inlet.assign({(topic, 0): "beginning", (topic, 1): 3, (topic, 2): "end"})
    assert [inlet.position((topic, part)) for part in range(3)] == [0, 3, 5]
    early = await read_to_end(inlet)
    assert sorted((record.partition, record.offset) for record in early) == [*((0, at) for at in range(5)), (1, 3), (1, 4)]
    await send_all(transport, [out(topic, b"new", partition=2)])
    assert [(record.partition, record.offset, record.value) for record in await read(inlet, 1)] == [(2, 5, b"new")]
    assert inlet.position((topic, 2)) == 6


async def test_assigning_again_replaces_all_sources(world: World) -> None:
    """A second assign forgets the first: other sources, other positions, nothing left over from before."""
    first, second = await world.topic(), await world.topic()
    transport = world.operator()
    await send_all(transport, [out(topic, b"%d" % number) for number in range(50) for topic in (first, second)])
    inlet = await transport.inlet()
    await inlet.assign({(first, 0): "beginning"})
    await read(inlet, 10)
    await inlet.assign({(second, 0): 40})
    assert [record.offset for record in await read_to_end(inlet)] == list(range(40, 50))
    with pytest.raises(UsageError):
        inlet.position((first, 0))
    await inlet.assign({(second, 0): "beginning", (first, 0): 49})
    assert len(await read_to_end(inlet)) == 51
    await inlet.assign({})
    assert await inlet.ends() == {}
    await nothing(inlet)


async def test_an_empty_topic_is_at_its_end_at_once(world: World) -> None:
    """Nothing there: the end is the position, and a poll comes back empty when its time is over."""
    topic = await world.topic()
    inlet = await world.operator().inlet()
    await inlet.assign({(topic, 0): "beginning"})
    assert await inlet.ends() == {(topic, 0): 0}
    assert inlet.position((topic, 0)) == 0
    began = time.monotonic()
    await nothing(inlet, seconds=0.3)
    assert time.monotonic() - began < 5


async def test_a_poll_ends_as_soon_as_there_is_a_record(world: World) -> None:
    """A waiting poll returns with the record, long before its timeout."""
    topic = await world.topic()
    transport = world.operator()
    inlet = await transport.inlet()
    await inlet.assign({(topic, 0): "end"})
    waiting = asyncio.ensure_future(read(inlet, 1))
    await send_all(transport, [out(topic, b"urgent")])
    began = time.monotonic()
    assert [record.value for record in await waiting] == [b"urgent"]
    assert time.monotonic() - began < 2


async def test_no_poll_brings_more_than_was_asked_for(world: World) -> None:
    """``max_records`` holds, and the polls together bring every record once."""
    topic = await world.topic(partitions=2)
    transport = world.operator()
    await send_all(transport, [out(topic, b"%d" % number, partition=number % 2) for number in range(100)])
    inlet = await transport.inlet()
    await inlet.assign({(topic, 0): "beginning", (topic, 1): "beginning"})
    found: list[tuple[int, int]] = []
    while len(found) < 100:
        records = await inlet.poll(max_records=7, timeout=5.0)
        assert len(records) <= 7
        found += [(record.partition, record.offset) for record in records]
    assert sorted(found) == [(part, at) for part in range(2) for at in range(50)]
    for part in range(2):
        assert [at for number, at in found if number == part] == list(range(50))


async def test_a_flood_does_not_delay_another_source(world: World) -> None:
    """With 3,000 records waiting in one outbox, the one record of another comes in the first polls."""
    flood, quiet = await world.topic(), await world.topic()
    transport = world.operator()
    await send_all(transport, [out(flood, b"x" * 200) for _ in range(3000)] + [out(quiet, b"alert")])
    inlet = await transport.inlet()
    await inlet.assign({(flood, 0): "beginning", (quiet, 0): "beginning"})
    seen: list[str] = []
    for _ in range(6):
        seen += [record.topic for record in await inlet.poll(max_records=100, timeout=5.0)]
    assert quiet in seen
    assert seen.count(flood) > 100


async def test_everybody_has_a_turn_before_anybody_has_many(world: World) -> None:
    """With more busy sources than a poll may bring records, the polls go round: each source is reached, and none waits for those that
    had theirs to be done."""
    topic = await world.topic(partitions=40)
    transport = world.operator()
    await send_all(transport, [out(topic, b"%d" % number, partition=part) for number in range(30) for part in range(40)])
    inlet = await transport.inlet()
    await inlet.assign({(topic, part): "beginning" for part in range(40)})
    found: list[Record] = []
    for _ in range(20):
        found += await inlet.poll(max_records=4, timeout=5.0)
    assert len({record.partition for record in found}) == 40
    for part in range(40):
        offsets = [record.offset for record in found if record.partition == part]
        assert offsets == list(range(len(offsets)))


async def test_trimmed_records_are_gone_and_a_lost_position_is_said(world: World) -> None:
    """After trimming, the beginning is the first record left, and an older position is an error, not a silent jump."""
    agency = await world.agency()
    topic = ids.outbox(agency)
    transport = world.operator()
    await send_all(transport, [out(topic, b"%d" % number) for number in range(10)])
    await transport.trim((topic, 0), 6)
    await transport.trim((topic, 0), 6)
    await transport.trim((topic, 0), 2)
    inlet = await transport.inlet()
    await inlet.assign({(topic, 0): "beginning"})
    assert [record.offset for record in await read_to_end(inlet)] == [6, 7, 8, 9]
    await inlet.assign({(topic, 0): 3})
    with pytest.raises(PositionLost) as lost:
        await read(inlet, 1)
    assert lost.value.code == "POSITION_LOST"
    await inlet.assign({(topic, 0): 7})
    assert len(await read_to_end(inlet)) == 3
    with pytest.raises(UsageError):
        await transport.trim((topic, 0), 11)


async def test_large_records_pass_and_oversize_ones_are_refused_at_once(world: World) -> None:
    """2 MiB and Kafka's very limit go through an outbox unharmed; one byte more is the caller's mistake and harms nothing."""
    agency = await world.agency()
    topic = ids.outbox(agency)
    transport = world.member(agency)
    outlet = await transport.outlet()
    with pytest.raises(UsageError, match="limit"):
        await outlet.send(out(topic, bytes(KAFKA_LIMIT + 1)))
    sizes = [2 << 20, 10, KAFKA_LIMIT, 20]
    for answer in [await outlet.send(out(topic, bytes([number]) * size)) for number, size in enumerate(sizes)]:
        await answer
    inlet = await world.operator().inlet()
    await inlet.assign({(topic, 0): "beginning"})
    assert [(record.value or b"") == bytes([at]) * sizes[at] for at, record in enumerate(await read_to_end(inlet))] == [True] * 4


async def test_access_control_is_told_as_such(world: World) -> None:
    """An agency may write its own outbox and read its own inbox; another's, and a relay's name, are refused by name."""
    agency, other = await world.agency(), await world.agency()
    transport = world.member(agency)
    outlet = await transport.outlet()
    own = await outlet.send(out(ids.outbox(agency), b"mine"))
    assert (await own).offset == 0
    with pytest.raises(NotAuthorised):
        await (await outlet.send(out(ids.outbox(other), b"not mine")))
    with pytest.raises(NotAuthorised):  # this one it may see but not write
        await (await outlet.send(out(ids.inbox(agency), b"forged")))
    assert (await (await outlet.send(out(ids.outbox(agency), b"still works")))).offset == 1
    inlet = await transport.inlet()
    await inlet.assign({(ids.inbox(agency), 0): "beginning"})
    await nothing(inlet)
    for denied in (ids.inbox(other), ids.outbox(agency)):
        with pytest.raises(NotAuthorised):
            await inlet.assign({(denied, 0): "beginning"})
            await read(inlet, 1)
    with pytest.raises(NotAuthorised):
        await transport.ledger("relay-0")
    with pytest.raises(NotAuthorised):
        await transport.trim((ids.outbox(agency), 0), 1)
    assert await transport.partitions(ids.outbox(other)) == 0
    assert await transport.partitions(ids.outbox(agency)) == 1


async def test_ends_without_reading(world: World) -> None:
    """``ends`` tells where topics end, as an inlet would; of what one may not see, and of what is not there, it tells nothing."""
    agency, other = await world.agency(), await world.agency()
    operator, sources = world.operator(), [(ids.outbox(agency), 0), (ids.outbox(other), 0)]
    assert await operator.ends(sources) == dict.fromkeys(sources, 0)
    await send_all(operator, [out(ids.outbox(agency), b"1"), out(ids.outbox(agency), b"2")])
    assert await operator.ends(sources) == {sources[0]: 2, sources[1]: 0}
    assert await operator.ends([]) == {}
    with pytest.raises(NotAuthorised):
        await world.member(agency).ends([(ids.outbox(other), 0)])
    with pytest.raises(UsageError):
        await operator.ends([("t.absent", 0)])


async def test_how_far_a_reader_is_is_told(world: World) -> None:
    """A member leaves word under its own group, the last counts, and the registrar reads it; a group that told nothing is left out, and
    nobody tells for another."""
    agency, other = await world.agency(), await world.agency()
    group, source, admin = ids.inbox_group(agency), (ids.inbox(agency), 0), world.admin()
    transport = world.member(agency)
    for position, at_ms in ((1, 1_700_000_000_000), (5, 1_700_000_001_000)):
        await transport.tell_read(group, source, position, at_ms)
    asked = {group: source, ids.inbox_group(other): (ids.inbox(other), 0)}

    async def told() -> bool:
        return dict(await admin.told_read(asked)) == {group: Told(5, 1_700_000_001_000)}

    await eventually(told, what="the last word")  # a cluster may take a moment to tell it
    with pytest.raises(NotAuthorised):
        await transport.tell_read(ids.inbox_group(other), (ids.inbox(other), 0), 9, 0)
    await admin.close()


async def test_what_is_not_there_is_the_caller_s_mistake(world: World) -> None:
    """Unknown topics and partitions are refused with advice, by outlet and inlet; ``partitions`` says 0."""
    transport = world.operator()
    topic = await world.topic()
    assert await transport.partitions("t.absent") == 0
    outlet = await transport.outlet()
    inlet = await transport.inlet()
    for source in (("t.absent", 0), (topic, 1)):
        with pytest.raises(UsageError) as refused:
            await outlet.send(out(source[0], b"x", partition=source[1]))
        assert refused.value.advice
        with pytest.raises(UsageError):
            await inlet.assign({source: "beginning"})
    assert (await (await outlet.send(out(topic, b"x")))).offset == 0


async def test_the_exchange_s_clock_stamps_an_outbox(world: World) -> None:
    """Records of an outbox carry the time of the exchange: it never goes backwards with the offset."""
    agency = await world.agency()
    assert outbox_spec(agency).settings["message.timestamp.type"] == "LogAppendTime"
    await send_all(world.member(agency), [out(ids.outbox(agency), b"%d" % number) for number in range(20)])
    inlet = await world.operator().inlet()
    await inlet.assign({(ids.outbox(agency), 0): "beginning"})
    stamps = [record.timestamp_ms for record in await read_to_end(inlet)]
    assert stamps == sorted(stamps)


async def test_closing_twice_is_fine_and_closed_things_say_so(world: World) -> None:
    """Every part closes twice without complaint; using it afterwards is the caller's mistake."""
    topic = await world.topic()
    transport = world.operator()
    outlet, inlet, ledger = await transport.outlet(), await transport.inlet(), await transport.ledger("relay-closing")
    answer = await outlet.send(out(topic, b"last"))
    await inlet.assign({(topic, 0): "beginning"})
    for part in (outlet, inlet, ledger, transport):
        await part.close()
        await part.close()
    assert (await answer).offset == 0
    with pytest.raises(UsageError):
        await outlet.send(out(topic, b"late"))
    with pytest.raises(UsageError):
        await inlet.poll(max_records=1, timeout=0.1)
    with pytest.raises(UsageError):
        await ledger.commit([out(topic, b"late")])
