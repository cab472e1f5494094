"""``GET /openapi.json``, ``GET /docs``: the API's own description, served by the node itself. No script, nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec
from jinja2 import Environment, FileSystemLoader, select_autoescape
from litestar import Response, get
from litestar.datastructures import State
from litestar.handlers import HTTPRouteHandler

from broker.node import access
from broker.node.answers import AnyRequest, tagged
from broker.node.document import document

FOLDER: Final = Path(__file__).with_name("documents")
_PAGES: Final = Environment(loader=FileSystemLoader(FOLDER), autoescape=select_autoescape(), trim_blocks=True)
_TEXT: Final = msgspec.json.Encoder(order="deterministic")


def _routes(state: State) -> Sequence[HTTPRouteHandler]:
    routes: Sequence[HTTPRouteHandler] = state["described"]
    return routes


@get("/openapi.json", opt={"roles": access.ALL}, operation_id="openapi", include_in_schema=False)
async def openapi(request: AnyRequest, state: State) -> Response[bytes]:
    """The OpenAPI 3.1 document."""
    return tagged(request, document(_routes(state), state["node"].settings.environment), headers={"Cache-Control": "private, no-cache"})


@get("/docs", opt={"roles": access.ALL}, operation_id="docs", include_in_schema=False)
async def docs(state: State) -> Response[str]:
    """The same for people."""
    environment = state["node"].settings.environment
    page = _PAGES.get_template("reference.html").render(document=document(_routes(state), environment), environment=environment)
    return Response(page, media_type="text/html; charset=utf-8")


@get("/docs/reference.css", opt={"roles": access.ALL}, operation_id="docsStyle", include_in_schema=False)
async def style() -> Response[bytes]:
    """How it looks."""
    return Response((FOLDER / "reference.css").read_bytes(), media_type="text/css; charset=utf-8")
