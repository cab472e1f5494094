"""Step 6 of admission: the order of one publisher's stream.

Each authentic message carries ``seq`` (1, 2, 3 ...) and ``prev`` (the leaf before it). The relay consumes numbers in order,
each once: a duplicate is answered with the same receipt, a second message under a consumed number is evidence of
equivocation, a number ahead of its turn waits. Pure: the relay's service persists what changes.

A number is consumed once for good: what is forgotten of a stream (its older leaves and receipts) only turns an answer into
``Stale``, never into another acceptance.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from broker.values import immutable

WINDOW: Final = 512
"""How many consumed numbers of a stream keep their leaf and receipt, so that a re-sent message gets the same receipt again.

A publisher that starts again re-sends everything without a receipt. What lies further back than this is refused as stale; the
receipt given at first lies before that refusal in its inbox, and the first one counts."""
PARKED_LIMIT: Final = 1000
"""How many messages of one stream may wait for an earlier one."""
PARKED_BYTES: Final = 8 << 20
"""How many bytes of one stream may wait: 1,000 records of 1 MiB would otherwise fill the worker's memory."""
PARKED_MS: Final = 60_000
"""How long a message may wait for an earlier one before it is refused."""


@immutable
class Consumed:
    """A consumed number: its leaf, the answer that was given (a signed note, or one being signed), and the offset in the
    outbox where the message was read (None: not known)."""

    seq: int
    leaf: bytes
    answer: Any
    offset: int | None = None


@immutable
class Parked:
    """A message that waits: its record as it was read, its leaf, and since when (Unix ms)."""

    seq: int
    leaf: bytes
    record: Any
    since_ms: int

    @property
    def weight(self) -> int:
        """Bytes of the record's value."""
        return len(self.record.value or b"")


@immutable
class Next:
    """It is this message's turn."""


@immutable
class Duplicate:
    """The same message again; ``answer`` is what was answered before, ``None`` while it is still parked."""

    answer: Any


@immutable
class Equivocation:
    """Another message was signed under this number: ``first`` is the one that was seen first."""

    first: Consumed | Parked


@immutable
class BrokenChain:
    """It is this number's turn, but it names another predecessor than the one that was consumed."""

    expected: bytes | None


@immutable
class Early:
    """An earlier number is missing. ``full``: too many wait already."""

    expected: int
    full: bool


@immutable
class Stale:
    """Consumed so long ago that the leaf is no longer kept."""


Turn = Next | Duplicate | Equivocation | BrokenChain | Early | Stale


@dataclass(slots=True)
class Stream:
    """Where one stream of one originator stands. Changed only through :meth:`consume`, :meth:`park` and :meth:`unpark`."""

    last_seq: int = 0
    last_leaf: bytes | None = None
    consumed: dict[int, Consumed] = field(default_factory=dict[int, Consumed])
    parked: dict[int, Parked] = field(default_factory=dict[int, Parked])

    def turn(self, seq: int, leaf: bytes, prev: bytes | None) -> Turn:
        """What a message with this number means now. Changes nothing."""
        if seq <= self.last_seq:
            known = self.consumed.get(seq)
            if known is None:
                return Stale()
            return Duplicate(known.answer) if known.leaf == leaf else Equivocation(known)
        waiting = self.parked.get(seq)
        if waiting is not None:
            return Duplicate(None) if waiting.leaf == leaf else Equivocation(waiting)
        if seq > self.last_seq + 1:
            full = len(self.parked) >= PARKED_LIMIT or self.parked_bytes >= PARKED_BYTES
            return Early(self.last_seq + 1, full)
        if prev != self.last_leaf:
            return BrokenChain(self.last_leaf)
        return Next()

    def consume(self, seq: int, leaf: bytes, answer: Any, offset: int | None = None) -> Consumed | None:
        """The number is used up, whether the message was accepted or refused. Returns what is kept no longer."""
        self.last_seq, self.last_leaf = seq, leaf
        return self.restore(Consumed(seq, leaf, answer, offset))

    def restore(self, consumed: Consumed) -> Consumed | None:
        """Take back a consumed number as it was written; does not move the stream. Returns what is kept no longer."""
        before = self.consumed.pop(consumed.seq, None)
        self.consumed[consumed.seq] = consumed
        return self.consumed.pop(consumed.seq - WINDOW, before)

    def forget(self, slot: int) -> Consumed | None:
        """Leaf and answer of the number in this place of the window are kept no longer; returns them."""
        found = next((seq for seq in self.consumed if seq % WINDOW == slot), None)
        return self.consumed.pop(found) if found is not None else None

    def park(self, parked: Parked) -> None:
        """Keep a message for its turn."""
        self.parked[parked.seq] = parked

    def unpark(self, seq: int) -> Parked | None:
        """Take out the message that waits under this number."""
        return self.parked.pop(seq, None)

    @property
    def parked_bytes(self) -> int:
        """How much waits, in bytes of record values."""
        return sum(parked.weight for parked in self.parked.values())

    @property
    def ready(self) -> bool:
        """Whether a waiting message has its turn now."""
        return self.last_seq + 1 in self.parked

    def overdue(self, now_ms: int) -> Iterator[Parked]:
        """Messages that have waited too long, lowest number first; none while the first of them has its turn."""
        if self.ready or not self.parked:
            return
        # They were parked in the order of time: mostly a look at the first is enough.
        if now_ms - next(iter(self.parked.values())).since_ms < PARKED_MS:
            return
        for seq in sorted(self.parked):
            if now_ms - self.parked[seq].since_ms >= PARKED_MS:
                yield self.parked[seq]
