"""Peer: confluent-kafka (librdkafka) with fastavro and one Ed25519 signature per message; also fills what its reader reads.

Idempotent, ``acks=all``, ``linger.ms=5``, ``batch.size`` 512 KiB, delivery reports counted. The signature (64 bytes) goes before the
Avro bytes. librdkafka's threads work beside Python's; their processor time is counted too.
"""

from __future__ import annotations

from typing import Any

import confluent_kafka
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from benchmarks.payloads import encoder, records
from benchmarks.sides.side import Meter, Result, Spec, run
from broker.errors import BrokerError
from broker.kafka.tls import librdkafka_settings

SEED = bytes(range(32))
"""The peer's signing key: the reading side derives the public key from it."""


async def side(spec: Spec) -> Result:
    """Publish warm-up and messages."""
    made, encode = records(spec.total, spec.peer, spec.run, spec.recipients), encoder()
    sign, meter, failed = Ed25519PrivateKey.from_private_bytes(SEED).sign, Meter(spec), 0
    make: Any = confluent_kafka.Producer
    producer: Any = make({
        **librdkafka_settings(spec.peer_tls()),
        "bootstrap.servers": spec.bootstrap,
        "enable.idempotence": True,
        "acks": "all",
        "linger.ms": 5,
        "batch.size": 512 * 1024,
    })  # fmt: skip

    def reported(error: Any, _message: Any) -> None:
        nonlocal failed
        failed += error is not None

    for number, record in enumerate(made):
        if number == spec.warm:
            producer.flush()
            meter.start()
        data = encode(record)
        while True:
            try:
                producer.produce(spec.topic, sign(data) + data, key=record["subject"].encode(), partition=0, on_delivery=reported)
                break
            except BufferError:
                producer.poll(0.01)
        producer.poll(0)
    left = producer.flush(60)
    meter.stop()
    if failed or left:
        raise BrokerError(f"{failed} messages were refused, {left} not confirmed")
    return meter.result(spec.count)


if __name__ == "__main__":
    run(side)
