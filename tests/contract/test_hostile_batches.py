"""Record batches that no honest client writes: what Kafka itself answers to a member's, and what our readers make of those it takes."""

from __future__ import annotations

import resource
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest
import pytest_asyncio
from aiokafka.protocol.produce import ProduceRequest

from broker import ids
from broker.errors import ExchangeUnreachable
from broker.kafka.desk import Desk
from broker.kafka.inlet import KafkaInlet
from tests.contract.worlds import KafkaWorld, nothing, read
from tests.hostile.record_batches import (
    CODECS,
    GZIP,
    MIB,
    SNAPPY,
    Row,
    batch,
    batch_of,
    bombs,
    gzip_bomb,
    legacy,
    rows,
    snappy_claim,
)

pytestmark = pytest.mark.kafka


@dataclass(frozen=True)
class Member:
    """An agency that speaks Kafka's protocol by hand, under its own certificate."""

    outbox: str
    client: Any
    node: int

    async def put(self, raw: bytes, *, topic: str = "") -> int:
        """Produce these bytes as they are: Kafka's error code, 0 where it took them."""
        where = topic or self.outbox
        answer = await self.client.send(self.node, ProduceRequest(None, -1, 20_000, [(where, [(0, raw)])]))
        return answer.topics[0][1][0][1]


def resident(pid: int) -> int:
    """Bytes of memory that a process holds (Linux, proc(5))."""
    return int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * resource.getpagesize()


async def member_of(kafka: KafkaWorld, principal: str, topic: str) -> Member:
    """A connection of this principal that knows the topic."""
    client = cast(Any, kafka.address(principal).client())
    await client.bootstrap()
    await client.add_topic(topic)
    return Member(topic, client, client.get_random_node())


@pytest_asyncio.fixture
async def member(kafka: KafkaWorld) -> AsyncGenerator[Member]:
    """A new agency."""
    agency = await kafka.agency()
    made = await member_of(kafka, ids.principal(agency, 1), ids.outbox(agency))
    yield made
    await made.client.close()


async def outbox_of(kafka: KafkaWorld, topic: str, count: int) -> list[tuple[int, bytes | None]]:
    """Offsets and values of all records of a topic, which must be so many; and the position is behind the last."""
    inlet = await kafka.operator().inlet()
    await inlet.assign({(topic, 0): "beginning"})
    end = (await inlet.ends())[topic, 0]
    found = [(record.offset, record.value) for record in await read(inlet, count)]
    await nothing(inlet)
    assert inlet.position((topic, 0)) == end
    return found


async def test_a_header_that_is_no_text_stops_no_reader(kafka: KafkaWorld, member: Member) -> None:
    """Kafka stores a record whose header's name is no UTF-8; it is read like any other, and so is what comes after it."""
    assert await member.put(batch_of([Row(b"one"), Row(b"two", header=b"\xff\xfe", delta=1), Row(b"three", delta=2)])) == 0
    assert await member.put(batch_of(rows([b"four"]))) == 0
    assert await outbox_of(kafka, member.outbox, 4) == [(0, b"one"), (1, b"two"), (2, b"three"), (3, b"four")]


@pytest.mark.parametrize("deltas", [(0, 0), (1, 0), (1 << 30, 1), (0, (1 << 31) - 1), (-1, 0), (-(1 << 31), -(1 << 31))])
async def test_untrue_offsets_move_no_position(kafka: KafkaWorld, member: Member, deltas: tuple[int, int]) -> None:
    """Kafka stores records that claim any offsets inside their batch; none is skipped, and the position follows Kafka's own count."""
    assert await member.put(batch_of([Row(b"one", delta=deltas[0]), Row(b"two", delta=deltas[1])])) == 0
    assert await member.put(batch_of(rows([b"three"]))) == 0
    assert await outbox_of(kafka, member.outbox, 3) == [(0, b"one"), (1, b"two"), (2, b"three")]


