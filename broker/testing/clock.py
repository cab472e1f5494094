"""Time and chance that a test decides: the same run gives the same ids, salts and timestamps."""

from __future__ import annotations

import hashlib


class FixedClock:
    """A clock that stands still until :meth:`advance` moves it. Unix milliseconds."""

    def __init__(self, now_ms: int = 1_800_000_000_000) -> None:
        self._now_ms = now_ms

    def now_ms(self) -> int:
        """Unix time in milliseconds."""
        return self._now_ms

    def advance(self, milliseconds: int) -> None:
        """Let time pass. Never backwards: the argument is 0 or more."""
        if milliseconds < 0:
            raise ValueError("a clock in a test moves forward only")
        self._now_ms += milliseconds


class SeededRandomness:
    """A reproducible stream of bytes, SHA-256 in counter mode. Never for real keys or salts."""

    def __init__(self, seed: int = 0) -> None:
        self._seed = f"seed {seed}".encode()
        self._counter = 0
        self._left = b""

    def take(self, count: int) -> bytes:
        """The next ``count`` bytes of the stream."""
        while len(self._left) < count:
            self._left += hashlib.sha256(self._seed + self._counter.to_bytes(8, "big")).digest()
            self._counter += 1
        taken, self._left = self._left[:count], self._left[count:]
        return taken
