"""Two versions of a section in use at once on a real Kafka: publishers, readers and relay of yesterday and of today."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from broker.app.connect import connect
from broker.app.parties import Member
from broker.families.message import Message
from broker.service.subscriber import DONE, Delivery, Outcome
from broker.storage.clock import SystemClock
from broker.testing.samples import sample_alert
from tests.support.whole_exchange import WholeExchange, whole_exchange
from tests.support.yesterday import ADDED, TODAY, YESTERDAY, of_today, of_yesterday

pytestmark = pytest.mark.kafka

PARTIES = {"SG-CUSTOMS": YESTERDAY, "MY-CUSTOMS": YESTERDAY, "TH-CUSTOMS": TODAY, "ID-CUSTOMS": TODAY}
READERS = ("MY-CUSTOMS", "ID-CUSTOMS")


def alert(owner: str, number: int) -> Message:
    subject = f"{owner}/2026/{number:06}"
    return sample_alert(subject, now_ms=SystemClock().now_ms(), agencies=READERS)


async def publish(exchange: WholeExchange, agency: str, message: Message) -> str:
    """What the exchange answered: outcome and code."""
    async with Member(exchange.home, agency, connect, schemas=PARTIES[agency]).publishing() as publisher:
        receipt = await (await publisher.publish(message)).receipt(30)
        return f"{receipt.outcome} {receipt.code}".strip()


async def deliveries(exchange: WholeExchange, agency: str, count: int) -> list[Delivery]:
    """The next deliveries of an agency."""
    taken = list[Delivery]()

    async def keep(delivery: Delivery) -> Outcome:
        taken.append(delivery)
        return DONE

    handler: Callable[[Delivery], Awaitable[Outcome | None]] = keep
    async with Member(exchange.home, agency, connect, schemas=PARTIES[agency]).subscribing() as subscriber:
        counts = await subscriber.run(handler, limit=count, idle_timeout=20)
    assert (counts.refused, counts.gaps) == (0, 0)
    return taken


async def test_yesterday_and_today_exchange_alerts(tmp_path: Path) -> None:
    """Under a relay of yesterday and then one of today, a publisher of either version reaches readers of either: each sees its own
    version, and knows which one was written."""
    async with whole_exchange(tmp_path, dict.fromkeys(PARTIES, "customs"), shards=2, quotas={}) as exchange:
        for number, relay in enumerate((YESTERDAY, TODAY), start=1):
            older, newer = of_yesterday(alert("SG-CUSTOMS", number)), of_today(alert("TH-CUSTOMS", number))
            async with exchange.relaying(relay):
                assert await publish(exchange, "SG-CUSTOMS", older) == "ACCEPTED"
                assert await publish(exchange, "TH-CUSTOMS", newer) == "ACCEPTED"
                found = {agency: await deliveries(exchange, agency, 2) for agency in READERS}
            for agency, taken in found.items():
                seen = {delivery.originator: delivery for delivery in taken}
                assert {name: delivery.written["route"] for name, delivery in seen.items()} == {"SG-CUSTOMS": 1, "TH-CUSTOMS": 2}
                of_older, of_newer = seen["SG-CUSTOMS"].sections["route"], seen["TH-CUSTOMS"].sections["route"]
                if PARTIES[agency] is TODAY:
                    assert of_older == {**older.sections["route"], **dict.fromkeys(ADDED)}
                    assert of_newer == newer.sections["route"]
                else:
                    assert of_older == older.sections["route"]
                    assert of_newer == of_yesterday(newer).sections["route"]
