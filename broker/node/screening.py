"""Screening: ``POST /screen`` and ``POST /screen/stream``. Shipments in any format that `broker screen` reads, held against the register
for a purpose.

The first takes up to 8 MiB and answers with one object; the second takes a body of any length and answers with a line for each thing that
is found, while the body comes. The work is done in threads with connections of their own, some requests at a time, so that nobody but who
screens waits for it. All share one index of the register's names.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

import msgspec
from litestar import Response, post
from litestar.datastructures import State
from litestar.params import QueryParameter

from broker.app.agency_node import AgencyNode
from broker.app.purpose import Purposed
from broker.app.register_forms import freshness_json
from broker.app.screening import StoredView, at_once, screen
from broker.app.screening_json import Tally, records_of
from broker.app.shared_names import SharedNames
from broker.node import access
from broker.node.answers import JSON, AnyRequest
from broker.node.mappings import screen_mapping
from broker.node.messages import node_of
from broker.node.problems import NotDone
from broker.node.register import withheld_of
from broker.node.streaming import Arriving, WorkedAnswer, worked
from broker.node.streams import at_end
from broker.screening.hits import THRESHOLD, Screened
from broker.screening.mapping import ColumnMapping
from broker.screening.reading import read_rows
from broker.screening.shipment import BadRow
from broker.storage.register_reader import RegisterReader

BODY: Final = 8 << 20
"""Longest body that is answered with one object, in bytes."""
TOLD: Final = 5000
"""Most hits, bad rows and remarks of one answer, together; the counts are of all."""
PIECE: Final = 1 << 16
AT_ONCE: Final = 4
"""Most screenings at a time: the threads and the memory are everybody's."""
STREAMS: Final = 4
"""Most streams at a time, beside those."""
LINES: Final = 1 << 15
"""Bytes of lines that are sent together, where more are there at once."""
BEAT_S: Final = 2.0
"""How often a stream says how far it is, where it has nothing else to say."""
WITHHELD: Final = 1000
"""Most withheld messages that one answer names."""

Form = Literal["json", "csv", "xml", "edifact"]
Threshold = Annotated[int, QueryParameter(name="threshold", ge=1, le=100, description="Score from which a hit is told.")]
Remarks = Annotated[bool, QueryParameter(name="findings", description="Tell the remarks on the papers too.")]
Format = Annotated[Form | None, QueryParameter(name="format", description="What the body is, where its content does not show it.")]
MappingName = Annotated[
    str | None, QueryParameter(name="mapping", min_length=1, max_length=63, description="The kept mapping of a CSV body's columns.")
]


class Screenings:
    """What a node's screenings share: turns, and the names of the register."""

    def __init__(self) -> None:
        self.turns = asyncio.Semaphore(AT_ONCE)
        self.streams = 0
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


@dataclass(frozen=True, slots=True)
class Asked:
    """What is screened, how, and for what. Made in the loop's thread, used in another."""

    node: AgencyNode
    shared: Screenings
    version: int
    purpose: str
    threshold: int = THRESHOLD
    findings: bool = False
    form: Form | None = None
    mapping: ColumnMapping | None = None

    def run(
        self, pieces: Iterable[bytes], tally: Tally, use: list[Purposed], ready: Callable[[], bool] = at_once
    ) -> Iterator[Screened | BadRow]:
        """Every row of a body in order, counted; ``use`` gets what says what was withheld."""
        node = self.node
        with closing(node.own_reader()) as reader:
            use.append(Purposed(reader, node.agency, node.inbox.decider, self.purpose, node.now_ms()))
            view = self.shared.view(node, reader, self.version, use[0])
            rows = read_rows(pieces, form=self.form, mapping=self.mapping)
            for each in screen(rows, view, threshold=self.threshold, ready=ready):
                tally.take(each)
                yield each


