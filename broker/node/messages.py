"""Publishing: ``POST /messages``, ``POST /messages/dry-run``, ``GET /messages/{id}``.

A message that is accepted (202) is on the disk, under the id that is told, and is sent when the exchange can be reached. With an
Idempotency-Key the answer is kept in the same transaction: whoever sends the same bytes again under the same key, after a crash on either
side, gets the same answer and causes nothing.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterable, Iterator
from typing import Annotated, Any, Final, cast

import msgspec
from litestar import Response, get, post
from litestar.datastructures import State
from litestar.params import FromPath, HeaderParameter, QueryParameter

from broker.app.agency_node import AgencyNode
from broker.app.message_forms import findings_json, message_of, previewed_json, receipt_json, refused_json
from broker.app.outbox import Accepted
from broker.errors import Refusal, RefusedError
from broker.node import access
from broker.node.answers import JSON, LINES, AnyRequest, media_of, parsed, tagged, value_of
from broker.node.problems import NotDone, answer, refused
from broker.storage.intake import Answered, KeyTaken, Standing
from broker.storage.node_folder import User

KEY_TOLD: Final = "A key of your own for this request: the same bytes again under it cause nothing, and get the same answer."
MANY: Final = 1000
"""Most messages of one request."""
_TURN: Final = 20
"""Messages that are judged between two chances for others."""
BODY: Final = 8 << 20
"""Longest body of many messages, in bytes; one message is under 1 MiB anyway."""
ONE: Final = 2 << 20
"""Longest body of one message, as text."""
WAIT_S: Final = 30.0
"""Longest wait for a receipt."""
LOOK_S: Final = 0.05
"""How often a message's standing is looked at while a client waits for it."""


def node_of(state: State) -> AgencyNode:
    """The node that the application is in front of."""
    node: AgencyNode = state["node"]
    return node


@post("/messages", status_code=202, opt={"roles": access.STAFF}, request_max_body_size=BODY, tags=["publish"], operation_id="publish")
async def publish(
    request: AnyRequest,
    state: State,
    idempotency_key: Annotated[str | None, HeaderParameter(name="Idempotency-Key", description=KEY_TOLD)] = None,
) -> Response[bytes]:
    """Publish a message, or many as JSON Lines. 202: it is kept, and will be sent."""
    node, user = node_of(state), access.user_of(request)
    body = await request.body()
    media = media_of(request)
    if media in LINES:
        return await keep(request, node, user, _lines(body), body, idempotency_key, many=True)
    if media != JSON:
        raise NotDone("BAD_MEDIA_TYPE", "this path takes application/json, or application/jsonl for many messages")
    return await keep(request, node, user, [parsed(body)], body, idempotency_key)


def _lines(body: bytes) -> Iterator[object]:
    """The values of JSON Lines, read as they are asked for; a line that is none is kept as its problem, and stops no other."""
    lines = [line for line in body.split(b"\n") if line.strip()]
    if not lines or len(lines) > MANY:
        raise NotDone("BAD_REQUEST", f"give 1 to {MANY:,} messages, one on each line")
    return map(_line, lines)


def _line(line: bytes) -> object:
    try:
        return parsed(line)
    except NotDone as error:
        return Refusal("BAD_FIELD", error.detail)


async def keep(
    request: AnyRequest, node: AgencyNode, user: User, values: Iterable[object], body: bytes, key: str | None, *, many: bool = False,
    digest: bytes | None = None,
) -> Response[bytes]:  # fmt: skip
    """Judge messages, keep those that are right with the answer, and answer. ``digest`` is of the request, where it is not of its path and
    ``body``. Raises NotDone."""
    digest = digest or hashlib.sha256(request.url.path.encode() + b"\0" + body).digest()
    if key is not None:
        if not 1 <= len(key) <= 128 or not key.isascii() or not key.isprintable():
            raise NotDone("BAD_KEY", "this is no Idempotency-Key")
        before = node.outbox.answered(user.name, key)
        if before is not None:
            return _again(before, digest, many=many)
    read = list[Accepted | Refusal]()
    for value in values:
        if len(read) % _TURN == _TURN - 1:
            await asyncio.sleep(0)
        read.append(_read(node, user, value))
    accepted = [each for each in read if isinstance(each, Accepted)]
    if not many and isinstance(read[0], Refusal):
        return answer(request, refused(read[0]))
    results = [_told(node, each) for each in read]
    told: Any = {"accepted": len(accepted), "refused": len(read) - len(accepted), "results": results} if many else results[0]
    text = msgspec.json.encode(told).decode()
    try:
        await node.outbox.keep(accepted, None if key is None else Answered(user.name, key, digest, text))
    except KeyTaken:
        before = node.outbox.answered(user.name, key or "")
        if before is None:
            raise
        return _again(before, digest, many=many)
    return _accepted(text, many=many)


