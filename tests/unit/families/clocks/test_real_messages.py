"""Lifecycles and clocks against whole messages of every family, as the codec gives them: with logical types and without."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from broker.errors import Refusal
from broker.families.catalogue import FAMILIES
from broker.families.clocks.arising import duties
from broker.families.clocks.dates import HOUR_MS, MINUTE_MS, end_of
from broker.families.clocks.settling import REPLIES, settle
from broker.families.lifecycles.effects import effects_of, handle
from broker.families.lifecycles.history import SubjectHistory, revision_of, status_at
from broker.families.lifecycles.tables import HANDLING, Progress, advance
from broker.families.message import Message
from broker.schema.avsc import read_text
from broker.storage.schemas import load_catalogue
from tests.support.headings import Signed
from tests.unit.families.samples import GOOD, ISSUED_MS

ME = "MY-CUSTOMS"
RAISED = {
    "alert": {"ACKNOWLEDGE", "FEEDBACK", "ERASE"},
    "licence": {"ACKNOWLEDGE", "ERASE"},
    "seizure": {"ACKNOWLEDGE", "ERASE"},
    "rfi": {"ACKNOWLEDGE", "ANSWER_RFI", "ERASE"},
    "recall": {"ANSWER_RECALL"},
    "fz_warning": {"ACKNOWLEDGE", "ERASE"},
    "entity_watch": {"ACKNOWLEDGE", "REVIEW_WATCH", "ERASE"},
    "consent_request": {"ACKNOWLEDGE", "ANSWER_CONSENT", "ERASE"},
    "consent_reply": {"CONSENT_ENDS", "ERASE"},
    "reachback": {"ACKNOWLEDGE", "ANSWER_REACHBACK", "ERASE"},
    "licit_movement": {"ACKNOWLEDGE", "OBJECT", "ERASE"},
    "licence_usage": {"ACKNOWLEDGE", "ERASE"},
    "correction": {"ACKNOWLEDGE", "ERASE"},
}
"""What the good message of each family begins; answers begin nothing but the day on which they are erased."""


def decoded(message: Message, *, logical: bool) -> dict[str, Any]:
    """The sections as they come out of the codec."""
    found: dict[str, Any] = {}
    for name, section in message.sections.items():
        schema = load_catalogue().current(message.family, name)
        assert schema is not None
        found[name] = schema.codec.decode(schema.codec.encode(section), logical=logical)
    return found


def heading(message: Message) -> Signed:
    issued = ISSUED_MS[message.family]
    return Signed(
        message.family, message.revision, message.subject, message.subject.partition("/")[0], issued, message.valid_from_ms,
        message.valid_until_ms, message.urgency, message.retention, message.correlation,
    )  # fmt: skip


def instant(value: object) -> int:
    assert isinstance(value, datetime)
    return int(value.astimezone(UTC).timestamp() * 1000)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_begins_its_duties(family: str) -> None:
    """The same duties whichever form the codec gave times and dates in, and exactly those of its family."""
    message = GOOD[family]()
    now = ISSUED_MS[family] + MINUTE_MS
    found = [duties(heading(message), decoded(message, logical=logical), ME, now) for logical in (True, False)]
    assert found[0] == found[1]
    assert {duty.kind for duty in found[0]} == RAISED.get(family, {"ERASE"})


@pytest.mark.parametrize("family", ["rfi", "recall", "consent_request", "reachback"])
def test_due_is_the_field_of_the_core(family: str) -> None:
    """The answer is due when the message says."""
    message = GOOD[family]()
    (due,) = [each.due_ms for each in duties(heading(message), decoded(message, logical=False), ME, 0) if each.kind.startswith("ANSWER")]
    assert due == instant(message.sections["core"]["due"])


def test_dates_are_the_fields_of_the_core() -> None:
    """Review of a watch, end of a consent, end of the time to object, feedback after the deadline."""
    cases = (
        ("entity_watch", "REVIEW_WATCH", "review_date"), ("consent_reply", "CONSENT_ENDS", "period_until"),
        ("licit_movement", "OBJECT", "objection_until"), ("alert", "FEEDBACK", "decision_deadline"),
    )  # fmt: skip
    for family, kind, name in cases:
        message = GOOD[family]()
        given: Any = message.sections["core"][name]
        expected = end_of(given) if kind == "REVIEW_WATCH" else instant(given) + (72 * HOUR_MS if kind == "FEEDBACK" else 0)
        (due,) = [each.due_ms for each in duties(heading(message), decoded(message, logical=False), ME, 0) if each.kind == kind]
        assert due == expected


def test_goods_in_the_zone_have_a_clock() -> None:
    """A warning of goods that are still in the zone begins the dwell clock from their way in."""
    message = GOOD["fz_warning"]()
    for logical in (True, False):
        sections = decoded(message, logical=logical)
        sections["core"]["transport_mode"], sections["core"]["dwell_limit_days"] = "SEA", None
        sections["movements"]["pairs"][0]["outbound"] = None
        kinds = [duty.kind for duty in duties(heading(message), sections, ME, 0)]
        assert kinds.count("LEAVE_ZONE") == kinds.count("WARN_OF_DWELL") == 1


@pytest.mark.parametrize("family", [*REPLIES, "ack"])
def test_real_answers_meet_duties(family: str) -> None:
    """The good answer of each family meets what its author owes about the subject that it names."""
    reply = GOOD[family]()
    target = reply.correlation.target or ""
    asked = {"feedback": "alert", "rfi_reply": "rfi", "consent_reply": "consent_request", "recall_reply": "recall", "ack": "alert",
             "reachback_reply": "reachback"}[family]  # fmt: skip
    author = heading(reply).originator
    question = Signed(asked, reply.correlation.target_revision or 1, target, target.partition("/")[0])
    owed = [each for each in duties(question, {"core": {}}, author, 0) if each.escalate_ms is not None]
    kind = REPLIES.get(family, "ACKNOWLEDGE")
    for logical in (True, False):
        core = decoded(reply, logical=logical)["core"]
        core |= {"status": "FULL"} if family == "rfi_reply" else {}
        assert kind in {duty.kind for duty in settle(owed, heading(reply), core).discharged}


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_has_a_life(family: str) -> None:
    """The good message of each family is a first move that its table allows, and stands; a recall is one on something."""
    message = GOOD[family]()
    core: Mapping[str, Any] = decoded(message, logical=False)["core"]
    of, state = ("alert", "ISSUED") if family == "recall" else (family, None)
    found = advance(of, state, core, message_family=family, revision=message.revision)
    assert isinstance(found, Progress)
    history = SubjectHistory().merge(revision_of(heading(message), core, b"leaf"))
    assert history.state == found.state.replace("RECALLED", history.state)
    now = ISSUED_MS[family]
    assert status_at(history, now + MINUTE_MS).standing == (family not in ("recall", "licence"))


@pytest.mark.parametrize(
    ("family", "name", "targets"),
    [
        ("feedback", "result", ("alert", "licit_movement")), ("rfi_reply", "status", ("rfi",)), ("recall_reply", "answer", ("recall",)),
        ("consent_reply", "decision", ("consent_request",)), ("reachback_reply", "status", ("reachback",)),
    ],
)  # fmt: skip
def test_every_answer_of_the_schemas_has_an_effect(family: str, name: str, targets: tuple[str, ...]) -> None:
    """No value of an answer's enumeration is without a move of the target's table."""
    section = load_catalogue().current(family, "core")
    assert section is not None
    schema: Any = read_text(section.text)
    kind = next(each["type"] for each in schema["fields"] if each["name"] == name)
    for symbol in kind["symbols"]:
        moves = [(target, move) for target in targets for move in effects_of(family, {name: symbol}, target)]
        assert moves, symbol
        for target, move in moves:
            assert move in HANDLING[target].move_names
        states = [handle(target, None, effects_of(family, {name: symbol}, target)) for target in targets]
        assert symbol == "WITHDRAW" or not any(isinstance(state, Refusal) for state in states)