@post(
    "/screen", status_code=200, opt={"roles": access.STAFF, "content": True}, request_max_body_size=BODY, tags=["read"],
    operation_id="screen",
)  # fmt: skip
async def screen_shipments(
    request: AnyRequest,
    state: State,
    threshold: Threshold = THRESHOLD,
    findings: Remarks = False,
    form: Format = None,
    mapping: MappingName = None,
) -> Response[bytes]:
    """Hold shipments against the register: our JSON or JSON Lines; declarations, entry summaries and waybills in XML; EDIFACT; CSV with a
    mapping that is kept here. The format is told by the content. A row that cannot be read is told with its line and stops no other."""
    asked = _asked(request, state, threshold, findings, form, mapping)
    body = await request.body()
    async with asked.shared.turns:
        told = await asyncio.to_thread(_screened, asked, body)
    return Response(msgspec.json.encode(told | freshness_json(asked.node.freshness()) | asked.node.environment()), media_type=JSON)


def _asked(request: AnyRequest, state: State, threshold: int, findings: bool, form: Form | None, mapping: str | None) -> Asked:
    node = node_of(state)
    columns = screen_mapping(node, mapping)
    version = node.reader().changes()
    return Asked(node, screenings_of(state), version, access.purpose_of(request), threshold, findings, form, columns)


def _screened(asked: Asked, body: bytes) -> dict[str, Any]:
    tally, use, results = Tally(), list[Purposed](), list[dict[str, Any]]()
    for each in asked.run(_pieces(body), tally, use):
        results += records_of(each, findings=asked.findings)
        del results[TOLD + 1 :]
    more = len(results) > TOLD
    return {"results": results[:TOLD], "more": more, "counts": tally.json(), "withheld": _withheld(use, asked.purpose)}


def _withheld(use: list[Purposed], purpose: str) -> list[dict[str, Any]]:
    return withheld_of(list(use[0].withheld.values())[:WITHHELD], purpose) if use else []


def _pieces(body: bytes) -> Iterator[bytes]:
    return (body[at : at + PIECE] for at in range(0, len(body), PIECE))


@post(
    "/screen/stream", status_code=200, opt={"roles": access.STAFF, "content": True}, request_max_body_size=None, tags=["read"],
    operation_id="screenStream",
)  # fmt: skip
async def screen_stream(
    request: AnyRequest,
    state: State,
    threshold: Threshold = THRESHOLD,
    findings: Remarks = False,
    form: Format = None,
    mapping: MappingName = None,
) -> WorkedAnswer:
    """The same for a body of any length, answered while it comes with JSON Lines: `hit`, `bad_row`, `finding` as they are found, `progress`
    now and then, and `summary` as the last line. An answer without it is not whole. Read it while you send."""
    asked = _asked(request, state, threshold, findings, form, mapping)
    shared = asked.shared
    if shared.streams >= STREAMS:
        raise NotDone("TOO_MANY", "too many bodies are screened at a time", {"Retry-After": "30"})
    beside = freshness_json(asked.node.freshness()) | asked.node.environment()
    shared.streams += 1

    def end() -> None:
        shared.streams -= 1

    at_end(request, end)
    return worked(request, lambda arriving: _lines(asked, arriving, beside))


def _lines(asked: Asked, arriving: Arriving, beside: dict[str, Any]) -> Generator[bytes]:
    """The answer's lines, some at a time."""
    tally, use, held, said = Tally(), list[Purposed](), bytearray(), time.monotonic()
    for each in asked.run(arriving, tally, use, arriving.ready):
        for record in records_of(each, findings=asked.findings):
            held += msgspec.json.encode(record) + b"\n"
        if time.monotonic() - said > BEAT_S and not held:
            held += msgspec.json.encode({"type": "progress", "rows": tally.rows, "hits": tally.hits}) + b"\n"
        if len(held) >= LINES or (held and not arriving.ready()):
            yield bytes(held)
            held.clear()
            said = time.monotonic()
    yield bytes(held) + msgspec.json.encode(tally.json() | {"withheld": _withheld(use, asked.purpose)} | beside) + b"\n"


ROUTES: Final = (screen_shipments, screen_stream)
