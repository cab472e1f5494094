"""An agency's process, started again and again by the tests: ``python -m tests.faults.agency publish|subscribe|flood ...``.

It ends when its work is done, on SIGTERM, and when standard input ends (its starter is gone).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
import time
from collections import deque
from collections.abc import Awaitable
from pathlib import Path
from typing import Final

from broker import ids
from broker.app import Member
from broker.app.connect import connect
from broker.ports import Outgoing, Position, Transport
from broker.service.publisher import Publisher
from broker.service.subscriber import Delivery
from broker.storage.clock import SystemClock, SystemRandomness
from broker.storage.publisher_store import SqlitePublisherStore
from broker.storage.subscriber_store import SqliteSubscriberStore
from tests.faults.garbage import Garbage
from tests.faults.plan import Planned
from tests.support.eventually import eventually

UNACKED: Final = 400
"""Fewer than a publisher's queue holds, so that messages are taken in the order in which they are given."""
FLOOD_UNACKED: Final = 4000
ANSWERS_S: Final = 120.0
EFFECTS: Final = """
CREATE TABLE IF NOT EXISTS effects (
    number INTEGER PRIMARY KEY, message_id TEXT NOT NULL, originator TEXT NOT NULL, stream BLOB NOT NULL, seq INTEGER NOT NULL,
    subject TEXT NOT NULL, revision INTEGER NOT NULL, sections TEXT NOT NULL, withheld TEXT NOT NULL, text TEXT NOT NULL,
    shard INTEGER NOT NULL, counter INTEGER NOT NULL, leaf BLOB NOT NULL, prev BLOB, redelivered INTEGER NOT NULL,
    issued_ms INTEGER NOT NULL, admitted_ms INTEGER NOT NULL, at_ms INTEGER NOT NULL)
"""


def now_ms() -> int:
    """Wall-clock time."""
    return time.time_ns() // 1_000_000


async def publish(home: Path, agency: str, *, count: int, every_ms: float, window: int) -> None:
    """Messages ``1`` to ``count``, from where the store says this agency was; at most ``window`` of them without a receipt.

    ``every_ms`` 0: as fast as receipts come. Ends when each message has its receipt in the store; on SIGTERM it begins no more.
    """
    member = Member(home, agency, connect)
    randomness = SystemRandomness()
    store = SqlitePublisherStore(member.files.publisher_store, agency, randomness.take(16))
    transport = member.transport()
    publisher = Publisher(agency, transport, member.knowledge(transport), member.files.signer(), store, SystemClock(), randomness)
    unanswered, unacked = asyncio.Semaphore(window), asyncio.Semaphore(UNACKED)

    async def one(planned: Planned, due_ms: int) -> None:
        message = planned.message(now_ms=now_ms(), due_ms=due_ms)
        handle = await publisher.publish(message)
        unacked.release()
        await handle.receipt()
        unanswered.release()

    async with publisher, asyncio.TaskGroup() as tasks:
        first = store.stream()[1] + 1
        begun, stop = now_ms(), asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
        for seq in range(first, count + 1):
            due_ms = round(begun + (seq - first) * every_ms)
            if every_ms and due_ms > now_ms():
                await asyncio.sleep((due_ms - now_ms()) / 1000)
            await unanswered.acquire()
            await unacked.acquire()
            if stop.is_set():
                break
            tasks.create_task(one(Planned(agency, seq), due_ms if every_ms else now_ms()))
        await eventually(lambda: not store.unanswered(), ANSWERS_S, what="a receipt for each message")
    await transport.close()


async def subscribe(home: Path, agency: str) -> None:
    """Every delivery becomes a row of the agency's own table, written through the transaction that moves the position."""
    member = Member(home, agency, connect)
    store = SqliteSubscriberStore(member.files.subscriber_store, agency)
    store.transaction.execute(EFFECTS)

    async def handle(delivery: Delivery) -> None:
        header, slip = delivery.header, delivery.slip
        row = (
            delivery.message_id, delivery.originator, header.stream, header.seq, delivery.subject, delivery.revision,
            json.dumps(sorted(delivery.sections)), json.dumps(sorted(delivery.withheld)),
            delivery.sections["goods"]["items"][0]["description"],
            slip.shard, slip.counter, slip.leaf, slip.prev, delivery.redelivered,
            delivery.issued_at_ms, slip.admitted_at, now_ms(),
        )  # fmt: skip
        delivery.transaction.execute(f"INSERT INTO effects VALUES (NULL{', ?' * len(row)})", row)

    transport = member.transport()
    subscriber = member.subscriber(transport, store=store)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, subscriber.stop)
    await subscriber.run(handle)
    await transport.close()


async def flood(home: Path, agency: str, *, count: int, seed: int) -> None:
    """``count`` records that mean nothing, into this agency's own outbox, as fast as Kafka takes them."""
    member = Member(home, agency, connect)
    transport = member.transport()
    try:
        garbage = await _garbage(member, transport, seed)
        outlet = await transport.outlet()
        under_way: deque[Awaitable[Position]] = deque()
        print(json.dumps({"begun": now_ms()}), flush=True)
        for number in range(count):
            under_way.append(await outlet.send(Outgoing(ids.outbox(agency), b"x", garbage.value(number))))
            if len(under_way) > FLOOD_UNACKED:
                await under_way.popleft()
        while under_way:
            await under_way.popleft()
        print(json.dumps({"written": now_ms()}), flush=True)
    finally:
        await transport.close()


async def _garbage(member: Member, transport: Transport, seed: int) -> Garbage:
    knowledge = member.knowledge(transport)
    await knowledge.load()
    await knowledge.close()
    return Garbage.of(member.files.agency, member.files.signer(), knowledge.rules, seed=seed, now_ms=now_ms())


def end_with_starter() -> None:
    """Standard input ends when the starter is gone, however it went."""

    def ended() -> None:
        os._exit(3)

    asyncio.get_running_loop().add_reader(sys.stdin.fileno(), ended)


async def main(arguments: argparse.Namespace) -> None:
    """Do what was asked."""
    end_with_starter()
    home, agency = arguments.home, arguments.agency
    match arguments.work:
        case "publish":
            await publish(home, agency, count=arguments.count, every_ms=arguments.every_ms, window=arguments.window)
        case "subscribe":
            await subscribe(home, agency)
        case _:
            await flood(home, agency, count=arguments.count, seed=arguments.seed)


def parser() -> argparse.ArgumentParser:
    """The arguments."""
    made = argparse.ArgumentParser()
    made.add_argument("work", choices=["publish", "subscribe", "flood"])
    made.add_argument("--home", type=Path, required=True)
    made.add_argument("--agency", required=True)
    made.add_argument("--count", type=int, default=0)
    made.add_argument("--every-ms", type=float, default=0.0)
    made.add_argument("--window", type=int, default=400)
    made.add_argument("--seed", type=int, default=0)
    return made


if __name__ == "__main__":
    asyncio.run(main(parser().parse_args()))
