"""The durable outbox: what is accepted survives, is sent once under the id that was told, and needs no exchange to be accepted."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, closing

import pytest

from broker.app import begun_anew
from broker.app.outbox import WINDOW, Accepted, Outbox
from broker.app.rules_in_force import RulesInForce
from broker.errors import ExchangeUnreachable, Refusal, StoreError
from broker.ports import Transport
from broker.schema import json_form
from broker.storage.intake import Answered, KeyTaken, SqliteIntake
from broker.testing.exchange import Attempt, Fault
from tests.support.eventually import eventually
from tests.support.node_clients import posted
from tests.unit.service.world import World


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing waits long before it is tried again."""
    monkeypatch.setattr(begun_anew, "AGAIN_S", (0.01, 0.02))


class Line:
    """A connection that can be cut: while it is, nothing can be opened."""

    def __init__(self, world: World) -> None:
        self.cut, self._transport = False, world.agency().member.transport()

    def __call__(self) -> Transport:
        return self  # type: ignore[return-value]

    async def inlet(self) -> object:
        if self.cut:
            raise ExchangeUnreachable("no answer from 192.0.2.1:9093")
        return await self._transport.inlet()

    async def close(self) -> None:
        """It is used again."""

    def __getattr__(self, name: str) -> object:
        return getattr(self._transport, name)


@asynccontextmanager
async def running(world: World, line: Line) -> AsyncGenerator[Outbox]:
    """An outbox of SG-CUSTOMS at work."""
    rules = RulesInForce(world.agency().member)
    made = Outbox(world.agency().member, line, rules)
    task = asyncio.create_task(made.run())
    try:
        yield made
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await made.close()
        rules.close()


def read(outbox: Outbox, world: World, number: int, revision: int = 1) -> Accepted:
    """A good alert, judged."""
    accepted = outbox.read(posted(world.alert(number, revision=revision)))
    assert isinstance(accepted, Accepted), accepted
    return accepted


def away(attempt: Attempt) -> Fault:
    """Kafka takes no record of anybody."""
    return Fault.LOSE if attempt.kind == "send" else Fault.APPLY


def delivered(world: World) -> int:
    """How many deliveries lie in the recipient's inbox."""
    return len(world.inbox_values())


async def answered(outbox: Outbox, message_id: str) -> str:
    """The outcome of a message, once the relay has answered."""

    def receipt() -> str | None:
        standing = outbox.standing(message_id)
        found = None if standing is None else outbox.receipt(standing)
        return None if found is None else found.outcome

    return await eventually(receipt, what="a receipt") or ""


async def test_accepted_without_an_exchange(world: World) -> None:
    """The exchange was never reached: messages are accepted all the same, by their form; a second process finds them, and sends them in
    their order once the exchange is there, under the ids that were told, with the time at which they were accepted."""
    line = Line(world)
    line.cut = True
    async with running(world, line) as first:
        kept = [read(first, world, 1), read(first, world, 1, revision=2), read(first, world, 2)]
        await first.keep(kept)
        standing = first.standing(kept[0].message_id)
        assert standing is not None
        assert (standing.state, first.depth().waiting) == ("waiting", 3)
    accepted_at = world.now
    world.clock.advance(7 * 86_400_000)
    async with running(world, line) as second:
        assert second.depth().waiting == 3
        line.cut = False
        assert [await answered(second, each.message_id) for each in kept] == ["ACCEPTED"] * 3
        assert (second.depth().waiting, second.depth().unanswered) == (0, 0)
    deliveries = await world.agency("MY-CUSTOMS").deliveries(9)
    assert [(each.message_id, each.subject[-1], each.revision) for each in deliveries] == [
        (kept[0].message_id, "1", 1), (kept[1].message_id, "1", 2), (kept[2].message_id, "2", 1),
    ]  # fmt: skip
    assert {each.issued_at_ms for each in deliveries} == {accepted_at}


async def test_the_exchange_goes_and_comes_back(world: World) -> None:
    """Kafka takes nothing for a while: more than a publisher would have under way is accepted, and each is delivered once afterwards."""
    async with running(world, Line(world)) as outbox:
        await eventually(lambda: outbox.publisher, what="a publisher")
        world.memory.faults = away
        kept = [read(outbox, world, number) for number in range(1, WINDOW + 100)]
        for each in kept:
            await outbox.keep([each])
        await eventually(lambda: 0 < outbox.depth().waiting < 110, what="a full window")
        world.memory.faults = None
        await eventually(lambda: outbox.depth().waiting + outbox.depth().unanswered == 0, 60, what="an empty outbox")
    deliveries = await world.agency("MY-CUSTOMS").deliveries(len(kept) + 1)
    assert [each.message_id for each in deliveries] == [each.message_id for each in kept]


