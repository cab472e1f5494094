"""Runs a contest: rounds in which each side is measured once, in an order that rotates, each in a process of its own."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from benchmarks.ground import ORIGINATOR, PEER, Ground
from benchmarks.rows import Contest, Row, Side
from benchmarks.sides.side import Result, Spec
from broker.errors import BrokerError

LIMIT_S: Final = 240.0
"""How long a side may take."""
FILL_S: Final = 1200.0
"""How long it may take to fill a register."""
COPYING: Final = ("aiokafka_copy", "aiokafka_latency")
ROOT: Final = Path(__file__).resolve().parents[1]

Tell = Callable[[str], None]


@dataclass
class Found:
    """The measurements of one contest: by side (``ours`` or a peer's name), one for each round."""

    contest: Contest
    rows: list[Row]
    results: dict[str, list[Result]] = field(default_factory=dict[str, list[Result]])
    profile: dict[str, Any] | None = None
    facts: dict[str, Any] | None = None


async def measure(program: str, spec: Spec, limit_s: float = LIMIT_S) -> Result:
    """One side in a process of its own. Raises BrokerError with what it said where it fails or takes too long."""
    said = spec.folder / "benchmark.log"
    with said.open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", f"benchmarks.sides.{program}", spec.text(),
            cwd=ROOT, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=log,
        )  # fmt: skip
    try:
        out, _ = await asyncio.wait_for(process.communicate(), limit_s)
    except TimeoutError:
        raise BrokerError(f"{program} was not done after {limit_s:g} s; it said: {_last_words(said)}") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        raise BrokerError(f"{program} failed (exit status {process.returncode}); it said: {_last_words(said)}")
    return Result(**json.loads(out.splitlines()[-1]))


def _last_words(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return " / ".join(line[:300] for line in lines[-3:]) or "nothing"


class Rounds:
    """Prepares and runs contests on a ground."""

    def __init__(self, ground: Ground, tell: Tell, *, scale: float = 1.0) -> None:
        self._ground, self._tell, self._scale = ground, tell, scale
        self._run = 0
        self._filled: dict[str, int] = {}

    async def contest(self, contest: Contest, rows: Sequence[Row], rounds: int, *, profile: bool) -> Found:
        """All rounds of one contest, then a profile of our side, which is not measured."""
        sides = {"ours": contest.ours, **{name: side for row in rows for name, side in row.peers.items()}}
        found = Found(contest, list(rows), {name: [] for name in sides})
        found.facts = await self._prepare(contest, list(sides.values()))
        names = list(sides)
        for number in range(rounds):
            for name in names[number % len(names) :] + names[: number % len(names)]:
                self._tell(f"{contest.name}: round {number + 1} of {rounds}, {name}")
                result = await self._side(contest, sides[name])
                found.results[name].append(result)
        if profile and not contest.p99:
            self._tell(f"{contest.name}: profile of ours")
            found.profile = (await self._side(contest, contest.ours, profile=True)).profile
        return found

    def _spec(self, contest: Contest, side: Side) -> Spec:
        self._run += 1
        count = side.copies or len(contest.recipients)
        copies = tuple(f"bench.copy.{number}" for number in range(count)) if side.program in COPYING else ()
        return Spec(
            home=str(self._ground.home),
            bootstrap=self._ground.bootstrap,
            agency=ORIGINATOR,
            peer=PEER,
            run=f"{contest.name}-{self._run}",
            count=max(50, int(contest.count * side.factor * self._scale)),
            warm=max(20, int(contest.warm * self._scale)),
            recipients=contest.recipients,
            topic=side.topic,
            copies=copies,
            rate=contest.rate,
            urgency=contest.urgency,
            held=max(2000, int(contest.held * self._scale)) if contest.held else 0,
        )

    async def _side(self, contest: Contest, side: Side, *, profile: bool = False) -> Result:
        spec = replace(self._spec(contest, side), profile=profile)
        if contest.inbox and side is contest.ours:
            spec = replace(spec, agency=contest.inbox)
        if contest.outbox and side is contest.ours:
            await measure("ours_publish", replace(spec, run=f"{spec.run}-fill", count=spec.total, warm=0, profile=False))
        result = await measure(side.program, spec)
        return replace(result, messages=result.messages // side.copies) if side.copies else result

    async def _prepare(self, contest: Contest, sides: Sequence[Side]) -> dict[str, Any] | None:
        """Members, topics, and what the sides read; the facts about that, where there are any."""
        self._tell(f"{contest.name}: preparing")
        await self._ground.join([ORIGINATOR, *contest.recipients])
        specs = [self._spec(contest, side) for side in sides]
        await self._ground.topics(sorted({name for spec in specs for name in (spec.topic, *spec.copies) if name}))
        if contest.inbox:
            spec = self._spec(contest, contest.ours)
            await measure("ours_publish", replace(spec, count=spec.total, warm=0))
            await measure("ours_relay", spec)
        once = "fill_register" if contest.held else contest.figures
        facts = (await measure(once, specs[0], FILL_S)).facts if once else None
        for side, spec in zip(sides, specs, strict=True):
            missing = spec.total - self._filled.get(spec.topic, 0)
            if side.topic.startswith("bench.raw") and missing > 0:
                filler = "confluent_publish" if side.topic.endswith("signed") else "aiokafka_publish"
                await measure(filler, replace(spec, count=missing, warm=0))
                self._filled[spec.topic] = spec.total
        return facts
