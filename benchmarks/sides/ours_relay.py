"""Ours: one relay worker process, exactly once, over an outbox that is full when it starts.

Each record is verified, admitted, decided section by section, delivered with a signed slip to every recipient's inbox, answered
with a receipt, and its leaf and position written, all in the relay's transactions. Counted are inbox records. The worker
itself is looked at every 5 ms; a measurement begins and ends with a commit. (While one batch is committed the next is taken in, so up to
500 messages of the measured ones were worked on before it began: 2.5 % of them.)
"""

from __future__ import annotations

import asyncio
import os
import time
from typing import Final

from benchmarks.sides.side import Meter, Result, Spec, run
from broker.app import process
from broker.app.connect import connect, connect_admin
from broker.app.parties import Operator
from broker.errors import BrokerError
from broker.service.relay import RelayWorker

LOOK_S: Final = 0.005
LIMIT_S: Final = 120.0


async def _until(worker: RelayWorker, running: asyncio.Task[None], delivered: int) -> int:
    """Wait until so many were delivered; returns how many were."""
    end = time.monotonic() + LIMIT_S
    while time.monotonic() < end:
        if running.done():
            running.result()
            break
        found = worker.totals.get("delivered", 0)
        if found >= delivered:
            return found
        await asyncio.sleep(LOOK_S)
    raise BrokerError(f"the relay delivered {worker.totals} where {delivered} were expected")


async def side(spec: Spec) -> Result:
    """Drain the outboxes."""
    process.settle()
    fan_out = len(spec.recipients)
    operator = Operator(spec.folder, connect, connect_admin, bootstrap=spec.bootstrap)
    transport = operator.transport("relay")
    worker = operator.relay(transport, f"bench-{os.getpid()}")
    running = asyncio.create_task(worker.run())
    meter = Meter(spec)
    try:
        before = await _until(worker, running, spec.warm * fan_out)
        meter.start()
        after = await _until(worker, running, spec.total * fan_out)
        meter.stop()
    finally:
        worker.stop()
        await asyncio.gather(running, return_exceptions=True)
        await transport.close()
    return meter.result(after - before)


if __name__ == "__main__":
    run(side)
