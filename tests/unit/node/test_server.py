"""The node's server on a real port: TLS, streams and who leaves them, slow and oversize requests, cross-site posts, headers, its end."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
import time
from collections.abc import Callable

import httpx
import pytest

from broker.node import gate, protocol, server
from broker.node.gate import SECURITY
from broker.node.streams import OF_ONE, Streams
from broker.storage.node_folder import NodeFolder
from tests.support.eventually import eventually
from tests.support.node_clients import PURPOSE, InProcess, Served
from tests.unit.service.world import World


async def publish(world: World, *numbers: int) -> None:
    """SG-CUSTOMS publishes alerts."""
    for number in numbers:
        assert (await world.agency().publish(world.alert(number))).outcome == "ACCEPTED"


async def events(client: httpx.AsyncClient, count: int, headers: dict[str, str] | None = None) -> list[dict[str, str]]:
    """So many events of a stream, then the client leaves."""
    found: list[dict[str, str]] = []
    async with client.stream("GET", "/inbox/events", headers=headers or {}) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        one: dict[str, str] = {}
        async for line in response.aiter_lines():
            if not line and "data" in one:
                found.append(one)
                one = {}
                if len(found) == count:
                    break
            elif ": " in line and not line.startswith(":"):
                name, _, value = line.partition(": ")
                one[name] = value
    return found


# -- TLS ---------------------------------------------------------------------------------------------------------------


async def test_certificates_over_tls(served: Served) -> None:
    """The node's own certificate is its authority's; no client certificate: 401, and health is open; one of another authority does not get
    through the handshake, and no TLS at all neither."""
    async with served.client(None) as nobody:
        assert (await nobody.get("/inbox")).json()["code"] == "CERTIFICATE_NEEDED"
        assert (await nobody.get("/health")).json()["status"] == "ok"
    async with served.client("officer") as officer:
        assert (await officer.get("/inbox")).status_code == 200
    other = NodeFolder(served.made.folder.path / "other", "SG-CUSTOMS")
    _, file = other.add("stranger", "officer", ("TUAS",), time.time_ns() // 1_000_000)
    context = ssl.create_default_context(cafile=str(served.made.folder.ca))
    assert file is not None
    context.load_cert_chain(file)
    async with httpx.AsyncClient(verify=context, base_url=f"https://127.0.0.1:{served.port}") as stranger:
        with pytest.raises(httpx.HTTPError):
            await stranger.get("/health")
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    writer.write(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
    with contextlib.suppress(ConnectionError):
        assert b"HTTP" not in await reader.read()
    writer.close()


async def test_a_certificate_of_another_authority_is_let_in(served: Served) -> None:
    """By name and fingerprint, while the node runs: from the next connection on it gets through the handshake too, and is the user that it
    was added as. Removed it is nobody on the connection that it has, and gets no other; a broken list lets in nobody and stops nothing."""
    now_ms, folder = time.time_ns() // 1_000_000, served.made.folder
    _, file = NodeFolder(folder.path / "elsewhere", "SG-CUSTOMS").add("system", "officer", ("TUAS",), now_ms)
    assert file is not None
    text = file.read_text()

    def client() -> httpx.AsyncClient:
        context = served.tls(None)
        context.load_cert_chain(file)
        return httpx.AsyncClient(verify=context, base_url=f"https://127.0.0.1:{served.port}")

    async with client() as before:
        with pytest.raises(httpx.HTTPError):
            await before.get("/health")
    user, none = folder.add("partner", "auditor", ("TUAS",), now_ms, text[: text.index("-----BEGIN PRIVATE")])
    assert (none, user.certificate is not None) == (None, True)
    async with client() as during, client() as after, served.client() as officer:
        assert "auditor" in (await during.get("/inbox")).json()["detail"]
        folder.remove("partner")
        assert (await during.get("/inbox")).json()["code"] == "CERTIFICATE_UNKNOWN"
        with pytest.raises(httpx.HTTPError):
            await after.get("/health")
        good = folder.users_file.read_bytes()
        folder.users_file.write_bytes(b"{")
        assert (await officer.get("/inbox")).json()["code"] == "CERTIFICATE_UNKNOWN"
        folder.users_file.write_bytes(good)
        assert (await officer.get("/inbox")).status_code == 200


# -- streams -----------------------------------------------------------------------------------------------------------


async def test_a_stream_goes_on_where_it_was_left(served: Served, world: World) -> None:
    """Events come in order with their cursors; a client that leaves comes back behind the last one it names, and misses none."""
    await publish(world, 1, 2, 3)
    async with served.client() as client:
        first = await events(client, 2)
        await publish(world, 4)
        rest = await events(client, 2, {"Last-Event-ID": first[-1]["id"]})
        subjects = [json.loads(each["data"])["subject"][-1] for each in (*first, *rest)]
        assert subjects == ["1", "2", "3", "4"]
        assert [each["event"] for each in first] == ["delivery", "delivery"]
        lost = await client.get("/inbox/events", headers={"Last-Event-ID": "00000000-1"})
        assert (lost.status_code, lost.json()["code"]) == (410, "CURSOR_LOST")
        for bad in ("x", "1", "-", "a-b", f"{first[0]['id']}0" * 9):
            assert (await client.get("/inbox", params={"after": bad})).status_code in (400, 410), bad


async def test_clients_that_vanish(served: Served, world: World) -> None:
    """Streams whose clients are gone end, and free their places: more come than there may be at a time, one after the other and at once."""
    streams: Streams = served.made.gate.inner.state["streams"]  # type: ignore[attr-defined]
    await publish(world, 1)
    async with served.client() as client:
        for _ in range(20):
            assert len(await events(client, 1)) == 1
        await eventually(lambda: len(streams) == 0, what="no stream left")
    writers: list[asyncio.StreamWriter] = []
    for _ in range(16):
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port, ssl=served.tls("officer"))
        writer.write(f"GET /inbox/events HTTP/1.1\r\nHost: x\r\nBroker-Purpose: {PURPOSE}\r\n\r\n".encode())
        assert await reader.readuntil(b"data:")
        writers.append(writer)
    async with served.client() as client:
        refused = await client.get("/inbox/events")
        assert (refused.status_code, refused.json()["code"], refused.headers["retry-after"]) == (429, "TOO_MANY", "30")
        for writer in writers:
            writer.transport.abort()  # type: ignore[attr-defined]
        await eventually(lambda: len(streams) == 0, what="no stream left")
        assert len(await events(client, 1)) == 1


async def test_places_of_streams(served: Served, world: World) -> None:
    """However many of one user ask at the same moment, it gets its places and no more; clients that vanish before a byte was answered, and
    those whose request is refused, hold none."""
    streams: Streams = served.made.gate.inner.state["streams"]  # type: ignore[attr-defined]
    ask = f"GET /inbox/events HTTP/1.1\r\nHost: x\r\nBroker-Purpose: {PURPOSE}\r\n"
    pairs = [await asyncio.open_connection("127.0.0.1", served.port, ssl=served.tls("officer")) for _ in range(OF_ONE + 8)]
    for _, writer in pairs:
        writer.write(f"{ask}\r\n".encode())
    statuses = [(await reader.readline()).split()[1] for reader, _ in pairs]
    assert (statuses.count(b"200"), statuses.count(b"429"), len(streams)) == (OF_ONE, 8, OF_ONE)
    for _, writer in pairs:
        writer.transport.abort()  # type: ignore[attr-defined]
    await eventually(lambda: len(streams) == 0, what="no stream left")
    for head in (f"{ask}\r\n", f"{ask}Last-Event-ID: x\r\n\r\n", ask):
        for _ in range(OF_ONE + 1):
            _, writer = await asyncio.open_connection("127.0.0.1", served.port, ssl=served.tls("officer"))
            writer.write(head.encode())
            writer.transport.abort()  # type: ignore[attr-defined]
    async with served.client() as client:
        await eventually(lambda: len(streams) == 0, what="no stream left")
        await publish(world, 1)
        assert len(await events(client, 1)) == 1


async def test_a_stream_of_who_is_let_go_ends(served: Served, world: World) -> None:
    """A user who is removed while its stream is open gets nothing that comes after that."""
    await publish(world, 1)
    async with served.client() as client, client.stream("GET", "/inbox/events") as response:
        lines = response.aiter_lines()
        async for line in lines:
            if line.startswith("data"):
                break
        served.made.folder.remove("officer")
        await publish(world, 2)
        assert [line async for line in lines if line.startswith("data")] == []


# -- hostile clients ---------------------------------------------------------------------------------------------------


async def test_slow_heads_and_bodies(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """A head or a body that does not come within its time: 408, and the connection is closed; others are served meanwhile."""
    monkeypatch.setattr(protocol, "HEAD_S", 0.2)
    monkeypatch.setattr(gate, "BODY_S", 0.2)
    head = b"POST /messages HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    for sent in (b"", b"GE", head, head + b"Content-Length: 10\r\n\r\n{"):
        slow = asyncio.create_task(served.raw(sent))
        async with served.client() as client:
            assert (await client.get("/health")).status_code == 200
        assert (await slow).startswith(b"HTTP/1.1 408 "), sent


async def test_oversize_heads(served: Served) -> None:
    """A header, a path, or headers together over the limit: 431, whether they end or not."""
    size = protocol.HEAD_LIMIT
    for sent in (
        b"GET /health HTTP/1.1\r\nHost: x\r\nX: " + b"a" * size + b"\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 2 * size,
        b"GET /" + b"a" * size + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * (size // 4) + b"\r\n",
    ):
        assert (await served.raw(sent)).startswith(b"HTTP/1.1 431 "), sent[:40]
    for sent in (b"\x16\x03\x01", b"HELLO\r\n\r\n", b"GET / HTTP/9\r\n\r\n", b"GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n"):
        assert (await served.raw(sent)).startswith(b"HTTP/1.1 400 "), sent


async def test_oversize_bodies(served: Served) -> None:
    """A length that is announced, and one that is not: 413, long before the bytes are all there."""
    head = b"POST /messages HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nConnection: close\r\n"
    assert (await served.raw(head + b"Content-Length: 99999999999\r\n\r\n{")).startswith(b"HTTP/1.1 413 ")
    chunk = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
    assert (await served.raw(head + b"Transfer-Encoding: chunked\r\n\r\n" + chunk * 9 + b"0\r\n\r\n")).startswith(b"HTTP/1.1 413 ")


async def test_who_takes_nothing(served: Served, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that asks for much and reads nothing is given up; its answer does not stay in memory for ever."""
    monkeypatch.setattr(gate, "TAKE_S", 0.2)
    await publish(world, *range(1, 30))
    async with served.client() as client:
        await eventually(lambda: served.made.node.inbox.position() and len(served.made.node.inbox.after(0, 100)) == 29, what="deliveries")
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port, ssl=served.tls("officer"), limit=1024)
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        for _ in range(400):
            writer.write(f"GET /inbox?limit=1000 HTTP/1.1\r\nHost: x\r\nBroker-Purpose: {PURPOSE}\r\n\r\n".encode())
        assert (await client.get("/health")).status_code == 200
        writer.close()
        assert reader is not None


