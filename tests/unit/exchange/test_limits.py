"""What one agency can make a shard remember, and what one transaction writes: bounded, and nothing is lost by it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from broker.exchange import relay, shard
from broker.exchange.records import Record
from broker.exchange.relay import BUDGET, Batch
from broker.exchange.shard import STREAMS_LIMIT, Answer, ShardState
from broker.exchange.topology import QUARANTINE
from tests.support.parcels import Made, key
from tests.unit.exchange.bench import NOW, RELAY, Bench, Written
from tests.unit.exchange.test_sequence import accepted, written_messages


def used(state: ShardState, agency: str, stream: int) -> None:
    """A stream of which one message was consumed."""
    state.consume(agency, stream.to_bytes(16, "big"), 1, bytes(32), Answer(agency, b"r/x", b"note"))


def test_one_stream_more_than_there_may_be() -> None:
    """With 4,096 streams, the next is refused as TOO_MANY_STREAMS whatever its number, its bytes are in quarantine and it is not
    remembered; those that are known go on, and another agency is not concerned. The same after the state was read back."""
    bench = Bench()
    (first, second) = written_messages(bench, 2)
    assert bench.feed(first.value).codes == [""]
    for number in range(STREAMS_LIMIT - 1):
        used(bench.shard, "SG-CUSTOMS", number)
    foreign = bench.record(written_messages(bench, 1, agency="MY-CUSTOMS", seed=1)[0].value, outbox="MY-CUSTOMS")
    more = written_messages(bench, 2, seed=9)
    written = bench.feed(more[0].value, more[1].value, foreign, second.value)
    assert written.codes == ["TOO_MANY_STREAMS", "TOO_MANY_STREAMS", "", ""]
    assert [item["value"] for item in written.quarantine] == [more[0].value, more[1].value]
    assert str(STREAMS_LIMIT) in written.receipts[0].reason
    assert bench.shard.accounts["SG-CUSTOMS"].streams == STREAMS_LIMIT
    assert bench.loaded() == bench.shard
    bench.crash()
    assert bench.feed(more[0].value).codes == ["TOO_MANY_STREAMS"]


def test_stream_that_came_to_nothing_takes_no_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """A message that waits is a stream; when it is refused because the first never came there is room again, for another stream or for
    the same."""
    for module in (shard, relay):
        monkeypatch.setattr(module, "STREAMS_LIMIT", 1)
    bench = Bench()
    waits, other = written_messages(bench, 2), written_messages(bench, 1, seed=1)
    assert bench.feed(waits[1].value, other[0].value).codes == ["TOO_MANY_STREAMS"]
    bench.crash()
    bench.now += 60_000
    assert bench.feed().codes == ["SEQUENCE_GAP"]
    assert bench.shard.accounts == {}
    assert bench.loaded() == bench.shard
    assert bench.feed(waits[0].value, waits[1].value, other[0].value).codes == ["", "", "TOO_MANY_STREAMS"]


def test_answers_are_bounded_and_the_stream_that_rested_longest_forgets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Over the limit, the stream that was not used for longest keeps number and leaf only. What comes of it again is stale, what comes
    next is accepted; nothing is accepted twice, and the others still give their receipts again. Another agency keeps all of its own."""
    monkeypatch.setattr(shard, "ANSWERS_LIMIT", 6)
    bench = Bench()
    lines = [written_messages(bench, 4, seed=seed) for seed in range(3)]
    foreign = written_messages(bench, 3, agency="MY-CUSTOMS", seed=3)
    bench.feed(*(bench.record(made.value, outbox="MY-CUSTOMS") for made in foreign))
    for line in (lines[0], lines[1], lines[0][:0], lines[2]):
        assert set(bench.feed(*(made.value for made in line[:3])).codes) <= {""}
    assert bench.shard.accounts["SG-CUSTOMS"].total == 6
    assert bench.loaded() == bench.shard == bench.loaded(bench.compacted())
    bench.crash()
    again = bench.feed(lines[0][2].value, lines[1][2].value, lines[2][2].value, bench.record(foreign[0].value, outbox="MY-CUSTOMS"))
    assert again.codes == ["STALE_SEQUENCE", "", "", ""]
    assert (again.tally.duplicates, again.tally.accepted) == (3, 0)
    assert again.quarantine[0]["value"] == b""
    assert accepted(bench.feed(lines[0][3].value)) == [4]
    assert bench.shard.accounts["SG-CUSTOMS"].total <= 6
    assert bench.feed(lines[0][3].value).tally.duplicates == 1


