"""Reading ``exchange.current`` for a shard's sweep, a little at a time, through an inlet that is open only while a sweep is under way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from broker.errors import PositionLost
from broker.exchange.shard import Sweep
from broker.exchange.topology import CURRENT
from broker.ports import Inlet, Record, Source, Start, Transport

MAX_RECORDS: Final = 200
"""Most records held at once."""
WAIT_S: Final = 0.005
"""How long a poll that finds nothing may hold up the outboxes. What a sweep is waiting for then is its own mark."""

_SOURCE: Final[Source] = (CURRENT, 0)


class CurrentReader:
    """The records that the sweep of one shard has to look at next. What a sweep is, is :mod:`broker.exchange.catch_up`'s."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._inlet: Inlet | None = None
        self._reading: tuple[int, int | None] | None = None
        self._waiting: Sequence[Record] = ()

    async def next(self, sweep: Sweep) -> Sequence[Record]:
        """The next records, perhaps none yet; none at all where no sweep is under way. The same again until :meth:`took` them."""
        if sweep.position is None:
            await self.close()
            return ()
        reading = sweep.number, sweep.until
        if self._reading != reading:
            await self._begin(sweep.position)
            self._reading = reading
        if not self._waiting and self._inlet is not None:
            try:
                self._waiting = await self._inlet.poll(max_records=MAX_RECORDS, timeout=WAIT_S)
            except PositionLost:
                await self._begin(0)
        return self._waiting

    def took(self, count: int) -> None:
        """So many of them were dealt with."""
        self._waiting = self._waiting[count:]

    async def _begin(self, position: int) -> None:
        if self._inlet is None:
            self._inlet = await self._transport.inlet()
        start: Start = position or "beginning"
        await self._inlet.assign({_SOURCE: start})
        self._waiting = ()

    async def close(self) -> None:
        """Release the inlet; it is opened again when it is needed."""
        inlet, self._inlet, self._reading, self._waiting = self._inlet, None, None, ()
        if inlet is not None:
            await inlet.close()
