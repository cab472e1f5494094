"""The storm: publishers, relay workers and subscribers are killed in the midst of traffic, and started again at once."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.faults.ground import Progress, ground, holder, silent
from tests.faults.plan import PUBLISHERS, SHARDS, busy_shards
from tests.faults.traffic import Outcome, Traffic, next_after_ms
from tests.faults.verdict import Effect
from tests.support.supervised import Role

KINDS: Final = ("relay", "publish", "subscribe")
WORKERS: Final = 2


@dataclass(frozen=True, slots=True)
class Kill:
    """A process was killed: when, who, from which shards it delivered (a relay worker), and after how many deliveries in all."""

    at_ms: int
    role: str
    shards: tuple[int, ...]
    deliveries: int

    def resumed_ms(self, effects: Sequence[Effect]) -> int | None:
        """Milliseconds until the next delivery of anything to anybody."""
        return next_after_ms(effects, self.at_ms)

    def own_resumed_ms(self, effects: Sequence[Effect]) -> int | None:
        """Until the next one that was its successor's work: admitted by the worker, signed by the publisher, taken by the subscriber."""
        return next_after_ms(effects, self.at_ms, self._of_successor)

    def _of_successor(self, effect: Effect) -> bool:
        kind, _, agency = self.role.partition("-")
        match kind:
            case "relay":
                return effect.shard in self.shards and effect.admitted_ms > self.at_ms
            case "publish":
                return effect.name[0] == agency and effect.issued_ms > self.at_ms
            case _:
                return effect.agency == agency


@dataclass(frozen=True)
class Storm:
    """What happened, and what is left of it."""

    outcome: Outcome
    kills: Sequence[Kill]


async def storm(folder: Path, *, messages: int, kills: int, seed: int, every_ms: float = 0.0, progress: Progress = silent) -> Storm:
    """``messages`` over two publishers, each of which publishes one ``every_ms`` (0: as fast as receipts come). ``kills`` processes
    are killed at random moments of it, each kind of process in turn, in random order."""
    dice = random.Random(seed)
    counts = dict.fromkeys(PUBLISHERS, messages // len(PUBLISHERS))
    async with ground(folder) as made:
        workers = await made.workers(WORKERS)
        subscribers = await made.subscribers()
        traffic = await Traffic.begin(made, counts, "--every-ms", str(every_ms), progress=progress)
        victims: dict[str, Sequence[Role]] = {"relay": workers, "publish": traffic.publishers, "subscribe": subscribers}
        kinds = [KINDS[number % len(KINDS)] for number in range(kills)]
        dice.shuffle(kinds)
        if kinds[-1] == "publish":
            kinds.insert(0, kinds.pop())  # at the end publishers may be done already
        done: list[Kill] = []
        for moment, kind in zip(sorted(dice.uniform(0.05, 0.8) for _ in kinds), kinds, strict=True):
            await traffic.until_share(moment)
            await asyncio.sleep(dice.uniform(0.0, 0.3))
            victim = dice.choice([role for role in victims[kind] if role.running] or workers)
            shards = tuple(shard for shard in busy_shards(range(SHARDS)) if holder(workers, shard) is victim)
            before = made.all_delivered()
            done.append(Kill(await victim.kill(), victim.name, shards, before))
            await victim.start()
            progress(f"killed {victim.name} after {before:,} deliveries")
        return Storm(await traffic.end(), done)
