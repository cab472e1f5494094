"""Reading ``exchange.current`` for a shard's sweep, beside the shard's work: nothing there waits for it, not even while it connects."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Final

from broker.errors import PositionLost
from broker.exchange.shard import Sweep
from broker.exchange.topology import CURRENT
from broker.ports import Record, Source, Start, Transport

MAX_RECORDS: Final = 200
"""Records read at once; no more are read while so many wait."""
POLL_S: Final = 0.5
"""Longest wait for records. What a sweep waits for is its own mark at most."""

_SOURCE: Final[Source] = (CURRENT, 0)


class CurrentReader:
    """The records that the sweep of one shard has to look at next. What a sweep is, is :mod:`broker.exchange.catch_up`'s.

    The inlet is open only while a sweep is under way.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._reading: tuple[int, int | None] | None = None
        self._waiting: list[Record] = []
        self._room = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._ended: set[asyncio.Task[None]] = set()

    def next(self, sweep: Sweep) -> Sequence[Record]:
        """The next records, perhaps none yet; none at all where no sweep is under way. The same again until :meth:`took` them.

        Raises what reading has ended with, ExchangeUnreachable for one.
        """
        reading = None if sweep.position is None else (sweep.number, sweep.until)
        if reading != self._reading:
            self._end()
            self._reading = reading
            if sweep.position is not None:
                self._task = asyncio.create_task(self._read(sweep.position or "beginning"))
        if self._task is not None and self._task.done():
            self._task.result()
        return self._waiting

    @property
    def waiting(self) -> bool:
        """Whether there are records to look at."""
        return bool(self._waiting)

    def took(self, count: int) -> None:
        """So many of them were dealt with."""
        del self._waiting[:count]
        self._room.set()

    async def _read(self, start: Start) -> None:
        waiting = self._waiting
        inlet = await self._transport.inlet()
        try:
            await inlet.assign({_SOURCE: start})
            while True:
                self._room.clear()
                if len(waiting) >= MAX_RECORDS:
                    await self._room.wait()
                    continue
                try:
                    waiting += await inlet.poll(max_records=MAX_RECORDS, timeout=POLL_S)
                except PositionLost:
                    await inlet.assign({_SOURCE: "beginning"})
        finally:
            await inlet.close()

    def _end(self) -> None:
        """Nobody waits for the inlet to be closed."""
        task, self._task, self._waiting = self._task, None, []
        if task is not None:
            task.cancel()
            self._ended.add(task)
            task.add_done_callback(self._ended.discard)

    async def close(self) -> None:
        """Stop reading."""
        self._end()
        self._reading = None
        for task in list(self._ended):
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await task
