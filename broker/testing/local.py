"""A whole exchange in one process and in memory, for an agency's own tests: real keys, policy, relay; no Kafka, no network.

::

    async with LocalExchange() as exchange:
        sg = await exchange.join("SG-CUSTOMS", "customs")
        my = await exchange.join("MY-CUSTOMS", "customs")
        await sg.publish(alert(...))
        for delivery in await my.deliveries(1): ...

``docs/quickstart.py`` is a whole program. Unless the application has set up structlog, only warnings are logged, on standard error.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import structlog

from broker import ids
from broker.app import Member, Operator
from broker.app.parties import shipped_bundle
from broker.envelope.receipt import Receipt
from broker.families.message import Message
from broker.policy.bundle import Bundle
from broker.policy.model import Distribution, Verdict
from broker.ports import Admin, Clock, Randomness, Transport
from broker.service.publisher import Publisher
from broker.service.relay import RelayWorker
from broker.service.subscriber import DONE, Delivery, Outcome
from broker.storage import enrol
from broker.storage.home import TlsFiles
from broker.testing.agreements import EVERYWHERE
from broker.testing.memory import MemoryAdmin, MemoryExchange, MemoryTransport

Schemas = Mapping[tuple[str, str, int], str]
"""Texts of ``.avsc`` files by family, section and version."""
PATIENCE_S: Final = 10.0
"""How long a call waits for the exchange before it fails: nothing here takes longer."""


class LocalAgency:
    """A member of a :class:`LocalExchange`."""

    def __init__(self, member: Member, transport: Transport) -> None:
        self.member = member
        self.agency = member.files.agency
        self.transport = transport
        self._publisher: Publisher | None = None

    async def publisher(self) -> Publisher:
        """This agency's publisher, started."""
        if self._publisher is None:
            self._publisher = self.member.publisher(self.transport)
            await self._publisher.start()
        return self._publisher

    async def preview(self, message: Message) -> tuple[Verdict, Distribution]:
        """A dry run: may this agency publish it, and who would see which sections, by which rule. Raises RefusedError."""
        return (await self.publisher()).preview(message)

    async def publish(self, message: Message) -> Receipt:
        """Publish and wait for the relay's receipt. Raises RefusedError where the message is refused before it is sent."""
        handle = await (await self.publisher()).publish(message)
        return await handle.receipt(PATIENCE_S)

    async def deliveries(self, count: int, *, families: Sequence[str] | None = None) -> list[Delivery]:
        """The next ``count`` deliveries, fewer if no more come within a moment; goes on where the last call ended."""
        taken: list[Delivery] = []

        async def keep(delivery: Delivery) -> Outcome:
            taken.append(delivery)
            return DONE

        subscriber = self.member.subscriber(self.transport, families=families)
        await subscriber.run(keep, limit=count, idle_timeout=0.3)
        return taken

    async def close(self) -> None:
        """Close the publisher."""
        if self._publisher is not None:
            await self._publisher.close()
            self._publisher = None


class LocalExchange:
    """An exchange in memory with one relay worker. ``memory`` gives access to topics and faults; relay and agencies read the code lists
    of ``codelists``, a folder.

    ``schemas`` are those of the operator's program, by family, section and version; by default the ones shipped. With fewer of them
    for one party than for another, a test sees how an agency that has not upgraded yet gets on.
    """

    def __init__(
        self,
        *,
        exchange_id: str = "local.test",
        environment: str = "test",
        shards: int = 4,
        clock: Clock | None = None,
        randomness: Randomness | None = None,
        bundle: Bundle | None = None,
        entities: str = EVERYWHERE,
        schemas: Schemas | None = None,
        codelists: Path | None = None,
    ) -> None:
        self._names = (exchange_id, environment, shards)
        self._folder = tempfile.TemporaryDirectory(prefix="broker-local-")
        self.home = Path(self._folder.name)
        self.memory = MemoryExchange(clock)
        self._clock, self._randomness, self._codelists = self.memory.clock, randomness, codelists
        self._bundle = bundle or shipped_bundle(entities=entities)
        self.operator = Operator(
            self.home, self._connect, self._connect_admin, bootstrap="memory:0", clock=self._clock, schemas=schemas, codelists=codelists
        )  # fmt: skip
        self.agencies: dict[str, LocalAgency] = {}
        self.relay: RelayWorker | None = None
        self._running: asyncio.Task[None] | None = None

    def _connect(self, _bootstrap: str, principal: str, _files: TlsFiles) -> Transport:
        return MemoryTransport(self.memory, None if principal == "registrar" else principal)

    def _connect_admin(self, _bootstrap: str, _files: TlsFiles) -> Admin:
        return MemoryAdmin(self.memory)

    async def __aenter__(self) -> LocalExchange:
        _log_quietly()
        enrol.create_exchange(self.home, *self._names, self._clock.now_ms())
        await self.operator.create(self._bundle)
        await self.start_relay()
        return self

    async def __aexit__(self, *_: object) -> None:
        for agency in self.agencies.values():
            await agency.close()
        await self.stop_relay()
        self._folder.cleanup()

    async def start_relay(self, member: str = "relay-1") -> None:
        """Start the relay worker."""
        self.relay = self.operator.relay(self.operator.transport("relay"), member)
        self._running = asyncio.create_task(self.relay.run())

    async def stop_relay(self) -> None:
        """Stop the relay worker; raises what ended it, if anything did."""
        if self.relay is not None and self._running is not None:
            self.relay.stop()
            await self._running
        self.relay = self._running = None

    async def join(self, agency: str, kind: str, communities: Sequence[str] = (), *, schemas: Schemas | None = None) -> LocalAgency:
        """Enrol an agency: its keys, request, admission and reply, all as in earnest. ``schemas``: those of its program."""
        await self.operator.add(ids.agency_id(agency), kind, communities)
        member = Member(
            self.home, agency, self._connect,
            clock=self._clock, randomness=self._randomness, schemas=schemas, codelists=self._codelists,
        )  # fmt: skip
        self.agencies[agency] = LocalAgency(member, member.transport())
        return self.agencies[agency]


def _log_quietly() -> None:
    """By default structlog prints every line on standard output, between what a program prints."""
    if not structlog.is_configured():
        structlog.configure(
            wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
            logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),  # looked up at each line: tests exchange the stream
        )
