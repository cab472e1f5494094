"""The relay's shard under any order of records, duplicates, forgeries, lost commits and crashes: exactly once and in order."""

from __future__ import annotations

from functools import lru_cache

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from broker.exchange.receive import Received, receive
from broker.exchange.records import Outgoing, Record
from broker.exchange.relay import Batch
from broker.exchange.topology import JOURNAL, QUARANTINE
from tests.support.parcels import Made
from tests.unit.exchange.bench import NOW, RELAY, Bench

LENGTH = 6
STREAMS = 2
PLACES = st.tuples(st.integers(0, STREAMS - 1), st.integers(0, LENGTH - 1))


@lru_cache(maxsize=1)
def messages() -> tuple[list[list[Made]], list[list[Made]]]:
    """Two streams of an agency, and for each message a twin that is signed under the same number."""
    bench = Bench()
    kinds: list[list[list[Made]]] = []
    for shift in (0, 5000):
        streams: list[list[Made]] = []
        for stream in range(STREAMS):
            author = bench.author(seed=stream)
            streams.append([author.write(bench.alert(shift + 100 * stream + n), now_ms=NOW) for n in range(LENGTH)])
        kinds.append(streams)
    return kinds[0], kinds[1]


class RelayMachine(RuleBasedStateMachine):
    """An outbox, a shard, and what was ever committed."""

    def __init__(self) -> None:
        super().__init__()
        self.bench = Bench()
        self.outbox: list[Record] = []
        self.committed: list[Outgoing] = []
        self.seen = 0
        self.receipts: dict[bytes, bytes] = {}
        self.delivered: list[Received] = []

    def put(self, value: bytes) -> None:
        self.outbox.append(Record("out.SG-CUSTOMS", 0, len(self.outbox), self.bench.now, b"k", value))

    @rule(place=PLACES)
    def send(self, place: tuple[int, int]) -> None:
        self.put(messages()[0][place[0]][place[1]].value)

    @rule(stream=st.integers(0, STREAMS - 1))
    def send_all(self, stream: int) -> None:
        for made in messages()[0][stream]:
            self.put(made.value)

    @rule(place=PLACES)
    def send_twin(self, place: tuple[int, int]) -> None:
        self.put(messages()[1][place[0]][place[1]].value)

    @rule(place=PLACES, cut=st.integers(0, 900))
    def send_damaged(self, place: tuple[int, int], cut: int) -> None:
        self.put(messages()[0][place[0]][place[1]].value[:cut])

    @rule(seconds=st.sampled_from([1, 59, 61]))
    def wait(self, seconds: int) -> None:
        self.bench.now += seconds * 1000

    @rule()
    def compact(self) -> None:
        self.bench.log = self.bench.compacted()

    @rule(count=st.integers(1, 20), outcome=st.sampled_from(["commit", "commit", "commit", "lose", "keep"]))
    def work(self, count: int, outcome: str) -> None:
        """One batch. ``lose``: the worker died before the commit. ``keep``: after it, without learning of it."""
        bench = self.bench
        batch = Batch(bench.shard, bench.rules, bench.decider, alg=RELAY.alg, kid=RELAY.kid)
        first = bench.shard.position("out.SG-CUSTOMS")
        for record in self.outbox[first : first + count]:
            batch.take(record, now_ms=bench.now)
        batch.expire(now_ms=bench.now)
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
        for record in self.committed[self.seen :]:
            if record.topic == "in.SG-CUSTOMS":
                receipt = self.bench.read(record.value or b"")
                if receipt.leaf is not None and receipt.code not in ("SEQUENCE_GAP", "EQUIVOCATION"):
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
        for stream in messages()[0]:
            seqs = [received.header.seq for received in self.delivered if received.header.stream == stream[0].header.stream]
            assert seqs == sorted(set(seqs))

    def teardown(self) -> None:
        """A publisher sends again whatever it has no answer for: then every number is used up, and what was accepted was delivered."""
        for stream in messages()[0]:
            for made in stream:
                self.put(made.value)
        for _ in range(3):
            self.work(len(self.outbox), "commit")
        self.each_leaf_has_one_final_answer()
        self.deliveries_are_a_chain_without_gap_or_repetition()
        assert self.bench.shard.position("out.SG-CUSTOMS") == len(self.outbox)
        for stream in messages()[0]:
            assert self.bench.shard.stream("SG-CUSTOMS", stream[0].header.stream).last_seq == LENGTH
        accepted = {leaf for leaf, note in self.receipts.items() if self.bench.read(note).outcome == "ACCEPTED"}
        assert {received.leaf for received in self.delivered} == accepted
        assert sum(record.topic == JOURNAL for record in self.committed) <= len(accepted)
        hostile = {made.leaf for stream in messages()[1] for made in stream}
        if not hostile & set(self.receipts):
            assert accepted == {made.leaf for stream in messages()[0] for made in stream}
        assert all(record.value for record in self.committed if record.topic == QUARANTINE)


class TestRelay(RelayMachine.TestCase):
    """Nothing is lost, doubled or reordered, whatever arrives and whenever the worker dies."""

    settings = settings(max_examples=80, stateful_step_count=25, deadline=None)
