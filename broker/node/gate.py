"""What every request passes before it reaches a route, and every answer on its way out, as one ASGI application around the other.

In: request id, whose certificate it is, rate, origin, and a time for the body. Out: security headers, environment, a line in the log, and
a time for the client to take its answer. Nothing here knows what a message is.
"""

from __future__ import annotations

import asyncio
import math
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, cast
from urllib.parse import unquote_to_bytes

import structlog
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from broker.families.message import PURPOSES
from broker.node.identity import Identities
from broker.node.problems import MEDIA, NotDone, Problem, body_of, problem
from broker.node.rates import Rates
from broker.node.scope import AT_END, PURPOSE, STILL, UNIT
from broker.storage.node_folder import User

BODY_S: Final = 30.0
"""How long a client may be waited for while it sends a body,"""
PACE: Final = 16 << 10
"""and the bytes a second with which it may take longer."""
TAKE_S: Final = 30.0
"""How long a client may take no byte of its answer before it is given up."""
SECURITY: Final = {
    "strict-transport-security": "max-age=31536000",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "content-security-policy": "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "cache-control": "no-store",
}
"""Headers of every answer that does not set them itself."""
BUSY: Final = "broker.busy"
"""In a scope: the connection is one too many."""
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})

_log = structlog.get_logger("request")


@dataclass(frozen=True, slots=True)
class Limits:
    """What one client may ask for: requests per second, and at once."""

    rate: float = 200.0
    burst: int = 400


class Gate:
    """The application around the routes. ``identities`` finds who a request comes from."""

    def __init__(self, inner: ASGIApp, *, environment: str, identities: Identities, limits: Limits) -> None:
        self.inner = inner
        self.environment, self._identities = environment, identities
        self._rates = Rates(limits.rate, limits.burst)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":  # type: ignore[comparison-overlap]
                await self.inner(scope, receive, send)
            return
        whole = cast("dict[str, Any]", scope)
        request_id = secrets.token_hex(8)
        whole.setdefault("state", {})["request_id"] = request_id
        whole["path"] = kept_slashes(whole.get("raw_path"), whole["path"])
        ends: list[Callable[[], None]] = []
        whole[AT_END] = ends
        exchange = _Exchange(send, request_id, self.environment, self._identities.challenge)
        began = time.monotonic()
        try:
            found, headers = self._judge(whole)
            if found is not None:
                await exchange.problem(found, headers)
            else:
                await self.inner(scope, _timed(receive), exchange.send)
        except TimeoutError:
            if not exchange.begun:
                await exchange.problem(problem("TOO_SLOW", "the request, or taking its answer, took too long"), {"connection": "close"})
        except Exception as error:
            if exchange.begun:
                if isinstance(error.__cause__, TimeoutError):  # a client that takes no more, as the framework wraps it
                    return
                raise
            _log.error("a request failed", id=request_id, exc_info=error)  # outside of the routes, whose bugs have a handler
            await exchange.problem(problem("INTERNAL", "this is a bug"), {"connection": "close"})
        finally:
            for end in ends:
                end()
            user = cast("User | None", whole.get("user"))
            _log.info(
                "request", id=request_id, method=whole["method"], path=whole["path"], status=exchange.status,
                ms=round(1000 * (time.monotonic() - began)), user=user.name if user else None, by=whole.get("auth"),
                **_asked_for(whole, user),
            )  # fmt: skip

    def _judge(self, scope: dict[str, Any]) -> tuple[Problem | None, dict[str, str]]:
        """Who it is, and whether the request may go on."""
        if scope.get(BUSY):
            return problem("BUSY", "too many connections are open"), {"connection": "close", "retry-after": "5"}
        headers = {name.lower(): value for name, value in scope["headers"]}
        authorization = [value for name, value in scope["headers"] if name.lower() == b"authorization"]
        refused: NotDone | None = None
        user, way = None, None
        try:
            user, way = self._identities.identify(scope, authorization)
        except NotDone as error:
            refused = error
        scope["user"], scope["auth"] = user, way
        scope[STILL] = lambda: self._identities.still(scope, authorization, user)
        client = f"user {user.name}" if user else f"address {(scope.get('client') or ('', 0))[0]}"
        wait = self._rates.wait_s(client, time.monotonic())
        if wait:
            return problem("TOO_MANY", "too many requests of this client"), {"retry-after": str(max(1, math.ceil(wait)))}
        if refused is not None:
            return problem(refused.code, refused.detail), refused.headers
        if scope["method"] not in _SAFE and not same_site(headers):
            return problem("CROSS_SITE", "this was sent by a page of another site"), {}
        return None, {}


