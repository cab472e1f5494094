"""A latecomer on a real Kafka: ``python -m tests.e2e.late_show [--subjects 2000] [--rate 20]``.

One relay worker in a process of its own, one shard, an owner with many live subjects, and traffic at a steady rate. An agency joins; how
long until it has the present state, and what that costs those who were there. Exit code 0 only if everything held.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from broker import ids, logs
from broker.exchange.receive import Received, is_receipt, receive
from broker.families.message import Message
from broker.ports import Inlet
from broker.service.publisher import Publisher
from broker.storage.clock import SystemClock
from broker.testing.samples import sample_alert
from tests.e2e.shows import Report
from tests.support.eventually import eventually
from tests.support.whole_exchange import WholeExchange, whole_exchange

OWNER, THERE, LATE = "SG-CUSTOMS", "MY-CUSTOMS", "ID-CUSTOMS"
BEFORE_S: Final = 8.0
"""How long traffic is measured before anybody joins."""
AFTER_S: Final = 3.0
"""And how long afterwards."""
PATIENCE_S: Final = 180.0
LAST_S: Final = 30.0
"""The last messages have arrived within this, or they are lost."""


@dataclass
class Traffic:
    """Messages at a steady rate, and when each reached an inbox that somebody watches. Unix seconds: Kafka's records have them too."""

    sent: dict[str, float] = field(default_factory=dict[str, float])
    arrived: dict[str, float] = field(default_factory=dict[str, float])

    async def publish(self, publisher: Publisher, rate: float) -> None:
        """Publish until cancelled."""
        number, due = 500_000, time.time()
        while True:
            message = alert(number)
            at = time.time()
            await publisher.publish(message)
            self.sent[message.subject] = at
            number, due = number + 1, due + 1 / rate
            await asyncio.sleep(max(0.0, due - time.time()))

    async def watch(self, inlet: Inlet) -> None:
        """Note what arrives, until cancelled."""
        while True:
            for record in await inlet.poll(max_records=500, timeout=0.5):
                if not is_receipt(record.key):
                    self.arrived.setdefault((record.key or b"").decode()[2:], time.time())

    def missing(self) -> list[str]:
        """What was published and has not arrived."""
        return [name for name in self.sent if name not in self.arrived]

    def delays(self, begin: float, end: float) -> list[float]:
        """Milliseconds from publish to inbox of what was published in this span, sorted; nothing may be missing."""
        return sorted((self.arrived[name] - at) * 1000 for name, at in self.sent.items() if begin <= at < end)


def alert(number: int) -> Message:
    return sample_alert(f"{OWNER}/2026/{number:06}", now_ms=SystemClock().now_ms(), countries=["MY", "ID"])


@asynccontextmanager
async def relay_process(exchange: WholeExchange) -> AsyncGenerator[None]:
    """A relay worker in a process of its own."""
    command = [sys.executable, "-m", "broker", "relay", "--home", str(exchange.home), "--json"]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    try:
        await process.stdout.readline()
        yield
    finally:
        process.terminate()
        await process.wait()


async def joined(exchange: WholeExchange) -> None:
    """The latecomer is admitted, by a process of its own: this one only measures."""
    command = [sys.executable, "-m", "broker", "agency", "add", LATE, "--kind", "customs", "--home", str(exchange.home), "--json"]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.DEVNULL)
    assert await process.wait() == 0


async def filled(exchange: WholeExchange, subjects: int) -> None:
    """Wait until the latecomer's inbox has room for so many deliveries; nothing is read yet."""
    transport = exchange.operator.transport("registrar")
    inlet = await transport.inlet()
    source = (ids.inbox(LATE), 0)
    try:
        await inlet.assign({source: "end"})
        async with asyncio.timeout(PATIENCE_S):
            while (await inlet.ends())[source] < subjects:  # noqa: ASYNC110 - nobody rings
                await asyncio.sleep(0.2)
    finally:
        await inlet.close()
        await transport.close()


