"""A connection to a real exchange under one certificate: the port ``Transport`` over aiokafka."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from typing import Protocol

from broker.errors import UsageError
from broker.exchange.topology import SHARDS
from broker.kafka import errors, wire
from broker.kafka.claims import KafkaShardClaims
from broker.kafka.desk import LATEST, Desk
from broker.kafka.inlet import KafkaInlet
from broker.kafka.ledger import KafkaLedger
from broker.kafka.outlet import KafkaOutlet
from broker.ports import Inlet, Ledger, Outlet, ShardClaims, Source


class _Closing(Protocol):
    closed: bool

    async def close(self) -> None: ...


class KafkaTransport:
    """See :class:`broker.ports.Transport`.

    ``bootstrap``: ``host:port``, several separated by commas. ``tls``: from :func:`broker.kafka.tls.ssl_context`, or a function
    that makes it anew for each client, so that a renewed certificate is picked up; None only where the exchange asks for none.
    ``patience``: seconds before a silent exchange is called unreachable.
    """

    def __init__(self, bootstrap: str, tls: wire.Connect, client_id: str, *, patience: float = 30.0) -> None:
        self._address = wire.Address(bootstrap, tls, client_id)
        self._patience = patience
        self._desk = Desk(self._address, patience=patience)
        self._opened: list[_Closing] = []
        self._closed = False

    async def outlet(self) -> Outlet:
        """See :class:`broker.ports.Transport`. Raises NotAuthorised where this certificate may write nothing at all."""
        self._check_open()
        outlet = KafkaOutlet(self._address, patience=self._patience)
        await outlet.open()
        self._keep(outlet)
        return outlet

    async def inlet(self) -> Inlet:
        """See :class:`broker.ports.Transport`."""
        self._check_open()
        await self._desk.open()
        inlet = KafkaInlet(self._address, self._desk, patience=self._patience)
        self._keep(inlet)
        return inlet

    async def ledger(self, name: str) -> Ledger:
        """See :class:`broker.ports.Transport`."""
        self._check_open()
        ledger = await KafkaLedger.opened(self._address, name, patience=self._patience)
        self._keep(ledger)
        return ledger

    async def shard_claims(self, member: str) -> ShardClaims:
        """See :class:`broker.ports.Transport`. Raises NotAuthorised, and UsageError where the exchange was not set up."""
        self._check_open()
        if await self.partitions(SHARDS) == 0:
            raise errors.no_topic(SHARDS)
        claims = KafkaShardClaims(self._address, member, patience=self._patience)
        await claims.join()
        self._keep(claims)
        return claims

    async def partitions(self, topic: str) -> int:
        """See :class:`broker.ports.Transport`. Raises ExchangeUnreachable."""
        self._check_open()
        return len((await self._desk.topics([topic]))[topic].leaders)

    async def ends(self, sources: Collection[Source]) -> Mapping[Source, int]:
        """See :class:`broker.ports.Transport`."""
        self._check_open()
        return await self._desk.offsets(dict.fromkeys(sources, LATEST))

    async def tell_read(self, group: str, source: Source, position: int, at_ms: int) -> None:
        """See :class:`broker.ports.Transport`."""
        self._check_open()
        await self._desk.commit(group, source, position, str(at_ms))

    async def trim(self, source: Source, before: int) -> None:
        """See :class:`broker.ports.Transport`. Raises NotAuthorised, ExchangeUnreachable, UsageError beyond the end."""
        self._check_open()
        await self._desk.trim(source, before)

    def _keep(self, opened: _Closing) -> None:
        self._opened = [earlier for earlier in self._opened if not earlier.closed]
        self._opened.append(opened)

    def _check_open(self) -> None:
        if self._closed:
            raise UsageError("the transport is closed", advice="make another one")

    async def close(self) -> None:
        """See :class:`broker.ports.Transport`."""
        self._closed = True
        opened, self._opened = self._opened, []
        await asyncio.gather(*(each.close() for each in opened))
        await self._desk.close()
