"""The process that keeps a register is killed at any point: run again, the register is the one that nobody killed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from broker.app import register as app_register
from broker.app.register import Register
from broker.register.rows import Delivered
from broker.storage.own_copies import SqliteOwnCopies
from broker.storage.register import RegisterStore, SqliteRegister
from tests.support.deliveries import all_rows
from tests.unit.service.world import World, left_behind

ME = "MY-CUSTOMS"


class Killed(BaseException):
    """The process dies here."""


def register_of(world: World, name: str = "register.sqlite") -> Register:
    """The register of MY-CUSTOMS in a file of this name."""
    my = world.agency(ME)
    files = my.member.files
    folder = files.register_store.parent
    return Register(ME, folder / name, folder / f"own-{name}", lambda store: my.member.subscriber(my.transport, store=store))


def rows_in(path: Path) -> dict[str, list[tuple[Any, ...]]]:
    """What a register holds."""
    store = RegisterStore(path, ME)
    try:
        return all_rows(store.transaction)
    finally:
        store.close()


def path_of(world: World, name: str = "register.sqlite") -> Path:
    return world.agency(ME).member.files.register_store.with_name(name)


async def send(world: World, revisions: range) -> None:
    publisher = await world.agency().publisher()
    for revision in revisions:
        for number in (1, 2):
            message = world.alert(number, revision=revision)
            assert (await (await publisher.publish(message)).receipt(10)).outcome == "ACCEPTED"


@pytest.mark.parametrize("after", [False, True])
async def test_killed_at_the_commit(world: World, after: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before it or after it: the next run ends with the register of one that was never killed."""
    await send(world, range(1, 3))
    await register_of(world).follow(until_end=True)
    await send(world, range(3, 5))
    commit = RegisterStore.commit

    def dying(store: RegisterStore) -> None:
        if after:
            commit(store)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(RegisterStore, "commit", dying)
        with pytest.raises(Killed):
            await register_of(world).follow(until_end=True)
    await register_of(world).follow(until_end=True)
    await register_of(world, "whole.sqlite").follow(until_end=True)
    assert rows_in(path_of(world)) == rows_in(path_of(world, "whole.sqlite"))
    assert [row[3] for row in rows_in(path_of(world))["subject"]] == [4, 4]


@pytest.mark.parametrize("at", [1, 2, 3, 4])
async def test_killed_while_it_writes(world: World, at: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file as it lies on the disk in the middle of a batch holds none of the batch; a run on it ends where one that was never killed
    does."""
    await send(world, range(1, 3))
    take, left = SqliteRegister.take, list[Path]()

    def dying(register: SqliteRegister, delivered: Delivered) -> bool:
        done = take(register, delivered)
        if not left and len(seen := [*calls, delivered]) == at:
            assert seen
            left.append(left_behind(path_of(world)))
            raise Killed
        calls.append(delivered)
        return done

    calls: list[Delivered] = []
    with monkeypatch.context() as patch:
        patch.setattr(SqliteRegister, "take", dying)
        with pytest.raises(Killed):
            await register_of(world).follow(until_end=True)
    (found,) = left
    assert rows_in(found)["subject"] == []
    await register_of(world, found.name).follow(until_end=True)
    await register_of(world, "whole.sqlite").follow(until_end=True)
    assert rows_in(found) == rows_in(path_of(world, "whole.sqlite"))


@pytest.mark.parametrize("point", ["before the commit", "before the copies are let go"])
async def test_killed_while_own_messages_are_taken(world: World, point: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Own messages come into the register once, wherever it dies between its own file and the publisher's copies."""
    own = world.agency(ME)
    await register_of_own(world).follow(until_end=True)  # from now on copies are kept
    await own.publish(replace(world.alert(7, owner=ME), revision=1))
    victim = (RegisterStore, "commit") if point == "before the commit" else (SqliteOwnCopies, "forget")

    def dying(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(*victim, dying)
        with pytest.raises(Killed):
            await register_of_own(world).follow(until_end=True)
    await register_of_own(world).follow(until_end=True)
    rows = rows_in(path_of(world))
    assert [(row[0], row[3]) for row in rows["subject"]] == [("MY-CUSTOMS/2026/000007", 1)]
    copies = SqliteOwnCopies(own.member.files.own_copies)
    assert copies.after(0, 10) == []
    copies.close()


def register_of_own(world: World) -> Register:
    """As the home has it."""
    my = world.agency(ME)
    return my.member.register(my.transport)


def test_the_wait_is_short_enough_for_an_officer() -> None:
    """A look-up does not keep anybody for longer than this when the exchange is away."""
    assert app_register.WAIT_S <= 5
