"""The console's further pages in a real Chromium: requests, the map, licences, drafts, recalls that came; on every screen and on paper."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from playwright.async_api import Browser

from tests.support.browser import SIGHTS
from tests.support.console_windows import look_at, window
from tests.support.node_clients import InProcess, Served
from tests.unit.node.console.conftest import held, officer
from tests.unit.node.console.test_browser import certificate, publish, url
from tests.unit.node.console.test_browser import served as served
from tests.unit.node.console.test_requests import asked
from tests.unit.service.world import World

FEW: Final = (SIGHTS[0], SIGHTS[1], SIGHTS[3], SIGHTS[5])
"""Desk, desk in the dark, phone, paper."""


async def looked(browser: Browser, served: Served, paths: tuple[str, ...], pictures: Path, language: str = "en") -> list[str]:
    """What is wrong with pages on each of :data:`FEW`; nothing may be fetched from elsewhere."""
    found: list[str] = []
    for sight in FEW:
        async with window(browser, url(served), certificate(served, "supervisor"), sight=sight, language=language) as visited:
            found += await look_at(visited, paths, url(served), pictures)
            assert visited.asked == []
    return found


async def test_requests_and_the_map(sg: InProcess, my: InProcess, served: Served, world: World, browser: Browser, tmp_path: Path) -> None:
    """The board of requests with one of each kind, one request with its form, the form to ask, and an alert with its map."""
    path = await publish(sg, my, world)
    subject = path.rpartition("/")[2].replace("%2F", "/")
    my.add("alice", "officer")  # the users of the exchange's own clock are gone
    alice = officer(my, "alice")
    await alice.choose()
    await asked(alice, subject)
    question = {"question_codes": ["END_USE", "OWNERSHIP"], "third_party_consent": False, "due": "2099-01-01T00:00:00Z"}
    words = {"questions": [{"question_code": "END_USE", "text": "<script>1</script> " + "long" * 60}]}
    async with sg.client() as client:
        header = {"audience": {"agencies": ["MY-CUSTOMS"]}}
        sent = await client.post("/rfis", json={"target": subject, "core": question, "questions": words, "header": header})
        assert sent.status_code == 202, sent.text
    request = sent.json()["subject"]
    await held(my, request)
    one = f"/console/requests/{request.replace('/', '%2F')}"
    paths = ("/console/requests", one, f"{path}/ask", path)
    assert await looked(browser, served, paths, tmp_path) == []
