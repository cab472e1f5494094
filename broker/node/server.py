"""The node's server: TLS with client certificates, uvicorn in this process's loop, and an end that finishes what is under way."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, Final, Protocol

import structlog
import uvicorn

from broker.errors import UsageError
from broker.node.gate import Gate
from broker.node.protocol import NodeProtocol
from broker.storage.node_folder import NodeFolder

GRACE_S: Final = 10
"""How long requests under way may take when the node is stopped."""
IDLE_S: Final = 30
"""How long a connection may lie idle between two requests."""
CONNECTIONS: Final = 512
"""Most connections; further ones are answered 503."""
_log = structlog.get_logger("node")


def tls_context(folder: NodeFolder) -> ssl.SSLContext:
    """TLS 1.2 or newer. A client certificate is asked for; one that is given has to be good. Who gives none gets to what is public."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(folder.server, folder.server_key)
    context.load_verify_locations(cadata=folder.anchors())
    context.verify_mode = ssl.CERT_OPTIONAL
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # a certificate that is let in by itself is its own anchor
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    return context


class Stoppable(Protocol):
    """What is served: the node of an agency, or the operator's watch."""

    @property
    def stopping(self) -> asyncio.Event:
        """Set when it is to stop."""
        ...


class _Living:
    """TLS whose anchors are those of the list of users as it is at each handshake: who is let in gets through from the next connection on,
    whose certificate is let go does not."""

    def __init__(self, folder: NodeFolder) -> None:
        self._folder = folder
        self._seen = self._look()
        self.first = self._current = tls_context(folder)
        self.first.sni_callback = self._choose  # called for every handshake, whether the client names a server or not

    def _look(self) -> tuple[tuple[int, int], ...]:
        files = (self._folder.users_file, self._folder.ca, self._folder.server)
        found = [each.stat() for each in files if each.exists()]
        return tuple((each.st_mtime_ns, each.st_size) for each in found)

    def _choose(self, tls: ssl.SSLObject, _name: str | None, _first: ssl.SSLContext) -> None:
        try:
            seen = self._look()
            if seen != self._seen:
                self._current, self._seen = tls_context(self._folder), seen
        except (OSError, ValueError, UsageError) as error:  # half a file, say: the list lets nobody in meanwhile
            _log.error("the certificates cannot be read anew", reason=str(error))
        tls.context = self._current


def listening(host: str, port: int) -> socket.socket:
    """A socket that listens there; port 0 takes a free one. Raises UsageError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    found = socket.socket(family, socket.SOCK_STREAM)
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind((host, port))
        found.listen(512)
        found.setblocking(False)
    except OSError as error:
        found.close()
        raise UsageError(f"`{host}` port {port} cannot be listened on: {error.strerror}", advice="give another --port") from error
    return found


class _Server(uvicorn.Server):
    """uvicorn without its own signal handlers: the program has one way of being stopped. ``up`` is set when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.up.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Any:
        yield


@asynccontextmanager
async def serving(node: Stoppable, app: Gate, folder: NodeFolder, where: socket.socket) -> AsyncGenerator[asyncio.Task[None]]:
    """The server for as long as the block lasts, listening when it begins; the task ends early only where something is wrong.

    At the end no new connection is taken, streams end, and what is under way is finished, for :data:`GRACE_S` seconds at most.
    """
    config = uvicorn.Config(
        app, http=NodeProtocol, ws="none", lifespan="on", log_config=None, access_log=False, server_header=False, proxy_headers=False,
        timeout_keep_alive=IDLE_S, timeout_graceful_shutdown=GRACE_S, limit_concurrency=CONNECTIONS,
    )  # fmt: skip
    config.load()
    config.ssl = _Living(folder).first
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets=[where]))
    try:
        up = asyncio.create_task(server.up.wait())
        await asyncio.wait({up, task}, return_when=asyncio.FIRST_COMPLETED)
        up.cancel()
        yield task
    finally:
        node.stopping.set()
        server.should_exit = True
        await task
