"""How the node is: ``GET /health`` for who restarts it, ``GET /ready`` for who sends it requests. Both are open to anybody who reaches the
port; figures are for those whose certificate is known."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Response, get
from litestar.datastructures import State

from broker.node.answers import JSON, AnyRequest
from broker.node.messages import node_of
from broker.node.scope import known
from broker.values import iso


@get("/health", opt={"public": True}, tags=["service"], operation_id="health")
async def health(state: State) -> Response[bytes]:
    """Whether the process works: its parts run, its stores can be read. 503: restart it."""
    node = node_of(state)
    failed = node.failed.is_set()
    node.outbox.depth()
    told = {"status": "failed" if failed else "ok"} | node.environment()
    return Response(msgspec.json.encode(told), media_type=JSON, status_code=503 if failed else 200)


@get("/ready", opt={"public": True}, tags=["service"], operation_id="ready")
async def ready(request: AnyRequest, state: State) -> Response[bytes]:
    """`ready`; `degraded`: the exchange is away, answers are as old as `as_of` and what is accepted waits; `not-ready` (503): the rules of
    the exchange are not known, or as old as `rules_as_of`, so nothing can be shown for a purpose; or it is being stopped."""
    node = node_of(state)
    now = node.condition()
    told: dict[str, Any] = {"status": now.word, "exchange_reachable": now.reachable} | node.environment()
    if known(request) is not None:
        told |= {
            "as_of": iso(now.as_of), "rules_as_of": iso(now.rules_as_of),
            "inbox_behind": now.behind, "refused": now.refused, "gaps": now.gaps,
            "outbox": {"waiting": now.waiting, "unanswered": now.unanswered, "oldest": iso(now.oldest)},
        }  # fmt: skip
    return Response(msgspec.json.encode(told), media_type=JSON, status_code=200 if now.ready else 503)
