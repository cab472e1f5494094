"""Exports: ``GET /exports/{view}``: what the agency holds, for other systems, in their formats, as a stream (docs/bulk.md)."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncGenerator, Generator
from contextlib import closing
from dataclasses import dataclass
from typing import Annotated, Final, Literal

from litestar import get
from litestar.datastructures import State
from litestar.params import FromPath, QueryParameter
from litestar.response import Stream

from broker.app.agency_node import AgencyNode
from broker.app.export_views import held
from broker.app.exporting import FORMATS, About, Export, export_to
from broker.app.purpose import Purposed
from broker.node import access
from broker.node.answers import AnyRequest
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


@dataclass(frozen=True, slots=True)
class Asked:
    """What is exported, how, and for what."""

    node: AgencyNode
    view: View
    form: Format
    purpose: str
    ended: bool

    def begun(self, out: io.BytesIO) -> Export:
        """The export, into a buffer that is emptied as it fills."""
        node = self.node
        about = About(self.view, node.settings.exchange_id, node.agency, iso(node.now_ms()) or "")
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
    subject of one's own. What is exported is out of the exchange's hands: a recall does not reach it."""
    counts: dict[str, int] = state.setdefault("exports", {"open": 0})
    if counts["open"] >= AT_ONCE:
        raise NotDone("TOO_MANY", "too many exports are under way", {"Retry-After": "30"})
    asked = Asked(node_of(state), view, form, access.purpose_of(request), ended)
    asked.node.reader()
    counts["open"] += 1

    def end() -> None:
        counts["open"] -= 1

    at_end(request, end)
    name = f'attachment; filename="{view}.{"avro" if form == "cloudevents-avro" else "json" if form in ("stix", "cloudevents") else form}"'
    made = _inbox(asked) if view == "inbox" else produced(lambda: _records(asked))
    return Stream(made, media_type=FORMATS[form], headers={"content-disposition": name})


def _records(asked: Asked) -> Generator[bytes]:
    """A view of the register, piece by piece, in a thread with a connection of its own."""
    node, out, now_ms = asked.node, io.BytesIO(), asked.node.now_ms()
    with closing(node.own_reader()) as reader:
        use = Purposed(reader, node.agency, node.inbox.decider, asked.purpose, now_ms)
        written = asked.begun(out)
        store = node.member.files.publisher_store
        for record in held(asked.view, reader, use, node.member.recalls(), store, now_ms, ended=asked.ended):
            written.add(record)
            if out.tell() >= PIECE:
                yield taken(out)
        written.finish()
    yield taken(out)


async def _inbox(asked: Asked) -> AsyncGenerator[bytes]:
    """The inbox, page by page; its store is read in the loop's thread."""
    node, out, number = asked.node, io.BytesIO(), 0
    written = asked.begun(out)
    while arrivals := node.inbox.after(number, PAGE):
        number = arrivals[-1].number
        for item in node.inbox.shown(arrivals, asked.purpose):
            if item["kind"] == "delivery":
                written.add({name: value for name, value in item.items() if name not in ("cursor", "kind")})
        yield taken(out)
        await asyncio.sleep(0)
    written.finish()
    yield taken(out)


def taken(out: io.BytesIO) -> bytes:
    """What is in a buffer, which is empty then."""
    piece = out.getvalue()
    out.seek(0)
    out.truncate()
    return piece


ROUTES: Final = (export,)
