"""The operator's pages over an exchange in memory: what they show, to whom, how they look, and that they show no content."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
import pytest_asyncio
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from playwright.async_api import Browser

from broker import ids
from broker.app import watch
from broker.app.watch import Watch, watching
from broker.errors import BrokerError, ExchangeUnreachable, PositionLost
from broker.exchange.topology import QUARANTINE
from broker.node.gate import Gate
from broker.node.operator.application import operator_application
from broker.node.operator.quarantine import SHOWN
from broker.node.server import listening, serving
from broker.ports import Outgoing, Record, Told
from broker.storage.clock import SystemClock
from broker.storage.node_folder import OPERATOR_ROLES, NodeFolder
from broker.testing.memory import MemoryAdmin, MemoryInlet, MemoryTransport
from tests.support.browser import SIGHTS, axe_flaws, axe_source, header_flaws
from tests.support.console_windows import look_at, operator_window
from tests.support.eventually import eventually
from tests.support.node_clients import in_process
from tests.support.officers import NO_PARTIES, next_bundle, shipped_files
from tests.unit.node.console.conftest import ORIGIN, Officer
from tests.unit.service.conftest import _no_pauses as _no_pauses  # pyright: ignore[reportPrivateUsage]
from tests.unit.service.conftest import world as world
from tests.unit.service.world import World

SECRET: Final = b"<script>a secret of somebody</script>"
PAGES: Final = ("/console/status", "/console/agencies", "/console/quarantine", "/console/rules", "/console/session")


@dataclass
class Pages:
    """The operator's pages, and the certificates of two users."""

    watch: Watch
    folder: NodeFolder
    gate: Gate
    certificates: dict[str, bytes] = field(default_factory=dict[str, bytes])

    def client(self, user: str | None = "operator") -> httpx.AsyncClient:
        """A client of a user's; None: somebody without a certificate."""
        certificate = None if user is None else self.certificates[user]

        async def behind(scope: object, receive: object, send: object) -> None:
            scope["extensions"] = {"tls": {"client_cert": certificate}}  # type: ignore[index]
            await self.gate(scope, receive, send)  # type: ignore[arg-type]

        return httpx.AsyncClient(transport=httpx.ASGITransport(behind, raise_app_exceptions=False), base_url="https://node")  # type: ignore[arg-type]

    def somebody(self, user: str = "operator") -> Officer:
        """Somebody with a browser."""
        return Officer(self.client(user))


@pytest_asyncio.fixture
async def pages(world: World, tmp_path: Path) -> AsyncGenerator[Pages]:
    """The pages over the exchange, with a user of each role."""
    async with watching(world.exchange.operator, every_s=0.02) as looking:
        folder = NodeFolder(tmp_path / "pages", "local", roles=OPERATOR_ROLES, command="broker operator user")
        made = Pages(looking, folder, operator_application(looking, folder))
        for role in OPERATOR_ROLES:
            _, file = folder.add(role, role, ("OPERATIONS",), SystemClock().now_ms())
            assert file is not None
            made.certificates[role] = x509.load_pem_x509_certificate(file.read_bytes()).public_bytes(Encoding.DER)
        yield made


async def test_who_may_look(pages: Pages) -> None:
    """Every page and answer for both roles, and for nobody without a certificate but health and readiness; what is not there is said on
    a page; every page has the headers of a page that shows what is not public."""
    for path in (*PAGES, "/status"):
        for user in (*OPERATOR_ROLES, None):
            async with pages.client(user) as client:
                answer = await client.get(path)
            assert answer.status_code == (401 if user is None else 200), (path, user, answer.text[:300])
            if user is not None and path != "/status":
                assert header_flaws(answer.headers) == [], path
    async with pages.client(None) as client:
        assert (await client.get("/health")).json() == {"status": "ok"}
        assert (await client.get("/ready")).json() == {"status": "ready"}
        assert (await client.get("/console/static/console.css")).status_code == 200
        assert (await client.post("/console/rules", data={"bundle": "{}"}, headers=ORIGIN)).status_code == 401
    async with pages.client() as client:
        missing = await client.get("/console/nothing")
        assert (missing.status_code, missing.json()["code"]) == (404, "NOT_FOUND")
        for wrong in ("/console/quarantine?after=-1", "/console/quarantine?after=x"):
            answer = await client.get(wrong)
            assert (answer.status_code, "BAD_REQUEST" in answer.text) == (400, True)


