"""Fixtures for every test: a real Kafka node, started once and only where a test asks for it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.support.kafka_node import KafkaNode, embedded_node


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def kafka_node(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[KafkaNode]:
    """The session's Kafka: bootstrap address and certificates for any principal. Mark tests that use it ``kafka``."""
    async with embedded_node(tmp_path_factory.mktemp("node")) as node:
        yield node
