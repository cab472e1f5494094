"""A file from one agency to another over a real exchange, its recall, and the same from the shell."""

from __future__ import annotations

import json
from collections.abc import Generator
from pathlib import Path

import pytest

from tests.e2e.attachments_show import LATE_S, Ground, file_of, ground, holds, kafka_log, measured, recall, secrets_of, send
from tests.e2e.licence_life import alert
from tests.e2e.program import Program

pytestmark = pytest.mark.kafka


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Generator[Ground]:
    """An exchange of four agencies with their nodes."""
    with ground(tmp_path_factory.mktemp("attached")) as found:
        yield found


def test_who_may_read_it_gets_it_and_nobody_else(made: Ground) -> None:
    """3 MB come out at MY-CUSTOMS byte for byte. DE-BAFA, which gets the alert without the section, has no piece of a chunk and no key: not
    in its inbox topic on Kafka's disk, not in any file of its home. After the recall no file of MY-CUSTOMS's home has any either."""
    data = file_of(3_000_000)
    sent = send(made, data)
    assert sent.bytes_there == data
    with made.client("DE-BAFA") as other:
        assert other.get(sent.path(sent.entry["digest"])).json()["code"] == "NOT_SHOWN"
    secret = secrets_of(made, sent)
    assert any(part in kafka_log(made, "MY-CUSTOMS") for part in secret)
    topic = kafka_log(made, "DE-BAFA")
    assert not any(part in topic for part in secret)
    assert holds(made.home("DE-BAFA"), *secret) == []
    recall(made, sent)
    with made.client("MY-CUSTOMS") as there:
        assert there.get(sent.path(sent.entry["digest"])).status_code in (403, 404)


def test_from_the_shell(made: Ground, tmp_path: Path) -> None:
    """TH-CUSTOMS, without a node, publishes an alert with a picture and saves one that came: `broker publish --attach`, `broker attachment
    list` and `save`; a file that is there is not replaced."""
    program, home = Program(tmp_path), made.exchange.home
    made.nodes["TH-CUSTOMS"].running.process.terminate()
    made.nodes["TH-CUSTOMS"].running.wait(30)
    picture, file = tmp_path / "doors.png", tmp_path / "alert.json"
    picture.write_bytes(file_of(700_000))
    message = json.loads(json.dumps(alert(name="S-1")).replace("SG-CUSTOMS/", "TH-CUSTOMS/"))
    file.write_text(json.dumps(message))
    ran = program.run("publish", file, "--attach", picture, "--as", "TH-CUSTOMS", "--json", "--home", home).must()
    assert "attachments" in ran.line["recipients"][0]["sections"]
    back = json.loads(json.dumps(alert(name="S-2")).replace("MY-CUSTOMS", "TH-CUSTOMS"))
    with made.client("SG-CUSTOMS") as here:
        entry = here.put("/attachments", params={"name": "back.png"}, content=picture.read_bytes()).json()
        back["sections"]["attachments"] = {"files": [entry]}
        kept = here.post("/messages", json=back)
        assert here.get(kept.headers["location"], params={"wait": 30}).json()["outcome"] == "accepted"
    arguments = ("SG-CUSTOMS/2026/S-2", "--as", "TH-CUSTOMS", "--json", "--home", home)
    (line,) = program.run("attachment", "list", *arguments).must().lines
    while not line["whole"]:
        (line,) = program.run("attachment", "list", *arguments).must().lines
    saved = tmp_path / "saved.png"
    program.run("attachment", "save", "SG-CUSTOMS/2026/S-2", line["digest"][:12], saved, *arguments[1:]).must()
    assert saved.read_bytes() == picture.read_bytes()
    again = program.run("attachment", "save", "SG-CUSTOMS/2026/S-2", line["digest"][:12], saved, *arguments[1:])
    assert (again.code, "cannot be written" in again.err) == (2, True)


@pytest.mark.soak
def test_fifty_mebibytes_delay_no_urgent_alert(made: Ground) -> None:
    """The largest file that there may be comes whole, while every urgent alert of another agency to the same recipient comes within
    2 seconds, and the relay worker stays below 300 MB."""
    data = file_of(50 << 20)
    sent, beside = measured(made, lambda: send(made, data, "F-50"))
    assert sent.bytes_there == data
    assert max(beside) <= LATE_S
    assert max(made.exchange.relay_peaks_kib()) <= 300 * 1024
