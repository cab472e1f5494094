"""Waiting for a condition, never for a length of time."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

Value = TypeVar("Value")


async def eventually(predicate: Callable[[], Value | Awaitable[Value]], timeout: float = 10.0, *, what: str = "") -> Value:
    """The predicate's first true value; asked again until ``timeout`` seconds are over, then AssertionError says what it last was."""
    deadline = time.monotonic() + timeout
    pause = 0.005
    while True:
        answer = predicate()
        value: Value = await answer if inspect.isawaitable(answer) else answer  # pyright: ignore[reportAssignmentType]
        if value:
            return value
        if time.monotonic() >= deadline:
            raise AssertionError(f"{what or 'the condition'} did not come true within {timeout} s; last: {value!r}")
        await asyncio.sleep(pause)
        pause = min(pause * 1.5, 0.25)
