"""Licence look-up: ``GET /console/licences``: is it in force, what to do with shipments in transit, what is left, what cites it."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Response, get
from litestar.datastructures import State
from litestar.params import QueryParameter

from broker.app.register_forms import licence_json
from broker.errors import StoreError
from broker.node import access
from broker.node.answers import AnyRequest
from broker.node.console.pages import page
from broker.node.messages import node_of
from broker.register.keys import comparable


@get("/licences", opt={"roles": access.STAFF, "content": True}, operation_id="consoleLicences")
async def licences(
    request: AnyRequest, state: State, number: Annotated[str, QueryParameter(name="number", max_length=200)] = ""
) -> Response[str]:
    """The form, and the licences of the number that was asked for."""
    node, found, withheld = node_of(state), list[dict[str, Any]](), 0
    if comparable(number):
        use = node.purposed(access.purpose_of(request)) if _register(state) else None
        answers = node.reader().licence(number, node.now_ms()) if use else []
        shown = [each for answer in answers if use and (each := use.licence(answer)) is not None]
        found, withheld = [licence_json(each) for each in shown], len(answers) - len(shown)
    return page(request, state, "licences.html", number=number, asked=bool(comparable(number)), licences=found, withheld=withheld)


def _register(state: State) -> bool:
    try:
        node_of(state).reader()
    except StoreError:
        return False
    return True
