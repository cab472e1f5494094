"""The application of the operator's pages: routes and guards, behind the same gate as an agency's node."""

from __future__ import annotations

import asyncio
from typing import Any, Final

import msgspec
from litestar import Litestar, Response, Router
from litestar.datastructures import State
from litestar.exceptions import HTTPException

from broker.app.watch import Watch
from broker.errors import BrokerError
from broker.node import access, problems
from broker.node.answers import AnyRequest
from broker.node.console import assets
from broker.node.console.router import answer_of, file
from broker.node.console.session import Tokens
from broker.node.gate import Gate, Limits
from broker.node.identity import Identities
from broker.node.operator import choosing, quarantine, rules, standing
from broker.node.operator.pages import page
from broker.node.problems import NotDone, Problem
from broker.node.scope import known, request_id_of
from broker.storage.node_folder import NodeFolder

BODY: Final = 1 << 20
"""Longest body, in bytes: a bundle file that is pasted."""


def _not_done(request: AnyRequest, error: Exception) -> Response[Any]:
    """Problems as pages, for those who are known."""
    answer = answer_of(request, error)
    if known(request) is None:
        return answer
    told, status = msgspec.json.decode(answer.content), answer.status_code or 500
    found = Problem("", "", status, told["code"], told.get("detail", ""), told.get("advice", ""), request_id_of(request))
    made = page(request, request.app.state, "problem.html", status=status, problem=found, heading=found.code, frame="operator_base.html")
    for name, value in answer.headers.items():
        made.headers.setdefault(name, value)
    return made


def operator_application(watch: Watch, folder: NodeFolder, *, limits: Limits | None = None) -> Gate:
    """The whole ASGI application over a watch; ``folder`` has its users."""
    pages = Router(
        "/console",
        route_handlers=[
            standing.start, standing.status_page, rules.agencies, rules.rules, rules.compare, quarantine.quarantine, choosing.session,
            choosing.choose, file,
        ],
        exception_handlers=dict.fromkeys((NotDone, HTTPException, BrokerError, TimeoutError, Exception), _not_done),
    )  # fmt: skip
    inner = Litestar(
        route_handlers=[standing.status, standing.health, standing.ready, pages],
        guards=[access.guard],
        state=State({"watch": watch, "tokens": Tokens(), "assets": assets.files(), "counting": asyncio.Lock()}),
        exception_handlers={
            NotDone: problems.on_not_done, HTTPException: problems.on_http, BrokerError: problems.on_broker,
            TimeoutError: problems.on_late, Exception: problems.on_bug,
        },
        request_max_body_size=BODY,
        openapi_config=None,
        logging_config=None,
    )  # fmt: skip
    environment = watch.sight.status["environment"]
    return Gate(inner, environment=environment, identities=Identities(folder), limits=limits or Limits())
