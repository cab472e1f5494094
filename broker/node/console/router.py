"""The console as one router: its pages, its files, and how its pages say that something is not done."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
from litestar import Request, Response, Router, get
from litestar.datastructures import State
from litestar.exceptions import HTTPException
from litestar.params import FromPath
from litestar.types import ControllerRouterHandler

from broker.errors import BrokerError
from broker.node import problems
from broker.node.console import (
    assets,
    attachments,
    choosing,
    compose,
    desk,
    drafts,
    exchange,
    feed,
    figures,
    filters,
    licences,
    recalls,
    requests,
    screenings,
    search,
    sent_messages,
    subject,
)
from broker.node.console.pages import HEADERS, assets_of, page, see
from broker.node.console.session import Tokens, purpose_as_header
from broker.node.problems import NotDone, Problem
from broker.node.scope import known, request_id_of
from broker.storage import console_file
from broker.storage.desk import Desk
from broker.storage.drafts import Drafts
from broker.storage.kept_screenings import KeptScreenings
from broker.storage.mails import MailQueue
from broker.storage.places import read_spots
from broker.storage.saved_filters import SavedFilters

AnyRequest = Request[Any, Any, Any]


@get("/static/{name:str}", opt={"public": True}, operation_id="consoleFile")
async def file(state: State, name: FromPath[str]) -> Response[bytes]:
    """A file of the pages. They say nothing about anybody, so they are open and may be kept for an hour."""
    path = assets_of(state).get(name)
    if path is None:
        raise NotDone("NOT_FOUND", "there is no such file")
    return Response(path.read_bytes(), media_type=assets.media_type(path), headers={"cache-control": "max-age=3600"})


@get("/", opt={"public": True}, operation_id="consoleStart")
async def start() -> Response[None]:
    """The first page."""
    return see(choosing.START)


def _not_done(request: AnyRequest, error: Exception) -> Response[Any]:
    """Problems as pages. Without a purpose one is chosen first."""
    state = request.app.state
    if isinstance(error, NotDone) and error.code == "PURPOSE_NEEDED" and request.method == "GET":
        if request.headers.get("hx-request") == "true":  # a part of a page: the whole page is loaded again, and asks
            return Response(None, status_code=403, headers={"hx-refresh": "true", **HEADERS})
        return see(f"/console/session?next={quote(request.url.path, safe='/')}")
    if isinstance(error, subject.NotShown):
        return page(request, state, "not_shown.html", status=403, row=error.row, rule=error.rule, reason=error.reason)
    answer = answer_of(request, error)
    told, status = msgspec.json.decode(answer.content), answer.status_code or 500
    found = Problem("", "", status, told["code"], told.get("detail", ""), told.get("advice", ""), request_id_of(request))
    if known(request) is None:
        return answer  # without a certificate there is no page, and nothing is told of the agency
    made = page(request, state, "problem.html", status=status, problem=found, heading=found.code)
    for name, value in answer.headers.items():
        made.headers.setdefault(name, value)
    return made


def answer_of(request: AnyRequest, error: Exception) -> Response[bytes]:
    """What is not done as problem details (RFC 9457)."""
    if isinstance(error, NotDone):
        return problems.on_not_done(request, error)
    if isinstance(error, HTTPException):
        return problems.on_http(request, error)
    if isinstance(error, BrokerError):
        return problems.on_broker(request, error)
    return problems.on_late(request, error) if isinstance(error, TimeoutError) else problems.on_bug(request, error)


def console_router(more: Iterable[ControllerRouterHandler] = ()) -> Router:
    """All of it, below ``/console``."""
    return Router(
        "/console",
        route_handlers=[
            start, file, choosing.session, choosing.choose, feed.feed, feed.events, subject.subject, subject.acknowledge, subject.feedback,
            sent_messages.outbox, sent_messages.message, licences.licences, search.search, recalls.board, recalls.recall,
            recalls.answer, compose.start, compose.form, compose.post_form, compose.findings, drafts.draft, drafts.decide, *more,
            desk.assign, desk.note, desk.handover, desk.hand_over, desk.take_over, filters.keep, compose.edit, drafts.drop,
            requests.board, requests.one_request, requests.answer, requests.ask_form, requests.ask, figures.figures,
            exchange.exchange, exchange.compare,
            *screenings.ROUTES,
            attachments.file, attachments.thumbnail,
            attachments.form_thumbnail, attachments.draft_file, attachments.draft_thumbnail,
            drafts.compare,
        ],
        middleware=[purpose_as_header],
        opt={"certificate": True},
        exception_handlers=dict.fromkeys((NotDone, subject.NotShown, HTTPException, BrokerError, TimeoutError, Exception), _not_done),
        include_in_schema=False,
    )  # fmt: skip


def beside(folder: Path, approving: Iterable[str] = (), *, codelists: Path | None = None, mailing: bool = False) -> dict[str, object]:
    """What the console keeps in the application's state. ``folder``: where drafts are kept; ``approving``: families whose messages a
    supervisor approves where an officer writes them; ``codelists``: the operator's folder, read here for where places are; ``mailing``:
    what is urgent or late is told by mail."""
    file = folder / console_file.NAME
    kept: dict[str, object] = {
        "tokens": Tokens(), "approving": frozenset(approving), "drafts": Drafts(file), "assets": assets.files(),
        "desk": Desk(file), "filters": SavedFilters(file), "spots": read_spots(codelists), "counting": asyncio.Lock(),
        "sending": set[str](),
        "screenings": KeptScreenings(folder / "screenings.sqlite"),
    }  # fmt: skip
    return kept | ({"mails": MailQueue(file)} if mailing else {})
