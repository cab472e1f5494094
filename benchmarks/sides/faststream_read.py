"""Peer: a FastStream subscriber as it comes, unsigned, with fastavro as its decoder.

Default settings (one record at a time, positions committed by the group in the background), reading the topic from its beginning.
"""

from __future__ import annotations

import asyncio
from typing import Any

from benchmarks.payloads import Record, decoder
from benchmarks.sides.faststream_publish import opened
from benchmarks.sides.side import Meter, Result, Spec, run
from broker.errors import BrokerError

LIMIT_S = 120.0


async def side(spec: Spec) -> Result:
    """Read the topic from its beginning."""
    decode, meter, taken = decoder(), Meter(spec), 0
    broker, done = opened(spec), asyncio.Event()

    async def avro(message: Any) -> Record:
        return decode(message.body)

    async def handler(record: dict[str, Any]) -> None:
        nonlocal taken
        assert record["core"]
        taken += 1
        if taken == spec.warm:
            meter.start()
        if taken == spec.total:
            meter.stop()
            done.set()

    group = f"g.{spec.peer}.{spec.run}"
    broker.subscriber(spec.topic, group_id=group, auto_offset_reset="earliest", decoder=avro)(handler)
    await broker.start()
    try:
        async with asyncio.timeout(LIMIT_S):
            await done.wait()
    except TimeoutError:
        raise BrokerError(f"FastStream took {taken} of {spec.total} in {LIMIT_S:g} s") from None
    finally:
        await broker.stop()
    return meter.result(spec.count)


if __name__ == "__main__":
    run(side)
