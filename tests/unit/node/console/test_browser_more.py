"""The console's further pages in a real Chromium: requests, map, figures, members, licences, drafts, recalls; on screens and paper."""

from __future__ import annotations

from typing import Final

from playwright.async_api import Browser

from tests.support.browser import SIGHTS
from tests.support.console_windows import look_at, window
from tests.support.eventually import eventually
from tests.support.node_clients import InProcess, Served
from tests.unit.node.console.conftest import held, officer
from tests.unit.node.console.test_browser import certificate, publish, url
from tests.unit.node.console.test_browser import served as served
from tests.unit.node.console.test_figures import feedback
from tests.unit.node.console.test_requests import asked
from tests.unit.node.console.test_work import ALERT, licence, written
from tests.unit.service.world import World

FEW: Final = (SIGHTS[0], SIGHTS[1], SIGHTS[3], SIGHTS[5])
"""Desk, desk in the dark, phone, paper."""


async def looked(browser: Browser, served: Served, paths: tuple[str, ...], language: str = "en") -> list[str]:
    """What is wrong with pages on each of :data:`FEW`; nothing may be fetched from elsewhere."""
    async with window(browser, url(served), certificate(served, "supervisor"), language=language) as visited:
        found = await look_at(visited, paths, url(served), sights=FEW)
        assert visited.asked == []
    return found


async def test_requests_and_the_map(sg: InProcess, my: InProcess, served: Served, world: World, browser: Browser) -> None:
    """The board of requests with one of each kind, one request with its form, the form to ask, and an alert with its map."""
    path = await publish(sg, my, world)
    subject = path.rpartition("/")[2].replace("%2F", "/")
    my.add("alice", "officer")  # the users of the exchange's own clock are gone
    alice = officer(my, "alice")
    await alice.choose()
    await asked(alice, subject)
    question = {"question_codes": ["END_USE", "OWNERSHIP"], "third_party_consent": False, "due": "2099-01-01T00:00:00Z"}
    words = {"questions": [{"question_code": "END_USE", "text": "<script>1</script> " + "long" * 60}]}
    async with sg.client() as client:
        header = {"audience": {"agencies": ["MY-CUSTOMS"]}}
        sent = await client.post("/rfis", json={"target": subject, "core": question, "questions": words, "header": header})
        assert sent.status_code == 202, sent.text
    request = sent.json()["subject"]
    await held(my, request)
    one = f"/console/requests/{request.replace('/', '%2F')}"
    paths = ("/console/requests", one, f"{path}/ask", path)
    assert await looked(browser, served, paths) == []


async def test_figures(sg: InProcess, my: InProcess, served: Served, world: World, browser: Browser) -> None:
    """Bars, intervals and tables of both sides, in English and Arabic."""
    my.add("alice", "officer")
    for number in (1, 2):
        path = await publish(sg, my, world, number)
        await feedback(my, path.rpartition("/")[2].replace("%2F", "/"), ("EXAMINED_POSITIVE", "EXAMINED_NEGATIVE")[number - 1], "alice")
    await eventually(lambda: len(my.node.reader().answers(world.alert(2).subject)) == 1, what="the register has the feedback")
    assert await looked(browser, served, ("/console/figures?days=30",)) == []
    assert await looked(browser, served, ("/console/figures?days=30",), language="ar") == []


async def test_writing_a_long_alert(sg: InProcess, my: InProcess, served: Served, world: World, browser: Browser) -> None:
    """With scripts a row is added and removed without a load of the page, without them by one; Enter in a field never removes anything; the
    form with several rows is good on every screen."""
    found: list[str] = []
    async with window(browser, url(served), certificate(served, "supervisor")) as visited:
        page = visited.page
        for sight in FEW[:3]:
            await page.goto(f"{url(served)}/console/compose/alert")
            await visited.turn(sight)
            await page.evaluate("window.stayed = 1")
            places = page.locator("[data-rows=places]")
            await places.locator("[name=locode]").fill("DEHAM")
            for code in ("SGSIN", "AEJEA"):
                await places.locator("[data-add]").click()
                await places.locator("[name=locode]").last.fill(code)
            await places.locator("[data-drop]").nth(1).click()
            assert [await each.input_value() for each in await places.locator("[name=locode]").all()] == ["DEHAM", "AEJEA"]
            assert await page.evaluate("window.stayed") == 1
            found += await look_at(visited, ("/console/compose/alert",), url(served))
            await page.locator("[name=indicator]").press("Enter")
            await page.wait_for_selector("[role=alert]")
            assert [each for each in visited.said if "422" not in each] == []  # the answer says that the form is not complete
            visited.said.clear()
            assert [await each.input_value() for each in await page.locator("[name=locode]").all()] == ["DEHAM", "AEJEA"]
    assert found == []
    async with window(browser, url(served), certificate(served, "supervisor"), scripts=False) as visited:
        await visited.page.goto(f"{url(served)}/console/compose/alert")
        await visited.page.fill("[name=party]", "Example Trading FZE")
        await visited.page.click("[data-rows=parties] [data-add]")
        await visited.page.wait_for_selector("[name=party] >> nth=1")
        assert await visited.page.input_value("[name=party] >> nth=0") == "Example Trading FZE"


async def test_a_licence(bafa: InProcess, my: InProcess, served: Served, browser: Browser) -> None:
    """The look-up of a licence that is revoked, with its quantities, and the licence's own page."""
    async with bafa.client() as authority:
        for number, decision in enumerate(("GRANT", "REVOKE"), 1):
            more = {"shipments_in_transit_instruction": "HOLD"} if decision == "REVOKE" else {}
            answer = await authority.post("/messages", json=licence(decision, number, **more))
            assert answer.status_code == 202, answer.text

    def revoked() -> bool:
        if not my.node.member.files.register_store.exists():
            return False
        return [each.status for each in my.node.reader().licence("2026-1", my.node.now_ms())] == ["REVOKED"]

    await eventually(revoked, what="the revocation")
    assert await looked(browser, served, ("/console/licences?number=2026-1", "/console/subjects/DE-BAFA%2F2026%2FL-1")) == []


async def test_a_draft_and_a_recall(sg: InProcess, my: InProcess, served: Served, world: World, browser: Browser) -> None:
    """A draft that waits with who would see it, a recall that came with its clock and form, what is left of the subject, and members."""
    path = await publish(sg, my, world)
    my.add("alice", "officer")
    alice = officer(my, "alice")
    await alice.choose()
    fields, _ = await written(alice, "alert", {**ALERT, "agencies": "SG-CUSTOMS"})
    handed = await alice.post("/console/compose/alert", {**fields, "do": "send"})
    draft = handed.headers["location"]
    assert draft.startswith("/console/drafts/")
    subject = path.rpartition("/")[2].replace("%2F", "/")
    async with sg.client() as client:
        answer = await client.post("/recalls", json={"subject": subject, "reason": "ERROR", "action": "DELETE"})
        assert answer.status_code == 202, answer.text

    async def asked() -> bool:
        return "/console/recalls/answer" in await alice.get("/console/recalls")

    await eventually(asked, what="the recall on the board")
    assert await looked(browser, served, ("/console/compose", draft, "/console/recalls", path, "/console/exchange")) == []