async def test_cross_site(served: Served, world: World) -> None:
    """A post that a page of another site makes a browser send, with the certificate that it has: 403, and nothing is kept. A page of the
    node itself may; so may a program, which names no origin."""
    own = f"https://127.0.0.1:{served.port}"
    async with served.client("integrator") as client:
        for headers, status in (
            ({"Origin": "https://evil.example"}, 403), ({"Origin": "null"}, 403), ({"Origin": own + "0"}, 403),
            ({"Origin": own.replace("https", "http")}, 403), ({"Sec-Fetch-Site": "cross-site"}, 403),
            ({"Sec-Fetch-Site": "same-site"}, 403), ({"Origin": own, "Sec-Fetch-Site": "same-origin"}, 422), ({}, 422),
        ):  # fmt: skip
            answer = await client.post("/messages", json={}, headers=headers)
            assert answer.status_code == status, headers
        preflight = await client.options("/messages", headers={"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"})
        assert "access-control-allow-origin" not in preflight.headers
    assert served.made.node.outbox.depth().waiting == 0


async def test_headers_of_every_answer(served: Served) -> None:
    """Each kind of answer, good or not, has the security headers, the environment and a request id; the server says not what it is."""
    async with served.client() as client:
        for method, path in (
            ("GET", "/health"),
            ("GET", "/inbox"),
            ("GET", "/nope"),
            ("POST", "/inbox"),
            ("GET", "/docs"),
            ("POST", "/messages"),
        ):
            answer = await client.request(method, path)
            for name in SECURITY:
                assert name in answer.headers, (path, name)
            assert (answer.headers["broker-environment"], len(answer.headers["broker-request-id"])) == ("test", 16)
            assert "server" not in answer.headers
        ids = {(await client.get("/health")).headers["broker-request-id"] for _ in range(5)}
        assert len(ids) == 5
        page = (await client.get("/docs")).text
        assert "<script" not in page
        assert "http://" not in page.replace("http://www.w3.org", "")
        assert (await client.get("/docs/reference.css")).headers["content-type"].startswith("text/css")


