"""Processes of the program that live as long as the process that started them: relay workers, nodes of agencies."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from typing import Any, Final, Self

from broker.errors import NodeError

READY_S: Final = 60.0
"""How long a child may take until it says that it is ready."""
STOP_S: Final = 15.0
"""How long a child may take to stop after it was asked to."""
STOPS_WITH_STDIN: Final = "BROKER_STOP_WITH_STDIN"
"""Environment variable: the process stops when its standard input ends, which is when its parent is gone, however it went."""


class ChildProcess:
    """One of them. ``name`` is what it is called in errors, ``ready`` the record of its ready line."""

    def __init__(self, process: asyncio.subprocess.Process, name: str) -> None:
        self._process, self.name = process, name
        self.ready: dict[str, Any] = {}

    @classmethod
    async def run(cls, name: str, *arguments: str, log_level: str = "warning") -> Self:
        """Start `broker` with these arguments and wait for its ready line. Raises NodeError where it ends, or says nothing, instead."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "broker", *arguments, "--json"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, "BROKER_LOG_LEVEL": log_level, STOPS_WITH_STDIN: "1"},
        )
        child = cls(process, name)
        try:
            line = await asyncio.wait_for(process.stdout.readline() if process.stdout else asyncio.sleep(0, b""), READY_S)
        except TimeoutError:
            await child.kill()
            raise NodeError(f"{name} is not ready after {READY_S:g} s", advice="see its log lines above") from None
        except asyncio.CancelledError:
            await child.kill()
            raise
        child.ready = json.loads(line) if line else {}
        if not child.ready.get("ready"):
            await process.wait()
            raise NodeError(f"{name} ended at once (exit status {process.returncode})", advice="see its log lines above")
        return child

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    async def wait(self) -> int:
        """Wait until it ends; its exit status."""
        return await self._process.wait()

    async def stop(self) -> None:
        """A graceful end, or a kill where it takes too long."""
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.terminate()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._process.wait(), STOP_S)
        await self.kill()

    async def kill(self) -> None:
        """End it at once."""
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()
