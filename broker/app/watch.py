"""Looking at an exchange from the operator's side: once (``broker status``), or for as long as a process shows it (``broker operator``)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from typing import Any, Final

import structlog

from broker import ids
from broker.app.parties import Operator
from broker.envelope.cbor import CborError
from broker.errors import BrokerError, ExchangeUnreachable, PositionLost
from broker.exchange.overview import AgencyRow, Overview
from broker.exchange.topology import JOURNAL, QUARANTINE, STATE
from broker.ports import Admin, Inlet, Record, Source, Transport
from broker.service.knowledge import Knowledge
from broker.trust.keys import fingerprint_of

LOOK_S: Final = 2.0
"""How often a watch asks where topics end and who holds which shard."""
TOLD_LOOKS: Final = 5
"""After so many times that it asks how far agencies say that they have read: one question an agency."""
AHEAD_MS: Final = 300_000
"""How far the clock of an agency may be ahead."""
ANSWER_S: Final = 10.0
"""How long the answer may take."""
HEAR_S: Final = 60.0
"""How long all agencies' words may take: nothing else waits for them."""
AGAIN_S: Final = 1.0
"""How long reading waits after the exchange did not answer."""
_BATCH: Final = 2000
_log = structlog.get_logger("watch")


async def read_all(transport: Transport, sources: list[Source]) -> list[Record]:
    """Every committed record of these sources, up to their ends now."""
    inlet = await transport.inlet()
    try:
        await inlet.assign(dict.fromkeys(sources, "beginning"))
        ends = await inlet.ends()
        records: list[Record] = []
        while any(inlet.position(source) < end for source, end in ends.items()):
            records += await inlet.poll(max_records=_BATCH, timeout=0.5)
        return records
    finally:
        await inlet.close()


async def read_status(transport: Transport, knowledge: Knowledge, admin: Admin, now_ms: int) -> dict[str, Any]:
    """One object with everything an operator asks first. Needs to read the exchange's own topics (the registrar may)."""
    overview, inlet = Overview(), await transport.inlet()
    try:
        await _catch_up(inlet, overview, knowledge.shards)
    finally:
        await inlet.close()
    return status_of(knowledge, overview, await _ends(transport, knowledge), await _told(admin, knowledge, now_ms), now_ms)


async def _catch_up(inlet: Inlet, overview: Overview, shards: int) -> None:
    """Take in what the relay has written of itself and refused, from the beginning to the ends of now."""
    sources: list[Source] = [*((STATE, number) for number in range(shards)), (QUARANTINE, 0)]
    await inlet.assign(dict.fromkeys(sources, "beginning"))
    ends = await inlet.ends()
    while any(inlet.position(source) < end for source, end in ends.items()):
        _take(overview, await inlet.poll(max_records=_BATCH, timeout=0.5))


def _take(overview: Overview, records: Sequence[Record]) -> None:
    for record in records:
        try:
            overview.take(record)
        except (
            CborError,
            AttributeError,
            LookupError,
            TypeError,
            ValueError,
        ) as error:  # not the relay's: go on
            _log.error("a record of the exchange cannot be read", topic=record.topic, offset=record.offset, reason=str(error))


async def _ends(transport: Transport, knowledge: Knowledge) -> dict[str, int]:
    """Where the topics end that are told of, by name."""
    agencies = knowledge.rules.directory.agencies
    topics = [JOURNAL, QUARANTINE, *(topic(agency) for agency in agencies for topic in (ids.outbox, ids.inbox))]
    found = await transport.ends([(topic, 0) for topic in topics])
    return {topic: end for (topic, _), end in found.items()}


async def _told(admin: Admin, knowledge: Knowledge, now_ms: int) -> dict[str, tuple[int, int]]:
    """How far agencies say that they have read their inboxes, and when they said so.

    An agency can write what it likes. A time to come would hide that nobody reads any more, or be one that no calendar has: it is as if
    nothing were said.
    """
    agencies = knowledge.rules.directory.agencies
    found = await admin.told_read({ids.inbox_group(agency): (ids.inbox(agency), 0) for agency in agencies})
    words = {agency: found.get(ids.inbox_group(agency)) for agency in agencies}
    return {agency: (word.position, word.at_ms) for agency, word in words.items() if word is not None and word.at_ms <= now_ms + AHEAD_MS}


def status_of(
    knowledge: Knowledge, overview: Overview, ends: Mapping[str, int], told: Mapping[str, tuple[int, int]], now_ms: int
) -> dict[str, Any]:
    """What ``broker status --json`` shows."""
    directory, rules, health = knowledge.rules.directory, knowledge.rules, overview.health
    rows = overview.agencies(directory, knowledge.shards, ends, told)
    exchange = directory.exchange
    return {
        "exchange": rules.exchange_id,
        "environment": rules.environment,
        "directory_version": directory.version,
        "policy_version": rules.policy_version,
        "policy_digest": knowledge.policy.digest.hex(),
        "shards": knowledge.shards,
        "registrar": directory.registrar.spki.hex(),
        "registrar_fingerprint": fingerprint_of(directory.registrar.spki),
        "relay_keys": [spki.hex() for spki in exchange.relay_spkis] if exchange else [],
        "lag": sum(row.lag for row in rows),
        "subjects": overview.subjects,
        "delivered": overview.deliveries,
        "decisions_failed": health.failed,
        "memo_checked": health.checked,
        "memo_disagreed": health.disagreed,
        "journal": ends.get(JOURNAL, 0),
        "quarantine": overview.refused_count(now_ms),
        "agencies": [asdict(row) for row in rows],
    }


