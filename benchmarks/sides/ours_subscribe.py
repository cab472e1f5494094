"""Ours: the real subscriber of an agency with its store on disk, reading an inbox that is full when it starts.

Each delivery is verified (slip, signature or batch proof, commitments), checked against its chain and for duplicates, walked,
decoded, and handed to a handler within the store's transaction. The handler does nothing, as the peers' does.
"""

from __future__ import annotations

from benchmarks.sides.side import Meter, Result, Spec, run
from broker.app import process
from broker.app.connect import connect
from broker.app.parties import Member
from broker.errors import BrokerError
from broker.service.subscriber import Delivery
from broker.storage.subscriber_store import SqliteSubscriberStore


async def side(spec: Spec) -> Result:
    """Read the inbox from its beginning."""
    process.settle()
    member = Member(spec.folder, spec.agency, connect, bootstrap=spec.bootstrap)
    transport = member.transport()
    path = spec.folder / "benchmark" / f"{spec.run}.sqlite"
    path.parent.mkdir(exist_ok=True)
    meter, taken = Meter(spec), 0

    async def handler(delivery: Delivery) -> None:
        nonlocal taken
        assert delivery.sections
        taken += 1
        if taken == spec.warm:
            meter.start()
        if taken == spec.total:
            meter.stop()

    subscriber = member.subscriber(transport, store=SqliteSubscriberStore(path, spec.agency))
    try:
        await subscriber.run(handler, limit=spec.total, idle_timeout=20.0)
    finally:
        await transport.close()
        meter.abandon()
        path.unlink(missing_ok=True)
    if taken != spec.total:
        raise BrokerError(f"the subscriber took {taken} of {spec.total}: {subscriber.counts}")
    return meter.result(spec.count)


if __name__ == "__main__":
    run(side)
