"""What only a real Kafka does to a transport: refusals by the broker, outages, silent clients, dead workers."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import uuid
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any, cast

import pytest
import pytest_asyncio
from aiokafka import errors as kafka_errors
from aiokafka.protocol.metadata import MetadataRequest
from aiokafka.protocol.transaction import EndTxnRequest

from broker.errors import ExchangeUnreachable, Fenced, OutcomeUnknown, UsageError
from broker.exchange.topology import SHARDS, TopicSpec
from broker.kafka import errors, wire
from broker.kafka.claims import KafkaShardClaims
from broker.kafka.desk import Desk
from broker.kafka.inlet import KafkaInlet
from broker.kafka.ledger import KafkaLedger
from broker.kafka.outlet import KafkaOutlet
from broker.kafka.transport import KafkaTransport
from broker.ports import Ledger, Transport
from tests.contract.worlds import KafkaWorld, nothing, out, read, send_all
from tests.support.kafka_node import KafkaNode, embedded_node

pytestmark = pytest.mark.kafka

TIGHT = {"max.message.bytes": "2000"}
"""A topic that refuses what the transport lets pass."""


async def test_an_outlet_goes_on_after_kafka_refused_a_record(kafka: KafkaWorld) -> None:
    """A refusal by Kafka itself is no reason to send again, and it poisons nothing: the same outlet's next record arrives."""
    tight, roomy = await kafka.topic(settings=TIGHT), await kafka.topic()
    outlet = await kafka.operator().outlet()
    for turn in range(2):
        with pytest.raises(UsageError):
            await (await outlet.send(out(tight, bytes(5000))))
        assert (await (await outlet.send(out(tight, b"small")))).offset == turn
        assert (await (await outlet.send(out(roomy, b"other")))).offset == turn


async def test_a_commit_with_one_refused_record_shows_none_of_them(kafka: KafkaWorld) -> None:
    """All or nothing holds where Kafka refuses one batch of several (aiokafka would commit the others)."""
    tight, roomy = await kafka.topic(settings=TIGHT), await kafka.topic()
    transport = kafka.operator()
    shard = f"relay-{uuid.uuid4().hex}"
    ledger = await transport.ledger(shard)
    with pytest.raises(OutcomeUnknown):
        await ledger.commit([out(roomy, b"fine"), out(tight, bytes(5000))])
    with pytest.raises(OutcomeUnknown):
        await ledger.commit([out(roomy, b"the ledger is dead")])
    await ledger.close()
    again = await transport.ledger(shard)
    await again.commit([out(roomy, b"second")])
    inlet = await transport.inlet()
    await inlet.assign({(roomy, 0): "beginning", (tight, 0): "beginning"})
    assert [record.value for record in await read(inlet, 1)] == [b"second"]
    await nothing(inlet)


async def test_a_commit_that_is_cancelled_ends_the_ledger(kafka: KafkaWorld) -> None:
    """Whoever gives up waiting does not know the outcome: the ledger says so from then on."""
    topic = await kafka.topic()
    ledger = await kafka.operator().ledger(f"relay-{uuid.uuid4().hex}")
    committing = asyncio.ensure_future(ledger.commit([out(topic, b"x")]))
    await asyncio.sleep(0)
    committing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await committing
    with pytest.raises(OutcomeUnknown, match="cancelled"):
        await ledger.commit([out(topic, b"y")])
    await ledger.close()


async def test_the_end_of_a_transaction_is_asked_for_once() -> None:
    """A lost answer to EndTxn is never followed by a second EndTxn, which might end the next transaction."""

    class Client:
        async def send(self, node_id: int, request: object, **how: object) -> object:
            raise kafka_errors.KafkaConnectionError(f"{node_id} {type(request).__name__} {how}")

    class Producer:
        client = Client()

    producer = cast(wire.RawProducer, Producer())
    wire.end_once(producer)
    end = EndTxnRequest(transactional_id="relay-0", producer_id=1, producer_epoch=0, transaction_result=True)
    with pytest.raises(wire.EndNotConfirmed):
        await producer.client.send(0, end)
    with pytest.raises(kafka_errors.KafkaConnectionError):
        await producer.client.send(0, MetadataRequest([]))


async def test_a_reader_that_waits_for_records_goes_at_once(kafka: KafkaWorld) -> None:
    """Kafka looks at a connection's end only after the fetch that it holds open; closing an inlet does not wait for that, and what is
    read afterwards from the position it had is neither missed nor doubled."""
    topic = await kafka.topic()
    took: list[float] = []
    for turn in range(3):
        inlet = await kafka.operator().inlet()
        await inlet.assign({(topic, 0): turn})
        await send_all(kafka.operator(), [out(topic, b"%d" % turn)])
        assert [record.value for record in await read(inlet, 1)] == [b"%d" % turn]
        await inlet.poll(max_records=1, timeout=0.05)
        begun = asyncio.get_running_loop().time()
        await inlet.close()
        took.append(asyncio.get_running_loop().time() - begun)
    assert min(took) < wire.FETCH_WAIT_MS / 1000 / 4


