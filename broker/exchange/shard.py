"""What one shard of the relay remembers, and how it stands in ``exchange.state``: one compacted partition a shard.

================================  ======================================================
key                               value (deterministic CBOR)
================================  ======================================================
``p/<topic>``                     [next offset, [[Unix ms, offset], ...] daily samples]
``q/<agency>/<stream>``           [last consumed seq, its leaf]
``d/<agency>/<stream>/<slot>``    [seq, leaf, inbox key, receipt note, offset]; slot = seq mod 512
``k/<agency>/<stream>/<seq>``     [topic, partition, offset, Unix ms, value, leaf, since]
``b/<subject>``                   [family, revision, leaf, [recipient, ...], state, [former, ...], decided, [untold, ...], [consent, ...]]
``c/<agency>``                    [deliveries so far into this inbox, leaf of the last]
``v/``                            [deciding, number, position, dated, again, until]
``h/``                            [decisions failed, remembered decisions checked, those that disagreed], since the exchange was made
================================  ======================================================

``offset`` is where the message lay in its agency's outbox, null where that is not known; ``state`` is the publication's, empty where
that is not known; former holders were given an earlier revision and not the last; ``decided`` is [given, Unix ms, offset, until, bound]
as :class:`Decided` has it, or null; the untold of the former holders do not know yet that it was taken back from them; a consent is
[agency, [section, ...], from, until, evidential, emergency, purposes], and without any the list is left out, as is ``bound``, which is
[[agency, sections, purposes], ...]; names are joined by spaces, for a row has a limit of items. A subject that cites files, and a chunk of
one, has one value more: [[file, chunks], ...] with the place of the section, or the citing subject. Rows that end before these are read
too: where nobody was told, all former holders are untold.

What one agency can make a shard remember is bounded: :data:`STREAMS_LIMIT` streams, of each at least number and leaf of the
last message for good; :data:`ANSWERS_LIMIT` answers and :data:`ANSWERS_BYTES` of them, beyond which the stream that rested longest
keeps nothing but that, and the only stream its later answers (``d`` rows are removed; a message that comes again is stale);
:data:`WAITING_BYTES` of records that wait.

Input positions live here and nowhere else: they move in the same transaction as what they caused. A shard that is lost is
discarded with everything in memory; whoever takes it reads this topic back.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Final, cast

from broker.envelope import cbor
from broker.exchange.records import Outgoing, Record
from broker.exchange.sequence import WINDOW, Consumed, Parked, Stream
from broker.exchange.subjects import Decided as Decided
from broker.exchange.subjects import SubjectState as SubjectState
from broker.exchange.subjects import narrowed, showing, subject_of, subject_row
from broker.exchange.topology import DAY_MS, STATE
from broker.policy.health import Health
from broker.values import immutable

TRIM_AFTER_MS: Final = 7 * DAY_MS
"""Outboxes are trimmed this far behind the relay's position."""


STREAMS_LIMIT: Final = 4096
"""Most streams of one agency. Each publisher store is one, for as long as it lives."""
ANSWERS_LIMIT: Final = 16 * WINDOW
"""Most answers kept for one agency over all its streams."""
ANSWERS_BYTES: Final = 8 << 20
"""About how many bytes these answers take at the most: a receipt that names 1,000 recipients, with two sections
withheld from each, has 106 kB."""
AT_ONCE: Final = 1
"""A date that has come (Unix ms)."""
WAITING_BYTES: Final = 32 << 20
"""Most bytes of one agency that wait for earlier messages, over all its streams."""


@dataclass(slots=True)
class Answer:
    """A receipt on its way to, or in, an agency's inbox. ``note`` is empty until it is signed; then it never changes. ``size`` is about
    what it takes in bytes."""

    agency: str
    key: bytes
    note: bytes = b""
    unsigned: Any = None
    size: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Sweep:
    """Deciding every subject again from ``exchange.current``: how far the last sweep got.

    ``deciding`` is that of the rules under which all was decided that is not ahead of the sweep; ``number`` counts the sweeps of the
    shard; ``position`` is the offset to go on from, None when it has ended. ``dated``: it is for subjects alone whose date has come.
    ``again``: what lies before this offset was decided under other rules when the sweep passed it, and has to be gone through again;
    ``until``: that is under way, and ends there.
    """

    deciding: bytes = b""
    number: int = 0
    position: int | None = None
    dated: bool = False
    again: int = 0
    until: int | None = None


@immutable
class Chain:
    """The deliveries of this shard into one inbox: how many, and the leaf of the last."""

    counter: int = 0
    prev: bytes | None = None


