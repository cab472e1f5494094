"""The golden story across the consoles of the one command that starts them, in a real Chromium."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.async_api import Browser

from tests.e2e.consoles import AUTHORITY, CUSTOMS, LICENCE, OPERATOR, OWNER, consoles, tell_story
from tests.e2e.program import Program
from tests.support.console_windows import operator_window

pytestmark = pytest.mark.kafka


async def test_the_golden_story(browser: Browser, tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    """`broker demo --consoles` opens three consoles; a licence revoked in one flags the alert that cites it in another, whose feedback
    comes back to the owner's; the operator's pages have seen that all was delivered, and nothing of it; nothing is complained of in any
    window, and Ctrl-C ends all of it. How long each took is recorded."""
    with consoles(Program(tmp_path)) as running:
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
