"""Making a page of the operator's: the frame, languages and headers are those of the consoles, who looks is one of the operator's users."""

from __future__ import annotations

from typing import Any, Final

from litestar import Response
from litestar.datastructures import State

from broker.app.register import Freshness
from broker.app.watch import Watch
from broker.node.answers import AnyRequest
from broker.node.console.pages import HEADERS, HTML, environment, session_values
from broker.node.console.session import session_of
from broker.storage.node_folder import OPERATOR_ROLES

USERS: Final = frozenset(OPERATOR_ROLES)
"""Who may look: nothing here changes anything, so all may see the same."""


def watch_of(state: State) -> Watch:
    """The exchange as it is looked at."""
    watch: Watch = state["watch"]
    return watch


def text_of(request: AnyRequest, state: State, template: str, **values: Any) -> str:
    """A page or a part of one, as text."""
    watch, session = watch_of(state), session_of(dict(request.headers))
    status = watch.sight.status
    own = {
        "agency": status["exchange"], "environment_name": status["environment"], "exchange": status["exchange"], "now": watch.now_ms(),
        "freshness": Freshness(watch.sight.as_of, watch.reachable, ""),
    }  # fmt: skip
    return environment(session.language).get_template(template).render({**session_values(request, state), **own, **values})


def page(request: AnyRequest, state: State, template: str, *, status: int = 200, **values: Any) -> Response[str]:
    """A page."""
    return Response(text_of(request, state, template, **values), media_type=HTML, headers=HEADERS, status_code=status)
