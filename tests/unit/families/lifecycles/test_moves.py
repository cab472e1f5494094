"""How messages say their moves, and where they take their own subject or the one they answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from broker.errors import Refusal
from broker.families.lifecycles.effects import effects_of, handle
from broker.families.lifecycles.machine import OWNER, RECIPIENT
from broker.families.lifecycles.tables import HANDLING, JOINT, PUBLICATION, Progress, advance, initial_of, machines_of, move_of
from broker.schema.avsc import read_text
from broker.storage.schemas import load_catalogue

EFFECTIVE = 1_790_000_000_000


def symbols(family: str, field: str) -> list[str]:
    """The values of an enumeration in a core section."""
    section = load_catalogue().current(family, "core")
    assert section is not None
    schema: Any = read_text(section.text)
    kind = next(each["type"] for each in schema["fields"] if each["name"] == field)
    return list(kind["symbols"])


def licence(decision: str, **core: object) -> dict[str, object]:
    return {"decision_type": decision, "effective_at": EFFECTIVE, "final_assessment": "reviewed", **core}


def walked(family: str, *cores: Mapping[str, object]) -> Progress | Refusal:
    """A subject after these revisions."""
    state: str | None = None
    found: Progress | Refusal = Refusal("ILLEGAL_MOVE", "nothing was said")
    for revision, core in enumerate(cores, 1):
        message_family = str(core.get("family", family))
        found = advance(family, state, core, message_family=message_family, revision=revision)
        if isinstance(found, Refusal):
            return found
        state = found.state
    return found


RECALL: dict[str, object] = {"family": "recall", "reason": "ERROR"}


def test_every_decision_of_the_schema_is_a_move() -> None:
    """No decision type of the licence's schema is without a place in the table."""
    for decision in symbols("licence", "decision_type"):
        assert move_of("licence", licence(decision)) in PUBLICATION["licence"][0].move_names


def test_every_stage_and_event_of_a_seizure_is_a_move() -> None:
    """No stage and no event type of the seizure's schema is without a place, and a report may begin with any of them."""
    report, goods = PUBLICATION["seizure"]
    for stage in symbols("seizure", "stage"):
        for event in symbols("seizure", "event_type"):
            first, second = move_of("seizure", {"stage": stage, "event_type": event}).split(JOINT)
            assert first in report.move_names
            assert second in goods.move_names
            assert isinstance(walked("seizure", {"stage": stage, "event_type": event}), Progress)


@pytest.mark.parametrize(
    ("core", "move"),
    [
        ({}, "RENEW_DENIAL"),
        ({"expires_at": EFFECTIVE + 1}, "RENEW_DENIAL"),
        ({"expires_at": EFFECTIVE}, "LIFT_DENIAL"),
        ({"expires_at": EFFECTIVE - 1}, "LIFT_DENIAL"),
        ({"expires_at": EFFECTIVE, "effective_at": None}, "RENEW_DENIAL"),
    ],
)
def test_a_denial_stands_after_its_review_in_doubt(core: dict[str, object], move: str) -> None:
    """A review lifts a denial by ending it when it takes effect; anything else lets it stand."""
    assert move_of("licence", licence("DENY_REVIEW", **core)) == move


@pytest.mark.parametrize(
    ("decisions", "state"),
    [
        (["GRANT"], "GRANTED"),
        (["GRANT", "AMEND", "AMEND"], "AMENDED"),
        (["GRANT", "SUSPEND", "REINSTATE"], "REINSTATED"),
        (["GRANT", "SUSPEND", "SUSPEND", "REVOKE", "REVOKE"], "REVOKED"),
        (["REVOKE"], "REVOKED"),
        (["SUSPEND"], "SUSPENDED"),
        (["DENY", "DENY_REVIEW"], "DENIAL_RENEWED"),
        (["CATCHALL_IMPOSE", "CATCHALL_LIFT"], "CATCHALL_LIFTED"),
        (["DETERMINATION"], "DETERMINED"),
    ],
)
def test_lives_of_licences(decisions: list[str], state: str) -> None:
    """Ordinary lives, and licences that were suspended or revoked before anybody published them here."""
    found = walked("licence", *(licence(decision) for decision in decisions))
    assert isinstance(found, Progress)
    assert found.state == state


