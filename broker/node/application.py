"""The application: routes, guards, problems, and the gate around them. Other packages add their routers here, under the same guards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from litestar import Litestar
from litestar.datastructures import State
from litestar.exceptions import HTTPException
from litestar.handlers import HTTPRouteHandler
from litestar.types import ControllerRouterHandler

from broker.app.agency_node import AgencyNode
from broker.errors import BrokerError
from broker.node import (
    access,
    attachments,
    exports,
    imports,
    inbox,
    mappings,
    messages,
    problems,
    reference,
    register,
    screening,
    service,
    statements,
)
from broker.node.gate import Gate, Limits
from broker.node.identity import Identities
from broker.node.streams import Streams
from broker.node.tokens import Tokens
from broker.storage.node_folder import NodeFolder

BODY: Final = 1 << 20
"""Longest body where a route says nothing else, in bytes."""
ROUTES: Final[tuple[HTTPRouteHandler, ...]] = (
    messages.publish, messages.dry_run, messages.status, statements.acks, statements.feedback, statements.rfis, statements.consents,
    statements.recalls, inbox.inbox, inbox.events, register.alerts, register.licence,
    register.licence_status, register.trace, service.health, service.ready,
    *screening.ROUTES,
    *mappings.ROUTES,
    *exports.ROUTES,
    *imports.ROUTES,
    attachments.attach, attachments.attachments, attachments.attachment,
)  # fmt: skip


def state_of(node: AgencyNode, beside: Mapping[str, object] | None = None) -> State:
    """What the routes find: the node, and what they keep ``beside`` it. Nothing of a node is in the routes themselves."""
    return State({"node": node, "streams": Streams(), "described": ROUTES, **(beside or {})})


def application(node: AgencyNode, *, more: Sequence[ControllerRouterHandler] = (), beside: Mapping[str, object] | None = None) -> Litestar:
    """The routes over a node; ``more`` are further routers, with what they keep ``beside`` the node in the application's state. Each of
    their routes names its roles in ``opt``, or is open to nobody."""
    return Litestar(
        route_handlers=[*ROUTES, reference.openapi, reference.docs, reference.style, *more],
        guards=[access.guard],
        state=state_of(node, beside),
        exception_handlers={
            problems.NotDone: problems.on_not_done, HTTPException: problems.on_http, BrokerError: problems.on_broker,
            TimeoutError: problems.on_late, Exception: problems.on_bug,
        },
        request_max_body_size=BODY,
        openapi_config=None,
        logging_config=None,
    )  # fmt: skip


def node_application(
    node: AgencyNode,
    folder: NodeFolder,
    *,
    limits: Limits | None = None,
    tokens: Tokens | None = None,
    more: Sequence[ControllerRouterHandler] = (),
    beside: Mapping[str, object] | None = None,
) -> Gate:
    """The whole ASGI application of a node; ``tokens``: the bearer tokens that it takes beside client certificates."""
    return gated(application(node, more=more, beside=beside), node, folder, limits=limits, tokens=tokens)


def gated(inner: Litestar, node: AgencyNode, folder: NodeFolder, *, limits: Limits | None = None, tokens: Tokens | None = None) -> Gate:
    """An application behind the gate of a node."""
    return Gate(inner, environment=node.settings.environment, identities=Identities(folder, tokens), limits=limits or Limits())
