"""What a process knows of the exchange: directory, policy, schemas, read from the public topics and followed while it lives; the
confidential operations, where it may read them; and the operator's code lists, which are looked at again every few seconds.

Everything read is signed and checked against the registrar's key that this home pins. A bad entry is logged and ignored:
the last good view stays. Nobody works before the topics were read to their ends.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import structlog

from broker.errors import ExchangeUnreachable, Finding, Refusal, UsageError
from broker.exchange import notices
from broker.exchange.memberships import Memberships, not_shown
from broker.exchange.openings import KEY, NO_OPENINGS
from broker.exchange.policy_chain import PolicyChain
from broker.exchange.rules import Rules, decider_of, deciding_digest
from broker.exchange.topology import DIRECTORY, MEMBERSHIPS, POLICY, SCHEMAS
from broker.families.codelists import NO_LISTS, CodeLists
from broker.families.message import Message
from broker.policy.bundle import Bundle
from broker.policy.decide import Decider
from broker.policy.facts import Facts
from broker.ports import CodeListSource, Inlet, Record, RulesKeeper, Source, Transport
from broker.schema.catalogue import Catalogue, Section
from broker.trust.directory import Directory
from broker.trust.keys import VerifyKey

_SOURCES: Final[tuple[Source, ...]] = ((SCHEMAS, 0), (DIRECTORY, 0), (POLICY, 0))
_BATCH: Final = 2000
_EARLY: Final = 16
"""Most bundles kept until the directory is known as far as they need."""
LOOK_S: Final = 0.01
"""How often :meth:`Knowledge.catch_up` looks."""
LISTS_S: Final = 2.0
"""How often the files of the code lists are looked at."""
_log = structlog.get_logger("knowledge")


@dataclass(frozen=True, slots=True)
class Pin:
    """What an agency took home from its admission: which exchange, and whose signature counts. ``registrar_spki`` is DER."""

    exchange_id: str
    environment: str
    registrar_spki: bytes


class Knowledge:
    """The current :class:`Rules` and :class:`Decider`. Call :meth:`load` once, then keep :meth:`follow` running."""

    def __init__(
        self,
        transport: Transport,
        pin: Pin,
        shipped: Mapping[tuple[str, str, int], str],
        codelists: CodeListSource | None = None,
        *,
        writing: Mapping[tuple[str, str], int] | None = None,
        confidential: bool = False,
        keeper: RulesKeeper | None = None,
    ) -> None:
        """``shipped`` are the schemas of this program, by family, section and version; ``writing`` chooses the versions that a
        publisher writes, by family and section. ``confidential``: read ``exchange.memberships`` too, for which only the operator's
        services have the right; decisions then know of its operations. ``keeper`` keeps what was taken, for :meth:`recall`."""
        self._transport = transport
        registrar = VerifyKey.from_spki(pin.registrar_spki)
        if isinstance(registrar, Refusal):
            raise UsageError(f"the registrar's key in this home cannot be used: {registrar.reason}", advice=registrar.advice)
        self._registrar = registrar
        self._directory = Directory.trusting(pin.registrar_spki, pin.exchange_id, pin.environment)
        self._catalogue = Catalogue.from_texts(shipped).writing(writing or {})
        self.policy = PolicyChain()
        self.memberships = Memberships(registrar, notices.context(pin.exchange_id, pin.environment))
        self._sources: tuple[Source, ...] = (*_SOURCES, (MEMBERSHIPS, 0)) if confidential else _SOURCES
        self.openings = NO_OPENINGS
        self._carried: list[Record] = []
        self._ready = False
        self._early: list[Record] = []
        self._keeper = keeper
        self._news: list[Record] = []
        self._inlet: Inlet | None = None
        self._decider: Decider | None = None
        self._source = codelists
        self._codelists: CodeLists = NO_LISTS
        self._looked_at = -LISTS_S
        self._told: set[Finding] = set()
        self._untold: list[Finding] = []
        self.loaded = False
        """Whether the topics were read to their ends once: before that, what is not known is no reason to refuse anything."""
        self._change = asyncio.Event()
        self._taken = asyncio.Event()
        self._taken.set()
        self.rules = Rules.of(self._directory, self._catalogue, 0)
        self.ignored = 0
        self._entries: dict[bytes | None, bytes] = {}

    @property
    def entries(self) -> list[bytes]:
        """The directory's records as they were signed, the last of each: enough to build it again elsewhere."""
        return list(self._entries.values())

    @property
    def shards(self) -> int:
        """The number of shards of the exchange, fixed for its life."""
        exchange = self.rules.directory.exchange
        if exchange is None:
            raise UsageError("exchange.directory names no exchange", advice="the operator creates the exchange first: `broker up`")
        return exchange.shards

    @property
    def decider(self) -> Decider:
        """Decisions under the current bundle and directory."""
        if self._decider is None:
            raise ExchangeUnreachable(
                "no policy bundle was found on exchange.policy", advice="the operator has to create the exchange, or apply a bundle"
            )
        return self._decider

    async def load(self) -> None:
        """Read the public topics to their ends. Raises ExchangeUnreachable, and UsageError where there is no exchange."""
        await self._look_at_lists()
        self._inlet = await self._transport.inlet()
        await self._inlet.assign(dict.fromkeys(self._sources, "beginning"))
        ends = await self._inlet.ends()
        while any(self._inlet.position(source) < end for source, end in ends.items()):
            await self._take(await self._inlet.poll(max_records=_BATCH, timeout=0.5))
        self._ready = True
        if self._take_openings():
            await self._renew()
        _ = self.shards, self.decider
        if self._keeper is not None:
            self._keeper.replace(self._news)
        self._news = []
        self.loaded = True

    async def recall(self, records: Sequence[Record]) -> None:
        """Take in what a keeper kept, in its order, instead of :meth:`load`: each record is judged as if it came now. Raises UsageError and
        ExchangeUnreachable where that makes no rules."""
        self._ready = True
        await self._take(records)
        await self._renew()
        _ = self.shards, self.decider
        self.loaded = True

    async def follow(self) -> None:
        """Keep up with the public topics until cancelled; network trouble is waited out."""
        if self._inlet is None:
            await self.load()
        while self._inlet is not None:
            await self._look_at_lists()
            try:
                await self._take(await self._inlet.poll(max_records=_BATCH, timeout=5.0 if self._source is None else LISTS_S))
            except ExchangeUnreachable as error:
                _log.warning("directory and policy not readable", reason=str(error))
                await asyncio.sleep(1.0)

    async def catch_up(self, timeout: float) -> None:
        """Return when :meth:`follow`, which has to be running, has read all that the public topics hold now; or after ``timeout``
        seconds, or where they cannot be read."""
        inlet = self._inlet
        if inlet is None:
            return
        with contextlib.suppress(TimeoutError, ExchangeUnreachable):
            async with asyncio.timeout(timeout):
                ends = await inlet.ends()
                while any(inlet.position(source) < end for source, end in ends.items()):
                    await self.wait_for_change(LOOK_S)
                await asyncio.sleep(LOOK_S)  # the last records may have left the inlet and not be taken yet
                await self._taken.wait()

    async def whole(self, timeout: float) -> bool:
        """Whether all that the public topics hold now was taken in; no where they are not read, or do not answer in ``timeout`` seconds."""
        inlet = self._inlet
        if inlet is None:
            return False
        try:
            async with asyncio.timeout(timeout):
                ends = await inlet.ends()
        except (TimeoutError, ExchangeUnreachable):
            return False
        await asyncio.sleep(LOOK_S)  # the last records may have left the inlet and not be taken yet
        return self._taken.is_set() and all(inlet.position(source) >= end for source, end in ends.items())

    async def _look_at_lists(self) -> None:
        """Take the code lists of now, if it is time; what a run should be told of them is logged, each thing once."""
        now = asyncio.get_running_loop().time()
        if self._source is None or now - self._looked_at < LISTS_S:
            return
        self._looked_at = now
        lists = await asyncio.to_thread(self._source.poll)
        if lists is self._codelists:
            return
        self._codelists = lists
        for remark in lists.remarks():
            if remark not in self._told:
                self._told.add(remark)
                self._untold.append(remark)
                tell = _log.warning if remark.severity == "WARN" else _log.info
                tell("code list", code=remark.code, file=remark.path, reason=remark.reason)
        await self._renew()

    def list_remarks(self) -> tuple[Finding, ...]:
        """What this run was not told yet of its code lists: not installed, or not readable. Each remark is given once."""
        untold, self._untold = tuple(self._untold), []
        return untold

    def not_shown(self, message: Message) -> tuple[Finding, ...]:
        """What a dry run says of the communities of a message's audience whose members are not public."""
        return not_shown(message, self.policy.bundle, self._directory)

    async def close(self) -> None:
        """Stop reading."""
        inlet, self._inlet = self._inlet, None
        if inlet is not None:
            await inlet.close()

    async def wait_for_change(self, timeout: float) -> None:
        """Return when the view changes, or after ``timeout`` seconds."""
        try:
            await asyncio.wait_for(self._change.wait(), timeout)
        except TimeoutError:
            return

    async def at_least(self, policy_version: int, directory_version: int, timeout: float) -> bool:
        """Wait until the view is as new as a slip's decision; False if that takes longer than ``timeout`` seconds."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        while self.rules.directory.version < directory_version or self.rules.policy_version < policy_version:
            left = deadline - loop.time()
            if left <= 0:
                return False
            await self.wait_for_change(left)
        return True

    async def _take(self, records: Sequence[Record]) -> None:
        """Take records in. Bundles are judged, and the next decider is made, in a thread: both take seconds where there are many rules
        and members, and traffic goes on under the view of before."""
        self._taken.clear()
        try:
            changed = False
            for record in records:
                if record.value is None:
                    continue
                if record.topic == DIRECTORY:
                    changed |= self._new(record, news=self._take_entry(record.key, record.value))
                elif record.topic == POLICY:
                    changed |= self._new(record, news=await self._take_bundle(record))
                elif record.topic == MEMBERSHIPS and (record.key or b"").startswith(KEY):
                    self._carried.append(record)
                elif record.topic == MEMBERSHIPS:
                    changed |= self._take_operation(record.value)
                else:
                    changed |= self._new(record, news=self._take_schema(record.value))
            if changed:
                await self._take_early()
            if self.loaded and self._keeper is not None and self._news:
                self._keeper.add(self._news)
                self._news = []
            if self._take_openings() or changed:
                await self._renew()
        finally:
            self._taken.set()

    def _new(self, record: Record, *, news: bool) -> bool:
        """Remember a record that changed something for the keeper."""
        if news and self._keeper is not None:
            self._news.append(record)
        return news

    def _take_entry(self, key: bytes | None, value: bytes) -> bool:
        applied = self._directory.applied(value)
        if isinstance(applied, Refusal):
            return self._ignore("directory entry", applied)
        changed = applied is not self._directory
        if changed:
            self._entries[key] = value
        self._directory = applied
        return changed

    async def _take_bundle(self, record: Record) -> bool:
        """The bundle of a record; one for which the directory is not known far enough yet is kept and judged again."""
        if self._early and len(self._early) < _EARLY:
            self._early.append(record)  # it may follow the one that waits
            return False
        after = await asyncio.to_thread(self.policy.after_record, record.value or b"", record.timestamp_ms, self._directory)
        if isinstance(after, Refusal):
            if after.code == "DIRECTORY_BEHIND":
                self._early.append(record)
            return self._ignore("policy bundle", after)
        changed = after is not self.policy
        self.policy = after
        return changed

    async def _take_early(self) -> bool:
        early, self._early = self._early, []
        changed = False
        for record in early:
            changed |= self._new(record, news=await self._take_bundle(record))
        return changed

    def _take_openings(self) -> bool:
        """Judge the emergency openings that were carried; not before the topics were read to their ends, for who signed has to be known."""
        if not self._ready:
            return False
        before, carried, self._carried = self.openings, self._carried, []
        for record in carried:
            after = self.openings.after_record(record.value or b"", record.timestamp_ms, self._directory, self.policy)
            if isinstance(after, Refusal):
                self._ignore("emergency opening", after)
                continue
            for name in sorted(after.known.keys() - self.openings.known.keys()):
                opened = after.known[name]
                _log.warning(
                    "emergency opening", subject=opened.opening.subject, agency=opened.opening.agency, officers=list(opened.officers)
                )
            self.openings = after
        return self.openings is not before

    def _take_operation(self, value: bytes) -> bool:
        applied = self.memberships.applied(value)
        if isinstance(applied, Refusal):
            return self._ignore("confidential operation", applied)
        changed = applied is not self.memberships
        self.memberships = applied
        return changed

    def _take_schema(self, value: bytes) -> bool:
        payload = notices.read_notice(value, notices.SCHEMA_TYPE, self._registrar, self.rules.aad)
        if isinstance(payload, Refusal):
            return self._ignore("schema", payload)
        try:
            name, text = notices.schema_of(payload)
            section = self._catalogue.named(*name)
            if section is None or section.text != text:
                section = Section.from_text(*name, text)
        except UsageError as error:
            return self._ignore("schema", Refusal("BAD_ENTRY", str(error)))
        catalogue = self._catalogue.announced(section)
        if isinstance(catalogue, Refusal):
            return self._ignore("schema", catalogue)
        changed = catalogue is not self._catalogue
        self._catalogue = catalogue
        return changed

    def _ignore(self, what: str, refusal: Refusal) -> bool:
        self.ignored += 1
        _log.error(f"{what} ignored", code=refusal.code, reason=refusal.reason)
        return False

    async def _renew(self) -> None:
        """The view of now, whole: rules and decider change together."""
        bundle = self.policy.bundle
        hidden = self.memberships.facts(bundle, self._directory)
        deciding = deciding_digest(self._directory, self.policy.version, hidden, self.openings.digest)
        if bundle is not None and (self._decider is None or deciding != self.rules.deciding):
            former = self._decider if self.policy.version != self.rules.policy_version else None
            self._decider = await asyncio.to_thread(_decider, bundle, self._directory, hidden, former)
        self.rules = Rules.of(self._directory, self._catalogue, self.policy.version, self._codelists, hidden, self.openings)
        self._change.set()
        self._change = asyncio.Event()


def _decider(bundle: Bundle, directory: Directory, hidden: Facts, former: Decider | None) -> Decider:
    """The decider of these; after a change of rules it has decided already what ``former`` was asked last."""
    decider = decider_of(bundle, directory, hidden)
    if former is not None:
        decider.warm(former)
    return decider
