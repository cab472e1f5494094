"""Late and away on a real Kafka that compacts: who joins late, and who was away for months, know what the others know."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pytest

from broker import ids
from broker.app.connect import connect
from broker.app.parties import Member
from broker.exchange.receive import Received, receive
from broker.exchange.topology import CURRENT, DAY_MS, Quota, TopicSpec, exchange_specs, inbox_spec
from broker.families.message import Audience, Message
from broker.families.recall import recall
from broker.service.publisher import Publisher
from broker.service.subscriber import Counts
from broker.storage.clock import SystemClock
from broker.storage.register import RegisterStore
from broker.testing.samples import sample_alert
from tests.support.cleaner import hurry_cleaner
from tests.support.eventually import eventually
from tests.support.latecomers import Rows, known_in
from tests.support.whole_exchange import WholeExchange, whole_exchange

pytestmark = pytest.mark.kafka

OWNER, THERE, AWAY, LATE = "SG-CUSTOMS", "MY-CUSTOMS", "TH-CUSTOMS", "ID-CUSTOMS"
COUNTRIES: Final = ("MY", "TH", "ID")
REVISIONS: Final = 4
SUBJECTS: Final = (1, 2, 3)
RECALLED: Final = 3
AT_ONCE: Final = {
    "min.compaction.lag.ms": "0", "max.compaction.lag.ms": "1000", "segment.ms": "100", "min.cleanable.dirty.ratio": "0.0",
}  # fmt: skip
"""Topic times under which Kafka's cleaner does within seconds what it does in 31 days."""
CLEANED_S: Final = 120.0


class Months:
    """A clock that is 40 days ahead."""

    def now_ms(self) -> int:
        return SystemClock().now_ms() + 40 * DAY_MS


def subject(number: int) -> str:
    return f"{OWNER}/2026/{number:06}"


def alert(number: int, revision: int) -> Message:
    return sample_alert(
        subject(number), now_ms=SystemClock().now_ms(), countries=COUNTRIES, revision=revision, description=f"press {revision}"
    )  # fmt: skip


