"""The header check: ``python -m tests.e2e.header_check`` asks every route of a node and its console for every class of answer it can get,
over a real port, and holds each answer's headers to the list below. It prints a table and ends with exit code 1 where there is a
finding."""

from __future__ import annotations

import asyncio
import contextlib
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import httpx

from tests.support.node_clients import Served, served_node
from tests.support.token_issuer import TokenIssuer

Headers = Mapping[str, str]
LOGIN: Final = TokenIssuer()
PARAMETERS: Final = {"subject": "SG-CUSTOMS%2F2026%2F1", "name": "console.css", "message_id": "0", "number": "2026-0815"}
STREAMS: Final = ("/inbox/events", "/console/feed/events")
PUBLIC: Final = re.compile(r"/console/static/.*")
"""What says nothing about anybody, and may be kept by a browser."""


def _csp(value: str) -> bool:
    rules = {part.split()[0]: part.split()[1:] for part in value.split(";") if part.split()}
    shut = all(rules.get(name) == ["'none'"] for name in ("frame-ancestors", "base-uri"))
    return (
        shut and rules.get("default-src") in (["'none'"], ["'self'"]) and "unsafe" not in value and "*" not in value and "http" not in value
    )


REQUIRED: Final[Mapping[str, Callable[[str], object]]] = {
    "strict-transport-security": lambda value: int(value.partition("=")[2].partition(";")[0]) >= 31_536_000,
    "x-content-type-options": lambda value: value == "nosniff",
    "x-frame-options": lambda value: value == "DENY",
    # Pages of the console have the second: with the first a browser would not say of which page a form is.
    "referrer-policy": lambda value: value in ("no-referrer", "same-origin"),
    "content-security-policy": _csp,
    "cross-origin-resource-policy": lambda value: value == "same-origin",
    "cross-origin-opener-policy": lambda value: value == "same-origin",
    "permissions-policy": lambda value: "camera=()" in value,
    "broker-request-id": lambda value: re.fullmatch("[0-9a-f]{16}", value),
    "broker-environment": lambda value: value == "test",
}
"""What every answer has, and what is right in it."""
FORBIDDEN: Final = ("server", "x-powered-by", "access-control-allow-origin", "via")
"""What no answer has."""


@dataclass
class Row:
    """One route: the answers that were got from it by status, and what was wrong."""

    method: str
    path: str
    statuses: dict[int, int] = field(default_factory=dict[int, int])
    findings: list[str] = field(default_factory=list[str])


def findings(path: str, status: int, headers: Headers) -> Iterator[str]:
    """What is wrong with the headers of one answer."""
    for name, right in REQUIRED.items():
        if name not in headers or not right(headers[name]):
            yield f"{status}: {name} is {headers.get(name, 'missing')!r}"
    for name in FORBIDDEN:
        if name in headers:
            yield f"{status}: {name} is there"
    kept = headers.get("cache-control", "")
    if "no-store" not in kept and not (status < 400 and PUBLIC.fullmatch(path)) and not (path == "/openapi.json" and "private" in kept):
        yield f"{status}: cache-control is {kept!r}"
    kind = headers.get("content-type", "")
    if kind.startswith("text/") and "charset=utf-8" not in kind:
        yield f"{status}: content-type is {kind!r}"
    if status >= 400 and not kind.startswith(("application/problem+json", "text/html")) and path not in ("/health", "/ready"):
        yield f"{status}: content-type is {kind!r}"
    for code, name in ((401, "www-authenticate"), (405, "allow"), (429, "retry-after")):
        if status == code and name not in headers:
            yield f"{status}: {name} is missing"
    for cookie in (value for name, value in headers.items() if name == "set-cookie"):
        if not cookie.startswith("__Host-") or not all(word in cookie.lower() for word in ("secure", "httponly", "samesite=strict")):
            yield f"{status}: set-cookie is {cookie.partition('=')[0]}"


def _requests(method: str, path: str) -> Iterator[tuple[str | None, dict[str, Any]]]:
    """Who asks a route and how: good, without purpose, without rights, as nobody, with what is too long, of no type, too slow to be one."""
    good = {"headers": {"Broker-Purpose": "STC_ENFORCEMENT", "Cookie": "__Host-console-purpose=STC_ENFORCEMENT"}}
    own = "https://127.0.0.1"
    yield "integrator", good
    yield "integrator", {}
    yield "integrator", {"headers": {"Broker-Purpose": "none of them"}}
    yield "integrator", {"headers": {**good["headers"], "If-None-Match": "*"}}
    yield "auditor", good
    yield None, good
    yield None, {"headers": {"Authorization": "Bearer x.y.z"}}
    yield None, {"headers": {"Authorization": f"Bearer {LOGIN.token(sub='nobody')}"}}
    yield None, {"headers": {**good["headers"], "Authorization": f"Bearer {LOGIN.token()}"}}
    if method == "POST":
        yield "integrator", {**good, "json": {}}
        yield "integrator", {**good, "content": b"{", "headers": {**good["headers"], "Content-Type": "application/json"}}
        yield "integrator", {**good, "content": b"x" * (9 << 20), "headers": {**good["headers"], "Content-Type": "application/json"}}
        yield "integrator", {"headers": {**good["headers"], "Origin": "https://evil.example"}}
        yield "officer", {"data": {"token": "x"}, "headers": {**good["headers"], "Origin": own}}


