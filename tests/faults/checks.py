"""What must hold after any crash: each accepted message with each entitled agency exactly once, in order per subject."""

from __future__ import annotations

import random
from collections import Counter

from broker.exchange.receive import Received, receive
from broker.service.subscriber import Delivery, Outcome
from broker.testing.exchange import Attempt, Fault
from tests.unit.service.world import World

RECIPIENTS = ("MY-CUSTOMS", "AE-CUSTOMS")


def half_in_doubt(world: World) -> list[Fault]:
    """From now on half of all commits are lost, or kept without an answer, in an order that is the same in every run; the fates so far."""
    chance, fates = random.Random(7), list[Fault]()

    def faults(attempt: Attempt) -> Fault:
        fates.append(chance.choice([Fault.APPLY, Fault.APPLY, Fault.LOSE, Fault.KEEP]) if attempt.kind == "commit" else Fault.APPLY)
        return fates[-1]

    world.memory.faults = faults
    return fates


def received(world: World, agency: str) -> list[Received]:
    """Every delivery in an inbox, verified."""
    found: list[Received] = []
    for value in world.inbox_values(agency):
        one = receive(value, world.rules, recipient=agency)
        assert isinstance(one, Received), one
        found.append(one)
    return found


def check_inboxes(world: World, expected: list[tuple[str, int]]) -> None:
    """Each inbox holds exactly these (subject, revision), none twice, in order per subject, in one unbroken chain; and every
    accepted receipt belongs to one of them."""
    for agency in RECIPIENTS:
        found = received(world, agency)
        names = [(each.header.subject, each.header.revision) for each in found]
        assert Counter(names) == Counter(expected)
        for subject in {subject for subject, _ in names}:
            revisions = [revision for name, revision in names if name == subject]
            assert revisions == sorted(revisions)
        before: bytes | None = None
        for number, each in enumerate(found, 1):
            assert (each.slip.counter, each.slip.prev) == (number, before)
            before = each.leaf
    accepted = {receipt.leaf for receipt in world.receipts() if receipt.outcome == "ACCEPTED"}
    assert accepted == {each.leaf for each in received(world, "MY-CUSTOMS")}
    assert world.quarantine() == []


class Ledger:
    """An agency's own table, written through the delivery's transaction, and a plain list beside it."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.calls: list[tuple[str, int, bool]] = []
        store = world.store()
        store.transaction.execute("CREATE TABLE IF NOT EXISTS cases (subject TEXT, revision INTEGER)")
        store.close()

    async def __call__(self, delivery: Delivery) -> Outcome | None:
        self.calls.append((delivery.subject, delivery.revision, delivery.redelivered))
        delivery.transaction.execute("INSERT INTO cases VALUES (?, ?)", (delivery.subject, delivery.revision))
        return None

    def rows(self) -> list[tuple[str, int]]:
        """What is in the table."""
        store = self._world.store()
        found = store.transaction.execute("SELECT subject, revision FROM cases ORDER BY rowid").fetchall()
        store.close()
        return found
