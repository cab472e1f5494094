"""The live feed: what others sent and is live, by urgency, with what is due on it and when. ``GET /console/feed``, and as events."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Final, cast

from litestar import Response, get
from litestar.datastructures import State
from litestar.response import ServerSentEvent, ServerSentEventMessage

from broker.app.agency_node import AgencyNode
from broker.errors import StoreError
from broker.node import access
from broker.node.answers import AnyRequest
from broker.node.console.filters import EVERYTHING, NAME, Filter, filters_of, wanted
from broker.node.console.pages import page, text_of
from broker.node.console.words import WORDS
from broker.node.inbox import BEAT_S
from broker.node.messages import node_of
from broker.node.streams import NOT_KEPT, Streams, still
from broker.register.answers import OpenDuty, SubjectAnswer
from broker.register.rows import SubjectRow
from broker.storage.desk import Desk
from broker.storage.register_reader import RegisterReader

FAMILIES: Final = ("alert", "licence")
EACH: Final = 100
"""Most of each family, the newest; with them comes whatever this agency still owes something on."""
OWED: Final = 200
LOOKED: Final = 2000
"""Among how many of each family a filter looks, the newest."""
LOOK_S: Final = 0.2
"""How often a stream looks whether the register has changed."""
_RANK: Final = {"FLASH": 0, "IMMEDIATE": 1, "PRIORITY": 2, "ROUTINE": 3}
_FOR_EVER: Final = 2**62
_MARKS: Final = 3
"""Most numbers that a row names."""


@dataclass(frozen=True, slots=True)
class Due:
    """What is due on a subject: ``at`` in Unix ms."""

    kind: str
    at: int
    debtor: str
    creditor: str


@dataclass(frozen=True, slots=True)
class Row:
    """A subject in a list. ``marks``: by what the goods are known; ``shut``: sections that are not shown.
    ``assignee``: who works on it here, and how many notes there are on it."""

    subject: str
    family: str
    originator: str
    urgency: str
    admitted_at: int
    category: str
    decision: str
    licence_no: str
    marks: tuple[str, ...]
    actions: tuple[str, ...]
    flags: tuple[str, ...]
    shut: tuple[str, ...]
    duties: tuple[Due, ...]
    assignee: str = ""
    notes: int = 0


@dataclass(frozen=True, slots=True)
class Feed:
    """The rows, and how many messages are here and not shown for the purpose."""

    rows: tuple[Row, ...]
    withheld: int


def part_of(content: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """A section or record; empty where it is not there."""
    return cast("Mapping[str, Any]", content.get(name) or {})


def _texts(value: object) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else []


def marks_of(content: Mapping[str, Any]) -> tuple[str, ...]:
    """Containers and documents by which a shipment is known."""
    units = _texts(part_of(content, "equipment").get("units"))
    documents = _texts(part_of(content, "core").get("documents"))
    found = [str(each.get("id", "")) for each in (*units, *documents)]
    return tuple(dict.fromkeys(each for each in found if each))


def row_of(answer: SubjectAnswer, duties: Iterable[OpenDuty] = ()) -> Row:
    """A subject that may be shown, as a row."""
    row, core = answer.row, part_of(answer.content, "core")
    licence = row.family == "licence"
    return Row(
        subject=row.subject, family=row.family, originator=row.originator, urgency=row.urgency, admitted_at=row.admitted_at,
        category=str(core.get("risk_category") or ""), decision=str(core.get("decision_type") or "") if licence else "",
        licence_no=str(core.get("licence_no") or "") if licence else "", marks=marks_of(answer.content)[:_MARKS],
        actions=tuple(str(each) for each in _texts(core.get("requested_actions"))),
        flags=tuple(dict.fromkeys(flag.code for flag in answer.flags)), shut=tuple(sorted(set(row.withheld.split()))),
        duties=tuple(Due(each.duty.kind, each.duty.due_ms, each.duty.debtor, each.duty.creditor) for each in duties),
    )  # fmt: skip


def feed_of(node: AgencyNode, purpose: str, wish: Filter | None = None, *, desk: Desk | None = None, user: str = "") -> Feed:
    """The feed now, for a purpose: what fits ``wish`` of ``user``, with who works on it as ``desk`` has it. What is not shown is counted
    whether it fits or not: that it does would tell what it says."""
    try:
        reader = node.reader()
    except StoreError:
        return Feed((), 0)  # the register is made when the exchange is reached for the first time
    now_ms, use = node.now_ms(), node.purposed(purpose)
    owed: dict[str, list[OpenDuty]] = {}
    for each in reader.duties(now_ms, OWED):
        if each.duty.debtor == node.agency:
            owed.setdefault(each.duty.subject, []).append(each)
    assigned: Mapping[str, str] = {} if desk is None else desk.assignees()
    notes: Mapping[str, int] = {} if desk is None else desk.counts()
    newest = _newest(reader, node.agency, (*owed, *assigned), now_ms)
    chosen = newest if wish is None or wish == Filter() else _fitting(reader, node.agency, newest, wish, assigned, user, now_ms)
    answers = [answer for subject in chosen if use.may(subject) and (answer := reader.subject(subject, now_ms)) is not None]
    shown = [each for answer in answers if (each := use.subject(answer)) is not None]
    withheld = sum(not use.may(subject) for subject in newest)
    rows = [
        replace(
            row_of(answer, owed.get(answer.row.subject, ())), assignee=assigned.get(answer.row.subject, ""),
            notes=notes.get(answer.row.subject, 0),
        )
        for answer in shown
    ]  # fmt: skip
    return Feed(tuple(sorted(rows, key=_order)), withheld)


def _newest(reader: RegisterReader, agency: str, also: Iterable[str], now_ms: int) -> dict[str, SubjectRow]:
    """The newest live subjects of others, and further ones however old they are."""
    found = {row.subject: row for family in FAMILIES for row in reader.recent_rows(family, now_ms, EACH)}
    for subject in also:
        row = None if subject in found else reader.row(subject)
        if row is not None and row.family in FAMILIES and row.state == "LIVE" and (row.valid_until is None or row.valid_until > now_ms):
            found[subject] = row
    return {subject: row for subject, row in found.items() if row.originator != agency}


def _fitting(
    reader: RegisterReader, agency: str, newest: Mapping[str, SubjectRow], wish: Filter, assigned: Mapping[str, str], user: str, now_ms: int
) -> list[str]:
    """The newest that fit, looked for among many more than are shown without a filter."""

    def fits(row: SubjectRow) -> bool:
        return row.originator != agency and wish.fits_who(assigned.get(row.subject, ""), user) and wish.fits(row, agency)

    found = [subject for subject, row in newest.items() if fits(row)]
    for family in FAMILIES:
        fitting = (row.subject for row in reader.recent_rows(family, now_ms, LOOKED) if fits(row))
        found += islice(fitting, EACH)
    return list(dict.fromkeys(found))


def _order(row: Row) -> tuple[int, int, int, str]:
    due = min((each.at for each in row.duties), default=_FOR_EVER)
    return _RANK.get(row.urgency, len(_RANK)), due, -row.admitted_at, row.subject


@get("/feed", opt={"roles": access.STAFF, "content": True}, operation_id="consoleFeed")
async def feed(request: AnyRequest, state: State) -> Response[str]:
    """The page: what the address asks for; without a query the user's first filter."""
    node, wish, user = node_of(state), wanted(request, state), access.user_of(request).name
    saved = filters_of(state).of(user)
    return page(
        request, state, "feed.html", feed=feed_of(node, access.purpose_of(request), wish, desk=state["desk"], user=user), wish=wish,
        saved=saved, named=next((each for each in saved if each.query == wish.query), None), everything=EVERYTHING,
        urgencies=tuple(WORDS["urgency"]), categories=tuple(WORDS["category"]), longest=NAME,
    )  # fmt: skip


