"""Step 6 at the relay: each stream in order, each number once, whatever arrives when."""

from __future__ import annotations

import pytest

from broker.exchange import sequence
from broker.exchange.records import Record
from broker.exchange.sequence import (
    PARKED_BYTES,
    PARKED_LIMIT,
    PARKED_MS,
    WINDOW,
    BrokenChain,
    Consumed,
    Duplicate,
    Early,
    Equivocation,
    Next,
    Parked,
    Stale,
    Stream,
)
from tests.support.parcels import Made, key
from tests.unit.exchange.bench import Bench, Written


def written_messages(bench: Bench, count: int, *, agency: str = "SG-CUSTOMS", seed: int = 0) -> list[Made]:
    """The first messages of a stream."""
    author = bench.author(agency, seed=seed)
    first = 1000 * seed + 1
    return [author.write(bench.alert(number, owner=agency), now_ms=bench.now) for number in range(first, first + count)]


def accepted(written: Written) -> list[int | None]:
    """The numbers accepted, in order."""
    return [receipt.seq for receipt in written.receipts if receipt.outcome == "ACCEPTED"]


def test_duplicate_gets_the_receipt_it_got() -> None:
    """The same bytes again are delivered to nobody, and answered by the very same receipt: in one batch, in a later one, and by
    another worker that read the state back."""
    bench = Bench()
    (made,) = written_messages(bench, 1)
    once = bench.feed(made.value, made.value)
    assert once.notes[0] == once.notes[1]
    assert len(once.inbox("MY-CUSTOMS")) == 1
    bench.now += 5_000
    later = bench.feed(made.value)
    bench.crash()
    after = bench.feed(made.value)
    for written in (later, after):
        assert written.notes == once.notes[:1]
        assert written.inbox("MY-CUSTOMS") == []
        assert (written.tally.duplicates, written.tally.accepted) == (1, 0)


def test_duplicate_of_a_refused_message_gets_the_refusal() -> None:
    """A refused message that is sent again is refused by the same receipt, and quarantined once."""
    bench = Bench()
    made = bench.author().write(bench.alert(), now_ms=bench.now, subject="MY-CUSTOMS/2026/1")
    first = bench.feed(made.value)
    bench.crash()
    again = bench.feed(made.value)
    assert again.notes == first.notes
    assert again.quarantine == ()


def test_gap_is_parked_and_released_in_order() -> None:
    """Messages that come before their turn wait without an answer; when the missing one comes all follow it, in order."""
    bench = Bench()
    made = written_messages(bench, 5)
    early = bench.feed(*(made[number].value for number in (3, 1, 4)))
    assert (early.tally.parked, early.receipts, early.inbox("MY-CUSTOMS")) == (3, (), [])
    assert bench.loaded() == bench.shard
    bench.crash()
    assert accepted(bench.feed(made[0].value)) == [1, 2]
    bench.crash()
    rest = bench.feed(made[2].value)
    assert accepted(rest) == [3, 4, 5]
    assert [record.key for record in rest.inbox("MY-CUSTOMS")] == [f"s/SG-CUSTOMS/2026/{n:06}".encode() for n in (3, 4, 5)]
    assert bench.loaded() == bench.shard


def test_parked_message_sent_again_waits_once() -> None:
    """A duplicate of a waiting message is not answered and not parked twice."""
    bench = Bench()
    made = written_messages(bench, 2)
    written = bench.feed(made[1].value, made[1].value)
    assert (written.tally.parked, written.tally.duplicates, written.receipts) == (1, 1, ())


def test_parked_too_long_is_refused_and_accepted_when_sent_again() -> None:
    """After 60 s of waiting a message is refused as SEQUENCE_GAP, not a millisecond before. Its number stays free: when the missing
    one comes, and then it again, both are accepted."""
    bench = Bench()
    made = written_messages(bench, 3)
    bench.feed(made[1].value, made[2].value)
    bench.now += PARKED_MS - 1
    assert bench.feed().receipts == ()
    bench.crash()
    bench.now += 1
    expired = bench.feed()
    assert expired.codes == ["SEQUENCE_GAP", "SEQUENCE_GAP"]
    assert [item["value"] for item in expired.quarantine] == [made[1].value, made[2].value]
    assert bench.loaded() == bench.shard
    assert accepted(bench.feed(*(each.value for each in made))) == [1, 2, 3]