async def test_a_crash_between_the_two_places(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process dies when the message is signed and stored, and nobody was told yet: it is sent again byte for byte, not signed anew."""
    line = Line(world)
    stuck = asyncio.Event()

    def hang(attempt: Attempt) -> Fault:
        if attempt.kind == "send":
            stuck.set()
            return Fault.HANG
        return Fault.APPLY

    world.memory.faults = hang
    monkeypatch.setattr("broker.service.publisher.CLOSE_S", 0.05)
    async with running(world, line) as outbox:
        accepted = read(outbox, world, 1)
        await outbox.keep([accepted])
        await asyncio.wait_for(stuck.wait(), 10)
        assert (outbox.depth().waiting, outbox.depth().unanswered) == (0, 1)
    world.memory.faults = None
    async with running(world, line) as again:
        assert await answered(again, accepted.message_id) == "ACCEPTED"
    assert delivered(world) == 1


async def test_refused_after_all(world: World) -> None:
    """Accepted by its form while the rules were not known, and yet against them: it is told by its id, and stops nothing behind it."""
    line = Line(world)
    line.cut = True
    async with running(world, line) as outbox:
        message = posted(world.alert(1))
        message["header"] = {"purposes": ["LICENSING"], "audience": {"agencies": ["MY-CUSTOMS"]}}
        early = outbox.read({**message, "family": "licence", "subject": "SG-CUSTOMS/2026/L", "sections": LICENCE})
        assert isinstance(early, Accepted), early
        await outbox.keep([early, read(outbox, world, 2)])
        line.cut = False
        await eventually(lambda: getattr(outbox.standing(early.message_id), "state", "") == "refused", what="a refusal")
        standing = outbox.standing(early.message_id)
        assert standing is not None
        assert standing.code == "MAY_NOT_PUBLISH"
        assert isinstance(outbox.read({**message, "family": "licence", "subject": "SG-CUSTOMS/2026/L2", "sections": LICENCE}), Refusal)
        await eventually(lambda: delivered(world) == 1, what="the one behind it")


LICENCE = {
    "core": {
        "decision_type": "GRANT", "authority": "SG-CUSTOMS", "licence_no": "1", "licence_type": "INDIVIDUAL",
        "effective_at": "2026-10-01T00:00:00Z", "published_at": "2026-10-01T00:00:00Z", "destinations": ["AE"],
    },
    "items": {"items": [{"line": 1, "description": "press", "quantity_granted": "4.5", "unit": "H87"}]},
}  # fmt: skip


async def test_one_key_two_requests(world: World) -> None:
    """Two requests under one key at the same time: one is kept, with its answer; of the other not even its messages."""
    line = Line(world)
    line.cut = True
    async with running(world, line) as outbox:
        one, two = read(outbox, world, 1), read(outbox, world, 1)
        answers = [Answered("officer", "k", bytes(32), each.message_id) for each in (one, two)]
        results = await asyncio.gather(outbox.keep([one], answers[0]), outbox.keep([two], answers[1]), return_exceptions=True)
        assert [type(each) for each in results] == [type(None), KeyTaken]
        assert outbox.depth().waiting == 1
        assert outbox.answered("officer", "k") == answers[0]
        assert outbox.answered("other", "k") is None
        await outbox.keep([two], Answered("other", "k", bytes(32), two.message_id))
        assert outbox.depth().waiting == 2


async def test_an_answer_is_kept_with_its_message_or_not_at_all(world: World) -> None:
    """The disk is full: neither is there afterwards, and the caller is told."""
    async with running(world, Line(world)) as outbox:
        accepted = read(outbox, world, 1)
        with closing(SqliteIntake(world.agency().member.files.publisher_store)) as other:
            other._write.execute("BEGIN IMMEDIATE")  # pyright: ignore[reportPrivateUsage]
            outbox._store._write.execute("PRAGMA busy_timeout = 10")  # pyright: ignore[reportPrivateUsage]
            with pytest.raises(StoreError, match="database is locked"):
                await outbox.keep([accepted], Answered("officer", "k", bytes(32), "{}"))
            other._write.execute("ROLLBACK")  # pyright: ignore[reportPrivateUsage]
        assert outbox.answered("officer", "k") is None
        assert outbox.standing(accepted.message_id) is None
        await outbox.keep([accepted], Answered("officer", "k", bytes(32), "{}"))
        assert outbox.standing(accepted.message_id) is not None


async def test_fractions_keep_their_digits(world: World) -> None:
    """A JSON number with a fraction comes out of the outbox as it went in, at the recipient too."""
    async with running(world, Line(world)) as outbox:
        await eventually(lambda: outbox.publisher, what="a publisher")
        value = json_form.read_json(json.dumps(posted(world.alert(1))).replace('"4200.500000"', "4200.123456"))
        accepted = outbox.read(value)
        assert isinstance(accepted, Accepted), accepted
        await outbox.keep([accepted])
        assert await answered(outbox, accepted.message_id) == "ACCEPTED"
    (delivery,) = await world.agency("MY-CUSTOMS").deliveries(1)
    assert str(delivery.sections["goods"]["items"][0]["gross_mass_kg"]) == "4200.123456"
