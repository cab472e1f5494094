"""``broker status --html``: lag, shards and quarantine of an exchange on a page, without anything of the messages."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from playwright.async_api import Browser

from broker.app.watch import read_status
from broker.cli.status_page import status_page
from tests.support.browser import SIGHTS, visit
from tests.support.eventually import eventually
from tests.unit.service.conftest import _no_pauses as _no_pauses  # pyright: ignore[reportPrivateUsage]
from tests.unit.service.conftest import world as world
from tests.unit.service.world import World

SECRET: Final = b"<script>a secret of somebody</script>"


async def test_the_page(world: World, browser: Browser, tmp_path: Path) -> None:
    """Two refusals of one kind are one line with their count, outbox and advice; every member has its shard and lag; nothing of the refused
    bytes is there; and the page is good on screens, phone and paper."""
    await world.put(SECRET, SECRET)
    await eventually(lambda: len(world.quarantine()) == 2, what="two refusals")
    operator = world.exchange.operator
    transport = operator.transport("registrar")
    knowledge = operator.knowledge(transport)
    await knowledge.load()
    record = await read_status(transport, knowledge, operator.admin(), operator.clock.now_ms())
    await knowledge.close()
    await transport.close()
    html = status_page(record, world.quarantine(), world.now)
    code = world.quarantine()[0].code
    assert html.count(code) == 1
    assert "out.SG-CUSTOMS" in html
    assert "Refused in the last 90 days: 2." in html
    for agency in world.exchange.agencies:
        assert agency in html
    assert "secret" not in html
    file = tmp_path / "exchange.html"
    file.write_text(html, encoding="utf-8")
    async with visit(browser, file.as_uri()) as visited:
        for sight in (SIGHTS[0], SIGHTS[3], SIGHTS[5]):
            await visited.turn(sight)
            assert await visited.flaws() == []
