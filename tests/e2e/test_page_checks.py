"""The checks of pages find what they are for: each fault, put into a page without faults, is told, and nothing else."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Final

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from tests.support.browser import PAPER, SIGHTS, Visit, header_flaws, look_over, visit

PAGE: Final = """<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>A page</title><style>body { color: #222; background: #fff; }</style></head>
<body><main><h1>A page</h1><h2>Its part</h2><p>Words.</p>
<table><caption>Names</caption><thead><tr><th scope="col">Name</th><th scope="col">Kind</th></tr></thead>
<tbody><tr><th scope="row">One</th><td>first</td></tr></tbody></table>
<form><label for="a">Query</label> <input id="a"> <button>Ask</button></form></main></body></html>"""
FAULTS: Final = {
    "no-language": (' lang="en"', "", "says no language"),
    "no-title": ("<title>A page</title>", "", "the page has no title"),
    "no-main": ("main>", "div>", "not exactly one <main>"),
    "two-h1": ("<h2>Its part</h2>", "<h1>Its part</h1>", "there are 2 <h1>"),
    "level-left-out": ("<h2>Its part</h2>", "<h3>Its part</h3>", "leaves out a level"),
    "no-caption": ("<caption>Names</caption>", "", "has no caption"),
    "no-heads": ("<thead><tr>", "<tbody><tr>", "has no heads of columns"),
    "no-scope": (' scope="row"', "", "has no scope"),
    "ragged-row": ("<td>first</td>", "", "1 cells under 2 heads"),
    "no-label": ('<label for="a">', '<label for="b">', "has no label"),
    "no-name": ("<button>Ask", "<button>", "has no name"),
    "no-alt": ("<p>Words.", '<p><img src="data:image/gif;base64,R0lGODlhAQABAAAAACw=">Words.', "has no alt"),
    "order-of-focus": ("<button>", '<button tabindex="3">', "changes the order of focus"),
    "id-twice": ("<p>Words", '<p id="a">Words', 'the id "a" is there twice'),
    "pale": ("<p>", '<p style="color: #888">', "has the contrast 3.54"),
    "see-through": ("<p>", '<p style="opacity: .5">', "has the contrast"),
    "pale-mark": ("<p>", "<style>p::before { content: '>'; color: #ccc }</style><p>", "has the contrast"),
    "on-a-picture": ("<p>", '<p style="background-image: linear-gradient(#fff, #fff)">', "a picture behind its text"),
    "too-wide": ("<p>", '<p style="width: 2000px">', "reaches to"),
    "cut": ("<p>", '<p style="width: 3rem; overflow: hidden; white-space: nowrap">Long', "is cut at its side"),
    "scrolls-unseen": ("<p>", '<p style="width: 3rem; overflow: auto; white-space: nowrap">Long', "scrolls, and has no name"),
    "fetches": ("<p>", '<p><img alt="" src="http://127.0.0.1:9/x.png">', "it fetches http://127.0.0.1:9/x.png"),
    "speaks": ("<p>", "<script>console.error('oh')</script><p>", "the console says: oh"),
    "throws": ("<p>", "<script>throw new Error('ah')</script><p>", "the console says: ah"),
    "asks-back": ("<p>", "<script>alert('eh')</script><p>", "a dialog: eh"),
}
HEADERS: Final = {
    "Content-Type": "text/html; charset=utf-8", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store", "Content-Security-Policy":
        "default-src 'none'; script-src 'self'; style-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'",
}  # fmt: skip


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def desk(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[tuple[Visit, Path]]:
    """A window at a desk, and the file that it shows."""
    page = tmp_path_factory.mktemp("desk") / "page.html"
    page.write_text(PAGE, encoding="utf-8")
    async with visit(browser, page.as_uri()) as visited:
        yield visited, page


async def flaws(desk: tuple[Visit, Path], text: str) -> list[str]:
    """What the checks say of this page at a desk."""
    visited, page = desk
    page.write_text(text, encoding="utf-8")
    await visited.go(page.as_uri())
    return await visited.flaws()


async def test_a_page_without_faults(browser: Browser, tmp_path: Path) -> None:
    """Nothing is said of it in any sight, and each sight leaves a picture."""
    page = tmp_path / "page.html"
    page.write_text(PAGE, encoding="utf-8")
    assert await look_over(browser, page.as_uri(), tmp_path) == []
    assert all((tmp_path / f"{sight.name}.png").read_bytes().startswith(b"\x89PNG") for sight in SIGHTS)


@pytest.mark.parametrize("fault", FAULTS)
async def test_each_fault_is_told(fault: str, desk: tuple[Visit, Path]) -> None:
    """One fault in a good page gives at least one sentence, and all that are given are of it."""
    old, new, told = FAULTS[fault]
    assert old in PAGE
    found = await flaws(desk, PAGE.replace(old, new))
    assert found
    assert any(told in each for each in found), found


async def test_a_dark_screen_has_a_dark_floor(browser: Browser, tmp_path: Path) -> None:
    """A page that leaves its background to the browser is judged against what the browser paints: the same ink fails only in the dark."""
    page = tmp_path / "page.html"
    page.write_text(
        PAGE.replace("body { color: #222; background: #fff; }", ":root { color-scheme: light dark; color: #222; }"), encoding="utf-8"
    )
    seen = {flaw.partition(":")[0] for flaw in await look_over(browser, page.as_uri())}
    assert seen == {"desk-dark", "phone-dark"}


async def test_what_scrolls_on_a_screen_is_cut_on_paper(browser: Browser, tmp_path: Path) -> None:
    """A region that scrolls, with a name and a place in the order of focus, is good on a screen; paper does not scroll."""
    region = '<div tabindex="0" role="region" aria-label="Long" style="overflow: auto"><pre>' + "long " * 400 + "</pre></div>"
    page = tmp_path / "page.html"
    page.write_text(PAGE.replace("<p>Words.</p>", region), encoding="utf-8")
    async with visit(browser, page.as_uri()) as visited:
        assert await visited.flaws() == []
    async with visit(browser, page.as_uri(), PAPER) as visited:
        (flaw,) = await visited.flaws()
        assert "is cut at its side" in flaw


@pytest.mark.parametrize("name", HEADERS)
def test_headers(name: str) -> None:
    """Good headers give nothing; without one of them it is told."""
    assert header_flaws(HEADERS) == []
    assert header_flaws({each: value for each, value in HEADERS.items() if each != name})


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("script-src 'self'", "script-src 'self' 'unsafe-inline'"),
        ("script-src 'self'", "script-src *"),
        ("default-src 'none'; script-src 'self'", "default-src 'self' 'unsafe-eval'"),
        ("frame-ancestors 'none'", "frame-ancestors *"),
        ("base-uri 'none'; ", ""),
        ("form-action 'self'", "form-action *"),
    ],
)
def test_a_policy_with_a_hole(old: str, new: str) -> None:
    """A content security policy that lets something through is told."""
    policy = HEADERS["Content-Security-Policy"].replace(old, new)
    assert policy != HEADERS["Content-Security-Policy"]
    assert header_flaws(HEADERS | {"Content-Security-Policy": policy})


def test_a_server_that_names_itself() -> None:
    """What runs here is nobody's business."""
    assert header_flaws(HEADERS | {"server": "uvicorn"}) == ["server tells what runs here"]