async def test_a_silent_consumer_is_replaced(kafka: KafkaWorld) -> None:
    """A consumer that stopped fetching without a word is noticed because the log goes on; nothing is lost, nothing comes twice."""
    topic = await kafka.topic()
    address = kafka.address("registrar")
    desk = Desk(address, patience=10)
    inlet = KafkaInlet(address, desk, patience=10, watch_after=0.2)
    await inlet.assign({(topic, 0): "beginning"})
    await send_all(kafka.operator(), [out(topic, b"%d" % number) for number in range(5)])
    assert len(await read(inlet, 3)) == 3
    cast(Any, inlet)._consumer._fetcher._fetch_task.cancel()
    await send_all(kafka.operator(), [out(topic, b"%d" % number) for number in range(5, 10)])
    assert [record.offset for record in await read(inlet, 7)] == list(range(3, 10))
    await nothing(inlet)
    await inlet.close()
    await desk.close()


async def test_a_dead_worker_s_shards_move_within_its_session(kafka: KafkaWorld) -> None:
    """A worker that dies without a word keeps its shards no longer than its session of 2 s."""
    shards = await kafka.shards()
    dead = KafkaShardClaims(kafka.address("registrar"), f"dead-{uuid.uuid4().hex[:8]}", patience=20)
    await dead.join()
    alive = await kafka.operator().shard_claims(f"alive-{uuid.uuid4().hex[:8]}")
    while not 0 < len(await dead.changed(0.2)) < shards:
        pass
    await wire.retire(cast(wire.RawConsumer, cast(Any, dead)._consumer), seconds=1.0, flush=False)
    loop = asyncio.get_running_loop()
    began = loop.time()
    while len(await alive.changed(0.2)) < shards:
        assert loop.time() - began < 8
    await alive.close()


async def test_a_restarted_worker_gets_its_shards_back(kafka: KafkaWorld) -> None:
    """A worker that comes back under its name within the session takes its own shards again, and the other keeps its own."""
    shards = await kafka.shards()
    name = f"m-{uuid.uuid4().hex[:8]}"
    first = KafkaShardClaims(kafka.address("registrar"), name, patience=20)
    await first.join()
    other = await kafka.operator().shard_claims(f"n-{uuid.uuid4().hex[:8]}")
    while not 0 < len(before := await first.changed(0.2)) < shards:
        pass
    await wire.retire(cast(wire.RawConsumer, cast(Any, first)._consumer), seconds=1.0, flush=False)
    again = await kafka.operator().shard_claims(name)
    assert await again.changed(5.0) == before
    assert await other.changed(0.1) == frozenset(range(shards)) - before
    await again.close()
    await other.close()


async def test_a_cluster_that_refuses_short_sessions_is_joined_with_longer_ones(kafka: KafkaWorld) -> None:
    """Where the shortest session is not allowed, the next one is tried."""
    shards = await kafka.shards()
    claims = KafkaShardClaims(kafka.address("registrar"), f"slow-{uuid.uuid4().hex[:8]}", patience=20)
    cast(Any, claims)._sessions = [10, 6000]
    await claims.join()
    assert len(await claims.changed(5.0)) == shards
    await claims.close()


async def test_nobody_there_is_said_within_the_patience() -> None:
    """An address where nothing listens: every opening fails as unreachable, with advice, and leaves nothing behind."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        transport = KafkaTransport(f"127.0.0.1:{taken.getsockname()[1]}", None, "nobody", patience=2)
        for opening in (transport.outlet(), transport.inlet(), transport.ledger("relay-0"), transport.partitions(SHARDS)):
            with pytest.raises(ExchangeUnreachable) as unreachable:
                await opening
            assert unreachable.value.advice
        await transport.close()


@pytest_asyncio.fixture
async def own(tmp_path: Path) -> AsyncGenerator[KafkaWorld]:
    """A node of one's own, to stop and to break."""
    async with embedded_node(tmp_path) as node:
        world = KafkaWorld(node)
        yield world
        await world.close()


def process(node: KafkaNode) -> int:
    """The node's process id."""
    assert node.embedded is not None
    return node.embedded.pid


