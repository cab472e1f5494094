"""The state of an exchange in memory, and the hooks by which a test makes it fail.

:class:`MemoryExchange` is what a Kafka cluster is to the real adaptors; the connections to it are in
:mod:`broker.testing.memory`. A run is deterministic: time comes from the given clock, failures from the given hook.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Literal

from broker.errors import NotAuthorised, UsageError
from broker.exchange.topology import SHARDS, Grant, Quota, TopicSpec
from broker.ports import Clock, Outgoing, Position, Record, Source, Told
from broker.testing.clock import FixedClock
from broker.testing.log import Entry, PartitionLog


class Fault(Enum):
    """What becomes of one attempt to write."""

    APPLY = "stored and answered"
    LOSE = "not stored, and reported as failed"
    KEEP = "stored, and yet reported as failed"
    HANG = "not stored yet and never answered, until the ledger is fenced or closed"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One send or one commit, as the fault hook sees it. ``ledger`` is empty for a send."""

    kind: Literal["send", "commit"]
    principal: str | None
    ledger: str
    records: tuple[Outgoing, ...]


Faults = Callable[[Attempt], Fault]

_IMPLY_DESCRIBE = frozenset({"READ", "WRITE", "DELETE", "ALTER"})


class MemoryExchange:
    """Topics, access control, transactional names and the relay group of one exchange.

    ``patience``: real seconds that a poll with nothing to give waits at most, whatever timeout it was given.
    """

    def __init__(self, clock: Clock | None = None, *, faults: Faults | None = None, patience: float = 0.02) -> None:
        self.clock: Clock = clock if clock is not None else FixedClock()
        self.faults = faults
        self.patience = patience
        self.specs: dict[str, TopicSpec] = {}
        self.grants: dict[str, frozenset[Grant]] = {}
        self.quotas: dict[str, Quota] = {}
        self.told: dict[tuple[str, Source], Told] = {}
        self._logs: dict[str, list[PartitionLog]] = {}
        self._epochs: dict[str, int] = {}
        self._hanging: dict[str, int] = {}
        self._transactions = 0
        self._touched: dict[int, list[PartitionLog]] = {}
        self._members: dict[str, object] = {}
        self._waiting: set[asyncio.Future[None]] = set()

    # ── set up and look inside ──────────────────────────────────────────────────────────────────────────────────────

    def create(self, *specs: TopicSpec) -> None:
        """Create topics; one that exists keeps its records and takes the new settings."""
        for spec in specs:
            logs = self._logs.setdefault(spec.name, [PartitionLog() for _ in range(spec.partitions)])
            if len(logs) != spec.partitions:
                raise UsageError(
                    f"topic `{spec.name}` has {len(logs)} partitions, not {spec.partitions}",
                    advice="the number of partitions is fixed when an exchange is created: use that number",
                )
            self.specs[spec.name] = spec
        self.ring()

    def grant(self, grants: Iterable[Grant]) -> None:
        """Add grants. A principal without any grant may do nothing; a transport without principal may do all."""
        for grant in grants:
            self.grants[grant.principal] = self.grants.get(grant.principal, frozenset()) | {grant}

    def records(self, topic: str, partition: int = 0) -> list[Record]:
        """All committed records of a partition that are still there, in offset order."""
        log = self.log((topic, partition))
        return [
            Record(topic, partition, offset, entry.timestamp_ms, entry.key, entry.value)
            for offset, entry in enumerate(log.entries[: log.end])
            if entry is not None
        ]

    def compact(self, topic: str) -> None:
        """Do at once to a topic what Kafka's log cleaner does in its own time."""
        for log in self._logs[topic]:
            log.compact()

    # ── what the connections stand on ───────────────────────────────────────────────────────────────────────────────

    def partitions(self, topic: str) -> int:
        """How many partitions a topic has; 0 where there is none."""
        return len(self._logs.get(topic, ()))

    def log(self, source: Source) -> PartitionLog:
        """The log of a partition. Raises UsageError where there is none."""
        topic, partition = source
        logs = self._logs.get(topic, [])
        if not 0 <= partition < len(logs):
            raise UsageError(f"there is no partition {partition} of topic `{topic}`", advice="create the topic first")
        return logs[partition]

    def allows(self, principal: str | None, operation: str, resource: str, name: str) -> bool:
        """Whether the grants allow it. READ, WRITE, DELETE and ALTER imply DESCRIBE, as in Kafka."""
        if principal is None:
            return True
        operations = {operation, *(_IMPLY_DESCRIBE if operation == "DESCRIBE" else ())}
        return any(
            grant.resource == resource
            and grant.operation in operations
            and (name.startswith(grant.name) if grant.prefixed else name == grant.name)
            for grant in self.grants.get(principal, ())
        )

    def demand(self, principal: str | None, operation: str, resource: str, name: str) -> None:
        """Raise NotAuthorised unless the grants allow it."""
        if not self.allows(principal, operation, resource, name):
            raise NotAuthorised(
                f"`{principal}` may not {operation} {resource.lower()} `{name}`",
                advice="ask the operator whether this certificate's generation is the current one",
            )

    def fault(self, attempt: Attempt) -> Fault:
        """What the hook decides for this attempt."""
        return self.faults(attempt) if self.faults is not None else Fault.APPLY

    def append(self, record: Outgoing, transaction: int | None = None) -> Position:
        """Store one record now."""
        entry = Entry(self.clock.now_ms(), record.key, record.value)
        offset = self.log((record.topic, record.partition)).append(entry, transaction)
        return Position(record.topic, record.partition, offset)

    # ── transactions ────────────────────────────────────────────────────────────────────────────────────────────────

    def open_ledger(self, name: str) -> int:
        """Fence every earlier holder of the name, abort what it left open, and give the new epoch."""
        self._epochs[name] = self._epochs.get(name, -1) + 1
        if (left := self._hanging.pop(name, None)) is not None:
            self.finish(left, commit=False)
        self.ring()
        return self._epochs[name]

    def is_fenced(self, name: str, epoch: int) -> bool:
        """Whether the name was opened again after this epoch."""
        return self._epochs[name] != epoch

    def begin(self, records: Sequence[Outgoing]) -> int:
        """Store records as one open transaction, seen by no reader, and give its number."""
        sources = dict.fromkeys((record.topic, record.partition) for record in records)
        touched = [self.log(source) for source in sources]
        self._transactions += 1
        self._touched[self._transactions] = touched
        for record in records:
            self.append(record, self._transactions)
        return self._transactions

    def leave_open(self, name: str, transaction: int) -> None:
        """A transaction that nobody ends: readers of its partitions are stuck until the name is opened again."""
        self._hanging[name] = transaction

    def is_hanging(self, name: str) -> bool:
        """Whether a ledger of this name has an open transaction that nobody ends."""
        return name in self._hanging

    def release(self, name: str) -> None:
        """Let a commit that hangs go on: it is stored and confirmed, as when a stopped process wakes in time."""
        self.finish(self._hanging.pop(name), commit=True)

    def abandon(self, name: str) -> None:
        """Abort what a ledger of this name left open."""
        if (left := self._hanging.pop(name, None)) is not None:
            self.finish(left, commit=False)

    def finish(self, transaction: int, *, commit: bool) -> None:
        """End a transaction everywhere at once."""
        for log in self._touched.pop(transaction):
            log.finish(transaction, commit=commit)
        self.ring()

    # ── the relay group ─────────────────────────────────────────────────────────────────────────────────────────────

    def join(self, member: str, holder: object) -> None:
        """Add a member; one of the same name takes its place."""
        self._members[member] = holder
        self.ring()

    def leave(self, member: str, holder: object) -> None:
        """Remove a member, unless another took its place."""
        if self._members.get(member) is holder:
            del self._members[member]
            self.ring()

    def shards_of(self, member: str, holder: object) -> frozenset[int]:
        """The shards that a member holds: contiguous ranges over the members by name, as Kafka's range assignor gives them."""
        if self._members.get(member) is not holder:
            return frozenset()
        members = sorted(self._members)
        each, more = divmod(self.partitions(SHARDS), len(members))
        at = members.index(member)
        first = at * each + min(at, more)
        return frozenset(range(first, first + each + (at < more)))

    def workers(self) -> dict[int, str]:
        """Who holds which shard."""
        return {shard: member for member, holder in self._members.items() for shard in self.shards_of(member, holder)}

    # ── waiting ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def ring(self) -> None:
        """Wake everybody who waits for something to change."""
        for waiting in self._waiting:
            if not waiting.done():
                waiting.set_result(None)
        self._waiting.clear()

    async def change(self, timeout: float | None) -> bool:
        """Wait for the next change: True when there was one before ``timeout`` seconds, and the patience, were over."""
        waiting = asyncio.get_running_loop().create_future()
        self._waiting.add(waiting)
        await asyncio.wait([waiting], timeout=None if timeout is None else min(timeout, self.patience))
        self._waiting.discard(waiting)
        return waiting.done()
