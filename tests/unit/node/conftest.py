"""Nodes over an exchange in memory: the fixtures of the service tests, and two nodes."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest_asyncio

from broker.testing.clock import FixedClock
from broker.testing.local import LocalExchange
from broker.testing.sample_reports import sample_licence
from broker.testing.samples import sample_alert
from tests.support.eventually import eventually
from tests.support.node_clients import PATIENCE_S, InProcess, Served, in_process, on_a_port, posted
from tests.unit.service.conftest import _no_pauses as _no_pauses  # pyright: ignore[reportPrivateUsage]
from tests.unit.service.conftest import world as world
from tests.unit.service.world import COMMUNITY, NOW, World


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


@pytest_asyncio.fixture
async def served(world: World, my: InProcess) -> AsyncGenerator[Served]:
    """The node of MY-CUSTOMS on a port."""
    world.memory.patience = PATIENCE_S
    async with on_a_port(my, "officer", "integrator") as made:
        yield made


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def exporting() -> AsyncGenerator[InProcess]:
    """The node of MY-CUSTOMS with an alert and a licence of another agency, and an alert of its own that was accepted."""
    async with LocalExchange(clock=FixedClock(NOW)) as exchange:
        sg = await exchange.join("SG-CUSTOMS", "customs", (COMMUNITY,))
        bafa = await exchange.join("DE-BAFA", "licensing")
        agency = await exchange.join("MY-CUSTOMS", "customs", (COMMUNITY,))
        async with in_process(agency) as my:
            licence = sample_licence(agencies=("MY-CUSTOMS",), now_ms=NOW)
            await sg.publish(sample_alert("SG-CUSTOMS/2026/000001", communities=(COMMUNITY,), now_ms=NOW))
            await bafa.publish(licence)
            own = sample_alert("MY-CUSTOMS/2026/000009", agencies=("SG-CUSTOMS",), now_ms=NOW)
            async with my.client("supervisor") as client:
                kept = await client.post("/messages", json=posted(own))
                await client.get(kept.headers["location"], params={"wait": 20})
            await eventually(lambda: my.node.reader().row(licence.subject) and my.node.reader().row(own.subject), what="all of it here")
            yield my
