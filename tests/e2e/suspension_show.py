"""An agency is suspended in the middle of traffic, on a real Kafka: ``python -m tests.e2e.suspension_show [--rate 1000]``.

Two relay workers, two owners and the agency itself publish from processes of their own; everybody reads with connections that stay open,
the agency's register too, and one fetch of the agency's waits at Kafka for more bytes than will come. Then somebody runs `broker agency
suspend`. How long until nothing reaches the agency any more, what its next attempts get, and what the others notice. Exit code 0 only if
everything held.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import json
import os
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from aiokafka.errors import KafkaError
from aiokafka.protocol.fetch import FetchRequest

from broker import ids, logs
from broker.app.connect import connect
from broker.app.parties import Member
from broker.errors import BrokerError, NotAuthorised
from broker.exchange.receive import is_receipt
from broker.families.message import Message
from broker.kafka.tls import ssl_context
from broker.ports import Inlet, Record
from broker.storage.clock import SystemClock
from broker.testing.samples import sample_alert
from tests.e2e.report import Report
from tests.support.eventually import eventually
from tests.support.principals import Caller
from tests.support.whole_exchange import WholeExchange, whole_exchange

OWNERS: Final = ("SG-CUSTOMS", "DE-CUSTOMS")
OTHERS: Final = ("MY-CUSTOMS", "TH-CUSTOMS")
OUT: Final = "AE-CUSTOMS"
"""The agency that is suspended."""
SHARE: Final = 4
"""Every so many messages of the owners go to it too."""
OWN_RATE: Final = 20.0
"""How many messages a second it publishes itself."""
BAR_S: Final = 5.0
"""Within this of the command's start nothing reaches the agency any more."""
STEP_S: Final = 0.02
STOP_S: Final = 5.0
WAITS_S: Final = (4.0, 8.0, 16.0, 24.0, 32.0)
"""How long fetches wait that ask for more bytes than will come, each over a connection of its own."""
BURST: Final = 200
"""Most messages given to a publisher at once."""
LAST_S: Final = 30.0
"""The last messages have arrived within this, or they are lost."""


@dataclass(frozen=True)
class Plan:
    """Messages a second of both owners together; seconds of traffic before the command, and after it.

    ``strict``: the bar counts from the command's start; else from when the registrar wrote the entry, for a machine that does so much
    else that a program takes seconds to begin.
    """

    rate: float = 1000.0
    before_s: float = 10.0
    after_s: float = 10.0
    strict: bool = True


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
        return sum(begin <= each < end for each in self.times) / max(0.001, end - begin)

    def pause(self, begin: float, end: float) -> float:
        """The longest time without a record in this span."""
        inside = [begin, *sorted(each for each in self.times if begin <= each < end), end]
        return max(later - sooner for sooner, later in itertools.pairwise(inside))


