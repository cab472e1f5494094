"""An agency is suspended in the middle of traffic, on a real Kafka: ``python -m tests.e2e.suspension_show [--rate 1000]``.

Two relay workers; two owners send, from processes of their own, messages that they prepared before (:mod:`tests.e2e.steady_load`: on one
machine their publishers would take the processor from Kafka and the relay), the agency publishes a few too. Everybody reads with
connections that stay open, the agency's register too, and one fetch of the agency's waits at Kafka for more bytes than will come. Then
somebody runs `broker agency suspend`. How long until nothing reaches the agency any more, what its next attempts get, what the others
notice, and who used the processor. Afterwards the others' inboxes are read by subscribers, which verify each delivery. Exit code 0 only
if everything held.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Generator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from broker import ids, logs
from broker.exchange.receive import is_receipt
from broker.service.subscriber import DONE, Delivery, Outcome
from tests.e2e.processor_time import REST, Meter, in_words
from tests.e2e.report import Report
from tests.e2e.steady_load import LAST_S, OTHERS, OUT
from tests.e2e.suspension_scene import (
    Command,
    Watch,
    attempt,
    begun,
    calling,
    ended,
    rows,
    started,
    suspended,
    waiting_fetch,
    watching,
)  # fmt: skip
from tests.support.eventually import eventually
from tests.support.whole_exchange import WholeExchange, whole_exchange

OWNERS: Final = ("SG-CUSTOMS", "DE-CUSTOMS")
OWN_RATE: Final = 20.0
"""How many messages a second it publishes itself."""
BAR_S: Final = 5.0
"""Within this of the command's start nothing reaches the agency any more."""
WAITS_S: Final = (4.0, 8.0, 16.0, 24.0, 32.0)
"""How long fetches wait that ask for more bytes than will come, each over a connection of its own."""
WARM_S: Final = 20.0
"""Within this the wanted rate is reached: Kafka's virtual machine and the relay's memo begin cold."""
WARM_SPAN_S: Final = 2.0
REACHED: Final = 0.97
"""This share of the wanted rate is the wanted rate."""


@dataclass(frozen=True)
class Plan:
    """Messages a second of both owners together; seconds of traffic before the command, and after it.

    ``strict``: the bar counts from the command's start; else from when the registrar wrote the entry, for a machine that does so much
    else that a program takes seconds to begin. ``command_s``: messages are prepared for a command that takes so long.
    """

    rate: float = 1000.0
    before_s: float = 10.0
    after_s: float = 10.0
    strict: bool = True
    command_s: float = 15.0


