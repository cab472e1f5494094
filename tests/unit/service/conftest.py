"""Fixtures of the service tests: an exchange in memory, and no waiting after failures."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest
import pytest_asyncio

from broker.service import publisher, relay
from tests.unit.service.world import World
from tests.unit.service.world import world as running


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publisher, "RESEND_S", 0.01)
    monkeypatch.setattr(relay, "PAUSE_S", 0.01)


@pytest_asyncio.fixture
async def world() -> AsyncGenerator[World]:
    """An exchange with four members and a relay worker."""
    async with running() as made:
        yield made
