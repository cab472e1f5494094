"""Figures: hit rates with their intervals, counted for a purpose, and what they cost with many feedbacks."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest

from broker.app.purpose import Purposed
from broker.node.console import figures
from broker.node.console.figures import wilson
from broker.storage.register_figures import ALERTS, ROWS, Answered, answered
from broker.storage.register_schema import TABLES
from tests.support.deliveries import Kept
from tests.support.eventually import eventually
from tests.support.node_clients import InProcess, posted
from tests.unit.node.console.conftest import held, officer
from tests.unit.service.world import World

EXAMINED: Final = {"exam_type": "SCAN", "examined_at": "2026-11-01T00:00:00Z"}


def test_wilson() -> None:
    """The interval of the textbook: 8 of 10 lies between 49 % and 94 %; at the ends it stays between 0 and 1, and is not empty."""
    assert wilson(8, 10) == pytest.approx((0.4902, 0.9433), abs=1e-4)
    assert wilson(0, 5)[0] == pytest.approx(0)
    assert 0.3 < wilson(0, 5)[1] < 0.5
    assert wilson(5, 5)[1] == pytest.approx(1)


async def feedback(node: InProcess, subject: str, result: str, user: str = "officer") -> None:
    """An agency says what came of an alert."""
    core = {"result": result, **(EXAMINED if result.startswith("EXAMINED") else {})}
    async with node.client(user) as client:
        answer = await client.post("/feedback", json={"target": subject, "target_revision": 1, "core": core})
        assert answer.status_code == 202, answer.text


async def test_hit_rates_on_both_sides(sg: InProcess, my: InProcess, world: World) -> None:
    """Three alerts, two examined, one confirmed after a first result that a second one takes the place of: both agencies see 1 of 2. For a
    purpose that the messages are not for nothing is counted, and an auditor sees no figures."""
    subjects = [world.alert(number).subject for number in (1, 2, 3)]
    async with sg.client() as client:
        for number in (1, 2, 3):
            assert (await client.post("/messages", json=posted(world.alert(number)))).status_code == 202
    for subject in subjects:
        await held(my, subject)
    await feedback(my, subjects[0], "NO_MATCH")
    await eventually(lambda: sg.node.reader().answers(subjects[0]), what="the first result")
    world.clock.advance(60_000)
    await feedback(my, subjects[0], "EXAMINED_POSITIVE")
    await feedback(my, subjects[1], "EXAMINED_NEGATIVE")
    await eventually(lambda: len(sg.node.reader().answers(subjects[0])) == 2 and sg.node.reader().answers(subjects[1]), what="all results")
    await eventually(lambda: len(my.node.reader().answers(subjects[0])) == 2 and my.node.reader().answers(subjects[1]), what="own results")
    alice, bob, dora = officer(my), officer(sg), officer(my, "auditor")
    for each in (alice, bob, dora):
        await each.choose()
    for somebody, other in ((alice, "SG-CUSTOMS"), (bob, "MY-CUSTOMS")):
        page = await somebody.get("/console/figures?days=30")
        assert "3 alerts, 2 with feedback, 2 examined, 1 confirmed." in page
        assert "0 alerts, 0 with feedback" in page
        assert page.count("1 / 2") == 2
        assert page.count('50 % <span class="soft">(9 %–91 %)</span>') == 2
        assert "END_USE_UNCLEAR" in page
        assert other in page
        assert "Examined: confirmed: 1" in page
        assert "No match" not in page
    await alice.choose("STATISTICS")
    page = await alice.get("/console/figures?days=30")
    assert "0 alerts, 0 with feedback" in page
    assert "are not counted for this purpose" in page
    assert "END_USE_UNCLEAR" not in page
    assert (await dora.client.get("/console/figures")).status_code == 403
    assert (await alice.client.get("/console/figures?days=0")).status_code == 400


def test_many_feedbacks(tmp_path: Path) -> None:
    """Of 20,000 alerts with a feedback each the newest 5,000 are read, by indexes: no table is scanned."""
    sql = sqlite3.connect(tmp_path / "register.sqlite", isolation_level=None)
    sql.executescript(TABLES)
    row = "INSERT INTO subject VALUES (?, ?, ?, 1, 1, x'00', '', 0, ?, NULL, 'ROUTINE', 'AMBER', 'H0', '', 'LIVE', NULL, NULL, '')"
    body = '{"core":{"indicators":[{"code":"END_USE_UNCLEAR"},{"code":"ROUTE_UNUSUAL"}]}}'
    count = 20_000
    sql.execute("BEGIN")
    sql.executemany(row, ((f"SG-CUSTOMS/{n}", "alert", "SG-CUSTOMS", n) for n in range(count)))
    sql.executemany(row, ((f"MY-CUSTOMS/f/{n}", "feedback", "MY-CUSTOMS", n) for n in range(count)))
    sql.executemany("INSERT INTO content VALUES (?, ?)", ((f"SG-CUSTOMS/{n}", body) for n in range(count)))
    links = ((f"MY-CUSTOMS/f/{n}", "FEEDBACK", f"SG-CUSTOMS/{n}", 1, "NO_MATCH") for n in range(count))
    sql.executemany("INSERT INTO link VALUES (?, ?, ?, ?, ?)", links)
    sql.execute("COMMIT")
    began = time.process_time()
    found = list(answered(sql, 0))
    took = time.process_time() - began
    plan = [row[3] for row in sql.execute(f"EXPLAIN QUERY PLAN {ROWS}", (0, ALERTS, 1))]
    sql.close()
    assert [step for step in plan if step.startswith("SCAN")] == ["SCAN s"]  # the newest alerts, found by their index
    assert (len(found), found[0].alert, found[0].result) == (ALERTS, f"SG-CUSTOMS/{count - 1}", "NO_MATCH")
    assert found[0].indicators == ("END_USE_UNCLEAR", "ROUTE_UNUSUAL")
    assert took < 1, took


@pytest.mark.parametrize(("alerts", "each", "cut"), [(3, 2, 0), (4, 3, 3), (5, 1, 5), (2, 6, 1)])
def test_what_was_not_read_is_told(monkeypatch: pytest.MonkeyPatch, alerts: int, each: int, cut: int) -> None:
    """Where the limit of alerts or that of feedback was reached, the page says how many alerts were counted, and the one of whose feedback
    some may not have been read is not."""
    monkeypatch.setattr(figures, "ALERTS", 5)
    monkeypatch.setattr(figures, "ANSWERS", 12)
    rows = [
        Answered(f"SG-CUSTOMS/{n}", "SG-CUSTOMS", -n, (), f"MY-CUSTOMS/{n}/{m}", "MY-CUSTOMS", "NO_MATCH", m)
        for n in range(alerts) for m in range(each)
    ]  # fmt: skip

    class All(Purposed):
        def counts(self, subject: str) -> bool:
            return True

    with closing(Kept(agency="MY-CUSTOMS")) as kept:
        found = figures.counted(rows[:12], "MY-CUSTOMS", All(kept.reader, "MY-CUSTOMS", None, None, 0))
    assert (found.cut, found.received.alerts) == (cut, cut or alerts)
