"""A draft that waits for a supervisor: ``GET /console/drafts/{id}``, the decision about it by somebody else than its author, who may change
it until then, and after it was returned."""

from __future__ import annotations

import hashlib
from typing import Annotated, Any, Final

import msgspec
from litestar import Response, get, post
from litestar.datastructures import State
from litestar.params import FromPath, QueryParameter

from broker.errors import Refusal
from broker.node import access
from broker.node.answers import AnyRequest
from broker.node.console import file_fields
from broker.node.console.compose import approved_digest, draft_of, drafts_of, readable, sending_of, settled
from broker.node.console.draft_changes import MOST, Change, changes
from broker.node.console.pages import page, see
from broker.node.console.sending import sent
from broker.node.console.session import KEY, one, posted
from broker.node.messages import node_of
from broker.node.problems import NotDone
from broker.storage.drafts import RETURNED, WAITING, Draft

REASON: Final = 500
"""Longest reason for which a draft is returned."""


def _draft(state: State, draft_id: str) -> Draft:
    found = draft_of(state, draft_id)
    if found is None:
        raise NotDone("NOT_FOUND", "there is no such draft")
    return found


def _page(request: AnyRequest, state: State, draft: Draft, refusal: Refusal | None = None, *, changed: bool = False) -> Response[str]:
    value, seen = readable(draft, node_of(state))
    user = access.user_of(request)
    may = draft.state == WAITING and user.role in access.DECIDING and user.name != draft.author
    refusal = refusal or (seen if isinstance(seen, Refusal) else None)
    preview = None if isinstance(seen, Refusal) else seen
    own = user.name == draft.author and draft.state in (WAITING, RETURNED)
    versions = drafts_of(state).versions(draft.id)
    since = drafts_of(state).looked(draft.id, user.name, versions[-1].number) if may and versions else 0
    return page(
        request, state, "draft.html", status=200 if refusal is None else 422, draft=draft, value=value, preview=preview, may=may, own=own,
        refusal=refusal, history=drafts_of(state).history(draft.id), seen=_digest(draft), changed=changed, longest=REASON,
        files=file_fields.draft_files(node_of(state), draft.body),
        versions=versions, since=since, found=_between(state, draft.id, since, versions[-1].number) if since else None, most=MOST,
    )  # fmt: skip


def _between(state: State, draft_id: str, before: int, after: int) -> list[Change] | None:
    """What changed between two versions; None where one of them is not kept."""
    texts = [drafts_of(state).version(draft_id, number) for number in (before, after)]
    if texts[0] is None or texts[1] is None:
        return None
    return changes(msgspec.json.decode(texts[0]), msgspec.json.decode(texts[1]))


def _digest(draft: Draft) -> str:
    """Of what a draft says: what is approved is what was shown."""
    return hashlib.sha256(draft.body.encode()).hexdigest()


@get("/drafts/{draft_id:str}", opt={"roles": access.STAFF, "content": True}, operation_id="consoleDraft")
async def draft(request: AnyRequest, state: State, draft_id: FromPath[str]) -> Response[str]:
    """The draft: what it says, and who would see it by the rules of now."""
    return _page(request, state, _draft(state, draft_id))


@get("/drafts/{draft_id:str}/changes", opt={"roles": access.STAFF, "content": True}, operation_id="consoleDraftChanges")
async def compare(
    request: AnyRequest,
    state: State,
    draft_id: FromPath[str],
    before: Annotated[int, QueryParameter(name="from", ge=1, le=2**31 - 1)],
    after: Annotated[int, QueryParameter(name="to", ge=1, le=2**31 - 1)],
) -> Response[str]:
    """What changed between two versions of a draft, field by field."""
    draft = _draft(state, draft_id)
    found = _between(state, draft.id, before, after)
    if found is None:
        raise NotDone("NOT_FOUND", "there are no such versions of this draft: they go with its content, and the oldest before that")
    return page(
        request, state, "draft_changes.html", draft=draft, versions=drafts_of(state).versions(draft.id), found=found, before=before,
        after=after, most=MOST,
    )  # fmt: skip


@post("/drafts/{draft_id:str}", opt={"roles": access.DECIDING, "content": True}, operation_id="consoleDecide")
async def decide(request: AnyRequest, state: State, draft_id: FromPath[str]) -> Response[Any]:
    """Send it or return it. Four eyes: not by its author."""
    fields, user, found = await posted(request, state["tokens"]), access.user_of(request), _draft(state, draft_id)
    if found.state != WAITING:
        return see(f"/console/drafts/{found.id}")
    if user.name == found.author:
        raise NotDone("ROLE_MAY_NOT", "somebody else than its author decides on a draft")
    now_ms = node_of(state).now_ms()
    if one(fields, "do") != "send":
        reason = one(fields, "reason")[:REASON]
        if not reason:
            return _page(request, state, found, Refusal("BAD_FIELD", "say why it is returned", "reason"))
        drafts_of(state).give_back(found.id, user.name, reason, now_ms)
        return see(f"/console/drafts/{found.id}")
    if one(fields, "seen") != _digest(found):  # its author changed it in the meantime
        return _page(request, state, found, changed=True)
    gone = file_fields.missing(node_of(state), found.body)
    if gone is not None:
        return _page(request, state, found, gone)
    done = await _send(request, state, found, fields)
    if isinstance(done, Refusal):
        return _page(request, state, _draft(state, found.id), done)
    return done


async def _send(request: AnyRequest, state: State, found: Draft, fields: dict[str, list[str]]) -> Response[None] | Refusal:
    """Give a draft to the outbox, as it was approved: until that has taken it, nobody changes it, lets go of it or sends it too."""
    user, drafts = access.user_of(request), drafts_of(state)
    if not drafts.approve(found.id, user.name, found.body):
        return see(f"/console/drafts/{found.id}")
    sending_of(state).add(found.id)
    again = {**fields, KEY: [found.id]}
    try:
        done = await sent(
            request, state, msgspec.json.decode(found.body), again, body=found.body.encode(), digest=approved_digest(found)
        )  # fmt: skip
    except Exception:
        _over(state, found.id)
        raise
    # A node that stops cancels, and its outbox may take it all the same, afterwards: what became of it the next process finds.
    _over(state, found.id)
    return done


def _over(state: State, draft_id: str) -> None:
    sending_of(state).discard(draft_id)
    settled(state, draft_id)


@post("/drafts/{draft_id:str}/drop", opt={"roles": access.STAFF, "content": True}, operation_id="consoleDropDraft")
async def drop(request: AnyRequest, state: State, draft_id: FromPath[str]) -> Response[Any]:
    """Its author lets go of it."""
    await posted(request, state["tokens"])
    user, found = access.user_of(request), _draft(state, draft_id)
    if user.name != found.author:
        raise NotDone("ROLE_MAY_NOT", "a draft is let go of by its author")
    drafts_of(state).drop(found.id, user.name, node_of(state).now_ms())
    file_fields.settle(state)
    return see(f"/console/drafts/{found.id}")
