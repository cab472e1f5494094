"""An agency's node, without its HTTP: outbox, inbox and register of one agency in one process, and how they are.

The keys stay where they are, in the agency's home. Every part goes on by itself when the exchange comes back, and answers without it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from dataclasses import dataclass
from typing import Any, Final

import structlog

from broker import ids
from broker.app.attaching import AttachmentOutbox
from broker.app.attachments import AttachedFiles, ChunkKeeper
from broker.app.begun_anew import begun_anew
from broker.app.inbox import Inbox
from broker.app.outbox import Outbox
from broker.app.parties import Member
from broker.app.purpose import Purposed
from broker.app.recall import Recalls
from broker.app.register import Freshness, Register
from broker.app.rules_in_force import RULES_DAYS, RulesInForce
from broker.errors import BrokerError, StoreError
from broker.families.clocks.duty import Escalation
from broker.families.message import Message
from broker.families.message_json import message_from_json
from broker.ports import Inlet, Transport
from broker.service.subscriber import Teller
from broker.storage.register_reader import RegisterReader
from broker.storage.staged_files import Staged

LOOK_S: Final = 5.0
"""How often the exchange is asked whether it is there."""
STOP_S: Final = 3.0
"""How long a part may take to end by itself."""
ANSWER_S: Final = 5.0
"""How long it may take to answer."""

_log = structlog.get_logger("node")


@dataclass(frozen=True, slots=True)
class Condition:
    """How a node is. ``reachable`` None: not known yet. ``behind``: records of the inbox that are not taken in. Times in Unix ms;
    ``rules_as_of``: when the rules that are known were in force for the last time that is known;
    ``rules_followed``: they were read from the exchange by this process, and what changes in them is heard of."""

    reachable: bool | None
    rules_known: bool
    rules_as_of: int | None
    rules_followed: bool
    as_of: int | None
    behind: int | None
    waiting: int
    unanswered: int
    oldest: int | None
    refused: int
    gaps: int
    stopping: bool

    @property
    def ready(self) -> bool:
        """Whether it can do its work, with the exchange or for a while without: its rules are known and not too old, and it is not
        being stopped."""
        return self.rules_known and not self.stopping

    @property
    def word(self) -> str:
        """``ready``, ``degraded`` (answers are as old as :attr:`as_of`, what is accepted waits) or ``not-ready``."""
        if not self.ready:
            return "not-ready"
        return "ready" if self.reachable and self.rules_followed else "degraded"


class AgencyNode:
    """All that a node does for one agency. Use as ``async with``."""

    def __init__(self, member: Member, *, rules_days: float = RULES_DAYS) -> None:
        """``rules_days``: how long the rules of the exchange are used while it is away. Raises StoreInUse where another process has one of
        its stores, UsageError where the agency has not joined."""
        self.member = member
        self.agency = member.files.agency
        self.settings = member.files.settings()
        self.recalls: Recalls = member.recalls()
        self.recalls.remember_own()
        self.rules = RulesInForce(member, rules_days)
        self.outbox = Outbox(member, self._opened, self.rules)
        self.inbox = Inbox(member, self._opened, self.rules)
        self.attached = AttachedFiles(member.files)
        self._chunks = ChunkKeeper(member, self._opened)
        self.attaching = AttachmentOutbox(member.files, self._citing, self._is_erased, self.now_ms)
        self.outbox.citing = self.attaching.cite
        self._reader: RegisterReader | None = None
        self._register: Register | None = None
        self._reachable: bool | None = None
        self._end: int | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self.stopping = asyncio.Event()
        """Set when the node is to stop: what streams ends then by itself."""
        self.failed = asyncio.Event()
        """Set where one of its parts ended by a bug: the process should end, and be started again."""

    def _opened(self) -> Transport:
        return self.member.transport()

    async def __aenter__(self) -> AgencyNode:
        await self.rules.recall()
        self.attaching.staged.free_unkept(lambda message_id: self.outbox.standing(message_id) is not None, self.now_ms())
        parts = (
            self.inbox.run(), self._keep_register(), self._chunks.run(), self.outbox.run(), self._look(),
            self.attaching.run(lambda: self.outbox.publisher),
        )  # fmt: skip
        self._tasks = [asyncio.create_task(part) for part in parts]
        for task in self._tasks:
            task.add_done_callback(self._ended)
        return self

    def _ended(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            _log.error("a part of the node has failed", exc_info=error)
            self.failed.set()

    async def __aexit__(self, *_: object) -> None:
        self.stopping.set()
        self.inbox.stop()
        self._chunks.stop()
        if self._register is not None:
            self._register.stop()
        if self._tasks:
            await asyncio.wait(self._tasks[:3], timeout=STOP_S)  # a batch under way is committed rather than begun anew
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.outbox.close()
        self.attaching.close()
        self.inbox.close()
        self.rules.close()
        if self._reader is not None:
            self._reader.close()

    # -- attached files --------------------------------------------------------------------------------------------------

    def _citing(self, file: Staged) -> Message | bool | None:
        """The message that cites a file, without sections, where the exchange accepted it; False where it will not."""
        standing = self.outbox.standing(file.message_id or "")
        if standing is None or standing.state in ("waiting", "signed"):
            return None
        receipt = self.outbox.receipt(standing)
        if receipt is None or receipt.outcome != "ACCEPTED" or file.citing is None:
            return False
        message = message_from_json(json.loads(file.citing))
        return message if isinstance(message, Message) else False

    def _is_erased(self, subject: str) -> bool:
        """Whether the content of a subject is gone from the register."""
        try:
            row = self.reader().row(subject)
        except StoreError:
            return False
        return row is not None and row.state == "ERASED"

    # -- the register ----------------------------------------------------------------------------------------------------

    async def _keep_register(self) -> None:
        await begun_anew(
            self._follow_while_it_works,
            lambda error: _log.warning("the register is not kept", code=error.code, reason=str(error)),
            until=self.stopping.is_set,
        )

    async def _follow_while_it_works(self) -> None:
        transport = self._opened()
        try:
            self._register = self.member.register(transport)
            await self._register.follow(tell=_told)
        finally:
            await transport.close()

    def reader(self) -> RegisterReader:
        """Look-ups in the register. Raises StoreError while there is none."""
        if self._reader is None:
            self._reader = RegisterReader.open(self.member.files.register_store)
        return self._reader

    def own_reader(self) -> RegisterReader:
        """A connection to the register for one piece of work in another thread; who asked closes it. Raises StoreError."""
        return RegisterReader.open(self.member.files.register_store)

    def purposed(self, purpose: str) -> Purposed:
        """What of the register may be shown for a purpose, now."""
        return Purposed(self.reader(), self.agency, self.inbox.decider, purpose, self.now_ms())

    def freshness(self) -> Freshness:
        """How old what the register says is."""
        note = "" if self._reachable else "the exchange cannot be reached: this is what was known then"
        return Freshness(self._as_of(), self._reachable, note)

    def _as_of(self) -> int | None:
        try:
            return self.reader().as_of()
        except StoreError:
            return None

    def now_ms(self) -> int:
        """The time, in Unix milliseconds."""
        return self.member.clock.now_ms()

    # -- how it is -------------------------------------------------------------------------------------------------------

    async def _look(self) -> None:
        """Ask the exchange again and again where the inbox ends: that it answers, and how far this node is behind; and tell it that."""
        source = (ids.inbox(self.agency), 0)
        while True:
            transport, inlet = self._opened(), None
            teller = Teller(transport, self.agency)
            try:
                async with asyncio.timeout(ANSWER_S):
                    inlet = await transport.inlet()
                    await inlet.assign({source: "end"})
                while True:
                    await self._ask(inlet, source)
                    with contextlib.suppress(BrokerError, TimeoutError):  # nothing depends on that word
                        async with asyncio.timeout(ANSWER_S):
                            await teller.tell(self.inbox.reached(), self.now_ms())
                    await asyncio.sleep(LOOK_S)
            except (BrokerError, TimeoutError):
                self._reachable = False
            finally:
                with contextlib.suppress(BrokerError):
                    await transport.close()
            await asyncio.sleep(1.0)

    async def _ask(self, inlet: Inlet, source: tuple[str, int]) -> None:
        async with asyncio.timeout(ANSWER_S):
            self._end = (await inlet.ends())[source]
        self._reachable = True
        await self.rules.confirm()

    def condition(self) -> Condition:
        """How the node is, now."""
        depth, counts = self.outbox.depth(), self.inbox.counts
        behind = None if self._end is None else max(0, self._end - self.inbox.reached())
        return Condition(
            reachable=self._reachable, rules_known=self.inbox.decider is not None, rules_as_of=self.rules.as_of,
            rules_followed=self.rules.followed,
            as_of=self._as_of(),
            behind=behind,
            waiting=depth.waiting, unanswered=depth.unanswered, oldest=depth.oldest, refused=counts.refused, gaps=counts.gaps,
            stopping=self.stopping.is_set(),
        )  # fmt: skip

    def environment(self) -> dict[str, Any]:
        """Which exchange this is."""
        return {"exchange": self.settings.exchange_id, "environment": self.settings.environment, "agency": self.agency}


def _told(step: Escalation) -> None:
    """The register writes who is to be told of silence into the log; mail and consoles are added by those who have them."""