async def test_a_frozen_exchange_is_unreachable_and_comes_back(own: KafkaWorld) -> None:
    """While Kafka stands still, each part says so in its own time and ends; when it wakes, new records pass and nothing was lost."""
    topic = "t.frozen"
    await own.prepare([TopicSpec(topic)], [])
    address = own.address("registrar")
    outlet = KafkaOutlet(address, patience=5, answer_within=1.5)
    desk = Desk(address, patience=2)
    inlet = KafkaInlet(address, desk, patience=2, watch_after=0.5)
    ledger = KafkaLedger(address.transactional("relay-frozen", 10_000), "relay-frozen", deadline=2)
    await cast(Any, ledger)._producer.start()
    shards = await own.shards()
    claims = await own.operator().shard_claims("frozen")
    assert len(await claims.changed(5.0)) == shards
    await (await outlet.send(out(topic, b"before")))
    await inlet.assign({(topic, 0): "beginning"})
    await read(inlet, 1)
    os.kill(process(own.node), signal.SIGSTOP)
    try:
        answer = await outlet.send(out(topic, b"during"))
        with pytest.raises(ExchangeUnreachable):
            await answer
        with pytest.raises(OutcomeUnknown, match="in time"):
            await ledger.commit([out(topic, b"never sure")])
        with pytest.raises(ExchangeUnreachable):
            while True:
                await inlet.poll(max_records=1, timeout=0.5)
        await asyncio.wait_for(ledger.close(), 15)
    finally:
        os.kill(process(own.node), signal.SIGCONT)
    again = await _opened(own.operator(), "relay-frozen")
    await again.commit([out(topic, b"committed")])
    await (await outlet.send(out(topic, b"after")))
    values: list[bytes | None] = []
    async with asyncio.timeout(30):
        while values[-1:] != [b"after"]:
            try:
                values += [record.value for record in await inlet.poll(max_records=10, timeout=0.5)]
            except ExchangeUnreachable:
                continue
    certain = [value for value in values if value not in (b"during", b"never sure")]
    assert certain == [b"committed", b"after"]
    assert values.count(b"during") <= 1
    async with asyncio.timeout(20):
        while len(await claims.changed(0.5)) < shards:
            pass
    for part in (outlet, inlet, desk, claims):
        await part.close()


async def _opened(transport: Transport, name: str) -> Ledger:
    """A ledger of an exchange that has just woken up, which may not name its broker at once: tried again as a relay does."""
    async with asyncio.timeout(30):
        while True:
            try:
                return await transport.ledger(name)
            except ExchangeUnreachable:
                await asyncio.sleep(0)


async def test_a_start_that_finds_no_broker_is_tried_again() -> None:
    """A client whose start meets metadata without a broker, as aiokafka asserts that it cannot, is unreachable and not a bug: a relay
    that takes a shard at that moment tries again and does not die."""

    class NoBroker:
        async def start(self) -> None:
            raise AssertionError("Did we not perform bootstrap?")

    with pytest.raises(kafka_errors.KafkaConnectionError, match="names no broker yet"):
        await wire.begin(cast(Any, NoBroker()), 1.0)


async def test_a_restarted_exchange_loses_and_doubles_nothing(tmp_path: Path) -> None:
    """Kafka dies under a stream of records and comes back: every confirmed record is read once, in order, by the same inlet."""
    topic = "t.restarted"
    async with embedded_node(tmp_path) as first:
        world = KafkaWorld(first)
        await world.prepare([TopicSpec(topic)], [])
        address = world.address("registrar")
        outlet = KafkaOutlet(address, patience=30)
        desk = Desk(address, patience=5)
        inlet = KafkaInlet(address, desk, patience=60, watch_after=1.0)
        await inlet.assign({(topic, 0): "beginning"})
        answers = [await outlet.send(out(topic, b"%d" % number)) for number in range(100)]
        await answers[0]
        found = await read(inlet, 1)
        assert first.embedded is not None
        await first.embedded.stop(grace=0)
        answers += [await outlet.send(out(topic, b"%d" % number)) for number in range(100, 200)]
    async with embedded_node(tmp_path):
        positions = await asyncio.gather(*answers)
        found += await read(inlet, 199, seconds=60)
        assert [record.value for record in found] == [b"%d" % number for number in range(200)]
        assert [position.offset for position in positions] == [record.offset for record in found]
        await outlet.close()
        await inlet.close()
        await desk.close()


def test_every_answer_that_means_fenced_is_told_as_fenced() -> None:
    """A stale epoch, a forgotten id, and the newer code 90 that aiokafka does not know, however deep aiokafka wraps them."""
    for code in (47, 49, 90):
        wrapped = kafka_errors.KafkaError("Unexpected error during batch delivery")
        wrapped.__cause__ = kafka_errors.for_code(code)()
        assert isinstance(errors.of_commit("relay-0", wire.failures(wrapped)), Fenced)
    assert isinstance(errors.of_commit("relay-0", wire.failures(kafka_errors.UnknownError())), OutcomeUnknown)
