"""What breaks the conditional rules of messages about another's subject and of recalls, and what lessens one."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

from broker.families.message import Message
from broker.testing.sample_reports import moment
from broker.testing.samples import START_MS
from broker.values import Correlation
from tests.unit.families.samples import GOOD, REMOVE, changed

_NO_ANSWER: dict[str, Any] = {"core.rest_due": None, "core.answered_codes": [], "answers": REMOVE, "parties": REMOVE}

REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("feedback", {"core.exam_type": None}, "core.exam_type"),
    ("feedback", {"core.examined_at": None}, "core.examined_at"),
    ("feedback", {"core.result": "EXAMINED_NEGATIVE", "core.examined_at": None}, "core.examined_at"),
    ("feedback", {"core.result": "DEPARTED"}, "core.departed_to"),
    ("feedback", {"core.departed_to": {"country": "Oman", "locode": None}}, "core.departed_to.country"),
    ("feedback", {"core.usefulness": 0}, "core.usefulness"),
    ("feedback", {"core.usefulness": 6}, "core.usefulness"),
    ("feedback", {"core.hours_spent": Decimal("-0.5")}, "core.hours_spent"),
    ("feedback", {"core.linked_seizure": "S-7"}, "core.linked_seizure"),
    ("ack", {"core.level": None}, "core.refusal_code"),
    ("ack", {"core.level": None, "core.refusal_code": ""}, "core.refusal_code"),
    ("ack", {"core.refusal_code": "BAD_FIELD"}, "core.level"),
    ("ack", {"core.allowed_moves": ["AMEND"]}, "core.allowed_moves"),
    ("licence_usage", {"core.licence_no": " "}, "core.licence_no"),
    ("licence_usage", {"core.mrn": None}, "core.mrn"),
    ("licence_usage", {"core.authority": "BAFA"}, "core.authority"),
    ("licence_usage", {"core.authority": "FR-SBDU"}, "core.authority"),
    ("licence_usage", {"core.lines": []}, "core.lines"),
    ("licence_usage", {"core.lines[0].line": 0}, "core.lines[0].line"),
    ("licence_usage", {"core.lines[0].quantity": Decimal(0)}, "core.lines[0].quantity"),
    ("licence_usage", {"core.lines[0].unit": ""}, "core.lines[0].unit"),
    ("licence_usage", {"core.lines[0].amount": Decimal(-1)}, "core.lines[0].amount"),
    ("licence_usage", {"core.lines[0].currency": None}, "core.lines[0].currency"),
    ("rfi", {"core.question_codes": []}, "core.question_codes"),
    ("rfi", {"core.subject_ids": ["nothing"]}, "core.subject_ids[0]"),
    ("rfi", {"core.countries": ["AE", "X"]}, "core.countries[1]"),
    ("rfi", {"questions.questions": []}, "questions.questions"),
    ("rfi", {"questions.questions[0].question_code": "OWNERSHIP"}, "questions.questions[0].question_code"),
    ("rfi", {"parties.parties": []}, "parties.parties"),
    ("rfi_reply", {**_NO_ANSWER, "core.status": "REFUSED"}, "core.refusal_ground"),
    ("rfi_reply", {"core.refusal_ground": "LAW"}, "core.refusal_ground"),
    ("rfi_reply", {**_NO_ANSWER, "core.status": "REDIRECTED"}, "core.redirected_to"),
    ("rfi_reply", {**_NO_ANSWER, "core.status": "REDIRECTED", "core.redirected_to": "the police"}, "core.redirected_to"),
    ("rfi_reply", {"core.redirected_to": "SG-POLICE"}, "core.redirected_to"),
    ("rfi_reply", {"core.status": "FULL"}, "core.rest_due"),
    ("rfi_reply", {"core.status": "NO_DATA", "core.rest_due": None}, "answers"),
    ("rfi_reply", {"core.status": "REFUSED", "core.refusal_ground": "LAW", "core.rest_due": None, "answers": REMOVE}, "parties"),
    ("rfi_reply", {"answers.answers": []}, "answers.answers"),
    ("rfi_reply", {"parties.parties": []}, "parties.parties"),
    ("correction", {"core.paths": []}, "core.paths"),
    ("correction", {"core.paths": ["goods.items[0].hs_code"] * 2}, "core.paths"),
    ("correction", {"core.paths": ["goods"]}, "core.paths[0]"),
    ("correction", {"core.paths": ["../../etc"]}, "core.paths[0]"),
    ("correction", {"core.paths": ["goods." + "a" * 507]}, "core.paths[0]"),
    ("correction", {"changes.changes": []}, "changes.changes"),
    ("correction", {"changes.changes[0].path": "goods.items[1].hs_code"}, "changes.changes"),
    ("correction", {"core.correction_kind": "OWNER_RECORD"}, "core.correction_kind"),
    ("correction", {"core.corrected_in": 2}, "core.corrected_in"),
    ("recall", {"core.replaced_by": "the other one"}, "core.replaced_by"),
    ("recall", {"core.replaced_by": "SG-CUSTOMS/2026/000123"}, "core.replaced_by"),
    ("recall", {"core.replaced_by": "MY-CUSTOMS/2026/1"}, "core.replaced_by"),
    ("recall_reply", {"core.answer": "CANNOT"}, "core.reason_code"),
    ("recall_reply", {"core.done_at": None}, "core.done_at"),
    ("recall_reply", {"core.answer": "CANNOT", "core.reason_code": "COURT_ORDER"}, "core.done_at"),
    ("consent_request", {"core.recipients": [], "core.purposes": []}, "core.recipients"),
    ("consent_request", {"core.purposes": ["STATISTICS", "FUN"]}, "core.purposes[1]"),
    ("consent_request", {"core.period_from": moment(START_MS, days=30)}, "core.period_until"),
    ("consent_reply", {"core.limit": None}, "core.limit"),
    ("consent_reply", {"core.limit": " "}, "core.limit"),
    ("consent_reply", {"core.decision": "GRANT"}, "core.limit"),
    ("consent_reply", {"core.decision": "REFUSE"}, "core.refusal_ground"),
    ("consent_reply", {"core.refusal_ground": "LAW"}, "core.refusal_ground"),
    ("consent_reply", {"core.period_until": None}, "core.period_until"),
    ("consent_reply", {"core.period_from": moment(START_MS, days=31)}, "core.period_until"),
    ("consent_reply", {"core.recipients": [], "core.purposes": []}, "core.recipients"),
    ("consent_reply", {"core.purposes": ["FUN"]}, "core.purposes[0]"),
    ("consent_reply", {"core.consented_subject": "it"}, "core.consented_subject"),
    ("consent_reply", {"core.consented_subject": "MY-CUSTOMS/2026/1"}, "core.consented_subject"),
]

FOUND: list[tuple[str, dict[str, Any], list[tuple[str, str]]]] = [
    ("feedback", {"core.linked_seizure": None}, [("NO_SEIZURE", "core.linked_seizure")]),
    ("feedback", {"core.result": "NO_MATCH", "core.exam_type": None, "core.examined_at": None, "core.linked_seizure": None}, []),
    ("feedback", {"core.result": "DEPARTED", "core.departed_to": {"country": "OM", "locode": "OMSOH"}}, []),
    ("ack", {"core.level": None, "core.refusal_code": "LIFECYCLE", "core.allowed_moves": ["AMEND"]}, []),
    ("licence_usage", {"core.mrn": None, "core.declaration_no": "SG-4711"}, []),
    ("licence_usage", {"core.lines[0].cancelled": True}, []),
    ("rfi", {"questions": REMOVE, "parties": REMOVE}, []),
    ("rfi_reply", {"answers": REMOVE, "parties": REMOVE}, [("NO_ANSWERS", "answers")]),
    ("rfi_reply", {"answers": REMOVE}, []),
    ("rfi_reply", {**_NO_ANSWER, "core.status": "REFUSED", "core.refusal_ground": "SOVEREIGNTY"}, []),
    ("rfi_reply", {**_NO_ANSWER, "core.status": "REDIRECTED", "core.redirected_to": "SG-POLICE"}, []),
    ("recall", {"core.replaced_by": "SG-CUSTOMS/2026/000124"}, []),
    ("recall_reply", {"core.answer": "CANNOT", "core.reason_code": "COURT_ORDER", "core.done_at": None}, []),
    ("consent_request", {"core.recipients": [], "core.purposes": [], "core.evidential_use": True}, []),
    ("consent_reply", {"core.decision": "GRANT", "core.limit": None}, []),
    (
        "consent_reply",
        {"core.decision": "REFUSE", "core.refusal_ground": "ONGOING_CASE", "core.period_until": None, "core.limit": None},
        [],
    ),
    ("consent_reply", {"core.decision": "WITHDRAW", "core.period_until": None, "core.limit": None}, []),
]

TIMED: list[tuple[str, dict[str, Any], str]] = [
    ("feedback", {"core.examined_at": moment(START_MS, hours=1)}, "core.examined_at"),
    ("ack", {"core.reached_at": moment(START_MS, hours=1)}, "core.reached_at"),
    ("licence_usage", {"core.declared_on": moment(START_MS, days=2).date()}, "core.declared_on"),
    ("rfi", {"core.due": moment(START_MS)}, "core.due"),
    ("rfi_reply", {"core.rest_due": moment(START_MS, hours=-1)}, "core.rest_due"),
    ("recall", {"core.due": moment(START_MS, hours=-1)}, "core.due"),
    ("recall_reply", {"core.done_at": moment(START_MS, hours=1)}, "core.done_at"),
    ("consent_request", {"core.period_until": moment(START_MS, hours=-1)}, "core.period_until"),
    ("consent_request", {"core.due": moment(START_MS, hours=-1)}, "core.due"),
    ("consent_reply", {"core.period_until": moment(START_MS, hours=-1)}, "core.period_until"),
]
"""Refused because of the time of issue: the paths."""

IN_TIME: list[tuple[str, dict[str, Any]]] = [
    ("ack", {"core.reached_at": moment(START_MS) + timedelta(minutes=5)}),
    ("licence_usage", {"core.declared_on": moment(START_MS, days=1).date()}),
    ("consent_reply", {"core.decision": "WITHDRAW", "core.period_until": moment(START_MS, hours=-1), "core.limit": None}),
]
"""The other side of those rules."""


def linked(family: str, **links: Any) -> Message:
    """The family's good message with other links in its header."""
    message = GOOD[family]()
    return replace(message, correlation=replace(message.correlation, **links))


