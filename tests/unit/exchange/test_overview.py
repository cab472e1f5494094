"""The operator's view of an exchange: the same figures as the relay's own memory, from a small part of it, and nothing of any content."""

from __future__ import annotations

from broker import ids
from broker.errors import Refusal
from broker.exchange.overview import REFUSED_DAYS, REFUSED_KEPT, Overview, kinds_of
from broker.exchange.quarantine import quarantine_value
from broker.exchange.records import Record
from broker.exchange.shard import ShardState
from broker.exchange.topology import DAY_MS, QUARANTINE, STATE
from tests.support.eventually import eventually
from tests.unit.service.conftest import _no_pauses as _no_pauses  # pyright: ignore[reportPrivateUsage]
from tests.unit.service.conftest import world as world
from tests.unit.service.world import World

NOW = 1_795_478_400_000


def refused(number: int, *, code: str = "BAD_CBOR", agency: str = "SG-CUSTOMS", at_ms: int = NOW) -> Record:
    """A record of the quarantine."""
    record = Record(ids.outbox(agency), 0, number, NOW, None, b"secret")
    value = quarantine_value(record, Refusal(code, "it ends early"), at_ms=at_ms, originator=None, subject=None, leaf=None)
    return Record(QUARANTINE, 0, number, at_ms, None, value)


async def test_the_figures_are_those_of_the_relay(world: World) -> None:
    """After deliveries, a record that waits for an earlier one and a refusal: positions, parcels delivered, records that wait and subjects
    are those that a worker would take back from the same topic, and an agency's row puts them together."""
    for number in range(3):
        await world.agency().publish(world.alert(number + 1))
    author = world.author("MY-CUSTOMS")
    _, second = (author.write(world.alert(number, owner="MY-CUSTOMS"), now_ms=world.now) for number in (7, 8))
    await world.put(second.value, b"nonsense", outbox="MY-CUSTOMS")
    await eventually(lambda: len(world.quarantine()) == 1, what="the refusal")
    overview, shards = Overview(), world.memory.partitions(STATE)
    states = [ShardState(number) for number in range(shards)]
    for number, state in enumerate(states):
        for record in world.memory.records(STATE, number):
            overview.take(record)
            state.load(record)
    for record in world.memory.records(QUARANTINE):
        overview.take(record)
    delivered = sum(chain.counter for state in states for chain in state.chains.values())
    assert (overview.deliveries, overview.subjects) == (delivered, sum(len(state.subjects) for state in states))
    assert delivered > 0
    waiting = sum(len(line.parked) for state in states for line in state.streams.values())
    assert sum(overview.parked(agency) for agency in world.rules.directory.agencies) == waiting == 1
    ends = {ids.outbox("MY-CUSTOMS"): 5, ids.inbox("MY-CUSTOMS"): 9}
    rows = {row.agency: row for row in overview.agencies(world.rules.directory, shards, ends, {"MY-CUSTOMS": (4, NOW)})}
    mine = rows["MY-CUSTOMS"]
    position = states[mine.shard].position(ids.outbox("MY-CUSTOMS"))
    assert (mine.position, mine.lag, mine.inbox, mine.parked) == (position, 5 - position, 9, 1)
    assert (mine.read, mine.read_at, mine.unread) == (4, NOW, 5)
    assert (rows["SG-CUSTOMS"].read, rows["SG-CUSTOMS"].read_at, rows["SG-CUSTOMS"].unread) == (None, None, None)
    assert sum(row.delivered for row in rows.values()) == delivered


def test_a_record_that_waits_no_more_is_not_counted() -> None:
    """The row of a record that waited is removed when its turn has come."""
    overview = Overview()
    for value, count in ((b"\x80", 1), (b"\x80", 1), (None, 0), (None, 0)):
        overview.take(Record(STATE, 0, 0, NOW, b"k/SG-CUSTOMS/00/2", value))
        assert overview.parked("SG-CUSTOMS") == count


def test_refusals_by_kind() -> None:
    """Of one code and step one line, with count, first and last time, outboxes and advice; the most frequent first; without the bytes."""
    overview = Overview()
    for number in range(3):
        overview.take(refused(number, agency=("SG-CUSTOMS", "MY-CUSTOMS")[number % 2], at_ms=NOW + number))
    overview.take(refused(9, code="TOO_LARGE"))
    first, second = kinds_of(overview.recent(NOW))
    assert (first.code, first.count, first.first, first.last) == ("BAD_CBOR", 3, NOW, NOW + 2)
    assert first.outboxes == ("out.MY-CUSTOMS", "out.SG-CUSTOMS")
    assert first.advice
    assert (second.code, second.count) == ("TOO_LARGE", 1)
    assert b"secret" not in repr(overview).encode()


def test_old_and_many_refusals_are_let_go() -> None:
    """What is older than the quarantine keeps is not told, and of very many the newest are; all are counted that are
    still in quarantine, also by a process that has seen others before."""
    overview = Overview()
    overview.take(refused(0, at_ms=NOW - REFUSED_DAYS * DAY_MS - 1))
    for number in range(1, REFUSED_KEPT + 2):
        overview.take(refused(number))
    assert overview.refused_count(NOW) >= REFUSED_KEPT + 1
    overview.take(refused(REFUSED_KEPT + 2, at_ms=NOW + DAY_MS))
    assert overview.refused_count(NOW + DAY_MS) == REFUSED_KEPT + 2
    assert overview.refused_count(NOW + (REFUSED_DAYS + 1) * DAY_MS) == 1
    assert overview.refused_count(NOW + (REFUSED_DAYS + 2) * DAY_MS) == 0
    recent = overview.recent(NOW)
    assert (len(recent), recent[0].offset, recent[-1].offset) == (REFUSED_KEPT, REFUSED_KEPT + 2, 3)
    assert [each.offset for each in Overview(refused=overview.refused).recent(NOW + (REFUSED_DAYS + 2) * DAY_MS)] == []
