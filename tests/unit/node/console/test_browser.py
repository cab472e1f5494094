"""The console in a real Chromium, with an officer's client certificate: on every screen, with keys, in three languages, without scripts."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

import pytest_asyncio
from playwright.async_api import Browser

from tests.support.browser import PAPER, SIGHTS, axe_flaws, axe_source, header_flaws
from tests.support.console_windows import look_at, window
from tests.support.node_clients import PATIENCE_S, InProcess, Served, on_a_port, posted
from tests.unit.node.console.conftest import held
from tests.unit.service.world import World

DESK, DESK_DARK, ZOOMED, PHONE, PHONE_DARK = SIGHTS[:5]
HOSTILE: Final = "<script>window.ran = 1</script><img src=x onerror='window.ran = 1'>"


@pytest_asyncio.fixture
async def served(world: World, my: InProcess) -> AsyncGenerator[Served]:
    """The console of MY-CUSTOMS on a port."""
    world.memory.patience = PATIENCE_S
    async with on_a_port(my, "officer", "supervisor") as made:
        yield made


def certificate(served: Served, user: str = "officer") -> Path:
    """Certificate and key of a user."""
    return served.made.folder.path / "users" / f"{user}.pem"


def url(served: Served) -> str:
    """Where the console is."""
    return f"https://127.0.0.1:{served.port}"


async def publish(sg: InProcess, my: InProcess, world: World, number: int = 1, description: str = "isostatic press", **labels: str) -> str:
    """SG-CUSTOMS publishes an alert, and MY-CUSTOMS holds it: its page's path."""
    message = posted(world.alert(number))
    message["header"] |= labels
    message["sections"]["goods"]["items"][0]["description"] = description
    message["sections"]["parties"]["parties"][0]["name"] = description[:70]
    async with sg.client() as client:
        answer = await client.post("/messages", json=message)
        assert answer.status_code == 202, answer.text
    await held(my, message["subject"])
    return f"/console/subjects/{message['subject'].replace('/', '%2F')}"


async def test_every_screen(sg: InProcess, my: InProcess, served: Served, world: World, browser: Browser) -> None:
    """Feed, alert and choice of purpose on every screen and on paper: structure, contrast, nothing cut, nothing said on the console,
    nothing fetched from elsewhere, axe finds nothing; and what a stranger wrote runs nothing."""
    path = await publish(sg, my, world, description=HOSTILE, urgency="FLASH")
    await publish(sg, my, world, 2)
    async with window(browser, url(served), certificate(served)) as visited:
        for page in ("/console/feed", path, "/console/session"):
            assert await look_at(visited, (page,), url(served), sights=SIGHTS) == []
            assert await visited.page.evaluate("window.ran") is None
        assert visited.asked == []
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(served.client())
        client.headers["cookie"] = "__Host-console-purpose=STC_ENFORCEMENT"
        for each in ("/console/feed", path, "/console/session", "/console/subjects/nothing"):
            assert header_flaws((await client.get(each)).headers) == [], each


FILLED: Final = {
    "indicator": "END_USE_UNCLEAR", "indicator_text": "<img src=x onerror=ran()>", "document": "HLCU1", "agencies": "SG-CUSTOMS",
    "hs_code": "847989", "description": "<img src=x onerror=ran()>", "party": "<b>x</b>", "narrative": HOSTILE,
    "valid_until": "2099-01-01T00:00",
}  # fmt: skip
WORK: Final = (
    "/console/licences?number=2026-1", "/console/search?by=container&text=CSQU3054383", "/console/compose", "/console/recalls",
    "/console/outbox",
)  # fmt: skip


async def test_pages_of_work(sg: InProcess, my: InProcess, served: Served, world: World, browser: Browser) -> None:
    """Look-up, search, composing with who will see it, recalls and outbox on every screen and on paper, as the pages of reading."""
    await publish(sg, my, world)
    async with window(browser, url(served), certificate(served, "supervisor")) as visited:
        page = visited.page
        for sight, looked_at in ((DESK, (DESK, DESK_DARK)), (ZOOMED, (ZOOMED,)), (PHONE, (PHONE, PHONE_DARK, PAPER))):
            await page.goto(f"{url(served)}/console/compose/alert")
            await visited.turn(sight)
            for name, value in FILLED.items():
                await page.fill(f"[name={name}]", value)
            await page.select_option("select[name=risk_category]", "OTHER")
            await page.uncheck("input[value=HOLD]")
            await page.check("input[value=ASSESS_ONLY]")
            await page.click("button[value=preview]")
            await page.wait_for_selector("#seen")
            assert await look_at(visited, ("/console/compose/alert#seen",), url(served), sights=looked_at) == []
            assert await page.evaluate("window.ran") is None
        for path in WORK:
            assert await look_at(visited, (path,), url(served), sights=SIGHTS) == []
            assert await page.evaluate("window.ran") is None
        assert visited.asked == []


async def test_what_comes_is_shown_at_once(sg: InProcess, my: InProcess, served: Served, world: World, browser: Browser) -> None:
    """An alert that comes while the feed is open stands in it, without a load of the page."""
    async with window(browser, url(served), certificate(served)) as visited:
        await visited.page.wait_for_selector("#feed-status:has-text('Live')")  # the page's own policy lets nothing be evaluated
        await visited.page.evaluate("window.stayed = 1")
        await publish(sg, my, world, urgency="FLASH")
        await visited.page.wait_for_selector("text=CSQU3054383")
        assert await visited.page.evaluate("window.stayed") == 1
        assert visited.said == []


