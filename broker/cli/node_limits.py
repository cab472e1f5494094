"""The options of ``broker node`` that say how much, and how long."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cyclopts import Parameter

from broker.errors import UsageError

if TYPE_CHECKING:
    from broker.node.gate import Limits


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class NodeLimits:
    """How much one client may ask for, and how long old rules are used."""

    rate: float = 200.0
    """Requests per second that one client may make."""
    rules_days: float = 7.0
    """For how many days content is shown by the rules that were known last, while the exchange is away."""

    def check(self) -> None:
        """Raises UsageError for what is out of range."""
        if not 0 < self.rate < 1e6:
            raise UsageError("--rate is out of range", advice="give more than 0 requests per second")
        if not 0 <= self.rules_days <= 366:
            raise UsageError("--rules-days is out of range", advice="give 0 to 366 days")

    def rates(self) -> Limits:
        """As the node's gate takes them: twice as many at once."""
        from broker.node.gate import Limits

        return Limits(self.rate, int(2 * self.rate))


NODE_LIMITS = NodeLimits()
