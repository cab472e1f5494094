"""An exchange in memory seen through a slow network: a topic whose news comes late, inlets that take their time."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from broker.exchange.topology import DIRECTORY
from broker.ports import Inlet, Record, Source, Start
from broker.testing.exchange import MemoryExchange
from broker.testing.memory import MemoryInlet, MemoryTransport


class LateInlet(MemoryInlet):
    """Brings no record of the directory that was written since the transport was opened, until it is let; its end is known."""

    def __init__(self, exchange: MemoryExchange, principal: str | None, transport: LateTransport) -> None:
        super().__init__(exchange, principal)
        self._transport = transport

    def _is_ready(self, source: Source) -> bool:
        if source[0] == DIRECTORY and self.position(source) >= self._transport.limit:
            return False
        return super()._is_ready(source)


class LateTransport(MemoryTransport):
    """The relay's transport. What is written to the directory from now on reaches it when :meth:`arrive` is called."""

    def __init__(self, exchange: MemoryExchange) -> None:
        super().__init__(exchange, "relay")
        self._memory = exchange
        self.limit: float = exchange.log((DIRECTORY, 0)).end

    def arrive(self) -> None:
        """All of it is there."""
        self.limit = float("inf")
        self._memory.ring()

    async def inlet(self) -> Inlet:
        """See the port."""
        inlet = LateInlet(self._memory, "relay", self)
        self._opened.append(inlet)
        return inlet


class StuckInlet(MemoryInlet):
    """Hangs where it is told to: in ``assign`` of this offset, or in ``close``."""

    def __init__(self, exchange: MemoryExchange, hangs: object) -> None:
        super().__init__(exchange, None)
        self._hangs = hangs

    async def assign(self, starts: Mapping[Source, Start]) -> None:
        """See the port."""
        if self._hangs in starts.values():
            await asyncio.Event().wait()
        await super().assign(starts)

    async def close(self) -> None:
        """See the port."""
        if self._hangs == "close":
            await asyncio.Event().wait()
        await super().close()


class StuckTransport(MemoryTransport):
    """Its inlets hang: ``hangs`` is ``open``, ``close``, or the offset at which they do. ``opened`` counts them."""

    def __init__(self, exchange: MemoryExchange, hangs: object) -> None:
        super().__init__(exchange)
        self._memory, self._hangs = exchange, hangs
        self.opened = 0

    async def inlet(self) -> Inlet:
        """See the port."""
        self.opened += 1
        if self._hangs == "open":
            await asyncio.Event().wait()
        return StuckInlet(self._memory, self._hangs)


def values(records: Sequence[Record]) -> list[bytes | None]:
    """What was read."""
    return [record.value for record in records]
