"""Who may do what: every route for every role, units, purposes, certificates; deny by default."""

from __future__ import annotations

import json

import pytest
from litestar import get

from broker.node.application import ROUTES, application
from broker.storage.node_folder import ROLES
from broker.testing.local import LocalAgency
from tests.support.node_clients import InProcess, Json, in_process, posted
from tests.unit.service.world import World

EVERYBODY = {"officer", "supervisor", "integrator", "auditor"}
STAFF = EVERYBODY - {"auditor"}
DECIDING = {"supervisor", "integrator"}
ALLOWED = {
    ("POST", "/messages"): STAFF, ("POST", "/messages/dry-run"): STAFF, ("GET", "/messages/{message_id}"): EVERYBODY,
    ("POST", "/acks"): STAFF, ("POST", "/feedback"): STAFF, ("POST", "/rfis"): STAFF, ("POST", "/consents"): STAFF,
    ("POST", "/recalls"): DECIDING, ("GET", "/inbox"): STAFF, ("GET", "/inbox/events"): STAFF, ("GET", "/alerts"): STAFF,
    ("GET", "/licences/{number}"): STAFF, ("POST", "/licences/status"): STAFF, ("POST", "/screen"): STAFF,
    ("GET", "/subjects/{subject}/trace"): EVERYBODY,
    ("POST", "/screen/stream"): STAFF, ("PUT", "/attachments"): STAFF,
    ("GET", "/subjects/{subject}/attachments"): STAFF, ("GET", "/subjects/{subject}/attachments/{digest}"): STAFF,
    ("GET", "/mappings"): EVERYBODY, ("GET", "/mappings/{kind}/{name}"): EVERYBODY,
    ("GET", "/exports/{view}"): STAFF, ("POST", "/imports"): STAFF, ("GET", "/imports"): STAFF, ("GET", "/imports/{import_id}"): STAFF,
    ("GET", "/imports/{import_id}/events"): STAFF, ("POST", "/imports/{import_id}/run"): DECIDING,
    ("DELETE", "/imports/{import_id}"): STAFF,
    ("GET", "/exports/{view}/summary"): STAFF,
    ("PUT", "/mappings/{kind}/{name}"): DECIDING, ("DELETE", "/mappings/{kind}/{name}"): DECIDING,
    ("GET", "/openapi.json"): EVERYBODY, ("GET", "/docs"): EVERYBODY, ("GET", "/docs/reference.css"): EVERYBODY,
}  # fmt: skip
PUBLIC = {("GET", "/health"), ("GET", "/ready")}
"""The whole of it, by hand: what a route says of itself is compared with this."""


def routes(node: InProcess) -> set[tuple[str, str]]:
    """Every method and path that the application answers, as templates."""
    found: set[tuple[str, str]] = set()
    for route in application(node.node).routes:
        for method in getattr(route, "methods", ()):
            found.add((str(method), route.path_format))
    return found


async def test_every_route_for_every_role(sg: InProcess) -> None:
    """All routes and methods there are, asked by each role and by nobody: a role that is not listed gets 403, and who has no certificate
    401; a role that is listed gets neither."""
    for method, path in sorted(routes(sg)):
        url = path.replace("{message_id}", "0").replace("{number}", "1").replace("{subject}", "SG-CUSTOMS%2F1")
        url = url.replace("{kind}", "screen").replace("{name}", "boxes").replace("{view}", "alerts").replace("{digest}", "0" * 64)
        listed = ALLOWED.get((method, path), set())
        for role in (*ROLES, None):
            if path == "/inbox/events" and role in listed:
                continue  # a stream does not end by itself: test_server.py reads some
            async with sg.client(role) as client:
                status = (await client.request(method, url)).status_code
            if (method, path) in PUBLIC:
                assert status == 200, (method, path, role)
            elif role is None:
                assert status == 401, (method, path, role)
            else:
                assert (status in (401, 403)) == (role not in listed), (method, path, role, status)
    assert {each for each in routes(sg) if each[0] != "OPTIONS"} == set(ALLOWED) | PUBLIC


