"""Peer: FastStream over aiokafka as it comes, unsigned: fastavro encode and ``broker.publish``.

Default settings, whose ``publish`` waits for Kafka's acknowledgement (``acks=1``, 16 KiB batches, no linger). :data:`TASKS` tasks
publish at once, its best: tried were 32, 128 and 512, at 194, 252 and 663 microseconds of processor time per message, for every
full batch wakes all who wait for the next. Mutual TLS as ours.
"""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Iterable
from typing import Any, Final

from benchmarks.payloads import Record, encoder, records
from benchmarks.sides.side import Meter, Result, Spec, run
from broker.kafka.tls import ssl_context

TASKS: Final = 32


def opened(spec: Spec) -> Any:
    """A FastStream broker, not started."""
    kafka, security = importlib.import_module("faststream.kafka"), importlib.import_module("faststream.security")
    return kafka.KafkaBroker(spec.bootstrap, security=security.BaseSecurity(ssl_context=ssl_context(spec.peer_tls())), logger=None)


async def side(spec: Spec) -> Result:
    """Publish warm-up and messages."""
    made, encode, meter = records(spec.total, spec.peer, spec.run, spec.recipients), encoder(), Meter(spec)
    broker = opened(spec)

    async def publish_all(waiting: Iterable[Record]) -> None:
        queue = iter(waiting)

        async def task() -> None:
            for record in queue:
                await broker.publish(encode(record), topic=spec.topic, key=record["subject"].encode())

        await asyncio.gather(*(task() for _ in range(TASKS)))

    await broker.start()
    try:
        await publish_all(made[: spec.warm])
        meter.start()
        await publish_all(made[spec.warm :])
        meter.stop()
    finally:
        await broker.stop()
    return meter.result(spec.count)


if __name__ == "__main__":
    run(side)
