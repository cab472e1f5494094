"""The contract suite's worlds: every test that takes ``world`` runs in memory and on Kafka."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest
import pytest_asyncio

from tests.contract.worlds import KafkaWorld, MemoryWorld, World
from tests.support.kafka_node import KafkaNode


@pytest.fixture(params=["memory", pytest.param("kafka", marks=pytest.mark.kafka)])
def node_or_memory(request: pytest.FixtureRequest) -> KafkaNode | None:
    """The Kafka node, started only where a test is to run on it; None stands for memory."""
    return request.getfixturevalue("kafka_node") if request.param == "kafka" else None


@pytest_asyncio.fixture
async def world(node_or_memory: KafkaNode | None) -> AsyncGenerator[World]:
    """An exchange, in memory or on Kafka."""
    made: World = MemoryWorld() if node_or_memory is None else KafkaWorld(node_or_memory)
    yield made
    await made.close()


@pytest_asyncio.fixture
async def kafka(kafka_node: KafkaNode) -> AsyncGenerator[KafkaWorld]:
    """An exchange on Kafka, for what only a real one shows."""
    made = KafkaWorld(kafka_node)
    yield made
    await made.close()
