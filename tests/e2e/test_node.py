"""Two agencies' nodes over a real exchange: what is posted at one is read at the other, and an end loses nothing."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
from collections.abc import Generator
from pathlib import Path

import httpx
import pytest

from tests.e2e.licence_life import NUMBER, Scene, alert, decision, licence_scene
from tests.e2e.nodes import Node, add_user, node
from tests.e2e.program import Json
from tests.support.documents import blocks
from tests.support.token_issuer import AUDIENCE, ISSUER, SUBJECT, TokenIssuer

pytestmark = pytest.mark.kafka
ROOT = Path(__file__).parents[2]
LOGIN = TokenIssuer()


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Generator[Scene]:
    """`broker up` with two customs services and a licensing authority, and users of their nodes."""
    with licence_scene(tmp_path_factory.mktemp("nodes")) as made:
        for agency in ("SG-CUSTOMS", "MY-CUSTOMS", "DE-BAFA"):
            add_user(made.program, made.exchange.home, agency, "targeting", "integrator")
        yield made


@pytest.fixture(scope="module")
def sg(scene: Scene) -> Generator[Node]:
    """The node of SG-CUSTOMS, which takes tokens of LOGIN."""
    keys = scene.program.folder / "jwks.json"
    keys.write_bytes(LOGIN.jwks())
    with node(scene.program, scene.exchange.home, "SG-CUSTOMS", "--oidc", ISSUER, "--audience", AUDIENCE, "--oidc-keys", str(keys)) as made:
        yield made


@pytest.fixture(scope="module")
def my(scene: Scene) -> Generator[Node]:
    """The node of MY-CUSTOMS."""
    with node(scene.program, scene.exchange.home, "MY-CUSTOMS") as made:
        yield made


def first_event(client: httpx.Client, headers: dict[str, str]) -> tuple[str, str, Json]:
    """The first event of a stream: id, kind, item."""
    fields: dict[str, str] = {}
    with client.stream("GET", "/inbox/events", headers=headers) as response:
        assert response.status_code == 200, response.read()
        for line in response.iter_lines():
            name, _, value = line.partition(": ")
            fields[name] = value
            if name == "data":
                return fields["id"], fields["event"], json.loads(value)
    raise AssertionError("the stream ended")


def test_posted_here_read_there(sg: Node, my: Node) -> None:
    """An alert posted at one node comes as an event at the other, verified; its receipt names who got what; the register finds it."""
    with sg.client() as here, my.client() as there:
        kept = here.post("/messages", json=alert(), headers={"Idempotency-Key": "first"})
        assert kept.status_code == 202, kept.text
        status = here.get(kept.headers["location"], params={"wait": 30}).json()
        assert (status["outcome"], [each["agency"] for each in status["recipients"]]) == ("accepted", ["MY-CUSTOMS"])
        cursor, kind, item = first_event(there, {})
        assert (kind, item["message_id"], item["verified"]) == ("delivery", kept.json()["message_id"], True)
        assert item["sections"]["parties"]["parties"][0]["name"] == "ООО «Ромашка»"
        assert there.get("/inbox").json()["items"][0]["cursor"] == cursor == item["cursor"]
        second = here.post("/messages", json=alert(2))
        assert first_event(there, {"Last-Event-ID": cursor})[2]["message_id"] == second.json()["message_id"]
        assert there.get("/ready").json()["status"] == "ready"


def test_a_bearer_token(sg: Node, scene: Scene) -> None:
    """Over TLS without a client certificate: a token of a subject that was let in a moment ago is its user, until that one is removed; the
    certificate of another user beside it is refused."""
    token = {"Authorization": f"Bearer {LOGIN.token()}"}
    arguments = ("--as", "SG-CUSTOMS", "--role", "officer", "--unit", "TUAS", "--issuer", ISSUER, "--subject", SUBJECT, "--json")
    with sg.client(None) as client:
        assert client.get("/inbox", headers=token).json()["code"] == "TOKEN_SUBJECT_UNKNOWN"
        added = scene.call("node", "user", "add", "by-token", *arguments).line
        assert (added["subject"], added["sha256"], added["file"]) == (SUBJECT, "", None)
        assert client.get("/inbox", headers=token).status_code == 200
        with sg.client() as other:
            assert other.get("/inbox", headers=token).json()["code"] == "TOKEN_OF_ANOTHER"
        scene.call("node", "user", "remove", "by-token", "--as", "SG-CUSTOMS")
        assert client.get("/inbox", headers=token).status_code == 401


def test_a_revocation_reaches_the_register(sg: Node, scene: Scene) -> None:
    """The authority's node publishes a decision; the customs node says the licence's status, one and many."""
    with node(scene.program, scene.exchange.home, "DE-BAFA") as bafa, bafa.client() as there, sg.client() as here:
        decisions = (decision("GRANT", 1), decision("REVOKE", 2, shipments_in_transit_instruction="HOLD"))
        body = "".join(json.dumps(each) + "\n" for each in decisions)
        kept = there.post("/messages", content=body, headers={"Content-Type": "application/jsonl"}).json()
        assert (kept["accepted"], kept["refused"]) == (2, 0), kept
        for each in kept["results"]:
            assert there.get(f"/messages/{each['message_id']}", params={"wait": 30}).json()["outcome"] == "accepted"
        with here.stream("GET", "/inbox/events") as response:
            for line in response.iter_lines():
                if line.startswith("data: ") and json.loads(line[6:])["revision"] == 2:
                    break
        headers = {"Broker-Purpose": "LICENSING"}
        asked = {"numbers": [f"2026-{NUMBER}", "no such"]}
        known, unknown = here.post("/licences/status", json=asked, headers=headers).json()["results"]
        assert (known["licences"][0]["status"], known["licences"][0]["instruction"]) == ("REVOKED", "HOLD")
        assert (unknown["known"], unknown["licences"]) == (False, [])


def test_users_and_wrong_use(my: Node, scene: Scene) -> None:
    """Who is added may ask at once, who is removed may not from the next request on. A second node of the agency, another environment, a
    port that is taken or none, an agency that has not joined: said in one line, with the exit code of wrong use or refusal."""
    program, home = scene.program, scene.exchange.home
    add_user(program, home, "MY-CUSTOMS", "night-shift", "officer")
    with my.client("night-shift") as client:
        assert client.get("/inbox").status_code == 200
        listed = scene.call("node", "user", "list", "--as", "MY-CUSTOMS", "--json").lines
        assert [(each["name"], each["role"]) for each in listed] == [("night-shift", "officer"), ("targeting", "integrator")]
        scene.call("node", "user", "remove", "night-shift", "--as", "MY-CUSTOMS")
        assert client.get("/inbox").json()["code"] == "CERTIFICATE_UNKNOWN"
    port = my.url.rpartition(":")[2]
    for arguments, code, word in (
        (("--as", "MY-CUSTOMS", "--port", "0"), 1, "another process"),
        (("--as", "DE-BAFA", "--port", port), 2, "cannot be listened on"),
        (("--as", "DE-BAFA", "--port", "70000"), 2, "out of range"),
        (("--as", "DE-BAFA", "--environment", "production"), 2, "test"),
        (("--as", "DE-BAFA", "--oidc", ISSUER, "--audience", AUDIENCE), 2, "where its keys"),
        (("--as", "DE-BAFA", "--audience", AUDIENCE), 2, "one issuer"),
        (("--as", "DE-BAFA", "--oidc", "http://login.example", "--audience", "x", "--oidc-ca", "ca.pem"), 2, "HTTPS"),
        (
            (
                "--as",
                "FR-CUSTOMS",
            ),
            2,
            "has not joined",
        ),
    ):
        ran = program.run("node", *arguments, "--home", home)
        assert (ran.code, word in ran.err, "Traceback" in ran.err) == (code, True, False), ran.err


def test_the_page_is_true(sg: Node, scene: Scene) -> None:
    """The shell examples of docs/node.md, one after the other, with curl as an integrator has it: each is answered as the page says."""
    if shutil.which("curl") is None:
        pytest.skip("there is no curl here")
    text = "".join(block.text for block in blocks(ROOT / "docs" / "node.md", "sh") if "$NODE" in block.text or "ask()" in block.text)
    lines = [line for line in text.splitlines() if not line.startswith(("NODE=", "HERE="))]
    script = "\n".join(["set -euo pipefail", f"NODE={sg.url}", f"HERE={sg.folder}", *lines])
    done = subprocess.run(["bash", "-c", script], cwd=scene.program.folder, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout[-1500:] + done.stderr[-1500:]
    answers = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert [each.get("status") for each in answers[:2]] == ["ok", "ready"]
    assert answers[2]["recipients"][0]["agency"] == "MY-CUSTOMS"
    assert answers[3] == answers[4]
    assert answers[5]["outcome"] == "accepted"
    assert [each["outcome"] for each in answers[-3:]] == ["kept"] * 3


def test_stopped_in_good_order(scene: Scene) -> None:
    """SIGTERM while a stream is open: the stream ends, the process ends with 0 at once, and the next one goes on at the cursor."""
    home: Path = scene.exchange.home
    with node(scene.program, home, "DE-BAFA") as made, made.client() as client, client.stream("GET", "/inbox/events") as response:
        lines = response.iter_lines()
        assert next(lines) == "retry: 1000"
        made.running.process.send_signal(signal.SIGTERM)
        assert [line for line in lines if line.startswith("data")] == []
        assert made.running.wait(30).code == 0
