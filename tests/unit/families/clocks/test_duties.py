"""Which duties messages begin, and when they are due."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

import pytest

from broker.families.clocks.arising import duties, erase_at
from broker.families.clocks.dates import DAY_MS, HOUR_MS, MINUTE_MS
from broker.families.clocks.duty import KINDS, Duty
from broker.families.clocks.dwell import breached_at, dwell_day, warns_at
from tests.support.headings import Signed, at

NOW = at("2026-01-01T10:00:00")
ME = "MY-CUSTOMS"


def begun(header: Signed, core: Mapping[str, Any] | None = None, recipient: str = ME, **sections: Any) -> dict[str, Duty]:
    """The duties of a delivery at NOW, by kind."""
    found = duties(header, {"core": core or {}, **sections}, recipient, NOW)
    kinds = {duty.kind: duty for duty in found}
    assert len(kinds) == len(found)
    assert set(kinds) <= set(KINDS)
    return kinds


@pytest.mark.parametrize(("urgency", "minutes"), [("FLASH", 5), ("IMMEDIATE", 30), ("PRIORITY", 240), ("ROUTINE", 1440)])
def test_acknowledgement_by_urgency(urgency: str, minutes: int) -> None:
    """Due so long after delivery, and to the duty contact after as long again; owed by the recipient to the originator."""
    found = begun(Signed("alert", urgency=urgency))["ACKNOWLEDGE"]
    assert (found.due_ms, found.escalate_ms) == (NOW + minutes * MINUTE_MS, NOW + 2 * minutes * MINUTE_MS)
    assert (found.debtor, found.creditor, found.subject, found.revision) == (ME, "SG-CUSTOMS", "SG-CUSTOMS/2026/1", 1)


@pytest.mark.parametrize("family", ["ack", "feedback", "rfi_reply", "consent_reply", "recall_reply", "reachback_reply", "recall"])
def test_answers_are_not_acknowledged(family: str) -> None:
    """Acknowledging an answer would never end; a recall is answered, not acknowledged."""
    assert "ACKNOWLEDGE" not in begun(Signed(family))


@pytest.mark.parametrize(
    ("deadline", "valid_until", "due"),
    [
        (at("2026-01-05"), at("2026-03-01"), at("2026-01-08")),
        (None, at("2026-03-01"), at("2026-03-04")),
        (None, None, NOW + 72 * HOUR_MS),
        (at("2025-12-01"), at("2026-03-01"), NOW + 72 * HOUR_MS),
    ],
)
def test_feedback_after_the_anchor_time(deadline: int | None, valid_until: int | None, due: int) -> None:
    """72 hours after the deadline of the decision, else after the alert's validity; never before it was delivered."""
    assert begun(Signed("alert", valid_until=valid_until), {"decision_deadline": deadline})["FEEDBACK"].due_ms == due


@pytest.mark.parametrize(
    ("family", "kind"),
    [("rfi", "ANSWER_RFI"), ("reachback", "ANSWER_REACHBACK"), ("consent_request", "ANSWER_CONSENT"), ("recall", "ANSWER_RECALL")],
)
def test_answers_are_due_when_the_question_says(family: str, kind: str) -> None:
    """The core's due, whichever form the codec gave it in; a day later the duty contact is told."""
    moment = datetime(2026, 1, 9, 8, tzinfo=UTC)
    for due in (moment, at("2026-01-09T08:00:00")):
        found = begun(Signed(family), {"due": due})[kind]
        assert (found.due_ms, found.escalate_ms) == (at("2026-01-09T08:00:00"), at("2026-01-10T08:00:00"))
        assert (found.debtor, found.creditor) == (ME, "SG-CUSTOMS")


@pytest.mark.parametrize(("urgency", "hours"), [("FLASH", 8), ("IMMEDIATE", 8), ("PRIORITY", 72), ("ROUTINE", 168)])
def test_answers_without_a_time_are_due_by_urgency(urgency: str, hours: int) -> None:
    """8 hours, 3 days, 7 days."""
    assert begun(Signed("consent_request", urgency=urgency), {"due": None})["ANSWER_CONSENT"].due_ms == NOW + hours * HOUR_MS


@pytest.mark.parametrize(
    ("decision", "planned", "due"),
    [
        ("DENY", None, "2027-02-28"),
        ("DENY", "2026-06-01", "2026-06-01"),
        ("DENY", "2030-01-01", "2027-02-28"),
        ("DENY_REVIEW", None, "2027-02-28"),
        ("GRANT", None, None),
    ],
)
def test_denials_are_reviewed_at_three_years(decision: str, planned: str | None, due: str | None) -> None:
    """Owed by the authority to everyone told; earlier where the authority planned it so, never later. A renewal begins anew."""
    core = {"decision_type": decision, "effective_at": at("2024-02-29"), "expires_at": None}
    found = begun(Signed("licence"), core, denial={"review_due": planned and at(planned)})
    assert ("REVIEW_DENIAL" in found) == (due is not None)
    if due is not None:
        assert (found["REVIEW_DENIAL"].due_ms, found["REVIEW_DENIAL"].debtor) == (at(due), "SG-CUSTOMS")


@pytest.mark.parametrize(
    ("kind", "review", "due"),
    [
        ("PERSON", date(2026, 5, 31), "2026-06-01"),
        ("PERSON", date(2028, 1, 1), "2027-01-01"),
        ("VESSEL", date(2028, 1, 1), "2028-01-02"),
        ("VESSEL", None, "2027-01-01"),
    ],
)
def test_watches_are_reviewed(kind: str, review: date | None, due: str) -> None:
    """By the end of the day of review; for a person a year after issue at the latest, whatever the message says."""
    assert begun(Signed("entity_watch"), {"entity_kind": kind, "review_date": review})["REVIEW_WATCH"].due_ms == at(due)