@pytest.mark.parametrize(
    ("decisions", "allowed"),
    [
        (["REINSTATE"], "GRANT, AMEND, SUBSTANTIALLY_LIMIT, SUSPEND, REVOKE, ANNUL, EXPIRE, EXHAUST, SURRENDER, DENY, CATCHALL_IMPOSE"),
        (["GRANT", "REVOKE", "GRANT"], "REVOKE, RECALL"),
        (["GRANT", "REVOKE", "REINSTATE"], "REVOKE, RECALL"),
        (["GRANT", "SUSPEND", "AMEND"], "SUBSTANTIALLY_LIMIT, SUSPEND, REINSTATE, REVOKE, ANNUL, EXPIRE, SURRENDER, RECALL"),
        (["GRANT", "EXPIRE", "AMEND"], "RECALL"),
        (["DENY", "GRANT"], "RENEW_DENIAL, AMEND_DENIAL, LIFT_DENIAL, RECALL"),
    ],
)
def test_what_a_licence_cannot_do(decisions: list[str], allowed: str) -> None:
    """Nothing gives back what was ended, and the refusal lists what the authority may say instead."""
    found = walked("licence", *(licence(decision) for decision in decisions))
    assert isinstance(found, Refusal)
    assert found.code == "ILLEGAL_MOVE"
    assert found.reason.partition("allowed are: ")[2].startswith(allowed)


@pytest.mark.parametrize("family", ["alert", "rfi", "ack", "feedback", "entity_watch", "fz_warning", "correction"])
def test_a_family_without_decisions_begins_and_goes_on(family: str) -> None:
    """The first revision begins, each later one amends; where the first never came here, a later one begins."""
    machine = machines_of(family)[0]
    first = advance(family, None, None, message_family=family, revision=1)
    assert isinstance(first, Progress)
    later = advance(family, first.state, None, message_family=family, revision=2)
    alone = advance(family, None, None, message_family=family, revision=7)
    assert isinstance(later, Progress)
    assert later == alone
    assert {first.state, later.state} <= machine.standing


@pytest.mark.parametrize("family", ["alert", "licence", "seizure", "rfi", "entity_watch", "fz_warning"])
def test_nothing_follows_a_recall(family: str) -> None:
    """A recall is taken on a subject of any family, and is the last word: neither an amendment nor a second recall follows."""
    core = {**licence("GRANT"), "stage": "FINAL", "event_type": "SEIZURE"}
    recalled = walked(family, core, RECALL)
    assert isinstance(recalled, Progress)
    assert recalled == Progress(family, "RECALL", JOINT.join("RECALLED" for _ in machines_of(family)))
    for last in (core, RECALL):
        after = walked(family, core, RECALL, last)
        assert isinstance(after, Refusal)
        assert (after.code, after.reason.partition("; ")[2]) == ("ILLEGAL_MOVE", "no move is allowed")


def test_what_was_never_published_cannot_be_recalled() -> None:
    """A recall of an unknown subject is refused."""
    found = walked("recall", RECALL)
    assert isinstance(found, Refusal)
    assert found.code == "ILLEGAL_MOVE"


@pytest.mark.parametrize("actor", [RECIPIENT, "auditor"])
def test_only_the_originator_amends_and_recalls(actor: str) -> None:
    """Everybody else is refused."""
    for family in ("alert", "licence"):
        for message_family, core in ((family, licence("AMEND")), ("recall", RECALL)):
            state = "GRANTED" if family == "licence" else "ISSUED"
            found = advance(family, state, core, message_family=message_family, revision=2, actor=actor)
            assert isinstance(found, Refusal)
            assert f"a move of the {OWNER}" in found.reason


