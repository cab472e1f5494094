"""Where things are made to fail: an exchange on a Kafka of its own, and every party a process that can be killed and started again."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sqlite3
from collections.abc import AsyncGenerator, Callable, Generator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast

from broker.app.local import LocalInstallation
from broker.storage.home import AgencyHome
from broker.testing.agreements import EVERYWHERE
from tests.faults.plan import PUBLISHERS, RECIPIENTS, SHARDS, busy_shards
from tests.support.eventually import eventually
from tests.support.forking import Forks
from tests.support.supervised import Role

READY_S: Final = 60.0
SAMPLE_S: Final = 1.0

_FORKS: Final[list[Forks]] = []
Progress = Callable[[str], None]
"""Told in a line how far it is."""


@contextlib.contextmanager
def loaded_once() -> Generator[None]:
    """Processes of this block are forks of one that has loaded what a relay worker and an agency load, and no more: memory is looked
    at."""
    forks = Forks("broker.cli.main", "broker.cli.exchange", "tests.faults.agency")
    _FORKS.append(forks)
    try:
        yield
    finally:
        _FORKS.remove(forks)
        forks.stop()


def silent(_line: str) -> None:
    """Nobody is told."""


@dataclass
class Ground:
    """An exchange, its parties' homes, and the processes that were started on it."""

    home: Path
    folder: Path
    installation: LocalInstallation
    roles: dict[str, Role] = field(default_factory=dict[str, Role])

    async def role(self, name: str, *command: str, **environment: str) -> Role:
        """A process of this name, started for the first time."""
        made = Role(name, command, self.folder, environment, _FORKS[-1] if _FORKS else None)
        self.roles[name] = made
        await made.start()
        return made

    async def worker(self, member: str) -> Role:
        """A relay worker as the product starts it, ready."""
        command = ("broker", "relay", "--home", str(self.home), "--member", member, "--bootstrap", self.installation.bootstrap, "--json")
        worker = await self.role(member, *command, BROKER_LOG_LEVEL="info", BROKER_STOP_WITH_STDIN="1")
        await eventually(lambda: worker.out.read_bytes() or not worker.running, READY_S, what=f"{member} to be ready")
        assert worker.running, worker.last_words()
        return worker

    async def workers(self, count: int) -> list[Role]:
        """``count`` relay workers, each with its share of the shards."""
        made = list(await asyncio.gather(*(self.worker(f"relay-{number}") for number in range(1, count + 1))))
        await self.settled()
        return made

    def workers_now(self) -> list[Role]:
        """The relay workers that run, in the order of their names."""
        return sorted((r for r in self.roles.values() if r.name.startswith("relay-") and r.running), key=lambda each: each.name)

    async def settled(self) -> None:
        """Wait until the shards with publishers are with those who are to have them: ranges, in the order of the names."""
        ordered = self.workers_now()
        everybody = [role for role in self.roles.values() if role.name.startswith("relay-")]
        share = SHARDS // len(ordered)
        for place, worker in enumerate(ordered):
            for shard in busy_shards(range(place * share, (place + 1) * share)):
                await eventually(lambda w=worker, s=shard: holder(everybody, s) is w, READY_S, what=f"{worker.name} to hold shard {shard}")

    async def agency(self, work: str, agency: str, *options: str) -> Role:
        """A publisher, a subscriber or a flooder."""
        return await self.role(f"{work}-{agency}", "tests.faults.agency", work, "--home", str(self.home), "--agency", agency, *options)

    async def subscribers(self) -> list[Role]:
        """A subscriber for each recipient, with its table made."""
        made = list(await asyncio.gather(*(self.agency("subscribe", agency) for agency in RECIPIENTS)))
        for agency in RECIPIENTS:
            await eventually(lambda name=agency: self.delivered(name) is not None, READY_S, what=f"{agency} to subscribe")
        return made

    @contextlib.contextmanager
    def table(self, agency: str) -> Generator[sqlite3.Connection]:
        """A recipient's own store, to read from beside its owner."""
        path = AgencyHome(self.home, agency).subscriber_store
        connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10.0)
        try:
            yield connection
        finally:
            connection.close()

    def delivered(self, agency: str) -> int | None:
        """How many deliveries have had their effect; None where there is no table yet."""
        try:
            with self.table(agency) as connection:
                return connection.execute("SELECT COALESCE(MAX(number), 0) FROM effects").fetchone()[0]
        except sqlite3.OperationalError:
            return None

    def all_delivered(self) -> int:
        """Deliveries at all recipients together."""
        return sum(self.delivered(agency) or 0 for agency in RECIPIENTS)

    def admitted_of_shard(self, shard: int, since_ms: int) -> int:
        """Deliveries out of this shard that were admitted after a moment."""
        total = 0
        for agency in RECIPIENTS:
            with self.table(agency) as connection:
                total += connection.execute(
                    "SELECT COUNT(*) FROM effects WHERE shard = ? AND admitted_ms > ?", (shard, since_ms)
                ).fetchone()[0]
        return total

    async def watch(self) -> None:
        """Note the memory of every process, each second, until cancelled."""
        while True:
            for role in self.roles.values():
                role.sample()
            await asyncio.sleep(SAMPLE_S)


def log_lines(role: Role) -> list[dict[str, Any]]:
    """What a process logged, whole lines only."""
    lines: list[dict[str, Any]] = []
    for line in role.err.read_text(encoding="utf-8", errors="replace").splitlines():
        with contextlib.suppress(json.JSONDecodeError):
            found: Any = json.loads(line)
            if isinstance(found, dict):
                lines.append(cast("dict[str, Any]", found))
    return lines


def holder(workers: Iterable[Role], shard: int) -> Role | None:
    """The worker that took a shard last, by what they logged."""
    taken = [
        (line["timestamp"], worker.name, worker)
        for worker in workers
        for line in log_lines(worker)
        if line.get("event") == "shard taken" and line.get("shard") == shard
    ]
    return max(taken, default=("", "", None))[2]


@asynccontextmanager
async def ground(folder: Path, agencies: Iterable[str] = (*PUBLISHERS, *RECIPIENTS)) -> AsyncGenerator[Ground]:
    """Start Kafka as the product does, create the exchange, admit the agencies; in the end every process is ended by its id."""
    await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
    installation = LocalInstallation(folder / "home", entities=EVERYWHERE, brief=True)
    made = Ground(folder / "home", folder, installation)
    try:
        await installation.start(relays=0, shards=SHARDS)
        for agency in agencies:
            await installation.operator.add(agency, RECIPIENTS.get(agency, "customs"))
        watching = asyncio.create_task(made.watch())
        try:
            yield made
        finally:
            watching.cancel()
            await asyncio.gather(*(role.end() for role in made.roles.values()), watching, return_exceptions=True)
    finally:
        await installation.stop()
