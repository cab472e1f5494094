"""Peer: raw aiokafka's exactly-once copy loop, tuned: consume, copy to one topic or many, commit; nothing is decoded.

``getmany`` up to 500 records, one batch per topic by ``create_batch`` and ``send_batch``, the position in the same transaction,
``read_committed``, ``retry_backoff_ms=5`` (at the default Kafka 4 stalls it by 100 ms after each commit), ``max_batch_size`` 512 KiB,
4 MiB of fetch per partition.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final

import aiokafka
from aiokafka import TopicPartition

from benchmarks.sides.side import Meter, Result, Spec, run
from broker.errors import BrokerError
from broker.kafka.tls import ssl_context

MOST: Final = 500


async def side(spec: Spec) -> Result:
    """Copy warm-up and messages."""
    meter, copied = Meter(spec), 0
    consumer, producer = await clients(spec)
    source, group = TopicPartition(spec.topic, 0), f"g.{spec.peer}.{spec.run}"
    consumer.assign([source])
    consumer.seek(source, 0)
    try:
        while copied < spec.total:
            left = (spec.total if meter.running else spec.warm) - copied  # a measurement begins and ends with a commit
            found: dict[Any, list[Any]] = await consumer.getmany(timeout_ms=10_000, max_records=min(MOST, left))
            records = found.get(source)
            if not records:
                raise BrokerError(f"the copy loop ran dry at {copied} of {spec.total}")
            await producer.begin_transaction()
            await copy(producer, records, spec.copies)
            await producer.send_offsets_to_transaction({source: records[-1].offset + 1}, group)
            await producer.commit_transaction()
            copied += len(records)
            if copied == spec.warm:
                meter.start()
        meter.stop()
    finally:
        await consumer.stop()
        await producer.stop()
    return meter.result(spec.count * len(spec.copies))


async def copy(producer: Any, records: Sequence[Any], topics: Sequence[str]) -> None:
    """Send the records to each topic; return when Kafka has them."""
    answers: list[Any] = []
    for topic in topics:
        batch = producer.create_batch()
        for record in records:
            if batch.append(key=record.key, value=record.value, timestamp=None) is None:
                answers.append(await producer.send_batch(batch, topic, partition=0))
                batch = producer.create_batch()
                batch.append(key=record.key, value=record.value, timestamp=None)
        answers.append(await producer.send_batch(batch, topic, partition=0))
    await asyncio.gather(*answers)


async def clients(spec: Spec) -> tuple[Any, Any]:
    """Consumer and producer, started."""
    same: dict[str, Any] = {"bootstrap_servers": spec.bootstrap, "security_protocol": "SSL"}
    make_consumer: Any = aiokafka.AIOKafkaConsumer
    make_producer: Any = aiokafka.AIOKafkaProducer
    consumer = make_consumer(
        **same,
        ssl_context=ssl_context(spec.peer_tls()),
        group_id=None,
        isolation_level="read_committed",
        enable_auto_commit=False,
        max_partition_fetch_bytes=4 << 20,
    )
    producer = make_producer(
        **same,
        ssl_context=ssl_context(spec.peer_tls()),
        acks="all",
        transactional_id=f"t.{spec.peer}.{spec.run}",
        retry_backoff_ms=5,
        linger_ms=0,
        max_batch_size=512 * 1024,
    )
    await consumer.start()
    await producer.start()
    return consumer, producer


if __name__ == "__main__":
    run(side)
