"""Who may do what: roles by route, roles by family, the unit and the purpose of a request. Deny by default.

Every route names its roles in ``opt``; one that names none is open to nobody. ``opt={"public": True}`` is for what a load balancer asks,
which has no certificate; ``opt={"content": True}`` is for what shows content, which is read for a purpose; ``opt={"certificate": True}`` is
for what no bearer token opens.
"""

from __future__ import annotations

from typing import Any, Final, cast

from litestar import Request
from litestar.handlers import BaseRouteHandler

from broker.families.message import PURPOSES
from broker.node.identity import CERTIFICATE
from broker.node.problems import NotDone
from broker.node.scope import PURPOSE, UNIT, Connection, certificate_of, known, scope_of
from broker.storage.node_folder import ROLES, User

ALL: Final = frozenset(ROLES)
"""Everybody whose certificate is known."""
STAFF: Final = frozenset({"officer", "supervisor", "integrator"})
"""Those who work with content."""
DECIDING: Final = frozenset({"supervisor", "integrator"})
"""Those who may speak for the agency where it binds itself."""
DECIDED: Final = frozenset({"recall", "consent_reply"})
"""Families that bind the agency, or take back what it said: by whichever route they come, for :data:`DECIDING` alone."""


def guard(connection: Connection, handler: BaseRouteHandler) -> None:
    """The guard of every route: certificate, role, unit, purpose, in this order. Raises NotDone."""
    opt = handler.opt
    purpose = connection.headers.get(PURPOSE)
    if purpose is not None and purpose not in PURPOSES:
        raise NotDone("BAD_PURPOSE", "there is no such purpose")
    if opt.get("public"):
        return
    user = user_of(connection)
    if opt.get("certificate") and scope_of(connection).get("auth") != CERTIFICATE:
        raise NotDone("CERTIFICATE_ONLY", "the console is for people whose browser has a client certificate")
    roles = cast("frozenset[str]", opt.get("roles", frozenset()))
    if user.role not in roles:
        raise NotDone("ROLE_MAY_NOT", f"this is for {' or '.join(sorted(roles)) or 'nobody'}; your role is {user.role}")
    unit_of(connection)
    if opt.get("content") and purpose is None:
        raise NotDone("PURPOSE_NEEDED", "content is read for a purpose")


def user_of(connection: Connection) -> User:
    """Whose certificate this connection has. Raises NotDone where there is none, or it is nobody's."""
    user = known(connection)
    if user is None:
        if certificate_of(scope_of(connection)) is not None:
            raise NotDone("CERTIFICATE_UNKNOWN", "this certificate belongs to no user of this node")
        raise NotDone("CERTIFICATE_NEEDED", "this needs a client certificate, or a bearer token where the node takes some")
    return user


def unit_of(connection: Connection) -> str:
    """The unit for which this is asked: that of the header, by default the user's first. Raises NotDone."""
    user = user_of(connection)
    unit = connection.headers.get(UNIT)
    if unit is None:
        return user.units[0]
    if unit not in user.units:
        raise NotDone("UNIT_MAY_NOT", "you do not belong to this unit")
    return unit


def purpose_of(request: Request[Any, Any, Any]) -> str:
    """The purpose of a request for content: the guard has seen to it that there is one."""
    return request.headers[PURPOSE]


def check_family(user: User, family: object) -> None:
    """Whether the user may publish this family. Raises NotDone."""
    if isinstance(family, str) and family in DECIDED and user.role not in DECIDING:
        raise NotDone("ROLE_MAY_NOT", f"a {family} is for {' or '.join(sorted(DECIDING))}; your role is {user.role}")
