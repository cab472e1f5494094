"""Rules kept on the disk: a node that starts without the exchange shows and judges by what was known last, for a while, and never more."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from broker.app import agency_node, begun_anew
from broker.app.agency_node import AgencyNode
from broker.app.rules_in_force import AHEAD_MS, DAY_MS, RulesInForce
from broker.errors import ExchangeUnreachable, Refusal, StoreError
from broker.exchange.topology import DIRECTORY, POLICY
from broker.ports import Record
from broker.storage.rules_kept import KeptRules
from broker.testing.clock import FixedClock
from tests.support.eventually import eventually
from tests.support.node_clients import posted
from tests.support.standing import suspend
from tests.unit.families.samples import changed, good_licence
from tests.unit.service.world import World


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing waits long before it is tried again."""
    monkeypatch.setattr(begun_anew, "AGAIN_S", (0.01, 0.02))


PURPOSE = "STC_ENFORCEMENT"


class Cut:
    """A connection to an exchange that is away."""

    async def inlet(self) -> object:
        raise ExchangeUnreachable("no answer from 192.0.2.1:9093")

    outlet = inlet

    async def close(self) -> None:
        """There is nothing to close."""


@asynccontextmanager
async def node(world: World, *, away: bool = False, days: float = 7.0) -> AsyncGenerator[AgencyNode]:
    """The node of MY-CUSTOMS; ``away``: started while the exchange is."""
    member = world.agency("MY-CUSTOMS").member
    with pytest.MonkeyPatch.context() as patch:
        if away:
            patch.setattr(member, "transport", Cut)
        async with AgencyNode(member, rules_days=days) as made:
            if not away:
                await eventually(lambda: made.condition().word == "ready", what="a node that is ready")
            yield made


@pytest.fixture
async def lived(world: World) -> World:
    """The node has lived, and taken an alert."""
    async with node(world) as made:
        await world.agency().publish(world.alert(1))
        await eventually(lambda: made.inbox.after(0, 1), what="the alert")
    return world


def shown(made: AgencyNode) -> dict[str, Any]:
    """The first item of the inbox, for a purpose."""
    return made.inbox.shown(made.inbox.after(0, 1), PURPOSE)[0]


async def test_started_without_the_exchange(lived: World) -> None:
    """Content is shown by the rules that were kept, and says of when they are; a message is judged by them, not by its form alone."""
    async with node(lived, away=True) as made:
        assert (shown(made)["kind"], shown(made)["originator"]) == ("delivery", "SG-CUSTOMS")
        now = made.condition()
        assert (now.ready, now.word, now.rules_as_of) == (True, "degraded", lived.now)
        assert not isinstance(made.outbox.read(posted(lived.alert(7, owner="MY-CUSTOMS"))), Refusal)
        licence = replace(changed(good_licence(), {"core.authority": "MY-CUSTOMS"}), subject="MY-CUSTOMS/2026/L-1")
        forbidden = made.outbox.read(posted(licence))
        assert isinstance(forbidden, Refusal)
        assert forbidden.code == "MAY_NOT_PUBLISH"


async def test_never_started_with_it(world: World) -> None:
    """Without rules ever read nothing is shown and the node is not ready."""
    async with node(world, away=True) as made:
        assert (made.condition().word, made.rules.as_of, made.rules.decider) == ("not-ready", None, None)


async def test_what_was_known_last_stays(lived: World) -> None:
    """A suspension that the node heard of while it lived is on the disk before it counts, and holds in the next one that hears nothing:
    what was narrowed stays so, and all else decides alike."""
    async with node(lived) as made:
        await suspend(lived.exchange.operator, "AE-CUSTOMS")
        live = made.rules.live
        assert live is not None
        await eventually(lambda: live.rules.directory.agencies["AE-CUSTOMS"].status == "suspended", what="the suspension")
        with closing(sqlite3.connect(lived.agency("MY-CUSTOMS").member.files.rules_store)) as reader:
            (count,) = reader.execute("SELECT COUNT(*) FROM record WHERE value = ?", (live.entries[-1],)).fetchone()
        assert count == 1
    async with node(lived, away=True) as made:
        assert made.rules.known is not None
        assert made.rules.known.rules.directory.agencies["AE-CUSTOMS"].status == "suspended"
        assert made.rules.known.rules.deciding == live.rules.deciding


