"""Exports: ``GET /exports/{view}``: what the agency holds, for other systems, in their formats, as a stream (docs/bulk.md); and
``GET /exports/{view}/summary``: what one of them left out.

What is left out is known when the last record was looked at, long after the headers are gone. A line at the end would be data in some
formats and break others; trailers are dropped by most clients and many proxies; counting beforehand would look at everything twice, and
at another state of it. So each export has an id, in the header ``Broker-Export``, under which it is told for a while how it ended.
"""

from __future__ import annotations

import asyncio
import io
import secrets
from collections import OrderedDict
from collections.abc import AsyncGenerator, Generator
from contextlib import closing
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, Literal

import msgspec
from litestar import Response, get
from litestar.datastructures import State
from litestar.params import FromPath, QueryParameter
from litestar.response import Stream

from broker.app.agency_node import AgencyNode
from broker.app.export_views import held
from broker.app.exporting import FORMATS, About, Export, export_to
from broker.app.left_out import LeftOut
from broker.app.purpose import Purposed
from broker.node import access
from broker.node.answers import JSON, AnyRequest
from broker.node.messages import node_of
from broker.node.problems import NotDone
from broker.node.streaming import produced
from broker.node.streams import at_end
from broker.values import iso

View = Literal["alerts", "licences", "inbox", "trace"]
Format = Literal["csv", "jsonl", "stix", "cloudevents", "cloudevents-avro"]
AT_ONCE: Final = 4
"""Most exports at a time."""
PIECE: Final = 1 << 16
"""Bytes that are sent together."""
PAGE: Final = 100
REMEMBERED: Final = 1000
"""Exports of which it is told how they ended: the last ones."""


@dataclass(slots=True)
class Told:
    """How far one export is: who asked for what, records written, what was left out so far."""

    id: str
    user: str
    view: View
    form: Format
    purpose: str
    at: str
    state: Literal["under_way", "whole", "broken"] = "under_way"
    records: int = 0
    left_out: LeftOut = field(default_factory=LeftOut)

    def json(self) -> dict[str, Any]:
        """As clients see it."""
        told: dict[str, Any] = {"export": self.id, "view": self.view, "format": self.form, "purpose": self.purpose, "at": self.at}
        done = self.state == "whole"
        return told | {"state": self.state, "records": self.records, "left_out": self.left_out.json() if done else None}


class Exports:
    """The exports of a node: how many are under way, and how the last ones ended. They are forgotten when the node is started again."""

    def __init__(self) -> None:
        self.open = 0
        self._told: OrderedDict[str, Told] = OrderedDict()

    def begin(self, told: Told) -> None:
        """One more is under way."""
        self.open += 1
        self._told[told.id] = told
        while len(self._told) > REMEMBERED:
            self._told.popitem(last=False)

    def end(self, told: Told) -> None:
        """It is not any more: whole, or given up by its client."""
        self.open -= 1
        if told.state == "under_way":
            told.state = "broken"

    def of(self, export_id: str, user: str) -> Told | None:
        """The export of this id, where the user asked for it."""
        told = self._told.get(export_id)
        return told if told is not None and told.user == user else None


def exports_of(state: State) -> Exports:
    """The exports of the node that the application is in front of."""
    if "exports" not in state:
        state["exports"] = Exports()
    found: Exports = state["exports"]
    return found


@dataclass(frozen=True, slots=True)
class Asked:
    """What is exported, how, and for what."""

    node: AgencyNode
    view: View
    form: Format
    purpose: str
    ended: bool
    told: Told

    def begun(self, out: io.BytesIO) -> Export:
        """The export, into a buffer that is emptied as it fills."""
        node = self.node
        about = About(self.view, node.settings.exchange_id, node.agency, self.told.at)
        return export_to(out, self.form, about, node.outbox.catalogue)


