"""A worker stands still in the midst of traffic (SIGSTOP), another takes its shards, and then it wakes as a zombie (SIGCONT)."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.faults.ground import Ground, Progress, ground, holder, log_lines, silent
from tests.faults.plan import PUBLISHERS, SHARDS, busy_shards
from tests.faults.traffic import STALL_S, Outcome, Traffic, next_after_ms
from tests.support.eventually import eventually
from tests.support.supervised import Role, wall_ms

LOST = "shard lost to another worker"


@dataclass(frozen=True, slots=True)
class Stop:
    """A worker stood still from ``at_ms`` to ``woken_ms`` (Unix ms). ``back_ms``: it held its shards again. ``fenced``: how many of
    its shards it found to be lost when it tried to write."""

    role: str
    shards: tuple[int, ...]
    at_ms: int
    woken_ms: int
    back_ms: int
    fenced: int

    def resumed_ms(self, outcome: Outcome) -> int | None:
        """Milliseconds from the stop to the first delivery out of its shards that another worker admitted."""
        return next_after_ms(outcome.effects, self.at_ms, lambda each: each.shard in self.shards and each.admitted_ms > self.at_ms)


@dataclass(frozen=True)
class Stops:
    """What happened, and what is left of it."""

    outcome: Outcome
    stops: Sequence[Stop]


async def stops(
    folder: Path, *, messages: int, every_ms: float, victims: Sequence[str], still_s: float, progress: Progress = silent
) -> Stops:
    """One after another the victims (``relay-1``, ``relay-2``) stand still: for ``still_s`` seconds, and until the other has delivered
    from their shards."""
    counts = dict.fromkeys(PUBLISHERS, messages // len(PUBLISHERS))
    async with ground(folder) as made:
        await made.workers(2)
        await made.subscribers()
        traffic = await Traffic.begin(made, counts, "--every-ms", str(every_ms), progress=progress)
        done: list[Stop] = []
        for number, victim in enumerate(victims):
            await traffic.until_share((number + 0.5) / (2 * len(victims)))
            done.append(await _stop(made, made.roles[victim], still_s, progress))
        return Stops(await traffic.end(), done)


async def _stop(made: Ground, victim: Role, still_s: float, progress: Progress) -> Stop:
    workers = made.workers_now()
    shards = tuple(shard for shard in busy_shards(range(SHARDS)) if holder(workers, shard) is victim)
    assert shards, f"{victim.name} holds no shard that anybody publishes into"
    lost = _times(victim, LOST)
    at_ms = victim.send(signal.SIGSTOP)
    try:
        progress(f"{victim.name} stands still")
        for shard in shards:
            await eventually(
                lambda s=shard: made.admitted_of_shard(s, at_ms), STALL_S, what=f"another worker to deliver from shard {shard}"
            )
        await asyncio.sleep(max(0.0, still_s - (wall_ms() - at_ms) / 1000))
    finally:
        woken_ms = victim.send(signal.SIGCONT)
    progress(f"{victim.name} wakes")
    await made.settled()
    return Stop(victim.name, shards, at_ms, woken_ms, wall_ms(), _times(victim, LOST) - lost)


def _times(role: Role, event: str) -> int:
    return sum(line.get("event") == event for line in log_lines(role))
