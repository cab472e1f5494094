"""One agency floods its outbox with garbage, while others publish a probe every 100 ms: who notices, and what it costs."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import linear_regression
from typing import Final

from broker import ids
from broker.app.watch import read_all
from broker.envelope.receipt import Receipt
from broker.exchange.quarantine import read_quarantined
from broker.exchange.receive import is_receipt, read_receipt
from broker.exchange.topology import QUARANTINE, Quota
from broker.ports import Transport
from tests.faults.ground import Ground, Progress, ground, silent
from tests.faults.plan import FLOODER, PUBLISHERS, RECIPIENTS
from tests.faults.traffic import STALL_S, Outcome, Traffic
from tests.support.eventually import eventually
from tests.support.supervised import wall_ms

PROBE_MS: Final = 100
LIFTED: Final = Quota(produce_bytes=10**10, fetch_bytes=10**10, request_percent=100_000)
"""No quota to speak of: the relay is what is tried, not Kafka."""
_WARM_UP_MS: Final = 1_000


@dataclass
class Quarantine:
    """What came to quarantine out of the flooder's outbox, by offset: SHA-256 of the bytes, and the code."""

    found: list[tuple[int, bytes]] = field(default_factory=list[tuple[int, bytes]])
    codes: Counter[str] = field(default_factory=Counter[str])

    async def follow(self, transport: Transport) -> None:
        """Read as it grows, until cancelled."""
        inlet = await transport.inlet()
        await inlet.assign({(QUARANTINE, 0): "beginning"})
        while True:
            for record in await inlet.poll(max_records=5000, timeout=1.0):
                refused = read_quarantined(record.value or b"")
                if refused.topic == ids.outbox(FLOODER):
                    self.found.append((refused.offset, refused.digest))
                    self.codes[refused.code] += 1


