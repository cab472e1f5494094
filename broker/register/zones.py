"""Free zones: a container's entries paired with its exits, and how long it stayed.

The limits are those of the customs services' guidance for goods without a declaration: 45 days where they came by water, 21 by air
(domain dictionary 2.5 and 4).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from broker.register.rows import Direction

DAY_MS: Final = 86_400_000
LIMITS: Final = {"WATER": 45, "AIR": 21}
"""Days that a container may stay, by how it came."""


@dataclass(frozen=True, slots=True)
class Passage:
    """One movement into or out of a zone, from the report ``subject``. Times in Unix milliseconds. ``left_in``: in which other containers
    the goods left, if the report says so."""

    subject: str
    admitted_at: int
    direction: Direction
    at: int
    mode: Literal["WATER", "AIR"]
    left_in: str = ""


@dataclass(frozen=True, slots=True)
class Stay:
    """An entry and the exit that follows it; either may be missing. ``days`` are whole days, of a pair only; ``due`` is when the
    limit is reached, where the entry is known; ``over`` says that a pair was over it."""

    entered: Passage | None
    left: Passage | None
    mode: Literal["WATER", "AIR"]

    @property
    def days(self) -> int | None:
        """Whole days between entry and exit."""
        return None if self.entered is None or self.left is None else (self.left.at - self.entered.at) // DAY_MS

    @property
    def due(self) -> int | None:
        """When the container has to be out."""
        return None if self.entered is None else self.entered.at + limit_days(self.mode) * DAY_MS

    @property
    def over(self) -> bool:
        """Whether it left too late."""
        return self.left is not None and self.due is not None and self.left.at > self.due


def limit_days(mode: str) -> int:
    """The limit for a way of coming, in days."""
    return LIMITS[mode]


def stays(passages: Sequence[Passage]) -> list[Stay]:
    """The stays of one container in one zone, in order of time. Several reports of one entry are one stay: the first counts.

    Reports of the same moment are ordered entry first, then by subject, so that the answer is the same however they came.
    """
    found: list[Stay] = []
    entered: Passage | None = None
    for each in sorted(passages, key=lambda passage: (passage.at, passage.direction != "IN", passage.subject)):
        if each.direction == "IN":
            entered = entered or each
        elif entered is not None:
            found.append(Stay(entered, each, entered.mode))
            entered = None
        elif not found or found[-1].left is None or found[-1].left.at != each.at:
            found.append(Stay(None, each, each.mode))
    if entered is not None:
        found.append(Stay(entered, None, entered.mode))
    return found
