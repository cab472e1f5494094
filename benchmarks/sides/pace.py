"""Latency, the same way for all sides: what is sent when, and when it came.

At a rate, the clock of a message starts when it was *due*, not when a busy sender got round to it. One at a time, the next message
is sent :data:`GAP_S` after the one before has come.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from broker.errors import BrokerError

GAP_S: Final = 0.05
LIMIT_S: Final = 60.0
PROBE_S: Final = 0.3
PROBES: Final = 100


class Arrivals:
    """When each subject came."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._at: dict[str, float] = {}
        self._came = asyncio.Event()

    def came(self, subject: str) -> None:
        """A message is with its handler."""
        self._at.setdefault(subject, self._loop.time())
        self._came.set()

    async def wait_for(self, subjects: Sequence[str], seconds: float = LIMIT_S) -> bool:
        """Wait until all of these have come."""
        end = self._loop.time() + seconds
        for subject in subjects:
            while subject not in self._at:
                self._came.clear()
                try:
                    async with asyncio.timeout_at(end):
                        await self._came.wait()
                except TimeoutError:
                    return False
        return True

    def at(self, subject: str) -> float:
        """The time of the event loop's clock at which it came."""
        return self._at[subject]


async def opened(arrivals: Arrivals, subjects: Sequence[str], send: Callable[[int], Awaitable[object]]) -> None:
    """Send probes until one comes through: only then does the reader surely read."""
    for number in range(len(subjects)):
        await send(number)
        if await arrivals.wait_for(subjects[number : number + 1], PROBE_S):
            return
    raise BrokerError("no probe came through")


async def at_rate(arrivals: Arrivals, subjects: Sequence[str], send: Callable[[int], Awaitable[object]], rate: float) -> list[float]:
    """Send all at this rate (messages a second); the milliseconds from due to come, in order."""
    loop = asyncio.get_running_loop()
    first, under_way = loop.time() + 0.05, set[asyncio.Task[object]]()

    async def task(number: int) -> object:
        return await send(number)

    for number in range(len(subjects)):
        due = first + number / rate
        if (wait := due - loop.time()) > 0:
            await asyncio.sleep(wait)
        sending = asyncio.create_task(task(number))
        under_way.add(sending)
        sending.add_done_callback(under_way.discard)
    if not await arrivals.wait_for(subjects):
        raise BrokerError(f"not all messages came within {LIMIT_S:g} s")
    return [(arrivals.at(subject) - first - number / rate) * 1000 for number, subject in enumerate(subjects)]


async def one_at_a_time(arrivals: Arrivals, subjects: Sequence[str], send: Callable[[int], Awaitable[object]]) -> list[float]:
    """Each on an idle system; the milliseconds from sending to come."""
    loop, found = asyncio.get_running_loop(), list[float]()
    for number, subject in enumerate(subjects):
        await asyncio.sleep(GAP_S)
        began = loop.time()
        await send(number)
        if not await arrivals.wait_for([subject]):
            raise BrokerError(f"{subject} did not come within {LIMIT_S:g} s")
        found.append((arrivals.at(subject) - began) * 1000)
    return found