def test_a_thousand_wait_and_one_more_does_not() -> None:
    """At most 1,000 messages of a stream wait for an earlier one; the next is refused as TOO_MANY_PARKED and its number stays free."""
    line = Stream(last_seq=1, last_leaf=bytes(32))
    for seq in range(3, 3 + PARKED_LIMIT):
        assert line.turn(seq, bytes(32), bytes(32)) == Early(2, full=False)
        line.park(Parked(seq, bytes(32), Record("out.X", 0, seq, 0, None, b"x"), 0))
    assert line.turn(3 + PARKED_LIMIT, bytes(32), bytes(32)) == Early(2, full=True)


def test_eight_mebibytes_wait_and_no_more() -> None:
    """Waiting records of a stream are bounded in bytes as well: a flood of large ones cannot fill the worker's memory."""
    line = Stream()
    share = PARKED_BYTES // 8
    for seq in range(2, 10):
        assert line.turn(seq, bytes(32), bytes(32)) == Early(1, full=False)
        line.park(Parked(seq, bytes(32), Record("out.X", 0, seq, 0, None, bytes(share)), 0))
    assert line.turn(10, bytes(32), bytes(32)) == Early(1, full=True)


def test_too_many_parked_is_answered_and_heals(monkeypatch: pytest.MonkeyPatch) -> None:
    """The refusal for want of room is signed and quarantined like any other, and the same bytes are accepted later on."""
    monkeypatch.setattr(sequence, "PARKED_LIMIT", 2)
    bench = Bench()
    made = written_messages(bench, 4)
    full = bench.feed(*(each.value for each in made[1:]))
    assert (full.tally.parked, full.codes) == (2, ["TOO_MANY_PARKED"])
    assert full.quarantine[0]["value"] == made[3].value
    assert accepted(bench.feed(made[0].value, made[3].value)) == [1, 2, 3, 4]


def test_equivocation_is_kept_as_evidence() -> None:
    """Another message under a used number is refused with both leaves known, whether the first one was accepted or still waits;
    the stream is not harmed."""
    bench = Bench()
    made = written_messages(bench, 3)
    twin = bench.author()
    others = [twin.write(bench.alert(50 + number), now_ms=bench.now) for number in range(3)]
    written = bench.feed(made[0].value, others[0].value, made[2].value, others[2].value)
    assert written.codes == ["", "EQUIVOCATION", "EQUIVOCATION"]
    assert made[0].leaf.hex()[:16] in written.receipts[1].reason
    assert [item["leaf"] for item in written.quarantine] == [others[0].leaf, others[2].leaf]
    bench.crash()
    assert bench.feed(others[0].value).codes == ["EQUIVOCATION"]
    assert accepted(bench.feed(made[1].value)) == [2, 3]


def test_broken_chain_uses_up_the_number_and_the_stream_goes_on() -> None:
    """A message that names another predecessor than the one consumed is refused; its own successors are not."""
    bench = Bench()
    author = bench.author()
    first = author.write(bench.alert(1), now_ms=bench.now)
    broken = author.write(bench.alert(2), now_ms=bench.now, prev=bytes(32))
    third = author.write(bench.alert(3), now_ms=bench.now)
    written = bench.feed(first.value, broken.value, third.value)
    assert written.codes == ["", "BROKEN_CHAIN", ""]
    assert written.quarantine[0]["value"] == broken.value


def test_broken_chain_is_found_among_parked_messages() -> None:
    """Whoever waited is checked against the chain when its turn comes."""
    bench = Bench()
    author = bench.author()
    first = author.write(bench.alert(1), now_ms=bench.now)
    broken = author.write(bench.alert(2), now_ms=bench.now, prev=bytes(32))
    third = author.write(bench.alert(3), now_ms=bench.now)
    assert bench.feed(third.value, broken.value, first.value).codes == ["", "BROKEN_CHAIN", ""]


