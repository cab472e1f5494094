"""Sample messages about another's subject, recalls and their answers, complete and valid, for tests and first steps.

Each goes to the owner of its target. Times hang on ``now_ms`` (Unix ms UTC). :data:`SAMPLES` has one of every family.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Final, Unpack

from broker.families.ack import AckLevel, ack
from broker.families.consent_reply import consent_reply
from broker.families.consent_request import consent_request
from broker.families.correction import correction
from broker.families.feedback import FeedbackResult, feedback
from broker.families.licence_usage import licence_usage
from broker.families.message import Audience, LabelArguments, Message
from broker.families.reachback_reply import reachback_reply
from broker.families.recall import recall
from broker.families.recall_reply import RecallAnswer, recall_reply
from broker.families.rfi import rfi
from broker.families.rfi_reply import rfi_reply
from broker.testing.sample_files import sample_attachment
from broker.testing.sample_reports import (
    moment,
    sample_entity_watch,
    sample_fz_warning,
    sample_licence,
    sample_licit_movement,
    sample_reachback,
    sample_seizure,
)
from broker.testing.samples import START_MS, sample_alert

_ALERT: Final = "SG-CUSTOMS/2026/000123"
_LICENCE: Final = "DE-BAFA/2026/L-0815"


def sample_ack(
    subject: str = "AE-CUSTOMS/2026/A-1",
    *,
    target: str = _ALERT,
    target_revision: int = 1,
    level: AckLevel = "L3",
    now_ms: int = START_MS,
    **labels: Unpack[LabelArguments],
) -> Message:
    """An alert was taken in."""
    core_at = moment(now_ms)
    return ack(
        subject=subject,
        target=target,
        target_revision=target_revision,
        core={"level": level, "reached_at": core_at, "duty_contact": "TARGETING_DESK"},
        **labels,
    )


def sample_feedback(
    subject: str = "AE-CUSTOMS/2026/F-1",
    *,
    target: str = _ALERT,
    target_revision: int = 1,
    result: FeedbackResult = "EXAMINED_POSITIVE",
    now_ms: int = START_MS,
    **labels: Unpack[LabelArguments],
) -> Message:
    """The container of an alert was opened, and the goods were seized."""
    return feedback(
        subject=subject,
        target=target,
        target_revision=target_revision,
        core={
            "result": result,
            "exam_type": "PHYSICAL",
            "examined_at": moment(now_ms, hours=-2),
            "hours_spent": Decimal("3.5"),
            "usefulness": 5,
            "linked_seizure": "AE-CUSTOMS/2026/S-7",
            "departed_to": {"country": "OM", "locode": "OMSOH"} if result == "DEPARTED" else None,
        },
        detail={"narrative": "valves behind a row of pipe fittings", "officer": "duty officer"},
        **labels,
    )


def sample_rfi(
    subject: str = "AE-CUSTOMS/2026/Q-5", *, target: str | None = _ALERT, now_ms: int = START_MS, **labels: Unpack[LabelArguments]
) -> Message:
    """Does the owner of an alert know the end user?"""
    return rfi(
        subject=subject,
        target=target,
        target_revision=1 if target else None,
        core={
            "question_codes": ["END_USER_KNOWN"],
            "due": moment(now_ms, days=3),
            "third_party_consent": False,
            "risk_category": "DUAL_USE",
            "countries": ["AE"],
        },
        questions={"questions": [{"question_code": "END_USER_KNOWN", "text": "Have you seen this workshop before?"}]},
        parties={"parties": [{"role": "END_USER", "name": "Example Turbine Repair LLC", "person_type": "2"}]},
        **labels,
    )


def sample_rfi_reply(
    subject: str = "SG-CUSTOMS/2026/Q-5R", *, target: str = "AE-CUSTOMS/2026/Q-5", now_ms: int = START_MS, **labels: Unpack[LabelArguments]
) -> Message:
    """A partial answer; the rest follows in a week."""
    return rfi_reply(
        subject=subject,
        target=target,
        target_revision=1,
        core={"status": "PARTIAL", "rest_due": moment(now_ms, days=7), "answered_codes": ["END_USER_KNOWN"]},
        answers={"answers": [{"question_code": "END_USER_KNOWN", "text": "it was founded last month", "source_ref": "REG-12"}]},
        parties={"parties": [{"role": "DIRECTOR", "name": "M. Example", "person_type": "1"}]},
        **labels,
    )


def sample_correction(
    subject: str = "AE-CUSTOMS/2026/C-1", *, target: str = _ALERT, target_revision: int = 1, **labels: Unpack[LabelArguments]
) -> Message:
    """A proposal: the HS code of an alert's goods is wrong."""
    path = "goods.items[0].hs_code"
    return correction(
        subject=subject,
        target=target,
        target_revision=target_revision,
        core={"correction_kind": "PROPOSAL", "paths": [path], "reason_code": "WRONG_CODE"},
        changes={"changes": [{"path": path, "old_digest": bytes(range(32)), "new_value": '"846221"'}]},
        detail={"narrative": "the press bends, it does not sinter"},
        **labels,
    )


def sample_recall(
    subject: str = _ALERT, *, agencies: Sequence[str] = ("AE-CUSTOMS",), now_ms: int = START_MS, **labels: Unpack[LabelArguments]
) -> Message:
    """An alert whose first revision was an error: everybody stops using it within a day."""
    labels.setdefault("revision", 2)
    return recall(
        subject=subject,
        audience=Audience(tuple(agencies)),
        core={"reason": "ERROR", "action": "STOP_USE", "due": moment(now_ms, days=1)},
        **labels,
    )


