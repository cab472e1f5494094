"""Working on subjects together: whom one is given to, what is noted on it, and how a shift hands over.

``POST /console/subjects/{subject}/assign`` and ``/notes``; ``GET`` and ``POST /console/handover``, ``POST /console/handover/{number}``.
Nothing of it is ever sent. It is seen with its subject: where that is not shown for a purpose, neither is what was noted on it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Final

from litestar import Response, get, post
from litestar.datastructures import State
from litestar.params import FromPath, QueryParameter

from broker.app.agency_node import AgencyNode
from broker.errors import StoreError
from broker.node import access
from broker.node.answers import AnyRequest
from broker.node.console.feed import Feed, Row, feed_of
from broker.node.console.pages import page, see, segment, subject_named
from broker.node.console.session import KEY, new_key, one, posted
from broker.node.messages import node_of
from broker.node.problems import NotDone
from broker.register.rows import SubjectRow
from broker.storage.desk import TEXT, Assignment, Desk, Note
from broker.storage.node_folder import NodeFolder

PEOPLE: Final = frozenset({"officer", "supervisor"})
"""Roles to whom a subject can be given."""
HOURS: Final = (4, 8, 12, 24, 72)
"""Over how many hours notes are shown at a hand-over."""
NOTES: Final = 200
HANDOVERS: Final = 10
HOUR_MS: Final = 3_600_000


@dataclass(frozen=True, slots=True)
class Case:
    """What is known here of the work on a subject."""

    assignee: str
    assignments: tuple[Assignment, ...]
    notes: tuple[Note, ...]


def desk_of(state: State) -> Desk:
    """The desk of the node."""
    desk: Desk = state["desk"]
    return desk


def people_of(node: AgencyNode) -> list[str]:
    """The users of the node to whom a subject can be given."""
    return [each.name for each in NodeFolder(node.member.files.node_folder, node.agency).users() if each.role in PEOPLE]


def case_of(desk: Desk, row: SubjectRow, now_ms: int) -> Case:
    """The work on a subject that may be shown; what was noted on one that is erased goes now, if it has not gone yet."""
    if row.state == "ERASED":
        desk.erase(row.subject, now_ms)
    return Case(desk.assignees().get(row.subject, ""), tuple(desk.assignments(row.subject)), tuple(desk.notes(row.subject)))


def open_row(node: AgencyNode, subject: str, purpose: str) -> SubjectRow:
    """The row of a subject that may be worked on: it is here, shown for this purpose, and not erased. Raises NotDone."""
    try:
        row = node.reader().row(subject)
    except StoreError as error:
        raise NotDone("NOT_FOUND", "nothing has come to this node yet") from error
    if row is not None and row.state == "ERASED":
        raise NotDone("BAD_REQUEST", "its content is erased here: nothing is noted on it any more")
    if row is None or not node.purposed(purpose).may(subject):
        raise NotDone("NOT_FOUND", "nothing of this subject is here, or it is not shown for this purpose")
    return row


@dataclass(frozen=True, slots=True)
class Shift:
    """What one shift leaves to the next: what is open and late, open and not late, and what was noted; how much is not shown."""

    late: tuple[Row, ...]
    open: tuple[Row, ...]
    notes: tuple[Note, ...]
    withheld: int


def shift_of(node: AgencyNode, desk: Desk, purpose: str, hours: int) -> Shift:
    """What is open now, and what was noted in so many hours, for a purpose. Open is what is assigned, due, or urgent."""
    now_ms = node.now_ms()
    found: Feed = feed_of(node, purpose, desk=desk)
    rows = [row for row in found.rows if row.assignee or row.duties or row.urgency in ("FLASH", "IMMEDIATE")]
    late = tuple(row for row in rows if any(due.at <= now_ms for due in row.duties))
    notes = desk.notes_since(now_ms - hours * HOUR_MS, NOTES)
    try:
        use = node.purposed(purpose)
        notes = [note for note in notes if use.may(note.subject)]
    except StoreError:
        notes = []
    return Shift(late, tuple(row for row in rows if row not in late), tuple(notes), found.withheld)


@get("/handover", opt={"roles": access.STAFF, "content": True}, operation_id="consoleHandover")
async def handover(
    request: AnyRequest, state: State, hours: Annotated[int, QueryParameter(name="hours", ge=1, le=72)] = 8
) -> Response[str]:
    """What is open, late and noted, for the next shift; and what was handed over."""
    node, desk = node_of(state), desk_of(state)
    shift = shift_of(node, desk, access.purpose_of(request), hours)
    return page(
        request, state, "handover.html", shift=shift, hours=hours, choices=HOURS, given=desk.handovers(HANDOVERS), key=new_key(),
        longest=TEXT,
    )  # fmt: skip


@post("/handover", opt={"roles": access.STAFF, "content": True}, operation_id="consoleHandOver")
async def hand_over(request: AnyRequest, state: State) -> Response[Any]:
    """Leave a note to the next shift."""
    fields = await posted(request, state["tokens"])
    desk_of(state).hand_over(_text(fields), access.user_of(request).name, node_of(state).now_ms(), _key(request, fields))
    return see("/console/handover")


@post("/handover/{number:int}", opt={"roles": access.STAFF, "content": True}, operation_id="consoleTakeOver")
async def take_over(request: AnyRequest, state: State, number: FromPath[int]) -> Response[Any]:
    """Take over what another left."""
    fields, user = await posted(request, state["tokens"]), access.user_of(request)
    given = desk_of(state).handover(number) if number < 2**62 else None
    if given is None:
        raise NotDone("NOT_FOUND", "nothing of this number was handed over")
    if given.given_by == user.name:
        raise NotDone("ROLE_MAY_NOT", "somebody else than who handed over takes over")
    desk_of(state).take_over(number, user.name, node_of(state).now_ms(), with_cases=one(fields, "cases") == "on")
    return see("/console/handover")


@post("/subjects/{subject:str}/assign", opt={"roles": access.STAFF, "content": True}, operation_id="consoleAssign")
async def assign(request: AnyRequest, state: State, subject: FromPath[str]) -> Response[Any]:
    """Give a subject to somebody of this node, or to nobody."""
    node, fields = node_of(state), await posted(request, state["tokens"])
    row = open_row(node, subject_named(subject), access.purpose_of(request))
    assignee = one(fields, "assignee")
    if assignee and assignee not in people_of(node):
        raise NotDone("BAD_REQUEST", "there is no such officer or supervisor at this node")
    desk_of(state).assign(row.subject, assignee, access.user_of(request).name, node.now_ms())
    return see(f"/console/subjects/{segment(row.subject)}#work")


@post("/subjects/{subject:str}/notes", opt={"roles": access.STAFF, "content": True}, operation_id="consoleNote")
async def note(request: AnyRequest, state: State, subject: FromPath[str]) -> Response[Any]:
    """Add a note to a subject."""
    node, fields = node_of(state), await posted(request, state["tokens"])
    row = open_row(node, subject_named(subject), access.purpose_of(request))
    desk_of(state).note(row.subject, _text(fields), access.user_of(request).name, node.now_ms(), _key(request, fields))
    return see(f"/console/subjects/{segment(row.subject)}#work")


def _text(fields: dict[str, list[str]]) -> str:
    text = one(fields, "text")
    if not text or len(text) > TEXT:
        raise NotDone("BAD_REQUEST", f"write 1 to {TEXT:,} characters")
    return text


def _key(request: AnyRequest, fields: dict[str, list[str]]) -> str:
    if not one(fields, KEY):
        raise NotDone("BAD_REQUEST", "the form has lost its key: open it again")
    return f"{access.user_of(request).name} {one(fields, KEY)[:200]}"
