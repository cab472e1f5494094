"""Mappings kept by name: ``GET /mappings``, ``GET``, ``PUT`` and ``DELETE /mappings/{kind}/{name}``.

A mapping says what the columns of a table mean: of kind ``screen`` for shipments (docs/screening.md), of kind ``import`` for messages
(docs/bulk.md).
"""

from __future__ import annotations

from typing import Literal

import msgspec
from litestar import Response, delete, get, put
from litestar.datastructures import State
from litestar.params import FromPath

from broker.app.agency_node import AgencyNode
from broker.bulk.mapping import ColumnMapping as ImportMapping
from broker.bulk.mapping import read_mapping as read_import_mapping
from broker.node import access
from broker.node.answers import JSON, AnyRequest, media_of, tagged
from broker.node.messages import node_of
from broker.node.problems import NotDone
from broker.screening.mapping import ColumnMapping as ScreenMapping
from broker.screening.mapping import read_mapping as read_screen_mapping
from broker.storage.mappings import LIMIT, Kind, Mappings, check_size

Kinds = Literal["screen", "import"]
TOML = "application/toml"


def mappings_of(node: AgencyNode, kind: Kind) -> Mappings:
    """The mappings of a kind that a node keeps."""
    return Mappings(node.member.files.node_folder, kind)


def text_of(node: AgencyNode, kind: Kind, name: str) -> str:
    """The text of a mapping that is kept. Raises NotDone, and UsageError for what is no name."""
    text = mappings_of(node, kind).text(name)
    if text is None:
        raise NotDone("NO_MAPPING", f"there is no mapping `{name}` for {kind}")
    return text


def screen_mapping(node: AgencyNode, name: str | None) -> ScreenMapping | None:
    """The kept mapping of this name for shipments; None where none is named."""
    return None if name is None else read_screen_mapping(text_of(node, "screen", name))


def import_mapping(node: AgencyNode, name: str) -> ImportMapping:
    """The kept mapping of this name for messages."""
    return read_import_mapping(text_of(node, "import", name))


@get("/mappings", opt={"roles": access.ALL}, tags=["bulk"], operation_id="mappings")
async def mappings(request: AnyRequest, state: State) -> Response[bytes]:
    """The mappings that are kept here."""
    node = node_of(state)
    kinds: tuple[Kind, ...] = ("import", "screen")
    found = [{"kind": kind, "name": name} for kind in kinds for name in mappings_of(node, kind).names()]
    return tagged(request, {"mappings": found} | node.environment())


@get("/mappings/{kind:str}/{name:str}", opt={"roles": access.ALL}, tags=["bulk"], operation_id="mapping")
async def mapping(request: AnyRequest, state: State, kind: FromPath[Kinds], name: FromPath[str]) -> Response[bytes]:
    """A mapping's text, as it was put here."""
    node = node_of(state)
    return tagged(request, {"kind": kind, "name": name, "text": text_of(node, kind, name)} | node.environment())


@put(
    "/mappings/{kind:str}/{name:str}", status_code=200, opt={"roles": access.DECIDING}, request_max_body_size=2 * LIMIT, tags=["bulk"],
    operation_id="keepMapping",
)  # fmt: skip
async def keep_mapping(request: AnyRequest, state: State, kind: FromPath[Kinds], name: FromPath[str]) -> Response[bytes]:
    """Keep a mapping under a name, in place of one that is there. It is read first: what is no mapping is refused with what is wrong."""
    node = node_of(state)
    if media_of(request) != TOML:
        raise NotDone("BAD_MEDIA_TYPE", "a mapping is sent as application/toml")
    try:
        text = (await request.body()).decode("utf-8")
    except UnicodeDecodeError as error:
        raise NotDone("BAD_REQUEST", "a mapping is UTF-8") from error
    kept = mappings_of(node, kind)
    check_size(text)
    if kind == "screen":
        read_screen_mapping(text)
    else:
        read_import_mapping(text)
    told = {"kind": kind, "name": name, "new": kept.keep(name, text)}
    return Response(msgspec.json.encode(told | node.environment()), media_type=JSON)


@delete("/mappings/{kind:str}/{name:str}", status_code=200, opt={"roles": access.DECIDING}, tags=["bulk"], operation_id="removeMapping")
async def remove_mapping(state: State, kind: FromPath[Kinds], name: FromPath[str]) -> Response[bytes]:
    """Remove a mapping."""
    node = node_of(state)
    told = {"kind": kind, "name": name, "removed": mappings_of(node, kind).remove(name)}
    return Response(msgspec.json.encode(told | node.environment()), media_type=JSON)


ROUTES = (mappings, mapping, keep_mapping, remove_mapping)
