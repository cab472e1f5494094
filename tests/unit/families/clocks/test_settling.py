"""How duties are met, replaced, and what becomes of silence."""

from __future__ import annotations

import pytest

from broker.families.clocks.arising import duties
from broker.families.clocks.dates import DAY_MS, HOUR_MS, MINUTE_MS
from broker.families.clocks.duty import Chain, Contact, Duty, Escalation, escalations, next_due, overdue
from broker.families.clocks.settling import examined, settle, take
from tests.support.headings import Signed, answer, at

NOW = at("2026-01-01T10:00:00")
ME, OWNER, SUBJECT = "MY-CUSTOMS", "SG-CUSTOMS", "SG-CUSTOMS/2026/1"
CHAIN: Chain = (Contact("SG-CUSTOMS duty desk"), Contact("SG-CUSTOMS head of targeting", 4 * HOUR_MS))


def owed(kind: str, revision: int = 1, due: int = NOW) -> Duty:
    return Duty(kind, SUBJECT, revision, ME, OWNER, due, due + HOUR_MS)


ALL = [
    owed(kind) for kind in ("ACKNOWLEDGE", "FEEDBACK", "ANSWER_RFI", "ANSWER_CONSENT", "ANSWER_REACHBACK", "ANSWER_RECALL", "LICENCE_ENDS")
]


@pytest.mark.parametrize(
    ("family", "core", "met"),
    [
        ("ack", {"level": "L0"}, []),
        ("ack", {"level": "L2"}, []),
        ("ack", {"level": "L3"}, ["ACKNOWLEDGE"]),
        ("ack", {"level": "L4"}, ["ACKNOWLEDGE"]),
        ("ack", {"level": None, "refusal_code": "ILLEGAL_MOVE"}, ["ACKNOWLEDGE"]),
        ("feedback", {"result": "NO_MATCH"}, ["ACKNOWLEDGE", "FEEDBACK"]),
        ("rfi_reply", {"status": "REFUSED"}, ["ACKNOWLEDGE", "ANSWER_RFI"]),
        ("rfi_reply", {"status": "PARTIAL", "rest_due": None}, ["ACKNOWLEDGE", "ANSWER_RFI"]),
        ("rfi_reply", {"status": "PARTIAL", "rest_due": NOW + DAY_MS}, ["ACKNOWLEDGE"]),
        ("consent_reply", {"decision": "REFUSE"}, ["ACKNOWLEDGE", "ANSWER_CONSENT"]),
        ("reachback_reply", {"status": "FULL"}, ["ACKNOWLEDGE", "ANSWER_REACHBACK"]),
        ("recall_reply", {"answer": "CANNOT"}, ["ACKNOWLEDGE", "ANSWER_RECALL"]),
        ("licence", {"decision_type": "DETERMINATION"}, ["ANSWER_REACHBACK"]),
        ("licence", {"decision_type": "GRANT"}, []),
    ],
)
def test_which_answer_meets_which_duty(family: str, core: dict[str, object], met: list[str]) -> None:
    """An answer meets its own duty, and tells that its target was opened; what is below L3 does not. A no is an answer."""
    found = settle(ALL, answer(family, ME, SUBJECT, 1), core)
    assert [duty.kind for duty in found.discharged] == met
    assert len(found.open) + len(met) == len(ALL)


@pytest.mark.parametrize(
    ("by", "target", "revision"), [("AE-CUSTOMS", SUBJECT, 2), (ME, "SG-CUSTOMS/2026/2", 2), (ME, SUBJECT, 1)],
)  # fmt: skip
def test_what_meets_nothing(by: str, target: str, revision: int) -> None:
    """Another agency's answer, an answer about another subject, or about an older revision."""
    found = settle([owed("ACKNOWLEDGE", 2)], answer("ack", by, target, revision), {"level": "L3"})
    assert found.discharged == ()


def test_the_rest_of_a_partial_answer_is_due_when_it_says() -> None:
    """The duty stays open with its new time, and the duty contact's is moved as far."""
    found = settle([owed("ANSWER_RFI")], answer("rfi_reply", ME, SUBJECT), {"status": "PARTIAL", "rest_due": NOW + DAY_MS})
    assert found.open == (owed("ANSWER_RFI", due=NOW + DAY_MS),)


