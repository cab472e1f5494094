"""A recall among five agencies on a real Kafka, one of them offline: ``python -m tests.e2e.recall_show``.

The owner works from the command line; four holders keep a register that answers by itself. The times of the topics are overridden, so
that Kafka compacts within seconds what it would otherwise compact within 31 days. Exit code 0 only if everything held.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from rich.console import Console

from broker import ids, logs
from broker.app.connect import connect
from broker.app.parties import Member
from broker.cli.recall import chain_of
from broker.cli.recall_forms import status_told
from broker.exchange.topology import CURRENT, exchange_specs, inbox_spec
from broker.families.clocks.dates import HOUR_MS
from broker.storage.clock import SystemClock
from broker.testing.clock import FixedClock
from tests.e2e.program import Json, Program, Ran, write_jsonl
from tests.e2e.report import Report
from tests.support.cleaner import hurry_cleaner
from tests.support.whole_exchange import WholeExchange, whole_exchange

OWNER: Final = "SG-CUSTOMS"
ONLINE: Final = ("AE-CUSTOMS", "DE-CUSTOMS", "MY-CUSTOMS", "TH-CUSTOMS")
OFFLINE: Final = "VN-CUSTOMS"
STRANGER: Final = "KR-CUSTOMS"
SUBJECT: Final = f"{OWNER}/2026/000123"
MARK: Final = b"Kirschkernkissen"
"""A word that stands in the content of the alert and nowhere else."""
SOON: Final = {
    "min.compaction.lag.ms": "0", "max.compaction.lag.ms": "1000", "segment.ms": "1000", "delete.retention.ms": "1000",
    "min.cleanable.dirty.ratio": "0.0", "file.delete.delay.ms": "100",
}  # fmt: skip
"""Seconds instead of days."""
PATIENCE_S: Final = 120.0


@dataclass
class Stage:
    """The exchange, and the program at work in its home."""

    exchange: WholeExchange
    program: Program
    report: Report
    published: int = 0

    def call(self, *arguments: str, shown: bool = True) -> Ran:
        """A call of the program; what it prints is part of the show."""
        ran = self.program.run(*arguments, "--home", self.exchange.home)
        if shown:
            self.report.say(f"$ broker {' '.join(arguments)}", *(line for line in ran.out.splitlines() if line.strip()))
        return ran

    async def publish(self, number: int, mark: str) -> None:
        """An alert for the five."""
        message = alert(f"{OWNER}/2026/{number:06}", mark)
        file = write_jsonl(self.program.folder / f"alert{number}.jsonl", [message])
        ran = await asyncio.to_thread(self.call, "publish", str(file), "--as", OWNER, "--json", shown=False)
        assert ran.must(0).line["outcome"] == "accepted"

    def on_disk(self, *topics: str) -> dict[str, int]:
        """How often the mark stands in the segments of each topic, of those in which it does."""
        data = self.exchange.files.kafka / "data"
        found: dict[str, int] = {}
        for topic in topics:
            files = [path for folder in data.glob(f"{topic}-*") for path in folder.iterdir()]
            count = sum(_bytes(path).count(MARK) for path in files if path.is_file())
            if count:
                found[topic] = count
        return found


def _bytes(path: Path) -> bytes:
    with contextlib.suppress(FileNotFoundError):  # the cleaner may take it away meanwhile
        return path.read_bytes()
    return b""


def alert(subject: str, mark: str) -> Json:
    """An alert with the mark in its goods and parties."""
    return {
        "family": "alert", "subject": subject,
        "header": {
            "urgency": "PRIORITY", "tlp": "RED", "audience": {"agencies": [*ONLINE, OFFLINE]}, "valid_until": "2099-06-30T00:00:00Z",
        },
        "sections": {
            "core": {
                "alert_type": "SHIPMENT", "risk_category": "OTHER", "indicators": [{"code": "X-1"}], "requested_actions": ["ASSESS_ONLY"],
                "transport_mode": "SEA",
            },
            "goods": {"items": [{"hs_code": "847989", "hs_edition": 2022, "description": mark}]},
            "parties": {"parties": [{"role": "CONSIGNEE", "name": f"{mark} Ltd", "person_type": "2"}]},
        },
    }  # fmt: skip


async def shorten(exchange: WholeExchange) -> None:
    """Override the times of every topic that keeps parcels of others, and of the cleaner."""
    await hurry_cleaner(exchange)
    admin = exchange.operator.admin()
    (current,) = [spec for spec in exchange_specs(2) if spec.name == CURRENT]
    specs = [inbox_spec(agency, SOON) for agency in (*ONLINE, OFFLINE, STRANGER)]
    await admin.ensure_topics([*specs, replace(current, settings={**current.settings, **SOON})])
    await admin.close()


@asynccontextmanager
async def following(exchange: WholeExchange, agency: str) -> AsyncGenerator[None]:
    """An agency that is online: its register is followed, and answers recalls by itself."""
    member = Member(exchange.home, agency, connect)
    transport = member.transport()
    register = member.register(transport)
    try:
        async with member.answering(transport) as answers:
            task = asyncio.create_task(register.follow(look=answers.look))
            try:
                yield
            finally:
                register.stop()
                await task
    finally:
        await transport.close()


async def until(condition: Callable[[], bool]) -> bool:
    """Look again and again; whether it came to hold in time."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if await asyncio.to_thread(condition):
            return True
        await asyncio.sleep(0.5)
    return False