def progress(what: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {what}", file=sys.stderr, flush=True)


def expect(report: Report, what: str, *, held: bool) -> None:
    report.say(f"  {'held  ' if held else 'BROKEN'} {what}")
    if not held:
        report.failures.append(what)


async def show(report: Report, plan: Plan) -> None:
    with tempfile.TemporaryDirectory(prefix="suspension-") as folder:
        members: dict[str, str] = dict.fromkeys((*OWNERS, *OTHERS, OUT), "customs")
        async with whole_exchange(Path(folder), members, shards=4, quotas={}) as exchange, AsyncExitStack() as stack:
            await Show(report, plan, exchange, stack).run()


class Show:
    """The steps, one after the other."""

    def __init__(self, report: Report, plan: Plan, exchange: WholeExchange, stack: AsyncExitStack) -> None:
        self.report, self.plan, self.exchange, self.stack = report, plan, exchange, stack
        self.processes = {"Kafka": exchange.node.pid, "this show (the readers)": os.getpid()}
        self.shares = dict[str, dict[str, float]]()

    async def run(self) -> None:
        """Traffic, the command, traffic, and the account of it."""
        register, publishers = await self.begin_processes()
        watches = {agency: await self.stack.enter_async_context(watching(self.exchange, agency)) for agency in (*OTHERS, OUT)}
        await eventually(lambda: all(watches[each].came for each in OTHERS), 60, what="the first messages of the agency")
        progress("traffic begins")
        for owner in OWNERS:
            await begun(publishers[owner])
        await self.wanted_rate(watches)
        progress(f"measuring for {self.plan.before_s:g} s, then suspending {OUT}")
        with self.measured("before"):
            await asyncio.sleep(self.plan.before_s)
        callers = [await self.stack.enter_async_context(calling(self.exchange)) for _ in WAITS_S]
        fetches = [asyncio.create_task(waiting_fetch(caller, seconds)) for caller, seconds in zip(callers, WAITS_S, strict=True)]
        with self.measured("while it ran"):
            command = await suspended(self.exchange.home)
        progress(f"suspended; measuring for {self.plan.after_s:g} s more")
        growth = asyncio.create_task(self.register_ends(register, command))
        with self.measured("after"):
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

    async def begin_processes(self) -> tuple[asyncio.subprocess.Process, dict[str, asyncio.subprocess.Process]]:
        """Relay workers, the agency's register, and all publishers; the owners' have prepared their messages, and wait."""
        home, rate = self.exchange.home, self.plan.rate / len(OWNERS)
        count = int(rate * (WARM_S + self.plan.before_s + self.plan.command_s + self.plan.after_s))
        progress(f"{len(OWNERS)} owners prepare {count:,} messages each")
        load = "tests.e2e.steady_load"
        publishers = {
            owner: await self.started(f"publisher {owner}", load, "prepared", owner, home, str(rate), str(count), stdin=True)
            for owner in OWNERS
        }
        for process in publishers.values():
            assert process.stdout is not None
            await process.stdout.readline()
        for number in (1, 2):
            member = ("--member", f"relay-{number}", "--home", home, "--json")
            relay = await self.started(f"relay-{number}", "broker", "relay", *member)
            assert relay.stdout is not None
            await relay.stdout.readline()
        register = await self.started(f"register {OUT}", "broker", "register", "follow", "--as", OUT, "--home", home, "--json", nice=10)
        publishers[OUT] = await self.started(f"publisher {OUT}", load, "live", OUT, home, str(OWN_RATE), stdin=True, nice=10)
        return register, publishers

    async def started(self, name: str, *command: str | Path, stdin: bool = False, nice: int = 0) -> asyncio.subprocess.Process:
        """A process that runs until the end, and whose processor time is told under this name."""
        process = await self.stack.enter_async_context(started(*command, stdin=stdin, nice=nice))
        self.processes[name] = process.pid
        return process

    async def wanted_rate(self, watches: dict[str, Watch]) -> None:
        """Wait until the agency's register fills and deliveries come at the wanted rate; where they do not come so within :data:`WARM_S`,
        go on: the rate of before tells it."""
        await eventually(lambda: watches[OUT].came and rows(self.exchange) > 0, 60, what="a register that fills")
        since = time.time()

        def reached() -> bool:
            now = time.time()
            return all(watches[each].rate(now - WARM_SPAN_S, now) >= REACHED * self.plan.rate for each in OTHERS)

        with contextlib.suppress(AssertionError):
            await eventually(reached, WARM_S)
        progress(f"{'at' if reached() else 'NOT at'} {self.plan.rate:g} messages a second, {time.time() - since:.1f} s after that")

    @contextmanager
    def measured(self, span: str) -> Generator[None]:
        """Who uses the processor meanwhile."""
        meter = Meter(self.processes)
        yield
        self.shares[span] = meter.shares()

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
        cores, short = f"{os.cpu_count()} cores", [owner for owner in OWNERS if answers[owner]["left"] == 0]
        self.report.say(
            f"  published {sent:,.0f} messages a second; load of the machine {os.getloadavg()[0]:.1f} on {cores}",
            f"  `broker agency suspend` took {took:.2f} s ({command.spent:.2f} s of processor time), of them {written:.2f} s until the"
            " directory said so",
            *(f"  cores used {span}: {in_words(shares)}" for span, shares in self.shares.items()),
        )
        expect(self.report, "the owners had messages until the end" + (f", but not {', '.join(short)}" if short else ""), held=not short)
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
                wanted, rest = self.plan.rate, self.shares["before"][REST]
                expect(
                    self.report, f"{agency} got {rates['before']:,.0f}/s before; {wanted:g} wanted; others had {rest:.2f} of {cores}",
                    held=rates["before"] >= REACHED * wanted,
                )  # fmt: skip
                expect(self.report, f"{agency} is served on: at least half the rate of before", held=least >= rates["before"] / 2)
            expect(self.report, f"{agency} is served on: no pause of {BAR_S:g} s", held=longest < BAR_S)

    async def tell_out(self, command: Command, watch: Watch, published: dict[str, Any]) -> None:
        """What reached the agency, and what of it reached others, and when the last."""
        inbox = [each for each in await self.exchange.records(ids.inbox(OUT)) if not is_receipt(each.key)]
        outbox = await self.exchange.records(ids.outbox(OUT))
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
        from_out = {each.key for each in await self.exchange.records(ids.outbox(OUT))}
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
            await self.verified(agency, arrived(), sum(came.values()))
        accepted = all(set(answers[owner]["outcomes"]) == {"ACCEPTED"} for owner in OWNERS)
        expect(self.report, "every message of the owners was accepted", held=accepted and bool(from_out))

    async def verified(self, agency: str, from_owners: int, all_of_it: int) -> None:
        """Its inbox once more, by a subscriber: signatures, slips, the delivery counter, commitments and schemas of every delivery."""
        member, seen = self.exchange.member(agency), Counter[str]()
        transport = member.transport()

        async def count(delivery: Delivery) -> Outcome:
            seen[delivery.originator] += 1
            return DONE

        subscriber = member.subscriber(transport, store=member.passing_store())
        counts = await subscriber.run(count, start="beginning", until_end=True)
        await transport.close()
        expect(
            self.report,
            f"{agency}: a subscriber verifies {counts.delivered:,} of them, {counts.refused} refused, {counts.duplicates} twice,"
            f" {counts.gaps} gaps in the chain",
            held=(counts.delivered, counts.refused, counts.duplicates, counts.gaps) == (all_of_it, 0, 0, 0)
            and sum(seen[owner] for owner in OWNERS) == from_owners,
        )


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rate", type=float, default=Plan.rate, help="messages a second of both owners together")
    parser.add_argument("--seconds", type=float, default=Plan.before_s, help="how long traffic is measured before and after")
    chosen = parser.parse_args()
    report = Report()
    asyncio.run(show(report, Plan(chosen.rate, chosen.seconds, chosen.seconds)))
    report.say("", "everything held" if not report.failures else f"{len(report.failures)} expectations BROKEN")
    return 1 if report.failures else 0


if __name__ == "__main__":
    logs.configure("warning")
    sys.exit(main())
