"""Files in the compose form in a real Chromium: chosen, shown, handed over and approved, on screens and paper, with and without scripts."""

from __future__ import annotations

from pathlib import Path

from playwright.async_api import Browser, Page

from tests.support.browser import SIGHTS, Visit
from tests.support.console_windows import look_at, window
from tests.support.node_clients import InProcess, Served
from tests.unit.node.console.test_browser import FILLED, certificate, url
from tests.unit.node.console.test_browser import served as served
from tests.unit.node.test_attachments import picture

FORM = "/console/compose/alert"
TITLE = "<img src=x onerror=ran()>"


def files(folder: Path) -> tuple[list[Path], Path]:
    """Two files that may be attached, and a program."""
    good = [folder / "left side.png", folder / "note.txt"]
    good[0].write_bytes(picture(40_000, side=300))
    good[1].write_text("weighed twice", encoding="utf-8")
    program = folder / "tool.exe"
    program.write_bytes(b"MZ\x90\0" + bytes(200))
    return good, program


async def fill(page: Page) -> None:
    """What an alert needs."""
    for name, value in FILLED.items():
        await page.fill(f"[name={name}]", value)
    await page.select_option("select[name=risk_category]", "OTHER")
    await page.uncheck("input[value=HOLD]")
    await page.check("input[value=ASSESS_ONLY]")


async def attach(page: Page, *chosen: Path) -> None:
    """Choose files and attach them, with the keyboard."""
    await page.set_input_files("input[name=upload]", chosen)
    await page.focus("button[value=attach]")
    await page.keyboard.press("Enter")
    await page.wait_for_selector("[name=attached_title]")


async def drawn(page: Page) -> list[int]:
    """The widths of the small pictures of a page, once they are there; 0 for one that cannot be shown."""
    for image in await page.locator("img").all():
        await image.scroll_into_view_if_needed()
    widths: list[int] = await page.evaluate(
        "Promise.all([...document.images].map((each) => each.decode().then(() => each.naturalWidth, () => 0)))"
    )
    return widths


async def looked(visited: Visit, path: str, base: str, pictures: Path) -> list[str]:
    found = await look_at(visited, (path,), base, pictures)
    assert await visited.page.evaluate("window.ran") is None
    assert visited.asked == []
    return found


async def test_files_on_every_screen(sg: InProcess, my: InProcess, served: Served, browser: Browser, tmp_path: Path) -> None:
    """On desk, telephone and in Arabic: two files are attached and a program refused, with its finding and their titles on the page; the
    draft shows them, on paper too, to the supervisor, who approves; and every page is good by structure, contrast, width and axe."""
    good, program = files(tmp_path)
    found: list[str] = []
    for sight, language in ((SIGHTS[0], "en"), (SIGHTS[3], "fr"), (SIGHTS[4], "ar")):
        pictures = tmp_path / sight.name
        pictures.mkdir()
        async with window(browser, url(served), certificate(served), sight=sight, language=language) as visited:
            page = visited.page
            await page.goto(f"{url(served)}{FORM}")
            await fill(page)
            await attach(page, *good, program)
            assert await page.locator(".note.bad:has-text('tool.exe')").count() == 1
            await page.fill("[name=attached_title] >> nth=0", TITLE)
            assert await drawn(page) == [256]
            (said,) = visited.said
            assert "status of 422" in said  # the browser's own remark on a form that comes back
            visited.said.clear()
            found += await looked(visited, f"{FORM}#files", url(served), pictures)
            await page.click("button[value=preview]")
            await page.wait_for_selector("#seen button[value=send]")
            assert await page.input_value("[name=attached_title] >> nth=0") == TITLE
            await page.click("#seen button[value=send]")
            await page.wait_for_url("**/console/drafts/*")
            draft = page.url.removeprefix(url(served))
        async with window(browser, url(served), certificate(served, "supervisor"), sight=sight, language=language) as visited:
            page = visited.page
            await page.goto(f"{url(served)}{draft}")
            assert await drawn(page) == [256]
            found += await looked(visited, draft, url(served), pictures)
            await page.emulate_media(media="print")
            await page.screenshot(path=pictures / "paper.png", full_page=True)
            await page.emulate_media(media="screen")
            await page.click("button[value=send]")
            await page.wait_for_url("**/console/outbox/*")
    assert found == [], "\n".join(found)


async def test_files_without_scripts_and_with(sg: InProcess, my: InProcess, served: Served, browser: Browser, tmp_path: Path) -> None:
    """Without JavaScript a file is attached, kept while a row is added, and taken out again. With it, who will see the files is told while
    the alert is written, and a file that is chosen but has not come is not among what is sent."""
    good, _ = files(tmp_path)
    async with window(browser, url(served), certificate(served), scripts=False) as visited:
        page = visited.page
        await page.goto(f"{url(served)}{FORM}")
        await attach(page, *good)
        await page.fill("[name=attached_title] >> nth=1", "weight")
        await page.click("[data-rows=parties] [data-add]")
        await page.wait_for_selector("[name=party] >> nth=1")
        await page.click("button[value=detach-0]")
        await page.wait_for_selector("[name=attached_title] >> nth=1", state="detached")
        assert await page.input_value("[name=attached_title]") == "weight"
    async with window(browser, url(served), certificate(served)) as visited:
        page = visited.page
        await page.goto(f"{url(served)}{FORM}")
        await attach(page, good[0])
        await page.evaluate("window.stayed = 1")
        await page.set_input_files("input[name=upload]", good[1])
        await fill(page)
        await page.wait_for_selector("#seen button[value=send]")
        assert "Attached files" in (await page.text_content("#seen") or "")
        assert await page.evaluate("window.stayed") == 1
        await page.click("#seen button[value=send]")
        await page.wait_for_selector("#seen [role=alert]")
        assert await page.locator("[name=attached_title]").count() == 2
        assert (visited.said, visited.asked) == ([], [])