def _kept(exchange: WholeExchange, agency: str) -> bytes:
    """All that an agency's home holds."""
    folder = exchange.member(agency).files.folder
    return b"".join(_bytes(path) for path in sorted(folder.iterdir()) if path.is_file())


async def story(home: Path, report: Report) -> None:
    """From the alert to five of five."""
    agencies: Mapping[str, str] = dict.fromkeys((OWNER, *ONLINE, OFFLINE, STRANGER), "customs")
    report.title("1. An alert for five customs services; one of them is offline")
    async with whole_exchange(home / "home", agencies, shards=2, quotas={}) as exchange, exchange.relaying():
        await shorten(exchange)
        folder = home / "program"
        folder.mkdir()
        stage = Stage(exchange, Program(folder), report)
        async with contextlib.AsyncExitStack() as online:
            for agency in ONLINE:
                await online.enter_async_context(following(exchange, agency))
            await stage.publish(123, MARK.decode())
            came = await until(lambda: all(MARK in _kept(exchange, agency) for agency in ONLINE))
            report.check("the content is in the registers of the four that are online", holds=came)
            boxes = [CURRENT, *(ids.inbox(agency) for agency in (*ONLINE, OFFLINE))]
            report.check("and in the segments of exchange.current and of all five inboxes", holds=set(stage.on_disk(*boxes)) == set(boxes))
            await _recalled(stage)
            report.title("3. Silence is told: the clock, advanced by two days")
            _silence(stage)
            report.title("4. Kafka compacts; then the agency is back")
            await _compacted(stage, boxes)
            await _back(stage)
        report.check("no home of a holder has a byte of it", holds=not any(MARK in _kept(exchange, a) for a in (*ONLINE, OFFLINE)))


async def _recalled(stage: Stage) -> None:
    report = stage.report
    report.title("2. The owner recalls it")
    ran = await asyncio.to_thread(stage.call, "recall", SUBJECT, "--as", OWNER, "--reason", "COMPROMISED", "--action", "DELETE")
    report.check("the recall is accepted", holds=ran.code == 0)
    confirmed = [0]

    def four() -> bool:
        line = stage.call("recall", "status", SUBJECT, "--as", OWNER, "--json", shown=False).line
        confirmed[0] = line["confirmed"]
        return line["confirmed"] == len(ONLINE)

    report.check("the four that are online have answered by themselves", holds=await until(four))
    ran = await asyncio.to_thread(stage.call, "recall", "status", SUBJECT, "--as", OWNER)
    report.check("4 of 5 confirmed, exit code 1: not complete", holds="4 of 5 confirmed" in ran.out and ran.code == 1)
    gone = not any(MARK in _kept(stage.exchange, agency) for agency in ONLINE)
    report.check("the content is in no byte of the homes of those who answered", holds=gone)
    line = (await asyncio.to_thread(stage.call, "subscribe", "--as", STRANGER, "--timeout", "2", "--json", shown=False)).lines
    report.check(f"{STRANGER}, which never held it, was told nothing", holds=line == [])