@pytest.mark.parametrize(
    ("family", "core", "kind"),
    [
        ("licence", {"decision_type": "GRANT", "expires_at": NOW + DAY_MS}, "LICENCE_ENDS"),
        ("licence", {"decision_type": "SUSPEND", "expires_at": NOW + DAY_MS}, "LICENCE_ENDS"),
        ("consent_reply", {"decision": "GRANT_WITH_LIMIT", "period_until": NOW + DAY_MS}, "CONSENT_ENDS"),
        ("licit_movement", {"objection_until": NOW + DAY_MS}, "OBJECT"),
    ],
)
def test_dates_come_by_themselves(family: str, core: dict[str, object], kind: str) -> None:
    """What ends on a date is nobody's failure: it never escalates."""
    found = begun(Signed(family), core)[kind]
    assert (found.due_ms, found.escalate_ms, found.debtor) == (NOW + DAY_MS, None, ME)


@pytest.mark.parametrize(
    ("family", "core"),
    [("licence", {"decision_type": "REVOKE", "expires_at": NOW}), ("consent_reply", {"decision": "REFUSE", "period_until": NOW})],
)
def test_what_was_ended_does_not_end_again(family: str, core: dict[str, object]) -> None:
    """A revoked licence does not expire, a refused consent is not over."""
    assert not begun(Signed(family), core).keys() & {"LICENCE_ENDS", "CONSENT_ENDS"}


@pytest.mark.parametrize(
    ("retention", "valid_until", "gone"),
    [
        ("R30D", None, "2026-01-31"), ("R30D", "2026-03-01", "2026-03-31"), ("R1Y", None, "2027-01-01"),
        ("R3Y", "2028-02-29", "2031-02-28"),
        ("R5Y", "2026-06-01", "2031-06-01"), ("R10Y", "2025-01-01", "2036-01-01"), ("CASE", None, None),
    ],
)  # fmt: skip
def test_retention_classes(retention: str, valid_until: str | None, gone: str | None) -> None:
    """From the end of validity or, where it has none or began later, from issue; a legal hold has no date."""
    header = Signed("alert", retention=retention, valid_until=at(valid_until) if valid_until else None)
    assert erase_at(header) == (at(gone) if gone else None)
    assert ("ERASE" in begun(header)) == (gone is not None)


def test_an_originator_owes_only_its_own() -> None:
    """Asked for itself, it gets its reviews and dates, and owes no acknowledgement or feedback."""
    denial = {"decision_type": "DENY", "effective_at": NOW}
    assert set(begun(Signed("licence", retention="R3Y"), denial, recipient="SG-CUSTOMS")) == {"REVIEW_DENIAL", "ERASE"}
    assert set(begun(Signed("alert"), recipient="SG-CUSTOMS")) == set()


# ── the free-zone clock ─────────────────────────────────────────────────────────────────────────────────────────────────


def movement(entered: int, left: int | None = None, *units: str) -> dict[str, object]:
    """A pair of movements as the section has it."""
    outbound: dict[str, object] | None = None if left is None else {"moved_at": left, "units": []}
    return {"inbound": {"moved_at": entered, "units": [{"id": unit} for unit in units]}, "outbound": outbound}


@pytest.mark.parametrize(("mode", "warn", "last"), [("SEA", 40, 45), ("INLAND_WATER", 40, 45), ("AIR", 16, 21)])
def test_dwell_limits(mode: str, warn: int, last: int) -> None:
    """By water day 45 is the last, by air day 21; the warning comes five days before, the breach with the day after."""
    entered = at("2026-01-01T17:20:00")
    found = begun(Signed("fz_warning"), {"transport_mode": mode}, movements={"pairs": [movement(entered, None, "CSQU3054383")]})
    midnight = at("2026-01-01")
    assert (found["WARN_OF_DWELL"].due_ms, found["WARN_OF_DWELL"].escalate_ms) == (midnight + warn * DAY_MS, None)
    assert found["LEAVE_ZONE"].due_ms == found["LEAVE_ZONE"].escalate_ms == midnight + (last + 1) * DAY_MS
    assert found["LEAVE_ZONE"].about == "CSQU3054383"
    assert dwell_day(entered, found["LEAVE_ZONE"].due_ms - 1) == last
    assert dwell_day(entered, found["WARN_OF_DWELL"].due_ms) == warn


def test_dwell_ends_when_the_goods_have_left() -> None:
    """A pair that is complete begins no clock, nor does a mode without a limit; a zone's own limit goes before the rule."""
    inside, gone = movement(NOW, None, "A"), movement(NOW, NOW + DAY_MS, "B")
    assert "LEAVE_ZONE" not in begun(Signed("fz_warning"), {"transport_mode": "SEA"}, movements={"pairs": [gone]})
    assert "LEAVE_ZONE" not in begun(Signed("fz_warning"), {"transport_mode": "ROAD"}, movements={"pairs": [inside]})
    found = begun(Signed("fz_warning"), {"transport_mode": "ROAD", "dwell_limit_days": 3}, movements={"pairs": [gone, inside]})
    assert found["LEAVE_ZONE"].due_ms == breached_at(NOW, 3)
    assert found["WARN_OF_DWELL"].due_ms == warns_at(NOW, 3) == at("2026-01-01")


def test_two_boxes_have_two_clocks() -> None:
    """Two that came on the same day are two duties."""
    pairs = [movement(NOW, None, "A"), movement(NOW, None, "B")]
    found = duties(Signed("fz_warning"), {"core": {"transport_mode": "AIR"}, "movements": {"pairs": pairs}}, ME, NOW)
    assert [duty.about for duty in found if duty.kind == "LEAVE_ZONE"] == ["A", "B"]
