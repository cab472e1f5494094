"""Where the language of the pages is chosen: ``GET`` and ``POST /console/session``. Nothing here is read for a purpose."""

from __future__ import annotations

from typing import Any

from litestar import Response, get, post
from litestar.datastructures import State

from broker.node.answers import AnyRequest
from broker.node.console.languages import BY_CODE
from broker.node.console.pages import see
from broker.node.console.session import Session, cookies, one, posted, session_of
from broker.node.operator.pages import USERS, page
from broker.node.operator.standing import START
from broker.node.problems import NotDone


@get("/session", opt={"roles": USERS}, operation_id="operatorSession")
async def session(request: AnyRequest, state: State) -> Response[str]:
    """The form."""
    return page(request, state, "operator_session.html")


@post("/session", opt={"roles": USERS}, operation_id="operatorChoose")
async def choose(request: AnyRequest, state: State) -> Response[Any]:
    """Remember what was chosen, and go on."""
    fields = await posted(request, state["tokens"])
    language = one(fields, "language")
    if language not in BY_CODE:
        raise NotDone("BAD_REQUEST", "there is no such language")
    answer = see(START)
    chosen = Session(None, None, language, one(fields, "keys") == "on", session_of(dict(request.headers)).sound)  # that of a console beside
    for each in cookies(chosen):
        answer.set_cookie(each)
    return answer
