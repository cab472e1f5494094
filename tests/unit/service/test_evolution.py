"""Two versions of a section in use at once: agencies, relay and operator upgrade in any order, and everybody goes on."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from broker.errors import Refusal, RefusedError
from broker.exchange import notices
from broker.exchange.topology import POLICY, SCHEMAS
from broker.families.message import Message
from broker.ports import Record, Source
from broker.service.subscriber import Delivery
from broker.testing.clock import FixedClock
from broker.testing.exchange import Entry
from broker.testing.local import LocalAgency, LocalExchange
from broker.testing.memory import MemoryInlet
from broker.testing.samples import sample_alert
from tests.support.eventually import eventually
from tests.support.parcels import parcel
from tests.support.yesterday import ADDED, NAME, TODAY, YESTERDAY, ZONE, Texts, of_today, of_yesterday, with_route
from tests.unit.service.world import NOW, World

COMMUNITY = "STCE-ASEAN"
PARTIES = {"SG-CUSTOMS": YESTERDAY, "MY-CUSTOMS": YESTERDAY, "TH-CUSTOMS": TODAY, "ID-CUSTOMS": TODAY}
OLD, NEW = "SG-CUSTOMS", "TH-CUSTOMS"


def alert(owner: str, number: int = 1) -> Message:
    return sample_alert(f"{owner}/2026/{number:06}", now_ms=NOW, communities=[COMMUNITY])


@asynccontextmanager
async def mixed(relay: Texts, *, announced: Texts = TODAY) -> AsyncGenerator[LocalExchange]:
    """An exchange whose relay has these schemas, and on which those are announced; two agencies of yesterday and two of today."""
    async with LocalExchange(clock=FixedClock(NOW), shards=1, schemas=relay) as exchange:
        for agency, schemas in PARTIES.items():
            await exchange.join(agency, "customs", [COMMUNITY], schemas=schemas)
        await announce(exchange, announced)
        yield exchange


async def announce(exchange: LocalExchange, schemas: Texts) -> list[str]:
    async with exchange.operator.registrar() as registrar:
        return await registrar.announce(schemas)


def announced(exchange: LocalExchange) -> list[bytes | None]:
    return [record.key for record in exchange.memory.records(SCHEMAS)]


async def only(agency: LocalAgency) -> Delivery:
    (delivery,) = await agency.deliveries(1)
    return delivery


def bytes_of(delivery: Delivery) -> bytes:
    """The route as it was signed and as it arrived."""
    return parcel(delivery.value).sections["route"]


@pytest.mark.parametrize("relay", [YESTERDAY, TODAY], ids=["relay of yesterday", "relay of today"])
async def test_a_new_publisher_reaches_old_and_new_readers(relay: Texts) -> None:
    """What is written in version 2 passes either relay and reaches all. A reader of today sees it all; one of yesterday sees its own
    version, complete and valid, and is told that there is more; the bytes that both hold as evidence are the same."""
    async with mixed(relay) as exchange:
        message = of_today(alert(NEW))
        receipt = await exchange.agencies[NEW].publish(message)
        assert (receipt.outcome, [finding.code for finding in receipt.findings]) == ("ACCEPTED", [])
        old, new = await only(exchange.agencies["MY-CUSTOMS"]), await only(exchange.agencies["ID-CUSTOMS"])
    assert new.sections["route"] == message.sections["route"]
    assert old.sections["route"] == of_yesterday(message).sections["route"]
    assert old.written == new.written == dict.fromkeys(old.sections, 1) | {"route": 2}
    assert bytes_of(old) == bytes_of(new)
    for name in old.sections.keys() - {"route"}:
        assert old.sections[name] == new.sections[name]


@pytest.mark.parametrize("relay", [YESTERDAY, TODAY], ids=["relay of yesterday", "relay of today"])
async def test_an_old_publisher_reaches_old_and_new_readers(relay: Texts) -> None:
    """What is written in version 1 passes either relay; a reader of today sees version 2 with the defaults of what was not said."""
    async with mixed(relay) as exchange:
        message = of_yesterday(alert(OLD))
        receipt = await exchange.agencies[OLD].publish(message)
        assert (receipt.outcome, [finding.code for finding in receipt.findings]) == ("ACCEPTED", [])
        old, new = await only(exchange.agencies["MY-CUSTOMS"]), await only(exchange.agencies["ID-CUSTOMS"])
    assert old.sections["route"] == message.sections["route"]
    assert new.sections["route"] == {**message.sections["route"], **dict.fromkeys(ADDED)}
    assert set(old.written.values()) == set(new.written.values()) == {1}


async def test_an_agency_may_upgrade_before_its_exchange() -> None:
    """Where version 2 is not announced, a publisher of today writes version 1; a field that only version 2 has is refused with its
    path and nothing is sent. When the operator announces it, the same publisher writes it, without a restart."""
    async with mixed(YESTERDAY, announced=YESTERDAY) as exchange:
        agency, reader = exchange.agencies[NEW], exchange.agencies["ID-CUSTOMS"]
        plain = with_route(alert(NEW, 1), **ZONE)
        assert (await agency.publish(plain)).outcome == "ACCEPTED"
        delivery = await only(reader)
        assert (delivery.written["route"], delivery.sections["route"]) == (1, plain.sections["route"])
        with pytest.raises(RefusedError) as refused:
            await agency.publish(of_today(alert(NEW, 2)))
        assert (refused.value.refusal.code, refused.value.refusal.path) == ("BAD_FIELD", "route.free_zone_role")
        assert "knows version 1 of this section only" in refused.value.refusal.reason
        assert await announce(exchange, TODAY) == ["alert/v2/route"]
        publisher = await agency.publisher()
        await eventually(lambda: _writes(publisher.knowledge.rules.catalogue) == 2)
        assert (await agency.publish(of_today(alert(NEW, 2)))).outcome == "ACCEPTED"
        delivery = await only(reader)
        assert (delivery.written["route"], delivery.sections["route"]["free_zone_role"]) == (2, "STORAGE")


def _writes(catalogue: Any) -> int:
    return catalogue.written("alert", "route").version


async def test_a_publisher_may_keep_to_an_older_version() -> None:
    """A chosen version is written although the exchange knows a newer one."""
    async with mixed(TODAY) as exchange:
        agency = exchange.agencies[NEW]
        async with agency.member.publisher(agency.transport, writing={("alert", "route"): 1}) as publisher:
            handle = await publisher.publish(with_route(alert(NEW), **ZONE))
            assert (await handle.receipt(10)).outcome == "ACCEPTED"
        assert (await only(exchange.agencies["ID-CUSTOMS"])).written["route"] == 1


# ── who has not heard yet ───────────────────────────────────────────────────────────────────────────────────────────────


class Deaf:
    """While ``on``, a party reads nothing new of the public topics, until it asks where those end; ``asked`` counts how often it then
    did. ``polls`` counts the looks that gave it nothing."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, principal: str) -> None:
        self.on, self.polls, self.asked = False, 0, 0
        poll, ends = MemoryInlet.poll, MemoryInlet.ends

        def concerned(inlet: MemoryInlet) -> bool:
            return inlet._principal == principal and (POLICY, 0) in inlet._next  # pyright: ignore[reportPrivateUsage]

        async def deaf(inlet: MemoryInlet, *, max_records: int, timeout: float) -> Sequence[Record]:
            if not concerned(inlet):
                return await poll(inlet, max_records=max_records, timeout=timeout)
            if self.on and not self.asked:
                self.polls += 1
                await inlet._exchange.change(0.01)  # pyright: ignore[reportPrivateUsage]
                return []
            return await poll(inlet, max_records=max_records, timeout=0.01)

        async def asking(inlet: MemoryInlet) -> Mapping[Source, int]:
            self.asked += self.on and concerned(inlet)
            return await ends(inlet)

        monkeypatch.setattr(MemoryInlet, "poll", deaf)
        monkeypatch.setattr(MemoryInlet, "ends", asking)

    async def begin(self) -> None:
        """From now on."""
        self.on = True
        await eventually(lambda: self.polls > 0)