async def test_what_is_sent_and_refused_shows_by_itself(pages: Pages, world: World) -> None:
    """An alert that is delivered and bytes that are refused are on the pages without anybody's doing: sent, delivered, each shard's worker;
    the refusal with code, place, reason and advice; and nothing of what was sent or refused is in any byte of any page."""
    somebody = pages.somebody()
    await world.agency().publish(world.alert())
    await world.put(SECRET)

    async def shown() -> bool:
        status = (await pages.client().get("/status")).json()
        return status["delivered"] > 0 and status["quarantine"] == 1 and status["lag"] == 0

    await eventually(shown, what="the delivery and the refusal")
    status = (await pages.client().get("/status")).json()
    assert {row["agency"]: row["outbox"] for row in status["agencies"]}["SG-CUSTOMS"] == 2
    assert set(status["workers"].values()) == {"relay-1"}
    assert len(status["workers"]) == status["shards"]
    page = await somebody.get("/console/quarantine")
    for wanted in ("NOT_A_PARCEL", "out.SG-CUSTOMS/0/1", "broker quarantine export out.SG-CUSTOMS/0/1", "a record begins with the bytes"):
        assert wanted in page
    assert "out.SG-CUSTOMS/0/1" not in await somebody.get("/console/quarantine?code=BAD_SIGNATURE")
    for path in PAGES:
        text = await somebody.get(path)
        for content in ("a secret of somebody", "isostatic", "CSQU3054383"):
            assert content not in text, path


async def test_how_far_agencies_have_read(pages: Pages, world: World) -> None:
    """An agency whose node runs has read all of its inbox and said so; one that nobody reads for said nothing, which the page tells."""
    await world.agency().publish(world.alert())
    async with in_process(world.agency("MY-CUSTOMS")):

        def told() -> bool:
            row = next(row for row in pages.watch.sight.agencies if row.agency == "MY-CUSTOMS")
            return row.inbox > 0 and row.unread == 0 and row.read_at is not None

        await eventually(told, what="the word of the node")
    text = await pages.somebody().get("/console/status")
    assert text.count("nothing in the last days") == len(world.rules.directory.agencies) - 1


async def test_a_word_from_a_time_to_come_is_none(pages: Pages, world: World) -> None:
    """An agency says that it has read in a year that no calendar has, another tomorrow: neither counts, and no page or answer fails by it.
    One whose clock is a minute ahead is believed."""
    for agency, at_ms in (("SG-CUSTOMS", 999_999_999_999_999), ("MY-CUSTOMS", world.now + 86_400_000), ("AE-CUSTOMS", world.now + 60_000)):
        await MemoryTransport(world.memory).tell_read(ids.inbox_group(agency), (ids.inbox(agency), 0), 3, at_ms)
    seen = {"AE-CUSTOMS": 3}
    await eventually(lambda: {row.agency: row.read for row in pages.watch.sight.agencies if row.read is not None} == seen, what="the words")
    assert "AE-CUSTOMS" in await pages.somebody().get("/console/status")
    async with pages.client() as client:
        assert (await client.get("/status")).status_code == 200


