"""The page of one subject: what was disclosed of it, what was withheld and why, what happened, how it is known, and what to do about it.

``GET /console/subjects/{subject}``, and the two forms below it: acknowledge, give feedback.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from litestar import Response, get, post
from litestar.datastructures import State
from litestar.params import FromPath

from broker.app.agency_node import AgencyNode
from broker.app.attachments import AttachedFile
from broker.app.purpose import Purposed
from broker.app.statements import acknowledgement, feedback_on
from broker.errors import Refusal, StoreError
from broker.exchange.use import labels_kept
from broker.families.attachment import SECTION as ATTACHMENTS
from broker.node import access
from broker.node.answers import AnyRequest
from broker.node.console.desk import case_of, desk_of, people_of
from broker.node.console.feed import Due, Row, part_of, row_of
from broker.node.console.pages import page, subject_named
from broker.node.console.route_map import route_map
from broker.node.console.sending import sent
from broker.node.console.session import Tokens, new_key, one, posted
from broker.node.console.words import WORDS
from broker.node.messages import node_of
from broker.node.problems import NotDone
from broker.register.answers import SubjectAnswer
from broker.register.changes import RECALL
from broker.register.rows import Flag, SubjectRow
from broker.storage.desk import TEXT

LEVELS: Final = ("L3", "L4", "L2")
RESULTS: Final = tuple(result for result in WORDS["result"] if result not in ("OBJECTION", "NO_OBJECTION"))
_FIRST: Final = ("core", "goods", "equipment", "route", "parties")
"""Sections in the order in which they are read; further ones follow by name."""


@dataclass(frozen=True, slots=True)
class Shut:
    """A section that is not shown: the rule, and its reason in words where the rules of now give it."""

    section: str
    rule: str
    reason: str


@dataclass(frozen=True, slots=True)
class Event:
    """Something on the timeline, at Unix ms: ``kind`` is what happened, ``family`` and ``code`` of what was said, ``subject`` that
    message's own."""

    at: int
    kind: str
    who: str
    family: str = ""
    code: str = ""
    revision: int | None = None
    subject: str = ""


@dataclass(frozen=True, slots=True)
class View:
    """A subject as its page shows it; ``proof`` is of the newest delivery (empty for an own subject)."""

    row: SubjectRow
    head: Row
    own: bool
    live: bool
    sections: Mapping[str, Any]
    shut: tuple[Shut, ...]
    flags: tuple[Flag, ...]
    duties: tuple[Due, ...]
    events: tuple[Event, ...]
    proof: Mapping[str, Any]
    labels: Mapping[str, Any]
    files: tuple[AttachedFile, ...]


def view_of(node: AgencyNode, subject: str, purpose: str) -> View:
    """A subject for a purpose. Raises NotDone where it is not here; what is here and not shown is refused with the reason."""
    try:
        reader = node.reader()
    except StoreError as error:
        raise NotDone("NOT_FOUND", "nothing has come to this node yet") from error
    now_ms, use = node.now_ms(), node.purposed(purpose)
    found = reader.subject(subject, now_ms)
    if found is None:
        raise NotDone("NOT_FOUND", "nothing of this subject is here")
    answer = found if found.row.state == "ERASED" else use.subject(found)
    if answer is None:
        kept = use.withheld.get(subject)
        raise NotShown(kept.rule if kept else "", kept.reason if kept else "", found.row)
    delivered = {} if found.row.state == "ERASED" else _delivered(node, answer, purpose)
    duties = tuple(
        Due(each.duty.kind, each.duty.due_ms, each.duty.debtor, each.duty.creditor)
        for each in reader.duties(now_ms, dates=True)
        if each.duty.subject == subject
    )
    return View(
        row=answer.row, head=row_of(answer), own=answer.row.originator == node.agency, live=answer.live,
        sections={name: answer.content[name] for name in _ordered(answer.content) if name != ATTACHMENTS},
        shut=tuple(_shut(node, answer, delivered, now_ms)),
        flags=answer.flags, duties=duties, events=tuple(sorted(_events(node, answer, use), key=lambda each: each.at)),
        proof=delivered.get("proof", {}), labels=delivered.get("header", {}), files=tuple(node.attached.of(answer)),
    )  # fmt: skip


