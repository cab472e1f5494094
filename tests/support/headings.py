"""Headers as far as lifecycles and clocks read them, without signatures."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

from broker.values import Correlation


def at(text: str) -> int:
    """A time in UTC as Unix milliseconds."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


@dataclass(frozen=True)
class Signed:
    """A header, as far as it is read."""

    family: str
    revision: int = 1
    subject: str = "SG-CUSTOMS/2026/1"
    originator: str = "SG-CUSTOMS"
    issued_at: int = at("2026-01-01")
    valid_from: int | None = None
    valid_until: int | None = None
    urgency: str = "ROUTINE"
    retention: str = "CASE"
    correlation: Correlation = field(default_factory=Correlation)


def answer(family: str, by: str, target: str, target_revision: int | None = None, *, issued_at: int = at("2026-01-02")) -> Signed:
    """An answer of an agency about another's subject."""
    correlation = Correlation(target=target, target_revision=target_revision)
    return Signed(family, subject=f"{by}/A/{family}", originator=by, issued_at=issued_at, correlation=correlation)