def test_number_of_long_ago_is_stale() -> None:
    """Of the last 512 numbers the receipt is given again; what lies further back is refused as STALE_SEQUENCE, loaded state or not."""
    bench = Bench()
    made = written_messages(bench, WINDOW + 1)
    first = bench.feed(*(each.value for each in made))
    assert first.tally.accepted == WINDOW + 1
    assert bench.loaded() == bench.shard
    assert bench.loaded(bench.compacted()) == bench.shard
    assert bench.feed(made[0].value, made[1].value).codes == ["STALE_SEQUENCE", ""]
    bench.crash()
    again = bench.feed(made[0].value, made[1].value, made[-1].value)
    assert again.codes == ["STALE_SEQUENCE", "", ""]
    assert again.notes[1:] == (first.notes[1], first.notes[-1])


def test_key_revoked_while_parked() -> None:
    """A message that waited is judged when its turn comes: with its key revoked meanwhile it is refused, its number stays free, and
    a message under a good key takes it."""
    bench = Bench()
    new = key("the next key")
    bench.desk.enroll("SG-CUSTOMS", new)
    author = bench.author()
    first = author.write(bench.alert(1), now_ms=bench.now, by=new)
    old_second = author.write(bench.alert(2), now_ms=bench.now)
    bench.feed(old_second.value)
    bench.desk.revoke("SG-CUSTOMS", since_ms=bench.now, at_ms=bench.now)
    assert bench.feed(first.value).codes == ["", "KEY_NOT_VALID"]
    author.seq, author.prev = 1, first.leaf
    assert accepted(bench.feed(author.write(bench.alert(2), now_ms=bench.now, by=new).value)) == [2]


def test_streams_are_apart() -> None:
    """What happens in one stream, of the same agency or of another with the very same stream id, never touches another."""
    bench = Bench()
    mine = written_messages(bench, 3)
    second = written_messages(bench, 2, seed=1)
    foreign = written_messages(bench, 2, agency="MY-CUSTOMS")
    assert foreign[0].header.stream == mine[0].header.stream
    bench.feed(mine[0].value, mine[2].value)
    written = bench.feed(second[0].value, bench.record(foreign[1].value, outbox="MY-CUSTOMS"), second[1].value)
    assert accepted(written) == [1, 2]
    assert accepted(bench.feed(bench.record(foreign[0].value, outbox="MY-CUSTOMS"))) == [1, 2]
    assert accepted(bench.feed(mine[1].value)) == [2, 3]


def test_every_turn_of_a_number() -> None:
    """The meaning of a number by where the stream stands: next, broken, early, duplicate, equivocation, stale."""
    leaf, other = bytes(32), bytes([1]) * 32
    line = Stream()
    assert line.turn(1, leaf, None) == Next()
    assert line.turn(1, leaf, other) == BrokenChain(None)
    line.consume(1, leaf, "first")
    assert line.turn(1, leaf, None) == Duplicate("first")
    assert line.turn(1, other, None) == Equivocation(Consumed(1, leaf, "first"))
    assert line.turn(2, other, leaf) == Next()
    assert line.turn(2, other, other) == BrokenChain(leaf)
    assert line.turn(3, other, leaf) == Early(2, full=False)
    line.park(Parked(3, other, Record("out.X", 0, 9, 0, None, b"x"), 0))
    assert line.turn(3, other, leaf) == Duplicate(None)
    assert line.turn(3, leaf, leaf) == Equivocation(line.parked[3])
    for seq in range(2, WINDOW + 2):
        line.consume(seq, leaf, "later")
    assert line.turn(1, leaf, None) == Stale()


def test_parked_message_from_the_future_is_refused_in_its_turn() -> None:
    """Waiting is no way around the clock: the claimed time is held against the time when the record reached the exchange."""
    bench = Bench()
    author = bench.author()
    first = author.write(bench.alert(1), now_ms=bench.now)
    ahead = author.write(bench.alert(2), now_ms=bench.now, issued_at=bench.now + 300_001)
    bench.feed(ahead.value)
    bench.now += 30_000
    assert bench.feed(first.value).codes == ["", "FROM_THE_FUTURE"]
