"""Screening: ``POST /screen``. Shipments in any format that `broker screen` reads, held against the register for a purpose.

A body is at most 8 MiB; what is longer is for the command. The work is done in a thread with a connection of its own, some requests at a
time, so that nobody but who screens waits for it. All share one index of the register's names.
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
from broker.app.shared_names import SharedNames
from broker.node import access
from broker.node.answers import JSON, AnyRequest
from broker.node.messages import node_of
from broker.node.register import withheld_of
from broker.screening.hits import THRESHOLD
from broker.screening.reading import read_rows
from broker.screening.shipment import BadRow
from broker.storage.register_reader import RegisterReader

BODY: Final = 8 << 20
"""Longest body, in bytes."""
TOLD: Final = 5000
"""Most hits, bad rows and remarks of one answer, together; the counts are of all."""
PIECE: Final = 1 << 16
AT_ONCE: Final = 4
"""Most screenings at a time: the threads and the memory are everybody's."""


class Screenings:
    """What a node's screenings share: turns, and the names of the register."""

    def __init__(self) -> None:
        self.turns = asyncio.Semaphore(AT_ONCE)
        self._names = SharedNames()

    def view(self, node: AgencyNode, reader: RegisterReader, version: int, use: Purposed) -> StoredView:
        """The register through ``reader``, which is the calling thread's; ``version``: that of the node's own reader."""
        now_ms = node.now_ms()
        return StoredView(reader, now_ms, use, self._names.at(version, reader, now_ms))


def screenings_of(state: State) -> Screenings:
    """The screenings of the node that the application is in front of."""
    if "screening" not in state:
        state["screening"] = Screenings()
    found: Screenings = state["screening"]
    return found


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
    shared = screenings_of(state)
    async with shared.turns:
        version = node.reader().changes()
        told = await asyncio.to_thread(_screened, node, shared, version, purpose, body, threshold, findings)
    return Response(msgspec.json.encode(told | freshness_json(node.freshness()) | node.environment()), media_type=JSON)


def _screened(
    node: AgencyNode, shared: Screenings, version: int, purpose: str, body: bytes, threshold: int, findings: bool
) -> dict[str, Any]:
    with closing(node.own_reader()) as reader:
        use = Purposed(reader, node.agency, node.inbox.decider, purpose, node.now_ms())
        tally, results = Tally(), list[dict[str, Any]]()
        for each in screen(read_rows(_pieces(body)), shared.view(node, reader, version, use), threshold=threshold):
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
