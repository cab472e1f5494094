"""A scene of random members and messages on a real exchange: what everybody then holds, byte by byte.

Kafka and relay workers run as in earnest, each agency has a home of its own, reads with ``broker subscribe``, keeps a register and asks it.
The owners publish with marked salts, so that a search finds each section as it is carried, texts or none.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import io
import signal
from collections.abc import AsyncGenerator, Iterable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Final

from structlog.testing import capture_logs

from broker import ids
from broker.app.connect import connect
from broker.app.parties import Member
from broker.cli import main as command_line
from broker.envelope.parcel import read_parcel
from broker.errors import Refusal, RefusedError
from broker.exchange.topology import DIRECTORY, MESSAGE_LIMIT, POLICY, SCHEMAS, Quota
from broker.policy.decide import Decider
from broker.service.publisher import Handle, Publisher
from broker.storage.clock import SystemClock, SystemRandomness
from tests.e2e.program import Program, Running
from tests.property.leaks import ENTITIES, ORIGINATORS, Composed, Scene, Written, bundle, given
from tests.support.whole_exchange import WholeExchange, whole_exchange

RECEIPT_S: Final = 60.0
READ_S: Final = 90.0
AT_ONCE: Final = 4
"""Programs that run side by side."""
TALKATIVE: Final = ("--json", "--log-level", "debug")


class MarkedSalts:
    """Randomness whose 16 bytes at a time are text that is nowhere else; the rest is random."""

    def __init__(self, *seed: object) -> None:
        self._seed, self._numbers = seed, count()

    def take(self, count: int) -> bytes:
        """See :class:`broker.ports.Randomness`."""
        if count != 16:
            return SystemRandomness().take(count)
        return b"ZQ" + hashlib.sha256(repr((self._seed, next(self._numbers))).encode()).hexdigest()[:14].upper().encode()


@dataclass(frozen=True)
class Place:
    """Bytes that an agency holds, or that a service wrote down. ``directory``: a copy of the public directory, which names all members."""

    holder: str
    kind: str
    name: str
    data: bytes
    directory: bool = False


@dataclass
class Ground:
    """The exchange of a scene."""

    exchange: WholeExchange
    folder: Path
    scene: Scene
    program: Program
    relays: list[Running] = field(default_factory=list[Running])
    followers: list[Running] = field(default_factory=list[Running])
    written: list[Written] = field(default_factory=list[Written])
    rights: list[dict[str, frozenset[str]]] = field(default_factory=list[dict[str, frozenset[str]]])
    outputs: dict[str, list[Path]] = field(default_factory=dict[str, list[Path]])
    published_log: bytes = b""
    refused: int = 0

    @property
    def agencies(self) -> list[str]:
        """Members, whose names are marked, and originators."""
        return [self.scene.agency(number) for number in range(len(self.scene.members))] + list(ORIGINATORS)

    def home(self, agency: str) -> Path:
        """The agency's own."""
        return self.folder / agency.lower()

    async def publish(self) -> None:
        """All messages, by their owners, until each is answered."""
        now_ms = SystemClock().now_ms()
        composed = [self.scene.message(number, now_ms) for number in range(len(self.scene.messages))]
        decider = Decider(bundle(), self.scene.everybody())
        with capture_logs() as lines:
            for owner in ORIGINATORS:
                await self._publish_as(owner, [each for each in composed if ids.owner_of(each.message.subject) == owner])
        self.published_log = repr(lines).encode()
        self.refused = len(composed) - len(self.written)
        self.rights = [given(decider, each.message, now_ms) for each in self.written]

    async def _publish_as(self, owner: str, composed: Sequence[Composed]) -> None:
        member = Member(self.home(owner), owner, connect, randomness=MarkedSalts(self.scene.seed, owner))
        transport = member.transport()
        try:
            async with member.publisher(transport) as publisher:
                handles = await asyncio.gather(*(_sent(publisher, each) for each in composed))
                receipts = [handle and await handle.receipt(RECEIPT_S) for handle in handles]
        finally:
            await transport.close()
        carried = dict[str, dict[str, bytes]]()
        for record in await self.exchange.records(ids.outbox(owner)):
            parcel = read_parcel(record.value or b"", MESSAGE_LIMIT)
            assert not isinstance(parcel, Refusal)
            carried[(record.key or b"").decode()] = dict(parcel.sections)
        for each, receipt in zip(composed, receipts, strict=True):
            if receipt is not None:
                assert receipt.outcome == "ACCEPTED", receipt
                self.written.append(Written(each.sent, each.message, each.words, carried[each.message.subject]))

    async def read(self, progress: Iterable[str]) -> None:
        """Every agency reads its inbox and acknowledges, then asks its register. Who reads first: ``progress``."""
        gate = asyncio.Semaphore(AT_ONCE)

        async def one(agency: str) -> None:
            async with gate:
                await self.subscribe(agency)

        await asyncio.gather(*(one(agency) for agency in progress if agency not in ORIGINATORS))
        await asyncio.gather(*(one(agency) for agency in progress if agency in ORIGINATORS))
        for agency in progress:
            for arguments in self.look_ups(agency):
                await asyncio.to_thread(self._call, agency, *arguments)

    async def subscribe(self, agency: str) -> None:
        """Until everything is read that was published for it; the owners until the acknowledgements have come too."""
        expected = sum(agency in releases for releases in self.rights)
        until = ("--timeout", "2") if agency in ORIGINATORS or not expected else ("--max", str(expected), "--timeout", "20")
        await asyncio.to_thread(
            self._run, agency, "subscribe", "--from", "beginning", *until, "--ack", "L3", "--capture", self.home(agency) / "evidence"
        )

    async def stop_followers(self) -> None:
        """Ctrl-C to the registers that follow; SQLite's side files are gone then."""
        for follower in self.followers:
            follower.process.send_signal(signal.SIGINT)
            ended = await asyncio.to_thread(follower.wait, READ_S)
            assert ended.code == 130, ended.err[-2000:]

    def look_ups(self, agency: str) -> Iterator[tuple[str, ...]]:
        """What it asks its register: alerts, flags, duties, licences that it was given, and its own subjects."""
        yield "alert", "find", "--hs", "8"
        yield "register", "flags"
        licences = [
            str(each.message.sections["core"]["licence_no"]) for each, releases in zip(self.written, self.rights, strict=True)
            if each.message.family == "licence" and "core" in releases.get(agency, ())
        ]  # fmt: skip
        for number in licences[:2]:
            yield "licence", "show", number
        for each in [each for each in self.written if ids.owner_of(each.message.subject) == agency][:2]:
            yield "trace", each.message.subject

    def _run(self, agency: str, *arguments: str | Path) -> None:
        """A process of its own; what it printed is kept."""
        ran = self.program.run(*arguments, "--as", agency, "--home", self.home(agency), *TALKATIVE, timeout=READ_S)
        assert ran.code in (0, 1), ran.err[-2000:]
        self.outputs.setdefault(agency, []).extend((ran.out_file, ran.out_file.with_suffix(".err")))

    def _call(self, agency: str, *arguments: str) -> None:
        """The program in this process, which saves its start; what it printed is kept."""
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            code = command_line.run([*arguments, "--as", agency, "--home", str(self.home(agency)), *TALKATIVE])
        assert code in (0, 1), err.getvalue()[-2000:]
        number = next(self.program.numbers)
        for end, said in (("out", out), ("err", err)):
            file = self.folder / f"{number:03}.{end}"
            file.write_text(f"{said.getvalue()}", encoding="utf-8")
            self.outputs.setdefault(agency, []).append(file)

    # --- what is held

    async def places(self) -> list[Place]:
        """Every byte that is searched."""
        found = [each for agency in self.agencies for each in (*await self.of_kafka(agency), *self.of_home(agency))]
        for number, relay in enumerate(self.relays, 1):
            lines = (relay.out.read_bytes() + relay.err.read_bytes()).splitlines()
            ours, clients = ([line for line in lines if line.startswith(b"{") is mine] for mine in (True, False))
            found += [
                Place("relay", "relay logs", f"relay-{number}", b"\n".join(ours)),
                Place("relay", "lines of the Kafka client", f"relay-{number}", b"\n".join(clients), directory=True),
            ]
        found.append(Place("publishers", "logs of commands", "log", self.published_log))
        logs = sorted(self.exchange.node.log.parent.glob("*"))
        found += [Place("Kafka", "Kafka's logs", each.name, each.read_bytes(), directory=True) for each in logs if each.is_file()]
        for topic in (DIRECTORY, POLICY, SCHEMAS):
            data = b"\n".join((record.key or b"") + b" " + (record.value or b"") for record in await self.exchange.records(topic))
            found.append(Place("everybody", "public topics", topic, data, directory=True))
        return found

    async def of_kafka(self, agency: str) -> list[Place]:
        """The inbox: its records as they are read, and the files that Kafka keeps them in, which hold aborted ones too."""
        topic = ids.inbox(agency)
        records = [
            Place(agency, "receipts" if (each.key or b"").startswith(b"r/") else "inbox records", f"offset {each.offset}",
                  (each.key or b"") + b" " + (each.value or b""))
            for each in await self.exchange.records(topic)
        ]  # fmt: skip
        files = sorted((self.exchange.files.kafka / "data" / f"{topic}-0").glob("*.log"))
        return records + [Place(agency, "inbox segments", each.name, each.read_bytes()) for each in files]

    def of_home(self, agency: str) -> list[Place]:
        """Every file of its home, and what its commands printed."""
        found = list[Place]()
        for path in sorted(each for each in self.home(agency).rglob("*") if each.is_file()):
            kind = "SQLite files" if ".sqlite" in path.name else "evidence" if path.suffix == ".parcel" else "other files"
            with contextlib.suppress(FileNotFoundError):  # SQLite's side files come and go
                found.append(Place(agency, kind, path.name, path.read_bytes(), directory=path.name == "trust.json"))
        for path in self.outputs.get(agency, []):
            found.append(Place(agency, "outputs" if path.suffix == ".out" else "logs of commands", path.name, path.read_bytes()))
        return found


