"""An exchange on this machine: the embedded Kafka node, the operator's side, and relay workers as processes of their own."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from broker.app.children import ChildProcess
from broker.app.connect import connect, connect_admin
from broker.app.parties import SHARDS, Operator, shipped_bundle
from broker.errors import BrokerError, NodeError, UsageError
from broker.kafka.tls import TlsFiles as KafkaTlsFiles
from broker.storage import enrol
from broker.storage.clock import SystemClock
from broker.storage.codelists import CodeListFolder
from broker.storage.home import ExchangeHome

if TYPE_CHECKING:
    from broker.kafka.node import EmbeddedNode

Progress = Callable[[int, int, str], None]
"""Bytes of jars that are here, bytes in all, and the file under way."""


class RelayProcess(ChildProcess):
    """A relay worker as a child process."""

    @classmethod
    async def start(
        cls, home: Path, member: str, *, bootstrap: str, log_level: str = "warning", codelists: Path | None = None
    ) -> RelayProcess:  # fmt: skip
        """Start a worker and wait until it holds its shards. Raises NodeError if it does not."""
        more = ("--codelists", str(codelists)) if codelists else ()
        called = f"relay worker {member}"
        return await cls.run(called, "relay", "--home", str(home), "--member", member, "--bootstrap", bootstrap, *more, log_level=log_level)


class LocalInstallation:
    """Everything of an exchange that one machine can hold, in one home. Start it, admit agencies, stop it, start it again."""

    def __init__(
        self,
        home: Path,
        *,
        bootstrap: str | None = None,
        log_level: str = "warning",
        codelists: Path | None = None,
        entities: str = "",
        brief: bool = False,
    ) -> None:
        """``entities``: the dated facts of a new exchange's first bundle. ``brief``: the node lives for minutes and had better start soon
        than be fast later; also where BROKER_BRIEF_NODE is set. Raises UsageError where something cannot be read."""
        if codelists is not None:
            CodeListFolder(codelists)  # a folder that is none is told here, not by every worker
        self.home = home
        self.node: EmbeddedNode | None = None
        self.workers: list[RelayProcess] = []
        self._given, self._log_level, self._codelists = bootstrap, log_level, codelists
        self._bundle = shipped_bundle(entities=entities)
        self._brief = brief or bool(os.environ.get("BROKER_BRIEF_NODE"))

    @property
    def operator(self) -> Operator:
        """The operator's side of this home."""
        return Operator(self.home, connect, connect_admin, bootstrap=self._given)

    @property
    def bootstrap(self) -> str:
        """Where Kafka listens."""
        return self._given or (self.node.bootstrap if self.node else self.operator.bootstrap)

    async def start(
        self,
        *,
        exchange_id: str | None = None,
        environment: str | None = None,
        shards: int | None = None,
        relays: int = 1,
        progress: Progress | None = None,
    ) -> None:
        """Make the exchange where there is none in this home, start Kafka unless an address was given, then the workers.

        A new exchange is called ``local``, is for tests and has 16 shards unless something else is said. Raises UsageError where
        the home holds an exchange with another name, environment or number of shards than is asked for.
        """
        files = ExchangeHome(self.home)
        exchange_id, environment, shards = self._identity(files, exchange_id, environment, shards)
        if not 0 <= relays <= shards:
            raise UsageError(f"{relays} relay workers cannot share {shards} shards", advice=f"use 1 to {shards}")
        files = enrol.create_exchange(self.home, exchange_id, environment, shards, SystemClock().now_ms())
        if self._given is None:
            from broker.kafka.node import BRIEF, EmbeddedNode  # only where a node starts: it brings what fetches and checks jars

            tls = KafkaTlsFiles(*files.tls("node"))
            self.node = await EmbeddedNode.start(files.kafka, tls, jvm_options=BRIEF if self._brief else (), progress=progress)
        settings = files.settings()
        if settings.bootstrap != self.bootstrap:
            files.keep(replace(settings, bootstrap=self.bootstrap))
        await self.operator.create(self._bundle)
        for number in range(1, relays + 1):
            await self.add_worker(f"relay-{number}")

    def _identity(self, files: ExchangeHome, exchange_id: str | None, environment: str | None, shards: int | None) -> tuple[str, str, int]:
        """Name, environment and shards: those of the home's exchange, which are fixed for its life, or of a new one."""
        if not files.exists:
            return exchange_id or "local", environment or "test", SHARDS if shards is None else shards
        known = files.settings()
        fixed = (known.exchange_id, known.environment, known.shards)
        for name, asked, is_so in zip(("name", "environment", "number of shards"), (exchange_id, environment, shards), fixed, strict=True):
            if asked not in (None, is_so):
                raise UsageError(
                    f"the exchange in `{self.home}` has the {name} {is_so}, not {asked}",
                    advice="leave the option out, or give another --home for another exchange",
                )
        return fixed

    async def add_worker(self, member: str) -> RelayProcess:
        """Start one more relay worker."""
        worker = await RelayProcess.start(self.home, member, bootstrap=self.bootstrap, log_level=self._log_level, codelists=self._codelists)
        self.workers.append(worker)
        return worker

    async def failure(self) -> BrokerError:
        """Wait until the node or a worker ends by itself, and tell of it."""
        waits = [asyncio.create_task(worker.wait(), name=worker.name) for worker in self.workers]
        node = asyncio.create_task(self.node.wait()) if self.node is not None else None
        tasks: list[asyncio.Task[int] | asyncio.Task[NodeError]] = [*waits, *([node] if node else [])]
        if not tasks:
            await asyncio.Event().wait()  # neither node nor worker is ours: nothing of ours can fail
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
        if node is not None and node in done:
            return node.result()
        ended = next(task for task in waits if task in done)
        return NodeError(f"{ended.get_name()} ended with status {ended.result()}", advice="see its log lines above")

    async def stop(self) -> None:
        """Stop workers, then Kafka. Safe to call twice."""
        workers, self.workers = self.workers, []
        await asyncio.gather(*(worker.stop() for worker in workers))
        node, self.node = self.node, None
        if node is not None:
            await node.stop()