async def _asked(client: httpx.AsyncClient, method: str, url: str, how: dict[str, Any]) -> tuple[int, httpx.Headers] | None:
    """Status and headers; of a stream no more is read than these. None where the server closed before all was sent."""
    try:
        async with client.stream(method, url, **how) as response:
            if not response.headers.get("content-type", "").startswith("text/event-stream"):
                with contextlib.suppress(httpx.TransportError):
                    await response.aread()  # so that the connection is kept for the next
            return response.status_code, response.headers
    except (httpx.WriteError, httpx.RemoteProtocolError):
        return None


async def checked(served: Served) -> list[Row]:
    """Every route and method, and a few that are none."""
    routes = sorted({(str(method), each.path_format) for each in served.made.gate.inner.routes for method in getattr(each, "methods", ())})  # type: ignore[attr-defined]
    others = [
        ("GET", "/no-such-path"),
        ("DELETE", "/inbox"),
        ("PUT", "/console/feed"),
        ("GET", "/console/no-such-page"),
        ("HEAD", "/health"),
    ]
    clients = {user: served.client(user) for user in (None, "integrator", "auditor", "officer")}
    rows: list[Row] = []
    for client in clients.values():
        client.headers.pop("Broker-Purpose", None)
    try:
        for method, template in [*routes, *others]:
            row = Row(method, template)
            path = re.sub(r"\{(\w+)\}", lambda found: PARAMETERS.get(found[1], "x"), template)
            for user, how in _requests(method, path):
                got = await _asked(clients[user], method, path, how)
                if got is not None:
                    row.statuses[got[0]] = row.statuses.get(got[0], 0) + 1
                    row.findings += [each for each in findings(path, *got) if each not in row.findings]
            rows.append(row)
        rows.append(await _too_many(served))
    finally:
        for client in clients.values():
            await client.aclose()
    return [*rows, *[await _raw(served, sent) for sent in (b"HELLO\r\n\r\n", b"GET /" + b"a" * 40_000 + b" HTTP/1.1\r\n\r\n")]]


async def _too_many(served: Served) -> Row:
    """A client that asks more than its rate."""
    from broker.node.rates import Rates

    gate, row = served.made.gate, Row("GET", "/health (too often)")
    before, gate._rates = gate._rates, Rates(0.001, 0)  # pyright: ignore[reportPrivateUsage]
    try:
        async with served.client("officer") as client:
            answer = await client.get("/health")
    finally:
        gate._rates = before  # pyright: ignore[reportPrivateUsage]
    row.statuses[answer.status_code] = 1
    row.findings += findings("/", answer.status_code, answer.headers)
    return row


async def _raw(served: Served, sent: bytes) -> Row:
    """What is no request."""
    row = Row("", f"{sent[:12].decode()!r} (no request)")
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port, ssl=served.tls(None))
    writer.write(sent)
    head = (await reader.read()).partition(b"\r\n\r\n")[0].decode().split("\r\n")
    writer.close()
    status = int(head[0].split()[1])
    row.statuses[status] = 1
    row.findings += findings("/", status, dict(line.split(": ", 1) for line in head[1:]))
    return row


async def report() -> list[Row]:
    """The whole check, on a node of its own that takes tokens too."""
    async with served_node(issuer=LOGIN) as served:
        return await checked(served)


def main() -> int:
    """The table."""
    rows = asyncio.run(report())
    for row in rows:
        statuses = " ".join(str(status) for status in sorted(row.statuses))
        print(f"{row.method:<8}{row.path:<44}{statuses:<36}{'ok' if not row.findings else 'FINDING'}")
        for each in row.findings:
            print(f"{'':<8}{each}")
    answers, found = sum(sum(row.statuses.values()) for row in rows), sum(len(row.findings) for row in rows)
    print(f"{len(rows)} routes, {answers} answers of {len({status for row in rows for status in row.statuses})} statuses, {found} findings")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
