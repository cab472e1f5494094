"""Peer: raw aiokafka, tuned, unsigned: fastavro encode and ``send``; also fills the topics that peers read from.

``enable_idempotence``, ``acks=all``, ``linger_ms=5``, ``max_batch_size`` 512 KiB; nobody waits for a single delivery: futures are
collected in a window of :data:`WINDOW` and looked at in order. Mutual TLS as ours.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Final

import aiokafka

from benchmarks.payloads import encoder, records
from benchmarks.sides.side import Meter, Result, Spec, run
from broker.kafka.tls import ssl_context

WINDOW: Final = 4096


async def side(spec: Spec) -> Result:
    """Publish warm-up and messages."""
    made, encode = records(spec.total, spec.peer, spec.run, spec.recipients), encoder()
    meter = Meter(spec)
    make: Any = aiokafka.AIOKafkaProducer
    producer: Any = make(
        bootstrap_servers=spec.bootstrap,
        security_protocol="SSL",
        ssl_context=ssl_context(spec.peer_tls()),
        acks="all",
        enable_idempotence=True,
        linger_ms=5,
        max_batch_size=512 * 1024,
    )
    await producer.start()
    under_way: deque[Any] = deque()
    try:
        for number, record in enumerate(made):
            if number == spec.warm:
                await _drain(under_way)
                meter.start()
            under_way.append(await producer.send(spec.topic, encode(record), key=record["subject"].encode()))
            if len(under_way) >= WINDOW:
                await under_way.popleft()
        await _drain(under_way)
        meter.stop()
    finally:
        await producer.stop()
    return meter.result(spec.count)


async def _drain(under_way: deque[Any]) -> None:
    while under_way:
        await under_way.popleft()


if __name__ == "__main__":
    run(side)
