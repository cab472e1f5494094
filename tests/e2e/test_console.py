"""Stories across the consoles of the one command that starts them, in a real Chromium, over a real Kafka."""

from __future__ import annotations

from collections.abc import Callable, Generator
from pathlib import Path

import pytest
from playwright.async_api import Browser

from tests.e2e.consoles import AUTHORITY, CUSTOMS, LICENCE, OPERATOR, OWNER, Console, consoles, tell_of_a_picture, tell_story
from tests.e2e.program import Program
from tests.support.console_windows import operator_window
from tests.unit.node.test_attachments import picture

pytestmark = pytest.mark.kafka


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Generator[dict[str, Console]]:
    """`broker demo --consoles`: three consoles and the operator's pages; Ctrl-C ends all of it."""
    with consoles(Program(tmp_path_factory.mktemp("consoles"))) as started:
        yield started


async def test_the_golden_story(running: dict[str, Console], browser: Browser, record_property: Callable[[str, object], None]) -> None:
    """A licence revoked in one console flags the alert that cites it in another, whose feedback comes back to the owner's; the operator's
    pages have seen that all was delivered, and nothing of it; nothing is complained of in any window. How long each took is recorded."""
    told = await tell_story(running, browser)
    pages = running[OPERATOR]
    async with operator_window(browser, pages.url, pages.users["operator"]) as visited:
        await visited.page.wait_for_selector("tr:has-text('SG-CUSTOMS') td:has-text('relay-1'), td:text-is('relay-1')")
        await visited.page.wait_for_selector("tr:has-text('SG-CUSTOMS') td[data-label='Not yet read']:text-is('0')")
        text = await visited.page.inner_text("main")
        assert (visited.said, visited.asked) == ([], [])
    record_property("flagged_s", round(told.flagged_s, 2))
    record_property("feedback_s", round(told.feedback_s, 2))
    assert told.complaints == []
    assert all(agency in text for agency in (AUTHORITY, CUSTOMS, OWNER))
    assert LICENCE not in text


async def test_a_picture(
    running: dict[str, Console], browser: Browser, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """A supervisor attaches a picture of two chunks to an alert in one console; an officer sees a small picture of it in another, and saves
    the very same bytes."""
    scan, data = tmp_path / "scan.png", picture(700_000, side=400)
    scan.write_bytes(data)
    told = await tell_of_a_picture(running, browser, scan)
    record_property("picture_s", round(told.seen_s, 2))
    assert (told.width, told.saved.read_bytes() == data, told.complaints) == (256, True, [])