async def test_a_route_without_roles_is_open_to_nobody(world: World) -> None:
    """A router that others add and forget to say for whom: 403 for all."""

    @get("/forgotten")
    async def forgotten() -> str:
        return "secret"

    agency: LocalAgency = world.agency("SG-CUSTOMS")
    async with in_process(agency, more=[forgotten]) as node:
        for role in ROLES:
            async with node.client(role) as client:
                answer = await client.get("/forgotten")
            assert (answer.status_code, answer.json()["code"]) == (403, "ROLE_MAY_NOT")
            assert "secret" not in answer.text


async def test_certificates(sg: InProcess) -> None:
    """None, an unknown one, and one that was removed a moment ago: 401, with the difference told."""
    async with sg.client(None) as nobody:
        assert (await nobody.get("/inbox")).json()["code"] == "CERTIFICATE_NEEDED"
    sg.certificates["stranger"] = b"0\x00"
    async with sg.client("stranger") as stranger:
        answer = await stranger.get("/inbox")
        assert (answer.status_code, answer.json()["code"]) == (401, "CERTIFICATE_UNKNOWN")
    async with sg.client("officer") as officer:
        assert (await officer.get("/inbox")).status_code == 200
        sg.folder.remove("officer")
        assert (await officer.get("/inbox")).json()["code"] == "CERTIFICATE_UNKNOWN"


async def test_a_broken_list_of_users_lets_nobody_in(sg: InProcess) -> None:
    """Half a file: 401 for all, and the node goes on."""
    sg.folder.users_file.write_text("{")
    async with sg.client("officer") as officer:
        assert (await officer.get("/inbox")).status_code == 401
        assert (await officer.get("/health")).status_code == 200


async def test_content_is_read_for_a_purpose(sg: InProcess) -> None:
    """Every route that shows content refuses without a purpose, and with one that there is not; others take no bad one either."""
    async with sg.client("supervisor", purpose=None) as client:
        for handler in ROUTES:
            (path,), (method,) = handler.paths, handler.http_methods
            url = path.replace("{message_id:str}", "0").replace("{number:str}", "1").replace("{subject:str}", "SG-CUSTOMS%2F1")
            url = (
                url.replace("{kind:str}", "screen")
                .replace("{name:str}", "boxes")
                .replace("{view:str}", "alerts")
                .replace("{digest:str}", "0" * 64)
            )
            without = await client.request(method, url)
            wrong = await client.request(method, url, headers={"Broker-Purpose": "CURIOSITY"})
            needed = without.status_code == 400 and without.json().get("code") == "PURPOSE_NEEDED"
            assert needed == bool(handler.opt.get("content")) == (path in CONTENT), path
            assert (wrong.status_code, wrong.json()["code"]) == (400, "BAD_PURPOSE"), path


CONTENT = {
    "/subjects/{subject:str}/attachments",
    "/subjects/{subject:str}/attachments/{digest:str}",
    "/inbox",
    "/inbox/events",
    "/alerts",
    "/licences/{number:str}",
    "/licences/status",
    "/screen",
    "/screen/stream",
    "/exports/{view:str}",
    "/exports/{view:str}/summary",
}


async def test_units(sg: InProcess) -> None:
    """A user's unit is its first, or the one it names among its own; another's is refused."""
    sg.add("two", "officer", ("TUAS", "CHANGI"))
    async with sg.client("two") as client:
        for unit, status in (("TUAS", 200), ("CHANGI", 200), ("JURONG", 403), ("", 403)):
            assert (await client.get("/inbox", headers={"Broker-Unit": unit})).status_code == status, unit


@pytest.mark.parametrize("family", ["recall", "consent_reply"])
async def test_what_binds_the_agency_is_not_for_officers(sg: InProcess, world: World, family: str) -> None:
    """By whichever route it comes: an officer may publish an alert, and neither a recall nor a consent, among many neither."""
    async with sg.client("officer") as officer:
        assert (await officer.post("/messages", json=posted(world.alert(1)))).status_code == 202
        message = {**posted(world.alert(2)), "family": family}
        answer = await officer.post("/messages", json=message)
        assert (answer.status_code, answer.json()["code"]) == (403, "ROLE_MAY_NOT")
        lines = await officer.post("/messages", content=json.dumps(message), headers={"Content-Type": "application/jsonl"})
        assert lines.status_code == 403
        consent: Json = {"family": "consent_reply", "target": "MY-CUSTOMS/1", "core": {}}
        assert (await officer.post("/consents", json=consent)).status_code == 403