@dataclass(frozen=True, slots=True)
class Sight:
    """An exchange at one moment, as the operator sees it. ``as_of`` in Unix ms; ``workers``: who holds which shard."""

    as_of: int
    status: Mapping[str, Any]
    agencies: tuple[AgencyRow, ...]
    workers: Mapping[int, str]


class Watch:
    """An exchange that is looked at all the time: see :func:`watching`.

    What was seen last stays where the exchange does not answer; ``reachable`` says that it is no longer known whether it still is so.
    """

    def __init__(self, operator: Operator, transport: Transport, admin: Admin, knowledge: Knowledge) -> None:
        self._operator, self._transport, self._admin = operator, transport, admin
        self.knowledge = knowledge
        self.overview = Overview()
        self.sight = Sight(self.now_ms(), status_of(knowledge, self.overview, {}, {}, self.now_ms()), (), {})
        self._told: dict[str, tuple[int, int]] = {}
        self.reachable = False
        self.stopping = asyncio.Event()
        """Set when the process is to stop."""
        self.failed = asyncio.Event()
        """Set where a part ended by a bug: the process should end, and be started again."""

    def now_ms(self) -> int:
        """The time, in Unix milliseconds."""
        return self._operator.clock.now_ms()

    async def catch_up(self, inlet: Inlet) -> None:
        """Read all that the relay has written of itself, from the beginning. What was known before is shown until all of it is read. Raises
        ExchangeUnreachable."""
        overview = Overview()
        await _catch_up(inlet, overview, self.knowledge.shards)
        self.overview = overview

    async def read(self, inlet: Inlet) -> None:
        """Take in what the relay writes, as it writes it, until cancelled."""
        anew = False
        while True:
            try:
                if anew:
                    await self.catch_up(inlet)
                    anew = False
                _take(self.overview, await inlet.poll(max_records=_BATCH, timeout=5.0))
            except PositionLost as error:
                _log.warning("the state of the exchange is read anew", reason=str(error))
                anew = True
            except ExchangeUnreachable as error:
                _log.warning("the state of the exchange cannot be read", reason=str(error))
                await asyncio.sleep(AGAIN_S)

    async def look_on(self, every_s: float) -> None:
        """Look again and again, until cancelled."""
        while True:
            await asyncio.sleep(every_s)
            try:
                async with asyncio.timeout(ANSWER_S):
                    await self.look()
            except (BrokerError, TimeoutError) as error:
                self.reachable = False
                _log.warning("the exchange does not answer", reason=str(error) or "it takes too long")

    async def look(self) -> None:
        """Ask where topics end and who holds which shard. Raises ExchangeUnreachable."""
        ends, workers = await asyncio.gather(_ends(self._transport, self.knowledge), self._admin.workers())
        rows = self.overview.agencies(self.knowledge.rules.directory, self.knowledge.shards, ends, self._told)
        now_ms = self.now_ms()
        self.sight = Sight(now_ms, status_of(self.knowledge, self.overview, ends, self._told, now_ms), rows, workers)
        self.reachable = True

    async def hear_on(self, every_s: float) -> None:
        """Hear again and again, until cancelled."""
        while True:
            await asyncio.sleep(every_s)
            await self.hear()

    async def hear(self) -> None:
        """Ask how far agencies say that they have read. Where that is not answered, what they said last stays: with the time at which they
        said so."""
        try:
            async with asyncio.timeout(HEAR_S):
                self._told = await _told(self._admin, self.knowledge, self.now_ms())
        except (BrokerError, TimeoutError) as error:
            _log.warning("how far agencies have read is not known", reason=str(error) or "the answer takes too long")

    def ended(self, task: asyncio.Task[None]) -> None:
        """A part of it has ended: by a bug, unless it was cancelled."""
        error = None if task.cancelled() else task.exception()
        if error is not None:
            _log.error("a part of the watch has failed", exc_info=error)
            self.failed.set()


@asynccontextmanager
async def watching(operator: Operator, *, every_s: float = LOOK_S) -> AsyncGenerator[Watch]:
    """A watch for as long as the block lasts; it has seen everything once when the block begins. Raises ExchangeUnreachable where the
    exchange cannot be read then."""
    transport, admin = operator.transport("registrar"), operator.admin()
    knowledge = operator.knowledge(transport)
    tasks: list[asyncio.Task[None]] = []
    try:
        await knowledge.load()
        watch, inlet = Watch(operator, transport, admin, knowledge), await transport.inlet()
        await watch.catch_up(inlet)
        await watch.hear()
        await watch.look()
        parts = (knowledge.follow(), watch.read(inlet), watch.look_on(every_s), watch.hear_on(TOLD_LOOKS * every_s))
        tasks += [asyncio.create_task(part) for part in parts]
        for task in tasks:
            task.add_done_callback(watch.ended)
        yield watch
        watch.stopping.set()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for opened in (knowledge, admin, transport):
            await opened.close()
