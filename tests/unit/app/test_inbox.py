"""The inbox on the agency's premises: in order, by cursor, erased at once where the owner says so, shown for a purpose."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from broker.app import begun_anew
from broker.app.inbox import CursorLost, Inbox, row_of
from broker.app.rules_in_force import RulesInForce
from broker.errors import StoreInUse, UsageError
from broker.storage.arrivals import KEPT_MS
from broker.testing.sample_answers import sample_recall
from tests.support.deliveries import bytes_of
from tests.support.eventually import eventually
from tests.unit.register.scene import changed
from tests.unit.service.world import World

PURPOSE = "STC_ENFORCEMENT"


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing waits long before it is tried again."""
    monkeypatch.setattr(begun_anew, "AGAIN_S", (0.01, 0.02))


@asynccontextmanager
async def running(world: World, agency: str = "MY-CUSTOMS") -> AsyncGenerator[Inbox]:
    """An inbox at work."""
    member = world.agency(agency).member
    rules = RulesInForce(member)
    made = Inbox(member, member.transport, rules)
    task = asyncio.create_task(made.run())
    try:
        await eventually(lambda: made.decider, what="the rules")
        yield made
    finally:
        made.stop()
        await task
        made.close()
        rules.close()


async def arrived(inbox: Inbox, count: int) -> None:
    """Wait for so many rows."""
    await eventually(lambda: len(inbox.after(0, 1000)) >= count, what=f"{count} arrivals")


async def test_in_order_and_once(world: World) -> None:
    """Rows come in the order of the inbox, and a process that begins anew goes on where the last one ended, under the same numbers."""
    async with running(world) as inbox:
        for number in (1, 2, 3):
            await world.agency().publish(world.alert(number))
        await arrived(inbox, 3)
        epoch = inbox.cursor(0)
        waiting = asyncio.create_task(inbox.wait(3, 10))
        await world.agency().publish(world.alert(4))
        assert await waiting
        assert not await inbox.wait(4, 0.01)
        with pytest.raises(StoreInUse):
            Inbox(world.agency("MY-CUSTOMS").member, world.agency("MY-CUSTOMS").member.transport, inbox.rules)
        with pytest.raises(StoreInUse):
            RulesInForce(world.agency("MY-CUSTOMS").member)
    await world.agency().publish(world.alert(5))
    async with running(world) as again:
        await arrived(again, 5)
        assert [each.row.subject[-1] for each in again.after(0, 10)] == ["1", "2", "3", "4", "5"]
        assert [each.number for each in again.after(2, 2)] == [3, 4]
        assert again.cursor(0) == epoch
        assert again.number(again.cursor(4)) == 4
        assert (again.number(None), again.number("now")) == (0, 5)
        assert again.position() > 0


async def test_cursors_of_another_file(world: World) -> None:
    """The file was lost and made again: an old cursor is told from a new one; what is no cursor at all is told too."""
    async with running(world) as inbox:
        old = inbox.cursor(7)
    for file in world.agency("MY-CUSTOMS").member.files.folder.glob("inbox.sqlite*"):
        file.unlink()
    async with running(world) as inbox:
        with pytest.raises(CursorLost):
            inbox.number(old)
        for bad in ("", "7", "x-", f"{old}x", "²-²"):
            with pytest.raises(UsageError):
                inbox.number(bad)


async def test_what_is_taken_back_is_gone(world: World) -> None:
    """A recall: no byte of the alert is in the files any more, its row says that it is erased, the recall itself is there; rows of other
    subjects stay as they are."""
    file = world.agency("MY-CUSTOMS").member.files.inbox_store
    async with running(world) as inbox:
        await world.agency().publish(world.alert(1))
        (party,) = world.alert(2).sections["parties"]["parties"]
        await world.agency().publish(changed(world.alert(2), "parties", parties=[{**party, "name": "Other Trading LLC"}]))
        await arrived(inbox, 2)
        assert b"Example Trading" in bytes_of(file)
        recall = sample_recall("SG-CUSTOMS/2026/000001", agencies=["MY-CUSTOMS"], now_ms=world.now, revision=2)
        assert (await world.agency().publish(recall)).outcome == "ACCEPTED"
        await arrived(inbox, 3)
        await eventually(lambda: b"Example Trading" not in bytes_of(file), what="erasure")
        assert b"Other Trading" in bytes_of(file)
        first, second, third = inbox.shown(inbox.after(0, 10), PURPOSE)
        assert (first["kind"], first["reason"], "sections" in first) == ("erased", "TAKEN_BACK", False)
        assert (second["kind"], second["sections"]["parties"]["parties"][0]["name"]) == ("delivery", "Other Trading LLC")
        assert (third["kind"], third["family"], third["sections"]["core"]["reason"]) == ("taken_back", "recall", "ERROR")


async def test_shown_for_a_purpose(world: World) -> None:
    """For a purpose that the message is not for, only that it is there is told, with the rule; for its own, all of it."""
    async with running(world) as inbox:
        await world.agency().publish(world.alert(1))
        await arrived(inbox, 1)
        (item,) = inbox.shown(inbox.after(0, 1), "STATISTICS")
        assert item["kind"] == "withheld"
        assert item["withheld_here"]
        assert "sections" not in item
        assert "header" not in item
        (item,) = inbox.shown(inbox.after(0, 1), PURPOSE)
        assert (item["kind"], item["cursor"]) == ("delivery", inbox.cursor(1))
        inbox.rules._live = None  # pyright: ignore[reportPrivateUsage] - as in a process that never reached the exchange
        (item,) = inbox.shown(inbox.after(0, 1), PURPOSE)
        assert (item["kind"], item["withheld_here"]) == ("withheld", "rules-not-known")


async def test_rows_end(world: World) -> None:
    """What is older than the inbox keeps every revision is let go at the next start, and its number is not given again."""
    file = world.agency("MY-CUSTOMS").member.files.inbox_store
    async with running(world) as inbox:
        await world.agency().publish(world.alert(1))
        await arrived(inbox, 1)
    world.clock.advance(KEPT_MS + 1)
    async with running(world) as inbox:
        await eventually(lambda: inbox.after(0, 1) == [], what="an empty inbox")
        assert b"Example Trading" not in bytes_of(file)
        assert inbox.number("now") == 1
        await world.agency().publish(world.alert(2))
        await eventually(lambda: inbox.after(0, 1), what="the next")
        assert inbox.after(0, 1)[0].number == 2


async def test_what_consent_binds_to_purposes(world: World) -> None:
    """What is here by the owner's consent for one purpose is shown for that one: a section of it, or, with the core, all of it."""
    async with running(world) as inbox:
        await world.agency().publish(world.alert(1))
        (delivery,) = await world.agency("MY-CUSTOMS").deliveries(1)
        await arrived(inbox, 1)
        (arrival,) = inbox.after(0, 1)
        for bound, kind, parties in ((("core", ("LICENSING",)), "withheld", False), (("parties", ("LICENSING",)), "delivery", False)):
            row = row_of(replace(delivery, slip=replace(delivery.slip, bound=(bound,))))
            (item,) = inbox.shown([replace(arrival, row=row)], PURPOSE)
            assert (item["kind"], "parties" in item.get("sections", {})) == (kind, parties)
        (item,) = inbox.shown([arrival], PURPOSE)
        assert "parties" in item["sections"]
