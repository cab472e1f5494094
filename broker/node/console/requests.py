"""Requests for information: ``GET /console/requests``: those that came, by the time to answer, and those that were asked here.

``/console/requests/{subject}`` shows one with its answers and the form to answer it, ``/console/subjects/{subject}/ask`` the form to ask.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, get_args

from litestar import Response, get, post
from litestar.datastructures import State
from litestar.params import FromPath

from broker import ids
from broker.app.agency_node import AgencyNode
from broker.app.purpose import Purposed
from broker.app.statements import answer_to, statement
from broker.errors import Refusal, StoreError
from broker.families.rfi_reply import RefusalGround, ReplyStatus
from broker.node import access
from broker.node.answers import AnyRequest
from broker.node.console.composing import listed
from broker.node.console.feed import Due, part_of
from broker.node.console.pages import page, subject_named
from broker.node.console.repeated import changed_rows, filled_rows, rows_of
from broker.node.console.sending import sent
from broker.node.console.session import new_key, one, posted
from broker.node.console.subject import View, time_of, view_of
from broker.node.console.words import WORDS
from broker.node.messages import node_of
from broker.node.problems import NotDone
from broker.register.answers import Answer, OpenDuty, SubjectAnswer
from broker.register.rows import SubjectRow
from broker.storage.register_reader import RegisterReader

LIMIT: Final = 100
"""Most requests of each list, the newest; with them comes whatever is still to be answered."""
STATUSES: Final[tuple[str, ...]] = get_args(ReplyStatus)
GROUNDS: Final[tuple[str, ...]] = get_args(RefusalGround)
CODES: Final = tuple(WORDS["question"])
QUESTION: Final = ("question_code", "question_text")
ANSWER: Final = ("answer_code", "answer_text", "answer_source")
_FOR_EVER: Final = 2**62


@dataclass(frozen=True, slots=True)
class Reply:
    """What an agency answered; ``answers`` is empty where that section is not shown or was not given, and what it ``said`` has no code and
    no core where its core is not shown."""

    said: Answer
    answers: tuple[Mapping[str, Any], ...]
    shut: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Asked:
    """A request: who has still to answer and until when, and who did."""

    row: SubjectRow
    codes: tuple[str, ...]
    target: str
    open: tuple[Due, ...]
    replies: tuple[Reply, ...]
    live: bool


@dataclass(frozen=True, slots=True)
class Board:
    """Requests of others, requests of this agency's, and how many are here and not shown for the purpose."""

    received: tuple[Asked, ...] = ()
    own: tuple[Asked, ...] = ()
    withheld: int = 0


def board_of(node: AgencyNode, purpose: str) -> Board:
    """The board, for a purpose."""
    try:
        reader = node.reader()
    except StoreError:
        return Board()
    now_ms, use = node.now_ms(), node.purposed(purpose)
    owed = _owed(reader, now_ms)
    found = {answer.row.subject: answer for answer in reader.recent("rfi", now_ms, LIMIT, ended=True)}
    for subject in owed:
        answer = None if subject in found else reader.subject(subject, now_ms)
        if answer is not None and answer.row.family == "rfi":
            found[subject] = answer
    shown = [each for answer in found.values() if (each := use.subject(answer)) is not None]
    asked = [_asked(reader, use, each, owed.get(each.row.subject, []), now_ms) for each in shown]
    received = sorted((each for each in asked if each.row.originator != node.agency), key=_order)
    own = sorted((each for each in asked if each.row.originator == node.agency), key=_order)
    return Board(tuple(received), tuple(own), sum(subject in use.withheld for subject in found))


def _owed(reader: RegisterReader, now_ms: int) -> dict[str, list[OpenDuty]]:
    owed: dict[str, list[OpenDuty]] = {}
    for each in reader.duties(now_ms):
        if each.duty.kind == "ANSWER_RFI":
            owed.setdefault(each.duty.subject, []).append(each)
    return owed


