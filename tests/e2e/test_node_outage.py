"""A node without Kafka: what is posted meanwhile, to two lives of the node, is delivered once when Kafka returns."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from tests.e2e.licence_life import alert
from tests.e2e.nodes import Node, add_user, node
from tests.e2e.program import Program, local_exchange

pytestmark = pytest.mark.kafka
MEMBERS = [{"id": "SG-CUSTOMS", "kind": "customs"}, {"id": "MY-CUSTOMS", "kind": "customs"}]


def post(made: Node, *names: str) -> list[str]:
    """Post alerts; the ids that are told."""
    told: list[str] = []
    with made.client() as client:
        for name in names:
            kept = client.post("/messages", json=alert(name=name), headers={"Idempotency-Key": name})
            assert kept.status_code == 202, kept.text
            told.append(kept.json()["message_id"])
    return told


def test_kafka_is_away(tmp_path: Path) -> None:
    """The exchange is stopped. A node that is started without it keeps what is posted, says that it is not ready and why, and is killed.
    The next one goes on. Then the exchange comes back: each message is delivered once, under the id that was told, and asking again
    changes nothing. A node that is started without it after that knows its rules, and one that may not use old ones is not ready."""
    program = Program(tmp_path)
    agencies = tmp_path / "agencies.json"
    agencies.write_text(json.dumps(MEMBERS))
    home = tmp_path / "home"
    with local_exchange(program, home, "--agencies", agencies):
        add_user(program, home, "SG-CUSTOMS", "targeting", "integrator")
    with node(program, home, "SG-CUSTOMS") as first, first.client() as client:
        told = post(first, "A-1", "A-2")
        ready = client.get("/ready")
        assert (ready.status_code, ready.json()["status"], ready.json()["outbox"]["waiting"]) == (503, "not-ready", 2)
        assert client.get(f"/messages/{told[0]}").json()["outcome"] == "kept"
        first.running.process.send_signal(signal.SIGKILL)
        first.running.wait(30)
    with node(program, home, "SG-CUSTOMS") as second:
        assert post(second, "A-1", "A-2") == told
        told += post(second, "A-3")
        with local_exchange(program, home, "--agencies", agencies), second.client() as client:
            for message_id in told:
                outcome = ""
                for _ in range(4):
                    outcome = client.get(f"/messages/{message_id}", params={"wait": 30}).json()["outcome"]
                    if outcome not in ("kept", "sending"):
                        break
                assert outcome == "accepted"
            assert post(second, "A-1", "A-2", "A-3") == told
            arguments = ("subscribe", "--as", "MY-CUSTOMS", "--from", "beginning", "--timeout", "5", "--json", "--home", home)
            assert [line["message_id"] for line in program.run(*arguments).must().lines] == told
    with node(program, home, "SG-CUSTOMS") as third, third.client() as client:
        ready = client.get("/ready")
        assert (ready.status_code, ready.json()["status"]) == (200, "degraded")
        assert ready.json()["rules_as_of"] is not None
        licence = {**alert(name="A-4"), "family": "licence"}
        assert client.post("/messages", json=licence).status_code == 422
    with node(program, home, "SG-CUSTOMS", "--rules-days", "0") as fourth, fourth.client() as client:
        assert client.get("/ready").json()["status"] == "not-ready"