OWN_RECORD = replace(
    changed(GOOD["correction"](), {"core.correction_kind": "OWNER_RECORD", "core.corrected_in": 2}),
    subject="SG-CUSTOMS/2026/C-1",
)
"""The owner's record of its correction of revision 1 in revision 2."""

MARKED: list[tuple[Message, str, str]] = [
    *((linked(family, target=None, target_revision=None), "BAD_LABELS", "header.correlation.target")
      for family in ("ack", "feedback", "licence_usage", "rfi_reply", "correction", "recall_reply", "consent_request", "consent_reply",
                     "reachback_reply")),
    *((linked(family, target=GOOD[family]().subject), "BAD_LABELS", "header.correlation.target")
      for family in ("ack", "feedback", "rfi_reply", "recall_reply", "consent_request", "consent_reply", "reachback_reply")),
    *((linked(family, target_revision=None), "BAD_LABELS", "header.correlation.target_revision")
      for family in ("ack", "feedback", "correction", "recall_reply")),
    (changed(linked("rfi", target=None, target_revision=None), {"parties": REMOVE}), "BAD_LABELS", "header.correlation.target"),
    (linked("recall", target="SG-CUSTOMS/2026/000123"), "BAD_LABELS", "header.correlation.target"),
    (replace(GOOD["recall"](), revision=1), "BAD_LABELS", "revision"),
    (linked("licence_usage", target="DE-CUSTOMS/2026/U-1"), "BAD_LABELS", "header.correlation.target"),
    (linked("licence_usage", target="FR-SBDU/2026/L-1"), "BAD_FIELD", "core.authority"),
    (changed(OWN_RECORD, {"core.corrected_in": None}), "BAD_FIELD", "core.corrected_in"),
    (changed(OWN_RECORD, {"core.corrected_in": 1}), "BAD_FIELD", "core.corrected_in"),
    (changed(OWN_RECORD, {"core.correction_kind": "PROPOSAL"}), "BAD_FIELD", "core.correction_kind"),
]  # fmt: skip
"""Refused because of what sections and header say together: code and path."""

UNMARKED: list[Message] = [
    OWN_RECORD,
    linked("rfi", target=None, target_revision=None),
    linked("rfi", target=GOOD["rfi"]().subject, target_revision=None),
    changed(linked("rfi", target=None, target_revision=None), {"parties": REMOVE, "core.subject_ids": ["SG-CUSTOMS/2026/1"]}),
    replace(GOOD["reachback"](), correlation=Correlation()),
    linked("licence_usage", target_revision=None),
]
"""The other side of those rules."""
