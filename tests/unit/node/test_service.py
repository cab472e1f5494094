"""How the node says it is: health, readiness, the log of requests."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing

import pytest
import structlog
from structlog.testing import capture_logs

from broker.errors import ExchangeUnreachable
from broker.service import subscriber
from broker.testing.memory import MemoryTransport
from tests.support.eventually import eventually
from tests.support.node_clients import InProcess


async def test_a_word_that_is_refused_is_no_outage(my: InProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the exchange does not take the node's word how far it has read, the node is ready all the same: it was answered before."""
    asked = asyncio.Event()

    async def refused(*_: object) -> None:
        asked.set()
        raise ExchangeUnreachable("another program of the agency is in its group")

    monkeypatch.setattr(subscriber, "STILL_S", 0.0)
    monkeypatch.setattr(MemoryTransport, "tell_read", refused)
    await eventually(asked.is_set, what="the word")
    for _ in range(50):
        await asyncio.sleep(0)
        assert my.node.condition().reachable


async def test_ready_degraded_not_ready(my: InProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ready while all is well; degraded where the exchange is away, and still 200, for it answers and keeps; not ready, 503, while rules
    are not known and while it is being stopped. Figures are for those whose certificate is known."""
    async with my.client("officer") as client, my.client(None) as balancer:
        ready = await client.get("/ready")
        assert (ready.status_code, ready.json()["status"], ready.json()["outbox"]["waiting"]) == (200, "ready", 0)
        assert "outbox" not in (await balancer.get("/ready")).json()
        monkeypatch.setattr(my.node, "_reachable", False)
        away = await balancer.get("/ready")
        assert (away.status_code, away.json()["status"], away.json()["exchange_reachable"]) == (200, "degraded", False)
        assert "cannot be reached" in (await client.get("/licences/1")).json()["note"]
        known = my.node.rules.live
        monkeypatch.setattr(my.node.rules, "_live", None)
        assert (await balancer.get("/ready")).status_code == 503
        monkeypatch.setattr(my.node.rules, "_live", known)
        my.node.stopping.set()
        assert ((await balancer.get("/ready")).status_code, (await balancer.get("/health")).status_code) == (503, 200)


async def test_health_ends_with_its_parts(my: InProcess) -> None:
    """A part of the node ended by a bug: 503, so that somebody starts it again."""
    async with my.client(None) as client:
        assert (await client.get("/health")).json()["status"] == "ok"
        my.node.failed.set()
        failed = await client.get("/health")
        assert (failed.status_code, failed.json()["status"]) == (503, "failed")


async def test_the_log_has_no_content(my: InProcess) -> None:
    """A line for each request: id, path, status, user, unit, purpose; not what was searched for, no header that somebody made up."""
    structlog.reset_defaults()
    with capture_logs() as lines:
        async with my.client("officer") as client:
            answer = await client.get("/alerts", params={"party": "Secret Name"}, headers={"X-Forged": "evil"})
            await client.get("/alerts", headers={"Broker-Purpose": "made up", "Broker-Unit": "made up"})
    one, two = (line for line in lines if line["event"] == "request")
    assert (one["id"], one["path"], one["status"], one["user"]) == (answer.headers["broker-request-id"], "/alerts", 200, "officer")
    assert (one["purpose"], one["unit"]) == ("STC_ENFORCEMENT", "TUAS")
    assert "purpose" not in two
    assert "Secret" not in str(lines)
    assert "evil" not in str(lines)
    assert "made up" not in str(lines)


async def test_the_log_names_the_purpose_that_counted(my: InProcess) -> None:
    """Purpose and unit given twice: the guards take the first ones, and so does the log; the second ones are of no use to hide them."""
    structlog.reset_defaults()
    twice = [("Broker-Purpose", "LICENSING"), ("Broker-Purpose", "STATISTICS"), ("Broker-Unit", "TUAS"), ("Broker-Unit", "made up")]
    with capture_logs() as lines:
        async with my.client("officer", purpose=None) as client:
            assert (await client.get("/alerts", params={"hs": "84"}, headers=twice)).status_code == 200
    (line,) = (line for line in lines if line["event"] == "request")
    assert (line["purpose"], line["unit"]) == ("LICENSING", "TUAS")


async def test_health_of_a_store_that_cannot_be_read(my: InProcess) -> None:
    """The file of the outbox is damaged: 503 with our code, as it is written, and no bug."""
    async with my.client(None) as client:
        with closing(sqlite3.connect(my.node.member.files.publisher_store)) as other:
            other.execute("ALTER TABLE intake RENAME TO damaged")
        told = await client.get("/health")
        assert (told.status_code, told.json()["code"]) == (503, "STORE")
        with closing(sqlite3.connect(my.node.member.files.publisher_store)) as other:
            other.execute("ALTER TABLE damaged RENAME TO intake")
        assert (await client.get("/health")).status_code == 200
