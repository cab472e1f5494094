"""Nodes over an exchange in memory: the fixtures of the service tests, and two nodes."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest_asyncio

from broker.testing.clock import FixedClock
from broker.testing.local import LocalExchange
from tests.support.node_clients import InProcess, in_process
from tests.unit.service.conftest import _no_pauses as _no_pauses  # pyright: ignore[reportPrivateUsage]
from tests.unit.service.conftest import world as world
from tests.unit.service.world import NOW, World


@pytest_asyncio.fixture
async def sg(world: World) -> AsyncGenerator[InProcess]:
    """The node of SG-CUSTOMS."""
    async with in_process(world.agency("SG-CUSTOMS")) as made:
        yield made


@pytest_asyncio.fixture
async def my(world: World) -> AsyncGenerator[InProcess]:
    """The node of MY-CUSTOMS."""
    async with in_process(world.agency("MY-CUSTOMS")) as made:
        yield made


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def shared() -> AsyncGenerator[InProcess]:
    """A node for tests that change nothing at it."""
    async with LocalExchange(clock=FixedClock(NOW)) as exchange, in_process(await exchange.join("SG-CUSTOMS", "customs")) as made:
        yield made
