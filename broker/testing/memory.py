"""The ports over an exchange in memory: no Kafka, no network, no waiting.

For tests of everything above :mod:`broker.ports`, here and in programs that use this package. The same contract suite
runs over these classes and over a real Kafka.

::

    exchange = MemoryExchange()
    exchange.create(*topology.exchange_specs(4), *topology.agency_specs("SG-CUSTOMS"))
    exchange.grant(topology.agency_grants("SG-CUSTOMS", 1))
    operator = MemoryTransport(exchange)
    agency = MemoryTransport(exchange, "SG-CUSTOMS#1")
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Collection, Mapping, Sequence

from broker.errors import ExchangeUnreachable, Fenced, NotAuthorised, OutcomeUnknown, PositionLost, UsageError
from broker.exchange.topology import KAFKA_LIMIT, SHARDS, Grant, Quota, TopicSpec
from broker.ports import Inlet, Ledger, Outgoing, Outlet, Position, Record, ShardClaims, Source, Start, Told
from broker.testing.exchange import Attempt, Fault
from broker.testing.exchange import MemoryExchange as MemoryExchange

RELAY_GROUP = "relay.workers"


def _check_size(record: Outgoing) -> None:
    if record.key is None and record.value is None:
        raise UsageError("a record needs a key, a value, or both", advice="give a tombstone the key that it removes")
    if len(record.value or b"") > KAFKA_LIMIT or len(record.key or b"") > 1024:
        raise UsageError(
            f"a record of {len(record.value or b'')} bytes is over Kafka's limit of {KAFKA_LIMIT}, or its key over 1024",
            advice="keep a record under 1 MiB: send pictures and documents as attachments, not inside sections",
        )


class MemoryOutlet:
    """Outlet into memory: a record is stored when :meth:`send` returns, unless the fault hook says otherwise."""

    def __init__(self, exchange: MemoryExchange, principal: str | None) -> None:
        self._exchange = exchange
        self._principal = principal
        self._closed = False
        self._hanging: list[asyncio.Future[Position]] = []

    async def send(self, record: Outgoing) -> Awaitable[Position]:
        """See :class:`broker.ports.Outlet`."""
        if self._closed:
            raise UsageError("the outlet is closed", advice="open another one")
        _check_size(record)
        answer: asyncio.Future[Position] = asyncio.get_running_loop().create_future()
        try:
            self._exchange.demand(self._principal, "WRITE", "TOPIC", record.topic)
        except NotAuthorised as denied:
            answer.set_exception(denied)
            return answer
        self._exchange.log((record.topic, record.partition))
        fault = self._exchange.fault(Attempt("send", self._principal, "", (record,)))
        if fault is Fault.HANG:
            self._hanging.append(answer)
            return answer
        position = Position(record.topic, record.partition, -1)
        if fault is not Fault.LOSE:
            position = self._exchange.append(record)
            self._exchange.ring()
        if fault is Fault.APPLY:
            answer.set_result(position)
        else:
            answer.set_exception(ExchangeUnreachable("the exchange did not confirm the record", advice="send it again"))
        return answer

    async def close(self) -> None:
        """See :class:`broker.ports.Outlet`. What hangs is answered as unreachable."""
        self._closed = True
        for answer in self._hanging:
            if not answer.done():
                answer.set_exception(ExchangeUnreachable("the outlet was closed first", advice="send it again"))
        self._hanging.clear()


class MemoryInlet:
    """Inlet from memory. Positions move as :meth:`poll` looks, over markers too."""

    def __init__(self, exchange: MemoryExchange, principal: str | None) -> None:
        self._exchange = exchange
        self._principal = principal
        self._next: dict[Source, int] = {}
        self._closed = False

    async def assign(self, starts: Mapping[Source, Start]) -> None:
        """See :class:`broker.ports.Inlet`."""
        chosen: dict[Source, int] = {}
        for source, start in starts.items():
            self._exchange.demand(self._principal, "DESCRIBE", "TOPIC", source[0])
            log = self._exchange.log(source)
            chosen[source] = {"beginning": log.start, "end": log.end}[start] if isinstance(start, str) else start
        self._next = chosen
        self._exchange.ring()

    async def poll(self, *, max_records: int, timeout: float) -> Sequence[Record]:
        """See :class:`broker.ports.Inlet`. Waits for real no longer than the exchange's patience."""
        if self._closed:
            raise UsageError("the inlet is closed", advice="open another one")
        await asyncio.sleep(0)
        while not self._closed:
            before = dict(self._next)
            if found := self._take(max_records):
                return found
            if before != self._next or not await self._exchange.change(timeout):
                break
        return []

    def _take(self, max_records: int) -> list[Record]:
        ready = [source for source in self._next if self._is_ready(source)]
        if not ready:
            return []
        found: list[Record] = []
        share = max(1, max_records // len(ready))
        for limit in (share, max_records):
            for source in ready:
                found += self._read(source, min(limit, max_records - len(found)))
        # Who had a turn stands behind the others now; where all had one, the next round begins with another.
        for source in ready[:max_records] if len(ready) > max_records else ready[:1]:
            self._next[source] = self._next.pop(source)
        return found

    def _is_ready(self, source: Source) -> bool:
        self._exchange.demand(self._principal, "READ", "TOPIC", source[0])
        log, position = self._exchange.log(source), self._next[source]
        if not log.start <= position <= len(log.entries):
            raise PositionLost(
                f"offset {position} of `{source[0]}`/{source[1]} is not there: the log holds {log.start} to {len(log.entries)}",
                advice="records may have been missed: compare with the sender, then read from the beginning",
            )
        while position < log.end and log.entries[position] is None:
            position += 1
        self._next[source] = position
        return position < log.end

    def _read(self, source: Source, limit: int) -> list[Record]:
        log, position = self._exchange.log(source), self._next[source]
        found: list[Record] = []
        while position < log.end and len(found) < limit:
            entry = log.entries[position]
            if entry is not None:
                found.append(Record(source[0], source[1], position, entry.timestamp_ms, entry.key, entry.value))
            position += 1
        self._next[source] = position
        return found

    async def ends(self) -> Mapping[Source, int]:
        """See :class:`broker.ports.Inlet`."""
        return {source: self._exchange.log(source).end for source in self._next}

    def position(self, source: Source) -> int:
        """See :class:`broker.ports.Inlet`."""
        if source not in self._next:
            raise UsageError(f"`{source[0]}`/{source[1]} is not assigned", advice="assign it first")
        return self._next[source]

    async def close(self) -> None:
        """See :class:`broker.ports.Inlet`."""
        self._closed = True
        self._exchange.ring()


class MemoryLedger:
    """Ledger into memory: epochs fence as Kafka's do."""

    def __init__(self, exchange: MemoryExchange, principal: str | None, name: str) -> None:
        self._exchange = exchange
        self._principal = principal
        self._name = name
        self._epoch = exchange.open_ledger(name)
        self._dead: Fenced | OutcomeUnknown | None = None
        self._closed = False

    async def commit(self, records: Sequence[Outgoing]) -> None:
        """See :class:`broker.ports.Ledger`."""
        if self._dead is not None:
            raise self._dead
        if self._closed:
            raise UsageError("the ledger is closed", advice="open another one")
        for record in records:
            _check_size(record)
        if not records:
            return
        await asyncio.sleep(0)
        try:
            await self._commit(records)
        except (Fenced, OutcomeUnknown) as failed:
            self._dead = failed
            raise
        except asyncio.CancelledError:
            self._dead = OutcomeUnknown("the commit was cancelled", advice="take the shard again from the start")
            raise

    async def _commit(self, records: Sequence[Outgoing]) -> None:
        exchange = self._exchange
        self._check_fence()
        try:
            for record in records:
                exchange.demand(self._principal, "WRITE", "TOPIC", record.topic)
                exchange.log((record.topic, record.partition))
        except (NotAuthorised, UsageError) as refused:
            raise OutcomeUnknown(f"the transaction was refused: {refused}", advice=refused.advice) from refused
        fault = exchange.fault(Attempt("commit", self._principal, self._name, tuple(records)))
        transaction = exchange.begin(records)
        if fault is Fault.HANG:
            exchange.leave_open(self._name, transaction)
            while exchange.is_hanging(self._name) and not exchange.is_fenced(self._name, self._epoch):
                await exchange.change(None)
            self._check_fence()
            if not self._closed:
                return
        else:
            exchange.finish(transaction, commit=fault is not Fault.LOSE)
        if fault is not Fault.APPLY:
            raise OutcomeUnknown("the end of the transaction was not confirmed", advice="take the shard again from the start")

    def _check_fence(self) -> None:
        if self._exchange.is_fenced(self._name, self._epoch):
            raise Fenced(f"another ledger `{self._name}` was opened", advice="discard the shard's state and rejoin")

    async def close(self) -> None:
        """See :class:`broker.ports.Ledger`."""
        if self._closed:
            return
        self._closed = True
        if not self._exchange.is_fenced(self._name, self._epoch):
            self._exchange.abandon(self._name)
        self._exchange.ring()


class MemoryShardClaims:
    """Membership of the relay group in memory: a rebalance is instant."""

    def __init__(self, exchange: MemoryExchange, member: str) -> None:
        self._exchange = exchange
        self._member = member
        self._told: frozenset[int] | None = None
        exchange.join(member, self)

    async def changed(self, timeout: float) -> frozenset[int]:
        """See :class:`broker.ports.ShardClaims`."""
        while True:
            held = self._exchange.shards_of(self._member, self)
            if held != self._told or not await self._exchange.change(timeout):
                self._told = held
                return held

    async def close(self) -> None:
        """See :class:`broker.ports.ShardClaims`."""
        self._exchange.leave(self._member, self)


class MemoryTransport:
    """A connection to an exchange in memory under one principal; ``None`` is subject to no access control."""

    def __init__(self, exchange: MemoryExchange, principal: str | None = None) -> None:
        self._exchange = exchange
        self._principal = principal
        self._opened: list[MemoryOutlet | MemoryInlet | MemoryLedger | MemoryShardClaims] = []

    async def outlet(self) -> Outlet:
        """See :class:`broker.ports.Transport`."""
        outlet = MemoryOutlet(self._exchange, self._principal)
        self._opened.append(outlet)
        return outlet

    async def inlet(self) -> Inlet:
        """See :class:`broker.ports.Transport`."""
        inlet = MemoryInlet(self._exchange, self._principal)
        self._opened.append(inlet)
        return inlet

    async def ledger(self, name: str) -> Ledger:
        """See :class:`broker.ports.Transport`."""
        self._exchange.demand(self._principal, "WRITE", "TRANSACTIONAL_ID", name)
        ledger = MemoryLedger(self._exchange, self._principal, name)
        self._opened.append(ledger)
        return ledger

    async def shard_claims(self, member: str) -> ShardClaims:
        """See :class:`broker.ports.Transport`."""
        self._exchange.demand(self._principal, "READ", "GROUP", RELAY_GROUP)
        self._exchange.log((SHARDS, 0))
        claims = MemoryShardClaims(self._exchange, member)
        self._opened.append(claims)
        return claims

    async def partitions(self, topic: str) -> int:
        """See :class:`broker.ports.Transport`."""
        seen = self._exchange.allows(self._principal, "DESCRIBE", "TOPIC", topic)
        return self._exchange.partitions(topic) if seen else 0

    async def ends(self, sources: Collection[Source]) -> Mapping[Source, int]:
        """See :class:`broker.ports.Transport`."""
        for topic, _ in sources:
            self._exchange.demand(self._principal, "DESCRIBE", "TOPIC", topic)
        return {source: self._exchange.log(source).end for source in sources}

    async def tell_read(self, group: str, source: Source, position: int, at_ms: int) -> None:
        """See :class:`broker.ports.Transport`."""
        self._exchange.demand(self._principal, "READ", "GROUP", group)
        self._exchange.told[group, source] = Told(position, at_ms)

    async def trim(self, source: Source, before: int) -> None:
        """See :class:`broker.ports.Transport`."""
        self._exchange.demand(self._principal, "DELETE", "TOPIC", source[0])
        log = self._exchange.log(source)
        if before > log.end:
            raise UsageError(f"`{source[0]}`/{source[1]} ends at {log.end}, before {before}", advice="trim no further than was read")
        log.trim(before)

    async def close(self) -> None:
        """See :class:`broker.ports.Transport`."""
        for opened in self._opened:
            await opened.close()
        self._opened.clear()


class MemoryAdmin:
    """What a registrar does to an exchange in memory."""

    def __init__(self, exchange: MemoryExchange) -> None:
        self._exchange = exchange

    async def ensure_topics(self, specs: Sequence[TopicSpec]) -> None:
        """See :class:`broker.ports.Admin`."""
        self._exchange.create(*specs)

    async def topics(self) -> frozenset[str]:
        """See :class:`broker.ports.Admin`."""
        return frozenset(self._exchange.specs)

    async def ensure_grants(self, principal: str, grants: Sequence[Grant]) -> None:
        """See :class:`broker.ports.Admin`."""
        if strangers := sorted({grant.principal for grant in grants} - {principal}):
            raise UsageError(f"a grant is for `{strangers[0]}`, not for `{principal}`", advice="grant to one principal at a time")
        self._exchange.grants[principal] = frozenset(grants)

    async def grants(self, principal: str) -> frozenset[Grant]:
        """See :class:`broker.ports.Admin`."""
        return self._exchange.grants.get(principal, frozenset())

    async def ensure_quota(self, principal: str, quota: Quota) -> None:
        """See :class:`broker.ports.Admin`."""
        self._exchange.quotas[principal] = quota

    async def told_read(self, groups: Mapping[str, Source]) -> Mapping[str, Told]:
        """See :class:`broker.ports.Admin`."""
        return {group: self._exchange.told[group, source] for group, source in groups.items() if (group, source) in self._exchange.told}

    async def workers(self) -> Mapping[int, str]:
        """See :class:`broker.ports.Admin`."""
        return self._exchange.workers()

    async def close(self) -> None:
        """See :class:`broker.ports.Admin`."""