@pytest.mark.parametrize(
    ("steps", "state"),
    [
        ([("PRELIMINARY", "DETENTION"), ("CONFIRMED", "SEIZURE"), ("FINAL", "FORFEITURE")], "FINAL+FORFEITED"),
        ([("PRELIMINARY", "DETENTION"), ("FINAL", "RETURN")], "FINAL+RELEASED"),
        ([("CONFIRMED", "SEIZURE"), ("FINAL", "RETURN")], "FINAL+RETURNED"),
        ([("FINAL", "SEIZURE"), ("FINAL", "SEIZURE")], "CORRECTED+SEIZED"),
        ([("PRELIMINARY", "SEIZURE"), ("PRELIMINARY", "THEFT_LOSS"), ("CONFIRMED", "SEIZURE")], "CONFIRMED+SEIZED"),
    ],
)
def test_lives_of_seizures(steps: list[tuple[str, str]], state: str) -> None:
    """The report and the goods move side by side."""
    found = walked("seizure", *({"stage": stage, "event_type": event} for stage, event in steps))
    assert isinstance(found, Progress)
    assert found.state == state


@pytest.mark.parametrize(
    ("steps", "why"),
    [
        ([("CONFIRMED", "SEIZURE"), ("PRELIMINARY", "SEIZURE")], "REPORT does not follow CONFIRMED"),
        ([("FINAL", "SEIZURE"), ("CONFIRMED", "SEIZURE")], "CONFIRM does not follow FINAL"),
        ([("PRELIMINARY", "SEIZURE"), ("CONFIRMED", "DETENTION")], "DETAIN does not follow SEIZED"),
        ([("PRELIMINARY", "RETURN"), ("CONFIRMED", "FORFEITURE")], "FORFEIT does not follow RETURNED"),
    ],
)
def test_what_a_seizure_cannot_do(steps: list[tuple[str, str]], why: str) -> None:
    """Neither the report nor the goods go back, and the refusal names the one that would."""
    found = walked("seizure", *({"stage": stage, "event_type": event} for stage, event in steps))
    assert isinstance(found, Refusal)
    assert found.reason.startswith(why)


@pytest.mark.parametrize(
    ("family", "state", "decision", "after"),
    [("licence", "", "AMEND", "AMENDED"), ("licence", "", "REINSTATE", "REINSTATED"), ("alert", "", "", "AMENDED")],
)
def test_a_subject_of_unknown_state_takes_any_move(family: str, state: str, decision: str, after: str) -> None:
    """Rows written before states were kept say nothing of the state: the next revision is believed."""
    found = advance(family, state, licence(decision), message_family=family, revision=5)
    assert isinstance(found, Progress)
    assert found.state == after


@pytest.mark.parametrize("state", ["A+B+C", "GRANTED+SEIZED", "UNHEARD_OF"])
def test_a_strange_state_is_no_exception(state: str) -> None:
    """Whatever the row says: a value comes back."""
    for family in ("licence", "seizure", "alert"):
        core = {**licence("AMEND"), "stage": "FINAL", "event_type": "SEIZURE"}
        assert isinstance(advance(family, state, core, message_family=family, revision=3), Progress | Refusal)


