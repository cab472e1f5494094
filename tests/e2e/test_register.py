"""The register from the command line, over a real exchange: three agencies, a licence's life, an alert that cites it, Kafka gone."""

from __future__ import annotations

import json
import signal
from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.e2e.licence_life import Scene, alert, licence_scene
from tests.e2e.licence_show import show_delays, show_life
from tests.e2e.program import Json
from tests.e2e.report import Report
from tests.e2e.test_cli import called

pytestmark = pytest.mark.kafka


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Generator[Scene]:
    """`broker up` with the three."""
    with licence_scene(tmp_path_factory.mktemp("register")) as made:
        yield made


@pytest.fixture(scope="module")
def joined(scene: Scene) -> Path:
    """A home with members."""
    return scene.exchange.home


def test_a_licence_at_three_agencies(scene: Scene) -> None:
    """Granted, suspended, reinstated, partly used, revoked: after each step the issuer and both customs services show the same; the alert
    that cites it is flagged while it is stopped, with the in-transit instruction."""
    unknown = scene.licence("DE-BAFA", code=1)
    assert (unknown["status"], unknown["as_of"], unknown["reachable"]) == (None, None, True)
    report = Report()
    show_life(report, scene, told=False)
    assert report.failures == []
    assert [found["subject"] for found in scene.alerts("--party", "romashka", "--licence", "2026-0815")] == ["SG-CUSTOMS/2026/1"]
    assert scene.alerts("--party", "Rosmarin") == []
    (flag,) = scene.call("register", "flags", "--as", "MY-CUSTOMS", "--json").lines
    assert (flag["code"], flag["instruction"]) == ("LICENCE_REVOKED", "RETURN")
    text = scene.call("licence", "show", "2026-0815", "--as", "SG-CUSTOMS").out
    assert "REVOKED" in text
    assert "shipments in transit: RETURN" in text


def test_followed_while_others_look(scene: Scene) -> None:
    """`register follow` keeps it; look-ups of other processes read it meanwhile and say so; Ctrl-C ends it with 130."""
    with scene.program.started("register", "follow", "--as", "MY-CUSTOMS", "--home", scene.exchange.home) as following:
        scene.publish(alert(2))
        for _ in range(50):  # each look-up is a process of its own: no pause is needed
            (found,) = scene.alerts("--document", "hlcu-1")
            if found["revision"] == 2 and found["reachable"] is None:
                break
        else:
            pytest.fail("the second revision did not come by way of the process that follows")
        assert found["note"] == "another process keeps this register"
        following.process.send_signal(signal.SIGINT)
        assert following.wait().code == 130


def question(due: datetime) -> Json:
    """What SG-CUSTOMS asks MY-CUSTOMS, to be answered by then."""
    return {
        "family": "rfi", "subject": "SG-CUSTOMS/2026/Q-1", "revision": 1,
        "header": {"urgency": "IMMEDIATE", "audience": {"agencies": ["MY-CUSTOMS"]}},
        "sections": {
            "core": {
                "question_codes": ["END_USER_KNOWN"], "subject_ids": ["SG-CUSTOMS/2026/1"], "third_party_consent": False,
                "due": due.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            }
        },
    }  # fmt: skip