def _order(asked: Asked) -> tuple[int, int, str]:
    return min((each.at for each in asked.open), default=_FOR_EVER), -asked.row.admitted_at, asked.row.subject


def _asked(reader: RegisterReader, use: Purposed, answer: SubjectAnswer, owed: list[OpenDuty], now_ms: int) -> Asked:
    core = part_of(answer.content, "core")
    return Asked(
        row=answer.row, codes=tuple(str(each) for each in core.get("question_codes") or ()), target=_target(answer),
        open=tuple(Due(each.duty.kind, each.duty.due_ms, each.duty.debtor, each.duty.creditor) for each in owed),
        replies=tuple(_replies(reader, use, answer.row.subject, now_ms)), live=answer.live,
    )  # fmt: skip


def _target(answer: SubjectAnswer) -> str:
    """The subject that a request is about, by its core; the header's own target is on the page of the request."""
    named = part_of(answer.content, "core").get("subject_ids") or ()
    return str(named[0]) if named else ""


def _replies(reader: RegisterReader, use: Purposed, subject: str, now_ms: int) -> list[Reply]:
    found: list[Reply] = []
    for said in reader.answers(subject):
        reply = reader.subject(said.subject, now_ms) if said.kind == "RFI_REPLY" else None
        shown = use.subject(reply) if reply is not None else None
        if shown is not None:
            answers = part_of(shown.content, "answers").get("answers") or ()
            told = said if use.says(said.subject) else replace(said, code="", core={})
            found.append(Reply(told, tuple(answers), tuple(sorted(set(shown.row.withheld.split())))))
    return found


@get("/requests", opt={"roles": access.STAFF, "content": True}, operation_id="consoleRequests")
async def board(request: AnyRequest, state: State) -> Response[str]:
    """The board."""
    return page(request, state, "requests.html", board=board_of(node_of(state), access.purpose_of(request)))


# -- one request -----------------------------------------------------------------------------------------------------------------------


@get("/requests/{subject:str}", opt={"roles": access.STAFF, "content": True}, operation_id="consoleRequest")
async def one_request(request: AnyRequest, state: State, subject: FromPath[str]) -> Response[str]:
    """A request, its answers, and the form to answer it."""
    return _request_page(request, state, subject_named(subject), {}, None)


def _request_page(
    request: AnyRequest, state: State, subject: str, given: Mapping[str, list[str]], refusal: Refusal | None
) -> Response[str]:
    node, purpose = node_of(state), access.purpose_of(request)
    view = view_of(node, subject, purpose)
    if view.row.family != "rfi":
        raise NotDone("NOT_FOUND", "this is no request for information")
    codes = [str(each) for each in part_of(view.sections, "core").get("question_codes") or ()]
    fields = given or {"answer_code": codes}
    return page(
        request, state, "request.html", status=200 if refusal is None else 422, view=view, codes=codes,
        asked=_texts(view), replies=_replies(node.reader(), node.purposed(purpose), subject, node.now_ms()), rows=rows_of(fields, ANSWER),
        fields=fields, refusal=refusal, key=one(given, "key") or new_key(), statuses=STATUSES, grounds=GROUNDS,
    )  # fmt: skip


def _texts(view: View) -> dict[str, str]:
    """The questions in words by their codes, where they were disclosed."""
    questions = part_of(view.sections, "questions").get("questions") or ()
    return {str(each.get("question_code")): str(each.get("text")) for each in questions}


@post("/requests/{subject:str}", opt={"roles": access.STAFF, "content": True}, operation_id="consoleAnswerRequest")
async def answer(request: AnyRequest, state: State, subject: FromPath[str]) -> Response[Any]:
    """Answer it, wholly or in part, or say why not."""
    node, named = node_of(state), subject_named(subject)
    fields = await posted(request, state["tokens"])
    view = view_of(node, named, access.purpose_of(request))
    core = reply_core(fields)
    if isinstance(core, Refusal):
        return _request_page(request, state, named, fields, core)
    answers = [
        {"question_code": row["answer_code"], "text": row["answer_text"], **_only(source_ref=row["answer_source"])}
        for row in filled_rows(fields, ANSWER, by=("answer_text",))
    ]
    core["answered_codes"] = list(dict.fromkeys(each["question_code"] for each in answers))
    value = answer_to(
        node.agency, "rfi_reply", node.reader(), target=named, target_revision=view.row.revision,
        sections={"core": core, "answers": {"answers": answers} if answers else None},
    )  # fmt: skip
    done = await sent(request, state, value, fields)
    return done if isinstance(done, Response) else _request_page(request, state, named, fields, done)


