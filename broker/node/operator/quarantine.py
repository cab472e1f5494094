"""What the relay refused in the last 90 days: ``GET /console/quarantine``. Codes, places and reasons; the refused bytes are not shown."""

from __future__ import annotations

from typing import Annotated, Final
from urllib.parse import urlencode

from litestar import Response, get
from litestar.datastructures import State
from litestar.params import QueryParameter

from broker.errors import REFUSALS
from broker.exchange.overview import REFUSED_KEPT, kinds_of
from broker.node.answers import AnyRequest
from broker.node.operator.pages import USERS, page, watch_of

SHOWN: Final = 50
"""How many refusals a page shows."""


@get("/quarantine", opt={"roles": USERS}, operation_id="operatorQuarantine")
async def quarantine(
    request: AnyRequest,
    state: State,
    code: Annotated[str, QueryParameter(max_length=64)] = "",
    outbox: Annotated[str, QueryParameter(max_length=64)] = "",
    after: Annotated[int, QueryParameter(ge=0, le=REFUSED_KEPT)] = 0,
) -> Response[str]:
    """The newest first, of one code or outbox where that is asked for; ``after`` so many."""
    watch = watch_of(state)
    everything = watch.overview.recent(watch.now_ms())
    wanted = [item for item in everything if code in ("", item.code) and outbox in ("", item.topic)]

    def link(at: int) -> str:
        return "?" + urlencode({"code": code, "outbox": outbox, "after": at})

    return page(
        request, state, "operator_quarantine.html", kinds=kinds_of(everything), items=wanted[after : after + SHOWN], count=len(wanted),
        code=code, outbox=outbox, after=after, advice={name: text for name, (_, text) in REFUSALS.items()},
        outboxes=sorted({item.topic for item in everything}),
        newer=link(max(0, after - SHOWN)) if after else "", older=link(after + SHOWN) if after + SHOWN < len(wanted) else "",
        everything=len(everything), dropped=watch.overview.refused_count(watch.now_ms()) > REFUSED_KEPT, kept=REFUSED_KEPT,
    )  # fmt: skip