# ── answers ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("family", "core", "target", "before", "after"),
    [
        ("ack", {"level": "L3"}, "alert", None, "INGESTED"),
        ("ack", {"level": "L4"}, "alert", None, "TASKED"),
        ("ack", {"level": "L3"}, "alert", "TASKED", "TASKED"),
        ("ack", {"level": "L3"}, "alert", "FEEDBACK_SENT", "FEEDBACK_SENT"),
        ("ack", {"level": "L1"}, "alert", None, "DELIVERED"),
        ("ack", {"level": None}, "alert", None, "DELIVERED"),
        ("feedback", {"result": "NO_MATCH"}, "alert", None, "FEEDBACK_SENT"),
        ("feedback", {"result": "EXAMINED_POSITIVE"}, "alert", "INGESTED", "FEEDBACK_SENT"),
        ("feedback", {"result": "DEPARTED"}, "alert", "FEEDBACK_SENT", "FEEDBACK_SENT"),
        ("feedback", {"result": "INCONCLUSIVE"}, "alert", "REACHBACK", "FEEDBACK_SENT"),
        ("ack", {"level": "L3"}, "rfi", None, "ACKNOWLEDGED"),
        ("ack", {"level": "L4"}, "rfi", None, "ACCEPTED"),
        ("rfi_reply", {"status": "PARTIAL"}, "rfi", None, "PARTLY_ANSWERED"),
        ("rfi_reply", {"status": "FULL"}, "rfi", "PARTLY_ANSWERED", "ANSWERED"),
        ("rfi_reply", {"status": "NO_DATA"}, "rfi", "ACCEPTED", "ANSWERED"),
        ("rfi_reply", {"status": "REFUSED"}, "rfi", None, "REFUSED"),
        ("rfi_reply", {"status": "REDIRECTED"}, "rfi", None, "REDIRECTED"),
        ("consent_reply", {"decision": "GRANT"}, "consent_request", None, "GRANTED"),
        ("consent_reply", {"decision": "GRANT_WITH_LIMIT"}, "consent_request", "REFUSED", "GRANTED_WITH_LIMIT"),
        ("consent_reply", {"decision": "WITHDRAW"}, "consent_request", "GRANTED", "WITHDRAWN"),
        ("recall_reply", {"answer": "STOPPED"}, "recall", None, "STOPPED"),
        ("recall_reply", {"answer": "DELETED"}, "recall", "SILENT", "DELETED"),
        ("recall_reply", {"answer": "CANNOT"}, "recall", "OPEN", "CANNOT"),
        ("reachback_reply", {"status": "NEEDS_SAMPLE"}, "reachback", None, "SAMPLE_WANTED"),
        ("reachback_reply", {"status": "FULL"}, "reachback", "SAMPLE_WANTED", "DETERMINED"),
        ("licence", {"decision_type": "DETERMINATION"}, "reachback", None, "DETERMINED"),
        ("feedback", {"result": "OBJECTION"}, "licit_movement", None, "OBJECTED"),
        ("feedback", {"result": "NO_OBJECTION"}, "licit_movement", "ACKNOWLEDGED", "CLEARED"),
        ("ack", {"level": None}, "correction", None, "DECLINED"),
        ("correction", {"correction_kind": "OWNER_RECORD"}, "correction", None, "ADOPTED"),
    ],
)
def test_what_answers_do(family: str, core: dict[str, object], target: str, before: str | None, after: str) -> None:
    """Each answer moves its author's handling of the target, over steps that were not told; a lesser acknowledgement moves nothing."""
    assert handle(target, before, effects_of(family, core, target)) == after


@pytest.mark.parametrize(
    ("family", "core", "target", "before"),
    [
        ("ack", {"level": "L4"}, "alert", "NO_MATCH"),
        ("rfi_reply", {"status": "REFUSED"}, "rfi", "ANSWERED"),
        ("consent_reply", {"decision": "WITHDRAW"}, "consent_request", "REFUSED"),
        ("consent_reply", {"decision": "GRANT"}, "consent_request", "WITHDRAWN"),
        ("recall_reply", {"answer": "CANNOT"}, "recall", "DELETED"),
        ("feedback", {"result": "NO_OBJECTION"}, "licit_movement", "OBJECTED"),
    ],
)
def test_answers_that_do_not_fit(family: str, core: dict[str, object], target: str, before: str) -> None:
    """An answer that the handling does not allow is refused with the moves that it does."""
    found = handle(target, before, effects_of(family, core, target))
    assert isinstance(found, Refusal)
    assert found.code == "ILLEGAL_MOVE"


@pytest.mark.parametrize(("family", "core"), [("alert", {}), ("licence_usage", {}), ("ack", {"level": "L3"}), ("feedback", {})])
def test_other_messages_move_nobody_elses_subject(family: str, core: dict[str, object]) -> None:
    """What is no answer to a subject of this family has no effect on it."""
    assert effects_of(family, core, "licence") == ()


def test_every_handling_begins_where_its_table_does() -> None:
    """No moves, no change; a subject of which nothing was published stands at the beginning of its tables."""
    for family, machine in HANDLING.items():
        assert handle(family, None, ()) == machine.initial
    assert initial_of("seizure") == "DRAFT+UNKNOWN"