def reply_core(fields: Mapping[str, list[str]]) -> dict[str, Any] | Refusal:
    """The core of an answer from its form; what is left empty is left out."""
    core = _only(
        status=one(fields, "status"), refusal_ground=one(fields, "refusal_ground"), redirected_to=one(fields, "redirected_to").upper()
    )  # fmt: skip
    if one(fields, "rest_due"):
        at = time_of(one(fields, "rest_due"))
        if at is None:
            return Refusal("BAD_FIELD", "give date and time, UTC", "core.rest_due")
        core["rest_due"] = at
    return core


def _only(**values: str) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value}


# -- asking ----------------------------------------------------------------------------------------------------------------------------


@get("/subjects/{subject:str}/ask", opt={"roles": access.STAFF, "content": True}, operation_id="consoleAskForm")
async def ask_form(request: AnyRequest, state: State, subject: FromPath[str]) -> Response[str]:
    """The form to ask about a subject: its owner where it is another's."""
    named = subject_named(subject)
    owner = ids.owner_of(named)
    agencies = "" if owner == node_of(state).agency else owner
    return _ask_page(request, state, named, {"agencies": [agencies], "question_code": [CODES[0]], "urgency": ["PRIORITY"]}, None)


def _ask_page(request: AnyRequest, state: State, subject: str, fields: Mapping[str, list[str]], refusal: Refusal | None) -> Response[str]:
    view = view_of(node_of(state), subject, access.purpose_of(request))
    return page(
        request, state, "ask.html", status=200 if refusal is None else 422, view=view, fields=fields, rows=rows_of(fields, QUESTION),
        refusal=refusal, key=one(fields, "key") or new_key(), codes=CODES, urgencies=tuple(WORDS["urgency"]),
    )  # fmt: skip


@post("/subjects/{subject:str}/ask", opt={"roles": access.STAFF, "content": True}, operation_id="consoleAsk")
async def ask(request: AnyRequest, state: State, subject: FromPath[str]) -> Response[Any]:
    """Ask; or only add or remove a question."""
    node, named = node_of(state), subject_named(subject)
    fields = await posted(request, state["tokens"])
    again = changed_rows(fields, {"questions": QUESTION})
    if again is not None:
        return _ask_page(request, state, named, again, None)
    view = view_of(node, named, access.purpose_of(request))
    due = time_of(one(fields, "due"))
    if due is None:
        return _ask_page(request, state, named, fields, Refusal("BAD_FIELD", "give date and time, UTC", "core.due"))
    rows = filled_rows(fields, QUESTION)
    questions = [{"question_code": row["question_code"], "text": row["question_text"]} for row in rows if row["question_text"]]
    core = {
        "question_codes": list(dict.fromkeys(row["question_code"] for row in rows if row["question_code"])), "subject_ids": [named],
        "due": due, "third_party_consent": one(fields, "third_party_consent") == "yes",
    }  # fmt: skip
    header = {
        "urgency": one(fields, "urgency"), "purposes": [access.purpose_of(request)],
        "audience": {"agencies": listed(one(fields, "agencies"))},
    }  # fmt: skip
    value = statement(
        node.agency, "rfi", target=named, target_revision=view.row.revision, header=header,
        sections={"core": core, "questions": {"questions": questions} if questions else None},
    )  # fmt: skip
    done = await sent(request, state, value, fields)
    return done if isinstance(done, Response) else _ask_page(request, state, named, fields, done)