@pytest.mark.parametrize("days", [7.0, 0.5])
async def test_old_rules_open_nothing(lived: World, days: float) -> None:
    """Up to the limit they are used, after it they are not: for who was started without the exchange."""
    lived.clock.advance(int(days * DAY_MS))
    async with node(lived, away=True, days=days) as made:
        assert (shown(made)["kind"], made.condition().word) == ("delivery", "degraded")
        lived.clock.advance(1)
        item = shown(made)
        assert (item["kind"], item["withheld_here"]) == ("withheld", "rules-not-known")
        assert (made.condition().word, made.rules.as_of is not None) == ("not-ready", True)


async def _no(_timeout: float) -> bool:
    return False


def _at_the_beginning(_source: object) -> int:
    return 0


async def test_an_outage_that_lasts(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A node that has read the rules itself stops using them after as long, and goes on when the exchange answers again."""
    monkeypatch.setattr(agency_node, "LOOK_S", 0.01)
    async with node(world) as made:
        await world.agency().publish(world.alert(1))
        await eventually(lambda: made.inbox.after(0, 1), what="the alert")
        live = made.rules.live
        assert live is not None
        with monkeypatch.context() as outage:
            outage.setattr(live, "whole", _no)
            world.clock.advance(8 * DAY_MS)
            assert (shown(made)["kind"], made.condition().word) == ("withheld", "not-ready")
        await eventually(lambda: made.condition().word == "ready", what="rules of now")


async def test_a_clock_that_went_back(lived: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """What ended at a date would be open again: rules that are of the future are not used."""
    member = lived.agency("MY-CUSTOMS").member
    for back, used in ((AHEAD_MS, True), (AHEAD_MS + 1, False)):
        monkeypatch.setattr(member, "clock", FixedClock(lived.now - back))
        async with node(lived, away=True) as made:
            assert (made.rules.decider is not None) == used


def _changed(path: Path, change: Callable[[sqlite3.Connection], object]) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as file:
        change(file)


@pytest.mark.parametrize("topic", [DIRECTORY, POLICY])
@pytest.mark.parametrize("where", [20, -20])
async def test_records_that_do_not_hold(lived: World, topic: str, where: int) -> None:
    """One byte of one record is not what was signed: none of them is used, for without one entry others may give more."""
    path = lived.agency("MY-CUSTOMS").member.files.rules_store

    def flip(file: sqlite3.Connection) -> None:
        number, value = file.execute("SELECT number, value FROM record WHERE topic = ? ORDER BY number DESC LIMIT 1", (topic,)).fetchone()
        broken = bytearray(value)
        broken[where] ^= 1
        file.execute("UPDATE record SET value = ? WHERE number = ?", (bytes(broken), number))

    _changed(path, flip)
    async with node(lived, away=True) as made:
        assert (made.rules.known, shown(made)["kind"], made.condition().word) == (None, "withheld", "not-ready")


async def test_rules_of_another_exchange(lived: World, tmp_path: Path) -> None:
    """Records of a registrar that this home does not pin are nothing to it."""
    from broker.testing.local import LocalExchange

    async with LocalExchange(clock=FixedClock(lived.now)) as other:
        agency = await other.join("MY-CUSTOMS", "customs")
        async with AgencyNode(agency.member) as made:
            await eventually(lambda: made.condition().word == "ready", what="a node that is ready")
        with closing(KeptRules(agency.member.files.rules_store, "MY-CUSTOMS")) as kept:
            foreign = kept.records()
    assert foreign
    with closing(KeptRules(lived.agency("MY-CUSTOMS").member.files.rules_store, "MY-CUSTOMS")) as kept:
        kept.replace(foreign)
    async with node(lived, away=True) as made:
        assert made.rules.known is None


def test_what_cannot_be_written_is_thrown_away(tmp_path: Path) -> None:
    """Where a record cannot be added the file goes, and the next start finds nothing, rather than less than was known."""
    path = tmp_path / "rules.sqlite"
    record = Record(DIRECTORY, 0, 0, 1, b"k", b"v")
    kept = KeptRules(path, "MY-CUSTOMS")
    kept.replace([record])
    kept.confirm(5)
    kept.close()
    kept = KeptRules(path, "MY-CUSTOMS")
    assert ([each.value for each in kept.records()], kept.confirmed_at()) == ([b"v"], 5)
    kept._file.connection.execute("PRAGMA query_only = ON")  # type: ignore[union-attr] # pyright: ignore[reportPrivateUsage, reportOptionalMemberAccess]
    kept.confirm(6)
    kept.add([record])
    assert not path.exists()
    kept.add([record])
    kept.confirm(7)
    assert (kept.records(), kept.confirmed_at()) == ([], None)
    kept.close()
    with closing(KeptRules(path, "MY-CUSTOMS")) as again:
        assert again.records() == []


def test_a_damaged_page(tmp_path: Path) -> None:
    """Whichever page of the file is damaged, the store cannot be opened, with its error, or gives what it can: never an error of SQLite's.
    Without its age what was kept opens nothing."""
    path, record = tmp_path / "rules.sqlite", Record(DIRECTORY, 0, 0, 1, b"k", b"v" * 3000)
    with closing(KeptRules(path, "MY-CUSTOMS")) as kept:
        kept.replace([record] * 4)
        kept.confirm(5)
    good, ages = path.read_bytes(), list[int | None]()
    for page in range(len(good) // 4096):
        path.write_bytes(good[: 4096 * page] + bytes([0xD7]) * 4096 + good[4096 * (page + 1) :])
        try:
            kept = KeptRules(path, "MY-CUSTOMS")
        except StoreError:
            continue
        with closing(kept):
            ages.append(kept.confirmed_at())
            kept.records()
            kept.confirm(6)
    assert None in ages


async def test_an_older_view_is_not_believed(lived: World) -> None:
    """An exchange that hides the suspension of an agency from who was told of it before: that is said, what was known stays in use and on
    the disk, and is not confirmed; what catches up with it is believed."""
    from structlog.testing import capture_logs

    member = lived.agency("MY-CUSTOMS").member
    old = member.knowledge(lived.agency("MY-CUSTOMS").transport)
    await old.load()
    async with node(lived) as made:
        await suspend(lived.exchange.operator, "AE-CUSTOMS")
        live = made.rules.live
        assert live is not None
        await eventually(lambda: live.rules.directory.agencies["AE-CUSTOMS"].status == "suspended", what="the suspension")
    rules = RulesInForce(member)
    try:
        await rules.recall()
        kept, as_of = rules.kept.records(), rules.as_of
        lived.clock.advance(DAY_MS)
        with capture_logs() as lines:
            rules.replace(kept[:-1])
            rules.learned(old)
            await rules.confirm()
        assert any("older rules" in line["event"] for line in lines)
        assert rules.known is not None
        assert rules.known.rules.directory.agencies["AE-CUSTOMS"].status == "suspended"
        assert (rules.live, rules.followed, rules.as_of, rules.kept.records()) == (None, False, as_of, kept)
        rules.add(kept[-1:])
        following = asyncio.create_task(old.follow())
        try:
            await eventually(lambda: old.rules.directory.version == live.rules.directory.version, what="what was hidden")
        finally:
            following.cancel()
        await rules.confirm()
        assert (rules.live, rules.followed, rules.as_of) == (old, True, lived.now)
        assert [each.value for each in rules.kept.records()] == [each.value for each in kept]
    finally:
        rules.close()
        await old.close()


async def test_rules_that_are_there_and_not_read(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the exchange answers and its newest rules do not come, those that are known are as old as they are, not of now."""
    async with node(world) as made:
        live, as_of = made.rules.live, made.rules.as_of
        assert live is not None
        world.clock.advance(60_000)
        with monkeypatch.context() as stuck:
            stuck.setattr(live._inlet, "position", _at_the_beginning)  # pyright: ignore[reportPrivateUsage]
            await made.rules.confirm()
            assert made.rules.as_of == as_of
        await made.rules.confirm()
        assert made.rules.as_of == world.now
