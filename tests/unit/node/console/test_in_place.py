"""What changes in place, by htmx: its files come from the package that carries it, and without it every page still works."""

from __future__ import annotations

import re

import pytest

from broker.node.console import assets
from broker.node.console.router import beside
from tests.support.node_clients import InProcess, in_process, posted
from tests.unit.node.console.conftest import held, officer
from tests.unit.node.console.test_work import ALERT
from tests.unit.service.world import World


def test_htmx_is_found_beside_its_package() -> None:
    """Where the package is installed both files are there and are scripts; of a package that is not there, or carries none, nothing is."""
    if not (found := assets.htmx_files()):
        pytest.skip("django-htmx, which carries htmx, is not installed")
    assert set(found) == {assets.HTMX, assets.EVENTS}
    assert assets.media_type(found[assets.HTMX]) == "text/javascript"
    assert assets.htmx_files("no_such_package") == {}
    assert assets.htmx_files("msgspec") == {}


async def test_the_files_are_served_and_pages_name_them(my: InProcess) -> None:
    """A page asks for htmx with settings under which it evaluates nothing, and the node serves it; nothing else of the package."""
    if not assets.htmx_files():
        pytest.skip("django-htmx, which carries htmx, is not installed")
    alice = officer(my)
    await alice.choose()
    page = await alice.get("/console/feed")
    for name in re.findall(r'<script src="([^"]+)"', page):
        answer = await alice.client.get(name)
        assert (answer.status_code, answer.headers["content-type"]) == (200, "text/javascript; charset=utf-8"), name
    assert f"/console/static/{assets.EVENTS}" in page
    assert '"allowEval":false' in page
    assert '"includeIndicatorStyles":false' in page
    assert re.search(r"\son\w+=|<style|style=", page) is None
    assert (await alice.client.get("/console/static/htmx-4.min.js")).status_code == 404


async def test_without_htmx(world: World) -> None:
    """Where it is not installed no page asks for it, the feed and a message that is on its way load themselves again, and forms work."""
    agency = world.agency("SG-CUSTOMS")
    kept = {**beside(agency.member.files.folder), "assets": assets.own_files()}
    async with in_process(agency, console=True, beside=kept) as node:
        carol = officer(node, "supervisor")
        await carol.choose()
        page = await carol.get("/console/feed")
        assert "htmx-2" not in page
        assert "sse-2" not in page
        assert re.search(r'<meta http-equiv="refresh" content="30"></noscript>', page) is None
        assert '<meta http-equiv="refresh" content="30">' in page
        assert (await carol.client.get(f"/console/static/{assets.HTMX}")).status_code == 404
        assert (await carol.client.get("/console/licences?number=1")).status_code == 200


async def test_findings_as_one_types(sg: InProcess) -> None:
    """The part says what is missing while the form is not complete, then who will see it, with what makes the form ready to send; nothing
    is kept of it, what was typed is text, and it is not given without the token of the page."""
    carol = officer(sg, "supervisor")
    await carol.choose()
    page = await carol.get("/console/compose/alert")
    fields = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', page)) | ALERT | {"subject": "SG-CUSTOMS/2026/9"}
    path = "/console/compose/alert/findings"
    missing = await carol.post(path, {**fields, "indicator": ""})
    assert missing.status_code == 200
    assert "core.indicators" in missing.text
    assert "Not complete yet." in missing.text
    assert 'value="send"' not in missing.text
    told = await carol.post(path, fields)
    assert "MY-CUSTOMS" in told.text
    assert 'value="send"' in told.text
    assert "<html" not in told.text
    hostile = await carol.post(path, {**fields, "subject": "<script>1</script>", "agencies": "<script>1</script>"})
    assert hostile.status_code == 200
    assert "<script>1" not in hostile.text
    assert (await carol.post(path, {**fields, "token": "x"})).status_code == 403
    assert sg.node.outbox.last_revision("SG-CUSTOMS/2026/9") is None
    seen = re.search(r'name="seen" value="([0-9a-f]+)"', told.text)
    assert seen is not None
    sent = await carol.post("/console/compose/alert", {**fields, "seen": seen[1], "do": "send"})
    assert sent.status_code == 303, sent.text


async def test_a_part_without_a_purpose_has_the_page_loaded_again(sg: InProcess, my: InProcess, world: World) -> None:
    """Where the choice of a purpose has ended, what htmx asks for is answered by a load of the whole page, which leads to the choice."""
    async with sg.client() as client:
        assert (await client.post("/messages", json=posted(world.alert(1)))).status_code == 202
    await held(my, world.alert(1).subject)
    answer = await officer(my).client.get("/console/search?by=container&text=CSQU3054383", headers={"HX-Request": "true"})
    assert (answer.status_code, answer.headers["hx-refresh"]) == (403, "true")
    assert "CSQU3054383" not in answer.text