@dataclass(slots=True)
class InputPosition:
    """Where reading of an outbox goes on, with daily samples that say what may be trimmed."""

    offset: int = 0
    samples: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])

    def moved(self, offset: int, now_ms: int) -> None:
        """Reading goes on at ``offset``."""
        self.offset = offset
        if not self.samples or now_ms - self.samples[-1][0] >= DAY_MS:
            self.samples.append((now_ms, offset))

    def trimmable(self, now_ms: int) -> int | None:
        """The offset before which all is older than the retention; forgets the samples that say so."""
        old = [sample for sample in self.samples if now_ms - sample[0] >= TRIM_AFTER_MS]
        if not old:
            return None
        self.samples = [sample for sample in self.samples if sample not in old]
        return old[-1][1]


StreamKey = tuple[str, str]
"""Originator and stream id (hex): a stream of one agency can never touch another's."""


@dataclass(slots=True)
class Account:
    """What a shard remembers for one agency: how many streams, how many bytes that wait, and the number of answers kept for each
    stream, the one that rested longest first; ``answer_bytes`` is about how large they are."""

    streams: int = 0
    waiting_bytes: int = 0
    answers: dict[str, int] = field(default_factory=dict[str, int])
    total: int = 0
    answer_bytes: int = field(default=0, compare=False)

    def keeps(self, stream: str, count: int) -> None:
        """A stream was used, and keeps so many answers."""
        self.total += count - self.answers.pop(stream, 0)
        if count:
            self.answers[stream] = count