def test_used_again_is_not_the_one_that_rested(monkeypatch: pytest.MonkeyPatch) -> None:
    """What counts is when a stream was used last, not when it was begun."""
    monkeypatch.setattr(shard, "ANSWERS_LIMIT", 6)
    bench = Bench()
    lines = [written_messages(bench, 4, seed=seed) for seed in range(3)]
    bench.feed(*(made.value for made in (*lines[0][:2], *lines[1][:2], lines[0][2])))
    bench.crash()
    bench.feed(*(made.value for made in lines[2][:2]))
    assert bench.feed(lines[0][0].value, lines[1][0].value).codes == ["", "STALE_SEQUENCE"]


def test_waiting_bytes_of_an_agency_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Over all its streams an agency lets no more bytes wait than it may: what is over that is refused as TOO_MANY_PARKED and may be sent
    again; another agency's messages wait as before, and when the first come, all is accepted."""
    bench = Bench()
    lines = [written_messages(bench, 3, seed=seed) for seed in range(3)]
    foreign = written_messages(bench, 2, agency="MY-CUSTOMS", seed=3)
    monkeypatch.setattr(shard, "WAITING_BYTES", len(lines[0][1].value) * 2)
    early = bench.feed(*(line[1].value for line in lines), lines[0][2].value, bench.record(foreign[1].value, outbox="MY-CUSTOMS"))
    assert (early.tally.parked, early.codes) == (3, ["TOO_MANY_PARKED", "TOO_MANY_PARKED"])
    assert bench.loaded() == bench.shard
    bench.crash()
    assert bench.feed(lines[1][2].value).codes == ["TOO_MANY_PARKED"]
    for line in lines:
        assert set(accepted(bench.feed(*(made.value for made in line)))) == {1, 2, 3}
    assert bench.shard.accounts["SG-CUSTOMS"].waiting_bytes == 0


class Offers:
    """Offers an outbox's records to batches until all are taken. ``sizes`` are how many each took."""

    def __init__(self, bench: Bench, values: Sequence[bytes]) -> None:
        self.bench = bench
        self.records: list[Record] = [bench.record(value) for value in values]
        self.sizes: list[int] = []

    def batch(self, *, lost: bool = False) -> Written | None:
        """One batch. ``lost``: the worker dies before its commit."""
        bench = self.bench
        batch = Batch(bench.shard, bench.rules, bench.decider, alg=RELAY.alg, kid=RELAY.kid)
        batch.resume(now_ms=bench.now)
        first = bench.shard.position("out.SG-CUSTOMS")
        for record in self.records[first:]:
            if batch.full:
                break
            assert batch.take(record, now_ms=bench.now)
        batch.expire(now_ms=bench.now)
        records = batch.sealed([RELAY.sign_now(message) for message in batch.to_be_signed()])
        if lost:
            bench.crash()
            return None
        self.sizes.append(bench.shard.position("out.SG-CUSTOMS") - first)
        return bench._sorted(batch.tally, records)  # pyright: ignore[reportPrivateUsage]

    def all(self) -> list[Written]:
        """Batches until nothing is left; every other one is lost at first, and done again."""
        found: list[Written] = []
        while self.bench.shard.position("out.SG-CUSTOMS") < len(self.records) or self.bench.shard.ready:
            if len(found) % 2:
                self.batch(lost=True)
            written = self.batch()
            assert written is not None
            found.append(written)
            assert len(found) < 100
            assert self.bench.loaded() == self.bench.shard
        return found


