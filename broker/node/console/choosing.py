"""The page on which purpose, unit and language are chosen: ``GET`` and ``POST /console/session``."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Response, get, post
from litestar.datastructures import State
from litestar.params import QueryParameter

from broker.families.message import PURPOSES
from broker.node import access
from broker.node.answers import AnyRequest
from broker.node.console.languages import BY_CODE
from broker.node.console.pages import page, see
from broker.node.console.session import Session, cookies, one, posted
from broker.node.problems import NotDone

START = "/console/feed"


@get("/session", opt={"roles": access.ALL}, operation_id="consoleSession")
async def session(
    request: AnyRequest, state: State, next_: Annotated[str, QueryParameter(name="next", max_length=500)] = START
) -> Response[str]:
    """The form."""
    return page(request, state, "session.html", next=own_path(next_))


@post("/session", opt={"roles": access.ALL}, operation_id="consoleChoose")
async def choose(request: AnyRequest, state: State) -> Response[Any]:
    """Remember what was chosen, and go on."""
    fields, user = await posted(request, state["tokens"]), access.user_of(request)
    purpose, unit, language = one(fields, "purpose"), one(fields, "unit"), one(fields, "language")
    if purpose not in PURPOSES:
        raise NotDone("BAD_PURPOSE", "there is no such purpose")
    if unit not in user.units:
        raise NotDone("UNIT_MAY_NOT", "you do not belong to this unit")
    if language not in BY_CODE:
        raise NotDone("BAD_REQUEST", "there is no such language")
    answer = see(own_path(one(fields, "next")))
    for each in cookies(Session(purpose, unit, language, one(fields, "keys") == "on", one(fields, "sound") == "on")):
        answer.set_cookie(each)
    return answer


def own_path(path: str) -> str:
    """A path of the console; the feed for anything else, so that nobody is sent elsewhere."""
    plain = path.isascii() and path.isprintable() and "\\" not in path and ".." not in path
    return path if plain and path.startswith("/console/") and not path.startswith("/console/static") else START
