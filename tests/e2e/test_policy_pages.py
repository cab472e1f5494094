"""The pages that ``broker policy explain`` and ``diff`` write with ``--html``, in a real browser: on every screen and on paper."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path
from typing import Final

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from broker.cli.main import run
from tests.support.browser import PAPER, Visit, axe_flaws, axe_source, look_over, visit
from tests.support.example_policies import write_folder
from tests.unit.cli.test_policy_explain import MESSAGE

HOSTILE: Final = "<script>window.ran = 1</script><img src=x onerror='window.ran = 1'>\u202egnp.exe<style>body{display:none}</style>"
"""A rule's title that would run, fetch, hide the page, and be read backwards. Cedar takes it: it is a text."""
STOP: Final = f"""@id("stop-parties")
@title("{HOSTILE}")
@basis("{HOSTILE}")
forbid (principal, action == Action::"read:parties", resource);
"""
PAGES: Final = ("agency", "members", "message", "members-shipped", "change", "no-change")


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """Pages by name, written by the commands; rules and the name of their folder are hostile."""
    folder = tmp_path_factory.mktemp("pages")
    before = write_folder(folder / "rules-before")
    after = write_folder(folder / "rules <img src=x onerror='window.ran = 1'>", "Every recipient reads the core", HOSTILE, stop=STOP)
    message = folder / "alert.json"
    message.write_text(json.dumps(MESSAGE))
    explain = ["policy", "explain", "--scenario", "a-director-is-named", "--policies", str(after)]
    calls = {
        "agency": [*explain, "--agency", "AE-CUSTOMS"],
        "members": explain,
        "message": ["policy", "explain", str(message), "--policies", str(after), "--agency", "DE-CUSTOMS"],
        "members-shipped": ["policy", "explain", "--scenario", "p12-opened-by-two-officers"],
        "change": ["policy", "diff", str(before), str(after)],
        "no-change": ["policy", "diff", str(before), str(before)],
    }
    made = {name: folder / f"{name}.html" for name in PAGES}
    for name, call in calls.items():
        assert run([*call, "--html", str(made[name])]) == 0
    return made


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def desk(pages: Mapping[str, Path], browser: Browser) -> AsyncGenerator[Visit]:
    """A window at a desk that may show each of the pages."""
    urls = [page.as_uri() for page in pages.values()]
    async with visit(browser, urls[0], allowed=urls) as visited:
        yield visited


@pytest.mark.parametrize("name", PAGES)
async def test_everybody_can_read_it(name: str, pages: Mapping[str, Path], browser: Browser) -> None:
    """Headings in order, heads of tables, contrast, nothing cut on a phone, at 200 %, on a dark screen or on paper; nothing is fetched,
    and nothing is said on the console."""
    assert await look_over(browser, pages[name].as_uri()) == []


@pytest.mark.parametrize("name", PAGES)
async def test_axe_finds_nothing(name: str, pages: Mapping[str, Path], desk: Visit) -> None:
    """What axe-core knows of WCAG 2.2 and of good practice holds, where axe-core is installed."""
    source = axe_source()
    await desk.go(pages[name].as_uri())
    assert await axe_flaws(desk, source) == []


@pytest.mark.parametrize("name", ["agency", "members", "change"])
async def test_rules_are_text(name: str, pages: Mapping[str, Path], desk: Visit) -> None:
    """What a rule says is read letter by letter: no element comes of it, nothing runs, and an override of direction is shown as such."""
    await desk.go(pages[name].as_uri())
    seen = await desk.page.inner_text("main")
    assert HOSTILE.replace("\u202e", "\\u202e") in seen
    assert "\u202e" not in seen
    assert await desk.page.evaluate("window.ran") is None
    assert await desk.page.locator("script, img, main style").count() == 0
    assert not desk.said
    assert not desk.asked


async def test_a_page_that_holds_a_script_all_the_same_does_not_run_it(pages: Mapping[str, Path], browser: Browser, tmp_path: Path) -> None:
    """The page's own policy is the second wall: with a script, a picture and a form put into it, nothing runs and nothing is fetched."""
    page = tmp_path / "altered.html"
    more = "<main><script>window.ran = 1</script><img src='https://example.invalid/x.png' onerror='window.ran = 1'>"
    page.write_text(pages["agency"].read_text(encoding="utf-8").replace("<main>", more), encoding="utf-8")
    async with visit(browser, page.as_uri()) as visited:
        assert await visited.page.locator("main script").count() == 1
        assert await visited.page.evaluate("window.ran") is None
        assert any("Content Security Policy" in each for each in visited.said)
        assert not visited.asked


@pytest.mark.parametrize("name", ["members", "change"])
async def test_a_page_on_paper(name: str, pages: Mapping[str, Path], browser: Browser, tmp_path: Path) -> None:
    """It becomes a PDF of a few sheets, and heads of tables stand again on each."""
    async with visit(browser, pages[name].as_uri(), PAPER) as visited:
        sheets = await visited.page.pdf(path=tmp_path / "sheets.pdf", format="A4", prefer_css_page_size=True)
        assert 1 <= sheets.count(b"/Type /Page\n") <= 3
        assert await visited.page.evaluate("getComputedStyle(document.querySelector('thead')).display") == "table-header-group"
