"""Work with an exchange that comes and goes: begun anew after each failure, sooner where it had lasted."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from broker.errors import BrokerError

AGAIN_S: Final = (1.0, 30.0)
"""First and longest wait before the exchange is tried again. Work that lasted longer than the longest begins after the first."""


async def begun_anew(
    work: Callable[[], Awaitable[object]], failed: Callable[[BrokerError], None], *, until: Callable[[], bool] = lambda: False
) -> None:
    """Do ``work`` again and again until it holds that it is over. A BrokerError is told to ``failed``; others are bugs, and end it.
    Cancelled, it ends also where closing what the work had open fails."""
    this = asyncio.current_task()
    wait_s = AGAIN_S[0]
    while not until():
        began = asyncio.get_running_loop().time()
        try:
            await work()
        except BrokerError as error:
            failed(error)
            if this is not None and this.cancelling():
                raise asyncio.CancelledError from error
        if asyncio.get_running_loop().time() - began > AGAIN_S[1]:
            wait_s = AGAIN_S[0]
        if not until():
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, AGAIN_S[1])
