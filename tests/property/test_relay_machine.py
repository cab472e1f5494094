"""The relay's shard under any order of records, duplicates, forgeries, full batches, lost commits and crashes: exactly once, in order."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Generator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from broker import ids
from broker.exchange import relay, sequence, shard
from broker.exchange.receive import Received, receive
from broker.exchange.records import Outgoing, Record
from broker.exchange.relay import Batch
from broker.exchange.topology import JOURNAL, QUARANTINE
from tests.support.parcels import Made
from tests.unit.exchange.bench import NOW, RELAY, Bench

LENGTH = 6
AGENCIES = ("SG-CUSTOMS", "AE-CUSTOMS")
STREAMS = 2
OWNERS = st.sampled_from(AGENCIES)
PLACES = st.tuples(OWNERS, st.integers(0, STREAMS - 1), st.integers(0, LENGTH - 1))
Messages = dict[str, list[list[Made]]]
"""Of each agency, its streams."""


@lru_cache(maxsize=1)
def messages() -> tuple[Messages, Messages]:
    """Two streams of each agency, and for each message a twin that is signed under the same number."""
    bench = Bench()
    kinds: list[Messages] = []
    for shift in (0, 5000):
        made: Messages = {}
        for agency in AGENCIES:
            authors = [bench.author(agency, seed=seed) for seed in range(STREAMS)]
            made[agency] = [
                [author.write(bench.alert(shift + 100 * place + n, owner=agency), now_ms=NOW) for n in range(LENGTH)]
                for place, author in enumerate(authors)
            ]
        kinds.append(made)
    return kinds[0], kinds[1]


@contextmanager
def limits(**values: int) -> Generator[None]:
    """Other limits of the relay, for a while."""
    modules: tuple[Any, ...] = (relay, sequence, shard)
    before = [(module, name, getattr(module, name)) for name in values for module in modules if hasattr(module, name)]
    for module, name, _ in before:
        setattr(module, name, values[name])
    try:
        yield
    finally:
        for module, name, value in before:
            setattr(module, name, value)


class RelayMachine(RuleBasedStateMachine):
    """Outboxes, a shard, and what was ever committed."""

    forgetful = False

    def __init__(self) -> None:
        super().__init__()
        self.bench = Bench()
        self.outboxes: dict[str, list[Record]] = defaultdict(list)
        self.committed: list[Outgoing] = []
        self.seen = 0
        self.receipts: dict[bytes, bytes] = {}
        self.delivered: list[Received] = []

    def put(self, owner: str, value: bytes) -> None:
        outbox = self.outboxes[owner]
        outbox.append(Record(ids.outbox(owner), 0, len(outbox), self.bench.now, b"k", value))

    @rule(place=PLACES)
    def send(self, place: tuple[str, int, int]) -> None:
        self.put(place[0], messages()[0][place[0]][place[1]][place[2]].value)

    @rule(owner=OWNERS, stream=st.integers(0, STREAMS - 1), backwards=st.booleans())
    def send_all(self, owner: str, stream: int, backwards: bool) -> None:
        for made in messages()[0][owner][stream][:: -1 if backwards else 1]:
            self.put(owner, made.value)

    @rule(place=PLACES)
    def send_twin(self, place: tuple[str, int, int]) -> None:
        self.put(place[0], messages()[1][place[0]][place[1]][place[2]].value)

    @rule(place=PLACES)
    def send_anothers(self, place: tuple[str, int, int]) -> None:
        other = AGENCIES[1 - AGENCIES.index(place[0])]
        self.put(other, messages()[0][place[0]][place[1]][place[2]].value)

    @rule(place=PLACES, cut=st.integers(0, 900))
    def send_damaged(self, place: tuple[str, int, int], cut: int) -> None:
        self.put(place[0], messages()[0][place[0]][place[1]][place[2]].value[:cut])

    @rule(seconds=st.sampled_from([1, 59, 61]))
    def wait(self, seconds: int) -> None:
        self.bench.now += seconds * 1000

    @rule()
    def compact(self) -> None:
        self.bench.log = self.bench.compacted()

    @rule(
        count=st.integers(1, 20),
        outcome=st.sampled_from(["commit", "commit", "commit", "lose", "keep"]),
        budget=st.sampled_from([1, 20_000, 16 << 20]),
        patient=st.booleans(),
    )
    def work(self, count: int, outcome: str, budget: int, patient: bool) -> None:
        """One batch, which is full after one message, after a few, or not at all. ``lose``: the worker died before the commit.
        ``keep``: after it, without learning of it."""
        bench = self.bench
        with limits(BUDGET=budget):
            batch = Batch(bench.shard, bench.rules, bench.decider, alg=RELAY.alg, kid=RELAY.kid, patient=patient)
            batch.resume(now_ms=bench.now)
            for owner in AGENCIES:
                first = bench.shard.position(ids.outbox(owner))
                for record in self.outboxes[owner][first : first + count]:
                    if not batch.full:
                        assert batch.take(record, now_ms=bench.now)
            batch.expire(now_ms=bench.now)
            batch.found([self.outboxes[topic.partition(".")[2]][offset] for topic, _, offset in batch.wanted])
        records = batch.sealed([RELAY.sign_now(message) for message in batch.to_be_signed()])
        if outcome != "lose":
            self.committed += records
            bench.remember(records)
        if outcome != "commit":
            bench.crash()

    @invariant()
    def state_is_what_was_written(self) -> None:
        assert self.bench.loaded() == self.bench.shard

    @invariant()
    def each_leaf_has_one_final_answer(self) -> None:
        """An answer that was forgotten is not given again, but never another one in its place, and nothing is accepted after it."""
        passing = ("SEQUENCE_GAP", "EQUIVOCATION", "WRONG_OUTBOX", *(("STALE_SEQUENCE",) if self.forgetful else ()))
        for record in self.committed[self.seen :]:
            owner = record.topic.partition(".")[2]
            if record.topic == ids.inbox(owner) and (record.key or b"").startswith(b"r/"):
                receipt = self.bench.read(record.value or b"")
                if receipt.leaf is not None and receipt.code not in passing:
                    assert self.receipts.setdefault(receipt.leaf, record.value or b"") == record.value
            elif record.topic == "in.MY-CUSTOMS":
                found = receive(record.value or b"", self.bench.rules, recipient="MY-CUSTOMS")
                assert isinstance(found, Received)
                self.delivered.append(found)
        self.seen = len(self.committed)

    @invariant()
    def deliveries_are_a_chain_without_gap_or_repetition(self) -> None:
        before: bytes | None = None
        for number, received in enumerate(self.delivered, 1):
            assert (received.slip.counter, received.slip.prev) == (number, before)
            before = received.leaf
        assert len({received.leaf for received in self.delivered}) == len(self.delivered)
        for owner in AGENCIES:
            for stream in messages()[0][owner]:
                own = [each.header for each in self.delivered if each.header.originator == owner]
                seqs = [header.seq for header in own if header.stream == stream[0].header.stream]
                assert seqs == sorted(set(seqs))

    def teardown(self) -> None:
        """A publisher sends again whatever it has no answer for: then every number is used up, and what was accepted was delivered."""
        honest = [made for owner in AGENCIES for stream in messages()[0][owner] for made in stream]
        for made in honest:
            self.put(made.header.originator, made.value)
        for _ in range(3):
            self.work(max(map(len, self.outboxes.values())), "commit", 16 << 20, False)
        self.each_leaf_has_one_final_answer()
        self.deliveries_are_a_chain_without_gap_or_repetition()
        assert not self.bench.shard.ready
        for owner in AGENCIES:
            assert self.bench.shard.position(ids.outbox(owner)) == len(self.outboxes[owner])
            for stream in messages()[0][owner]:
                assert self.bench.shard.stream(owner, stream[0].header.stream).last_seq == LENGTH
        accepted = {leaf for leaf, note in self.receipts.items() if self.bench.read(note).outcome == "ACCEPTED"}
        assert {received.leaf for received in self.delivered} == accepted
        assert sum(record.topic == JOURNAL for record in self.committed) <= len(accepted)
        hostile = {made.leaf for owner in AGENCIES for stream in messages()[1][owner] for made in stream}
        if not hostile & set(self.receipts):
            assert accepted == {made.leaf for made in honest}
        assert all(record.value for record in self.committed if record.topic == QUARANTINE)


class ForgetfulMachine(RelayMachine):
    """Hardly any answer is kept."""

    forgetful = True

    def __init__(self) -> None:
        super().__init__()
        self._limits = limits(WINDOW=3, ANSWERS_LIMIT=4)
        self._limits.__enter__()

    def teardown(self) -> None:
        try:
            super().teardown()
        finally:
            self._limits.__exit__(None, None, None)


class TestRelay(RelayMachine.TestCase):
    """Nothing is lost, doubled or reordered, whatever arrives, however full the batches, and whenever the worker dies."""

    settings = settings(max_examples=60, stateful_step_count=25, deadline=None)


class TestForgetfulRelay(ForgetfulMachine.TestCase):
    """Nor where answers are forgotten: then a message that comes again is stale, and is not accepted again."""

    settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
