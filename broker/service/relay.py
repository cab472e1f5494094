"""The relay worker: holds shards, reads their outboxes, writes one transaction a batch.

A shard is taken in this order, always from the start: open its ledger (which fences whoever held it), read
``exchange.state`` to its end, then read the outboxes from the positions found there. ``Fenced`` means that the shard is lost:
its state is discarded and the worker rejoins the group. Any other unknown outcome, while still the holder: the same order
again. What a batch does is :mod:`broker.exchange.relay`'s; here are only the loops.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import structlog

from broker import ids
from broker.errors import BrokerError, ExchangeUnreachable, Fenced, OutcomeUnknown, UsageError
from broker.exchange.relay import Batch
from broker.exchange.shard import ShardState
from broker.exchange.topology import SHARDS, STATE
from broker.ports import Clock, Inlet, Ledger, Outgoing, Record, ShardClaims, Signer, Source, Start, Transport
from broker.service.current import CurrentReader
from broker.service.knowledge import Knowledge
from broker.service.proofs import ProofReader
from broker.service.standby import Standby
from broker.service.turns import in_turns, weight

MAX_BATCH: Final = 500
"""Most records of one transaction: it keeps the time to first delivery and the memory of a batch small."""
LEFT_BYTES: Final = 8 << 20
"""With this much left over from a full batch, no more is read."""
CHUNK: Final = 16
"""Records dealt with before other tasks of the event loop get a turn: about 5 ms."""
IDLE_S: Final = 0.5
"""How long to wait for records before looking at the clock and the directory again."""
SWEEP_S: Final = 0.02
"""The same while a sweep waits for what it reads."""
GRACE_S: Final = 5.0
"""How long a graceful stop waits for batches under way."""
PAUSE_S: Final = 0.5
"""Wait before a shard is taken again after a failure."""
REFRESH_S: Final = 1.0
"""How often at most a key that is not known or not valid, or an unknown schema, makes the public topics be read to their ends before
the record is refused."""
REFRESH_WAIT_S: Final = 2.0
"""How long that may take."""

_log = structlog.get_logger("relay")


class _Writing:
    """At most one commit under way, and its end waited for: whatever it raises is raised by :meth:`put`, or when the block ends."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._commit: asyncio.Task[None] | None = None

    async def put(self, records: Sequence[Outgoing], then: Callable[[], None]) -> None:
        """Begin to commit, once the commit before has succeeded; ``then`` is called when this one has."""
        await self._ended()

        async def commit() -> None:
            await self._ledger.commit(records)
            then()

        self._commit = asyncio.create_task(commit())

    async def look(self) -> None:
        """Raise what the commit has ended with, if it has; called in every turn, since nothing may come that would be put."""
        if self._commit is not None and self._commit.done():
            await self._ended()

    async def _ended(self) -> None:
        commit, self._commit = self._commit, None
        if commit is not None:
            await commit

    async def __aenter__(self) -> _Writing:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            await self._ended()
        elif self._commit is not None:
            self._commit.cancel()
            await asyncio.gather(self._commit, return_exceptions=True)


