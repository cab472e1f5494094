"""Peer: confluent-kafka (librdkafka) with one Ed25519 verification and one fastavro decode per message.

``read_committed``, ``consume`` of up to 500 messages, positions not committed, librdkafka's prefetching as it comes.
"""

from __future__ import annotations

from typing import Any

import confluent_kafka
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from benchmarks.payloads import decoder
from benchmarks.sides.confluent_publish import SEED
from benchmarks.sides.side import Meter, Result, Spec, run
from broker.errors import BrokerError
from broker.kafka.tls import librdkafka_settings


async def side(spec: Spec) -> Result:
    """Read the topic from its beginning."""
    decode, meter, taken = decoder(), Meter(spec), 0
    verify = Ed25519PrivateKey.from_private_bytes(SEED).public_key().verify
    make: Any = confluent_kafka.Consumer
    consumer: Any = make({
        **librdkafka_settings(spec.peer_tls()),
        "bootstrap.servers": spec.bootstrap,
        "group.id": f"g.{spec.peer}.{spec.run}",
        "enable.auto.commit": False,
        "isolation.level": "read_committed",
    })  # fmt: skip
    place: Any = confluent_kafka.TopicPartition
    consumer.assign([place(spec.topic, 0, 0)])
    try:
        while taken < spec.total:
            found: list[Any] = consumer.consume(500, 10.0)
            if not found:
                raise BrokerError(f"the topic ended at {taken} of {spec.total}")
            for message in found:
                if message.error():
                    raise BrokerError(f"reading failed: {message.error()}")
                value: bytes = message.value()
                verify(value[:64], value[64:])
                assert decode(value[64:])["core"]
                taken += 1
                if taken == spec.warm:
                    meter.start()
                if taken == spec.total:
                    meter.stop()
                    break
    finally:
        consumer.close()
    return meter.result(spec.count)


if __name__ == "__main__":
    run(side)
