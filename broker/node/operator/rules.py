"""Members and rules: ``GET /console/agencies`` and ``/console/rules``; a proposed bundle is compared with the rules in force there."""

from __future__ import annotations

from typing import Any

from litestar import Response, get, post
from litestar.datastructures import State

from broker.errors import Refusal
from broker.node.answers import AnyRequest
from broker.node.console.exchange import compared_in_turn, members_of
from broker.node.console.session import one, posted
from broker.node.operator.pages import USERS, page, watch_of


@get("/agencies", opt={"roles": USERS}, operation_id="operatorAgencies")
async def agencies(request: AnyRequest, state: State) -> Response[str]:
    """Who is a member, in which state, with which keys."""
    known = watch_of(state).knowledge
    return page(request, state, "operator_agencies.html", members=members_of(known), version=known.rules.directory.version)


@get("/rules", opt={"roles": USERS}, operation_id="operatorRules")
async def rules(request: AnyRequest, state: State) -> Response[str]:
    """The rules in force."""
    return _page(request, state)


@post("/rules", opt={"roles": USERS}, status_code=200, operation_id="operatorCompareRules")
async def compare(request: AnyRequest, state: State) -> Response[str]:
    """What a proposed bundle would change. Nothing is kept or sent."""
    fields, watch = await posted(request, state["tokens"]), watch_of(state)
    result = await compared_in_turn(watch.knowledge.policy, one(fields, "bundle"), state["counting"], watch.stopping)
    if isinstance(result, Refusal):
        return _page(request, state, status=422, refusal=result)
    return _page(request, state, compared=result)


def _page(request: AnyRequest, state: State, status: int = 200, **values: Any) -> Response[str]:
    told = {"refusal": None, "compared": None, "chain": watch_of(state).knowledge.policy} | values
    return page(request, state, "operator_rules.html", status=status, **told)