async def test_words_that_do_not_come_are_not_waited_for(pages: Pages, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """While nobody answers how far agencies have read, what they said last stays, with its time, and all other figures are those of now."""
    await MemoryTransport(world.memory).tell_read(ids.inbox_group("SG-CUSTOMS"), (ids.inbox("SG-CUSTOMS"), 0), 0, world.now)

    def heard() -> bool:
        return any(row.read_at == world.now for row in pages.watch.sight.agencies)

    await eventually(heard, what="the word")

    asked = asyncio.Event()

    async def never(*_: object) -> dict[str, Told]:
        asked.set()
        return await asyncio.get_running_loop().create_future()

    monkeypatch.setattr(MemoryAdmin, "told_read", never)
    await eventually(asked.is_set, what="the question")
    await world.put(SECRET)
    await eventually(lambda: len(pages.watch.overview.refused) == 1, what="the refusal")
    as_of = pages.watch.sight

    def looked() -> bool:
        return pages.watch.sight is not as_of and pages.watch.sight.status["quarantine"] == 1

    await eventually(looked, what="the figures of now")
    assert pages.watch.reachable
    row = next(row for row in pages.watch.sight.agencies if row.agency == "SG-CUSTOMS")
    assert (row.read, row.read_at) == (0, world.now)


async def test_state_that_was_lost_is_read_anew(pages: Pages, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The place of the watch is gone, and the exchange goes away while it reads anew: the process goes on, shows the figures of before
    until all is read, and then those of now."""
    await world.agency().publish(world.alert())
    await eventually(lambda: pages.watch.sight.status["delivered"] > 0, what="the delivery")
    delivered, gone, read = pages.watch.overview.deliveries, asyncio.Event(), MemoryInlet.poll
    faults: list[BrokerError] = [PositionLost("it was trimmed away"), ExchangeUnreachable("no answer"), ExchangeUnreachable("no answer")]

    async def poll(inlet: MemoryInlet, **more: Any) -> Sequence[Record]:
        if faults and (QUARANTINE, 0) in await inlet.ends():
            assert pages.watch.overview.deliveries == delivered
            fault = faults.pop(0)
            if not faults:
                gone.set()
            raise fault
        return await read(inlet, **more)

    monkeypatch.setattr(watch, "AGAIN_S", 0.01)
    monkeypatch.setattr(MemoryInlet, "poll", poll)
    await world.put(SECRET)
    await eventually(gone.is_set, what="the outage")
    await world.put(SECRET + b"2")
    await eventually(lambda: pages.watch.overview.refused_count(world.now) == 2, what="the refusals")
    assert pages.watch.overview.deliveries == delivered
    assert not pages.watch.failed.is_set()


async def test_many_refusals_are_shown_in_turn(pages: Pages, world: World) -> None:
    """More than a page shows: the newest come first, links lead to the others and back, each is shown once."""
    count = SHOWN + 3
    await world.put(*(SECRET + str(number).encode() for number in range(count)))
    await eventually(lambda: len(pages.watch.overview.refused) == count, what="the refusals")
    somebody = pages.somebody()
    places: list[int] = []
    for after in (0, SHOWN):
        text = await somebody.get(f"/console/quarantine?after={after}")
        places += [number for number in range(count) if f'<summary><span class="code">out.SG-CUSTOMS/0/{number}</span>' in text]
        assert (">Older</a>" in text, ">Newer</a>" in text) == (after == 0, after > 0)
    assert sorted(places) == list(range(count))
    assert len(places) == count


async def test_a_shard_without_a_worker_is_told(pages: Pages, world: World) -> None:
    """The relay stops: the page says how many shards nobody holds, and that what is sent is not processed; it starts, and both are gone."""
    somebody = pages.somebody()
    await world.exchange.stop_relay()
    await world.put(SECRET)

    async def waits() -> bool:
        text = await somebody.get("/console/status")
        return "held by no relay worker" in text and '<span class="no">1</span>' in text

    await eventually(waits, what="idle shards and lag on the page")
    await world.exchange.start_relay()

    async def works() -> bool:
        text = await somebody.get("/console/status")
        return "held by no relay worker" not in text and pages.watch.sight.status["lag"] == 0

    await eventually(works, what="a page without trouble")


async def test_an_exchange_that_does_not_answer_is_told(pages: Pages, monkeypatch: pytest.MonkeyPatch) -> None:
    """While it does not answer, what was seen last stays on the pages with a word that it may not be so any more, and readiness says
    degraded; when it answers again, both are gone."""
    somebody = pages.somebody()

    async def away(*_: object) -> dict[str, int]:
        raise ExchangeUnreachable("no answer")

    with monkeypatch.context() as patched:
        patched.setattr(MemoryTransport, "ends", away)
        await eventually(lambda: not pages.watch.reachable, what="the outage")
        for path in PAGES:
            assert "The exchange does not answer" in await somebody.get(path)
        assert "SG-CUSTOMS" in await somebody.get("/console/status")
        async with pages.client(None) as client:
            assert (await client.get("/ready")).json() == {"status": "degraded"}
    await eventually(lambda: pages.watch.reachable, what="the exchange")
    assert "does not answer" not in await somebody.get("/console/status")


async def test_bytes_that_no_relay_wrote_do_not_stop_it(pages: Pages, world: World) -> None:
    """A record of the quarantine that is no CBOR, or no map, is passed over: what comes after it is shown."""
    outlet = await MemoryTransport(world.memory).outlet()
    for value in (b"\xff\xff", b"\x00"):
        await (await outlet.send(Outgoing(QUARANTINE, None, value, 0)))
    await outlet.close()
    await world.put(SECRET)
    await eventually(lambda: len(pages.watch.overview.refused) == 1, what="the refusal")
    assert not pages.watch.failed.is_set()


async def test_members_and_a_bundle_compared(pages: Pages, world: World) -> None:
    """Members with their keys; a proposed bundle in words, refused where it is none, and taken only with the page's own token."""
    somebody = pages.somebody("auditor")
    text = await somebody.get("/console/agencies")
    for wanted in ("SG-CUSTOMS", "STCE-ASEAN", "active", world.key_of("SG-CUSTOMS").kid.hex()[:16]):
        assert wanted in text
    file = await next_bundle(world.exchange.operator, shipped_files(zz=NO_PARTIES))
    hidden = await somebody.form("/console/rules", "/console/rules#main")
    answer = await somebody.client.post("/console/rules", data={**hidden, "bundle": file.text().decode()}, headers=ORIGIN)
    assert answer.status_code == 200, answer.text
    for wanted in ("What version 2 would change", "rule stop-parties (new) stops it", "<ins>"):
        assert wanted in answer.text
    refused = await somebody.client.post("/console/rules", data={**hidden, "bundle": "<script>1</script>"}, headers=ORIGIN)
    assert (refused.status_code, "BAD_BUNDLE" in refused.text, "<script>1" in refused.text) == (422, True, False)
    forged = await somebody.client.post("/console/rules", data={"bundle": "{}"}, headers=ORIGIN)
    assert forged.status_code == 403


async def test_languages(pages: Pages) -> None:
    """The language that is chosen is that of every page; one that is not there is refused. What a console on another port of this host
    remembers in the same browser stays."""
    somebody = pages.somebody()
    hidden = await somebody.form("/console/session", "/console/session")
    wrong = await somebody.post("/console/session", {**hidden, "language": "xx"})
    assert wrong.status_code == 400
    beside = {**ORIGIN, "cookie": "__Host-console-sound=on"}
    chosen = await somebody.client.post("/console/session", data={**hidden, "language": "ar", "keys": "on"}, headers=beside)
    assert (chosen.status_code, chosen.headers["location"]) == (303, "/console/status")
    assert "__Host-console-sound=off" not in str(chosen.headers)
    for path in PAGES:
        assert 'dir="rtl"' in await somebody.get(path)


async def test_every_screen(pages: Pages, world: World, browser: Browser, tmp_path: Path) -> None:
    """Every page on a desk, a telephone, in dark and on paper, in English and Arabic: structure, contrast, nothing cut, nothing said on the
    console, nothing fetched from elsewhere, axe finds nothing; and the page of the exchange renews itself."""
    await world.put(SECRET, SECRET + b"2")
    await eventually(lambda: len(pages.watch.overview.refused) == 2, what="the refusals")
    where, found = listening("127.0.0.1", 0), list[str]()
    pages.folder.prepare(SystemClock().now_ms())
    async with serving(pages.watch, pages.gate, pages.folder, where):
        url = f"https://127.0.0.1:{where.getsockname()[1]}"
        certificate = pages.folder.path / "users" / "operator.pem"
        for sight in (SIGHTS[0], SIGHTS[3], SIGHTS[5]):
            async with operator_window(browser, url, certificate, sight=sight) as visited:
                found += await look_at(visited, PAGES, url, tmp_path)
                assert visited.asked == []
        async with operator_window(browser, url, certificate) as visited:
            await visited.page.goto(f"{url}/console/quarantine")
            await visited.page.locator("summary").first.click()
            found += await axe_flaws(visited, axe_source())
            await visited.page.goto(f"{url}/console/status")
            await world.put(SECRET + b"3")
            await visited.page.wait_for_selector("dd a:text-is('3')")
    assert found == []
