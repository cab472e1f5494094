"""Counts of what went wrong, or was looked at, while deciding: what a relay tells its operator."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Health:
    """How deciding went. ``failed``: questions denied because deciding them failed; ``checked``: remembered decisions that were asked of
    Cedar again; ``disagreed``: those where it said otherwise. Anything but 0 in the first or the last is an alarm."""

    failed: int = 0
    checked: int = 0
    disagreed: int = 0

    def __add__(self, more: Health) -> Health:
        return Health(self.failed + more.failed, self.checked + more.checked, self.disagreed + more.disagreed)

    def __sub__(self, less: Health) -> Health:
        return Health(self.failed - less.failed, self.checked - less.checked, self.disagreed - less.disagreed)

    @property
    def alarming(self) -> bool:
        """Whether somebody has to look into it."""
        return bool(self.failed or self.disagreed)