async def test_untrue_offsets_are_numbered_alike_from_any_position(kafka: KafkaWorld, member: Member) -> None:
    """A reader that begins inside such a batch sees the rest of it under the same offsets."""
    assert await member.put(batch_of([Row(b"%d" % number, delta=9 - number) for number in range(4)])) == 0
    inlet = await kafka.operator().inlet()
    await inlet.assign({(member.outbox, 0): 2})
    assert [(record.offset, record.value) for record in await read(inlet, 2)] == [(2, b"2"), (3, b"3")]


async def test_a_compressed_batch_is_stored_unpacked(kafka: KafkaWorld, member: Member) -> None:
    """What a member compressed is unpacked by Kafka, because its outbox is an uncompressed topic: readers see plain records."""
    assert await member.put(batch_of(rows([b"one", b"two"]), codec=GZIP)) == 0
    assert await outbox_of(kafka, member.outbox, 2) == [(0, b"one"), (1, b"two")]


async def test_bombs_in_an_outbox_are_refused_and_the_node_lives(kafka: KafkaWorld, member: Member) -> None:
    """Half a gigabyte in each compression that Kafka knows, a claim of two gigabytes and messages of formats long gone: each is
    answered with an error, the node goes on and does not grow, and the outbox holds the honest records alone."""
    node = kafka.node.embedded
    if node is None:
        pytest.skip("a bomb may end a Kafka that is not ours")
    before = resident(node.pid)
    assert await member.put(batch_of(rows([b"before"]))) == 0
    small = {name: raw for name, raw in bombs(512 * MIB) if len(raw) < 4 * MIB}
    small["snappy"] = dict(bombs(64 * MIB))["snappy"]
    assert small.keys() == set(CODECS.values()) - {"none"}
    claims = [batch(snappy_claim(size), 1, codec=SNAPPY) for size in ((1 << 31) - 1, 400 * MIB)]
    for raw in (*small.values(), *claims, legacy(gzip_bomb(64 * MIB), codec=GZIP)):
        assert await member.put(raw) != 0
    assert await member.put(batch_of(rows([b"after"]))) == 0
    assert await outbox_of(kafka, member.outbox, 2) == [(0, b"before"), (1, b"after")]
    assert resident(node.pid) - before < 200 * MIB


async def test_a_compressed_batch_in_a_log_is_not_unpacked(kafka: KafkaWorld) -> None:
    """A Kafka whose topic keeps what producers compressed (as a hostile one would): the reader is told which topic, its position stays
    before the batch, records of before are read, and its memory does not grow."""
    topic = await kafka.topic(settings={"compression.type": "producer"})
    operator = await member_of(kafka, "registrar", topic)
    assert await operator.put(batch_of(rows([b"one"]))) == 0
    assert await operator.put(batch(gzip_bomb(4 * MIB), 1, codec=GZIP)) == 0
    address = kafka.address("registrar")
    desk = Desk(address, patience=10)
    inlet = KafkaInlet(address, desk, patience=1.0)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    await inlet.assign({(topic, 0): 1})
    with pytest.raises(ExchangeUnreachable, match=rf"`{topic}`/0 from offset 1: a batch is compressed \(gzip\)"):
        await read(inlet, 1)
    assert inlet.position((topic, 0)) == 1
    await inlet.assign({(topic, 0): 0})
    assert [record.value for record in await read(inlet, 1)] == [b"one"]
    with pytest.raises(ExchangeUnreachable, match="compressed"):
        await read(inlet, 1)
    assert inlet.position((topic, 0)) == 1
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 << 10
    await inlet.close()
    await desk.close()
    await operator.client.close()


async def test_kafka_refuses_what_members_must_not_write(member: Member) -> None:
    """Batches that announce more records than they hold, hide bytes behind them, carry a wrong checksum, or pose as a marker."""
    good = batch_of(rows([b"x"]))
    marker = bytearray(batch(Row(b"x").encoded(), 1, codec=0x20))
    for raw in (batch(Row(b"x").encoded(), 1000), batch(Row(b"x").encoded() + b"junk", 1), good[:-1] + b"\x01", bytes(marker)):
        assert await member.put(raw) != 0
