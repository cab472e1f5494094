"""What the gate leaves in an ASGI scope for the routes, and reads from it."""

from __future__ import annotations

from typing import Any, Final, cast

from litestar.connection import ASGIConnection

from broker.storage.node_folder import User

PURPOSE: Final = "broker-purpose"
"""The header that says what a request is for."""
UNIT: Final = "broker-unit"
"""The header that says for which unit it is."""
AT_END: Final = "broker.at_end"
"""In a scope: what is called when the request has ended, however it did; a list that routes add to."""
STILL: Final = "broker.still"
"""In a scope: tells whether it would be let in now as it was."""

Scope = dict[str, Any]
Connection = ASGIConnection[Any, Any, Any, Any]


def scope_of(connection: Connection) -> Scope:
    """The scope of a connection, as the dictionary that it is."""
    return cast("Scope", connection.scope)


def certificate_of(scope: Scope) -> bytes | None:
    """The verified client certificate (DER), where one was given: from the ASGI TLS extension."""
    extensions = cast("Scope", scope.get("extensions") or {})
    return cast("bytes | None", cast("Scope", extensions.get("tls") or {}).get("client_cert"))


def known(connection: Connection) -> User | None:
    """Whose certificate this connection has, if anybody's."""
    return cast("User | None", scope_of(connection).get("user"))


def request_id_of(connection: Connection) -> str:
    """The id of a request, under which it is in the log."""
    return str(cast("Scope", scope_of(connection).get("state") or {}).get("request_id", ""))
