"""What holds parties apart at a real Kafka: who may do what with which certificate, suspension, quotas, and Kafka's own settings.

The exchange has a node of its own: its certificates are those that the registrar issues, and every topic on it is accounted for.
What is expected is worked out here from the words of the design, never from the grants and settings under test.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest
import pytest_asyncio

from broker import ids
from broker.app.parties import Member
from broker.errors import NotAuthorised
from broker.exchange.quarantine import read_quarantined
from broker.exchange.topology import DIRECTORY, KAFKA_LIMIT, QUARANTINE, Quota, agency_grants
from broker.families.message import Message
from broker.kafka.properties import lint_properties, read_properties
from broker.ports import Inlet, Record
from broker.service.publisher import Publisher
from broker.service.relay import RelayWorker
from broker.service.subscriber import DONE, Delivery, Outcome
from broker.storage.clock import SystemClock
from broker.testing.samples import sample_alert
from tests.support import principals
from tests.support.eventually import eventually
from tests.support.matrix import NO, OUT, YES, Cell, Matrix, differences, table
from tests.support.principals import Act, Caller
from tests.support.whole_exchange import Certificates, WholeExchange, whole_exchange

pytestmark = pytest.mark.kafka

SHARDS: Final = 4
FENCED: Final = {"DE-BA": "customs", "DE-BAFA": "licensing", "XX-AUDIT": "auditor"}
"""The agencies of the matrix. The first one's id is the beginning of the second one's."""
TALKING: Final = {"SG-CUSTOMS": "customs", "MY-CUSTOMS": "customs"}
WRITING: Final = {"NO-CUSTOMS": "customs", "FI-CUSTOMS": "customs"}
AGENCIES: Final = {**FENCED, **TALKING, **WRITING}

DESIGN: Final = """
out.<AGENCY>           that agency   relay
in.<AGENCY>            relay         that agency
exchange.directory     registrar     everyone
exchange.policy        registrar     everyone
exchange.schemas       registrar     everyone
exchange.memberships   registrar     relay, auditor
exchange.current       relay         relay
exchange.state         relay         relay
exchange.shards        nobody        relay
exchange.journal       relay         relay, auditor
exchange.quarantine    relay         relay, auditor
"""
"""Topic, who writes, who reads (design, section 3). Kafka's own topics, which all data of groups and transactions lies on, are nobody's."""

DAY: Final = 86_400_000
ROOM: Final = str(KAFKA_LIMIT + 4096)
_KEPT = {"cleanup.policy": "delete", "compression.type": "uncompressed"}
_LARGE = {**_KEPT, "max.message.bytes": ROOM}
_COMPACT = {"cleanup.policy": "compact", "compression.type": "uncompressed", "max.message.bytes": ROOM}
_FOREVER = {"retention.ms": "-1", "retention.bytes": "-1"}
SETTINGS: Final[Mapping[str, tuple[int, Mapping[str, str]]]] = {
    "out.": (1, {**_LARGE, **_FOREVER, "message.timestamp.type": "LogAppendTime"}),
    "in.": (1, {
        **_COMPACT, "min.compaction.lag.ms": str(30 * DAY), "max.compaction.lag.ms": str(31 * DAY),
        "segment.ms": str(DAY), "delete.retention.ms": str(35 * DAY),
    }),
    "exchange.directory": (1, _COMPACT),
    "exchange.policy": (1, _COMPACT),
    "exchange.schemas": (1, _COMPACT),
    "exchange.memberships": (1, _COMPACT),
    "exchange.current": (1, {**_COMPACT, "segment.ms": str(DAY), "max.compaction.lag.ms": str(31 * DAY)}),
    "exchange.state": (SHARDS, {**_COMPACT, "segment.ms": str(DAY), "max.compaction.lag.ms": str(31 * DAY)}),
    "exchange.shards": (SHARDS, _KEPT),
    "exchange.journal": (1, {**_LARGE, **_FOREVER}),
    "exchange.quarantine": (1, {**_LARGE, "retention.ms": str(90 * DAY), "retention.bytes": "-1"}),
}  # fmt: skip
"""Partitions and settings of each topic (design, section 3)."""
OWN: Final = tuple(name for name in SETTINGS if not name.endswith("."))
"""The exchange's own topics."""