def headers_of(request_id: str, environment: str) -> dict[str, str]:
    """What every answer has, where it does not say something else itself."""
    return {**SECURITY, "broker-request-id": request_id, "broker-environment": environment}


def kept_slashes(raw_path: bytes | None, path: str) -> str:
    """The path with escaped slashes kept as ``%2F``: a subject's id is one segment."""
    if raw_path is None or b"%2" not in raw_path:
        return path
    raw = raw_path.partition(b"?")[0].replace(b"%2f", b"%252F").replace(b"%2F", b"%252F")
    return unquote_to_bytes(raw).decode("utf-8", "replace")


def same_site(headers: dict[bytes, bytes]) -> bool:
    """Whether a request that changes something comes from a program, or from a page of this node itself (RFC 6454, Fetch metadata)."""
    if headers.get(b"sec-fetch-site", b"none") not in (b"none", b"same-origin"):
        return False
    origin = headers.get(b"origin")
    return origin is None or origin == b"https://" + headers.get(b"host", b"")


def _timed(receive: Receive) -> Receive:
    """``receive`` that gives up where too long is waited for a body: :data:`BODY_S` in all, which bytes at :data:`PACE` make up for. How
    long the node itself takes is not counted. After the body one may wait for the client's end for ever."""
    loop = asyncio.get_running_loop()
    left, complete = BODY_S, False

    async def timed() -> Any:
        nonlocal complete, left
        if complete:
            return await receive()
        began = loop.time()
        async with asyncio.timeout(left):
            message = await receive()
        left = min(left - (loop.time() - began) + len(message.get("body", b"")) / PACE, BODY_S)
        complete = not message.get("more_body", False)
        return message

    return timed


def _asked_for(scope: dict[str, Any], user: User | None) -> dict[str, str]:
    """Unit and purpose of a request, where it names good ones: for those who look afterwards who asked, for whom and what for."""
    # of a header that came twice the first one counts, as for the guards: the log says what it was really read for
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in reversed(scope["headers"])}
    purpose, unit = headers.get(PURPOSE, ""), headers.get(UNIT, user.units[0] if user else "")
    found = {"purpose": purpose if purpose in PURPOSES else "", "unit": unit if user and unit in user.units else ""}
    return {name: value for name, value in found.items() if value}


class _Exchange:
    """The way out of one answer."""

    def __init__(self, send: Send, request_id: str, environment: str, challenge: str | None) -> None:
        self._send, self._request_id, self._environment, self._challenge = send, request_id, environment, challenge
        self.begun = False
        self.status = 0

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.begun, self.status = True, message["status"]
            headers = list(message.get("headers", []))
            present = {name.lower() for name, _ in headers}
            own = headers_of(self._request_id, self._environment)
            if self.status == 401 and self._challenge is not None:
                own["www-authenticate"] = self._challenge
            headers += [(name.encode(), value.encode()) for name, value in own.items() if name.encode() not in present]
            message["headers"] = headers
        async with asyncio.timeout(TAKE_S):
            await self._send(message)

    async def problem(self, found: Problem, headers: dict[str, str]) -> None:
        body = body_of(found, self._request_id)
        own = {"content-type": MEDIA, "content-length": str(len(body)), **headers}
        raw = [(name.encode(), value.encode()) for name, value in own.items()]
        await self.send({"type": "http.response.start", "status": found.status, "headers": raw})
        await self.send({"type": "http.response.body", "body": body, "more_body": False})
