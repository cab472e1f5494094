"""How the exchange is: ``GET /console/status`` for people, ``GET /status`` for programs; how this process is: ``/health``, ``/ready``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import msgspec
from litestar import Response, get
from litestar.datastructures import State

from broker.app.watch import Sight
from broker.exchange.overview import AgencyRow
from broker.node.answers import JSON, AnyRequest
from broker.node.console.pages import HEADERS, HTML, see
from broker.node.operator.pages import USERS, page, text_of, watch_of
from broker.values import iso

START: Final = "/console/status"
LATE_MS: Final = 300_000
"""An agency that said nothing for so long is likely to have nobody who reads."""


@dataclass(frozen=True, slots=True)
class ShardRow:
    """A shard of the relay. ``worker``: who holds it; None where nobody does, and what its agencies send waits."""

    number: int
    worker: str | None
    agencies: tuple[str, ...]
    lag: int
    parked: int


def shards_of(sight: Sight) -> tuple[ShardRow, ...]:
    """All of them, by number."""
    served: dict[int, list[AgencyRow]] = {number: [] for number in range(sight.status["shards"])}
    for row in sight.agencies:
        served[row.shard].append(row)
    found: list[ShardRow] = []
    for number, rows in served.items():
        lag, parked = sum(row.lag for row in rows), sum(row.parked for row in rows)
        found.append(ShardRow(number, sight.workers.get(number), tuple(row.agency for row in rows), lag, parked))
    return tuple(found)


@get("/status", opt={"roles": USERS}, operation_id="operatorStatusPage")
async def status_page(request: AnyRequest, state: State) -> Response[str]:
    """Lag by agency and by shard, and what should not be. A part of the page where htmx asks for what is new."""
    watch = watch_of(state)
    sight, values = watch.sight, dict[str, Any]()
    values |= {"sight": sight, "figures": sight.status, "shards": shards_of(sight), "refused": watch.overview.recent(watch.now_ms())}
    values["late"] = LATE_MS
    values["rows"] = sorted(sight.agencies, key=lambda row: (-row.lag, row.agency))
    if request.headers.get("hx-request") == "true":
        return Response(text_of(request, state, "operator_standing.html", **values), media_type=HTML, headers=HEADERS)
    return page(request, state, "operator_status.html", **values)


@get("/", opt={"public": True}, operation_id="operatorStart")
async def start() -> Response[None]:
    """The first page."""
    return see(START)


@get("/status", opt={"roles": USERS}, operation_id="operatorStatus")
async def status(state: State) -> Response[bytes]:
    """What ``broker status --json`` shows, as it was seen last, with who holds which shard."""
    watch = watch_of(state)
    seen = {"as_of": iso(watch.sight.as_of), "reachable": watch.reachable}
    workers = {str(number): worker for number, worker in sorted(watch.sight.workers.items())}
    return Response(msgspec.json.encode({**seen, **watch.sight.status, "workers": workers}), media_type=JSON)


@get("/health", opt={"public": True}, operation_id="operatorHealth")
async def health(state: State) -> Response[bytes]:
    """Whether the process works. 503: restart it."""
    failed = watch_of(state).failed.is_set()
    return Response(msgspec.json.encode({"status": "failed" if failed else "ok"}), media_type=JSON, status_code=503 if failed else 200)


@get("/ready", opt={"public": True}, operation_id="operatorReady")
async def ready(state: State) -> Response[bytes]:
    """``ready``; ``degraded``: the exchange does not answer, and what is shown is as old as it says; ``not-ready`` (503): it stops."""
    watch = watch_of(state)
    word = "not-ready" if watch.stopping.is_set() else "ready" if watch.reachable else "degraded"
    return Response(msgspec.json.encode({"status": word}), media_type=JSON, status_code=503 if word == "not-ready" else 200)
