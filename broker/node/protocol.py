"""HTTP/1.1 over TLS as uvicorn speaks it, with what it lacks: the verified client certificate in the ASGI scope (as the ASGI TLS extension
has it, ``scope["extensions"]["tls"]["client_cert"]``, DER), a limit for the head of a request, and a time for it. What uvicorn would answer
by itself, to what is no request or comes over one connection too many, has the headers and the problem details of every other answer.
"""

from __future__ import annotations

import asyncio
import secrets
from http import HTTPStatus
from typing import Any, Final

import structlog
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from broker.node.gate import BUSY, Gate, headers_of
from broker.node.problems import MEDIA, Problem, body_of, problem

HEAD_LIMIT: Final = 32 << 10
"""Most bytes of request line and headers."""
HEAD_S: Final = 10.0
"""How long a client may take for them, and be connected before the first byte."""
_log = structlog.get_logger("request")


class NodeProtocol(HttpToolsProtocol):
    """One connection."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._most: int | None = self.limit_concurrency
        self.limit_concurrency = None  # uvicorn's own answer has no headers of ours
        self._head, self._fed, self._too_long = True, 0, False
        self._certificate: bytes | None = None
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """See asyncio."""
        super().connection_made(transport)
        tls = transport.get_extra_info("ssl_object")
        self._certificate = tls.getpeercert(binary_form=True) if tls is not None else None
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio."""
        self._unwatch()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """See asyncio."""
        if self._head:
            self._fed += len(data)
        super().data_received(data)
        if self._head and self._fed > HEAD_LIMIT and not self.transport.is_closing():
            self._refuse_head()

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self._head, self._size = True, 0
        self.scope["extensions"] = {"tls": {"client_cert": self._certificate}}
        if self._most is not None and max(len(self.connections), len(self.tasks)) >= self._most:
            self.scope[BUSY] = True  # type: ignore[typeddict-unknown-key]
        if self._timer is None:
            self._watch()

    def on_url(self, url: bytes) -> None:
        """A piece of the request line."""
        self._size += len(url)
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, whole."""
        self._size += len(name) + len(value) + 4
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The head is there."""
        self._unwatch()
        if self._size > HEAD_LIMIT:
            self._too_long = True
            raise ValueError("the head is too long")
        super().on_headers_complete()
        self._head, self._fed = False, 0

    def on_message_complete(self) -> None:
        """The request is there."""
        super().on_message_complete()
        self._head = True

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - the parser's words are not for clients
        """What cannot be parsed, or is too long."""
        if self._too_long:
            self._refuse_head()
        else:
            self._end(problem("BAD_REQUEST", "this is no HTTP/1.1 request: in an address, signs outside of ASCII are escaped"))

    def _refuse_head(self) -> None:
        self._end(problem("HEAD_TOO_LONG", f"request line and headers have more than {HEAD_LIMIT:,} bytes"))

    def _end(self, found: Problem) -> None:
        """Answer what is no request, and close."""
        request_id, app = secrets.token_hex(8), self.config.app
        body = body_of(found, request_id)
        own = {"content-type": MEDIA, "content-length": str(len(body)), "connection": "close"}
        own |= headers_of(request_id, app.environment if isinstance(app, Gate) else "")
        lines = [f"HTTP/1.1 {found.status} {HTTPStatus(found.status).phrase}", *(f"{name}: {value}" for name, value in own.items()), "", ""]
        _log.info("no request", id=request_id, status=found.status, code=found.code)
        self.transport.write("\r\n".join(lines).encode() + body)
        self.transport.close()

    def _watch(self) -> None:
        self._timer = self.loop.call_later(HEAD_S, self._too_slow)

    def _unwatch(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _too_slow(self) -> None:
        self._timer = None
        if self._head and not self.transport.is_closing():
            self._end(problem("TOO_SLOW", "request line and headers took too long"))