class RelayWorker:
    """One worker process's relay. ``member`` is a name that a restarted worker keeps (static membership)."""

    def __init__(self, transport: Transport, knowledge: Knowledge, signer: Signer, clock: Clock, *, member: str) -> None:
        self._transport, self._knowledge, self._signer, self._clock = transport, knowledge, signer, clock
        self._member = member
        self._proofs = ProofReader(transport)
        self._standby = Standby(transport, 0)
        self._refreshed_at = -REFRESH_S
        self._refreshed: set[int] = set()
        self._stopping = asyncio.Event()
        self._shards: dict[int, asyncio.Task[None]] = {}
        self._lost = asyncio.Event()
        self._assigned = asyncio.Event()
        self.serving: set[int] = set()
        self.totals: dict[str, int] = {}

    async def ready(self) -> None:
        """Return when this worker is a member of the group and has been given its shards (there may be none for it)."""
        await self._assigned.wait()

    def stop(self) -> None:
        """Ask for a graceful end: batches under way are committed, then the group is left."""
        self._stopping.set()

    async def run(self) -> None:
        """Work until :meth:`stop`. Raises UsageError where the exchange has another number of shards than the directory says."""
        await self._knowledge.load()
        shards = await self._check_shard_count()
        self._standby = Standby(self._transport, shards)
        following = asyncio.create_task(self._knowledge.follow())
        warming = asyncio.create_task(self._standby.follow())
        try:
            while not self._stopping.is_set():
                claims = await self._transport.shard_claims(self._member)
                self._lost.clear()
                try:
                    await self._hold(claims, shards, following)
                finally:
                    await self._finish()
                    await claims.close()
        finally:
            for task in (following, warming):
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
            await self._knowledge.close()

    async def _check_shard_count(self) -> int:
        shards = self._knowledge.shards
        for topic in (SHARDS, STATE):
            found = await self._transport.partitions(topic)
            if found != shards:
                raise UsageError(
                    f"{topic} has {found} partitions, the directory says {shards} shards",
                    advice="the number of shards is fixed when an exchange is created; restore the topic, do not alter it",
                )
        return shards

    async def _hold(self, claims: ShardClaims, shards: int, following: asyncio.Task[None]) -> None:
        """Follow the group's assignment until stopped, or until a shard is found to be lost."""
        while not self._stopping.is_set() and not self._lost.is_set():
            held = await claims.changed(IDLE_S)
            if following.done():
                following.result()  # a relay that no longer hears of suspensions must not go on
            if held:
                self._assigned.set()
            await self._drop(set(self._shards) - held)
            for number in sorted(held - set(self._shards)):
                if 0 <= number < shards:
                    self._shards[number] = asyncio.create_task(self._keep(number))
            for number, task in list(self._shards.items()):
                if task.done():
                    del self._shards[number]
                    self._standby.release([number])
                    task.result()

    async def _finish(self) -> None:
        """Let batches under way end (they see the stop within a poll), then drop what is left."""
        if self._stopping.is_set() and self._shards:
            await asyncio.wait(self._shards.values(), timeout=GRACE_S)
        await self._drop(set(self._shards))

    async def _drop(self, numbers: set[int]) -> None:
        """Stop working on these shards; a transaction under way ends as a whole or is aborted by the next holder."""
        tasks = [self._shards.pop(number) for number in numbers]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._standby.release(numbers)

    async def _keep(self, number: int) -> None:
        """Take the shard, serve it, and take it again after every failure that leaves it ours."""
        while not self._stopping.is_set():
            try:
                if await self._agencies(number):
                    await self._serve(number)
            except Fenced:
                _log.warning("shard lost to another worker", shard=number)
                self._lost.set()
                return
            except (OutcomeUnknown, ExchangeUnreachable) as error:
                _log.warning("shard taken again", shard=number, code=error.code, reason=str(error))
                await asyncio.sleep(PAUSE_S)
            finally:
                self.serving.discard(number)

    async def _agencies(self, number: int) -> list[str]:
        """The agencies of a shard; waits a moment where there are none."""
        agencies = self._members(number)
        if not agencies:
            await self._knowledge.wait_for_change(IDLE_S)
            agencies = self._members(number)
        return agencies

    def _members(self, number: int) -> list[str]:
        agencies, shards = self._knowledge.rules.directory.agencies, self._knowledge.shards
        return sorted(agency for agency in agencies if ids.shard_of(agency, shards) == number)

    async def _serve(self, number: int) -> None:
        """One tenure of a shard."""
        ledger = await self._transport.ledger(f"relay-{number}")
        try:
            state = await self._read_state(number)
            inlet, current = await self._transport.inlet(), CurrentReader(self._transport)
            try:
                await self._work(state, ledger, inlet, current)
            finally:
                await inlet.close()
                await current.close()
        finally:
            await ledger.close()

    async def _read_state(self, number: int) -> ShardState:
        """``exchange.state`` of this shard, to its end. The ledger is open, so nothing can be added behind our back."""
        warm = self._standby.take(number)
        state, read = warm.state, 0
        source: Source = (STATE, number)
        inlet = await self._transport.inlet()
        try:
            await inlet.assign({source: warm.position})
            end = (await inlet.ends())[source]
            while inlet.position(source) < end:
                records = await inlet.poll(max_records=2000, timeout=IDLE_S)
                for record in records:
                    state.load(record)
                read += len(records)
        finally:
            await inlet.close()
        _log.info("shard state read", shard=number, warm=warm.rows, read=read)
        return state

    async def _work(self, state: ShardState, ledger: Ledger, inlet: Inlet, current: CurrentReader) -> None:
        """Batches until stopped or failed. While Kafka commits one, the next is taken in: its records are written when the one before
        is known to be committed, and if that fails, all of it is void together with the state. While a sweep is under way
        (:mod:`broker.exchange.catch_up`), each batch has a step of it."""
        number, outboxes, records = state.number, list[str](), list[Record]()
        self.serving.add(number)
        _log.info("shard taken", shard=number, agencies=len(self._members(number)), streams=len(state.streams))
        async with _Writing(ledger) as writing:
            while not self._stopping.is_set():
                wanted = [ids.outbox(agency) for agency in self._members(number)]
                if wanted != outboxes:
                    outboxes = wanted
                    starts: Mapping[Source, Start] = {(topic, 0): state.position(topic) for topic in outboxes}
                    await inlet.assign(starts)
                    records = []  # whatever of them was not taken is read again: the positions are before it
                if len(records) < MAX_BATCH and weight(records) < LEFT_BYTES:
                    timeout = 0.0 if records or state.ready or current.waiting else SWEEP_S if state.sweep.position is not None else IDLE_S
                    records = in_turns([*records, *await inlet.poll(max_records=MAX_BATCH - len(records), timeout=timeout)])
                await writing.look()
                records = records[await self._process(state, writing, records, current) :]
                await self._trim(state)

    async def _process(self, state: ShardState, writing: _Writing, records: Sequence[Record], current: CurrentReader) -> int:
        """One batch, one transaction. The state is only worth keeping if the commit succeeds. Returns how many were taken."""
        rules, decider = self._knowledge.rules, self._knowledge.decider
        now = asyncio.get_running_loop().time()
        patient = state.number not in self._refreshed and now - self._refreshed_at >= REFRESH_S
        self._refreshed.discard(state.number)
        batch = Batch(state, rules, decider, alg=self._signer.alg, kid=self._signer.kid, patient=patient)
        batch.resume(now_ms=self._clock.now_ms())
        taken, refresh = 0, False
        for record in records:
            if batch.full:
                break
            if not batch.take(record, now_ms=self._clock.now_ms()):
                refresh = True
                break
            taken += 1
            if taken % CHUNK == 0:
                await asyncio.sleep(0)
        batch.expire(now_ms=self._clock.now_ms())
        current.took(batch.sweep(current.next(state.sweep), now_ms=self._clock.now_ms()))
        if not batch.empty:
            sealed = await self._sealed(batch)
            await writing.put(sealed, lambda: self._count(state.number, batch))
        if refresh:
            # Perhaps the key is in the directory by now, or the schema announced. The record comes first in the next batch, which takes
            # it in any case.
            self._refreshed_at = now  # other shards do not ask meanwhile
            await self._knowledge.catch_up(REFRESH_WAIT_S)
            self._refreshed_at = asyncio.get_running_loop().time()
            self._refreshed.add(state.number)
        return taken

    async def _sealed(self, batch: Batch) -> list[Outgoing]:
        """Fetch what evidence needs, sign: all records of the transaction."""
        if wanted := batch.wanted:
            batch.found(await self._proofs.read(wanted))
        sealed = batch.sealed(await self._signer.sign(batch.to_be_signed()))
        self._alarm(batch)
        return sealed

    def _alarm(self, batch: Batch) -> None:
        """Tell at once of decisions that failed or disagreed, whether or not the commit succeeds. No labels: they name the audience."""
        health = batch.tally.health
        if health.failed:
            _log.error("decisions failed, which denies", shard=batch.shard.number, decisions=health.failed)
        if health.disagreed:
            _log.error("remembered decisions disagreed with the policies", shard=batch.shard.number, decisions=health.disagreed)

    def _count(self, number: int, batch: Batch) -> None:
        tally = batch.tally
        for name in ("accepted", "delivered", "duplicates", "parked", "late"):
            self.totals[name] = self.totals.get(name, 0) + getattr(tally, name)
        for name in ("failed", "checked", "disagreed"):
            self.totals[f"decisions_{name}"] = self.totals.get(f"decisions_{name}", 0) + getattr(tally.health, name)
        for code, count in tally.refused.items():
            self.totals[code] = self.totals.get(code, 0) + count
        if tally.refused:
            _log.warning("records refused", shard=number, codes=tally.refused)
        _log.debug("batch committed", shard=number, accepted=tally.accepted, delivered=tally.delivered)

    async def _trim(self, state: ShardState) -> None:
        """Let go of outbox records that lie a week behind the committed position."""
        now_ms = self._clock.now_ms()
        for topic, position in state.positions.items():
            before = position.trimmable(now_ms)
            if before is not None:
                try:
                    await self._transport.trim((topic, 0), before)
                except BrokerError as error:
                    _log.warning("outbox not trimmed", topic=topic, code=error.code, reason=str(error))
                state.touch_position(topic)
