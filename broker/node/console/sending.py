"""Sending what a form says, through the node's outbox: once for each rendered form, however often it is posted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
from litestar import Response
from litestar.datastructures import State

from broker.errors import Refusal
from broker.node import access
from broker.node.answers import AnyRequest
from broker.node.console.pages import see
from broker.node.console.session import KEY, one
from broker.node.messages import keep, node_of
from broker.node.problems import NotDone


async def sent(
    request: AnyRequest, state: State, value: object, fields: Mapping[str, Sequence[str]], *, body: bytes | None = None,
    digest: bytes | None = None,
) -> Response[None] | Refusal:  # fmt: skip
    """Keep the message for sending and go on to its page, or say why it is refused. ``value``: the message's JSON form; ``body`` and
    ``digest``: what the idempotency key stands for, where it is not the posted form.

    The form's idempotency key makes the second post of the same form come to the same message. Raises NotDone, KEY_REUSED for a form that
    was changed after it had been sent.
    """
    if isinstance(value, Refusal):
        return value
    key = one({name: list(each) for name, each in fields.items()}, KEY)
    if not key:
        raise NotDone("BAD_REQUEST", "the form has lost its key: open it again")
    node, user = node_of(state), access.user_of(request)
    given = await request.body() if body is None else body
    answered = await keep(request, node, user, [value], given, key, digest=digest)
    told = msgspec.json.decode(answered.content)
    if answered.status_code != 202:
        return Refusal(told["code"], told.get("detail", ""), told.get("path", ""))
    return see(f"/console/outbox/{told['message_id']}")