def sample_recall_reply(
    subject: str = "AE-CUSTOMS/2026/X-1",
    *,
    target: str = _ALERT,
    target_revision: int = 2,
    answer: RecallAnswer = "STOPPED",
    now_ms: int = START_MS,
    **labels: Unpack[LabelArguments],
) -> Message:
    """A holder's answer to that recall."""
    cannot = answer == "CANNOT"
    return recall_reply(
        subject=subject,
        target=target,
        target_revision=target_revision,
        core={
            "answer": answer,
            "reason_code": "COURT_ORDER" if cannot else None,
            "done_at": None if cannot else moment(now_ms),
            "passed_on_to": ["AE-POLICE"],
        },
        detail={"narrative": "the police hold a copy as evidence"},
        **labels,
    )


def sample_consent_request(
    subject: str = "AE-CUSTOMS/2026/K-1", *, target: str = _ALERT, now_ms: int = START_MS, **labels: Unpack[LabelArguments]
) -> Message:
    """May our police have this alert for a month?"""
    return consent_request(
        subject=subject,
        target=target,
        target_revision=1,
        core={
            "recipients": ["AE-POLICE"],
            "purposes": ["CRIM_INVEST"],
            "evidential_use": False,
            "section_names": ["core", "goods"],
            "period_until": moment(now_ms, days=30),
            "due": moment(now_ms, days=2),
        },
        detail={"narrative": "they opened an investigation against the consignee"},
        **labels,
    )


def sample_consent_reply(
    subject: str = "SG-CUSTOMS/2026/K-1R", *, target: str = "AE-CUSTOMS/2026/K-1", now_ms: int = START_MS, **labels: Unpack[LabelArguments]
) -> Message:
    """Yes, without the goods' marks, for a month."""
    return consent_reply(
        subject=subject,
        target=target,
        target_revision=1,
        core={
            "decision": "GRANT_WITH_LIMIT",
            "consented_subject": _ALERT,
            "recipients": ["AE-POLICE"],
            "purposes": ["CRIM_INVEST"],
            "section_names": ["core"],
            "period_until": moment(now_ms, days=30),
            "limit": "not to be shown to the consignee",
        },
        detail={"narrative": "our own case is still open"},
        **labels,
    )


def sample_reachback_reply(
    subject: str = "DE-BAFA/2026/R-2R", *, target: str = "AE-CUSTOMS/2026/R-2", now_ms: int = START_MS, **labels: Unpack[LabelArguments]
) -> Message:
    """The valves are controlled and need a licence."""
    return reachback_reply(
        subject=subject,
        target=target,
        target_revision=1,
        core={
            "status": "FULL",
            "conclusion": "CONTROLLED",
            "licence_needed": True,
            "hazardous": False,
            "licence_ref": {"authority": "DE-BAFA", "licence_no": "D-2026-0107", "resolved": True},
            "laboratory": "DE-BAFA",
            "determined_at": moment(now_ms, hours=-1),
        },
        determination={
            "items": [
                {
                    "line": 1,
                    "conclusion": "CONTROLLED",
                    "control_codes": [{"scheme": "EU_ANNEX_I", "code": "2B350.g", "edition": "2025"}],
                    "hs_code": "848180",
                    "hs_edition": 2022,
                    "confidence": "HIGH",
                    "method": "PICTURES",
                }
            ]
        },
        detail={"narrative": "wetted surfaces are of a nickel alloy, see the plate on picture 1", "officer": "technical desk"},
        **labels,
    )


def sample_licence_usage(
    subject: str = "DE-CUSTOMS/2026/U-1", *, target: str = _LICENCE, now_ms: int = START_MS, **labels: Unpack[LabelArguments]
) -> Message:
    """Customs wrote one press off a licence for four."""
    day = moment(now_ms) - timedelta(days=1)
    return licence_usage(
        subject=subject,
        target=target,
        target_revision=1,
        core={
            "authority": "DE-BAFA",
            "licence_no": "2026-0815",
            "mrn": "06DE586600006143E1",
            "declared_on": day.date(),
            "office": "DE005866",
            "lines": [{"line": 1, "quantity": Decimal(1), "unit": "H87", "amount": Decimal(300_000), "currency": "EUR"}],
        },
        **labels,
    )


SAMPLES: Final[Mapping[str, Callable[[], Message]]] = {
    "alert": lambda: sample_alert("SG-CUSTOMS/2026/000123", agencies=["AE-CUSTOMS"]),
    "licence": sample_licence,
    "seizure": sample_seizure,
    "fz_warning": sample_fz_warning,
    "entity_watch": sample_entity_watch,
    "licit_movement": sample_licit_movement,
    "ack": sample_ack,
    "feedback": sample_feedback,
    "licence_usage": sample_licence_usage,
    "rfi": sample_rfi,
    "rfi_reply": sample_rfi_reply,
    "correction": sample_correction,
    "recall": sample_recall,
    "recall_reply": sample_recall_reply,
    "consent_request": sample_consent_request,
    "consent_reply": sample_consent_reply,
    "reachback": sample_reachback,
    "reachback_reply": sample_reachback_reply,
    "attachment": sample_attachment,
}
"""One good message of every family, by the family's name."""