async def test_sound_and_mark(sg: InProcess, my: InProcess, served: Served, world: World, browser: Browser) -> None:
    """With the sound on, a FLASH alert that comes while the feed is open sounds, is marked, told in a line that is read aloud, and counted
    in the title, until it is looked at; what was there before does nothing. With it off, which is where it begins, nothing sounds."""
    await publish(sg, my, world, urgency="IMMEDIATE")
    async with window(browser, url(served), certificate(served)) as quiet, window(browser, url(served), certificate(served)) as visited:
        page = visited.page
        await page.goto(f"{url(served)}/console/session")
        assert not await page.is_checked("[name=sound]")
        await page.click("[data-try=LATE]")
        await page.wait_for_selector("body[data-sounded=LATE]")
        await page.check("[name=sound]")
        await page.click("main button")
        await page.wait_for_selector("#feed-status:has-text('Live')")
        await page.click("h1")
        assert await page.text_content("#alarm") == ""
        await publish(sg, my, world, 2, urgency="FLASH")
        await page.wait_for_selector("body[data-sounded=FLASH]")
        assert "New: Flash, Alert: Dual use" in (await page.text_content("#alarm") or "")
        assert await page.locator("tr.fresh").count() == 1
        assert (await page.title()).startswith("(1) ")
        assert [*await visited.flaws(), *await axe_flaws(visited, axe_source())] == []
        await page.keyboard.press("j")
        await page.wait_for_selector("tr.fresh", state="detached")
        await quiet.page.wait_for_selector("tr.fresh")
        assert await quiet.page.get_attribute("body", "data-sounded") is None


async def test_the_live_feed_honours_the_filter(sg: InProcess, my: InProcess, served: Served, world: World) -> None:
    """What is sent first is what the filter of the address lets through; without one, what the user's own lets through."""
    path = await publish(sg, my, world)
    async with served.client() as client:
        client.headers["cookie"] = "__Host-console-purpose=STC_ENFORCEMENT"
        for query, wanted in (("?hs=84", True), ("?hs=93", False), ("?who=mine", False), ("", True)):
            said: list[str] = []
            async with client.stream("GET", f"/console/feed/events{query}") as answer:
                async for line in answer.aiter_lines():
                    said.append(line)
                    if line == "event: status":
                        break
            assert any(path in line for line in said) == wanted, query


async def test_by_keyboard_alone(sg: InProcess, my: InProcess, served: Served, world: World, browser: Browser) -> None:
    """j, Enter and f lead from the feed to the result of a feedback, which is sent with the keys of any form."""
    path = await publish(sg, my, world)
    async with window(browser, url(served), certificate(served)) as visited:
        page = visited.page
        await page.keyboard.press("j")
        await page.keyboard.press("Enter")
        await page.wait_for_url(f"**{path}")
        await page.keyboard.press("f")
        await page.keyboard.type("No match")
        await page.keyboard.press("Enter")
        await page.focus("text=Send feedback")
        await page.keyboard.press("Enter")
        await page.wait_for_url("**/console/outbox/*")


async def test_right_to_left(sg: InProcess, my: InProcess, served: Served, world: World, browser: Browser) -> None:
    """Feed and alert in Arabic and French, at desk and phone: nothing is cut, and axe finds nothing."""
    path = await publish(sg, my, world)
    found: list[str] = []
    for language in ("ar", "fr"):
        async with window(browser, url(served), certificate(served), language=language) as visited:
            found += await look_at(visited, ("/console/feed", path), url(served), sights=(DESK, PHONE))
    assert found == []


async def test_without_scripts(sg: InProcess, my: InProcess, served: Served, world: World, browser: Browser) -> None:
    """With JavaScript turned off an officer finds the alert and acknowledges it."""
    path = await publish(sg, my, world)
    async with window(browser, url(served), certificate(served), scripts=False) as visited:
        await visited.page.click("[data-row]")
        await visited.page.wait_for_url(f"**{path}")
        await visited.page.click("form[action$=acknowledge] button")
        await visited.page.wait_for_url("**/console/outbox/*")


async def test_in_place(sg: InProcess, my: InProcess, served: Served, world: World, browser: Browser) -> None:
    """Who will see an alert is told while it is written, and what is looked for is found while it is typed, without a load of the page and
    with the cursor where it was; nothing is evaluated, no style is set by a script, and nothing of a page is kept by the browser."""
    await publish(sg, my, world)
    async with window(browser, url(served), certificate(served, "supervisor")) as visited:
        page = visited.page
        await page.goto(f"{url(served)}/console/compose/alert")
        await page.evaluate("window.stayed = 1")
        for name, value in FILLED.items():
            await page.fill(f"[name={name}]", value)
        await page.select_option("select[name=risk_category]", "OTHER")
        await page.uncheck("input[value=HOLD]")
        await page.check("input[value=ASSESS_ONLY]")
        await page.focus("[name=indicator_text]")
        await page.wait_for_selector("#seen button[value=send]")
        assert await page.evaluate("[window.stayed, document.activeElement.name, window.ran]") == [1, "indicator_text", None]
        await page.goto(f"{url(served)}/console/search")
        await page.evaluate("window.stayed = 1")
        await page.type("[name=text]", "CSQU3054383")
        await page.wait_for_selector("#count:has-text('1 alert found')")
        assert await page.evaluate("[window.stayed, document.activeElement.name]") == [1, "text"]
        kept = await page.evaluate("Object.keys(localStorage).concat(Object.keys(sessionStorage))")
        assert set(kept) <= {"htmx-current-path-for-history"}  # an address, which the window's history has as well
        assert page.url.endswith("text=CSQU3054383")
        assert (visited.said, visited.asked) == ([], [])