async def test_a_relay_reads_what_was_announced_before_it_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    """A message in a version that the relay has not heard of makes it read the announcements; the message is accepted."""
    deaf = Deaf(monkeypatch, "relay")
    async with mixed(YESTERDAY, announced=YESTERDAY) as exchange:
        await deaf.begin()
        await announce(exchange, TODAY)
        receipt = await exchange.agencies[NEW].publish(of_today(alert(NEW)))
        assert (receipt.outcome, deaf.asked) == ("ACCEPTED", 1)


async def test_a_reader_reads_what_was_announced_before_it_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    """A delivery in a version that a running subscriber has not heard of waits until the announcements are read, then is handed over."""
    deaf = Deaf(monkeypatch, "MY-CUSTOMS#1")
    async with mixed(YESTERDAY, announced=YESTERDAY) as exchange:
        agency, taken = exchange.agencies["MY-CUSTOMS"], list[Delivery]()
        subscriber = agency.member.subscriber(agency.transport)

        async def keep(delivery: Delivery) -> None:
            taken.append(delivery)
            if len(taken) == 1:
                await deaf.begin()
                await announce(exchange, TODAY)
                await exchange.agencies[NEW].publish(of_today(alert(NEW, 2)))

        await exchange.agencies[OLD].publish(of_yesterday(alert(OLD, 1)))
        counts = await subscriber.run(keep, limit=2, idle_timeout=5.0)
        assert (counts.delivered, counts.refused, deaf.asked) == (2, 0, 1)
        assert taken[1].written["route"] == 2
        assert "free_zone_role" not in taken[1].sections["route"]


