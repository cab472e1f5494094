"""What was sent from this node and where it is: ``GET /console/outbox``, ``GET /console/outbox/{message_id}``. No content is shown."""

from __future__ import annotations

from typing import Any, Final

from litestar import Response, get
from litestar.datastructures import State
from litestar.params import FromPath

from broker.app.agency_node import AgencyNode
from broker.node import access
from broker.node.answers import AnyRequest
from broker.node.console.pages import page
from broker.node.messages import node_of, standing_json
from broker.node.problems import NotDone

LIMIT: Final = 100
"""Most messages of the list."""


def told_of(node: AgencyNode, message_id: str) -> dict[str, Any] | None:
    """Where a message is, with the time at which it was accepted here (Unix ms); None for one that did not come through here."""
    standing = node.outbox.standing(message_id)
    if standing is None:
        return None
    told = standing_json(node, message_id, standing)
    return {
        "findings": [], "recipients": [], "code": None, "reason": "", "advice": "", "path": "",
        **told, "message_id": message_id, "at": int(message_id.replace("-", "")[:12], 16), "subject": standing.subject,
    }  # fmt: skip


@get("/outbox", opt={"roles": access.ALL}, operation_id="consoleOutbox")
async def outbox(request: AnyRequest, state: State) -> Response[str]:
    """The messages that came last, and how much waits."""
    node = node_of(state)
    found = [told for each in node.outbox.recent(LIMIT) if (told := told_of(node, each)) is not None]
    return page(request, state, "outbox.html", messages=found, depth=node.outbox.depth(), condition=node.condition())


@get("/outbox/{message_id:str}", opt={"roles": access.ALL}, operation_id="consoleMessage")
async def message(request: AnyRequest, state: State, message_id: FromPath[str]) -> Response[str]:
    """One message: its receipt, and who was given what."""
    told = told_of(node_of(state), message_id)
    if told is None:
        raise NotDone("NOT_FOUND", "no message of this id was published here")
    return page(request, state, "message.html", message=told, pending=told["outcome"] in ("kept", "sending"))