async def test_headers_of_what_is_no_request(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is answered before there is a request, or over one connection too many, has the same headers, and is problem details too."""
    for sent, code in ((b"HELLO\r\n\r\n", "BAD_REQUEST"), (b"GET /" + b"a" * protocol.HEAD_LIMIT + b" HTTP/1.1\r\n\r\n", "HEAD_TOO_LONG")):
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port, ssl=served.tls(None))
        writer.write(sent)
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        writer.close()
        headers = dict(line.decode().split(": ", 1) for line in head.split(b"\r\n")[1:])
        assert headers | SECURITY == headers
        assert (headers["content-type"], headers["broker-environment"]) == ("application/problem+json", "test")
        found = json.loads(body)
        assert (found["code"], found["request_id"]) == (code, headers["broker-request-id"])
    monkeypatch.setattr(protocol.NodeProtocol, "connection_made", _crowded(protocol.NodeProtocol.connection_made))
    async with served.client() as client:
        busy = await client.get("/health")
    assert (busy.status_code, busy.json()["code"], busy.headers["retry-after"]) == (503, "BUSY", "5")
    assert dict(busy.headers) | SECURITY == dict(busy.headers)


def _crowded(made: Callable[..., None]) -> Callable[..., None]:
    """A connection that is the one too many."""

    def crowded(self: protocol.NodeProtocol, transport: asyncio.Transport) -> None:
        self._most = 1  # pyright: ignore[reportPrivateUsage]
        made(self, transport)

    return crowded


async def test_a_bug_outside_of_the_routes(my: InProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even where the application around them fails: 500 as problem details with all headers, and no word of it."""

    async def broken(*_: object) -> None:
        raise RuntimeError("secret of the inside")

    monkeypatch.setattr(my.gate, "inner", broken)
    async with my.client("officer") as client:
        answer = await client.get("/health")
    assert (answer.status_code, answer.json()["code"], "secret" in answer.text) == (500, "INTERNAL", False)
    assert dict(answer.headers) | SECURITY == dict(answer.headers)


async def test_its_end(served: Served, world: World) -> None:
    """When it is stopped, streams end, a request under way is answered, and nothing is taken any more."""
    async with served.client() as client, client.stream("GET", "/inbox/events") as stream:
        lines = stream.aiter_lines()
        assert await anext(lines) == "retry: 1000"
        waiting = asyncio.create_task(client.get("/health"))
        assert (await waiting).status_code == 200
        served.made.node.stopping.set()
        assert (await client.get("/ready")).json()["status"] == "not-ready"
        assert [line async for line in lines if line.startswith("data")] == []
    assert server.GRACE_S <= 10


async def test_too_many_requests(my: InProcess) -> None:
    """A client that asks more than its rate is told how long to wait; another one is served."""
    my.gate._rates = gate.Rates(1.0, 3)  # pyright: ignore[reportPrivateUsage]
    async with my.client("officer") as greedy, my.client("auditor") as other:
        answers = [await greedy.get("/health") for _ in range(4)]
        assert [each.status_code for each in answers] == [200, 200, 200, 429]
        assert (answers[-1].json()["code"], answers[-1].headers["retry-after"]) == ("TOO_MANY", "1")
        assert (await other.get("/health")).status_code == 200


async def test_a_bug_tells_nothing(my: InProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error that nobody foresaw: 500 with the request's id, and no word of what it was."""

    def broken(*_: object) -> None:
        raise RuntimeError("secret of the inside")

    monkeypatch.setattr(my.node.inbox, "after", broken)
    async with my.client("officer") as client:
        answer = await client.get("/inbox")
        assert (answer.status_code, answer.json()["code"]) == (500, "INTERNAL")
        assert "secret" not in answer.text
        assert answer.json()["request_id"] == answer.headers["broker-request-id"]
