"""Peer: raw aiokafka in two hops: encode and ``send``, the transactional copy loop in a process of its own, ``getmany`` and decode.

Tuned for latency: ``linger_ms=0``, idempotent, ``acks=all``, ``retry_backoff_ms=5`` in the copy loop, ``read_committed`` at its end.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import aiokafka
from aiokafka import TopicPartition

from benchmarks.payloads import decoder, encoder, records
from benchmarks.sides.pace import PROBES, Arrivals, at_rate, one_at_a_time, opened
from benchmarks.sides.side import Meter, Result, Spec, run
from broker.errors import BrokerError
from broker.kafka.tls import ssl_context


async def _receive(consumer: Any, arrivals: Arrivals) -> None:
    decode = decoder()
    while True:
        for found in (await consumer.getmany(timeout_ms=500, max_records=1000)).values():
            for record in found:
                arrivals.came(decode(record.value)["subject"])


async def _clients(spec: Spec) -> tuple[Any, Any]:
    make_consumer: Any = aiokafka.AIOKafkaConsumer
    make_producer: Any = aiokafka.AIOKafkaProducer
    same: dict[str, Any] = {"bootstrap_servers": spec.bootstrap, "security_protocol": "SSL", "ssl_context": ssl_context(spec.peer_tls())}
    consumer = make_consumer(**same, group_id=None, isolation_level="read_committed", enable_auto_commit=False)
    producer = make_producer(**same, acks="all", enable_idempotence=True, linger_ms=0, max_batch_size=512 * 1024)
    await consumer.start()
    await producer.start()
    place = TopicPartition(spec.copies[0], 0)
    consumer.assign([place])
    await consumer.seek_to_end(place)
    await consumer.position(place)
    return consumer, producer


async def _timed(spec: Spec, arrivals: Arrivals, producer: Any) -> Result:
    encode, meter = encoder(), Meter(spec)
    probes = records(PROBES, spec.peer, f"{spec.run}-probe", spec.recipients)
    made = records(spec.total, spec.peer, spec.run, spec.recipients)

    async def send(record: dict[str, Any]) -> None:
        await producer.send_and_wait(spec.topic, encode(record), key=record["subject"].encode())

    await opened(arrivals, [record["subject"] for record in probes], lambda number: send(probes[number]))
    subjects = [record["subject"] for record in made]
    meter.start()
    if spec.rate:
        found = await at_rate(arrivals, subjects, lambda number: send(made[number]), spec.rate)
    else:
        found = await one_at_a_time(arrivals, subjects, lambda number: send(made[number]))
    meter.stop()
    result = meter.result(spec.total)
    result.latencies = found[spec.warm :]
    return result


async def side(spec: Spec) -> Result:
    """Send, copy, receive."""
    arrivals = Arrivals()
    pipe = asyncio.subprocess.PIPE
    hop = await asyncio.create_subprocess_exec(sys.executable, "-m", "benchmarks.sides.aiokafka_hop", spec.text(), stdin=pipe, stdout=pipe)
    try:
        if hop.stdout is None or not await hop.stdout.readline():
            raise BrokerError("the copy loop did not start")
        consumer, producer = await _clients(spec)
        reading = asyncio.create_task(_receive(consumer, arrivals))
        try:
            return await _timed(spec, arrivals, producer)
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
            await producer.stop()
            await consumer.stop()
    finally:
        if hop.returncode is None:
            hop.terminate()
        await hop.wait()


if __name__ == "__main__":
    run(side)
