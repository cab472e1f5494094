"""The rules that a node shows and judges by: those read from the exchange while it lives, or those that were known last, for a while.

Rules are as old as the last time when the exchange answered and all it had of them was here. Older than the limit they open nothing: an
agency may have been suspended since, or a rule narrowed. The same limit holds for a node that has lived through an outage and for one that
was started in it, from what it had kept on its disk.
"""

from __future__ import annotations

from typing import Final

import structlog

from broker.app.parties import Member
from broker.errors import BrokerError
from broker.policy.decide import Decider
from broker.service.knowledge import Knowledge
from broker.storage.rules_kept import KeptRules

DAY_MS: Final = 86_400_000
RULES_DAYS: Final = 7.0
"""How long rules are used while the exchange is away, in days, where nothing else is said."""
CONFIRM_MS: Final = 60_000
"""How often it is written that the rules are in force."""
AHEAD_MS: Final = 300_000
"""How far our clock may have gone back since: what ends at a date would open again by a clock that is wrong."""

_log = structlog.get_logger("rules")


class RulesInForce:
    """What is known of the rules, and how old it is."""

    def __init__(self, member: Member, days: float = RULES_DAYS) -> None:
        """Raises StoreInUse where another node of the agency runs, StoreError."""
        self._member, self._clock, self._limit_ms = member, member.clock, int(days * DAY_MS)
        self.kept = KeptRules(member.files.rules_store, member.files.agency)
        """The file. Who reads the rules from the exchange adds to it what is new, before it is used."""
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

    def learned(self, knowledge: Knowledge) -> None:
        """The exchange's rules were read to their end."""
        before, self._live, self._followed = self.known, knowledge, True
        if before is not None and (
            knowledge.rules.directory.version < before.rules.directory.version
            or knowledge.rules.policy_version < before.rules.policy_version
        ):
            _log.error("the exchange shows older rules than were known: tell its auditor", directory=knowledge.rules.directory.version)
        self.confirm()

    def let_go(self) -> None:
        """What was read is not followed any more, until it is read again."""
        self._followed = False

    def confirm(self) -> None:
        """The exchange answered now: what is known and followed is in force."""
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
