"""Ours: the real publisher of an agency, as a program uses it.

Every message is validated, encoded, committed to, signed in a batch, stored in SQLite on disk, sent over mutual TLS and
acknowledged by Kafka (idempotent, acks=all) before its ``publish`` returns. :data:`TASKS` tasks publish at once. No relay runs, and
receipts are not awaited.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Final

from benchmarks.payloads import messages
from benchmarks.sides.side import Meter, Result, Spec, run
from broker.app import process
from broker.app.connect import connect
from broker.app.parties import Member
from broker.families.message import Message
from broker.service.publisher import Publisher

TASKS: Final = 512


async def publish_all(publisher: Publisher, waiting: Iterable[Message]) -> None:
    """Publish these from many tasks, and return when Kafka has all."""
    queue = iter(waiting)

    async def task() -> None:
        for message in queue:
            await publisher.publish(message)

    await asyncio.gather(*(task() for _ in range(TASKS)))


async def side(spec: Spec) -> Result:
    """Publish warm-up and messages."""
    process.settle()
    made = messages(spec.total, spec.agency, spec.run, spec.recipients)
    member = Member(spec.folder, spec.agency, connect, bootstrap=spec.bootstrap)
    transport = member.transport()
    store = spec.folder / "benchmark" / f"{spec.run}.sqlite"
    store.parent.mkdir(exist_ok=True)
    meter = Meter(spec)
    try:
        async with member.publisher(transport, store) as publisher:
            await publish_all(publisher, made[: spec.warm])
            meter.start()
            await publish_all(publisher, made[spec.warm :])
            meter.stop()
    finally:
        await transport.close()
        store.unlink(missing_ok=True)
    return meter.result(spec.count)


if __name__ == "__main__":
    run(side)