@pytest.mark.parametrize("order", [[*range(20)], [*range(1, 20), 0], [*range(19, -1, -1)]])
def test_full_batch_leaves_the_rest_to_the_next(monkeypatch: pytest.MonkeyPatch, order: list[int]) -> None:
    """With a budget of a few messages, several batches take what one would have: in order, each message once, whether they come in
    their turn or wait for the first and are all released by it, and though workers die in between."""
    monkeypatch.setattr(relay, "BUDGET", 25_000)
    bench = Bench()
    made = written_messages(bench, 20)
    offers = Offers(bench, [made[number].value for number in order])
    batches = offers.all()
    assert [seq for written in batches for seq in accepted(written)] == list(range(1, 21))
    assert len(batches) > 3
    assert [record.key for written in batches for record in written.inbox("MY-CUSTOMS")] == [
        f"s/SG-CUSTOMS/2026/{number:06}".encode() for number in range(1, 21)
    ]
    for written in batches:
        assert sum(len(record.value or b"") for record in written.records) < 3 * 25_000
    assert bench.shard.waiting == set()


def test_what_was_resumed_and_refused_does_not_stand_in_the_way() -> None:
    """A message that waited has its turn in the next batch, and its key was revoked meanwhile: it is refused, and whatever waited behind
    it goes on waiting for its number, not for ever."""
    bench = Bench()
    new = key("the next key")
    bench.desk.enroll("SG-CUSTOMS", new)
    author = bench.author()
    first = author.write(bench.alert(1), now_ms=bench.now)
    old = author.write(bench.alert(2), now_ms=bench.now, by=new)
    third = author.write(bench.alert(3), now_ms=bench.now)
    bench.feed(old.value, third.value)
    batch = Batch(bench.shard, bench.rules, bench.decider, alg=RELAY.alg, kid=RELAY.kid)
    batch._weight = BUDGET - 1  # pyright: ignore[reportPrivateUsage]
    assert batch.take(bench.record(first.value), now_ms=bench.now)
    assert batch.full
    bench.remember(batch.sealed([RELAY.sign_now(message) for message in batch.to_be_signed()]))
    assert bench.shard.ready
    known = next(entry for entry in bench.desk.directory.keys_of("SG-CUSTOMS") if entry.kid == new.kid)
    bench.desk.enter(bench.desk.key_entry(replace(known, status="revoked", compromised_since_ms=NOW, issued_at_ms=NOW + 1)))
    assert bench.feed().codes == ["KEY_NOT_VALID"]
    assert not bench.shard.ready
    assert bench.loaded() == bench.shard
    bench.now += 60_000
    assert bench.feed().codes == ["SEQUENCE_GAP"]


def test_a_patient_batch_leaves_an_unknown_key_alone() -> None:
    """A record under a key that is not in the directory, or not valid, is not taken and moves no position; the same record is refused by
    a batch that is not patient, and any other bad record by both."""
    bench = Bench()
    made = bench.author().write(bench.alert(1), now_ms=bench.now, by=key("nobody's"))
    record = bench.record(made.value)
    for patient in (True, False):
        batch = Batch(bench.shard, bench.rules, bench.decider, alg=RELAY.alg, kid=RELAY.kid, patient=patient)
        assert batch.take(record, now_ms=bench.now) != patient
        assert batch.empty == patient
        assert batch.take(bench.record(b"garbage"), now_ms=bench.now)
        assert batch.tally.refused == ({"NOT_A_PARCEL": 1} if patient else {"UNKNOWN_KEY": 1, "NOT_A_PARCEL": 1})