def progress(what: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {what}", file=sys.stderr, flush=True)


def expect(report: Report, what: str, *, held: bool) -> None:
    report.say(f"  {'held  ' if held else 'BROKEN'} {what}")
    if not held:
        report.failures.append(what)


# --- processes


def alert(owner: str, number: int) -> Message:
    """To the others; every so many of the owners' to the agency too."""
    to = [*OTHERS, OUT] if owner != OUT and number % SHARE == 0 else OTHERS
    return sample_alert(f"{owner}/2026/{number:06}", now_ms=SystemClock().now_ms(), agencies=to)


async def publish(home: Path, owner: str, rate: float) -> None:
    """A publisher process: messages at a steady rate until standard input ends or Kafka refuses, then one line with what became of them."""
    member = Member(home, owner, connect)
    transport, handles, ended = member.transport(), list[Any](), ""
    closed = asyncio.Event()
    asyncio.get_running_loop().add_reader(sys.stdin.fileno(), closed.set)
    publisher = member.publisher(transport)
    await publisher.start()
    begun = behind = time.time()
    try:
        while not closed.is_set():
            now = time.time()
            behind = max(behind, now - 1.0)  # a machine that cannot keep up is not made to
            due = min(int((now - behind) * rate), BURST)
            if due > 0:
                behind += due / rate
                messages = [alert(owner, len(handles) + number) for number in range(1, due + 1)]
                handles += await asyncio.gather(*(publisher.publish(message) for message in messages))
            await asyncio.sleep(STEP_S)
    except BrokerError as error:
        ended = error.code
    told, outcomes, last = Counter[str](), Counter[str](), time.time()
    for handle in handles if not ended else []:
        answer = await handle.receipt(LAST_S)
        outcomes[answer.outcome] += 1
        told.update(each.agency for each in answer.recipients)
    print(json.dumps({"sent": len(handles), "seconds": last - begun, "outcomes": outcomes, "told": told, "ended": ended, "at": last}))
    sys.stdout.flush()
    with contextlib.suppress(BrokerError, TimeoutError):
        await asyncio.wait_for(publisher.close(), STOP_S)


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


async def ended(process: asyncio.subprocess.Process) -> dict[str, Any]:
    """Close a publisher's input; what it says at its end."""
    assert process.stdin is not None
    process.stdin.close()
    out, _err = await process.communicate()
    return json.loads(out.decode().splitlines()[-1])


@dataclass
class Command:
    """A call of `broker agency suspend`: when it began, printed its first line, and ended; what it printed."""

    begun: float
    told: float
    ended: float
    lines: list[dict[str, Any]]

    @property
    def written(self) -> float:
        """When the registrar wrote the directory entry; the rights at Kafka were gone by then."""
        return datetime.fromisoformat(self.lines[0]["since"]).timestamp()


async def suspended(home: Path) -> Command:
    begun = time.time()
    command = ("broker", "agency", "suspend", OUT, "--reason", "assurance withdrawn", "--home", home, "--json")
    async with started(*command) as process:
        assert process.stdout is not None
        first = await process.stdout.readline()
        told, rest = time.time(), await process.stdout.read()
        assert await process.wait() == 0
    return Command(begun, told, time.time(), [json.loads(line) for line in (first + rest).splitlines()])


async def attempt(home: Path, *arguments: str | Path) -> tuple[int, list[dict[str, Any]]]:
    """A call of the program: its exit code, and its lines."""
    async with started("broker", *arguments, "--home", home, "--json") as process:
        out, _err = await process.communicate()
    return process.returncode or 0, [json.loads(line) for line in out.splitlines()]


# --- the show


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


async def everything(exchange: WholeExchange, topic: str) -> list[Record]:
    """All committed records, as the registrar."""
    transport = exchange.operator.transport("registrar")
    inlet, found = await transport.inlet(), list[Record]()
    await inlet.assign({(topic, 0): "beginning"})
    end = (await inlet.ends())[topic, 0]
    while inlet.position((topic, 0)) < end:
        found += await inlet.poll(max_records=2000, timeout=0.5)
    await inlet.close()
    await transport.close()
    return found


def rows(exchange: WholeExchange) -> int:
    """How many subjects the agency's register has; its process may be at work or not."""
    with contextlib.closing(sqlite3.connect(f"file:{exchange.member(OUT).files.register_store}?mode=ro", uri=True)) as register:
        return register.execute("SELECT count(*) FROM subject").fetchone()[0]


async def show(report: Report, plan: Plan) -> None:
    with tempfile.TemporaryDirectory(prefix="suspension-") as folder:
        members: dict[str, str] = dict.fromkeys((*OWNERS, *OTHERS, OUT), "customs")
        async with whole_exchange(Path(folder), members, shards=4, quotas={}) as exchange, AsyncExitStack() as stack:
            for number in (1, 2):
                member = ("--member", f"relay-{number}", "--home", exchange.home, "--json")
                relay = await stack.enter_async_context(started("broker", "relay", *member, nice=5))
                assert relay.stdout is not None
                await relay.stdout.readline()
            await Show(report, plan, exchange, stack).run()


class Show:
    """The steps, one after the other."""

    def __init__(self, report: Report, plan: Plan, exchange: WholeExchange, stack: AsyncExitStack) -> None:
        self.report, self.plan, self.exchange, self.stack = report, plan, exchange, stack

    async def run(self) -> None:
        """Traffic, the command, traffic, and the account of it."""
        home = self.exchange.home
        progress("traffic begins")
        watches = {agency: await self.stack.enter_async_context(watching(self.exchange, agency)) for agency in (*OTHERS, OUT)}
        register = await self.stack.enter_async_context(
            started("broker", "register", "follow", "--as", OUT, "--home", home, "--json", nice=10)
        )
        rates = {**dict.fromkeys(OWNERS, self.plan.rate / len(OWNERS)), OUT: OWN_RATE}
        publishers = {
            owner: await self.stack.enter_async_context(started(__spec__.name, "--publish", owner, home, str(rate), stdin=True, nice=10))
            for owner, rate in rates.items()
        }
        await eventually(lambda: all(watch.came for watch in watches.values()), 60, what="the first deliveries")
        progress(f"measuring for {self.plan.before_s:g} s, then suspending {OUT}")
        await asyncio.sleep(self.plan.before_s)
        callers = [await self.stack.enter_async_context(calling(self.exchange)) for _ in WAITS_S]
        fetches = [asyncio.create_task(waiting_fetch(caller, seconds)) for caller, seconds in zip(callers, WAITS_S, strict=True)]
        command = await suspended(home)
        progress(f"suspended; measuring for {self.plan.after_s:g} s more")
        growth = asyncio.create_task(self.register_ends(register, command))
        await asyncio.sleep(self.plan.after_s)
        progress("traffic ends")
        answers = {owner: await ended(process) for owner, process in publishers.items()}
        self.report.title(f"{self.plan.rate:g} messages a second wanted, and {OUT} is suspended")
        self.tell_others(command, watches, answers)
        await self.tell_out(command, watches[OUT], answers[OUT])
        took, grew = await growth
        self.report.say(f"  the register's process, which was told so, ended {took:.2f} s after the start")
        expect(self.report, f"and {grew:,} rows came into the register later than {BAR_S:g} s after the start", held=grew == 0)
        await self.tell_attempts()
        await self.tell_fetches(command, fetches)
        await self.nothing_lost(watches, answers)

    async def tell_fetches(self, command: Command, fetches: list[asyncio.Task[tuple[float, int]]]) -> None:
        """What fetches that waited at Kafka since before brought: those answered later than the bar. The first of them is enough."""
        for fetch in asyncio.as_completed(fetches):
            answered, octets = await fetch
            told = f"a fetch that waited at Kafka since before was answered after {answered - command.begun:.1f} s, with {octets:,} bytes"
            if answered > self.bar(command):
                expect(self.report, f"{told} of the inbox", held=octets == 0)
                break
            self.report.say(f"         {told}")
        for fetch in fetches:
            fetch.cancel()
        await asyncio.gather(*fetches, return_exceptions=True)

    def bar(self, command: Command) -> float:
        """When nothing may reach the agency any more."""
        return BAR_S + (command.begun if self.plan.strict else command.written)

    async def register_ends(self, register: asyncio.subprocess.Process, command: Command) -> tuple[float, int]:
        """When the register's process ended by itself, seconds after the command's start, and by how many rows it grew after the bar."""
        await asyncio.sleep(self.bar(command) - time.time())
        before = rows(self.exchange)
        await asyncio.wait_for(register.wait(), LAST_S)
        return time.time() - command.begun, rows(self.exchange) - before

    def tell_others(self, command: Command, watches: dict[str, Watch], answers: dict[str, dict[str, Any]]) -> None:
        """What the others noticed."""
        sent = sum(answers[owner]["sent"] / answers[owner]["seconds"] for owner in OWNERS)
        took, written = command.ended - command.begun, command.written - command.begun
        self.report.say(
            f"  published {sent:,.0f} messages a second; load of the machine {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores",
            f"  `broker agency suspend` took {took:.2f} s, of them {written:.2f} s until the directory said so",
        )
        spans = {
            "before": (command.begun - self.plan.before_s, command.begun),
            "while it ran": (command.begun, command.ended),
            "after": (command.ended, command.ended + self.plan.after_s),
        }
        for agency in OTHERS:
            rates = {name: watches[agency].rate(*span) for name, span in spans.items()}
            pauses = {name: watches[agency].pause(*span) for name, span in spans.items()}
            told = "   ".join(f"{name} {rates[name]:,.0f}/s (longest pause {pauses[name]:.2f} s)" for name in spans)
            self.report.say(f"  deliveries to {agency}: {told}")
            least, longest = min(rates["while it ran"], rates["after"]), max(pauses["while it ran"], pauses["after"])
            if self.plan.strict:
                expect(self.report, f"{agency} is served on: at least half the rate of before", held=least >= rates["before"] / 2)
            expect(self.report, f"{agency} is served on: no pause of {BAR_S:g} s", held=longest < BAR_S)

    async def tell_out(self, command: Command, watch: Watch, published: dict[str, Any]) -> None:
        """What reached the agency, and what of it reached others, and when the last."""
        inbox = [each for each in await everything(self.exchange, ids.inbox(OUT)) if not is_receipt(each.key)]
        outbox = await everything(self.exchange, ids.outbox(OUT))
        last = {
            "the last record that it received": max(watch.times),
            "the last record that the relay wrote into its inbox": inbox[-1].timestamp_ms / 1000,
            "the last record that Kafka took from it": outbox[-1].timestamp_ms / 1000,
            "its open connection was refused": watch.refused or time.time(),
        }
        self.report.say(f"  seconds from the command's start (its first line came at {command.told - command.begun:.2f}) and from its end:")
        for what, at in last.items():
            expect(self.report, f"{at - command.begun:6.2f} {at - command.ended:+7.2f}  {what}", held=at <= self.bar(command))
        expect(self.report, f"its publisher ended with {published['ended']}", held=published["ended"] == "NOT_AUTHORISED")
        listed = [line["subject"] for line in command.lines[1:]]
        held = sorted({(each.key or b"").decode()[2:] for each in inbox})
        expect(
            self.report,
            f"the command listed {len(listed):,} subjects that it holds, and its inbox has these and no others",
            held=listed == held,
        )

    async def tell_attempts(self) -> None:
        """What its next attempts get."""
        home = self.exchange.home
        message = home / "message.json"
        message.write_text('{"family": "alert", "subject": "AE-CUSTOMS/2026/900000", "header": {}, "sections": {}}')
        tries: dict[str, tuple[str | Path, ...]] = {
            "publish": ("publish", message, "--as", OUT),
            "replay": ("subscribe", "--as", OUT, "--from", "beginning", "--timeout", "5"),
            "register": ("register", "follow", "--as", OUT),
            "directory": ("agency", "list", "--as", OUT),
        }
        answers = await asyncio.gather(*(attempt(home, *arguments) for arguments in tries.values()))
        for name, (code, lines) in zip(tries, answers, strict=True):
            refused = code == 1 and [line.get("error") for line in lines] == ["NOT_AUTHORISED"]
            expect(
                self.report,
                f"its {name} gets nothing: exit code {code}, {', '.join(line.get('error', 'a line') for line in lines)}",
                held=refused,
            )

    async def nothing_lost(self, watches: dict[str, Watch], answers: dict[str, dict[str, Any]]) -> None:
        """Everything that a receipt promised to the others arrived, once."""
        from_out = {each.key for each in await everything(self.exchange, ids.outbox(OUT))}
        for agency in OTHERS:
            came = watches[agency].came
            promised = sum(answers[owner]["told"].get(agency, 0) for owner in OWNERS)

            def arrived(came: Counter[str] = came) -> int:
                return sum(not name.startswith(OUT) for name in came)

            with contextlib.suppress(AssertionError):
                await eventually(lambda arrived=arrived, promised=promised: arrived() >= promised, LAST_S)
            twice = sum(count > 1 for count in came.values())
            expect(
                self.report, f"{agency}: {promised:,} deliveries promised by receipts, {arrived():,} came, {twice} twice",
                held=arrived() == promised and not twice,
            )  # fmt: skip
        accepted = all(set(answers[owner]["outcomes"]) == {"ACCEPTED"} for owner in OWNERS)
        expect(self.report, "every message of the owners was accepted", held=accepted and bool(from_out))


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rate", type=float, default=Plan.rate, help="messages a second of both owners together")
    parser.add_argument("--seconds", type=float, default=Plan.before_s, help="how long traffic is measured before and after")
    parser.add_argument("--publish", nargs=3, metavar=("OWNER", "HOME", "RATE"), help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.publish is not None:
        owner, home, rate = chosen.publish
        asyncio.run(publish(Path(home), owner, float(rate)))
        return 0
    report = Report()
    asyncio.run(show(report, Plan(chosen.rate, chosen.seconds, chosen.seconds)))
    report.say("", "everything held" if not report.failures else f"{len(report.failures)} expectations BROKEN")
    return 1 if report.failures else 0


if __name__ == "__main__":
    logs.configure("warning")
    sys.exit(main())