def _again(before: Answered, digest: bytes, *, many: bool) -> Response[bytes]:
    if before.digest != digest:
        raise NotDone("KEY_REUSED", "this Idempotency-Key came with another request before")
    return _accepted(before.answer, many=many, again=True)


def _accepted(text: str, *, many: bool, again: bool = False) -> Response[bytes]:
    headers = {"Idempotency-Replayed": "true"} if again else {}
    if not many:
        headers["Location"] = f"/messages/{msgspec.json.decode(text)['message_id']}"
    return Response(text.encode(), status_code=202, media_type=JSON, headers=headers)


def _read(node: AgencyNode, user: User, value: object) -> Accepted | Refusal:
    if isinstance(value, Refusal):
        return value
    if isinstance(value, dict):
        access.check_family(user, cast("dict[str, object]", value).get("family"))
    return node.outbox.read(cast("object", value))


def _told(node: AgencyNode, each: Accepted | Refusal) -> dict[str, Any]:
    if isinstance(each, Refusal):
        return refused_json(None, each)
    return {
        "message_id": each.message_id, "subject": each.message.subject, "revision": each.message.revision, "outcome": "kept",
        "environment": node.settings.environment, "findings": findings_json(each.findings),
    }  # fmt: skip


@post("/messages/dry-run", status_code=200, opt={"roles": access.STAFF}, request_max_body_size=ONE, tags=["publish"], operation_id="dryRun")
async def dry_run(request: AnyRequest, state: State) -> Response[bytes]:
    """Say who would see which sections of a message, and by which rule. Nothing is sent and nothing is kept."""
    node = node_of(state)
    message = message_of(await value_of(request), node.outbox.catalogue)
    if isinstance(message, Refusal):
        return answer(request, refused(message))
    publisher = node.outbox.publisher
    if publisher is None:
        raise NotDone("EXCHANGE_UNREACHABLE", "who would see it follows from the rules of the exchange, which were not read yet")
    try:
        told = previewed_json(message, *publisher.preview(message), publisher.findings(message))
    except RefusedError as error:
        return answer(request, refused(error.refusal))
    return Response(msgspec.json.encode(told), media_type=JSON)


@get("/messages/{message_id:str}", opt={"roles": access.ALL}, tags=["publish"], operation_id="messageStatus")
async def status(
    request: AnyRequest,
    state: State,
    message_id: FromPath[str],
    wait: Annotated[float, QueryParameter(name="wait", ge=0, le=WAIT_S, description="Seconds to wait for the relay's answer.")] = 0.0,
) -> Response[bytes]:
    """Where a message is: kept, signed, accepted or quarantined with the relay's receipt, or refused before it was sent."""
    node = node_of(state)
    loop = asyncio.get_running_loop()
    deadline = loop.time() + wait
    standing = node.outbox.standing(message_id)
    while standing is not None and standing.state in ("waiting", "signed") and loop.time() < deadline and not node.stopping.is_set():
        await asyncio.sleep(LOOK_S)
        standing = node.outbox.standing(message_id)
    if standing is None:
        raise NotDone("NOT_FOUND", "no message of this id was published here")
    return tagged(request, standing_json(node, message_id, standing))


def standing_json(node: AgencyNode, message_id: str, standing: Standing) -> dict[str, Any]:
    """Where a message is, as a client sees it; an outcome of ``broker publish --json``, with ``environment``."""
    beside = {"environment": node.settings.environment}
    receipt = node.outbox.receipt(standing)
    if receipt is not None:
        return receipt_json(message_id, receipt) | beside
    if standing.state == "refused":
        refusal = Refusal(standing.code, standing.reason, standing.path)
        told = refused_json(None, refusal) | {"message_id": message_id, "subject": standing.subject, "revision": standing.revision}
        return told | beside
    outcome = "kept" if standing.state == "waiting" else "sending"
    told = {"message_id": message_id, "subject": standing.subject, "revision": standing.revision, "outcome": outcome}
    return told | beside
