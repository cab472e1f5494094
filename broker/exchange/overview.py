"""How an exchange is, for its operator: what the relay has written of itself (``exchange.state``) and of what it refused
(``exchange.quarantine``), record by record, kept as counts and codes. No content is kept: neither of a message nor of refused bytes.

:class:`broker.exchange.shard.ShardState` remembers what a relay needs to go on; this remembers what a person asks, in a small part of its
memory, so that it can be kept up to date by a process that shows it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from broker import ids
from broker.envelope import cbor
from broker.errors import REFUSALS
from broker.exchange.quarantine import Quarantined, read_quarantined
from broker.exchange.records import Record
from broker.exchange.topology import DAY_MS, QUARANTINE
from broker.policy.health import Health
from broker.trust.directory import Directory

REFUSED_KEPT: Final = 20_000
"""Most refusals that are kept, the newest: about 1 kB each."""
REFUSED_DAYS: Final = 90
"""How long ``exchange.quarantine`` keeps them."""


@dataclass(frozen=True, slots=True)
class AgencyRow:
    """One agency. ``outbox`` and ``inbox``: offsets of their ends; ``position``: how far the relay has read the outbox, ``lag`` how many
    records it is behind; ``delivered``: parcels written for this agency; ``parked``: its records that wait for an earlier one.

    ``read``: how far it says that it has read its inbox, ``read_at`` when it said so (Unix ms), ``unread`` what is left; None where it told
    nothing.
    """

    agency: str
    kind: str
    status: str
    shard: int
    outbox: int
    position: int
    lag: int
    inbox: int
    delivered: int
    parked: int
    read: int | None = None
    read_at: int | None = None
    unread: int | None = None


@dataclass(frozen=True, slots=True)
class RefusalKind:
    """Refusals of one code at one step. ``first`` and ``last`` in Unix ms; ``outboxes``: where they lay; ``advice``: what the sender is
    told to do."""

    code: str
    step: int
    count: int
    first: int
    last: int
    outboxes: tuple[str, ...]
    advice: str


def kinds_of(refused: Iterable[Quarantined]) -> list[RefusalKind]:
    """The kinds of these refusals, the most frequent first."""
    by_kind: dict[tuple[str, int], list[Quarantined]] = {}
    for item in refused:
        by_kind.setdefault((item.code, item.step), []).append(item)
    found: list[RefusalKind] = []
    for (code, step), items in sorted(by_kind.items(), key=lambda each: (-len(each[1]), each[0])):
        times, outboxes = [item.at_ms for item in items], tuple(sorted({item.topic for item in items}))
        advice = REFUSALS[code][1] if code in REFUSALS else ""
        found.append(RefusalKind(code, step, len(items), min(times), max(times), outboxes, advice))
    return found


@dataclass(slots=True)
class Overview:
    """Takes records in the order in which they were written, of each partition."""

    positions: dict[str, int] = field(default_factory=dict[str, int])
    delivered: dict[tuple[int, str], int] = field(default_factory=dict[tuple[int, str], int])
    refused: deque[Quarantined] = field(default_factory=lambda: deque[Quarantined](maxlen=REFUSED_KEPT))
    """Without their bytes; oldest first."""
    _refused_on: dict[int, int] = field(default_factory=dict[int, int])
    """How many on each day (of Unix time), those that are kept here no longer too."""
    _parked: dict[str, set[bytes]] = field(default_factory=dict[str, set[bytes]])
    _subjects: set[int] = field(default_factory=set[int])
    _health: dict[int, Health] = field(default_factory=dict[int, Health])

    def take(self, record: Record) -> None:
        """One record. Raises CborError on bytes that no relay wrote."""
        if record.topic == QUARANTINE:
            self._take_refused(record.value)
        else:
            self._take_state(record.partition, record.key or b"", record.value)

    def _take_refused(self, value: bytes | None) -> None:
        if value is not None:
            item = replace(read_quarantined(value), value=b"", first=None)
            self.refused.append(item)
            day = item.at_ms // DAY_MS
            self._refused_on[day] = self._refused_on.get(day, 0) + 1

    def _take_state(self, shard: int, key: bytes, value: bytes | None) -> None:
        kind, _, name = key.partition(b"/")
        if kind == b"k":
            agency, _, rest = name.partition(b"/")
            waiting = self._parked.setdefault(agency.decode(), set())
            waiting.discard(rest) if value is None else waiting.add(rest)
        elif value is None:
            return
        elif kind == b"b":
            self._subjects.add(hash(name))
        elif kind in (b"p", b"c", b"h"):
            row: Any = cbor.decode(value)
            if kind == b"p":
                self.positions[name.decode()] = row[0]
            elif kind == b"c":
                self.delivered[shard, name.decode()] = row[0]
            else:
                self._health[shard] = Health(row[0], row[1], row[2])

    @property
    def subjects(self) -> int:
        """How many subjects were ever accepted."""
        return len(self._subjects)

    @property
    def health(self) -> Health:
        """What was noticed about deciding, of all shards."""
        return sum(self._health.values(), Health())

    @property
    def deliveries(self) -> int:
        """Parcels that were written into inboxes."""
        return sum(self.delivered.values())

    def parked(self, agency: str) -> int:
        """How many records of an agency wait for an earlier one."""
        return len(self._parked.get(agency, ()))

    def recent(self, now_ms: int) -> list[Quarantined]:
        """Refusals that are still in quarantine, newest first."""
        since = now_ms - REFUSED_DAYS * DAY_MS
        return [each for each in reversed(self.refused) if each.at_ms >= since]

    def refused_count(self, now_ms: int) -> int:
        """How many refusals are still in quarantine: to the day, where more are than are kept here."""
        first = (now_ms - REFUSED_DAYS * DAY_MS) // DAY_MS
        self._refused_on = {day: count for day, count in self._refused_on.items() if day >= first}
        kept = len(self.recent(now_ms))
        return kept if kept < REFUSED_KEPT else sum(self._refused_on.values())

    def agencies(
        self, directory: Directory, shards: int, ends: Mapping[str, int], told: Mapping[str, tuple[int, int]]
    ) -> tuple[AgencyRow, ...]:
        """A row for each agency, by id. ``ends``: the ends of inboxes and outboxes, by topic; one that is missing counts as empty.
        ``told``: how far agencies say that they have read, and when they said so."""
        sums: dict[str, int] = {}
        for (_, agency), count in self.delivered.items():
            sums[agency] = sums.get(agency, 0) + count
        rows: list[AgencyRow] = []
        for agency, entry in sorted(directory.agencies.items()):
            outbox, position = ends.get(ids.outbox(agency), 0), self.positions.get(ids.outbox(agency), 0)
            inbox, (read, read_at) = ends.get(ids.inbox(agency), 0), told.get(agency, (None, None))
            rows.append(
                AgencyRow(
                    agency, entry.kind, entry.status, ids.shard_of(agency, shards), outbox, position, max(0, outbox - position),
                    inbox, sums.get(agency, 0), self.parked(agency), read, read_at, None if read is None else max(0, inbox - read),
                )
            )  # fmt: skip
        return tuple(rows)
