"""What the console does while nobody looks: what was noted on a subject that was taken back is erased, soon and for good."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import structlog

from broker.app.agency_node import AgencyNode
from broker.errors import BrokerError, StoreError
from broker.storage.desk import Desk

LOOK_S: Final = 0.5
"""How often it is looked whether the register has changed."""
BEAT_S: Final = 15.0
"""How often it is looked although it has not: time passes as well."""
HANDOVERS_MS: Final = 35 * 86_400_000
"""How long the text of a hand-over is kept."""

_log = structlog.get_logger("console")


class Watch:
    """Looks after what a console keeps. Run :meth:`run` in a task; :meth:`look` is one look."""

    def __init__(self, node: AgencyNode, kept: Mapping[str, Any]) -> None:
        """``kept``: as :func:`broker.node.console.router.beside` makes it."""
        self._node = node
        self._desk: Desk = kept["desk"]

    async def run(self) -> None:
        """Look whenever the register or the desk has changed, and every now and then, until the node stops. What fails is tried again."""
        seen: object = None
        loop = asyncio.get_running_loop()
        looked = 0.0
        while not self._node.stopping.is_set():
            changes = self._changes()
            if changes != seen or loop.time() - looked > BEAT_S:
                seen, looked = changes, loop.time()
                try:
                    self.look()
                except (BrokerError, sqlite3.Error) as error:
                    _log.warning("the console's watch could not look", reason=str(error))
            await asyncio.sleep(LOOK_S)

    def _changes(self) -> object:
        try:
            return self._node.reader().changes(), self._desk.version
        except StoreError:
            return None

    def look(self) -> None:
        """Let go of what has to go."""
        now_ms = self._node.now_ms()
        self._desk.forget(now_ms - HANDOVERS_MS, now_ms)
        try:
            reader = self._node.reader()
        except StoreError:
            return
        for subject in self._desk.subjects():
            row = reader.row(subject)
            if row is not None and row.state == "ERASED":
                self._desk.erase(subject, now_ms)


@asynccontextmanager
async def watching(node: AgencyNode, kept: Mapping[str, Any]) -> AsyncGenerator[None]:
    """The watch, for as long as the block lasts."""
    task = asyncio.create_task(Watch(node, kept).run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
