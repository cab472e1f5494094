"""The rules that a node shows and judges by: those read from the exchange while it lives, or those that were known last, for a while.

Rules are as old as the last time when the exchange answered and all it had of them was here. Older than the limit they open nothing: an
agency may have been suspended since, or a rule narrowed. The same limit holds for a node that has lived through an outage and for one that
was started in it, from what it had kept on its disk.

An exchange that shows older rules than are known is not believed, nor do they take the place of what is kept: whoever can hide the end of a
topic could open again what was closed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import structlog

from broker.app.parties import Member
from broker.errors import BrokerError
from broker.policy.decide import Decider
from broker.ports import Record
from broker.service.knowledge import Knowledge
from broker.storage.rules_kept import KeptRules

DAY_MS: Final = 86_400_000
RULES_DAYS: Final = 7.0
"""How long rules are used while the exchange is away, in days, where nothing else is said."""
CONFIRM_MS: Final = 60_000
"""How often it is written that the rules are in force."""
AHEAD_MS: Final = 300_000
"""How far our clock may have gone back since: what ends at a date would open again by a clock that is wrong."""

ANSWER_S: Final = 10.0
"""How long the exchange may take to say how many rules it has."""
_log = structlog.get_logger("rules")


class RulesInForce:
    """What is known of the rules, and how old it is. It is the keeper (:class:`broker.ports.RulesKeeper`) of whoever reads them from the
    exchange, which adds to it what is new, before it is used."""

    def __init__(self, member: Member, days: float = RULES_DAYS) -> None:
        """Raises StoreInUse where another node of the agency runs, StoreError."""
        self._member, self._clock, self._limit_ms = member, member.clock, int(days * DAY_MS)
        self.kept = KeptRules(member.files.rules_store, member.files.agency)
        """The file."""
        self._unwritten: list[Record] | None = []
        """What was read and is not believed yet; None where all that is read is kept at once."""
        self._read: Knowledge | None = None
        self._live: Knowledge | None = None
        self._followed = False
        self._recalled: Knowledge | None = None
        self._confirmed = self.kept.confirmed_at()
        self._written = self._confirmed or 0

    @property
    def followed(self) -> bool:
        """Whether they were read from the exchange, and what changes in them is heard of."""
        return self._followed

    @property
    def live(self) -> Knowledge | None:
        """What was read of the exchange since the process began."""
        return self._live

    @property
    def known(self) -> Knowledge | None:
        """What was read last, or kept."""
        return self._live or self._recalled

    @property
    def as_of(self) -> int | None:
        """When these were the rules in force for the last time that is known (Unix ms); None where no rules are known."""
        return self._confirmed if self.known is not None else None

    @property
    def decider(self) -> Decider | None:
        """Decisions under them; None where none are known, or they are too old."""
        return self.known.decider if self.known is not None and not self.too_old else None

    @property
    def too_old(self) -> bool:
        """Whether they may not be used any more."""
        if self._confirmed is None:
            return True
        return not -AHEAD_MS <= self._clock.now_ms() - self._confirmed <= self._limit_ms

    async def recall(self) -> None:
        """Take in what was kept, verified anew: once, at the start. Where any of it does not hold there are no rules: without one
        entry others may give more."""
        records = self.kept.records()
        if not records or self._live is not None:
            return
        transport = self._member.transport()  # for the form: nothing is read from it
        known = self._member.knowledge(transport)
        try:
            await known.recall(records)
            if known.ignored:
                _log.error("the rules that were kept do not hold: none of them is used", ignored=known.ignored)
                return
            self._recalled = known
            _log.info("rules recalled", directory=known.rules.directory.version, policy=known.rules.policy_version)
        except BrokerError as error:
            _log.warning("the rules that were kept are none", code=error.code, reason=str(error))
        finally:
            await transport.close()

    def replace(self, records: Sequence[Record]) -> None:
        """Keep these, and none of before, once they are believed."""
        self._unwritten = list(records)

    def add(self, records: Sequence[Record]) -> None:
        """Keep these too."""
        if self._unwritten is None:
            self.kept.add(records)
        else:
            self._unwritten += records

    def learned(self, knowledge: Knowledge) -> None:
        """The exchange's rules were read to their end."""
        self._read = knowledge
        if _older(knowledge, self.known):
            _log.error("the exchange shows older rules than are known: tell its auditor", directory=knowledge.rules.directory.version)
        self._believe()
        self._confirm()

    def _believe(self) -> None:
        """Use and keep what was read, if it is not older than what is known."""
        if self._read is None or self._followed or _older(self._read, self.known):
            return
        unwritten, self._unwritten = self._unwritten, None
        if unwritten is not None:
            self.kept.replace(unwritten)
        self._live, self._followed = self._read, True

    def let_go(self) -> None:
        """What was read is not followed any more, until it is read again."""
        self._read, self._followed = None, False

    async def confirm(self) -> None:
        """The exchange answers: where it has no rules that were not taken in, what is known and followed is in force now."""
        self._believe()
        read = self._read
        if read is not None and self._followed and await read.whole(ANSWER_S) and self._read is read:
            self._confirm()

    def _confirm(self) -> None:
        if not self._followed:
            return
        self._confirmed = now_ms = self._clock.now_ms()
        if not 0 <= now_ms - self._written < CONFIRM_MS:
            self._written = now_ms
            self.kept.confirm(now_ms)

    def close(self) -> None:
        """Write when they were in force last, and let go of the file."""
        if self._live is not None and self._confirmed is not None:
            self.kept.confirm(self._confirmed)
        self.kept.close()


def _older(read: Knowledge, known: Knowledge | None) -> bool:
    """Whether what was read lacks something of what is known."""
    if known is None:
        return False
    return read.rules.directory.version < known.rules.directory.version or read.rules.policy_version < known.rules.policy_version
