"""Stories across the consoles that ``broker demo --consoles`` opens. The golden one: a revocation here, a flagged alert there, feedback
back. Another: an alert with a picture is written here, and the picture seen there."""

from __future__ import annotations

import signal
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from playwright.async_api import Browser, Page

from tests.e2e.program import START_S, Json, Program
from tests.support.browser import Visit
from tests.support.console_windows import window

AUTHORITY, OWNER, CUSTOMS = "DE-BAFA", "DE-CUSTOMS", "SG-CUSTOMS"
OPERATOR: Final = "the operator"
LICENCE: Final = "AG-2026-0004711"
ALERT: Final = "/console/subjects/DE-CUSTOMS%2F2026%2F000815"
CONTAINER: Final = "CSQU3054383"
FLAG: Final = "Cites a revoked licence"
LATE_S: Final = 30.0
"""After this it is a failure, not a slow machine."""


@dataclass(frozen=True)
class Console:
    """One of them: where it is, and the file of certificate and key of each user."""

    agency: str
    url: str
    users: dict[str, Path]

    @classmethod
    def of(cls, told: Json) -> Self:
        """As the ready line tells it."""
        return cls(told["agency"], told["api"], {user["name"]: Path(user["file"]) for user in told["users"]})


@contextmanager
def consoles(program: Program, codelists: Path | None = None) -> Generator[dict[str, Console]]:
    """The one command, until the block ends: its consoles by agency, and the operator's pages under :data:`OPERATOR`; then Ctrl-C, and
    it has to end well and leave nothing. ``codelists``: the operator's folder, which says where places are."""
    known = {} if codelists is None else {"BROKER_CODELISTS": str(codelists)}
    with program.started("demo", "--consoles", "--json", environment=known) as running:
        ready = running.line_with("ready", START_S)
        yield {told["agency"]: Console.of(told) for told in ready["consoles"]} | {OPERATOR: Console.of(ready["operator"])}
        running.process.send_signal(signal.SIGINT)
        running.wait(60).must()
        assert not Path(ready["home"]).exists()


@dataclass(frozen=True)
class Told:
    """How the story went: seconds from a click to what it causes in the other agency's window, and what the windows complained of."""

    flagged_s: float
    feedback_s: float
    complaints: list[str]


async def tell_story(running: dict[str, Console], browser: Browser) -> Told:
    """The authority's supervisor revokes a licence; the alert that cites it is flagged in the open feed at customs, whose officer examines
    and says so; the owner of the alert reads it on the alert's page."""
    bafa, sg, de = running[AUTHORITY], running[CUSTOMS], running[OWNER]
    async with (
        window(browser, bafa.url, bafa.users["supervisor"], purpose="LICENSING") as authority,
        window(browser, sg.url, sg.users["officer"]) as customs,
        window(browser, de.url, de.users["officer"]) as owner,
    ):
        await customs.page.wait_for_selector(f"text={CONTAINER}")
        assert await customs.page.locator(f"text={FLAG}").count() == 0
        revoked = await revoke(authority.page, bafa.url)
        await customs.page.wait_for_selector(f"text={FLAG}")
        flagged_s = time.monotonic() - revoked
        await authority.page.wait_for_selector("text=Accepted")
        answered = await give_feedback(customs)
        await owner.page.goto(f"{de.url}{ALERT}")
        while await owner.page.locator("text=Examined: confirmed").count() == 0:
            assert time.monotonic() - answered < LATE_S
            await owner.page.reload()
        feedback_s = time.monotonic() - answered
        complaints = [text for each in (authority, customs, owner) for text in (*each.said, *each.asked)]
    return Told(flagged_s, feedback_s, complaints)


