"""How much one client may ask for: a bucket of tokens for each, filled at a steady rate.

Litestar's own limiter keeps the time of every request of the last second, and writes and reads the whole list as JSON at each one.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

CLIENTS: Final = 10_000
"""Most clients that are remembered; who was not heard of for longest is forgotten first, with a full bucket."""


class Rates:
    """``rate`` requests per second for each client, and ``burst`` at once."""

    def __init__(self, rate: float, burst: int) -> None:
        self._rate, self._burst = rate, float(burst)
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait_s(self, client: str, now: float) -> float:
        """Take a token of a client's at ``now`` (seconds): 0 where there is one, else how long until there is."""
        tokens, before = self._buckets.pop(client, (self._burst, now))
        tokens = min(self._burst, tokens + (now - before) * self._rate)
        if tokens >= 1:
            self._buckets[client] = (tokens - 1, now)
            wait = 0.0
        else:
            self._buckets[client] = (tokens, now)
            wait = (1 - tokens) / self._rate
        if len(self._buckets) > CLIENTS:
            self._buckets.popitem(last=False)
        return wait
