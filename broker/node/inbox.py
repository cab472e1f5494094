"""Reading what was delivered: ``GET /inbox`` by a cursor, ``GET /inbox/events`` as server-sent events that can be resumed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Annotated, Final

import msgspec
from litestar import Response, get
from litestar.datastructures import State
from litestar.params import HeaderParameter, QueryParameter
from litestar.response import ServerSentEvent, ServerSentEventMessage

from broker.app.agency_node import AgencyNode
from broker.node import access
from broker.node.answers import AnyRequest, tagged
from broker.node.messages import node_of
from broker.node.streams import NOT_KEPT, Streams, still

LIMIT: Final = 1000
"""Most arrivals of one answer."""
PAGE: Final = 100
"""Arrivals that a stream reads at a time."""
BEAT_S: Final = 15.0
"""How often a stream that has nothing to say says so, lest somebody on the way thinks it dead."""


@get("/inbox", opt={"roles": access.STAFF, "content": True}, tags=["read"], operation_id="inbox")
async def inbox(
    request: AnyRequest,
    state: State,
    after: Annotated[str | None, QueryParameter(name="after", description="The cursor of the last item you have, or `now`.")] = None,
    limit: Annotated[int, QueryParameter(name="limit", ge=1, le=LIMIT, description="Most items of the answer.")] = 100,
) -> Response[bytes]:
    """What was delivered, in order. Ask again with `next` as `after`; `more` says whether there is more at once."""
    node = node_of(state)
    number = node.inbox.number(after)
    arrivals = node.inbox.after(number, limit + 1)
    more, arrivals = len(arrivals) > limit, arrivals[:limit]
    reached = arrivals[-1].number if arrivals else number
    items = node.inbox.shown(arrivals, access.purpose_of(request))
    return tagged(request, {"items": items, "next": node.inbox.cursor(reached), "more": more} | node.environment())


@get("/inbox/events", opt={"roles": access.STAFF, "content": True}, tags=["read"], operation_id="inboxEvents")
async def events(
    request: AnyRequest,
    state: State,
    after: Annotated[str | None, QueryParameter(name="after", description="Where to begin, as in `/inbox`.")] = None,
    last_event_id: Annotated[str | None, HeaderParameter(name="Last-Event-ID", description="Counts before `after`.")] = None,
) -> ServerSentEvent:
    """The same as a stream. Each event's id is its cursor; a client that was cut off goes on behind the last one it got."""
    node = node_of(state)
    number = node.inbox.number(last_event_id if last_event_id else after)
    open_streams: Streams = state["streams"]
    open_streams.open(request)
    return ServerSentEvent(_stream(request, node, number), retry_duration=1000, headers=NOT_KEPT)


async def _stream(request: AnyRequest, node: AgencyNode, number: int) -> AsyncGenerator[ServerSentEventMessage, None]:
    purpose = access.purpose_of(request)
    yield ServerSentEventMessage(data=None, comment="open")
    while not node.stopping.is_set() and still(request):
        arrivals = node.inbox.after(number, PAGE)
        for arrival, item in zip(arrivals, node.inbox.shown(arrivals, purpose), strict=True):
            yield ServerSentEventMessage(data=msgspec.json.encode(item).decode(), event=item["kind"], id=item["cursor"])
            number = arrival.number
        if not arrivals and not await _something(node, number):
            yield ServerSentEventMessage(data=None, comment="nothing new")


async def _something(node: AgencyNode, number: int) -> bool:
    """Wait for something to say, a beat long; at once where the node is being stopped."""
    waiting, stopping = asyncio.create_task(node.inbox.wait(number, BEAT_S)), asyncio.create_task(node.stopping.wait())
    try:
        await asyncio.wait({waiting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        return waiting.done() and waiting.result()
    finally:
        for task in (waiting, stopping):
            task.cancel()
