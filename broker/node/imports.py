"""Imports: ``POST /imports`` takes a table in and checks it, ``POST /imports/{id}/run`` publishes what is good of it (docs/bulk.md).

A table belongs to who sent it. Its rows are published through the outbox like any message, each once: a run that was ended goes on where it
was, and another run of the same rows finds them there.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Annotated, Any, Final

import msgspec
from litestar import Response, delete, get, post
from litestar.datastructures import State
from litestar.exceptions import HTTPException
from litestar.params import FromPath, HeaderParameter, QueryParameter
from litestar.response import ServerSentEvent, ServerSentEventMessage

from broker.app.agency_node import AgencyNode
from broker.app.table_imports import LIMIT, TableImport, TableImports
from broker.bulk.mapping import read_mapping
from broker.node import access
from broker.node.answers import JSON, AnyRequest, tagged
from broker.node.inbox import BEAT_S
from broker.node.mappings import text_of
from broker.node.messages import KEY_TOLD, node_of
from broker.node.problems import NotDone
from broker.node.streams import NOT_KEPT, Streams, still
from broker.node.table_parts import TableParts, is_multipart
from broker.storage.mappings import check_size
from broker.values import iso

PARTS_MORE: Final = 1 << 20
"""How much longer a body in parts may be than the longest table, in bytes."""
LOOK_S: Final = 0.2
"""How often a stream looks how far an import is."""
Key = Annotated[str | None, HeaderParameter(name="Idempotency-Key", description=KEY_TOLD)]
Name = Annotated[
    str | None,
    QueryParameter(
        name="mapping", min_length=1, max_length=63, description="The kept mapping of the table's columns, where none comes with it."
    ),
]
SENT_ALONG: Final = "(sent along)"
"""Instead of the name of a kept mapping."""


def imports_of(state: State) -> TableImports:
    """The imports of the node that the application is in front of."""
    if "imports" not in state:
        state["imports"] = TableImports(node_of(state))
    found: TableImports = state["imports"]
    return found


def import_json(node: AgencyNode, found: TableImport) -> dict[str, Any]:
    """An import as clients see it."""
    told = {name: getattr(found, name) for name in ("id", "mapping", "phase", "size", "reached", "rows", "outcomes", "findings", "who")}
    return told | {"error": found.error or None, "made_at": iso(found.made_at), "results": found.told} | node.environment()


def _one(request: AnyRequest, state: State, import_id: str) -> TableImport:
    found = imports_of(state).get(import_id, access.user_of(request).name)
    if found is None:
        raise NotDone("NOT_FOUND", "you have no such import")
    return found


def _answer(state: State, found: TableImport, status: int) -> Response[bytes]:
    body = msgspec.json.encode(import_json(node_of(state), found))
    return Response(body, status_code=status, media_type=JSON, headers={"Location": f"/imports/{found.id}"})


@post(
    "/imports", status_code=202, opt={"roles": access.STAFF}, request_max_body_size=LIMIT + PARTS_MORE, tags=["bulk"], operation_id="import"
)
async def take(request: AnyRequest, state: State, mapping: Name = None, idempotency_key: Key = None) -> Response[bytes]:
    """Take in a table (CSV or a workbook, up to 256 MiB) and check it by a mapping: what is wrong with each row, and who would see its
    messages. Nothing is published yet. The mapping is a kept one that is named, or comes along: `multipart/form-data` with the part
    `mapping` (TOML, used for this import alone) and after it the part `file`."""
    node, user = node_of(state), access.user_of(request)
    key = secrets.token_hex(16) if idempotency_key is None else idempotency_key
    if not 1 <= len(key) <= 128 or not key.isascii() or not key.isprintable():
        raise NotDone("BAD_KEY", "this is no Idempotency-Key")
    parts = TableParts(request) if is_multipart(request) else None
    along = None if parts is None else await parts.mapping()
    if (along is None) == (mapping is None):
        raise NotDone("BAD_REQUEST", "name a kept mapping, or send one along as the part `mapping` before the part `file`: one of the two")
    text = text_of(node, "import", mapping) if along is None and mapping is not None else along or ""
    check_size(text)
    access.check_family(user, read_mapping(text).family)
    pieces = _pieces(request) if parts is None else parts.file()
    found = await imports_of(state).take(user.name, key, mapping or SENT_ALONG, text, pieces)
    return _answer(state, found, 202)


async def _pieces(request: AnyRequest) -> AsyncIterator[bytes]:
    try:
        async for piece in request.stream():
            yield piece
    except HTTPException as error:
        if error.status_code == 413:
            raise
        raise NotDone("BAD_REQUEST", "the body ended early") from error


@get("/imports", opt={"roles": access.STAFF}, tags=["bulk"], operation_id="imports")
async def imports(request: AnyRequest, state: State) -> Response[bytes]:
    """Your imports of the last seven days, the newest first."""
    node = node_of(state)
    beside: dict[str, Any] = {"results": []}
    found = [import_json(node, each) | beside for each in imports_of(state).of(access.user_of(request).name)]
    return tagged(request, {"imports": found} | node.environment())


@get("/imports/{import_id:str}", opt={"roles": access.STAFF}, tags=["bulk"], operation_id="importStatus")
async def status(request: AnyRequest, state: State, import_id: FromPath[str]) -> Response[bytes]:
    """How far an import is, with the first 500 rows that have something to say."""
    return tagged(request, import_json(node_of(state), _one(request, state, import_id)))


@get("/imports/{import_id:str}/events", opt={"roles": access.STAFF}, tags=["bulk"], operation_id="importEvents")
async def events(request: AnyRequest, state: State, import_id: FromPath[str]) -> ServerSentEvent:
    """The same without the rows, as server-sent events whenever it has changed; the stream ends when there is nothing more to wait for."""
    found = _one(request, state, import_id)
    open_streams: Streams = state["streams"]
    open_streams.open(request)
    return ServerSentEvent(_stream(request, node_of(state), found), retry_duration=1000, headers=NOT_KEPT)


async def _stream(request: AnyRequest, node: AgencyNode, found: TableImport) -> AsyncGenerator[ServerSentEventMessage, None]:
    loop, said, last = asyncio.get_running_loop(), 0.0, ""
    while not node.stopping.is_set() and still(request):
        over = found.phase not in ("checking", "running")
        now = msgspec.json.encode(import_json(node, found) | {"results": []}).decode()
        if now != last:
            last, said = now, loop.time()
            yield ServerSentEventMessage(data=now, event="import")
        elif loop.time() - said > BEAT_S:
            said = loop.time()
            yield ServerSentEventMessage(data=None, comment="nothing new")
        if over:
            return
        await asyncio.sleep(LOOK_S)


@post("/imports/{import_id:str}/run", status_code=202, opt={"roles": access.DECIDING}, tags=["bulk"], operation_id="runImport")
async def run(request: AnyRequest, state: State, import_id: FromPath[str]) -> Response[bytes]:
    """Publish what is good of a table that was checked, or go on with it. A row whose message was published before is a `duplicate`."""
    found = _one(request, state, import_id)
    imports_of(state).run(found)
    return _answer(state, found, 202)


@delete("/imports/{import_id:str}", status_code=200, opt={"roles": access.STAFF}, tags=["bulk"], operation_id="removeImport")
async def remove(request: AnyRequest, state: State, import_id: FromPath[str]) -> Response[bytes]:
    """Remove an import and its table. What it has published stays published."""
    found = _one(request, state, import_id)
    imports_of(state).forget(found)
    return Response(msgspec.json.encode({"id": found.id, "removed": True} | node_of(state).environment()), media_type=JSON)


ROUTES: Final = (take, imports, status, events, run, remove)
