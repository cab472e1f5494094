"""What the console does while nobody looks: what was noted on a subject that was taken back is erased, soon and for good; and what is new
and urgent, or has become late, is told by mail where that is on."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import structlog

from broker.app.agency_node import AgencyNode
from broker.app.inbox import CursorLost
from broker.errors import BrokerError, StoreError
from broker.node.console.mail import Mailer, MailSettings
from broker.register.answers import OpenDuty
from broker.storage.desk import Desk
from broker.storage.mails import MailEvent, MailQueue
from broker.storage.register_reader import RegisterReader

LOOK_S: Final = 0.5
"""How often it is looked whether the register has changed."""
BEAT_S: Final = 15.0
"""How often it is looked although it has not: time passes as well."""
URGENT: Final = ("FLASH", "IMMEDIATE")
NEWS_MS: Final = 86_400_000
"""What was admitted, or became late, longer ago is no news: an agency that was away for a week is not told a week's mails."""
KNOWN_MS: Final = 60 * 86_400_000
"""How long it is known what was told: longer than an inbox keeps anything."""
AT_ONCE: Final = 200
"""Arrivals that are looked at together."""
LATE: Final = 1000
"""Most duties that are looked at together."""
HANDOVERS_MS: Final = 35 * 86_400_000
"""How long the text of a hand-over is kept."""

_log = structlog.get_logger("console")


class Watch:
    """Looks after what a console keeps. Run :meth:`run` in a task; :meth:`look` is one look."""

    def __init__(self, node: AgencyNode, kept: Mapping[str, Any]) -> None:
        """``kept``: as :func:`broker.node.console.router.beside` makes it."""
        self._node = node
        self._desk: Desk = kept["desk"]
        self._mails: MailQueue | None = kept.get("mails")

    async def run(self) -> None:
        """Look whenever the register or the desk has changed, and every now and then, until the node stops. What fails is tried again."""
        seen: object = None
        loop = asyncio.get_running_loop()
        looked = 0.0
        while not self._node.stopping.is_set():
            changes = self._changes()
            if changes != seen or loop.time() - looked > BEAT_S:
                seen, looked = changes, loop.time()
                try:
                    if self.look():
                        seen = None  # a bit at a time: others have their turn in between
                except (BrokerError, sqlite3.Error) as error:
                    _log.warning("the console's watch could not look", reason=str(error))
            await asyncio.sleep(LOOK_S)

    def _changes(self) -> object:
        try:
            return self._node.reader().changes(), self._desk.version, self._node.inbox.number("now")
        except StoreError:
            return None

    def look(self) -> bool:
        """Let go of what has to go, and note what is to be told; whether there is more to look at."""
        now_ms = self._node.now_ms()
        self._desk.forget(now_ms - HANDOVERS_MS, now_ms)
        try:
            reader = self._node.reader()
        except StoreError:
            return False
        for subject in self._desk.subjects():
            row = reader.row(subject)
            if row is not None and row.state == "ERASED":
                self._desk.erase(subject, now_ms)
        if self._mails is not None:
            self._mails.prune(now_ms - KNOWN_MS)
            return self._news(self._mails, reader, now_ms)
        return False

    def _news(self, mails: MailQueue, reader: RegisterReader, now_ms: int) -> bool:
        """Keep what came since the last look and is urgent, and what has become late; whether there may be more."""
        node, place = self._node, mails.place()
        if place is None:
            mails.begin(node.inbox.cursor(node.inbox.number("now")), now_ms)
            return False
        cursor, since = place
        try:
            number = node.inbox.number(cursor)
        except CursorLost:
            number = 0  # the inbox was made again: what was told is known by its message's id
        arrivals = node.inbox.after(number, AT_ONCE)
        events = [
            MailEvent(f"new {row.message_id}", "NEW", row.subject, row.family, row.urgency, row.originator, "", None, now_ms)
            for row in (arrival.row for arrival in arrivals)
            if row.urgency in URGENT and row.originator != node.agency and row.state == "LIVE" and row.admitted_at > now_ms - NEWS_MS
        ]
        events += [_late(each, now_ms) for each in self._overdue(reader, max(since, now_ms - NEWS_MS), now_ms)]
        lost = mails.take(events, node.inbox.cursor(arrivals[-1].number if arrivals else number))
        if lost:
            _log.error("too many mails wait: these are not sent", events=lost)
        return len(arrivals) == AT_ONCE

    def _overdue(self, reader: RegisterReader, after: int, now_ms: int) -> list[OpenDuty]:
        late = reader.duties(now_ms, LATE, overdue=True, after=after)
        return [each for each in late if each.duty.debtor == self._node.agency]


def _late(each: OpenDuty, now_ms: int) -> MailEvent:
    duty = each.duty
    key = f"late {duty.subject} {duty.revision} {duty.kind} {duty.about} {duty.due_ms}"
    return MailEvent(key, "LATE", duty.subject, each.family, each.urgency, duty.creditor, duty.kind, duty.due_ms, now_ms)


@asynccontextmanager
async def watching(node: AgencyNode, kept: Mapping[str, Any], mail: MailSettings | None = None) -> AsyncGenerator[None]:
    """The watch, for as long as the block lasts; with ``mail``, for which ``kept`` has a queue, it tells by mail."""
    tasks = [asyncio.create_task(Watch(node, kept).run())]
    if mail is not None:
        tasks.append(asyncio.create_task(Mailer(node, kept["mails"], mail).run()))
    for task in tasks:
        task.add_done_callback(_ended)
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _ended(task: asyncio.Task[None]) -> None:
    error = None if task.cancelled() else task.exception()
    if error is not None:
        _log.error("a part of the console has failed", exc_info=error)
