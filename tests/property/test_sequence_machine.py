"""A shard's memory against its written form: whatever happens, what was drained and loaded again is the same memory."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from broker.exchange import sequence, shard
from broker.exchange.records import Record
from broker.exchange.sequence import BrokenChain, Duplicate, Early, Equivocation, Next, Parked, Stale, Stream
from broker.exchange.shard import Answer, ShardState, SubjectState
from broker.exchange.topology import STATE

AGENCIES = st.sampled_from(["SG-CUSTOMS", "MY-CUSTOMS"])
STREAMS = st.sampled_from([bytes(16), bytes([255]) * 16, bytes([7]) * 16])
LEAVES = st.binary(min_size=32, max_size=32)
TEXTS = st.text("abc/.-", min_size=1, max_size=8)
SMALL_WINDOW = 3
FEW_ANSWERS = 5


@contextmanager
def small_window() -> Generator[None]:
    """Few numbers are kept, of a stream and of an agency, so that a short run goes round the ring and streams come to rest."""
    before: tuple[Any, Any, Any] = sequence.WINDOW, shard.WINDOW, shard.ANSWERS_LIMIT
    setattr(sequence, "WINDOW", SMALL_WINDOW)  # noqa: B010 - a Final is set on purpose
    setattr(shard, "WINDOW", SMALL_WINDOW)  # noqa: B010
    setattr(shard, "ANSWERS_LIMIT", FEW_ANSWERS)  # noqa: B010
    try:
        yield
    finally:
        setattr(sequence, "WINDOW", before[0])  # noqa: B010
        setattr(shard, "WINDOW", before[1])  # noqa: B010
        setattr(shard, "ANSWERS_LIMIT", before[2])  # noqa: B010


class ShardMachine(RuleBasedStateMachine):
    """Random operations on a shard; at any point the log may be read back, whole or compacted."""

    def __init__(self) -> None:
        super().__init__()
        self._window = small_window()
        self._window.__enter__()
        self.state = ShardState(2)
        self.log: list[Record] = []
        self.now = 1_800_000_000_000
        self.offset = 0

    def teardown(self) -> None:
        self._window.__exit__(None, None, None)

    @rule(agency=AGENCIES, stream=STREAMS, leaf=LEAVES, key=TEXTS, note=st.binary(max_size=9))
    def consume(self, agency: str, stream: bytes, leaf: bytes, key: str, note: bytes) -> None:
        seq = self.state.stream(agency, stream).last_seq + 1
        self.state.consume(agency, stream, seq, leaf, Answer(agency, key.encode(), note))

    @rule(agency=AGENCIES, stream=STREAMS, ahead=st.integers(2, 5), leaf=LEAVES, value=st.binary(max_size=9))
    def park(self, agency: str, stream: bytes, ahead: int, leaf: bytes, value: bytes) -> None:
        seq = self.state.stream(agency, stream).last_seq + ahead
        record = Record(f"out.{agency}", 0, self.offset, self.now, b"k", value)
        self.state.park(agency, stream, Parked(seq, leaf, record, self.now))

    @rule(agency=AGENCIES, stream=STREAMS, ahead=st.integers(1, 5))
    def unpark(self, agency: str, stream: bytes, ahead: int) -> None:
        self.state.unpark(agency, stream, self.state.stream(agency, stream).last_seq + ahead)

    @rule(agency=AGENCIES, hours=st.integers(0, 60))
    def move(self, agency: str, hours: int) -> None:
        self.offset += 1
        self.now += hours * 3_600_000
        self.state.move(Record(f"out.{agency}", 0, self.offset, self.now, None, b""), self.now)

    @rule(agency=AGENCIES)
    def trim(self, agency: str) -> None:
        position = self.state.positions.get(f"out.{agency}")
        if position is not None and position.trimmable(self.now) is not None:
            self.state.touch_position(f"out.{agency}")

    @rule(name=TEXTS, revision=st.integers(1, 2**31 - 1), leaf=LEAVES, recipients=st.lists(AGENCIES, max_size=2))
    def accept(self, name: str, revision: int, leaf: bytes, recipients: list[str]) -> None:
        self.state.accept(f"SG-CUSTOMS/{name}", SubjectState("alert", revision, leaf, tuple(recipients)))

    @rule(agency=AGENCIES, leaf=LEAVES)
    def deliver(self, agency: str, leaf: bytes) -> None:
        self.state.deliver(agency, leaf)

    @rule()
    def commit(self) -> None:
        for out in self.state.drain():
            assert (out.topic, out.partition) == (STATE, 2)
            self.log.append(Record(STATE, 2, len(self.log), self.now, out.key, out.value))

    @rule(compacted=st.booleans())
    def reload(self, compacted: bool) -> None:
        self.commit()
        if compacted:
            last = {record.key: record for record in self.log}
            self.log = [record for record in self.log if last[record.key] is record]
        loaded = ShardState(2)
        for record in self.log:
            loaded.load(record)
        # A stream that was only looked at has nothing to be remembered by.
        assert loaded.streams == {name: line for name, line in self.state.streams.items() if line != Stream() or name in loaded.streams}
        loaded.streams |= self.state.streams
        assert loaded == self.state
        self.state = loaded

    @invariant()
    def window_is_bounded(self) -> None:
        assert all(len(line.consumed) <= SMALL_WINDOW for line in self.state.streams.values())

    @invariant()
    def accounts_are_right(self) -> None:
        """What is counted for an agency is what is there, and no more answers are kept than it may have."""
        streams = self.state.streams
        assert set(self.state.accounts) == {agency for agency, _ in streams}
        for agency, account in self.state.accounts.items():
            lines = {stream: line for (owner, stream), line in streams.items() if owner == agency}
            assert account.streams == len(lines)
            assert account.waiting_bytes == sum(line.parked_bytes for line in lines.values())
            assert account.answers == {stream: len(line.consumed) for stream, line in lines.items() if line.consumed}
            assert account.total == sum(account.answers.values()) <= FEW_ANSWERS
        assert self.state.waiting == {name for name, line in streams.items() if line.parked}

    @invariant()
    def nothing_is_there_to_be_forgotten(self) -> None:
        """A stream of which nothing was consumed and nothing waits takes no place."""
        assert all(line.last_seq or line.parked for line in self.state.streams.values())


class TurnMachine(RuleBasedStateMachine):
    """A stream against a model that remembers every number for ever."""

    def __init__(self) -> None:
        super().__init__()
        self._window = small_window()
        self._window.__enter__()
        self.line = Stream()
        self.consumed: dict[int, bytes] = {}
        self.parked: dict[int, bytes] = {}

    def teardown(self) -> None:
        self._window.__exit__(None, None, None)

    @rule(seq=st.integers(1, 12), leaf=st.sampled_from([b"a" * 32, b"b" * 32]), right=st.booleans())
    def arrive(self, seq: int, leaf: bytes, right: bool) -> None:
        last = len(self.consumed)
        before = self.consumed.get(last)
        prev = before if right else b"x" * 32
        turn = self.line.turn(seq, leaf, prev)
        match turn:
            case Next():
                assert (seq, right) == (last + 1, True)
            case BrokenChain(expected):
                assert (seq, right, expected) == (last + 1, False, before)
            case Duplicate(answer):
                assert leaf == (self.consumed if seq <= last else self.parked)[seq]
                assert answer == (seq if seq <= last else None)
            case Equivocation(first):
                assert first.leaf == (self.consumed if seq <= last else self.parked)[seq] != leaf
            case Early(expected_seq, full):
                assert seq > last + 1 == expected_seq
                assert not full
                self.parked[seq] = leaf
                self.line.park(Parked(seq, leaf, Record("out.X", 0, 0, 0, None, b""), 0))
            case Stale():
                assert seq <= last - SMALL_WINDOW
        if isinstance(turn, Next | BrokenChain):
            self._consume(seq, leaf)
            while self.line.unpark(len(self.consumed) + 1) is not None:
                self._consume(len(self.consumed) + 1, self.parked.pop(len(self.consumed) + 1))

    def _consume(self, seq: int, leaf: bytes) -> None:
        self.line.consume(seq, leaf, seq)
        self.consumed[seq] = leaf

    @invariant()
    def agrees(self) -> None:
        assert self.line.last_seq == len(self.consumed)
        assert self.line.last_leaf == self.consumed.get(len(self.consumed))


class TestShard(ShardMachine.TestCase):
    """Drained and loaded, whole or compacted, at any point: the state is equal."""

    settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


class TestTurns(TurnMachine.TestCase):
    """What a number means is what the model says."""

    settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
