"""Real Kafka, real processes: killed, stopped and woken, joining and leaving, and flooded. Each has a short form and a long one."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Final

import pytest

from tests.faults.flood import flood
from tests.faults.ground import loaded_once
from tests.faults.plan import PUBLISHERS
from tests.faults.stop import Stops, stops
from tests.faults.storm import KINDS, Storm, storm
from tests.faults.workers import changes

pytestmark = pytest.mark.kafka


@pytest.fixture(scope="module", autouse=True)
def _processes_are_loaded_once() -> Generator[None]:  # pyright: ignore[reportUnusedFunction]
    """Some forty processes start in these tests."""
    with loaded_once():
        yield


RESUMED_MS: Final = 30_000
"""Deliveries go on within this, whoever fails. Far more than it takes: nothing is measured here."""
MEMORY_KIB: Final = 300 * 1024


def check_storm(found: Storm, kills: int) -> None:
    """Nothing lost, doubled, reordered or disclosed; all sorts of processes were killed, and each time things went on."""
    assert found.outcome.verdict.wrong == []
    assert found.outcome.verdict.accepted == found.outcome.verdict.planned
    assert sum(found.outcome.lives.values()) == len(found.outcome.lives) + kills
    assert {kill.role.partition("-")[0] for kill in found.kills} == set(KINDS)
    assert max(kill.resumed_ms(found.outcome.effects) or 0 for kill in found.kills) < RESUMED_MS
    assert max(kill.own_resumed_ms(found.outcome.effects) or 0 for kill in found.kills) < RESUMED_MS
    assert max(found.outcome.peaks_kib.values()) < MEMORY_KIB


def check_stops(found: Stops) -> None:
    """The other worker delivered while one stood still; the woken one did no harm, and has its shards again."""
    assert found.outcome.verdict.wrong == []
    assert found.outcome.verdict.accepted == found.outcome.verdict.planned
    for stop in found.stops:
        assert (stop.resumed_ms(found.outcome) or RESUMED_MS) < RESUMED_MS
        assert stop.woken_ms < stop.back_ms
    assert all(lives == 1 for lives in found.outcome.lives.values()), "the woken worker goes on, it is not started again"


async def test_storm(tmp_path: Path) -> None:
    """1,500 messages, and a publisher, a relay worker (twice) and a subscriber killed meanwhile: every message has one receipt, each
    entitled agency has it once, in order, with the sections that policy gives, and nobody else has."""
    check_storm(await storm(tmp_path, messages=1_500, kills=4, seed=3, every_ms=12.0), 4)


@pytest.mark.soak
async def test_long_storm(tmp_path: Path) -> None:
    """The same with 50,000 messages as fast as receipts come, and ten kills."""
    check_storm(await storm(tmp_path, messages=50_000, kills=10, seed=2026), 10)


async def test_worker_stands_still(tmp_path: Path) -> None:
    """A worker is stopped until another has delivered from its shards, and then wakes: what it had begun comes to nothing, it takes
    its place again, and the outcome is as if it had never been stopped."""
    check_stops(await stops(tmp_path, messages=1_200, every_ms=20.0, victims=["relay-1"], still_s=0.0))


@pytest.mark.soak
async def test_each_worker_stands_still(tmp_path: Path) -> None:
    """The same for twenty seconds, first one worker and then the other."""
    check_stops(await stops(tmp_path, messages=16_000, every_ms=10.0, victims=["relay-1", "relay-2"], still_s=20.0))


@pytest.mark.parametrize("messages", [pytest.param(1_600, id="short"), pytest.param(10_000, id="long", marks=pytest.mark.soak)])
async def test_workers_join_and_leave(tmp_path: Path, messages: int) -> None:
    """One, two, four, one worker under traffic, all joining and leaving in order: nothing is lost, doubled or reordered."""
    found = await changes(tmp_path, messages=messages, every_ms=20.0 if messages < 2_000 else 10.0)
    assert found.outcome.verdict.wrong == []
    assert found.outcome.verdict.accepted == found.outcome.verdict.planned
    assert [each.workers for each in found.changes] == [2, 4, 1]
    assert found.longest_gap_ms < RESUMED_MS


@pytest.mark.parametrize("records", [pytest.param(3_000, id="short"), pytest.param(100_000, id="long", marks=pytest.mark.soak)])
async def test_flood(tmp_path: Path, records: int) -> None:
    """Garbage as fast as Kafka takes it, with no quota: each record is in quarantine once and answered once; others' messages, also
    those of the same shard, go through meanwhile; and the worker's memory stays what it was."""
    found = await flood(tmp_path, records=records, before_s=2.0, lifted=True)
    assert found.outcome.verdict.wrong == []
    assert (found.written, found.quarantined, found.refusals) == (records, records, records)
    assert sum(found.codes.values()) == records
    assert set(found.codes) == {"NOT_A_PARCEL", "BAD_CBOR", "NOT_CANONICAL", "BAD_SIGNATURE"}
    for agency in PUBLISHERS:
        assert found.delays(agency, during=True).count > 0
        assert found.delays(agency, during=True).most < RESUMED_MS
    assert found.relay_kib[1] < MEMORY_KIB
