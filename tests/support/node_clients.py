"""A node's HTTP in this process: the application over a node of an exchange in memory, and clients with certificates in front of it."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncGenerator, Generator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import httpx
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from litestar import Litestar
from litestar.datastructures import State
from litestar.types import ControllerRouterHandler

from broker.app.agency_node import AgencyNode
from broker.app.statements import json_of
from broker.families.message import Message
from broker.node.application import application, gated, state_of
from broker.node.console.router import beside, console_router
from broker.node.gate import Gate, Limits
from broker.node.issuer_keys import FileKeys
from broker.node.server import listening, serving
from broker.node.tokens import Tokens
from broker.storage.clock import SystemClock
from broker.storage.node_folder import ROLES, NodeFolder
from broker.storage.schemas import load_catalogue
from broker.testing.local import LocalAgency, LocalExchange
from tests.support.eventually import eventually
from tests.support.token_issuer import AUDIENCE, ISSUER, SUBJECT, TokenIssuer

PURPOSE: Final = "STC_ENFORCEMENT"
PATIENCE_S: Final = 0.2
"""How often the readers of a node look again where nothing comes: two dozen of them that look fifty times a second are half of what a test
of a node costs."""
PIECE: Final = 64 << 10
Json = dict[str, Any]
_CATALOGUE = load_catalogue()


def posted(message: Message) -> Json:
    """A message as a client sends it."""
    return json_of(message, _CATALOGUE)


class _Behind:
    """The gate as it lies behind TLS: with a client certificate in the scope, or none."""

    def __init__(self, gate: Gate, certificate: bytes | None) -> None:
        self._gate, self._certificate = gate, certificate

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        scope["extensions"] = {"tls": {"client_cert": self._certificate}}
        await self._gate(scope, receive, send)


@dataclass
class InProcess:
    """A node and its application, without a port."""

    node: AgencyNode
    folder: NodeFolder
    gate: Gate
    certificates: dict[str, bytes] = field(default_factory=dict[str, bytes])

    def add(self, name: str, role: str, units: Sequence[str] = ("TUAS",)) -> bytes:
        """Let somebody in; the certificate (DER)."""
        _, file = self.folder.add(name, role, tuple(units), self.node.now_ms())
        assert file is not None
        certificate = x509.load_pem_x509_certificate(file.read_bytes())
        self.certificates[name] = certificate.public_bytes(Encoding.DER)
        return self.certificates[name]

    def app(self, user: str | None) -> _Behind:
        """What a user's requests go to; None: somebody without a certificate."""
        return _Behind(self.gate, None if user is None else self.certificates[user])

    def client(
        self, user: str | None = "integrator", *, purpose: str | None = PURPOSE, headers: Mapping[str, str] | None = None
    ) -> httpx.AsyncClient:
        """A client of a user's."""
        own = {**({} if purpose is None else {"Broker-Purpose": purpose}), **(headers or {})}
        transport = httpx.ASGITransport(self.app(user), raise_app_exceptions=False)
        return httpx.AsyncClient(transport=transport, base_url="https://node", headers=own)

    async def ready(self) -> None:
        """Wait until the rules are known, and messages are judged by them."""
        await eventually(lambda: self.node.condition().ready and self.node.outbox.publisher is not None, what="a node that is ready")


_SPARE: Final[dict[bool, list[Litestar]]] = {False: [], True: []}
"""Applications whose nodes are gone, without and with a console: to make one costs more than most tests do with it."""


@contextmanager
def _routes(
    node: AgencyNode, console: bool, more: Sequence[ControllerRouterHandler], beside: Mapping[str, object] | None
) -> Generator[Litestar]:
    """The routes over a node, those of an earlier test where there are any: all that they know of a node is in their state."""
    if more or not _SPARE[console]:
        routes = application(node, more=[*([console_router()] if console else ()), *more], beside=beside)
    else:
        routes = _SPARE[console].pop()
        routes.state = state_of(node, beside)
    yield routes
    if not more:
        routes.state = State()
        _SPARE[console].append(routes)


