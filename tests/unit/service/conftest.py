"""Fixtures of the service tests: an exchange in memory, and no waiting after failures or for the disk."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator
from functools import lru_cache

import pytest
import pytest_asyncio

from broker.schema.catalogue import Section
from broker.service import publisher, relay
from broker.trust.keys import VerifyKey
from tests.unit.service.world import World
from tests.unit.service.world import world as running


def _nothing(_descriptor: int) -> None:
    """Homes of these tests need not outlive the power supply."""


@lru_cache(maxsize=4096)
def _verified(key: VerifyKey, signature: bytes, message: bytes) -> bool:
    """A signature fits or does not: each is computed once for all readers of an exchange, not by each of them."""
    return _verify(key, signature, message)


_verify = VerifyKey.verify
_compiled = lru_cache(maxsize=64)(Section.from_text)
"""Schemas are values: each text is compiled once for all tests, not once for every reader."""


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", _nothing)
    monkeypatch.setattr(VerifyKey, "verify", _verified)
    monkeypatch.setattr(Section, "from_text", staticmethod(_compiled))
    monkeypatch.setattr(publisher, "RESEND_S", 0.01)
    monkeypatch.setattr(relay, "PAUSE_S", 0.01)


@pytest_asyncio.fixture
async def world() -> AsyncGenerator[World]:
    """An exchange with three members and a relay worker."""
    async with running() as made:
        yield made
