"""An agency's inbox on its own premises: every delivery in order, read by a cursor, with the exchange or without.

It has its own file and its own position, like the register: what a command or the register reads is not missing here. What is read is read
for a purpose: what the rules of now do not open for it is told by its ids alone (:mod:`broker.exchange.use`).
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Callable, Sequence
from typing import Any, Final

import structlog

from broker.app.begun_anew import begun_anew
from broker.app.delivery_proof import proof_json
from broker.app.message_forms import delivery_json, withheld_json
from broker.app.parties import Member
from broker.app.rules_in_force import RulesInForce
from broker.errors import UsageError
from broker.exchange.use import Withheld, bound_kept, closed, labels_kept, labels_text, usable
from broker.families.attachment import FAMILY as ATTACHMENT
from broker.policy.decide import Decider
from broker.ports import Transport
from broker.register.rows import SubjectRow
from broker.service.knowledge import Knowledge
from broker.service.subscriber import DONE, Counts, Delivery, Outcome, Subscriber
from broker.storage.arrivals import KEPT_MS, Arrival, ArrivalReader, ArrivalStore
from broker.storage.schemas import load_catalogue
from broker.values import iso

LOOK_S: Final = 0.05
"""How often it is looked whether the rules were read."""

_log = structlog.get_logger("inbox")


class CursorLost(UsageError):
    """A cursor of a file that is not there any more: its numbers mean other messages now."""

    code = "CURSOR_LOST"


class Inbox:
    """The inbox of one agency. Run :meth:`run` in a task; one process at a time, any number of readers in it."""

    def __init__(self, member: Member, transport: Callable[[], Transport], rules: RulesInForce) -> None:
        """Raises StoreInUse where another process keeps it, StoreError."""
        self.agency = member.files.agency
        self.rules = rules
        self._member, self._transport, self._clock = member, transport, member.clock
        self._path = member.files.inbox_store
        self._catalogue = load_catalogue()
        self._open().close()  # makes the file
        self._reader = ArrivalReader(self._path)
        self._news = asyncio.Event()
        self._past = Counts()
        self._stopped = False
        self._running: Subscriber | None = None

    def _open(self) -> ArrivalStore:
        return ArrivalStore(self._path, self.agency, secrets.token_hex(4), self._ring)

    @property
    def decider(self) -> Decider | None:
        """The rules in force as they were read last; None before they were, and where they are too old."""
        return self.rules.decider

    @property
    def counts(self) -> Counts:
        """What was read since the start; refused deliveries and gaps are a matter for an auditor."""
        return self._past if self._running is None else self._past + self._running.counts

    # -- keeping ---------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Keep what comes while the exchange can be reached, until :meth:`stop`."""
        await begun_anew(
            self._keep_while_it_works,
            lambda error: _log.warning("the inbox is not read", code=error.code, reason=str(error)),
            until=lambda: self._stopped,
        )

    def stop(self) -> None:
        """End :meth:`run` after the batch under way is committed."""
        self._stopped = True
        if self._running is not None:
            self._running.stop()

    async def _keep_while_it_works(self) -> None:
        transport = self._transport()
        store = self._open()
        try:
            store.prune(self._clock.now_ms() - KEPT_MS)
            subscriber = self._member.subscriber(transport, store=store, keeper=self.rules)
            await self._follow(subscriber, store)
        finally:
            store.close()
            await transport.close()

    async def _follow(self, subscriber: Subscriber, store: ArrivalStore) -> None:
        async def keep(delivery: Delivery) -> Outcome:
            if delivery.family == ATTACHMENT:
                return DONE  # chunks of files are kept beside (broker.app.attachments)
            body = delivery_json(delivery, self._catalogue) | {"proof": proof_json(delivery)}
            store.arrive(row_of(delivery), body, taken_back=delivery.taken_back, again=delivery.slip.redelivery)
            return DONE

        learning = asyncio.create_task(self._learn(subscriber.knowledge))
        self._running = subscriber
        try:
            await subscriber.run(keep)
        finally:
            self._past, self._running = self.counts, None
            learning.cancel()
            self.rules.let_go()
            await asyncio.gather(learning, return_exceptions=True)

    async def _learn(self, knowledge: Knowledge) -> None:
        """Take the rules in once they were read; those of before stand till then."""
        while not knowledge.loaded:  # noqa: ASYNC110 - it has no event for that, and is loaded once
            await asyncio.sleep(LOOK_S)
        self.rules.learned(knowledge)

    def _ring(self) -> None:
        """Wake those who wait: something was committed."""
        self._news.set()
        self._news = asyncio.Event()

    # -- reading ---------------------------------------------------------------------------------------------------------

    def cursor(self, number: int) -> str:
        """The cursor behind a row."""
        return f"{self._reader.epoch}-{number}"

    def number(self, cursor: str | None) -> int:
        """The row behind which a cursor stands; None is the beginning, ``now`` the end. Raises CursorLost, and UsageError for no cursor."""
        if cursor is None:
            return 0
        if cursor == "now":
            return self._reader.last()
        epoch, _, digits = cursor.partition("-")
        if not digits.isascii() or not digits.isdigit() or len(digits) > 18:
            raise UsageError("this is no cursor", advice="give one that an answer held, or leave it out to read from the beginning")
        if epoch != self._reader.epoch:
            raise CursorLost(
                "this cursor is of an inbox that was made again since", advice="read from the beginning, and take what you have twice"
            )
        return int(digits)

    def after(self, number: int, limit: int) -> list[Arrival]:
        """The arrivals behind a number, in order."""
        return self._reader.after(number, limit)

    def about(self, subject: str) -> list[Arrival]:
        """The arrivals of one subject, in order."""
        return self._reader.about(subject)

    def position(self) -> int:
        """The offset in the inbox up to which everything is here."""
        return self._reader.position()

    def reached(self) -> int:
        """The offset in the inbox before which nothing is left to read."""
        return max(self.position(), 0 if self._running is None else self._running.reached)

    def shown(self, arrivals: Sequence[Arrival], purpose: str) -> list[dict[str, Any]]:
        """Arrivals as they may be read for a purpose (one of :data:`broker.families.message.PURPOSES`), each with its cursor."""
        return [{"cursor": self.cursor(each.number)} | self._shown(each, purpose) for each in arrivals]

    def _shown(self, arrival: Arrival, purpose: str) -> dict[str, Any]:
        row = arrival.row
        if arrival.body is None:
            return {
                "kind": "erased", "message_id": row.message_id, "family": row.family, "originator": row.originator, "subject": row.subject,
                "revision": row.revision, "issued_at": iso(row.issued_at), "admitted_at": iso(row.admitted_at), "reason": row.reason,
            }  # fmt: skip
        labels, bound, now_ms = labels_kept(row, self.agency), bound_kept(row), self._clock.now_ms()
        verdict = usable(self.decider, self.agency, "replay", labels, now_ms, purpose, bound)
        taken_back = bool(arrival.body.get("taken_back"))
        if not verdict.allowed:
            told = withheld_json(Withheld.of_row(row, verdict), purpose)
            return {"kind": "withheld", "revision": row.revision} | told | {"taken_back": taken_back}
        body = dict(arrival.body)
        shut = closed(self.decider, self.agency, labels, body["sections"], now_ms, purpose, bound)
        if shut:
            body["sections"] = {name: value for name, value in body["sections"].items() if name not in shut}
            body["withheld_by"] = {**body["withheld_by"], **shut}
            body["withheld"] = sorted(body["withheld_by"])
        return {"kind": "taken_back" if taken_back else "delivery"} | body

    async def wait(self, number: int, timeout: float) -> bool:
        """Return when something came behind a number, or after ``timeout`` seconds; whether something did."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                while True:
                    news = self._news
                    if self._reader.after(number, 1):
                        return True
                    await news.wait()
        return False

    def close(self) -> None:
        """Let go of the file. Call it when :meth:`run` has ended."""
        self._reader.close()


def row_of(delivery: Delivery) -> SubjectRow:
    """What is kept of a delivery beside its content."""
    header, slip = delivery.header, delivery.slip
    return SubjectRow(
        subject=delivery.subject, family=delivery.family, originator=delivery.originator, revision=delivery.revision, counter=slip.counter,
        leaf=slip.leaf, message_id=delivery.message_id, issued_at=header.issued_at, admitted_at=slip.admitted_at,
        valid_until=header.valid_until, urgency=header.urgency, tlp=header.tlp, handling=header.handling,
        withheld=" ".join(sorted(delivery.withheld)), labels=labels_text(header, dict(slip.bound)),
    )  # fmt: skip
