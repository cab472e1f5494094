"""Pages as people meet them: a real Chromium, and what can be checked of any page in it.

Take the fixture ``browser`` and open a page with :func:`visit`; it may fetch nothing but what it is told, and everything that it fetches,
says on the console or runs into is kept. :meth:`Visit.turn` gives it another sight: a window for each would cost more than all that is
looked at in it. :func:`look_over` gives what is wrong with a page for its readers on every screen and on paper, :func:`header_flaws` what
is wrong with the headers that a server sends along. What is wrong is told in sentences; an empty list is good.

The browser is Debian's (package ``chromium``), never one that playwright fetches. Where there is none the tests skip and say so.
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, Literal

import pytest
from playwright.async_api import Browser, CDPSession, ConsoleMessage, Dialog, Page, Route, async_playwright

CHROMIUM: Final = Path("/usr/bin/chromium")
CONTRAST: Final = 4.5
"""Least contrast of text and what is behind it, WCAG 2.2 1.4.3."""
A4_PX: Final = 657
"""Width of an A4 sheet between margins of 18 mm, in CSS pixels."""

AXE_COLOURS: Final = ["color-contrast", "link-in-text-block"]
"""The rules of axe-core that look at colours."""

_CHECKS: Final = (Path(__file__).parent / "page_checks.js").read_text(encoding="utf-8")
_FEATURES: Final = (
    "DestroyProfileOnBrowserClose", "HttpsUpgrades", "HttpsFirstBalancedModeAutoEnable", "LensOverlay", "MediaRouter", "PaintHolding",
    "OptimizationHints", "NetworkTimeServiceQuerying", "PreconnectToSearch", "SpareRendererForSitePerProcess",
)  # fmt: skip
"""What the browser does without: nothing is asked of anybody, and no process is started for a page that may come next."""
_FLAGS: Final = (
    "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    f"--disable-features={','.join(_FEATURES)}",
)  # fmt: skip
"""A browser that is started for a page asks nothing of anybody else."""


@dataclass(frozen=True, slots=True)
class Sight:
    """How a page is looked at: the width and height of the window in CSS pixels, the screen's colours, screen or paper, and the zoom."""

    name: str
    width: int = 1280
    height: int = 900
    scheme: Literal["light", "dark"] = "light"
    medium: Literal["screen", "print"] = "screen"
    zoom: float = 1.0


PAPER: Final = Sight("paper", A4_PX, 986, medium="print")
SIGHTS: Final = (
    Sight("desk"),
    Sight("desk-dark", scheme="dark"),
    Sight("zoomed", 640, 450, zoom=2.0),  # WCAG 2.2 1.4.4: 1280 px at 200 % are 640 CSS pixels
    Sight("phone", 320, 640),  # 1.4.10: 320 CSS pixels, 1280 px at 400 %
    Sight("phone-dark", 320, 640, scheme="dark"),
    PAPER,
)
"""Every way that a page has to be good for."""


@dataclass(slots=True)
class Visit:
    """One page in one window, and what happened there."""

    page: Page
    sight: Sight
    said: list[str] = field(default_factory=list[str])
    """Errors and warnings of the console, and errors that a script did not catch."""
    asked: list[str] = field(default_factory=list[str])
    """Addresses that it tried to fetch and was not allowed."""
    _glass: CDPSession | None = None

    async def go(self, url: str) -> None:
        """Another page, or the same anew; what was said and asked before is forgotten."""
        self.said.clear()
        self.asked.clear()
        await self.page.goto(url)

    async def turn(self, sight: Sight) -> None:
        """The same page in another sight. Colours, size, zoom and medium change as they do when a reader turns a telephone, zooms or
        prints: without a load of the page."""
        if self._glass is None:
            self._glass = await self.page.context.new_cdp_session(self.page)  # what it sets holds for as long as it is there
        await self.page.set_viewport_size({"width": sight.width, "height": sight.height})
        how = {"width": sight.width, "height": sight.height, "deviceScaleFactor": sight.zoom, "mobile": False}
        await self._glass.send("Emulation.setDeviceMetricsOverride", how)  # pyright: ignore[reportUnknownMemberType]
        await self.page.emulate_media(media=sight.medium, color_scheme=sight.scheme)
        shown = await self.page.evaluate(
            "() => [innerWidth, innerHeight, devicePixelRatio, "
            "matchMedia('(prefers-color-scheme: dark)').matches, matchMedia('print').matches]"
        )
        assert shown == [sight.width, sight.height, sight.zoom, sight.scheme == "dark", sight.medium == "print"], (sight, shown)
        self.sight = sight

    async def flaws(self) -> list[str]:
        """What is wrong with the page as it stands now."""
        scrollable = self.sight.medium == "screen"
        found: dict[str, list[str]] = await self.page.evaluate(
            f"([least, scrollable]) => {{ const checks = {_CHECKS}; return {{ contrast: checks.contrast(least), "
            "structure: checks.structure(), overflow: checks.overflow(scrollable) }; }",
            [CONTRAST, scrollable],
        )
        return [
            *found["structure"], *found["contrast"], *found["overflow"],
            *(f"the console says: {each}" for each in self.said), *(f"it fetches {each}" for each in self.asked),
        ]  # fmt: skip

    async def picture(self, folder: Path) -> Path:
        """The whole page as a PNG, for people to look at."""
        path = folder / f"{self.sight.name}.png"
        await self.page.screenshot(path=path, full_page=True)
        return path