async def test_a_schema_that_never_was_announced_is_quarantined() -> None:
    """If the announcement is gone from the topic (it never is, unless somebody meddled), a reader of yesterday keeps the delivery in
    its quarantine as UNKNOWN_SCHEMA and goes on with the next; a reader of today has the schema of its own."""
    async with mixed(TODAY) as exchange:
        await exchange.agencies[NEW].publish(of_today(alert(NEW, 1)))
        await exchange.agencies[OLD].publish(of_yesterday(alert(OLD, 2)))
        entries = exchange.memory.log((SCHEMAS, 0)).entries
        for at, entry in enumerate(entries):
            if entry is not None and entry.key == b"alert/route/v2":
                entries[at] = None
        old = await exchange.agencies["MY-CUSTOMS"].deliveries(2)
        assert [delivery.subject for delivery in old] == [alert(OLD, 2).subject]
        store = exchange.agencies["MY-CUSTOMS"].member.files.subscriber_store
        assert _quarantined(store) == ["UNKNOWN_SCHEMA"]
        assert len(await exchange.agencies["ID-CUSTOMS"].deliveries(2)) == 2


def _quarantined(store: Path) -> list[str]:
    with sqlite3.connect(store) as opened:
        rows = opened.execute("SELECT code FROM quarantine").fetchall()
    opened.close()
    return [code for (code,) in rows]


# ── the registrar ───────────────────────────────────────────────────────────────────────────────────────────────────────


def altered(given: tuple[str, str, int], **field: Any) -> str:
    """The text of a shipped schema with one more field."""
    schema: Any = json.loads(TODAY[given])
    schema["fields"].append({"doc": "Something new.", **field})
    return json.dumps(schema)


OPTIONAL: dict[str, Any] = {"name": "x", "type": ["null", "int"], "default": None}


@pytest.mark.parametrize(
    ("schemas", "reason", "path"),
    [
        ({("alert", "route", 3): altered(("alert", "route", 2), name="gauge", type="string")}, "CHANGE_MANDATORY", "route.gauge"),
        ({("alert", "value", 2): altered(("alert", "route", 2), **OPTIONAL)}, "CHANGE_NAME", "value"),
        ({("alert", "value", 1): altered(("alert", "value", 1), **OPTIONAL)}, "never changes", ""),
        ({("header", "header", 2): altered(("header", "header", 1), **OPTIONAL)}, "CHANGE_FRAME", "header"),
    ],
    ids=["mandatory field", "another schema", "released one altered", "header"],
)
async def test_the_registrar_announces_nothing_that_breaks_readers(world: World, schemas: Texts, reason: str, path: str) -> None:
    """Refused with INCOMPATIBLE_SCHEMA, what is wrong, where, and what to do; nothing is written, not even what was good."""
    before = announced(world.exchange)
    good = {("alert", "goods", 2): altered(("alert", "goods", 1), **OPTIONAL)}
    with pytest.raises(RefusedError) as refused:
        await announce(world.exchange, {**TODAY, **good, **schemas})
    refusal = refused.value.refusal
    assert (refusal.code, refusal.step, refusal.path) == ("INCOMPATIBLE_SCHEMA", 8, path)
    assert reason in refusal.reason
    assert "broker schema check" in refusal.advice
    assert announced(world.exchange) == before


async def test_the_registrar_compares_with_what_is_announced(world: World) -> None:
    """Not only with its own schemas: a version that an operator with a newer program announced counts, and what was not signed by
    the registrar does not. Announcing again writes nothing."""
    later = {("alert", "goods", 2): altered(("alert", "goods", 1), **OPTIONAL)}
    forged = notices.schema_payload(("alert", "value", 2), altered(("alert", "value", 1), **OPTIONAL))
    world.memory.log((SCHEMAS, 0)).append(Entry(NOW, b"alert/value/v2", forged))
    assert await announce(world.exchange, later) == ["alert/v2/goods"]
    assert await announce(world.exchange, {**TODAY, **later}) == []
    with pytest.raises(RefusedError, match="CHANGE_TYPE"):
        await announce(world.exchange, {("alert", "goods", 3): altered(("alert", "goods", 1), **{**OPTIONAL, "type": ["null", "string"]})})
    assert await announce(world.exchange, {("alert", "value", 2): altered(("alert", "value", 1), **OPTIONAL)}) == ["alert/v2/value"]
    assert NAME in TODAY


def test_a_reader_of_yesterday_is_one() -> None:
    """The support of these tests: yesterday's program lacks the one file, and its builder's route fits its version."""
    assert YESTERDAY.keys() | {NAME} == TODAY.keys()
    assert not isinstance(of_yesterday(alert(OLD)), Refusal)
    assert ADDED.keys().isdisjoint(of_yesterday(of_today(alert(OLD))).sections["route"])