@get(
    "/exports/{view:str}", opt={"roles": access.STAFF, "content": True}, tags=["bulk"], operation_id="export",
)  # fmt: skip
async def export(
    request: AnyRequest,
    state: State,
    view: FromPath[View],
    form: Annotated[Format, QueryParameter(name="format", description="How it is written.")] = "jsonl",
    ended: Annotated[bool, QueryParameter(name="ended", description="Take in alerts past their time.")] = False,
) -> Stream:
    """A view as far as the purpose lets it be shown: alerts and licences of the register, the inbox as it lies there, the trace of every
    subject of one's own. What is exported is out of the exchange's hands: a recall does not reach it. The header `Broker-Export` names the
    export, whose summary says afterwards what was left out."""
    exports, node, purpose = exports_of(state), node_of(state), access.purpose_of(request)
    if exports.open >= AT_ONCE:
        raise NotDone("TOO_MANY", "too many exports are under way", {"Retry-After": "30"})
    node.reader()
    told = Told(secrets.token_hex(16), access.user_of(request).name, view, form, purpose, iso(node.now_ms()) or "")
    asked = Asked(node, view, form, purpose, ended, told)
    exports.begin(told)

    def end() -> None:
        exports.end(told)

    at_end(request, end)
    name = f'attachment; filename="{view}.{"avro" if form == "cloudevents-avro" else "json" if form in ("stix", "cloudevents") else form}"'
    made = _inbox(asked) if view == "inbox" else produced(lambda: _records(asked))
    return Stream(made, media_type=FORMATS[form], headers={"content-disposition": name, "broker-export": told.id})


@get(
    "/exports/{view:str}/summary", opt={"roles": access.STAFF, "content": True}, tags=["bulk"], operation_id="exportSummary",
)  # fmt: skip
async def summary(
    request: AnyRequest,
    state: State,
    view: FromPath[View],
    export_id: Annotated[str, QueryParameter(name="export", min_length=1, max_length=64, description="Of `Broker-Export`.")],
) -> Response[bytes]:
    """How an export of yours ended: whether it is whole, how many records it has, and how many messages and sections of what the agency
    holds are not in it for the purpose, by rule. The last 1,000 exports since the node was started are told of."""
    told = exports_of(state).of(export_id, access.user_of(request).name)
    if told is None or told.view != view or told.purpose != access.purpose_of(request):
        raise NotDone("NOT_FOUND", "you have made no such export of this view for this purpose since the node was started")
    return Response(msgspec.json.encode(told.json() | node_of(state).environment()), media_type=JSON)


def _records(asked: Asked) -> Generator[bytes]:
    """A view of the register, piece by piece, in a thread with a connection of its own."""
    node, out, now_ms, told = asked.node, io.BytesIO(), asked.node.now_ms(), asked.told
    with closing(node.own_reader()) as reader:
        use = Purposed(reader, node.agency, node.inbox.decider, asked.purpose, now_ms)
        written = asked.begun(out)
        store = node.member.files.publisher_store
        for record in held(asked.view, reader, use, node.member.recalls(), store, now_ms, ended=asked.ended):
            written.add(record)
            told.records += 1
            if out.tell() >= PIECE:
                yield taken(out)
        written.finish()
        told.left_out = LeftOut.of_register(use)
    yield taken(out)
    told.state = "whole"


async def _inbox(asked: Asked) -> AsyncGenerator[bytes]:
    """The inbox, page by page; its store is read in the loop's thread."""
    node, out, number, told = asked.node, io.BytesIO(), 0, asked.told
    written = asked.begun(out)
    while arrivals := node.inbox.after(number, PAGE):
        number = arrivals[-1].number
        for arrival, item in zip(arrivals, node.inbox.shown(arrivals, asked.purpose), strict=True):
            if item["kind"] == "delivery":
                written.add({name: value for name, value in item.items() if name not in ("cursor", "kind")})
                told.records += 1
                before = (arrival.body or {})["withheld_by"]
                told.left_out.add_sections(rule for section, rule in item["withheld_by"].items() if section not in before)
            elif item["kind"] == "withheld" and not item["taken_back"]:
                told.left_out.add_message(item["withheld_here"])
        yield taken(out)
        await asyncio.sleep(0)
    written.finish()
    yield taken(out)
    told.state = "whole"


def taken(out: io.BytesIO) -> bytes:
    """What is in a buffer, which is empty then."""
    piece = out.getvalue()
    out.seek(0)
    out.truncate()
    return piece


ROUTES: Final = (export, summary)
