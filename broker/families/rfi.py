"""Requests for information (domain dictionary 2.5)."""

from datetime import datetime
from typing import NotRequired, TypedDict, Unpack

from broker.errors import Finding, Refusal
from broker.families.family import Family
from broker.families.message import Audience, LabelArguments, Message, Sections
from broker.families.routing import RoutingLabels, routing_labels
from broker.families.rules import bad, check_countries, check_filled, check_future, check_subjects, first, rows
from broker.families.shipment import Parties, RiskCategory
from broker.families.targets import about_another


class RfiCore(TypedDict):
    """A request for information, without personal data. Purpose, legal basis and urgency are in the header."""

    question_codes: list[str]
    subject_ids: NotRequired[list[str]]
    due: datetime
    third_party_consent: bool
    risk_category: NotRequired[RiskCategory | None]
    countries: NotRequired[list[str]]


class Question(TypedDict):
    """A question."""

    question_code: str
    text: str


class RfiQuestions(TypedDict):
    """The questions in words; may name people."""

    questions: list[Question]


def _routing(sections: Sections) -> RoutingLabels:
    core = sections.get("core", {})
    return routing_labels([(country, "PLACE") for country in rows(core, "countries")], (), core.get("risk_category"), None)


def _check(sections: Sections) -> list[Finding] | Refusal:
    core, questions = sections["core"], sections.get("questions")
    codes = rows(core, "question_codes")
    if not codes:
        return bad("core.question_codes", "ask at least one question, by its code")
    for number, question in enumerate(rows(questions, "questions")):
        if question.get("question_code") not in codes:
            return bad(f"questions.questions[{number}].question_code", "put the code of each question into the core too")
    refusal = first(
        check_subjects(rows(core, "subject_ids"), "core.subject_ids"),
        check_countries(rows(core, "countries"), "core.countries"),
        check_filled(questions, "questions", "questions.questions"),
        check_filled(sections.get("parties"), "parties", "parties.parties"),
    )
    return refusal or []


def _check_marks(message: Message) -> Refusal | None:
    """A request is about something: a subject of the exchange, or parties that the asker describes."""
    core = message.sections.get("core", {})
    if message.correlation.target is None and not rows(core, "subject_ids") and "parties" not in message.sections:
        reason = "say what the request is about: a subject as target or in core.subject_ids, or the parties section"
        return Refusal("BAD_LABELS", reason, "header.correlation.target")
    return None


def _check_times(message: Message, issued_ms: int) -> list[Finding] | Refusal:
    return check_future(message.sections["core"].get("due"), issued_ms, "core.due") or []


RFI = Family(
    name="rfi",
    sections=("core", "questions", "parties", "audience"),
    mandatory=("core", "audience"),
    types={
        "core": RfiCore,
        "questions": RfiQuestions,
        "parties": Parties,
    },
    routing=_routing,
    check=_check,
    check_marks=_check_marks,
    check_times=_check_times,
    about="MAY_TARGET",
    own_target=True,
)


def rfi(
    *,
    subject: str,
    target: str | None = None,
    target_revision: int | None = None,
    core: RfiCore,
    audience: Audience | None = None,
    questions: RfiQuestions | None = None,
    parties: Parties | None = None,
    valid_until_ms: int | None = None,
    **labels: Unpack[LabelArguments],
) -> Message:
    """A request for information. It goes to the owner of its target unless an audience is given."""
    labels.setdefault("urgency", "PRIORITY")
    sections = {"core": core, "questions": questions, "parties": parties}
    return about_another(RFI, sections, subject, target, target_revision, audience, valid_until_ms, labels)
