"""Membership of the relay group over aiokafka: only who holds which shard matters, nothing is ever fetched.

A member is static (KIP-345): one that is restarted under its name within the session gets its shards back without a rebalance.
Safety never hangs on this: two workers that both believe to hold a shard fence each other by the shard's ledger. A worker that
cannot reach Kafka keeps its belief until Kafka answers again; it can commit nothing meanwhile.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection

from aiokafka import TopicPartition
from aiokafka import errors as kafka_errors
from aiokafka.abc import ConsumerRebalanceListener

from broker.errors import UsageError
from broker.exchange.topology import SHARDS
from broker.kafka import errors, wire

log = logging.getLogger(__name__)

RELAY_GROUP = "relay.workers"
SESSIONS_MS = (2_000, 6_000, 10_000)
"""Session times to try: a foreign cluster may refuse the short ones (``group.min.session.timeout.ms``)."""
TICK_SECONDS = 0.25


class _Listener(ConsumerRebalanceListener):
    """Keeps what the group says. Losing is believed only when no new assignment follows within the session."""

    def __init__(self) -> None:
        self.held: frozenset[int] | None = None
        self.revoked_at: float | None = None
        self.changed = asyncio.Event()
        self.consumer: wire.RawConsumer | None = None

    def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        """A rebalance begins."""
        if revoked:
            self.revoked_at = asyncio.get_running_loop().time()
            self.changed.set()

    def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        """A rebalance is over."""
        if self.consumer is not None:
            self.consumer.pause(*assigned)
        self.held = frozenset(at.partition for at in assigned)
        self.revoked_at = None
        self.changed.set()


class KafkaShardClaims:
    """See :class:`broker.ports.ShardClaims`."""

    def __init__(self, address: wire.Address, member: str, *, patience: float) -> None:
        self._address = address
        self._member = member
        self._patience = patience
        self._sessions = list(SESSIONS_MS)
        self._consumer: wire.RawConsumer | None = None
        self._listener = _Listener()
        self._told: frozenset[int] | None = None
        self.closed = False

    async def join(self) -> None:
        """Join, and wait for the first assignment. Raises ExchangeUnreachable, NotAuthorised."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._patience
        while True:
            try:
                await self._join(deadline)
            except kafka_errors.InvalidSessionTimeoutError as refused:
                if len(self._sessions) == 1:
                    raise errors.unreachable("the relay group", refused) from refused
                log.warning("the cluster refuses a session of %d ms: fail-over takes longer", self._sessions.pop(0))
            except (kafka_errors.KafkaError, TimeoutError, OSError) as error:
                if loop.time() >= deadline or not errors.is_transient(error):
                    raise errors.opening("the relay group", error) from error
                await asyncio.sleep(0.2)
            else:
                return

    async def _join(self, deadline: float) -> None:
        listener = _Listener()
        consumer = self._address.member(RELAY_GROUP, self._member, self._sessions[0])
        listener.consumer = consumer
        try:
            async with asyncio.timeout_at(deadline):
                await consumer.start()
                consumer.subscribe([SHARDS], listener=listener)
                while listener.held is None:
                    _check(consumer)
                    await _event(listener.changed, TICK_SECONDS)
        except BaseException:
            await wire.retire(consumer, seconds=2.0)
            raise
        self._consumer, self._listener = consumer, listener

    async def changed(self, timeout: float) -> frozenset[int]:
        """See :class:`broker.ports.ShardClaims`. Raises NotAuthorised, ExchangeUnreachable where the group cannot be joined again."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        while True:
            if self.closed:
                raise UsageError("the claims were given up", advice="join again")
            held = self._held()
            if held != self._told or loop.time() >= deadline:
                self._told = held
                return held
            self._listener.changed.clear()
            await _event(self._listener.changed, max(0.0, min(TICK_SECONDS, deadline - loop.time())))
            await self._heal()

    def _held(self) -> frozenset[int]:
        listener = self._listener
        if self._consumer is None or listener.held is None:
            return frozenset()
        now = asyncio.get_running_loop().time()
        if listener.revoked_at is not None and now - listener.revoked_at > self._sessions[0] / 1000:
            return frozenset()
        return listener.held

    async def _heal(self) -> None:
        """Join anew where aiokafka gave up on the group; until then nothing is held."""
        if self.closed:
            return
        consumer = self._consumer
        if consumer is not None and (failure := wire.group_failure(consumer)) is not None:
            log.warning("the relay group is joined anew: %s", failure)
            self._consumer = None
            await wire.retire(consumer, seconds=2.0)
        if self._consumer is None:
            if self._told:
                self._listener.changed.set()
                return
            await self.join()

    async def close(self) -> None:
        """See :class:`broker.ports.ShardClaims`."""
        if self.closed:
            return
        self.closed = True
        consumer, self._consumer = self._consumer, None
        self._listener.changed.set()
        if consumer is not None:
            wire.leave_on_stop(consumer)
            await wire.retire(consumer, seconds=2.0)


def _check(consumer: wire.RawConsumer) -> None:
    if (failure := wire.group_failure(consumer)) is not None:
        raise failure


async def _event(event: asyncio.Event, seconds: float) -> None:
    """Wait for the event, or for so long."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return