async def served(exchange: WholeExchange, subjects: int) -> tuple[float, float, int]:
    """Read the latecomer's late deliveries: when the relay wrote the first and the last, and of how many subjects they are."""
    knowledge = exchange.operator.knowledge(exchange.operator.transport("registrar"))
    await knowledge.load()
    await knowledge.close()
    transport = exchange.operator.transport("registrar")
    inlet, times, found = await transport.inlet(), list[float](), set[str]()
    try:
        await inlet.assign({(ids.inbox(LATE), 0): "beginning"})
        async with asyncio.timeout(PATIENCE_S):
            while len(found) < subjects:
                for record in await inlet.poll(max_records=500, timeout=0.2):
                    received = receive(record.value or b"", knowledge.rules, recipient=LATE)
                    assert isinstance(received, Received), received
                    if int(received.header.subject[-6:]) <= subjects:
                        assert received.slip.redelivery
                        assert received.header.subject not in found
                        found.add(received.header.subject)
                        times.append(record.timestamp_ms / 1000)
    finally:
        await inlet.close()
        await transport.close()
    return times[0], times[-1], len(found)


def told(report: Report, name: str, delays: list[float]) -> None:
    if not delays:
        report.say(f"  {name:<28} no message in that time")
        return
    p99 = delays[min(len(delays) - 1, int(len(delays) * 0.99))]
    report.say(f"  {name:<28} {len(delays):>5} messages   p50 {statistics.median(delays):7.1f} ms   p99 {p99:7.1f} ms")


async def show(report: Report, subjects: int, rate: float) -> None:
    with tempfile.TemporaryDirectory(prefix="late-") as folder:
        members: dict[str, str] = dict.fromkeys((OWNER, THERE), "customs")
        async with (
            whole_exchange(Path(folder), members, shards=1, quotas={}) as exchange,
            relay_process(exchange),
            exchange.member(OWNER).publishing() as publisher,
        ):
            await run(report, exchange, publisher, subjects, rate)


async def run(report: Report, exchange: WholeExchange, publisher: Publisher, subjects: int, rate: float) -> None:
    report.title(f"{subjects:,} live subjects, {rate:g} messages a second, and then somebody joins")
    handles = [await publisher.publish(alert(number)) for number in range(1, subjects + 1)]
    answers = [await handle.receipt(PATIENCE_S) for handle in handles]
    report.check("all accepted", holds={each.outcome for each in answers} == {"ACCEPTED"})
    traffic, transport = Traffic(), exchange.member(THERE).transport()
    inlet = await transport.inlet()
    await inlet.assign({(ids.inbox(THERE), 0): "end"})
    tasks = [asyncio.create_task(traffic.watch(inlet)), asyncio.create_task(traffic.publish(publisher, rate))]
    await asyncio.sleep(BEFORE_S)
    joining = time.time()
    await joined(exchange)
    await filled(exchange, subjects)
    await asyncio.sleep(AFTER_S)
    tasks[1].cancel()
    with contextlib.suppress(AssertionError):  # what is missing then is reported below
        await eventually(lambda: not traffic.missing(), LAST_S)
    tasks[0].cancel()
    for task in tasks:
        with contextlib.suppress(asyncio.CancelledError):
            await task
    await inlet.close()
    await transport.close()
    first, last, count = await served(exchange, subjects)
    lost = traffic.missing()
    report.check("the latecomer has each live subject, once", holds=count == subjects)
    report.check("meanwhile nothing was lost on the way to the other", holds=not lost)
    report.say(
        f"  {first - joining:.2f} s from the registrar's call to the first late delivery, {last - first:.2f} s from that to the last: "
        f"{subjects / max(0.001, last - first):,.0f} subjects a second",
        "  delay from publish to the inbox of an agency that was there:",
    )
    told(report, "before", traffic.delays(joining - BEFORE_S, joining))
    told(report, "while it joined", traffic.delays(joining, first))
    told(report, "while it was served", traffic.delays(first, last))
    told(report, "after", traffic.delays(last, last + AFTER_S))


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--subjects", type=int, default=2000)
    parser.add_argument("--rate", type=float, default=20.0)
    chosen = parser.parse_args()
    report = Report()
    asyncio.run(show(report, chosen.subjects, chosen.rate))
    return 1 if report.failures else 0


if __name__ == "__main__":
    logs.configure("warning")
    sys.exit(main())