@asynccontextmanager
async def in_process(
    agency: LocalAgency,
    *,
    limits: Limits | None = None,
    tokens: Tokens | None = None,
    console: bool = False,
    more: Sequence[ControllerRouterHandler] = (),
    beside: Mapping[str, object] | None = None,
) -> AsyncGenerator[InProcess]:
    """A node of this agency, with a user of each role, named as the role. ``console``: with its pages, ``more``: with other routes."""
    async with AsyncExitStack() as opened:
        node = await opened.enter_async_context(AgencyNode(agency.member))
        folder = NodeFolder(agency.member.files.node_folder, agency.agency)
        inner = opened.enter_context(_routes(node, console, more, beside))
        gate = gated(inner, node, folder, limits=limits or Limits(1e6, 10**6), tokens=tokens)
        made = InProcess(node, folder, gate)
        for role in ROLES:
            made.add(role, role)
        await made.ready()
        yield made


@dataclass
class Served:
    """A node on a port."""

    made: InProcess
    port: int
    task: asyncio.Task[None]

    def tls(self, user: str | None) -> ssl.SSLContext:
        """What a client connects with."""
        context = ssl.create_default_context(cafile=str(self.made.folder.ca))
        if user is not None:
            context.load_cert_chain(self.made.folder.path / "users" / f"{user}.pem")
        return context

    def client(self, user: str | None = "officer") -> httpx.AsyncClient:
        """A client of a user's."""
        url = f"https://127.0.0.1:{self.port}"
        return httpx.AsyncClient(verify=self.tls(user), base_url=url, headers={"Broker-Purpose": PURPOSE}, timeout=20)

    async def raw(self, sent: bytes, *, user: str | None = "officer") -> bytes:
        """The first line that the server says to these bytes; it may say it, and close, before all are sent. Empty: it closed silently."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, ssl=self.tls(user))
        line = asyncio.create_task(reader.readline())
        with contextlib.suppress(ConnectionError):
            for at in range(0, len(sent), PIECE):
                if line.done():
                    break
                writer.write(sent[at : at + PIECE])
                await writer.drain()
        try:
            async with asyncio.timeout(20):
                return await line
        except ConnectionError:
            return b""
        finally:
            writer.close()


@asynccontextmanager
async def served_node(*, issuer: TokenIssuer | None = None) -> AsyncGenerator[Served]:
    """A node with its console on a port of its own, over an exchange in memory, with a user of each role; ``issuer``: it takes its tokens,
    and :data:`tests.support.token_issuer.SUBJECT` is an officer."""
    async with AsyncExitStack() as opened:
        exchange = await opened.enter_async_context(LocalExchange(clock=SystemClock()))
        exchange.memory.patience = PATIENCE_S
        agency = await exchange.join("SG-CUSTOMS", "customs")
        await exchange.join("MY-CUSTOMS", "customs")
        folder, tokens = agency.member.files.node_folder, None
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if issuer is not None:
            (folder / "jwks.json").write_bytes(issuer.jwks())
            tokens = Tokens(ISSUER, AUDIENCE, FileKeys(folder / "jwks.json"))
        made = await opened.enter_async_context(in_process(agency, tokens=tokens, console=True, beside=beside(folder)))
        made.folder.add("by-token", "officer", ("TUAS",), made.node.now_ms(), None, (ISSUER, SUBJECT))
        where = listening("127.0.0.1", 0)
        task = await opened.enter_async_context(serving(made.node, made.gate, made.folder, where))
        yield Served(made, where.getsockname()[1], task)


@asynccontextmanager
async def on_a_port(made: InProcess, *roles: str) -> AsyncGenerator[Served]:
    """The node on a port, with a user of each role. Certificates are judged by the machine's clock, so they are made anew."""
    now_ms = SystemClock().now_ms()
    for file in (made.folder.server, made.folder.users_file, made.folder.ca):
        file.unlink(missing_ok=True)
    made.folder.prepare(now_ms)
    for role in roles:
        made.folder.add(role, role, ("TUAS",), now_ms)
    where = listening("127.0.0.1", 0)
    async with serving(made.node, made.gate, made.folder, where) as task:
        yield Served(made, where.getsockname()[1], task)