async def revoke(page: Page, url: str) -> float:
    """Write the revocation, look at who will see it, send it; when it was sent (seconds of the monotonic clock)."""
    await page.goto(f"{url}/console/compose/licence")
    await page.fill("input[name=licence_no]", LICENCE)
    await page.select_option("select[name=decision_type]", "REVOKE")
    await page.select_option("select[name=instruction]", "RETURN")
    await page.select_option("select[name=reason_code]", "DIVERSION_RISK")
    await page.fill("input[name=agencies]", f"{OWNER}, {CUSTOMS}")
    await page.click("text=Show who will see this")
    seen = page.locator("section#seen")
    for agency in (OWNER, CUSTOMS):
        await seen.locator(f"th:has-text('{agency}')").wait_for()
    sent = time.monotonic()
    await page.click("button[value=send]")
    await page.wait_for_url("**/console/outbox/*")
    return sent


async def give_feedback(visited: Visit) -> float:
    """Open the flagged alert and say what came of it; when that was sent."""
    page = visited.page
    await page.click(f"tr:has-text('{FLAG}') a[data-row]")
    await page.wait_for_selector("text=Return")
    await page.select_option("select[name=result]", "EXAMINED_POSITIVE")
    await page.select_option("select[name=exam_type]", "PHYSICAL")
    await page.fill("input[name=examined_at]", "2026-11-01T09:30")
    sent = time.monotonic()
    await page.click("text=Send feedback")
    await page.wait_for_url("**/console/outbox/*")
    return sent


@dataclass(frozen=True)
class PictureTold:
    """Seconds from the click that sends to the picture at the other agency, how wide it is there, the file that was saved, and what the
    windows complained of."""

    seen_s: float
    width: int
    saved: Path
    complaints: list[str]


async def tell_of_a_picture(running: dict[str, Console], browser: Browser, picture: Path) -> PictureTold:
    """A supervisor of the owner writes an alert with a picture; an officer at customs opens it, sees the picture and saves the file."""
    de, sg = running[OWNER], running[CUSTOMS]
    async with (
        window(browser, de.url, de.users["supervisor"]) as owner,
        window(browser, sg.url, sg.users["officer"]) as customs,
    ):
        subject, sent = await write_with(owner.page, de.url, picture)
        page = customs.page
        await page.wait_for_selector(f"a[data-row][href$='{subject}']")
        await page.goto(f"{sg.url}/console/subjects/{subject}")
        while await page.locator("ul.files img").count() == 0:  # its chunks come after the alert
            assert time.monotonic() - sent < LATE_S
            await page.reload()
        image = page.locator("ul.files img")
        await image.scroll_into_view_if_needed()
        width = await image.evaluate("(each) => each.decode().then(() => each.naturalWidth)")
        seen_s = time.monotonic() - sent
        async with page.expect_download() as coming:
            await page.click("ul.files a[download]")
        saved = picture.with_name("saved")
        await (await coming.value).save_as(saved)
        complaints = [text for each in (owner, customs) for text in (*each.said, *each.asked)]
    return PictureTold(seen_s, width, saved, complaints)


async def write_with(page: Page, url: str, picture: Path) -> tuple[str, float]:
    """Write an alert to customs with a picture, look at who will see it, send it: its subject as a page's address has it, and when it was
    sent."""
    await page.goto(f"{url}/console/compose/alert")
    for name, value in (
        ("indicator", "END_USE_UNCLEAR"),
        ("containers", CONTAINER),
        ("agencies", CUSTOMS),
        ("valid_until", "2099-01-01T00:00"),
    ):
        await page.fill(f"input[name={name}]", value)
    await page.uncheck("input[value=HOLD]")
    await page.check("input[value=ASSESS_ONLY]")
    await page.set_input_files("input[name=upload]", picture)
    await page.click("button[value=attach]")
    await page.wait_for_selector("#files img")
    await page.fill("input[name=attached_title]", "left side")
    await page.click("button[value=preview]")
    await page.locator(f"section#seen th:has-text('{CUSTOMS}')").wait_for()
    subject = (await page.input_value("input[name=subject]")).replace("/", "%2F")
    sent = time.monotonic()
    await page.click("button[value=send]")
    await page.wait_for_url("**/console/outbox/*")
    return subject, sent
