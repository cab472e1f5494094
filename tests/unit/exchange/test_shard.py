"""The memory of a shard: positions, trimming, chains, and what of it is written."""

from __future__ import annotations

from broker.envelope import cbor
from broker.exchange.records import Outgoing, Record
from broker.exchange.shard import TRIM_AFTER_MS, InputPosition, ShardState, SubjectState
from broker.exchange.topology import DAY_MS, STATE
from broker.policy.health import Health
from tests.unit.exchange.bench import NOW, Bench


def record(offset: int, topic: str = "out.SG-CUSTOMS") -> Record:
    return Record(topic, 0, offset, NOW, None, b"x")


def test_position_is_the_next_offset() -> None:
    """Reading goes on behind the last record dealt with, at 0 where nothing was read."""
    state = ShardState(3)
    assert state.position("out.SG-CUSTOMS") == 0
    state.move(record(41), NOW)
    assert state.position("out.SG-CUSTOMS") == 42
    assert state.position("out.MY-CUSTOMS") == 0


def test_only_changes_are_written_each_once() -> None:
    """A drain writes each changed thing once, into the shard's own partition, and the next drain writes nothing."""
    state = ShardState(3)
    for offset in range(5):
        state.move(record(offset), NOW)
    state.accept("SG-CUSTOMS/1", SubjectState("alert", 1, bytes(32), ("MY-CUSTOMS",), "ISSUED", ("AE-CUSTOMS",)))
    assert state.pending
    written = list(state.drain())
    assert written == [
        Outgoing(STATE, b"p/out.SG-CUSTOMS", cbor.encode([5, [[NOW, 1]]]), 3),
        Outgoing(STATE, b"b/SG-CUSTOMS/1", cbor.encode(["alert", 1, bytes(32), ["MY-CUSTOMS"], "ISSUED", ["AE-CUSTOMS"], None, []]), 3),
    ]
    assert not state.pending
    assert list(state.drain()) == []


def test_outbox_is_trimmed_seven_days_behind() -> None:
    """One sample a day remembers where reading was; once a sample is seven days old, what lies before it may go."""
    position = InputPosition()
    for day in range(9):
        position.moved(100 * day + 1, NOW + day * DAY_MS)
        position.moved(100 * day + 50, NOW + day * DAY_MS + DAY_MS // 2)
    assert [offset for _, offset in position.samples] == [100 * day + 1 for day in range(9)]
    assert position.trimmable(NOW + TRIM_AFTER_MS - 1) is None
    assert position.trimmable(NOW + TRIM_AFTER_MS) == 1
    assert position.trimmable(NOW + TRIM_AFTER_MS) is None
    assert position.trimmable(NOW + TRIM_AFTER_MS + 2 * DAY_MS) == 201
    assert position.offset == 850


def test_deliveries_count_per_inbox() -> None:
    """Each inbox has its own chain: number and leaf before."""
    state = ShardState(0)
    first, second = b"a" * 32, b"b" * 32
    assert state.deliver("MY-CUSTOMS", first) == (1, None)
    assert state.deliver("AE-CUSTOMS", first) == (1, None)
    assert state.deliver("MY-CUSTOMS", second) == (2, first)


def test_alarms_of_deciding_add_up_over_workers() -> None:
    """Whoever takes the shard goes on counting where the last one was; nothing is written where nothing was noticed."""
    first, second = ShardState(3), ShardState(3)
    first.note_health(Health())
    assert not first.pending
    first.note_health(Health(failed=2, checked=5))
    for written in first.drain():
        second.load(Record(written.topic, 3, 0, NOW, written.key, written.value))
    second.note_health(Health(checked=1, disagreed=1))
    assert [cbor.decode(each.value or b"") for each in second.drain()] == [[2, 6, 1]]


def test_parked_record_comes_back_whole() -> None:
    """What waits is kept with its bytes, place and time, and read back by another worker exactly so."""
    bench = Bench()
    author = bench.author()
    author.write(bench.alert(1), now_ms=NOW)
    early = author.write(bench.alert(2), now_ms=NOW)
    bench.feed(b"noise")
    bench.feed(bench.record(early.value, at_ms=NOW - 7))
    state = bench.loaded()
    parked = state.stream("SG-CUSTOMS", author.stream).parked[2]
    assert parked.record == Record("out.SG-CUSTOMS", 0, 1, NOW - 7, None, early.value)
    assert (parked.leaf, parked.since_ms) == (early.leaf, NOW)
    assert state == bench.shard


def test_compaction_loses_nothing() -> None:
    """The state topic after the log cleaner is as good as the whole: every key's last record is enough."""
    bench = Bench()
    author = bench.author()
    made = [author.write(bench.alert(number % 3, revision=1 + number // 3), now_ms=NOW) for number in range(12)]
    for value in (made[0], made[2], made[1], made[3], made[5], made[6], made[4]):
        bench.feed(value.value)
    bench.feed(b"noise", made[0].value)
    assert bench.loaded(bench.compacted()) == bench.shard
    assert len(bench.compacted()) < len(bench.log)


def test_nothing_is_written_for_nothing() -> None:
    """A batch without records writes no transaction."""
    bench = Bench()
    assert bench.feed().records == ()
    assert bench.log == []