@get("/feed/events", opt={"roles": access.STAFF, "content": True}, operation_id="consoleFeedEvents")
async def events(request: AnyRequest, state: State) -> ServerSentEvent:
    """The part of the page that changes, whenever it has changed."""
    open_streams: Streams = state["streams"]
    open_streams.open(request)
    return ServerSentEvent(_stream(request, state, wanted(request, state)), retry_duration=1000, headers=NOT_KEPT)


async def _stream(request: AnyRequest, state: State, wish: Filter) -> AsyncGenerator[ServerSentEventMessage, None]:
    node, purpose, name = node_of(state), access.purpose_of(request), access.user_of(request).name
    desk: Desk = state["desk"]
    shown, seen, said, looked = "", (-1, -1), 0.0, 0.0
    loop = asyncio.get_running_loop()
    yield ServerSentEventMessage(data=None, comment="open")
    while not node.stopping.is_set() and still(request):
        changes = _changes(node), desk.version
        if changes != seen or loop.time() - looked > BEAT_S:  # what ends by itself, and rules that change, leave no mark there
            seen, looked, now = changes, loop.time(), feed_of(node, purpose, wish, desk=desk, user=name)
            digest = hashlib.sha256(repr(now).encode()).hexdigest()[:16]
            if digest != shown:
                news, shown, said = bool(shown), digest, loop.time()  # the first one is what the page shows already
                yield ServerSentEventMessage(data=text_of(request, state, "feed_rows.html", {"feed": now}), event="feed", id=digest)
                yield ServerSentEventMessage(data=text_of(request, state, "feed_status.html", {"news": news}), event="status")
        if loop.time() - said > BEAT_S:
            said = loop.time()
            yield ServerSentEventMessage(data=None, comment="nothing new")
        await asyncio.sleep(LOOK_S)


def _changes(node: AgencyNode) -> int:
    try:
        return node.reader().changes()
    except StoreError:
        return 0