SMALL: Final = 10_000
"""Bytes per second. Kafka averages over ten seconds: 120 kB at once are 12 kB/s, and two seconds of rest put them right."""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def exchange(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[WholeExchange]:
    """The exchange, with all agencies admitted and no relay at work."""
    quotas = {"NO-CUSTOMS": Quota(produce_bytes=SMALL)}
    async with whole_exchange(tmp_path_factory.mktemp("isolation"), AGENCIES, shards=SHARDS, quotas=quotas) as made:
        yield made


# --- settings


def boxes_of(agencies: Iterable[str]) -> list[str]:
    """Both topics of each agency."""
    return [box(agency) for agency in agencies for box in (ids.outbox, ids.inbox)]


def kind_of(topic: str) -> str:
    """The design's name of a topic: without the agency."""
    return next((begin for begin in ("out.", "in.") if topic.startswith(begin)), topic)


async def test_every_topic_has_exactly_the_settings_of_the_design(exchange: WholeExchange) -> None:
    """All topics of the cluster are known ones, one outbox and one inbox for each agency; none has a setting more, less or otherwise."""
    async with exchange.caller(exchange.service("registrar")) as registrar:
        topics = await registrar.visible()
        assert topics == {*boxes_of(AGENCIES), *OWN}
        for topic in sorted(topics):
            own = await registrar.settings(principals.TOPIC, topic)
            assert (topic, await registrar.partitions(topic), own) == (topic, *SETTINGS[kind_of(topic)])


async def test_the_running_node_has_no_open_door(exchange: WholeExchange) -> None:
    """The file the node was started with passes the lint, and so does what the running process says its settings are.

    Kafka keeps to itself what it does not know the type of, which are the authorizer's own two settings.
    """
    file = (exchange.files.kafka / "server.properties").read_text()
    assert lint_properties(file) == []
    async with exchange.caller(exchange.service("registrar")) as registrar:
        live = await registrar.settings(principals.NODE, "1")
    assert {name for name, value in live.items() if value == read_properties(file).get(name)} >= SHOWN
    assert {name for name, value in live.items() if value is None} == HIDDEN
    assert lint_properties("".join(f"{name}={value}\n" for name, value in live.items() if value is not None)) == []


SHOWN: Final = {"listeners", "listener.security.protocol.map", "inter.broker.listener.name", "ssl.client.auth", "authorizer.class.name"}
HIDDEN: Final = {"super.users", "allow.everyone.if.no.acl.found"}
HOLES: Final = {
    "a plain text listener": ("CLIENT:SSL", "CLIENT:PLAINTEXT", "CLIENT is open"),
    "one more listener": ("listeners=CLIENT", "listeners=PLAINTEXT://127.0.0.1:9092,CLIENT", "PLAINTEXT is open"),
    "certificates on request only": ("ssl.client.auth=required", "ssl.client.auth=requested", "without a certificate"),
    "everyone where no rule is": ("if.no.acl.found=false", "if.no.acl.found=true", "without an ACL"),
    "no authorizer": ("authorizer.class.name=", "#", "no authorizer"),
    "one more super user": ("super.users=", "super.users=User:relay;", "`User:relay` is a super user"),
    "any subject is a principal": ("/$1#$2/", "/$1#$2/,DEFAULT", "whole subject"),
    "topics by misspelling": ("auto.create.topics.enable=false", "auto.create.topics.enable=true", "misspelt"),
}


@pytest.mark.parametrize("hole", HOLES)
def test_each_hole_in_the_node_s_settings_is_found(exchange: WholeExchange, hole: str) -> None:
    """One change to the file that this node runs with opens one hole, and the lint says which."""
    text = (exchange.files.kafka / "server.properties").read_text()
    before, after, said = HOLES[hole]
    assert before in text
    flaws = lint_properties(text.replace(before, after, 1))
    assert flaws
    assert all(said in flaw for flaw in flaws)


# --- the matrix


def by_design(who: str, topic: str) -> str:
    """What a principal may do to a topic (letters of ON_TOPICS), from the table of the design."""
    agency, _, generation = who.partition("#")
    if topic.startswith("__") or generation == "1":
        return ""
    rows = {line[:23].strip(): (line[23:37].strip(), line[37:].split(", ")) for line in DESIGN.strip().splitlines()}
    writer, readers = rows[topic if topic in rows else kind_of(topic) + "<AGENCY>"]
    roles = {"everyone", agency if generation == "" else "", "auditor" if FENCED.get(agency) == "auditor" else ""}
    roles |= {"that agency"} if topic in (ids.outbox(agency), ids.inbox(agency)) else set()
    acts = "w" * (writer in roles) + "r" * (not roles.isdisjoint(readers))
    # Kafka shows a topic to whoever may write or read it. The relay trims outboxes.
    return acts + "d" * bool(acts) + "t" * (who == "relay" and topic.startswith("out."))


def of_its_own(who: str, thing: str, of_agencies: str, of_the_relay: str) -> bool:
    """Whether a group or transactional id is one of the principal's own: prefixes end where the agency's id does."""
    agency, _, generation = who.partition("#")
    return thing.startswith(of_the_relay if who == "relay" else f"{of_agencies}{agency}.") and generation != "1"


def may(who: str, place: str, thing: str) -> str:
    """The letters of all that a principal may do to a thing; whatever the design does not name is refused."""
    if place == "topics":
        return by_design(who, thing)
    if place == "groups":
        return "moj" if of_its_own(who, thing, "g.", "relay.workers") else ""
    if place == "names":
        return "i" if of_its_own(who, thing, "t.", "relay-") else ""
    # Idempotent writing comes with the right to write anything.
    return "n" if place == "cluster" and not who.endswith("#1") else ""


PLACES: Final[Mapping[str, tuple[Sequence[str], Mapping[str, Act]]]] = {
    "new": (("out.DE-BA.more", "in.DE-BA.more", "out.ZZ-NOBODY", "anything"), {"+": principals.create}),
    "groups": ((*(f"g.{agency}.reader" for agency in FENCED), "g.DE-BA", "g.DE-BA-2", "relay.workers", "loose"), principals.ON_GROUPS),
    "names": ((*(f"t.{agency}.node" for agency in FENCED), "t.DE-BA", "relay-0", "relay-15", "loose"), principals.ON_NAMES),
    "cluster": (("the cluster",), principals.ON_CLUSTER),
}
"""What is tried besides the topics. ``DE-BA-2`` is no agency: it only shows where a prefix ends."""

LEGEND: Final = (
    "topics: w write, r read, d describe, t trim, s show settings, c change settings, p add partitions, X delete; + create\n"
    "groups: m store a position, o read positions, j join, D delete; transactional ids: i claim\n"
    "cluster: n producer id; a, A read and add access rules; q, Q read and set quotas; k, K show and change the node's settings\n"
)

Attempt = tuple[str, str, str, Act]
"""Place, thing, letter, and what is done."""


def attempts(who: str, topics: Sequence[str]) -> list[Attempt]:
    """Everything that a principal tries; deleting comes last, should it ever succeed.

    The relay is not asked to delete outboxes: Kafka has one right for that and for trimming them.
    """
    found = [("topics", topic, act, do) for topic in topics for act, do in principals.ON_TOPICS.items() if act != "X"]
    found += [(place, thing, act, do) for place, (things, acts) in PLACES.items() for thing in things for act, do in acts.items()]
    return [*found, *(("topics", topic, "X", principals.delete) for topic in topics)]


async def tried(caller: Caller | None, who: str, tries: Iterable[Attempt]) -> Matrix:
    """What came of it."""
    return {Cell(who, thing, act): OUT if caller is None else await principals.attempt(do, caller, thing) for _, thing, act, do in tries}


async def moved_to_generation_2(exchange: WholeExchange) -> None:
    """What rotation does at Kafka: the old generation's grants go first."""
    admin = exchange.operator.admin()
    for agency in FENCED:
        await admin.ensure_grants(ids.principal(agency, 1), [])
        await admin.ensure_grants(ids.principal(agency, 2), agency_grants(agency, 2, auditor=agency.startswith("XX-AUDIT")))
    await admin.close()


async def test_only_what_the_design_lists_succeeds(exchange: WholeExchange, tmp_path: Path) -> None:
    """Every principal with every kind of certificate, every topic, group, transactional id and the cluster: each cell as in the design.

    The superseded certificates' connections are open, and in use, since before their generation was replaced. The registrar's
    own attempts, refused nowhere, show that the requests are ones that Kafka would carry out.
    """
    began = time.monotonic()
    certificates = Certificates(exchange, tmp_path)
    strangers = certificates.strangers("DE-BA", [f"{agency}#2" for agency in FENCED])
    topics = [*boxes_of([*FENCED, "SG-CUSTOMS"]), *OWN, "__consumer_offsets", "__transaction_state"]
    async with AsyncExitStack() as stack:
        registrar = await stack.enter_async_context(exchange.caller(exchange.service("registrar")))
        await principals.coordinators_ready(registrar)
        old = {f"{agency}#1": await stack.enter_async_context(exchange.caller(exchange.agency(agency))) for agency in FENCED}
        assert [await principals.write(caller, ids.outbox(who[:-2])) for who, caller in old.items()] == [0, 0, 0]
        await moved_to_generation_2(exchange)
        inside = dict[str, Caller]()
        for agency in FENCED:
            inside[f"{agency}#2"] = await stack.enter_async_context(exchange.caller(certificates.successor(agency)))
            inside[f"{agency}#1"] = old[f"{agency}#1"]
        inside["relay"] = await stack.enter_async_context(exchange.caller(exchange.service("relay")))
        outside = {who: await Caller.opened(exchange.node.bootstrap, tls) for who, tls in strangers.items()}

        callers = {**inside, **outside}
        rows = await asyncio.gather(*(tried(caller, who, attempts(who, topics)) for who, caller in callers.items()))
        found = {cell: answer for row in rows for cell, answer in row.items()}
        wanted = {
            Cell(who, thing, act): OUT if who in outside else YES if act in may(who, place, thing) else NO
            for who in callers
            for place, thing, act, _ in attempts(who, topics)
        }
        asked = sum(answer != OUT for answer in found.values())
        print(f"\n{table(found, LEGEND)}\n{len(found)} cells, {asked} requests, {time.monotonic() - began:.1f} s")
        wrong = differences(found, wanted)
        assert not wrong, "\n".join(wrong)

        await check_what_is_shown(inside)
        harmless = [each for each in attempts("registrar", topics) if each[2] not in "wX" and each[1] != "relay.workers"]
        assert NO not in (await tried(registrar, "registrar", harmless)).values()


async def check_what_is_shown(callers: Mapping[str, Caller]) -> None:
    """Lists show nothing beyond one's own, and an agency cannot tell another's topic from one that is not there."""
    for who, caller in callers.items():
        assert await caller.visible() == {topic for topic in [*boxes_of(AGENCIES), *OWN] if by_design(who, topic)}, who
        assert [group for group in await caller.groups() if not of_its_own(who, group, "g.", "relay.workers")] == [], who
        if who != "relay":
            for act in (principals.write, principals.read, principals.describe, principals.delete):
                assert await act(caller, "in.ZZ-NOBODY") == await act(caller, "in.SG-CUSTOMS")


# --- suspension


class Onlooker:
    """Reads any topic to its end, as the registrar."""

    def __init__(self, inlet: Inlet) -> None:
        self._inlet = inlet

    async def everything(self, topic: str) -> list[Record]:
        """All committed records of a topic's first partition."""
        await self._inlet.assign({(topic, 0): "beginning"})
        end, found = (await self._inlet.ends())[topic, 0], list[Record]()
        while self._inlet.position((topic, 0)) < end:
            found += await self._inlet.poll(max_records=500, timeout=0.5)
        return found

    async def refusals(self, leaf: bytes) -> list[str]:
        """Why the relay refused this message, each time that it did."""
        records = [read_quarantined(record.value) for record in await self.everything(QUARANTINE) if record.value]
        return [each.code for each in records if each.leaf == leaf]

    async def delivered(self, agency: str) -> int:
        """How many parcels (not receipts) lie in an inbox."""
        return sum((record.key or b"").startswith(b"s/") for record in await self.everything(ids.inbox(agency)))


@asynccontextmanager
async def onlooking(exchange: WholeExchange) -> AsyncGenerator[Onlooker]:
    """An onlooker."""
    transport = exchange.operator.transport("registrar")
    try:
        yield Onlooker(await transport.inlet())
    finally:
        await transport.close()


async def delivered_until(member: Member, subject: str) -> list[str]:
    """The subjects of an agency's deliveries, up to this one."""
    taken: list[str] = []

    async def keep(delivery: Delivery) -> Outcome:
        taken.append(delivery.subject)
        return DONE

    transport = member.transport()
    while subject not in taken:
        before = len(taken)
        await member.subscriber(transport).run(keep, limit=1, idle_timeout=5.0)
        assert len(taken) > before, f"{subject} did not come"
    await transport.close()
    return taken


@asynccontextmanager
async def publishing(member: Member) -> AsyncGenerator[Publisher]:
    """An agency's publisher."""
    transport = member.transport()
    publisher = member.publisher(transport)
    try:
        await publisher.start()
        yield publisher
    finally:
        await publisher.close()
        await transport.close()


@asynccontextmanager
async def reading(member: Member) -> AsyncGenerator[Inlet]:
    """An agency's own inbox, read so far."""
    transport = member.transport()
    try:
        inlet = await transport.inlet()
        await inlet.assign({(ids.inbox(member.files.agency), 0): "beginning"})
        await inlet.poll(max_records=10, timeout=0.1)
        yield inlet
    finally:
        await transport.close()


@asynccontextmanager
async def relay_at_work(exchange: WholeExchange) -> AsyncGenerator[RelayWorker]:
    """One relay worker, which must not have ended by itself."""
    worker = exchange.operator.relay(exchange.operator.transport("relay"), "relay-1")
    running = asyncio.create_task(worker.run())
    try:
        await asyncio.wait({running, waiting := asyncio.ensure_future(worker.ready())}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        yield worker
    finally:
        worker.stop()
        await running


async def refused(call: Callable[[], Awaitable[object]]) -> float:
    """The call is refused by Kafka's access control; how long that took, in seconds."""
    began = time.monotonic()
    with pytest.raises(NotAuthorised):
        await call()
    return time.monotonic() - began


def alert(subject: str, to: str) -> Message:
    """An alert to one agency by name."""
    return sample_alert(subject, now_ms=SystemClock().now_ms(), agencies=[to])


async def check_cut_off(caller: Caller, inlet: Inlet, publisher: Publisher) -> list[float]:
    """Connections that were open before a suspension: the very next request of each is refused."""
    assert await principals.write(caller, "out.SG-CUSTOMS") in principals.DENIED
    assert await principals.read(caller, "in.SG-CUSTOMS") in principals.DENIED
    assert await principals.read(caller, DIRECTORY) in principals.DENIED
    assert await caller.visible() == frozenset()
    stored = await refused(lambda: publisher.publish(alert("SG-CUSTOMS/2026/0002", "MY-CUSTOMS")))
    return [stored, await refused(lambda: inlet.poll(max_records=10, timeout=5.0))]


async def test_a_suspended_agency_is_cut_off_and_comes_back(exchange: WholeExchange) -> None:
    """Open connections end, the relay refuses what still lies in the outbox and delivers nothing more; reinstated, all goes on.

    The relay is started once: it learns of each change while it works.
    """
    sg, my = exchange.member("SG-CUSTOMS"), exchange.member("MY-CUSTOMS")
    async with exchange.caller(exchange.agency("SG-CUSTOMS")) as caller:
        async with publishing(sg) as publisher, reading(sg) as inlet:
            left = await publisher.publish(alert("SG-CUSTOMS/2026/0001", "MY-CUSTOMS"))
            assert await principals.read(caller, "in.SG-CUSTOMS") == 0
            began = time.monotonic()
            await exchange.set_standing("SG-CUSTOMS", "suspended")
            took = time.monotonic() - began
            print(f"\nsuspended in {took:.2f} s; publisher and reader refused after", await check_cut_off(caller, inlet, publisher))

        async with onlooking(exchange) as onlooker, relay_at_work(exchange) as relay, publishing(my) as from_my:
            assert await eventually(lambda: onlooker.refusals(left.leaf)) == ["AGENCY_SUSPENDED"]
            receipt = await (await from_my.publish(alert("MY-CUSTOMS/2026/0001", "SG-CUSTOMS"))).receipt(10)
            assert receipt.outcome == "ACCEPTED"
            assert "SG-CUSTOMS" not in [each.agency for each in receipt.recipients]
            assert (await onlooker.delivered("SG-CUSTOMS"), await onlooker.delivered("MY-CUSTOMS")) == (0, 0)

            version = await exchange.set_standing("SG-CUSTOMS", "active")
            async with publishing(sg) as publisher:
                answer = await (await publisher.publish(alert("SG-CUSTOMS/2026/0003", "MY-CUSTOMS"))).receipt(10)
                assert answer.outcome == "ACCEPTED"
                assert "SG-CUSTOMS/2026/0001" not in await delivered_until(my, "SG-CUSTOMS/2026/0003")
                assert "SG-CUSTOMS" in await recipients_from(from_my, 2, version)
                came = await delivered_until(sg, "MY-CUSTOMS/2026/0002")
                missed = came if "MY-CUSTOMS/2026/0001" in came else [*came, *await delivered_until(sg, "MY-CUSTOMS/2026/0001")]
                assert sorted(missed) == ["MY-CUSTOMS/2026/0001", "MY-CUSTOMS/2026/0002"]  # what it missed is served when it is back

            before = await onlooker.delivered("SG-CUSTOMS")
            version = await exchange.set_standing("SG-CUSTOMS", "suspended")
            assert await principals.read(caller, "in.SG-CUSTOMS") in principals.DENIED
            began = time.monotonic()
            assert "SG-CUSTOMS" not in await recipients_from(from_my, 3, version)
            print(f"the relay decides under it {time.monotonic() - began:.2f} s later")
            assert await onlooker.delivered("SG-CUSTOMS") == before
            assert relay.totals["AGENCY_SUSPENDED"] == 1


async def recipients_from(publisher: Publisher, number: int, version: int) -> list[str]:
    """Who gets MY-CUSTOMS' alert of this number, sent again as a new revision until the relay decided it under that directory."""
    revision = 0

    async def decided() -> list[str] | None:
        nonlocal revision
        revision += 1
        message = replace(alert(f"MY-CUSTOMS/2026/{number:04}", "SG-CUSTOMS"), revision=revision)
        receipt = await (await publisher.publish(message)).receipt(10)
        assert receipt.outcome == "ACCEPTED", receipt
        return [each.agency for each in receipt.recipients] if receipt.directory_version >= version else None

    found = await eventually(decided, 5)
    assert found is not None
    return found


# --- quotas


async def test_a_small_quota_slows_down_one_agency_and_no_other(exchange: WholeExchange) -> None:
    """The agency over its quota waits as long as Kafka says; the other writes as much meanwhile and waits for nothing."""
    async with exchange.caller(exchange.agency("NO-CUSTOMS")) as small, exchange.caller(exchange.agency("FI-CUSTOMS")) as free:
        first = await small.produce("out.NO-CUSTOMS", bytes(12 * SMALL))
        assert first.code == 0
        assert 1_000 < first.throttle_ms < 10_000
        began = time.monotonic()
        held_back = asyncio.create_task(small.produce("out.NO-CUSTOMS", b"short"))
        answers = [await free.produce("out.FI-CUSTOMS", bytes(12 * SMALL)) for _ in range(10)]
        assert {(answer.code, answer.throttle_ms) for answer in answers} == {(0, 0)}
        assert not held_back.done()
        others = time.monotonic() - began
        assert (await held_back).code == 0
        waited = time.monotonic() - began
        print(f"\ntold to wait {first.throttle_ms} ms, waited {waited:.2f} s; the other wrote ten times as much in {others:.2f} s")
        assert waited > 0.8 * first.throttle_ms / 1000
