"""Three consoles as people see them, as a report: ``python -m tests.e2e.consoles_show [--pictures DIR]``.

The one command is started, the golden story is told across the consoles in a real Chromium, then pages are looked at on a desk and on a
telephone, in light and dark: structure, contrast, what is cut off, what the browser complains of, what is fetched from elsewhere, and axe.
The pictures go to the folder. The exit code is 0 only if everything held.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from playwright.async_api import Browser

from tests.e2e.consoles import ALERT, AUTHORITY, CONTAINER, CUSTOMS, LICENCE, OPERATOR, OWNER, Console, consoles, tell_story
from tests.e2e.program import Program
from tests.e2e.report import Report
from tests.support.browser import SIGHTS, open_browser
from tests.support.console_windows import look_at, operator_window, window
from tests.support.records import data_folder

MOST_S: Final = 2.0
"""Longest time from a click to what it causes at another agency."""
PAGES: Final = {
    CUSTOMS: (
        "/console/feed", ALERT, f"/console/licences?number={LICENCE}", "/console/compose/alert", f"/console/search?container={CONTAINER}",
        "/console/handover", "/console/screenings", "/console/requests",
    ),
    OWNER: (ALERT, "/console/outbox", "/console/figures"),
    AUTHORITY: ("/console/recalls", "/console/exchange"),
}  # fmt: skip
"""What is looked at, and where."""
OPERATORS: Final = ("/console/status", "/console/agencies", "/console/quarantine", "/console/rules")
"""The operator's pages."""
SEEN: Final = tuple(sight for sight in SIGHTS if sight.name in ("desk", "desk-dark", "phone", "phone-dark"))


async def show_story(report: Report, running: dict[str, Console], browser: Browser) -> None:
    """A revocation here, a flagged alert there, feedback back."""
    report.title("1. The golden story across the consoles")
    told = await tell_story(running, browser)
    report.check(
        f"revoked at {AUTHORITY}, flagged in the open feed of {CUSTOMS} after {told.flagged_s:.2f} s", holds=told.flagged_s < MOST_S
    )
    report.check(f"feedback given at {CUSTOMS}, read at {OWNER} after {told.feedback_s:.2f} s", holds=told.feedback_s < MOST_S)
    report.check("the browsers complained of nothing and fetched nothing from elsewhere", holds=not told.complaints)
    report.say(*told.complaints)


async def show_pages(report: Report, running: dict[str, Console], browser: Browser, pictures: Path) -> None:
    """Each page in each sight."""
    report.title("2. Pages on a desk and on a telephone, in light and dark")
    for agency, paths in PAGES.items():
        console, folder = running[agency], pictures / agency
        folder.mkdir(parents=True, exist_ok=True)
        purpose = "LICENSING" if agency == AUTHORITY else "STC_ENFORCEMENT"
        found: list[str] = []
        async with window(browser, console.url, console.users["supervisor"], purpose=purpose) as visited:
            found += await look_at(visited, paths, console.url, folder, sights=SEEN)
        report.check(f"{agency}: {len(paths)} pages in {len(SEEN)} sights, {len(found)} flaws (axe included)", holds=not found)
        report.say(*(f"      {flaw}" for flaw in found))


async def show_operators(report: Report, pages: Console, browser: Browser, pictures: Path) -> None:
    """The operator's pages in the same sights."""
    folder, found = pictures / "operator", list[str]()
    folder.mkdir(parents=True, exist_ok=True)
    for sight in SEEN:
        async with operator_window(browser, pages.url, pages.users["operator"], sight=sight) as visited:
            found += await look_at(visited, OPERATORS, pages.url, folder)
    report.check(f"{OPERATOR}: {len(OPERATORS)} pages in {len(SEEN)} sights, {len(found)} flaws (axe included)", holds=not found)
    report.say(*(f"      {flaw}" for flaw in found))


async def show(pictures: Path) -> int:
    """All of it."""
    report, begun, data = Report(), time.monotonic(), data_folder()
    lists = None if data is None else data / "codelists"
    with tempfile.TemporaryDirectory(prefix="broker-consoles-") as folder, consoles(Program(Path(folder)), lists) as running:
        nodes, took = len(running) - 1, time.monotonic() - begun
        report.say(f"`broker demo --consoles`: exchange, {nodes} nodes and consoles, the operator's pages after {took:.1f} s")
        async with open_browser() as browser:
            await show_story(report, running, browser)
            await show_pages(report, running, browser, pictures)
            await show_operators(report, running[OPERATOR], browser, pictures)
    report.say(f"pictures: {len(list(pictures.rglob('*.png')))} in {pictures}")  # noqa: ASYNC240 - nothing else runs any more
    return report.end(time.monotonic() - begun)


def main() -> int:
    """The report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=Path, default=None, help="folder for the pictures; made where it is missing")
    given: Path | None = parser.parse_args().pictures
    return asyncio.run(show(given.resolve() if given else Path(tempfile.mkdtemp(prefix="broker-pictures-"))))


if __name__ == "__main__":
    sys.exit(main())
