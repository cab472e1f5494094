"""What the show of a suspension is made of: processes, connections that stay open, and calls of the program."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import resource
import sqlite3
import sys
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from aiokafka.errors import KafkaError
from aiokafka.protocol.fetch import FetchRequest

from broker import ids
from broker.errors import NotAuthorised
from broker.exchange.receive import is_receipt
from broker.kafka.tls import ssl_context
from broker.ports import Inlet
from tests.e2e.steady_load import OUT, STEP_S
from tests.support.principals import Caller
from tests.support.whole_exchange import WholeExchange

# --- processes


@asynccontextmanager
async def started(*command: str | Path, stdin: bool = False, nice: int = 0) -> AsyncGenerator[asyncio.subprocess.Process]:
    """A process of ours, ended with the block. ``nice``: what in earnest runs on other machines leaves this one to Kafka and the
    command."""
    pipe, null = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
    begin = ("nice", "-n", str(nice), sys.executable, "-m")
    process = await asyncio.create_subprocess_exec(
        *begin, *map(str, command), stdin=pipe if stdin else null, stdout=pipe, stderr=None if stdin else null
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
        await process.wait()


async def begun(process: asyncio.subprocess.Process) -> None:
    """Let a publisher that has prepared its messages send them."""
    assert process.stdin is not None
    process.stdin.write(b"\n")
    await process.stdin.drain()


async def ended(process: asyncio.subprocess.Process) -> dict[str, Any]:
    """Close a publisher's input; what it says at its end."""
    assert process.stdin is not None
    process.stdin.close()
    out, _err = await process.communicate()
    return json.loads(out.decode().splitlines()[-1])


@dataclass
class Command:
    """A call of `broker agency suspend`: when it began, printed its first line, and ended, its processor time in seconds; what it
    printed."""

    begun: float
    told: float
    ended: float
    spent: float
    lines: list[dict[str, Any]]

    @property
    def written(self) -> float:
        """When the registrar wrote the directory entry; the rights at Kafka were gone by then."""
        return datetime.fromisoformat(self.lines[0]["since"]).timestamp()


async def suspended(home: Path) -> Command:
    begun, before = time.time(), _spent_by_children()
    command = ("broker", "agency", "suspend", OUT, "--reason", "assurance withdrawn", "--home", home, "--json")
    async with started(*command) as process:
        assert process.stdout is not None
        first = await process.stdout.readline()
        told, rest = time.time(), await process.stdout.read()
        assert await process.wait() == 0
    return Command(begun, told, time.time(), _spent_by_children() - before, [json.loads(line) for line in (first + rest).splitlines()])


def _spent_by_children() -> float:
    """Processor time of the children that have ended, in seconds."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


async def attempt(home: Path, *arguments: str | Path) -> tuple[int, list[dict[str, Any]]]:
    """A call of the program: its exit code, and its lines."""
    async with started("broker", *arguments, "--home", home, "--json") as process:
        out, _err = await process.communicate()
    return process.returncode or 0, [json.loads(line) for line in out.splitlines()]


# --- connections


@dataclass
class Watch:
    """What came into an agency's hands over a connection that stays open, and when (Unix seconds)."""

    came: Counter[str] = field(default_factory=Counter[str])
    times: list[float] = field(default_factory=list[float])
    refused: float | None = None

    async def follow(self, inlet: Inlet) -> None:
        """Until cancelled, or refused by Kafka."""
        try:
            while True:
                records = await inlet.poll(max_records=1000, timeout=0.5)
                now = time.time()
                for record in records:
                    if not is_receipt(record.key):
                        self.came[(record.key or b"").decode()[2:]] += 1
                    self.times.append(now)
        except NotAuthorised:
            self.refused = time.time()

    def rate(self, begin: float, end: float) -> float:
        """Records a second in this span."""
        return (bisect_left(self.times, end) - bisect_left(self.times, begin)) / max(0.001, end - begin)

    def pause(self, begin: float, end: float) -> float:
        """The longest time without a record in this span."""
        inside = [begin, *sorted(each for each in self.times if begin <= each < end), end]
        return max(later - sooner for sooner, later in itertools.pairwise(inside))


@asynccontextmanager
async def watching(exchange: WholeExchange, agency: str) -> AsyncGenerator[Watch]:
    """The agency reads its inbox from now on, over one connection."""
    transport, watch = exchange.member(agency).transport(), Watch()
    inlet = await transport.inlet()
    await inlet.assign({(ids.inbox(agency), 0): "end"})
    task = asyncio.create_task(watch.follow(inlet))
    try:
        yield watch
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await inlet.close()
        await transport.close()


@asynccontextmanager
async def calling(exchange: WholeExchange) -> AsyncGenerator[Caller]:
    """A connection of the agency's. Its end is not waited for: Kafka answers nothing any more on one that it holds back, not even that."""
    caller = await Caller.opened(exchange.node.bootstrap, ssl_context(exchange.agency(OUT)))
    assert caller is not None
    try:
        yield caller
    finally:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(caller.close(), STEP_S)


async def waiting_fetch(caller: Caller, seconds: float) -> tuple[float, int]:
    """A fetch that waits at Kafka for more than there is: when the answer came, and how many bytes of the inbox it brought."""
    wanted = [(ids.inbox(OUT), [(0, 0, 1 << 26)])]
    try:
        answer = await caller.ask(FetchRequest(int(seconds * 1000), 1 << 26, 1 << 26, 1, wanted))
    except KafkaError:  # no answer within the client's patience, or the connection is gone: nothing came
        return time.time(), 0
    return time.time(), sum(len(part[-1] or b"") for _topic, parts in answer.topics for part in parts)


def rows(exchange: WholeExchange) -> int:
    """How many subjects the agency's register has; its process may be at work or not, or not have begun."""
    path = exchange.member(OUT).files.register_store
    if not path.exists():
        return 0
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as register:
        if register.execute("SELECT 1 FROM sqlite_master WHERE name = 'subject'").fetchone() is None:
            return 0
        return register.execute("SELECT count(*) FROM subject").fetchone()[0]