class NotShown(Exception):
    """A subject that is here, and not shown for the purpose."""

    def __init__(self, rule: str, reason: str, row: SubjectRow) -> None:
        super().__init__(reason)
        self.rule, self.reason, self.row = rule, reason, row


def _ordered(content: Mapping[str, Any]) -> list[str]:
    return sorted(content, key=lambda name: (_FIRST.index(name) if name in _FIRST else len(_FIRST), name))


def _delivered(node: AgencyNode, answer: SubjectAnswer, purpose: str) -> dict[str, Any]:
    """The newest delivery of the revision that is shown, as it may be read for the purpose."""
    arrivals = [each for each in node.inbox.about(answer.row.subject) if each.body is not None and each.row.leaf == answer.row.leaf]
    return node.inbox.shown(arrivals[-1:], purpose)[0] if arrivals else {}


def _shut(node: AgencyNode, answer: SubjectAnswer, delivered: Mapping[str, Any], now_ms: int) -> Iterator[Shut]:
    rules: Mapping[str, str] = delivered.get("withheld_by") or {}
    decider, labels = node.inbox.decider, labels_kept(answer.row, node.agency)
    for section in sorted({*answer.row.withheld.split(), *rules}):
        rule, reason = rules.get(section, ""), ""
        if decider is not None and labels is not None:
            verdict = decider.explain(node.agency, f"read:{section}", labels, now_ms)
            reason = "" if verdict.allowed or (rule and rule not in verdict.rules) else verdict.reason
            rule = rule or (verdict.rules[0] if verdict.rules and not verdict.allowed else "")
        yield Shut(section, rule, reason)


def _events(node: AgencyNode, answer: SubjectAnswer, use: Purposed) -> Iterator[Event]:
    row, arrivals = answer.row, node.inbox.about(answer.row.subject)
    revisions = {each.row.revision: each.row for each in arrivals} | {row.revision: row}
    for each in revisions.values():
        if each.family != RECALL:
            kind = "issued" if each.revision == 1 else "revised"
            yield Event(each.issued_at, kind, each.originator, each.family, revision=each.revision)
        else:
            yield Event(each.admitted_at, "recalled", each.originator, each.family, each.reason or "", each.revision)
    for arrival in arrivals:
        if arrival.row.family != RECALL:
            kind = "erased" if arrival.body is None else "taken"
            yield Event(arrival.row.admitted_at, kind, node.agency, arrival.row.family, arrival.row.reason or "", arrival.row.revision)
    yield from _said(node, row.subject, use)
    for flag in answer.flags:
        yield Event(flag.since, "flag", node.agency, code=flag.code)
    if row.erased_at is not None:
        yield Event(row.erased_at, "erased", node.agency, row.family, row.reason or "", row.revision)


def _said(node: AgencyNode, subject: str, use: Purposed, *, deeper: bool = True) -> Iterator[Event]:
    """What agencies said about a subject, and what was said to that: a request and its answer, a wish for consent and the decision."""
    for said in node.reader().answers(subject):
        if use.may(said.subject):
            code = said.code if use.says(said.subject) else ""
            yield Event(said.admitted_at, "said", said.agency, said.kind.lower(), code, said.target_revision, said.subject)
            if deeper:
                yield from _said(node, said.subject, use, deeper=False)


@get("/subjects/{subject:str}", opt={"roles": access.STAFF, "content": True}, operation_id="consoleSubject")
async def subject(request: AnyRequest, state: State, subject: FromPath[str]) -> Response[str]:
    """The page."""
    return _page(request, state, subject_named(subject), {}, None)