def taken_back(number: int, revision: int) -> Message:
    due = datetime.fromtimestamp(SystemClock().now_ms() // 1000 + 86_400, UTC)
    core: Any = {"reason": "ERROR", "action": "DELETE", "due": due}
    return recall(subject=subject(number), revision=revision, audience=Audience(countries=COUNTRIES), core=core)


async def send(publisher: Publisher, *messages: Message) -> None:
    handles = [await publisher.publish(message) for message in messages]
    assert {(await handle.receipt(30)).outcome for handle in handles} == {"ACCEPTED"}


async def follow(exchange: WholeExchange, agency: str, *, months: bool = False) -> tuple[Counts, Rows]:
    """Bring an agency's register up to date; what was counted, and what it holds."""
    member = Member(exchange.home, agency, connect, clock=Months() if months else None)
    transport = member.transport()
    try:
        counts = await member.register(transport).follow(until_end=True)
    finally:
        await transport.close()
    with contextlib.closing(RegisterStore(member.files.register_store, agency)) as store:
        return counts, known_in(store)


def owed(rows: Rows) -> set[tuple[str, str, str]]:
    """Take the duties out of a register: what its agency owes on the last revisions. Who saw earlier ones owes answers to those besides,
    and the time runs from when a message came."""
    last = {row[0]: row[3] for row in rows["subject"]}
    return {(row[0], row[2], row[5]) for row in rows.pop("duty") if row[1] == last[row[0]]}


async def shortened(exchange: WholeExchange, agencies: Sequence[str]) -> None:
    """From now on these inboxes and ``exchange.current`` are compacted at once."""
    await hurry_cleaner(exchange)
    (found,) = [spec for spec in exchange_specs(1) if spec.name == CURRENT]
    admin = exchange.operator.admin()
    try:
        await admin.ensure_topics([
            TopicSpec(CURRENT, 1, {**found.settings, **AT_ONCE}), *(inbox_spec(agency, AT_ONCE) for agency in agencies)
        ])  # fmt: skip
    finally:
        await admin.close()


async def compacted(exchange: WholeExchange, topic: str, names: Sequence[str]) -> None:
    """Wait until Kafka's cleaner has left one record of each of these subjects."""

    async def cleaned() -> bool:
        keys = Counter((record.key or b"").decode().removeprefix("s/") for record in await exchange.records(topic))
        return all(keys[name] == 1 for name in names)

    await eventually(cleaned, CLEANED_S, what=f"compaction of {topic}")


async def test_late_and_away_know_what_the_others_know(tmp_path: Path) -> None:
    """Three subjects are revised, one is recalled, and Kafka compacts. An agency that was away since the first revisions reads its
    compacted inbox after 40 days: no gap is a finding, nothing of the recalled subject is left but the recall. One that joins late is
    served from ``exchange.current``, nothing of the recalled subject. Both registers are that of an agency which was always there."""
    members: dict[str, str] = dict.fromkeys((OWNER, THERE, AWAY), "customs")
    async with whole_exchange(tmp_path, members, shards=2, quotas={}) as exchange:
        await shortened(exchange, [AWAY])
        async with exchange.relaying(), exchange.member(OWNER).publishing() as publisher:
            for revision in range(1, REVISIONS + 1):
                await send(publisher, *(alert(number, revision) for number in SUBJECTS))
                await follow(exchange, THERE)
                if revision == 1:
                    assert (await follow(exchange, AWAY))[0].delivered == len(SUBJECTS)
                await asyncio.sleep(0.15)  # Kafka begins a new segment by its own clock, with the next record
            await send(publisher, taken_back(RECALLED, REVISIONS + 1))
            await asyncio.sleep(0.15)
            await send(publisher, alert(4, 1))
            old = [subject(number) for number in SUBJECTS]
            await compacted(exchange, ids.inbox(AWAY), old)
            await compacted(exchange, CURRENT, old)

            there = (await follow(exchange, THERE))[1]
            counts, away = await follow(exchange, AWAY, months=True)
            assert (counts.delivered, counts.gaps, counts.refused) == (4, 0, 0)
            duties = owed(there)
            assert owed(away) == duties
            assert away == there
            assert [(row[0], row[3]) for row in away["subject"]] == [
                (subject(1), 4), (subject(2), 4), (subject(3), 5), (subject(4), 1)
            ]  # fmt: skip

            async with exchange.operator.registrar() as registrar:
                await exchange.enrol(registrar, LATE, "customs", Quota())
            await _filled(exchange, ids.inbox(LATE), 3)
            counts, late = await follow(exchange, LATE)
            assert (counts.delivered, counts.gaps, counts.refused) == (3, 0, 0)
            assert owed(late) == {each for each in duties if each[0] != subject(RECALLED)}
            for table, rows in late.items():
                expected = [row for row in there[table] if subject(RECALLED) not in row]
                assert (table, rows) == (table, expected if table != "register_state" else there[table])
            await _check_raw(exchange)


async def _filled(exchange: WholeExchange, topic: str, count: int) -> None:
    async def filled() -> bool:
        return len(await exchange.records(topic)) >= count

    await eventually(filled, 30, what=f"{count} records in {topic}")


async def _check_raw(exchange: WholeExchange) -> None:
    """In neither inbox, nor in what new members are served from, is any content of the recalled subject."""
    knowledge = exchange.operator.knowledge(exchange.operator.transport("relay"))
    await knowledge.load()
    await knowledge.close()
    for agency in (AWAY, LATE):
        for record in await exchange.records(ids.inbox(agency)):
            received = receive(record.value or b"", knowledge.rules, recipient=agency)
            assert isinstance(received, Received), received
            assert received.header.subject != subject(RECALLED) or (agency, received.header.family) == (AWAY, "recall")
    (kept,) = [record for record in await exchange.records(CURRENT) if record.key == subject(RECALLED).encode()]
    assert b"press" not in (kept.value or b"")
