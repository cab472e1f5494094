"""Where messages made from records are exchanged: in memory, or over a real Kafka through the program. Both answer in the same form."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Protocol

from broker.app.message_forms import message_of
from broker.errors import Refusal, RefusedError
from broker.service.publisher import Handle
from broker.storage.clock import SystemClock
from broker.storage.home import AgencyHome
from broker.storage.register_reader import RegisterReader
from broker.storage.schemas import load_catalogue
from broker.testing.local import LocalExchange
from tests.e2e.program import Json, Program, local_exchange, write_jsonl
from tests.e2e.program import LocalExchange as RunningExchange

LONG_S: Final = 3600.0
Members = Mapping[str, tuple[str, Sequence[str]]]
"""Agencies: id to kind and communities."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the exchange said to one message: ``accepted``, ``refused`` (before it was sent) or ``quarantined`` (by the relay)."""

    outcome: str
    code: str | None
    path: str
    reason: str
    findings: tuple[tuple[str, str, str, str], ...] = ()
    """Severity, code, path, reason."""


class Ground(Protocol):
    """An exchange at work with its members enrolled."""

    name: str
    now: datetime

    def publish(self, agency: str, messages: Sequence[Json]) -> list[Answer]:
        """Publish in order and wait for the answers."""
        ...

    def catch_up(self, agency: str) -> None:
        """Bring the agency's register up to date."""
        ...

    def register(self, agency: str) -> Path:
        """The agency's register, a file."""
        ...


@contextmanager
def reading(ground: Ground, agency: str) -> Generator[RegisterReader]:
    """Look-ups in an agency's register."""
    with closing(RegisterReader.open(ground.register(agency))) as reader:
        yield reader


class InMemory:
    """A :class:`broker.testing.local.LocalExchange`, with the clock of this machine."""

    name = "in memory"

    def __init__(self, runner: asyncio.Runner, exchange: LocalExchange) -> None:
        self._runner, self._exchange, self._catalogue = runner, exchange, load_catalogue()
        self.now = datetime.now(UTC)

    def publish(self, agency: str, messages: Sequence[Json]) -> list[Answer]:
        return self._runner.run(self._published(agency, messages))

    async def _published(self, agency: str, messages: Sequence[Json]) -> list[Answer]:
        publisher = await self._exchange.agencies[agency].publisher()
        sent: list[Handle | Refusal] = []
        for value in messages:
            message = message_of(value, self._catalogue)
            if isinstance(message, Refusal):
                sent.append(message)
                continue
            try:
                sent.append(await publisher.publish(message))
            except RefusedError as error:
                sent.append(error.refusal)
        return [await self._answer(each) for each in sent]

    async def _answer(self, sent: Handle | Refusal) -> Answer:
        if isinstance(sent, Refusal):
            return Answer("refused", sent.code, sent.path, sent.reason)
        receipt = await sent.receipt(LONG_S)
        told = {(each.code, each.path): each for each in (*sent.findings, *receipt.findings)}
        findings = tuple((each.severity, each.code, each.path, each.reason) for each in told.values())
        outcome = "accepted" if receipt.outcome == "ACCEPTED" else "quarantined"
        return Answer(outcome, receipt.code or None, receipt.path, receipt.reason, findings)

    def catch_up(self, agency: str) -> None:
        local = self._exchange.agencies[agency]
        freshness = self._runner.run(local.member.register(local.transport).catch_up(LONG_S))
        assert freshness.reachable, freshness.note

    def register(self, agency: str) -> Path:
        return self._exchange.agencies[agency].member.files.register_store


@contextmanager
def in_memory(members: Members, codelists: Path) -> Generator[InMemory]:
    """An exchange in this process; the agencies have registers from the beginning."""

    async def started(exchange: LocalExchange) -> None:
        await exchange.__aenter__()
        for agency, (kind, communities) in members.items():
            await exchange.join(agency, kind, communities)

    with asyncio.Runner() as runner:
        exchange = LocalExchange(codelists=codelists, clock=SystemClock())
        runner.run(started(exchange))
        try:
            yield InMemory(runner, exchange)
        finally:
            runner.run(exchange.__aexit__())


class OnKafka:
    """``broker up`` with all agencies in one home, and the program's commands for everything."""

    name = "on Kafka"

    def __init__(self, program: Program, exchange: RunningExchange, codelists: Path) -> None:
        self.program, self.exchange, self._codelists = program, exchange, codelists
        self.now = datetime.now(UTC)

    def publish(self, agency: str, messages: Sequence[Json]) -> list[Answer]:
        file = write_jsonl(self.program.folder / f"messages-{next(self.program.numbers):03}.jsonl", messages)
        ran = self.program.run(
            "publish", file, "--as", agency, "--codelists", self._codelists, "--home", self.exchange.home, "--json", timeout=LONG_S
        )
        assert ran.code in (0, 1), ran.err[-2000:]
        return [_told(line) for line in ran.lines]

    def catch_up(self, agency: str) -> None:
        for _ in range(2):  # the first call may end before the relay has delivered the last of it
            self.program.run("register", "flags", "--wait", "600", "--as", agency, "--home", self.exchange.home, timeout=LONG_S).must()

    def register(self, agency: str) -> Path:
        return AgencyHome(self.exchange.home, agency).register_store


def _told(line: Mapping[str, Any]) -> Answer:
    findings = tuple((each["severity"], each["code"], each["path"], each["reason"]) for each in line["findings"])
    return Answer(line["outcome"], line["code"], line.get("path") or "", line.get("reason") or "", findings)


@contextmanager
def on_kafka(folder: Path, members: Members, codelists: Path) -> Generator[OnKafka]:
    """A real exchange, in a new folder."""
    program = Program(folder)
    agencies = folder / "agencies.json"
    agencies.write_text(json.dumps([{"id": agency, "kind": kind, "communities": list(more)} for agency, (kind, more) in members.items()]))
    with local_exchange(program, folder / "home", "--agencies", agencies, "--codelists", codelists) as exchange:
        yield OnKafka(program, exchange, codelists)