def _page(request: AnyRequest, state: State, subject: str, given: Mapping[str, list[str]], refusal: Refusal | None) -> Response[str]:
    node = node_of(state)
    view = view_of(node, subject, access.purpose_of(request))
    drawn = route_map(part_of(view.sections, "route"), state["spots"], node.now_ms())
    return page(
        request, state, "subject.html", status=200 if refusal is None else 422, view=view, levels=LEVELS, results=RESULTS, map=drawn,
        examinations=tuple(WORDS["examination"]), key=new_key(), given={name: values[0] for name, values in given.items()}, refusal=refusal,
        case=case_of(desk_of(state), view.row, node.now_ms()), people=people_of(node), longest=TEXT,
    )  # fmt: skip


@post("/subjects/{subject:str}/acknowledge", opt={"roles": access.STAFF, "content": True}, operation_id="consoleAcknowledge")
async def acknowledge(request: AnyRequest, state: State, subject: FromPath[str]) -> Response[Any]:
    """Acknowledge the revision that the page showed."""
    node, tokens = node_of(state), _tokens(state)
    fields = await posted(request, tokens)
    named = subject_named(subject)
    reader = node.reader() if node.member.files.register_store.exists() else None
    value = acknowledgement(
        node.agency, reader, node.now_ms(), target=named, target_revision=_revision(fields), core={"level": one(fields, "level")}
    )  # fmt: skip
    refused = await sent(request, state, value, fields)
    return refused if isinstance(refused, Response) else _page(request, state, named, fields, refused)


@post("/subjects/{subject:str}/feedback", opt={"roles": access.STAFF, "content": True}, operation_id="consoleFeedback")
async def feedback(request: AnyRequest, state: State, subject: FromPath[str]) -> Response[Any]:
    """Say what came of it, about the revision that the page showed."""
    node, tokens = node_of(state), _tokens(state)
    fields = await posted(request, tokens)
    named = subject_named(subject)
    core = feedback_core(fields)
    if isinstance(core, Refusal):
        return _page(request, state, named, fields, core)
    remark = one(fields, "remark")
    value = feedback_on(node.agency, named, _revision(fields), core, {"narrative": remark} if remark else None)
    refused = await sent(request, state, value, fields)
    return refused if isinstance(refused, Response) else _page(request, state, named, fields, refused)


def feedback_core(fields: Mapping[str, list[str]]) -> dict[str, Any] | Refusal:
    """The section of a feedback from its form; what is left empty is left out."""
    core: dict[str, Any] = {"result": one(fields, "result")}
    for name in ("exam_type", "linked_seizure", "false_positive_reason"):
        if one(fields, name):
            core[name] = one(fields, name)
    if one(fields, "examined_at"):
        at = time_of(one(fields, "examined_at"))
        if at is None:
            return Refusal("BAD_FIELD", "give date and time, UTC", "core.examined_at")
        core["examined_at"] = at
    if one(fields, "usefulness"):
        if one(fields, "usefulness") not in "12345":
            return Refusal("BAD_FIELD", "1 (not at all) to 5 (decisive)", "core.usefulness")
        core["usefulness"] = int(one(fields, "usefulness"))
    if one(fields, "departed_to"):
        core["departed_to"] = {"country": one(fields, "departed_to").upper()}
    return core


def time_of(text: str) -> str | None:
    """A time of a form (``datetime-local``, UTC) as messages have it; None for what is none."""
    try:
        at = datetime.fromisoformat(text.removesuffix("Z"))
    except ValueError:
        return None
    return None if at.tzinfo is not None else f"{at.replace(tzinfo=UTC, microsecond=0):%Y-%m-%dT%H:%M:%S}Z"


def _revision(fields: Mapping[str, list[str]]) -> int:
    text = one(fields, "revision")
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise NotDone("BAD_REQUEST", "the form names no revision")
    return int(text)


def _tokens(state: State) -> Tokens:
    tokens: Tokens = state["tokens"]
    return tokens