@dataclass(slots=True)
class ShardState:
    """The memory of shard ``number``. Changed by :class:`broker.exchange.relay.Batch` only; :meth:`drain` says what to write.

    ``resumed`` is the agency whose waiting messages were gone on with last. It is not written: whoever takes the shard begins anywhere.
    ``chunks`` has the chunks of attached files by the subject that cites them (:mod:`broker.exchange.attachments`).
    ``due`` is the next date at which the decision about a subject may change, or an earlier one; it follows from the subjects.
    """

    number: int
    positions: dict[str, InputPosition] = field(default_factory=dict[str, InputPosition])
    streams: dict[StreamKey, Stream] = field(default_factory=dict[StreamKey, Stream])
    subjects: dict[str, SubjectState] = field(default_factory=dict[str, SubjectState])
    chains: dict[str, Chain] = field(default_factory=dict[str, Chain])
    accounts: dict[str, Account] = field(default_factory=dict[str, Account])
    waiting: set[StreamKey] = field(default_factory=set[StreamKey])
    sweep: Sweep = field(default_factory=Sweep)
    health: Health = field(default_factory=Health)
    chunks: dict[str, set[str]] = field(default_factory=dict[str, set[str]])
    resumed: str = field(default="", compare=False)
    due: int | None = field(default=None, compare=False)
    _touched: dict[bytes, Any] = field(default_factory=dict[bytes, Any])

    def position(self, topic: str) -> int:
        """The offset at which reading of an outbox goes on; 0 for one never read."""
        known = self.positions.get(topic)
        return known.offset if known else 0

    def move(self, record: Record, now_ms: int) -> None:
        """The record is dealt with."""
        position = self.positions.setdefault(record.topic, InputPosition())
        position.moved(record.offset + 1, now_ms)
        self.touch_position(record.topic)

    def touch_position(self, topic: str) -> None:
        """Write the position of a topic with the next commit."""
        self._touched[b"p/" + topic.encode()] = self.positions[topic]

    def stream(self, originator: str, stream: bytes) -> Stream:
        """The stream as it stands; a new one, which is not remembered before it is used, where it was never seen."""
        return self.streams.get((originator, stream.hex())) or Stream()

    def is_full(self, originator: str, stream: bytes) -> bool:
        """Whether this stream would be one too many of its agency."""
        known = self.accounts.get(originator)
        return known is not None and known.streams >= STREAMS_LIMIT and (originator, stream.hex()) not in self.streams

    def waits_too_much(self, originator: str) -> bool:
        """Whether the records of this agency that wait are as large as they may be together."""
        known = self.accounts.get(originator)
        return known is not None and known.waiting_bytes >= WAITING_BYTES

    def consume(self, originator: str, stream: bytes, seq: int, leaf: bytes, answer: Answer, offset: int | None = None) -> None:
        """Use up a number of a stream, with the answer given; ``offset`` is where the message lay in the outbox."""
        key = originator, stream.hex()
        line = self._attached(key)
        account = self.accounts[originator]
        account.answer_bytes += answer.size - _size(line.consume(seq, leaf, answer, offset))
        name = "/".join(key).encode()
        self._touched[b"q/" + name] = line
        self._touched[b"d/" + name + b"/%d" % (seq % WINDOW)] = line.consumed[seq]
        account.keeps(key[1], len(line.consumed))
        while (rested := next(iter(account.answers))) != key[1] and (account.total > ANSWERS_LIMIT or account.answer_bytes > ANSWERS_BYTES):
            self._rest(originator, rested, WINDOW)
        while account.answer_bytes > ANSWERS_BYTES and len(line.consumed) > 1:
            self._rest(originator, key[1], 1)

    def _rest(self, originator: str, stream: str, count: int) -> None:
        """Keep of a stream its last number and leaf, what waits, and the answers after the first ``count``."""
        line, account = self.streams[originator, stream], self.accounts[originator]
        for seq in list(line.consumed)[:count]:
            self._touched[f"d/{originator}/{stream}/{seq % WINDOW}".encode()] = None
            account.answer_bytes -= _size(line.consumed.pop(seq))
        account.keeps(stream, len(line.consumed))

    def park(self, originator: str, stream: bytes, parked: Parked) -> None:
        """Keep a record for its turn. Its key is not kept: the header says it all."""
        parked = replace(parked, record=replace(parked.record, key=None))
        self._park((originator, stream.hex()), parked)
        self._touched[f"k/{originator}/{stream.hex()}/{parked.seq}".encode()] = parked

    def unpark(self, originator: str, stream: bytes, seq: int) -> Parked | None:
        """Take out the record whose turn it is."""
        parked = self._unpark((originator, stream.hex()), seq)
        if parked is not None:
            self._touched[f"k/{originator}/{stream.hex()}/{seq}".encode()] = None
        return parked

    def _attached(self, key: StreamKey) -> Stream:
        """The stream, remembered and counted from now on."""
        line = self.streams.get(key)
        if line is None:
            line = self.streams[key] = Stream()
            self.accounts.setdefault(key[0], Account()).streams += 1
        return line

    def _park(self, key: StreamKey, parked: Parked) -> None:
        line = self._attached(key)
        before = line.unpark(parked.seq)
        line.park(parked)
        self.accounts[key[0]].waiting_bytes += parked.weight - (before.weight if before else 0)
        self.waiting.add(key)

    def _drop(self, key: StreamKey) -> None:
        """Nothing of the stream was ever consumed and nothing waits: there is nothing to remember."""
        del self.streams[key]
        account = self.accounts[key[0]]
        account.streams -= 1
        if not account.streams:
            del self.accounts[key[0]]

    def _unpark(self, key: StreamKey, seq: int) -> Parked | None:
        line = self.streams.get(key)
        parked = line.unpark(seq) if line is not None else None
        if line is None or parked is None:
            return None
        self.accounts[key[0]].waiting_bytes -= parked.weight
        if not line.parked:
            self.waiting.discard(key)
            if not line.last_seq and not line.consumed:
                self._drop(key)
        return parked

    def accept(self, subject: str, state: SubjectState) -> None:
        """A revision of a subject was accepted, or was sent to more agencies."""
        before = self.subjects.get(subject)
        self._keep(subject, state)
        self._touched[b"b/" + subject.encode()] = state
        if subject in self.chunks and (before is None or (showing(before), before.files) != (showing(state), state.files)):
            self._decide_chunks(subject)

    def _decide_chunks(self, citing: str) -> None:
        """Have a sweep decide the chunks of this subject again, at once: others hold the section that cites them. Who holds it no more is
        no recipient of a chunk from now on: it erases them with the section, and is sent them anew if it is given it again before the sweep
        has come round."""
        holders = showing(self.subjects[citing])
        for subject in self.chunks[citing]:
            chunk = self.subjects[subject]
            if chunk.decided is not None:
                chunk = narrowed(chunk, holders)
                chunk = replace(chunk, decided=chunk.decided and replace(chunk.decided, until_ms=AT_ONCE))
                self._keep(subject, chunk)
                self._touched[b"b/" + subject.encode()] = chunk

    def _keep(self, subject: str, state: SubjectState) -> None:
        before = self.subjects.get(subject)
        self.subjects[subject] = state
        if before is not None and before.cited_by and not state.cited_by:
            self.chunks[before.cited_by].discard(subject)  # let go for good: no revision of the citing subject is to touch it
        if state.cited_by:
            self.chunks.setdefault(state.cited_by, set()).add(subject)
        until = state.decided.until_ms if state.decided else None
        if until is not None and (self.due is None or until < self.due):
            self.due = until

    def sweeps(self, sweep: Sweep) -> None:
        """A sweep begins, goes on, or has ended."""
        self.sweep = self._touched[b"v/"] = sweep

    def note_health(self, news: Health) -> None:
        """Add what was noticed about deciding, if anything was."""
        if news != Health():
            self.health = self._touched[b"h/"] = self.health + news

    def look_ahead(self, now_ms: int) -> None:
        """Take the next date from the subjects as they are: those that have come are dealt with."""
        dates = (state.decided.until_ms for state in self.subjects.values() if state.decided and state.decided.until_ms)
        self.due = min((date for date in dates if date > now_ms), default=None)

    def deliver(self, agency: str, leaf: bytes) -> tuple[int, bytes | None]:
        """Count a delivery into an inbox: its number, and the leaf before it in this chain."""
        before = self.chains.get(agency, Chain())
        chain = Chain(before.counter + 1, leaf)
        self.chains[agency] = chain
        self._touched[b"c/" + agency.encode()] = chain
        return chain.counter, before.prev

    @property
    def ready(self) -> bool:
        """Whether waiting messages have their turn: a full batch left them to the next."""
        return any(self.streams[key].ready for key in self.waiting)

    @property
    def pending(self) -> bool:
        """Whether something changed since the last :meth:`drain`."""
        return bool(self._touched)

    def drain(self) -> Iterator[Outgoing]:
        """Everything that changed since the last call, as records of ``exchange.state``."""
        for key, item in self._touched.items():
            value = None if item is None else cbor.encode(_portrait(item))
            yield Outgoing(STATE, key, value, self.number)
        self._touched.clear()

    def load(self, record: Record) -> None:
        """Take back one record of ``exchange.state``; records come in the order in which they were written."""
        key, value = record.key or b"", record.value
        kind, _, name = key.decode().partition("/")
        row: Any = None if value is None else cbor.decode(value)
        if kind == "k":
            self._load_parked(name, row)
        elif kind == "d":
            self._load_answer(name, row)
        elif row is None:
            return
        elif kind == "p":
            self.positions[name] = InputPosition(row[0], [(sample[0], sample[1]) for sample in row[1]])
        elif kind == "q":
            line = self._attached(_stream_key(name))
            line.last_seq, line.last_leaf = row[0], row[1]
        elif kind == "b":
            self._keep(name, subject_of(row))
        elif kind == "c":
            self.chains[name] = Chain(row[0], row[1])
        elif kind == "v":
            self.sweep = Sweep(row[0], row[1], row[2], bool(row[3]), row[4], row[5])
        elif kind == "h":
            self.health = Health(row[0], row[1], row[2])

    def _load_answer(self, name: str, row: Any) -> None:
        stream, _, slot = name.rpartition("/")
        key = _stream_key(stream)
        if row is None and key not in self.streams:
            return
        line = self._attached(key)
        account = self.accounts[key[0]]
        if row is None:
            account.answer_bytes -= _size(line.forget(int(slot)))
        else:
            answer = Answer(key[0], row[2], row[3], size=len(row[3]))
            account.answer_bytes += answer.size - _size(line.restore(Consumed(row[0], row[1], answer, row[4] if len(row) > 4 else None)))
        account.keeps(key[1], len(line.consumed))

    def _load_parked(self, name: str, row: Any) -> None:
        stream, _, seq = name.rpartition("/")
        if row is None:
            self._unpark(_stream_key(stream), int(seq))
            return
        record = Record(row[0], row[1], row[2], row[3], None, row[4])
        self._park(_stream_key(stream), Parked(int(seq), row[5], record, row[6]))


def _size(consumed: Consumed | None) -> int:
    """About how many bytes an answer that is kept no longer has taken."""
    return consumed.answer.size if consumed is not None else 0


def _stream_key(name: str) -> StreamKey:
    originator, _, stream = name.partition("/")
    return originator, stream


def _portrait(item: object) -> list[Any]:
    """The CBOR form of one remembered thing (the table in the module's docstring)."""
    match item:
        case InputPosition():
            return [item.offset, [[at, offset] for at, offset in item.samples]]
        case Stream():
            return [item.last_seq, item.last_leaf]
        case Parked():
            record = cast("Record", item.record)
            place = [record.topic, record.partition, record.offset, record.timestamp_ms]
            return [*place, record.value, item.leaf, item.since_ms]
        case SubjectState():
            return subject_row(item)
        case Chain():
            return [item.counter, item.prev]
        case Sweep():
            return [item.deciding, item.number, item.position, int(item.dated), item.again, item.until]
        case Health():
            return [item.failed, item.checked, item.disagreed]
        case _:
            consumed = cast("Consumed", item)
            return [consumed.seq, consumed.leaf, consumed.answer.key, consumed.answer.note, consumed.offset]
