"""Ours: from ``publish`` to the handler, by way of the real relay in a process of its own; publisher and subscriber share this one.

With ``rate``, messages at that rate; without, one urgent message at a time on an otherwise idle system.
"""

from __future__ import annotations

import asyncio
import os

from benchmarks.payloads import messages
from benchmarks.sides.pace import PROBES, Arrivals, at_rate, one_at_a_time, opened
from benchmarks.sides.side import Meter, Result, Spec, run
from broker.app import process
from broker.app.connect import connect
from broker.app.local import RelayProcess
from broker.app.parties import Member
from broker.service.publisher import Publisher
from broker.service.subscriber import Delivery
from broker.storage.subscriber_store import SqliteSubscriberStore


async def _timed(spec: Spec, arrivals: Arrivals, publisher: Publisher) -> Result:
    probes = messages(PROBES, spec.agency, f"{spec.run}-probe", spec.recipients, urgency="IMMEDIATE")
    made, meter = messages(spec.total, spec.agency, spec.run, spec.recipients, urgency=spec.urgency), Meter(spec)
    await opened(arrivals, [message.subject for message in probes], lambda number: publisher.publish(probes[number]))
    subjects = [message.subject for message in made]
    meter.start()
    if spec.rate:
        found = await at_rate(arrivals, subjects, lambda number: publisher.publish(made[number]), spec.rate)
    else:
        found = await one_at_a_time(arrivals, subjects, lambda number: publisher.publish(made[number]))
    meter.stop()
    result = meter.result(spec.total)
    result.latencies = found[spec.warm :]
    return result


async def side(spec: Spec) -> Result:
    """Publish, relay, receive."""
    process.settle()
    arrivals = Arrivals()

    async def handler(delivery: Delivery) -> None:
        assert delivery.sections
        arrivals.came(delivery.subject)

    relay = await RelayProcess.start(spec.folder, f"bench-{os.getpid()}", bootstrap=spec.bootstrap)
    folder = spec.folder / "benchmark"
    folder.mkdir(exist_ok=True)
    reader, writer = (Member(spec.folder, agency, connect, bootstrap=spec.bootstrap) for agency in (spec.recipients[0], spec.agency))
    coming, going = reader.transport(), writer.transport()
    subscriber = reader.subscriber(coming, store=SqliteSubscriberStore(folder / f"{spec.run}-in.sqlite", spec.recipients[0]))
    reading = asyncio.create_task(subscriber.run(handler, start="now"))
    try:
        async with writer.publisher(going, folder / f"{spec.run}-out.sqlite") as publisher:
            return await _timed(spec, arrivals, publisher)
    finally:
        subscriber.stop()
        await asyncio.gather(reading, return_exceptions=True)
        await asyncio.gather(coming.close(), going.close())
        await relay.stop()


if __name__ == "__main__":
    run(side)
