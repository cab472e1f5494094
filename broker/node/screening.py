"""Screening: ``POST /screen``. Shipments in any format that `broker screen` reads, held against the register for a purpose.

A body is at most 8 MiB; what is longer is for the command. The work is done in a thread with a connection of its own, one request after
the other, so that nobody but who screens waits for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import closing
from typing import Annotated, Any, Final

import msgspec
from litestar import Response, post
from litestar.datastructures import State
from litestar.params import QueryParameter

from broker.app.agency_node import AgencyNode
from broker.app.purpose import Purposed
from broker.app.register_forms import freshness_json
from broker.app.screening import StoredView, screen
from broker.app.screening_json import Tally, bad_row_json, finding_json, hit_json
from broker.node import access
from broker.node.answers import JSON, AnyRequest
from broker.node.messages import node_of
from broker.node.register import withheld_of
from broker.screening.hits import THRESHOLD
from broker.screening.reading import read_rows
from broker.screening.shipment import BadRow

BODY: Final = 8 << 20
"""Longest body, in bytes."""
TOLD: Final = 5000
"""Most hits, bad rows and remarks of one answer, together; the counts are of all."""
PIECE: Final = 1 << 16


@post(
    "/screen", status_code=200, opt={"roles": access.STAFF, "content": True}, request_max_body_size=BODY, tags=["read"],
    operation_id="screen",
)  # fmt: skip
async def screen_shipments(
    request: AnyRequest,
    state: State,
    threshold: Annotated[int, QueryParameter(name="threshold", ge=1, le=100, description="Score from which a hit is told.")] = THRESHOLD,
    findings: Annotated[bool, QueryParameter(name="findings", description="Tell the remarks on the papers too.")] = False,
) -> Response[bytes]:
    """Hold shipments against the register: our JSON or JSON Lines; declarations, entry summaries and waybills in XML; EDIFACT. The format
    is told by the content. A row that cannot be read is told with its line and stops no other."""
    node, purpose = node_of(state), access.purpose_of(request)
    body = await request.body()
    async with turns(state):
        told = await asyncio.to_thread(_screened, node, purpose, body, threshold, findings)
    return Response(msgspec.json.encode(told | freshness_json(node.freshness()) | node.environment()), media_type=JSON)


def turns(state: State) -> asyncio.Semaphore:
    """One screening at a time: each reads all names of the register, and the threads and the memory are everybody's."""
    if "screening" not in state:
        state["screening"] = asyncio.Semaphore(1)
    found: asyncio.Semaphore = state["screening"]
    return found


def _screened(node: AgencyNode, purpose: str, body: bytes, threshold: int, findings: bool) -> dict[str, Any]:
    with closing(node.own_reader()) as reader:
        use = Purposed(reader, node.agency, node.inbox.decider, purpose, node.now_ms())
        tally, results = Tally(), list[dict[str, Any]]()
        for each in screen(read_rows(_pieces(body)), StoredView(reader, node.now_ms(), use), threshold=threshold):
            tally.take(each)
            if isinstance(each, BadRow):
                results.append(bad_row_json(each))
                continue
            results += [hit_json(each.shipment, hit) for hit in each.hits]
            results += [finding_json(each.shipment, found) for found in each.findings] if findings else []
            del results[TOLD + 1 :]
        more = len(results) > TOLD
        counts = tally.json()
        return {"results": results[:TOLD], "more": more, "counts": counts, "withheld": withheld_of(use.withheld.values(), purpose)}


def _pieces(body: bytes) -> Iterator[bytes]:
    return (body[at : at + PIECE] for at in range(0, len(body), PIECE))
