"""Relay workers join and leave in order while messages flow: one, two, four, one."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from tests.faults.ground import Progress, ground, silent
from tests.faults.plan import PUBLISHERS
from tests.faults.traffic import Outcome, Traffic, longest_gap_ms
from tests.support.supervised import wall_ms


@dataclass(frozen=True, slots=True)
class Change:
    """So many workers from ``at_ms`` on; at ``settled_ms`` each held its shards."""

    workers: int
    at_ms: int
    settled_ms: int

    def gap_ms(self, outcome: Outcome, shard: int | None = None) -> int:
        """The longest time without a delivery (out of one shard, or any) that began or ended between the two moments."""
        times = sorted(each.at_ms for each in outcome.effects if shard in (None, each.shard))
        return max(
            (later - earlier for earlier, later in pairwise(times) if later > self.at_ms and earlier < self.settled_ms),
            default=0,
        )


@dataclass(frozen=True)
class Changes:
    """What happened, and what is left of it."""

    outcome: Outcome
    changes: Sequence[Change]

    @property
    def longest_gap_ms(self) -> int:
        """The longest time without any delivery, in all."""
        return longest_gap_ms(self.outcome.effects)


async def changes(folder: Path, *, messages: int, every_ms: float, progress: Progress = silent) -> Changes:
    """``messages`` over two publishers; two more members join step by step, and all but the first leave at once."""
    counts = dict.fromkeys(PUBLISHERS, messages // len(PUBLISHERS))
    async with ground(folder) as made:
        await made.workers(1)
        await made.subscribers()
        traffic = await Traffic.begin(made, counts, "--every-ms", str(every_ms), progress=progress)
        done: list[Change] = []
        for share, count in ((0.1, 2), (0.3, 4), (0.6, 1)):
            await traffic.until_share(share)
            at_ms = wall_ms()
            names = [f"relay-{number}" for number in range(1, count + 1)]
            await asyncio.gather(*(made.worker(name) for name in names if name not in made.roles))
            codes = await asyncio.gather(*(role.stop() for role in made.workers_now() if role.name not in names))
            assert set(codes) <= {0}, f"workers ended with {codes}"
            await made.settled()
            done.append(Change(count, at_ms, wall_ms()))
            progress(f"{count} workers")
        return Changes(await traffic.end(), done)
