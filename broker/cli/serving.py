"""What the commands that serve HTTP have in common: their address, and waiting for their end."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Coroutine
from typing import Any


def url_of(listen: str, where: socket.socket) -> str:
    """The address of what listens there; with the port that it took."""
    return f"https://{f'[{listen}]' if ':' in listen else listen}:{where.getsockname()[1]}"


async def first_of(server: asyncio.Task[None], *ends: Coroutine[Any, Any, object]) -> None:
    """Wait until the server or one of the others ends."""
    waits = [asyncio.create_task(each) for each in ends]
    await asyncio.wait([*waits, server], return_when=asyncio.FIRST_COMPLETED)
    for each in waits:
        each.cancel()