def test_big_receipts_given_again_count() -> None:
    """A duplicate weighs what its receipt weighs: whoever has large receipts cannot have hundreds of them written in one batch."""
    bench = Bench()
    (made,) = written_messages(bench, 1)
    bench.feed(made.value)
    answer = bench.shard.stream("SG-CUSTOMS", made.header.stream).consumed[1].answer
    answer.note = bytes(BUDGET // 4)
    batch = Batch(bench.shard, bench.rules, bench.decider, alg=RELAY.alg, kid=RELAY.kid)
    taken = 0
    while not batch.full:
        assert batch.take(bench.record(made.value), now_ms=bench.now)
        taken += 1
    assert taken == 4


def test_evidence_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of more equivocations than a batch proves, each is refused and in quarantine, and the first ones have both messages."""
    monkeypatch.setattr(relay, "PROOFS", 2)
    bench = Bench()
    made = written_messages(bench, 4)
    twin = bench.author()
    others: list[Made] = [twin.write(bench.alert(50 + number), now_ms=bench.now) for number in range(4)]
    bench.feed(*(each.value for each in made[:3]))
    written = bench.feed(*(each.value for each in others[:3]))
    assert written.codes == ["EQUIVOCATION"] * 3
    assert [item["first"]["value"] for item in written.quarantine] == [made[0].value, made[1].value, None]
    assert [item["first"]["leaf"] for item in written.quarantine] == [each.leaf for each in made[:3]]
    assert len(written.to(QUARANTINE)) == 3


def test_first_message_that_is_not_what_was_read_proves_nothing() -> None:
    """The outbox gives another record for the place, or none: the evidence names leaf and place, and no bytes."""
    bench = Bench()
    (made,), twin = written_messages(bench, 1), bench.author()
    other = twin.write(bench.alert(50), now_ms=bench.now)
    bench.feed(made.value)
    for answer in ([], [Record("out.SG-CUSTOMS", 0, 0, NOW, None, other.value)], [Record("out.SG-CUSTOMS", 0, 0, NOW, None, b"x")]):
        batch = Batch(bench.shard, bench.rules, bench.decider, alg=RELAY.alg, kid=RELAY.kid)
        assert batch.take(bench.record(other.value), now_ms=bench.now)
        assert batch.wanted == [("out.SG-CUSTOMS", 0, 0)]
        batch.found(answer)
        written = bench._sorted(  # pyright: ignore[reportPrivateUsage]
            batch.tally, batch.sealed([RELAY.sign_now(message) for message in batch.to_be_signed()])
        )
        assert written.quarantine[0]["first"] == {"leaf": made.leaf, "offset": 0, "timestamp": None, "value": None}


def test_large_answers_are_bounded_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Receipts that name many recipients are large: over so many bytes the stream that rested longest keeps none, and the only one keeps
    its latest. What is forgotten is stale when it comes again, and is never accepted twice."""
    bench = Bench()
    lines = [written_messages(bench, 5, seed=seed) for seed in range(2)]
    bench.feed(lines[0][0].value)
    one = bench.shard.accounts["SG-CUSTOMS"].answer_bytes
    monkeypatch.setattr(shard, "ANSWERS_BYTES", 3 * one + one // 2)
    bench.feed(*(made.value for made in lines[0][1:]))
    assert bench.shard.accounts["SG-CUSTOMS"].total == 3
    assert bench.loaded() == bench.shard == bench.loaded(bench.compacted())
    bench.feed(lines[1][0].value)
    assert list(bench.shard.accounts["SG-CUSTOMS"].answers.values()) == [1]
    bench.crash()
    assert bench.shard.accounts["SG-CUSTOMS"].answer_bytes <= 3 * one + one // 2
    again = bench.feed(*(made.value for made in lines[0]), lines[1][0].value)
    assert (again.tally.accepted, again.tally.duplicates) == (0, 1)
    assert set(again.codes) == {"STALE_SEQUENCE", ""}
