"""What a batch of the relay did, for logs and metrics."""

from __future__ import annotations

from dataclasses import dataclass, field

from broker.policy.health import Health


@dataclass(slots=True)
class Tally:
    """Counts of one batch. ``health`` is what was noticed about deciding since the batch before, of whatever shard."""

    accepted: int = 0
    delivered: int = 0
    duplicates: int = 0
    parked: int = 0
    late: int = 0
    refused: dict[str, int] = field(default_factory=dict[str, int])
    health: Health = field(default_factory=Health)

    def refuse(self, code: str) -> None:
        """Count a refusal."""
        self.refused[code] = self.refused.get(code, 0) + 1