@asynccontextmanager
async def open_browser() -> AsyncGenerator[Browser]:
    """Chromium for the length of a ``with`` block; skips the test where it is not installed."""
    if not CHROMIUM.exists():
        pytest.skip(f"{CHROMIUM} is not there: pages are tested in Debian's Chromium, `apt-get install chromium`")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=CHROMIUM, args=_FLAGS, chromium_sandbox=os.geteuid() != 0  # as root Chromium has no sandbox
        )  # fmt: skip
        try:
            yield browser
        finally:
            await browser.close()


@asynccontextmanager
async def visit(
    browser: Browser, url: str, sight: Sight = SIGHTS[0], *, allowed: Sequence[str] = (), how: Mapping[str, Any] | None = None
) -> AsyncGenerator[Visit]:
    """A page in a window of its own, without cookies of others. It may fetch itself and what begins with one of ``allowed``. ``how``: what
    else the window has, such as a client certificate."""
    context = await browser.new_context(
        viewport={"width": sight.width, "height": sight.height}, color_scheme=sight.scheme, device_scale_factor=sight.zoom,
        service_workers="block", locale="en-GB", timezone_id="UTC", **(how or {}),
    )  # fmt: skip
    try:
        page = await context.new_page()
        visited = Visit(page, sight)

        async def judge(route: Route) -> None:
            address = route.request.url
            if address == url or address.startswith(tuple(allowed)):
                await route.continue_()
            else:
                visited.asked.append(address)
                await route.abort()

        def hear(message: ConsoleMessage) -> None:
            if message.type in ("error", "warning"):
                visited.said.append(message.text)

        async def answer(dialog: Dialog) -> None:
            visited.said.append(f"a dialog: {dialog.message}")
            await dialog.dismiss()

        await context.route("**/*", judge)
        page.on("console", hear)
        page.on("pageerror", lambda error: visited.said.append(str(error)))
        page.on("dialog", answer)
        page.on("websocket", lambda socket: visited.asked.append(socket.url))
        await page.emulate_media(media=sight.medium, color_scheme=sight.scheme)
        await page.goto(url)
        yield visited
    finally:
        await context.close()


async def look_over(browser: Browser, url: str, pictures: Path | None = None, *, allowed: Sequence[str] = ()) -> list[str]:
    """What is wrong with a page, looked at in every way of :data:`SIGHTS`; pictures of it go to a folder, where one is given."""
    found: list[str] = []
    async with visit(browser, url, allowed=allowed) as visited:
        for sight in SIGHTS:
            await visited.turn(sight)
            found += [f"{sight.name}: {flaw}" for flaw in await visited.flaws()]
            visited.said.clear()
            visited.asked.clear()
            if pictures is not None:
                await visited.picture(pictures)
    return found


def axe_source() -> str:
    """The script of axe-core, as the package ``axe-playwright-python`` carries it; skips the test where it is not installed."""
    found = find_spec("axe_playwright_python")
    if found is None or found.origin is None:
        pytest.skip("axe-playwright-python is not installed: pages are checked by our own script alone")
    return (Path(found.origin).parent / "axe.min.js").read_text(encoding="utf-8")


async def axe_flaws(visited: Visit, source: str, *, colours_only: bool = False) -> list[str]:
    """What axe-core finds of WCAG 2.2 A and AA and of its best practices. ``colours_only``: the page was looked at in the same size before,
    and has other colours now."""
    if await visited.page.evaluate("() => typeof axe === 'undefined'"):
        await visited.page.evaluate(source)
    # Of what holds nothing is told: it is most of what axe would write.
    found: list[str] = await visited.page.evaluate(
        """async (rules) => {
          const found = await axe.run({ resultTypes: ["violations"], ...(rules ? { runOnly: { type: "rule", values: rules } } : {}) });
          return found.violations.flatMap((each) => each.nodes.map((node) => `${each.id}: ${each.help}: ${node.html.slice(0, 100)}`));
        }""",
        AXE_COLOURS if colours_only else None,
    )
    return found


def header_flaws(headers: Mapping[str, str]) -> list[str]:
    """What is wrong with the headers of an answer that holds a page of an agency (names in any case).

    Wanted is what OWASP's secure headers project has for pages that show what is not public: a content security policy that denies by
    default and runs no script of the page itself, no framing, no guessing of types, no referrer, and nothing kept in a cache.
    """
    sent = {name.lower(): value.lower() for name, value in headers.items()}
    policy = {words[0]: words[1:] for part in sent.get("content-security-policy", "").split(";") if (words := part.split())}
    scripts = policy.get("script-src", policy.get("default-src", []))
    wanted = {
        "content-security-policy does not deny by default": policy.get("default-src") in (["'none'"], ["'self'"]),
        "content-security-policy lets scripts of the page itself run": not {"'unsafe-inline'", "'unsafe-eval'", "*", "data:"}
        & set(scripts),
        "content-security-policy lets others frame the page": policy.get("frame-ancestors") == ["'none'"],
        "content-security-policy does not hold base-uri": policy.get("base-uri") in (["'none'"], ["'self'"]),
        "content-security-policy lets forms be sent elsewhere": policy.get("form-action") in (["'none'"], ["'self'"]),
        "x-content-type-options is not nosniff": sent.get("x-content-type-options") == "nosniff",
        "referrer-policy is not no-referrer or same-origin": sent.get("referrer-policy") in ("no-referrer", "same-origin"),
        "cache-control is not no-store": "no-store" in sent.get("cache-control", ""),
        "content-type does not name utf-8": "charset=utf-8" in sent.get("content-type", "").replace(" ", ""),
        "server tells what runs here": "server" not in sent,
    }
    return [told for told, holds in wanted.items() if not holds]