@dataclass(frozen=True)
class Delays:
    """How late probes of one shard were, in ms from when they were due to when the recipient's handler had them."""

    count: int
    p50: int
    p99: int
    most: int

    @classmethod
    def of(cls, delays: Sequence[int]) -> Delays:
        """Of these."""
        ordered = sorted(delays) or [0]
        return cls(len(delays), ordered[len(ordered) // 2], ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)], ordered[-1])


@dataclass(frozen=True)
class Flood:
    """What became of it. Times are Unix ms; memory of the relay worker is in KiB by Unix ms."""

    outcome: Outcome
    records: int
    written: int
    quarantined: int
    refusals: int
    codes: Mapping[str, int]
    begun_ms: int
    written_ms: int
    digested_ms: int
    relay_curve: Sequence[tuple[int, int]]

    @property
    def seconds(self) -> float:
        """From the first record to the last one in quarantine."""
        return (self.digested_ms - self.begun_ms) / 1000

    def delays(self, agency: str, *, during: bool) -> Delays:
        """Of one prober's messages, at all recipients: due while the flood was there, or before it came."""
        times = [(each.due_ms, each.at_ms - each.due_ms) for each in self.outcome.effects if each.name[0] == agency]
        first = min((due for due, _ in times), default=0) + _WARM_UP_MS
        span = (self.begun_ms, self.digested_ms) if during else (first, self.begun_ms)
        return Delays.of([delay for due, delay in times if span[0] <= due < span[1]])

    @property
    def relay_kib(self) -> tuple[int, int]:
        """The relay worker's memory when the flood came, and the most until it was digested."""
        before = [kib for at, kib in self.relay_curve if at <= self.begun_ms]
        return before[-1] if before else 0, max((kib for at, kib in self.relay_curve if self.begun_ms <= at <= self.digested_ms), default=0)

    @property
    def relay_slope(self) -> float:
        """KiB per second over the second half of the flood; 0 where it was too short to tell."""
        half = (self.begun_ms + self.digested_ms) // 2
        points = [(at / 1000, float(kib)) for at, kib in self.relay_curve if half <= at <= self.digested_ms]
        return linear_regression(*zip(*points, strict=True)).slope if len(points) > 2 else 0.0


async def flood(
    folder: Path, *, records: int, before_s: float, lifted: bool, seed: int = 1, workers: int = 1, progress: Progress = silent
) -> Flood:
    """``records`` of garbage after ``before_s`` seconds of probes alone. ``lifted``: without the flooder's quota."""
    async with ground(folder, (*PUBLISHERS, *RECIPIENTS, FLOODER)) as made:
        operator = made.installation.operator
        if lifted:
            admin = operator.admin()
            await admin.ensure_quota(ids.principal(FLOODER, 1), LIFTED)
            await admin.close()
        await made.workers(workers)
        await made.subscribers()
        probes = dict.fromkeys(PUBLISHERS, 10**6)
        traffic = await Traffic.begin(made, probes, "--every-ms", str(PROBE_MS), progress=progress)
        await eventually(lambda: made.all_delivered() > 0, STALL_S, what="the first probe")
        await asyncio.sleep(before_s)
        quarantine, transport = Quarantine(), operator.transport("registrar")
        following = asyncio.create_task(quarantine.follow(transport))
        try:
            flooder = await made.agency("flood", FLOODER, "--count", str(records), "--seed", str(seed))
            await _digested(traffic, quarantine, records, following)
            digested_ms = wall_ms()
            assert await flooder.ended(STALL_S) == 0, flooder.last_words()
            begun_ms, written_ms = _said(flooder.out)
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
            await transport.close()
        outcome = await traffic.end_now(flooded=FLOODER)
        written, refusals = await _compare(made, quarantine, outcome)
        relay = made.roles["relay-1"]
        return Flood(
            outcome, records, written, len(quarantine.found), refusals, quarantine.codes, begun_ms, written_ms, digested_ms, relay.curve
        )


def _said(out: Path) -> tuple[int, int]:
    said: dict[str, int] = {}
    for line in out.read_text(encoding="utf-8").splitlines():
        said.update(json.loads(line))
    return said["begun"], said["written"]


async def _digested(traffic: Traffic, quarantine: Quarantine, records: int, following: asyncio.Task[None]) -> None:
    """Wait until so many records are in quarantine; fails where none comes for long."""
    moved, before = time.monotonic(), -1
    while (now := len(quarantine.found)) < records:
        if following.done():
            following.result()
        if now != before:
            moved, before = time.monotonic(), now
            traffic.progress(f"{now:,} of {records:,} in quarantine")
        traffic.check_alive()
        if time.monotonic() - moved > STALL_S:
            raise AssertionError(f"nothing was quarantined for {STALL_S} s at {now} of {records}\n{traffic.last_words()}")
        await asyncio.sleep(0.2)


async def _compare(made: Ground, quarantine: Quarantine, outcome: Outcome) -> tuple[int, int]:
    """Every record of the outbox is in quarantine once, byte for byte, and was answered once. How many records, and answers."""
    transport = made.installation.operator.transport("registrar")
    try:
        knowledge = made.installation.operator.knowledge(transport)
        await knowledge.load()
        await knowledge.close()
        outbox = await read_all(transport, [(ids.outbox(FLOODER), 0)])
        written = [(record.offset, hashlib.sha256(record.value or b"").digest()) for record in outbox]
        if sorted(quarantine.found) != written:
            outcome.verdict.blame(f"{len(written)} records in the flooder's outbox, {len(quarantine.found)} in quarantine, not the same")
        answers: list[bytes] = []
        for record in await read_all(transport, [(ids.inbox(FLOODER), 0)]):
            assert is_receipt(record.key), record.key
            receipt = read_receipt(record.value or b"", knowledge.rules)
            assert isinstance(receipt, Receipt), receipt
            if receipt.outcome != "REFUSED":
                outcome.verdict.blame(f"garbage at offset {receipt.source_offset} was {receipt.outcome}")
            answers.append(receipt.digest)
        if sorted(answers) != sorted(digest for _, digest in written):
            outcome.verdict.blame(f"{len(answers)} answers for {len(written)} records")
        return len(written), len(answers)
    finally:
        await transport.close()
