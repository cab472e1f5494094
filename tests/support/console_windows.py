"""Consoles in a real Chromium: windows with an officer's client certificate, and what is wrong with a page on every screen."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from playwright.async_api import Browser

from tests.support.browser import SIGHTS, Sight, Visit, axe_flaws, axe_source, visit


@asynccontextmanager
async def window(
    browser: Browser,
    url: str,
    certificate: Path,
    *,
    sight: Sight = SIGHTS[0],
    purpose: str = "STC_ENFORCEMENT",
    language: str = "en",
    scripts: bool = True,
) -> AsyncGenerator[Visit]:
    """The feed of a console in a window of its own, after purpose and language were chosen. ``certificate``: certificate and key (PEM)."""
    screen = replace(sight, medium="screen")  # paper has no forms; what is chosen is chosen on the screen
    shown = [{"origin": url, "certPath": certificate, "keyPath": certificate}]
    how = {"client_certificates": shown, "ignore_https_errors": True, "java_script_enabled": scripts}
    async with visit(browser, f"{url}/console/session", screen, allowed=[f"{url}/console/"], how=how) as visited:
        await visited.page.select_option("select[name=language]", language)
        await visited.page.select_option("select[name=purpose]", purpose)
        await visited.page.click("main button")
        await visited.page.wait_for_url(f"{url}/console/feed")
        visited.sight = sight
        await visited.page.emulate_media(media=sight.medium, color_scheme=sight.scheme)
        yield visited


@asynccontextmanager
async def operator_window(browser: Browser, url: str, certificate: Path, *, sight: Sight = SIGHTS[0]) -> AsyncGenerator[Visit]:
    """The first of the operator's pages in a window of its own."""
    shown = [{"origin": url, "certPath": certificate, "keyPath": certificate}]
    how = {"client_certificates": shown, "ignore_https_errors": True}
    async with visit(browser, f"{url}/console/status", sight, allowed=[f"{url}/console/"], how=how) as visited:
        yield visited


async def look_at(
    visited: Visit, paths: Sequence[str], base: str, pictures: Path | None = None, *, sights: Sequence[Sight] = ()
) -> list[str]:
    """What is wrong with pages in each of these sights, by default the one that the window has; pictures go to a folder, where one is
    given."""
    found: list[str] = []
    for path in paths:
        if not visited.page.url.endswith(path):
            await visited.page.goto(f"{base}{path}")
        await visited.page.wait_for_load_state()  # a page that a click brought may be there before its styles are
        shown = path.partition("?")[0].partition("#")[0].removeprefix("/console/").replace("/", "-").replace("%2F", "-")
        seen = set[tuple[int, int, str]]()
        for sight in sights or (visited.sight,):
            if sights:
                await visited.turn(sight)
            size = (sight.width, sight.height, sight.medium)
            flaws = [*await visited.flaws(), *await axe_flaws(visited, axe_source(), colours_only=size in seen)]
            seen.add(size)
            found += [f"{shown}-{sight.name}: {flaw}" for flaw in flaws]
            visited.said.clear()
            if pictures is not None:
                await visited.page.screenshot(path=pictures / f"{shown}-{sight.name}.png", full_page=True)
    return found
