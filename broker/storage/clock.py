"""The machine's clock and the operating system's randomness, as the services want them."""

from __future__ import annotations

import secrets
import time


class SystemClock:
    """The machine's clock. Keep it by NTP: the relay refuses what is issued over 5 minutes ahead of its own."""

    def now_ms(self) -> int:
        """Unix time in milliseconds."""
        return time.time_ns() // 1_000_000


class SystemRandomness:
    """The operating system's random source."""

    def take(self, count: int) -> bytes:
        """``count`` unpredictable bytes."""
        return secrets.token_bytes(count)
