"""Traffic under way: waiting for deliveries, ending in order, and how long nothing was delivered."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from tests.faults.ground import Ground, Progress
from tests.faults.plan import expected_deliveries
from tests.faults.verdict import Effect, Verdict, judge, stored_receipts
from tests.support.supervised import Role

STALL_S: Final = 90.0
"""No delivery for so long, and not all are there: it failed."""
_LOOK_S: Final = 0.1


@dataclass(frozen=True)
class Outcome:
    """What is left when all is over. ``seconds`` from the first publisher's start to the last delivery; memory in KiB."""

    verdict: Verdict
    seconds: float
    peaks_kib: Mapping[str, int]
    lives: Mapping[str, int]

    @property
    def effects(self) -> Sequence[Effect]:
        """Every delivery at every recipient."""
        return self.verdict.effects

    @property
    def per_second(self) -> float:
        """Messages per second."""
        return self.verdict.accepted / self.seconds


@dataclass
class Traffic:
    """Publishers at work, and how many messages each has to publish."""

    made: Ground
    counts: Mapping[str, int]
    publishers: Sequence[Role]
    progress: Progress
    begun: float

    @classmethod
    async def begin(cls, made: Ground, counts: Mapping[str, int], *options: str, progress: Progress) -> Traffic:
        """Start the publishers. Their recipients' subscribers run already."""
        begun = time.monotonic()
        publishers = [await made.agency("publish", agency, "--count", str(count), *options) for agency, count in counts.items()]
        return cls(made, counts, publishers, progress, begun)

    @property
    def total(self) -> int:
        """How many deliveries there will be."""
        return expected_deliveries(self.counts)

    async def until(self, reached: Callable[[int], bool], what: str) -> None:
        """Wait for a number of deliveries; fails where nothing moves any more, or a process ended that nobody had killed."""
        moved, before = time.monotonic(), -1
        while not reached(now := self.made.all_delivered()):
            if now != before:
                moved, before = time.monotonic(), now
                self.progress(f"{now:,} of {self.total:,} deliveries, {moved - self.begun:.0f} s")
            self.check_alive()
            if time.monotonic() - moved > STALL_S:
                raise AssertionError(f"no delivery for {STALL_S} s at {now} of {self.total}, waiting for {what}\n{self.last_words()}")
            await asyncio.sleep(_LOOK_S)

    async def until_share(self, share: float) -> None:
        """Wait until this share of all deliveries was made."""
        await self.until(lambda now: now >= share * self.total, f"{share:.0%} of all deliveries")

    def last_words(self) -> str:
        """What every process said last."""
        return "\n".join(f"{role.name}: {role.last_words()}" for role in self.made.roles.values())

    def check_alive(self) -> None:
        """No process ends by itself, but one whose work is done."""
        for role in self.made.roles.values():
            code = role.process.returncode
            fine = code is None or (code == 0 and (role.name.startswith(("publish-", "flood-")) or role.asked_to_stop))
            assert fine, f"{role.name} ended with {code}: {role.last_words()}"

    async def end_now(self, *, flooded: str = "") -> Outcome:
        """Publish no more; then as :meth:`end`."""
        codes = await asyncio.gather(*(role.stop() for role in self.publishers))
        assert set(codes) == {0}, f"publishers ended with {codes}"
        self.counts = {agency: len(stored_receipts(self.made, agency)) for agency in self.counts}
        return await self.end(flooded=flooded)

    async def end(self, *, flooded: str = "") -> Outcome:
        """Wait until every message is answered and every delivery made; end the rest in order; then look at what is left."""
        await self.until_share(1.0)
        seconds = time.monotonic() - self.begun
        for role in self.publishers:
            code = await role.ended(STALL_S)
            assert code == 0, f"{role.name} ended with {code}: {role.last_words()}"
        self.progress("comparing")
        roles = self.made.roles
        codes = await self._stop_all()
        verdict = await judge(self.made, dict(self.counts), flooded=flooded)
        for name, code in codes.items():
            if code != 0:
                verdict.blame(f"{name} did not end in order: {code}: {roles[name].last_words()}")
        peaks = {name: role.peak_kib for name, role in roles.items()}
        return Outcome(verdict, seconds, peaks, {name: len(role.lives) for name, role in roles.items()})

    async def _stop_all(self) -> dict[str, int]:
        running = [role for role in self.made.roles.values() if role.running]
        codes = await asyncio.gather(*(role.stop() for role in running))
        return dict(zip((role.name for role in running), codes, strict=True))


def longest_gap_ms(effects: Iterable[Effect], begun_ms: int = 0) -> int:
    """The longest time without a delivery, between the first after ``begun_ms`` and the last."""
    times = sorted(each.at_ms for each in effects if each.at_ms >= begun_ms)
    return max((later - earlier for earlier, later in pairwise(times)), default=0)


def next_after_ms(effects: Iterable[Effect], at_ms: int, mine: Callable[[Effect], bool] = lambda _: True) -> int | None:
    """Milliseconds from a moment to the next of these deliveries, None where there was none."""
    return min((each.at_ms - at_ms for each in effects if each.at_ms > at_ms and mine(each)), default=None)