def test_a_later_revision_replaces_what_earlier_ones_began() -> None:
    """But who was silent stays silent: acknowledgements, and answers to a recall, are owed still."""
    found = settle(ALL, Signed("alert", revision=2), {})
    assert [duty.kind for duty in found.open] == ["ACKNOWLEDGE", "ANSWER_RECALL"]
    assert settle(ALL, Signed("alert", revision=1), {}).discharged == ()


def test_a_recall_ends_all_and_asks_for_one_answer() -> None:
    """Nothing is owed about a recalled subject but to say that it is gone."""
    alert = Signed("alert", retention="R5Y")
    before = duties(alert, {"core": {}}, ME, NOW)
    found = take(before, Signed("recall", revision=2), {"core": {"due": NOW + DAY_MS}}, ME, NOW)
    assert [duty.kind for duty in found.open] == ["ANSWER_RECALL"]
    assert set(found.discharged) == set(before)


def test_a_late_old_revision_begins_nothing() -> None:
    """A revision below the newest that was seen leaves the duties of that one as they are, and adds none."""
    newer = take((), Signed("alert", revision=3), {"core": {}}, ME, NOW)
    late = take(newer.open, Signed("alert", revision=2), {"core": {}}, ME, NOW + 1, newest=3)
    assert late == type(late)(newer.open, ())
    again = take(newer.open, Signed("alert", revision=3), {"core": {}}, ME, NOW, newest=3)
    assert again.open == newer.open


def test_feedback_is_due_72_hours_after_the_examination() -> None:
    """Whatever the anchor time was, and only of whom examined what."""
    before = [owed("FEEDBACK"), owed("ACKNOWLEDGE"), Duty("FEEDBACK", SUBJECT, 1, "AE-CUSTOMS", OWNER, NOW, NOW)]
    after = examined(before, SUBJECT, ME, NOW + HOUR_MS)
    assert after == (owed("FEEDBACK", due=NOW + 73 * HOUR_MS), *before[1:])


def test_overdue_is_from_the_moment_on() -> None:
    """A millisecond before it is not; the oldest comes first."""
    late, early = owed("FEEDBACK", due=NOW + 5), owed("ACKNOWLEDGE", due=NOW)
    assert overdue([late, early], NOW - 1) == []
    assert overdue([late, early], NOW) == [early]
    assert overdue([late, early], NOW + 5) == [early, late]
    assert next_due([late, early]) == NOW
    assert next_due([]) is None


def test_silence_climbs_the_chain_each_rung_once() -> None:
    """The originator when it is due, the duty contact at the time of escalation, the next above four hours later."""
    duty = duties(Signed("alert", urgency="FLASH"), {"core": {}}, ME, NOW)[0]
    told: set[Escalation] = set()
    heard: list[tuple[int, str]] = []
    for minute in range(600):
        for step in escalations([duty], NOW + minute * MINUTE_MS, CHAIN, told):
            told.add(step)
            heard.append((minute, step.to))
    assert heard == [(5, OWNER), (10, "SG-CUSTOMS duty desk"), (250, "SG-CUSTOMS head of targeting")]


def test_silence_is_told_in_full_after_a_pause() -> None:
    """Whoever looks only after a day hears every rung then, once; without a chain the originator alone; a date tells nobody."""
    duty = duties(Signed("alert", urgency="FLASH", retention="R30D"), {"core": {}}, ME, NOW)
    steps = escalations(duty[:1], NOW + DAY_MS, CHAIN)
    assert [(step.rung, step.to) for step in steps] == [(0, OWNER), (1, "SG-CUSTOMS duty desk"), (2, "SG-CUSTOMS head of targeting")]
    assert escalations(duty[:1], NOW + 30 * DAY_MS, CHAIN, steps) == []
    assert [step.to for step in escalations(duty[:1], NOW + DAY_MS, ())] == [OWNER]
    dates = [each for each in duty if each.escalate_ms is None]
    assert [each.kind for each in dates] == ["ERASE"]
    assert escalations(dates, NOW + 100 * DAY_MS, CHAIN) == []
    assert overdue(dates, NOW + 100 * DAY_MS) == dates
