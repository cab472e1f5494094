"""The peers' relay for the latency row: the copy loop of ``aiokafka_copy`` from the topic's end on, until standard input ends."""

from __future__ import annotations

import asyncio
import json
import sys

from aiokafka import TopicPartition

from benchmarks.sides.aiokafka_copy import MOST, clients, copy
from benchmarks.sides.side import Spec, spec_given


async def hop(spec: Spec) -> None:
    """Copy until told to stop."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_reader(sys.stdin.fileno(), stop.set)
    consumer, producer = await clients(spec)
    source, group = TopicPartition(spec.topic, 0), f"g.{spec.peer}.{spec.run}"
    consumer.assign([source])
    await consumer.seek_to_end(source)
    await consumer.position(source)
    print(json.dumps({"ready": True}), flush=True)
    try:
        while not stop.is_set():
            records = (await consumer.getmany(timeout_ms=200, max_records=MOST)).get(source)
            if records:
                await producer.begin_transaction()
                await copy(producer, records, spec.copies)
                await producer.send_offsets_to_transaction({source: records[-1].offset + 1}, group)
                await producer.commit_transaction()
    finally:
        await consumer.stop()
        await producer.stop()


if __name__ == "__main__":
    asyncio.run(hop(spec_given()))
