"""Work that is begun anew: sooner where it had lasted, and not when it was cancelled or is over."""

from __future__ import annotations

import asyncio

import pytest

from broker.app import begun_anew
from broker.errors import BrokerError, StoreError


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:  # pyright: ignore[reportUnusedFunction]
    monkeypatch.setattr(begun_anew, "AGAIN_S", (0.001, 0.002))


async def test_cancelled_it_ends_also_where_closing_fails() -> None:
    """The exchange is away and the node stops: what is closed then may fail, and nothing is begun anew for that."""
    begun, told, over = asyncio.Event(), list[BrokerError](), False

    async def work() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            raise StoreError("it cannot be closed", advice="look at it")

    task = asyncio.create_task(begun_anew.begun_anew(work, told.append, until=lambda: over))
    await begun.wait()
    task.cancel()
    done, _ = await asyncio.wait({task}, timeout=5)
    over = True  # so that it ends in any case
    task.cancel()
    assert done
    assert task.cancelled()
    assert len(told) == 1


async def test_what_fails_is_told_and_begun_anew_until_it_is_over() -> None:
    """Three failures are told; a bug ends it."""
    told = list[BrokerError]()

    async def work() -> None:
        raise StoreError("away", advice="wait")

    await begun_anew.begun_anew(work, told.append, until=lambda: len(told) == 3)
    assert len(told) == 3

    async def bug() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await begun_anew.begun_anew(bug, told.append)
