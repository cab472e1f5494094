"""Peer: raw aiokafka, tuned, unsigned: ``getmany`` and fastavro decode.

``read_committed``, up to 1,000 records a call, 4 MiB of fetch per partition, ``check_crcs``, no group and no commit of positions.
"""

from __future__ import annotations

from typing import Any

import aiokafka
from aiokafka import TopicPartition

from benchmarks.payloads import decoder
from benchmarks.sides.side import Meter, Result, Spec, run
from broker.errors import BrokerError
from broker.kafka.tls import ssl_context


async def side(spec: Spec) -> Result:
    """Read the topic from its beginning."""
    decode, meter, taken = decoder(), Meter(spec), 0
    make: Any = aiokafka.AIOKafkaConsumer
    consumer: Any = make(
        bootstrap_servers=spec.bootstrap,
        security_protocol="SSL",
        ssl_context=ssl_context(spec.peer_tls()),
        group_id=None,
        isolation_level="read_committed",
        enable_auto_commit=False,
        check_crcs=True,
        max_partition_fetch_bytes=4 << 20,
    )
    await consumer.start()
    source = TopicPartition(spec.topic, 0)
    consumer.assign([source])
    consumer.seek(source, 0)
    try:
        while taken < spec.total:
            found: dict[Any, list[Any]] = await consumer.getmany(timeout_ms=10_000, max_records=1000)
            if not found:
                raise BrokerError(f"the topic ended at {taken} of {spec.total}")
            for record in found[source]:
                assert decode(record.value)["core"]
                taken += 1
                if taken == spec.warm:
                    meter.start()
                if taken == spec.total:
                    meter.stop()
                    break
    finally:
        await consumer.stop()
    return meter.result(spec.count)


if __name__ == "__main__":
    run(side)
