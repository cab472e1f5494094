"""Fixtures for every test: a real Kafka node, started once and only where a test asks for it."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Generator
from pathlib import Path

import pytest
import pytest_asyncio
import structlog
from hypothesis import settings
from playwright.async_api import Browser

from broker.kafka import start_cache
from tests.support.browser import open_browser
from tests.support.kafka_node import KafkaNode, chosen_node
from tests.support.small_disk import disk_of

ON_THE_NODE = frozenset({"contract", "integration"})
OVER_KAFKA = ON_THE_NODE | {"e2e", "faults"}
"""The folders in which ``make test`` looks for tests over Kafka: to collect the nine thousand others takes seconds."""

settings.register_profile("steady", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None)
settings.load_profile("steady")
"""Examples are the same in every run, so that a result is a result; ``make explore`` draws new ones. None is timed: machines differ."""


def pytest_configure(config: pytest.Config) -> None:
    """What the first node of all learns of its start is there for the others, of this run and the next ones."""
    if (cache := getattr(config, "cache", None)) is not None:
        os.environ.setdefault(start_cache.VARIABLE, str(cache.mkdir("kafka")))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whatever uses the node needs Kafka: mark it, so that ``-m "not kafka"`` is complete. The folders where it is used come last, one
    after the other: a node costs while it waits. Raises UsageError where a test needs Kafka and ``make test`` would not look for it."""
    for item in items:
        if isinstance(item, pytest.Function) and "kafka_node" in item.fixturenames:
            item.add_marker(pytest.mark.kafka)
        if item.get_closest_marker("kafka") and OVER_KAFKA.isdisjoint(item.path.parts):
            raise pytest.UsageError(
                f"{item.nodeid} needs Kafka: move it to one of {sorted(OVER_KAFKA)}, or name its folder here and in Makefile"
            )
    items.sort(key=lambda item: not ON_THE_NODE.isdisjoint(item.path.parts))


@pytest.fixture(autouse=True)
def logs_of_its_own() -> Generator[None]:
    """A test that runs the command line in this process sets up logging to what is captured; the next test must not write there."""
    yield
    if structlog.is_configured():
        structlog.reset_defaults()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def kafka_node(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[KafkaNode]:
    """The session's Kafka: its address and certificates for any principal. Make topics and grants with its ``prepare``."""
    async with chosen_node(tmp_path_factory.mktemp("node")) as node:
        yield node


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncGenerator[Browser]:
    """The session's Chromium. Open a page in it with ``visit`` of :mod:`tests.support.browser`."""
    async with open_browser() as opened:
        yield opened


@pytest.fixture
def small_disk(tmp_path: Path) -> Generator[Path]:
    """A disk of 64 KiB."""
    with disk_of(64, tmp_path / "small") as folder:
        yield folder
