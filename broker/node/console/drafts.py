"""A draft that waits for a supervisor: ``GET /console/drafts/{id}``, and the decision about it by somebody else than its author."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Response, get, post
from litestar.datastructures import State
from litestar.params import FromPath

from broker.errors import Refusal
from broker.node import access
from broker.node.answers import AnyRequest
from broker.node.console.compose import drafts_of, readable
from broker.node.console.pages import page, see
from broker.node.console.sending import sent
from broker.node.console.session import KEY, one, posted
from broker.node.messages import node_of
from broker.node.problems import NotDone
from broker.storage.drafts import RETURNED, SENT, WAITING, Draft


def _draft(state: State, draft_id: str) -> Draft:
    found = drafts_of(state).get(draft_id)
    if found is None:
        raise NotDone("NOT_FOUND", "there is no such draft")
    return found


def _page(request: AnyRequest, state: State, draft: Draft, refusal: Refusal | None = None) -> Response[str]:
    value, seen = readable(draft, node_of(state))
    user = access.user_of(request)
    may = draft.state == WAITING and user.role in access.DECIDING and user.name != draft.author
    refusal = refusal or (seen if isinstance(seen, Refusal) else None)
    preview = None if isinstance(seen, Refusal) else seen
    return page(request, state, "draft.html", draft=draft, value=value, preview=preview, may=may, refusal=refusal)


@get("/drafts/{draft_id:str}", opt={"roles": access.STAFF, "content": True}, operation_id="consoleDraft")
async def draft(request: AnyRequest, state: State, draft_id: FromPath[str]) -> Response[str]:
    """The draft: what it says, and who would see it by the rules of now."""
    return _page(request, state, _draft(state, draft_id))


@post("/drafts/{draft_id:str}", opt={"roles": access.DECIDING, "content": True}, operation_id="consoleDecide")
async def decide(request: AnyRequest, state: State, draft_id: FromPath[str]) -> Response[Any]:
    """Send it or return it. Four eyes: not by its author."""
    fields, user, found = await posted(request, state["tokens"]), access.user_of(request), _draft(state, draft_id)
    if found.state != WAITING:
        return see(f"/console/drafts/{found.id}")
    if user.name == found.author:
        raise NotDone("ROLE_MAY_NOT", "somebody else than its author decides on a draft")
    if one(fields, "do") != "send":
        drafts_of(state).decide(found.id, RETURNED, user.name)
        return see(f"/console/drafts/{found.id}")
    done = await sent(request, state, msgspec.json.decode(found.body), {**fields, KEY: [found.id]}, body=found.body.encode())
    if isinstance(done, Refusal):
        return _page(request, state, found, done)
    drafts_of(state).decide(found.id, SENT, user.name, done.headers["location"].rpartition("/")[2])
    return done
