"""Searching the register: ``GET /console/search``: live alerts by what officers have in hand, with their flags."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from litestar import Response, get
from litestar.datastructures import State
from litestar.params import QueryParameter

from broker.app.look_up import KEYS, conditions_of
from broker.errors import StoreError, UsageError
from broker.node import access
from broker.node.answers import AnyRequest
from broker.node.console.desk import desk_of
from broker.node.console.feed import Feed, row_of
from broker.node.console.pages import page
from broker.node.messages import node_of


@get("/search", opt={"roles": access.STAFF, "content": True}, operation_id="consoleSearch")
async def search(
    request: AnyRequest,
    state: State,
    by: Annotated[str, QueryParameter(name="by", max_length=20)] = "container",
    text: Annotated[str, QueryParameter(name="text", max_length=200)] = "",
    ended: Annotated[str, QueryParameter(name="ended", max_length=3)] = "",
) -> Response[str]:
    """The form, and what fits."""
    node, by = node_of(state), by if by in KEYS else "container"
    found: Feed | None = None
    try:
        conditions = conditions_of({by: text}, advice="")
        reader = node.reader()
    except (UsageError, StoreError):
        pass  # nothing was asked yet, or nothing has come yet: the page says so
    else:
        use = node.purposed(access.purpose_of(request))
        answers = reader.find(conditions, node.now_ms(), ended=bool(ended))
        looked_for = {kind for condition in conditions for kind, _ in condition}
        shown = [each for answer in answers if (each := use.subject(answer, found_by=looked_for)) is not None]
        working = desk_of(state).assignees()
        rows = [replace(row_of(each), assignee=working.get(each.row.subject, "")) for each in shown]
        found = Feed(tuple(rows), len(answers) - len(shown))
    return page(request, state, "search.html", by=by, text=text, ended=bool(ended), keys=tuple(KEYS), feed=found)