async def _sent(publisher: Publisher, composed: Composed) -> Handle | None:
    try:
        return await publisher.publish(composed.message)
    except RefusedError:
        return None  # before anything was sent: nobody is named, or a family that is always for named agencies has a group


@asynccontextmanager
async def ground_of(scene: Scene, folder: Path, *, relays: int) -> AsyncGenerator[Ground]:
    """Kafka, relay workers, and everybody enrolled, each in a home of its own; one member's and one owner's register follow from now on."""
    async with whole_exchange(folder / "operator", {}, shards=4, quotas={}, entities=ENTITIES) as exchange, AsyncExitStack() as stack:
        made = Ground(exchange, folder, scene, Program(folder))
        everybody = scene.everybody()
        async with exchange.operator.registrar() as registrar:
            for agency, each in everybody.items():
                await exchange.enrol(registrar, agency, each.kind, Quota(), communities=each.communities, home=made.home(agency))
        for number in range(1, relays + 1):
            relay = stack.enter_context(
                made.program.started("relay", "--member", f"relay-{number}", "--home", exchange.home, *TALKATIVE)
            )  # fmt: skip
            made.relays.append(relay)
        for agency in (made.agencies[0], next(iter(ORIGINATORS))):
            follower = stack.enter_context(
                made.program.started("register", "follow", "--as", agency, "--home", made.home(agency), *TALKATIVE)
            )  # fmt: skip
            made.followers.append(follower)
            made.outputs[agency] = [follower.out, follower.err]
        yield made
