"""The register from the command line, over a real exchange: three agencies, a licence's life, an alert that cites it, Kafka gone."""

from __future__ import annotations

import json
import signal
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.program import Json, LocalExchange, Program, Ran, local_exchange, write_jsonl
from tests.e2e.test_cli import called

LICENCE = "DE-BAFA/2026/L-0815"
READERS = ("SG-CUSTOMS", "MY-CUSTOMS", "DE-BAFA")
DAY = "2026-10-01T00:00:00Z"

pytestmark = pytest.mark.kafka


def decision(decision_type: str, revision: int, **core: Any) -> Json:
    """A decision for both customs services."""
    return {
        "family": "licence", "subject": LICENCE, "revision": revision,
        "header": {"purposes": ["LICENSING"], "audience": {"agencies": ["SG-CUSTOMS", "MY-CUSTOMS"]}},
        "sections": {
            "core": {
                "decision_type": decision_type, "authority": "DE-BAFA", "licence_no": "2026-0815", "licence_type": "INDIVIDUAL",
                "effective_at": DAY, "published_at": DAY, "destinations": ["AE"], **core,
            },
            "items": {"items": [{"line": 1, "description": "press", "quantity_granted": "4", "quantity_remaining": "4", "unit": "H87"}]},
        },
    }  # fmt: skip


def alert(revision: int = 1) -> Json:
    """An alert for MY-CUSTOMS that cites the licence."""
    return {
        "family": "alert", "subject": "SG-CUSTOMS/2026/1", "revision": revision,
        "header": {"audience": {"agencies": ["MY-CUSTOMS"]}, "valid_until": "2099-06-30T00:00:00Z"},
        "sections": {
            "core": {
                "alert_type": "SHIPMENT", "risk_category": "OTHER", "indicators": [{"code": "X-1"}], "requested_actions": ["ASSESS_ONLY"],
                "transport_mode": "SEA", "documents": [{"type": "N705", "id": "HLCU1"}],
                "licence_refs": [{"authority": "DE-BAFA", "licence_no": "2026-0815", "resolved": False}],
            },
            "equipment": {"units": [{"id": "CSQU3054383"}]},
            "parties": {"parties": [{"role": "CONSIGNEE", "name": "ООО «Ромашка»", "person_type": "2"}]},
        },
    }  # fmt: skip


@dataclass
class Scene:
    """A running exchange with two customs services and a licensing authority in one home."""

    program: Program
    exchange: LocalExchange
    published: int = 0

    def call(self, *arguments: str | Path, code: int = 0) -> Ran:
        return self.program.run(*arguments, "--home", self.exchange.home).must(code)

    def publish(self, message: Json) -> None:
        self.published += 1
        file = write_jsonl(self.program.folder / f"m{self.published}.jsonl", [message])
        owner = message["subject"].partition("/")[0]
        assert self.call("publish", file, "--as", owner, "--json").line["outcome"] == "accepted"

    def licence(self, agency: str, *more: str, code: int = 0) -> Json:
        return self.call("licence", "show", "2026 0815", "--as", agency, "--json", *more, code=code).line

    def duties(self, agency: str, *more: str) -> dict[str, Json]:
        """What is open, by kind."""
        return {line["kind"]: line for line in self.call("duties", "--as", agency, "--json", *more).lines}

    def alerts(self, *keys: str) -> Sequence[Json]:
        return self.call("alert", "find", *keys, "--as", "MY-CUSTOMS", "--json").lines


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Generator[Scene]:
    """`broker up` with the three."""
    program = Program(tmp_path_factory.mktemp("register"))
    agencies = program.folder / "agencies.json"
    kinds = {"SG-CUSTOMS": "customs", "MY-CUSTOMS": "customs", "DE-BAFA": "licensing"}
    agencies.write_text(json.dumps([{"id": agency, "kind": kind} for agency, kind in kinds.items()]))
    with local_exchange(program, program.folder / "home", "--agencies", agencies) as exchange:
        yield Scene(program, exchange)


@pytest.fixture(scope="module")
def joined(scene: Scene) -> Path:
    """A home with members."""
    return scene.exchange.home


def test_a_licence_at_three_agencies(scene: Scene) -> None:
    """Granted, suspended, reinstated, revoked: after each step the issuer and both customs services show the same; the alert that cites
    it is flagged while it is stopped, with the in-transit instruction; then Kafka goes, and the register still answers, with its age."""
    unknown = scene.licence("DE-BAFA", code=1)  # from here on its own decisions come into its register
    assert (unknown["status"], unknown["as_of"], unknown["reachable"]) == (None, None, True)
    scene.publish(alert())
    steps: tuple[tuple[str, dict[str, Any], str, list[str]], ...] = (
        ("GRANT", {}, "VALID", []),
        ("SUSPEND", {"shipments_in_transit_instruction": "HOLD"}, "SUSPENDED", ["LICENCE_SUSPENDED"]),
        ("REINSTATE", {"final_assessment": "cleared"}, "VALID", []),
        ("REVOKE", {"shipments_in_transit_instruction": "RETURN"}, "REVOKED", ["LICENCE_REVOKED"]),
    )
    for revision, (kind, core, status, flags) in enumerate(steps, 1):
        scene.publish(decision(kind, revision, **core))
        for agency in READERS:
            shown = scene.licence(agency)
            assert (shown["status"], shown["revision"], shown["reachable"]) == (status, revision, True), agency
            assert shown["instruction"] == core.get("shipments_in_transit_instruction")
            assert shown["items"][0]["remaining"] == "4"
            assert shown["as_of"] >= shown["admitted_at"]
        (found,) = scene.alerts("--container", "csqu 305438-3")
        assert [flag["code"] for flag in found["flags"]] == flags
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


@pytest.mark.parametrize(
    "arguments",
    [("alert", "find"), ("alert", "find", "--container", "%"), ("licence", "show", "1", "--wait", "0"), ("duties", "--wait", "700")],
)
def test_wrong_use(arguments: tuple[str, ...], joined: Path) -> None:
    """Nothing to look for, signs only, or a wait that is none: exit code 2 and what to give."""
    code, _, err = called(*arguments, "--as", "SG-CUSTOMS", "--home", str(joined))
    assert code == 2
    assert "nothing to look for" in err or "out of range" in err