def _silence(stage: Stage) -> None:
    """The owner's view as it will be: from the same files, at a later time."""
    member = Member(stage.exchange.home, OWNER, connect, clock=FixedClock(SystemClock().now_ms() + 49 * HOUR_MS))
    with closing(member.register(member.transport()).reader()) as reader:
        found = member.recalls().status(reader, SUBJECT, chain_of(["DUTY-DESK", "DIRECTOR=24"]))
    assert found is not None
    console = Console(file=sys.stdout, color_system=None, highlight=False, soft_wrap=True)
    console.print(status_told(found))
    told = [(step.to, step.duty.debtor) for step in found.told]
    stage.report.check("owner and duty desk are told who is silent", holds=told == [(OWNER, OFFLINE), ("DUTY-DESK", OFFLINE)])
    stage.report.check("the director is next", holds=found.next_to == "DIRECTOR")


async def _compacted(stage: Stage, boxes: list[str]) -> None:
    began, number = time.monotonic(), 900

    async def rolled() -> None:
        """Kafka compacts closed segments only: other traffic closes them."""
        nonlocal number
        number += 1
        await stage.publish(number, "other goods")

    await rolled()
    deadline = time.monotonic() + PATIENCE_S
    while (left := stage.on_disk(*boxes)) and time.monotonic() < deadline:
        await asyncio.sleep(2)
        await rolled()
    stage.report.say(f"after {time.monotonic() - began:.0f} s and {number - 900} other alerts: {left or 'the word is in no segment'}")
    stage.report.check("the content is in no byte of exchange.current and the five inboxes on Kafka's disk", holds=not left)


async def _back(stage: Stage) -> None:
    report = stage.report
    ran = await asyncio.to_thread(stage.call, "subscribe", "--as", OFFLINE, "--timeout", "3", "--json", shown=False)
    about = [line for line in ran.lines if line["subject"] == SUBJECT]
    shown = [f"{line['family']} revision {line['revision']}, sections {', '.join(line['sections'])}" for line in about]
    report.say(f"{OFFLINE} reads its inbox: of {SUBJECT} there is: {'; '.join(shown)}")
    report.check(f"{OFFLINE} reads the recall, and never sees the content", holds=[line["family"] for line in about] == ["recall"])
    report.check("nothing in what it read has the word", holds=MARK.decode() not in ran.out)
    ran = await asyncio.to_thread(stage.call, "recall", "answer", SUBJECT, "--as", OFFLINE, "--answer", "DELETED")
    report.check("it answers", holds=ran.code == 0)
    ran = await asyncio.to_thread(stage.call, "recall", "status", SUBJECT, "--as", OWNER)
    report.check("5 of 5 confirmed, exit code 0: complete", holds="5 of 5 confirmed" in ran.out and ran.code == 0)
    ran = await asyncio.to_thread(stage.call, "trace", SUBJECT, "--as", OWNER)
    lines = [line for line in ran.out.splitlines() if "recall-reaches-holders" in line and "recall answered DELETED" in line]
    report.check("the trace has a line for each of the five", holds=len(lines) == 5)
    report.check(
        "each line names the rule under which the first revision was received", holds=all(" by receive-" in line for line in lines)
    )


def main() -> int:
    """The show."""
    report, began = Report(), time.monotonic()
    logs.configure("error")
    with tempfile.TemporaryDirectory(prefix="recall-") as folder:
        asyncio.run(story(Path(folder), report))
    return report.end(time.monotonic() - began)


if __name__ == "__main__":
    sys.exit(main())
