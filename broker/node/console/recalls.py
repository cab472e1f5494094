"""The recall board: ``GET /console/recalls``: own subjects that were taken back and who has confirmed, and
recalls of others, to be answered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, cast, get_args

from litestar import Response, get, post
from litestar.datastructures import State

from broker import ids
from broker.app.agency_node import AgencyNode
from broker.app.statements import json_of
from broker.errors import Refusal, StoreError, UsageError
from broker.exchange.recall_status import RecallStatus
from broker.exchange.trace import RECALL_REPLY
from broker.families.recall import RecallAction, RecallReason
from broker.families.recall_reply import RecallAnswer
from broker.node import access
from broker.node.answers import AnyRequest
from broker.node.console.pages import page
from broker.node.console.sending import sent
from broker.node.console.session import new_key, one, posted
from broker.node.messages import node_of
from broker.node.problems import NotDone
from broker.register.rows import SubjectRow

LIMIT: Final = 100
REASONS: Final[tuple[str, ...]] = get_args(RecallReason)
ACTIONS: Final[tuple[str, ...]] = get_args(RecallAction)
ANSWERS: Final[tuple[str, ...]] = get_args(RecallAnswer)


@dataclass(frozen=True, slots=True)
class Received:
    """A recall of another's subject: until when an answer is due (Unix ms), None where nothing is open any more."""

    row: SubjectRow
    due: int | None
    key: str


@dataclass(frozen=True, slots=True)
class Own:
    """A subject of this agency's that was taken back; ``told``: the agencies what they answered may be told of for the purpose. That they
    have answered is nobody's content."""

    status: RecallStatus
    told: frozenset[str]


def _board(node: AgencyNode, purpose: str) -> tuple[list[Own], list[Received]]:
    try:
        reader = node.reader()
    except StoreError:
        return [], []
    now_ms = node.now_ms()
    due = {
        each.duty.subject: each.duty.due_ms
        for each in reader.duties(now_ms)
        if each.duty.debtor == node.agency and each.duty.kind in ("ANSWER_RECALL", "ANSWER_WITHDRAWAL")
    }
    rows = {answer.row.subject: answer.row for answer in reader.recent("recall", now_ms, LIMIT, ended=True)}
    for subject in due:
        row = None if subject in rows else reader.row(subject)
        if row is not None:
            rows[subject] = row
    use = node.purposed(purpose)
    own = [
        Own(status, frozenset(each.agency for each in reader.answers(row.subject) if each.kind == RECALL_REPLY and use.says(each.subject)))
        for row in rows.values()
        if row.originator == node.agency and (status := node.recalls.status(reader, row.subject))
    ]
    others = [Received(row, due.get(row.subject), new_key()) for row in rows.values() if row.originator != node.agency]
    return own, sorted(others, key=lambda each: (each.due is None, each.due or 0, each.row.subject))


def _page(request: AnyRequest, state: State, refusal: Refusal | None = None, subject: str = "") -> Response[str]:
    node = node_of(state)
    own, received = _board(node, access.purpose_of(request))
    return page(
        request, state, "recalls.html", status=200 if refusal is None else 422, own=own, received=received, refusal=refusal, key=new_key(),
        reasons=REASONS, actions=ACTIONS, answers=ANSWERS, subject=subject, may_recall=access.user_of(request).role in access.DECIDING,
    )  # fmt: skip


@get("/recalls", opt={"roles": access.STAFF, "content": True}, operation_id="consoleRecalls")
async def board(request: AnyRequest, state: State) -> Response[str]:
    """The board."""
    return _page(request, state)


@post("/recalls", opt={"roles": access.DECIDING, "content": True}, operation_id="consoleRecall")
async def recall(request: AnyRequest, state: State) -> Response[Any]:
    """Take back an own subject."""
    node, fields = node_of(state), await posted(request, state["tokens"])
    reason, action, subject = one(fields, "reason"), one(fields, "action"), one(fields, "subject")
    if reason not in REASONS or action not in ACTIONS:
        raise NotDone("BAD_REQUEST", "choose a reason and an action")
    try:
        last = node.outbox.last_revision(ids.subject_id(subject))
        message = node.recalls.recall(
            subject, cast("RecallReason", reason), action=cast("RecallAction", action), revision=None if last is None else last + 1
        )  # fmt: skip
    except (ids.InvalidId, UsageError) as error:
        return _page(request, state, Refusal("BAD_FIELD", str(error), "subject"), subject)
    done = await sent(request, state, json_of(message, node.outbox.catalogue), fields)
    return _page(request, state, done, subject) if isinstance(done, Refusal) else done


@post("/recalls/answer", opt={"roles": access.STAFF, "content": True}, operation_id="consoleAnswerRecall")
async def answer(request: AnyRequest, state: State) -> Response[Any]:
    """Say what was done about a recall of another's subject."""
    node, fields = node_of(state), await posted(request, state["tokens"])
    said = one(fields, "answer")
    if said not in ANSWERS:
        raise NotDone("BAD_REQUEST", "choose an answer")
    try:
        message = node.recalls.answer(node.reader(), one(fields, "subject"), cast("RecallAnswer", said), one(fields, "reason") or None)
    except (ids.InvalidId, UsageError) as error:
        return _page(request, state, Refusal("BAD_FIELD", str(error), "subject"))
    done = await sent(request, state, json_of(message, node.outbox.catalogue), fields)
    return _page(request, state, done) if isinstance(done, Refusal) else done