def test_duties_at_both_sides(scene: Scene) -> None:
    """A question is open at the agency asked and at the one that asks, with what meets it. When its time is over, `register follow` says
    who is to be told, once; `broker duties` shows it. `subscribe --ack` acknowledges, each delivery once however often it is read."""
    scene.publish(question(datetime.now(UTC) + timedelta(seconds=15)))
    owed = scene.duties("MY-CUSTOMS")["ANSWER_RFI"]
    assert (owed["debtor"], owed["creditor"], owed["owed_by_us"], owed["revision"]) == ("MY-CUSTOMS", "SG-CUSTOMS", True, 1)
    assert "rfi_reply" in owed["discharge"]
    with scene.program.started("register", "follow", "--as", "SG-CUSTOMS", "--json", "--home", scene.exchange.home) as following:
        told = json.loads(following.first_line(60))
        following.process.send_signal(signal.SIGINT)
        assert following.wait().code == 130
    assert (told["event"], told["kind"], told["rung"], told["to"]) == ("escalation", "ANSWER_RFI", 0, "SG-CUSTOMS")
    late = scene.duties("SG-CUSTOMS", "--overdue")
    assert set(late) == {"ANSWER_RFI"}
    assert late["ANSWER_RFI"]["overdue"] is True
    assert [each["to"] for each in late["ANSWER_RFI"]["told"]] == ["SG-CUSTOMS"]
    text = scene.call("duties", "--as", "SG-CUSTOMS", "--overdue").out
    assert "overdue by" in text
    assert "told SG-CUSTOMS" in text
    assert "ACKNOWLEDGE" in scene.duties("SG-CUSTOMS")
    reading = ("subscribe", "--as", "MY-CUSTOMS", "--from", "beginning", "--timeout", "3", "--ack", "L3", "--json")
    acks = [[line["ack"] for line in scene.call(*reading).lines] for _ in range(2)]
    assert acks[0] == acks[1]
    assert len(set(acks[0])) == len(acks[0]) > 1
    for agency in ("SG-CUSTOMS", "MY-CUSTOMS"):
        open_now = scene.call("duties", "--as", agency, "--json").lines
        assert [each for each in open_now if (each["kind"], each["debtor"]) == ("ACKNOWLEDGE", "MY-CUSTOMS")] == []
    (found,) = scene.call("alert", "find", "--container", "CSQU3054383", "--as", "SG-CUSTOMS", "--json").lines
    assert [link["kind"] for link in found["links"]] == ["ACK", "ACK"]  # one for each of its two revisions


def test_contacts_that_are_none(scene: Scene) -> None:
    """A wrong contacts.json ends with 2, the file's name and how it is written; nothing else is broken by it."""
    contacts = scene.exchange.home / "agencies" / "SG-CUSTOMS" / "contacts.json"
    contacts.write_text('{"contacts": ["me"]}')
    assert "after_minutes" in scene.call("duties", "--as", "SG-CUSTOMS", code=2).err
    contacts.write_text('{"contacts": [{"name": "DUTY_OFFICER"}]}')
    scene.duties("SG-CUSTOMS")


def test_a_flag_comes_within_a_second(scene: Scene) -> None:
    """From the relay's admission to the row in a recipient's register, five times each: a suspension, a reinstatement, an alert that cites
    a suspended licence."""
    report = Report()
    show_delays(report, scene, 5)
    assert report.failures == []


def test_while_kafka_is_away(scene: Scene) -> None:
    """Nobody listens at the address: the answer is what is stored, with its age and the reason; an agency that has stored nothing ends
    with 3."""
    away = ("--bootstrap", "127.0.0.1:9", "--wait", "1")
    shown = scene.licence("SG-CUSTOMS", *away)
    assert (shown["status"], shown["reachable"]) == ("REVOKED", False)
    assert shown["as_of"] is not None
    assert shown["note"]
    for register in scene.exchange.home.glob("agencies/DE-BAFA/register.sqlite*"):
        register.unlink()
    empty = scene.call("alert", "find", "--container", "CSQU3054383", "--as", "DE-BAFA", *away, code=3)
    assert "the register is empty" in empty.err
    doubtful = scene.call("alert", "find", "--container", "CSQU3054384", "--as", "MY-CUSTOMS", *away)
    assert "CSQU3054383" in doubtful.err, "the number that was mistyped, with the digit that it should have"


@pytest.mark.parametrize(
    "arguments",
    [
        ("alert", "find"),
        ("alert", "find", "--container", "%"),
        ("licence", "show", "1", "--wait", "0"),
        ("licence", "show", "/./"),
        ("duties", "--wait", "700"),
    ],
)
def test_wrong_use(arguments: tuple[str, ...], joined: Path) -> None:
    """Nothing to look for, signs only, or a wait that is none: exit code 2 and what to give."""
    code, _, err = called(*arguments, "--as", "SG-CUSTOMS", "--home", str(joined))
    assert code == 2
    assert "nothing to look for" in err or "out of range" in err
