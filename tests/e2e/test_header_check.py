"""The header check runs, finds nothing here, and finds what is wrong."""

from __future__ import annotations

from broker.node.gate import headers_of
from tests.e2e.header_check import findings, report

RIGHT = {**headers_of("0" * 16, "test"), "content-type": "application/json"}


async def test_no_open_finding() -> None:
    """Every route of the node and its console, in all classes of answer that it gives: each has the headers that it has to have."""
    rows = await report()
    assert [(row.method, row.path, row.findings) for row in rows if row.findings] == []
    seen = {status for row in rows for status in row.statuses}
    assert seen >= {200, 303, 304, 400, 401, 403, 404, 405, 413, 415, 422, 429, 431}
    assert {row.path for row in rows} >= {"/messages", "/inbox/events", "/openapi.json", "/console/feed", "/console/static/{name}"}


def test_it_finds_what_is_wrong() -> None:
    """Each header left out or wrong, a server that names itself, content that is kept, a cookie that a script reads: a finding."""
    assert list(findings("/inbox", 200, RIGHT)) == []
    for name in (name for name in RIGHT if name not in ("broker-environment", "content-type")):
        assert list(findings("/inbox", 200, {each: value for each, value in RIGHT.items() if each != name})), name
    for changed in (
        {"server": "uvicorn"}, {"cache-control": "private"}, {"content-security-policy": "default-src *"},
        {"x-frame-options": "SAMEORIGIN"}, {"content-security-policy": RIGHT["content-security-policy"] + "; script-src 'unsafe-inline'"},
        {"content-type": "text/html"},
        {"strict-transport-security": "max-age=60"}, {"set-cookie": "__Host-x=1; Secure; SameSite=Strict"},
    ):  # fmt: skip
        assert list(findings("/inbox", 200, RIGHT | changed)), changed
    assert list(findings("/inbox", 401, RIGHT | {"content-type": "application/problem+json"}))
    assert list(findings("/inbox", 500, RIGHT | {"content-type": "text/plain; charset=utf-8"}))
