"""An agency's register: a subscriber that keeps it, and look-ups with or without the exchange.

The register has its own file and its own position in the inbox, so that nothing another subscriber of the agency reads or skips can
be missing from it. One process keeps it; any number read it meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import structlog

from broker.envelope.header import Header
from broker.envelope.parcel import read_parcel
from broker.errors import ExchangeUnreachable, NotAuthorised, Refusal, StoreInUse
from broker.exchange.admit import AUDIENCE, authenticate_parcel, examine, open_section
from broker.exchange.rules import Rules
from broker.exchange.topology import MESSAGE_LIMIT
from broker.exchange.use import Bound, labels_text
from broker.families.attachment import FAMILY as ATTACHMENT
from broker.families.clocks.duty import Chain, Escalation
from broker.ids import uuid_text
from broker.policy.decide import Decider
from broker.ports import Clock, OwnCopy, SubscriberStore
from broker.register.rows import Delivered
from broker.service.knowledge import Knowledge
from broker.service.subscriber import DONE, Counts, Delivery, Outcome, Subscriber
from broker.storage.clock import SystemClock
from broker.storage.contacts import read_contacts
from broker.storage.own_copies import SqliteOwnCopies
from broker.storage.register import RegisterStore
from broker.storage.register_reader import RegisterReader

WAIT_S: Final = 5.0
"""How long a look-up waits for the exchange before it answers from what is stored."""
OWN_S: Final = 0.5
"""How often own messages are looked for while a register is followed."""
OWN_BATCH: Final = 200
"""Most own messages of one transaction."""

Look = Callable[[RegisterReader], Awaitable[None]]
"""What is done again and again with a register that is followed."""

_log = structlog.get_logger("register")

Tell = Callable[[Escalation], None]
"""What is done about silence that is to be told."""


@dataclass(frozen=True, slots=True)
class Freshness:
    """How old an answer is. ``as_of``: the latest admission time of what was seen, Unix ms, None for nothing. ``reachable``: whether the
    exchange answered; None where another process keeps the register and this one did not ask. ``note`` says so to a person."""

    as_of: int | None
    reachable: bool | None
    note: str


def _delivered(
    header: Header,
    counter: int,
    leaf: bytes,
    admitted_at: int,
    sections: Mapping[str, Mapping[str, Any]],
    *,
    withheld: Iterable[str] = (),
    recipients: tuple[str, ...] = (),
    bound: Bound | None = None,
) -> Delivered:
    return Delivered(
        family=header.family,
        originator=header.originator,
        subject=header.subject,
        revision=header.revision,
        counter=counter,
        leaf=leaf,
        message_id=uuid_text(header.message_id),
        issued_at=header.issued_at,
        admitted_at=admitted_at,
        valid_until=header.valid_until,
        urgency=header.urgency,
        tlp=header.tlp,
        handling=header.handling,
        retention=header.retention,
        target=header.correlation.target,
        target_revision=header.correlation.target_revision,
        sections=sections,
        withheld=tuple(sorted(withheld)),
        recipients=recipients,
        valid_from=header.valid_from,
        labels=labels_text(header, bound),
    )


def delivered_of(delivery: Delivery) -> Delivered:
    """A delivery as the register takes it."""
    slip = delivery.slip
    what = delivery.header, slip.counter, slip.leaf, slip.admitted_at, delivery.sections
    delivered = _delivered(*what, withheld=delivery.withheld, bound=dict(slip.bound))
    return replace(delivered, arrived_at=delivery.arrived_ms) if slip.redelivery else delivered


def own_of(copy: OwnCopy, rules: Rules) -> Delivered | Refusal:
    """An own message as the register takes it: with all its sections, but for the audience, which is no content."""
    parcel = read_parcel(copy.value, MESSAGE_LIMIT)
    if isinstance(parcel, Refusal):
        return parcel
    authentic = authenticate_parcel(parcel, rules, at_ms=copy.admitted_at)
    if isinstance(authentic, Refusal):
        return authentic
    refusal = examine(authentic, rules, complete=True, logical=True)
    if refusal is not None:
        return refusal
    sections = {name: open_section(authentic, name) for name in sorted(parcel.sections) if name != AUDIENCE}
    return _delivered(authentic.header, 0, authentic.leaf, copy.admitted_at, sections, recipients=copy.recipients)


class Register:
    """The register of one agency, by the paths of its files and a way to subscribe. ``contacts``: who is told of silence, by default the
    file ``contacts.json`` beside the register. ``knowledge`` reads the rules in force where another process keeps the register."""

    def __init__(
        self,
        agency: str,
        path: Path,
        own: Path,
        subscriber: Callable[[SubscriberStore], Subscriber],
        *,
        contacts: Path | None = None,
        clock: Clock | None = None,
        knowledge: Callable[[], Knowledge] | None = None,
    ) -> None:
        self._agency, self._path, self._own, self._subscriber = agency, path, own, subscriber
        self._contacts = contacts or path.with_name("contacts.json")
        self._clock: Clock = clock or SystemClock()
        self._knowledge = knowledge
        self._known: Knowledge | None = None
        self._running: Subscriber | None = None
        self._stopped = False

    def stop(self) -> None:
        """End :meth:`follow` after the batch under way is committed."""
        self._stopped = True
        if self._running is not None:
            self._running.stop()

    async def follow(self, *, until_end: bool = False, tell: Tell | None = None, look: Look | None = None) -> Counts:
        """Keep the register up to date until :meth:`stop`, or up to the inbox's present end. ``tell`` is called for every escalation that
        is due, once in the life of the register, after it was stored; without it nobody is told, and none is lost. ``look`` is called again
        and again while it is followed, between two batches and when nothing that was erased is in its files. Raises StoreInUse where
        another process keeps it, ExchangeUnreachable, NotAuthorised, UsageError for a ``contacts.json`` that is none."""
        self._stopped = False
        if until_end or tell is None:
            return await self._follow(tell, look, until_end=until_end)
        first = await self._follow(tell, look, until_end=True)  # nobody is told of silence before the answers that lie there were read
        return first if self._stopped else first + await self._follow(tell, look, until_end=False)

    async def _follow(self, tell: Tell | None, look: Look | None, *, until_end: bool) -> Counts:
        chain = read_contacts(self._contacts)
        store = RegisterStore(self._path, self._agency)
        try:
            with contextlib.closing(SqliteOwnCopies(self._own)) as copies:  # from now on the publisher leaves its copies there
                self._running = subscriber = self._subscriber(store)
                self._known = subscriber.knowledge
                climb = partial(self._climb, chain=chain, tell=tell)
                counts = await self._run(subscriber, store, copies, climb, look, until_end=until_end)
                with contextlib.closing(RegisterStore(self._path, self._agency)) as again:  # a subscriber closes its store
                    take_own(again, copies, subscriber.knowledge.rules)
                    if not self._stopped:
                        climb(again)
                return counts
        finally:
            self._running = None
            store.close()

    def _climb(self, store: RegisterStore, *, chain: Chain, tell: Tell | None) -> None:
        """Tell of silence what is to be told now."""
        while tell is not None and (steps := store.climb(self._clock.now_ms(), chain)):
            for step in steps:
                duty = step.duty
                _log.info(
                    "a duty is not met", kind=duty.kind, subject=duty.subject, revision=duty.revision, debtor=duty.debtor, told=step.to
                )
                tell(step)

    async def _run(
        self,
        subscriber: Subscriber,
        store: RegisterStore,
        copies: SqliteOwnCopies,
        climb: Callable[[RegisterStore], None],
        look: Look | None,
        *,
        until_end: bool,
    ) -> Counts:
        async def keep(delivery: Delivery) -> Outcome:
            if delivery.family == ATTACHMENT:
                return DONE  # chunks of files are kept beside (broker.app.attachments)
            store.register.take(delivered_of(delivery))
            return DONE

        looking = asyncio.create_task(_follow_own(subscriber, store, copies, None if until_end else climb, look))
        looking.add_done_callback(lambda _: subscriber.stop())
        try:
            return await subscriber.run(keep, until_end=until_end)
        finally:
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)  # its cancellation is awaited, ours goes on

    async def catch_up(self, wait_s: float = WAIT_S, *, tell: Tell | None = None) -> Freshness:
        """Read what is new, for ``wait_s`` seconds at most; where that cannot be, what is stored is all there is. ``tell`` as
        :meth:`follow` has it. Raises ExchangeUnreachable where nothing is stored either."""
        reachable: bool | None = True
        note = ""
        try:
            async with asyncio.timeout(wait_s):
                counts = await self.follow(until_end=True, tell=tell)
            if counts.refused or counts.gaps:
                note = f"{counts.refused} deliveries refused, {counts.gaps} gaps: see the log lines, and keep this home for an auditor"
        except StoreInUse:
            reachable, note = None, "another process keeps this register"
        except TimeoutError:
            reachable, note = False, f"the exchange did not answer in full within {wait_s:g} s"
        except (ExchangeUnreachable, NotAuthorised) as error:
            reachable, note = False, str(error)
        with contextlib.closing(self.reader()) as reader:
            as_of = reader.as_of()
        if as_of is None and reachable is False:
            raise ExchangeUnreachable(
                f"the register is empty, and {note}", advice="try again when the exchange is up, or give a longer --wait"
            )
        return Freshness(as_of, reachable, note)

    async def decider(self, wait_s: float = WAIT_S) -> Decider | None:
        """The rules in force, as the last :meth:`catch_up` read them; where another process keeps the register they are read now, for
        ``wait_s`` seconds at most. None where they could not be read."""
        known = self._known
        if known is None and self._knowledge is not None:
            known = self._knowledge()
            try:
                async with asyncio.timeout(wait_s):
                    await known.load()
            except (TimeoutError, ExchangeUnreachable, NotAuthorised) as error:
                _log.warning("the rules in force cannot be read", reason=str(error))
            finally:
                await known.close()
        return known.decider if known is not None and known.loaded else None

    def reader(self) -> RegisterReader:
        """Look-ups in what is stored. The caller closes it. Raises StoreError where nothing is."""
        return RegisterReader.open(self._path)


async def _follow_own(
    subscriber: Subscriber,
    store: RegisterStore,
    copies: SqliteOwnCopies,
    climb: Callable[[RegisterStore], None] | None,
    look: Look | None,
) -> None:
    """Own messages come into the register while it is followed, between two batches of the inbox; so does what readers held up, and the
    clock is looked at."""
    while True:
        await asyncio.sleep(OWN_S)
        if not store.transaction.in_transaction:
            store.scrub()
            if subscriber.knowledge.loaded:  # with half a directory an own message could not be read, and would be let go
                take_own(store, copies, subscriber.knowledge.rules)
            if climb is not None:
                climb(store)
            if look is not None and store.clean:
                await look(RegisterReader(store.transaction))


def take_own(store: RegisterStore, copies: SqliteOwnCopies, rules: Rules) -> int:
    """Take the copies that the publisher left, and let them go; how many. A copy that cannot be read is logged and let go: it is this
    agency's own, and its publisher's receipt is kept elsewhere."""
    taken = 0
    while True:
        copies.forget(store.own_position())
        batch = copies.after(store.own_position(), OWN_BATCH)
        if not batch:
            return taken
        store.begin()
        try:
            for number, copy in batch:
                own = own_of(copy, rules)
                if isinstance(own, Refusal):
                    _log.error("an own message cannot be read", code=own.code, reason=own.reason)
                else:
                    store.register.take(own)
                    taken += 1
                store.own_taken(number)
        except BaseException:
            store.rollback()
            raise
        store.commit()
