"""Reading over HTTP: the inbox by cursor, alerts, licences, traces; tags; what the rules do not open for a purpose."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace

from litestar.datastructures import State

from broker.families.message import Audience
from broker.node.screening import AT_ONCE, screenings_of
from broker.testing.sample_answers import sample_recall
from broker.testing.sample_reports import sample_licence
from tests.support.eventually import eventually
from tests.support.node_clients import InProcess, Json
from tests.unit.service.world import COMMUNITY, World


async def test_the_inbox_in_pages(my: InProcess, world: World) -> None:
    """Pages join without a gap or a double, `more` and `next` lead through them, and an empty page leads to what comes later."""
    for number in range(1, 6):
        await world.agency().publish(world.alert(number))
    await eventually(lambda: len(my.node.inbox.after(0, 9)) == 5, what="five arrivals")
    seen: list[str] = []
    async with my.client("officer") as client:
        after: dict[str, str] = {}
        while True:
            page = (await client.get("/inbox", params={"limit": 2, **after})).json()
            seen += [each["subject"][-1] for each in page["items"]]
            after = {"after": page["next"]}
            if not page["more"]:
                break
        assert seen == ["1", "2", "3", "4", "5"]
        empty = (await client.get("/inbox", params=after)).json()
        assert (empty["items"], empty["next"], empty["more"]) == ([], after["after"], False)
        await world.agency().publish(world.alert(6))
        await eventually(lambda: len(my.node.inbox.after(0, 9)) == 6, what="the sixth")
        assert [each["subject"][-1] for each in (await client.get("/inbox", params=after)).json()["items"]] == ["6"]
        assert (await client.get("/inbox", params={"after": "now"})).json()["items"] == []
        for bad in ("0", "1001", "x", "-1", "1.5"):
            assert (await client.get("/inbox", params={"limit": bad})).status_code == 400, bad


async def test_tags(my: InProcess, world: World) -> None:
    """The same state has the same tag, and is not sent again to who has it; another state has another."""
    await world.agency().publish(world.alert(1))
    await eventually(lambda: my.node.inbox.after(0, 1), what="an arrival")
    async with my.client("officer") as client:
        one = await client.get("/inbox")
        assert one.headers["etag"].startswith('"')
        for given in (one.headers["etag"], f'"x", W/{one.headers["etag"]}', "*"):
            same = await client.get("/inbox", headers={"If-None-Match": given})
            assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", one.headers["etag"]), given
        await world.agency().publish(world.alert(2))
        await eventually(lambda: len(my.node.inbox.after(0, 9)) == 2, what="another")
        other = await client.get("/inbox", headers={"If-None-Match": one.headers["etag"]})
        assert (other.status_code, other.headers["etag"] != one.headers["etag"]) == (200, True)
        statistics = await client.get("/inbox", headers={"Broker-Purpose": "STATISTICS", "If-None-Match": other.headers["etag"]})
        assert (statistics.status_code, {each["kind"] for each in statistics.json()["items"]}) == (200, {"withheld"})


async def test_alerts_are_found(my: InProcess, world: World) -> None:
    """By what they hold, together; nothing given, or signs only: 400; for another purpose only that something is there is told."""
    await world.agency().publish(world.alert(1))
    await eventually(lambda: my.node.reader().row(world.alert(1).subject), what="the alert in the register")
    async with my.client("officer") as client:
        found = (await client.get("/alerts", params={"container": "csqu 305438-3", "hs": "84"})).json()
        assert [each["subject"] for each in found["alerts"]] == [world.alert(1).subject]
        assert (found["withheld"], found["reachable"]) == ([], True)
        assert found["as_of"]
        assert (await client.get("/alerts", params={"container": "CSQU3054383", "party": "nobody"})).json()["alerts"] == []
        for bad in ({}, {"container": "%"}, {"container": "x" * 201}, {"ended": "maybe", "hs": "84"}):
            assert (await client.get("/alerts", params=bad)).status_code == 400, bad
        other = (await client.get("/alerts", params={"hs": "84"}, headers={"Broker-Purpose": "STATISTICS"})).json()
        assert (other["alerts"], [each["subject"] for each in other["withheld"]]) == ([], [world.alert(1).subject])


async def test_licences(my: InProcess, world: World) -> None:
    """One and many, in the order asked; unknown ones are told as unknown; a number with a slash is one segment."""
    bafa = await world.exchange.join("DE-BAFA", "licensing", [COMMUNITY])
    licence = replace(sample_licence(), audience=Audience(agencies=("MY-CUSTOMS",)))
    assert (await bafa.publish(licence)).outcome == "ACCEPTED"
    await eventually(lambda: my.node.reader().licence("2026-0815", world.now), what="the licence")
    async with my.client("officer") as client:
        one = (await client.get("/licences/2026%2F0815")).json()
        assert (one["licence_no"], one["known"], one["licences"][0]["authority"]) == ("2026/0815", True, "DE-BAFA")
        assert (await client.get("/licences/%2F.%2F")).status_code == 400
        numbers = ["none", "2026 0815", "/./"]
        many = (await client.post("/licences/status", json={"numbers": numbers})).json()
        assert [each["licence_no"] for each in many["results"]] == numbers
        assert [each["known"] for each in many["results"]] == [False, True, False]
        assert many["results"][1]["licences"][0]["status"] == one["licences"][0]["status"]
        thousand = await client.post("/licences/status", json={"numbers": ["2026-0815"] * 1000})
        assert len(thousand.json()["results"]) == 1000
        wrong: list[Json] = [{"numbers": ["1"] * 1001}, {"numbers": []}, {"numbers": [1]}, {"numbers": "1"}, {}, {"numbers": ["1"], "x": 1}]
        for bad in wrong:
            assert (await client.post("/licences/status", json=bad)).status_code == 400, str(bad)[:40]


async def test_traces_are_the_owners(my: InProcess) -> None:
    """Another's subject is not traced, whether it is there or not; what is no subject is told."""
    async with my.client("auditor") as client:
        assert (await client.get("/subjects/SG-CUSTOMS%2F2026%2F1/trace")).status_code == 404
        assert (await client.get("/subjects/MY-CUSTOMS%2F2026%2F1/trace")).json()["recipients"] == []
        assert (await client.get("/subjects/..%2F..%2Fetc/trace")).status_code == 400
        assert (await client.get("/subjects/MY-CUSTOMS/2026/1/trace")).status_code == 404


async def test_some_screenings_at_a_time(my: InProcess, world: World) -> None:
    """While as many requests as may be are screened another waits for its turn, and is answered then: nobody takes all threads."""
    shared = screenings_of(State({"node": my.node}))
    async with AsyncExitStack() as turns:
        for _ in range(AT_ONCE):
            await turns.enter_async_context(shared.turns)
        last = asyncio.create_task(shared.turns.acquire())
        await asyncio.sleep(0)
        assert not last.done()
    assert await last


async def test_screenings_see_what_came_and_what_went(my: InProcess, world: World) -> None:
    """Many at once, before an alert, with it, and after its recall: each sees the register of its moment, by a name alone."""
    named = {"reference": "A", "parties": [{"role": "CONSIGNEE", "name": "Exampel Trading FZE"}]}

    async def hits() -> set[int]:
        found = await asyncio.gather(*(client.post("/screen", json=named) for _ in range(6)))
        return {each.json()["counts"]["hits"] for each in found}

    async with my.client("integrator") as client:
        assert await hits() == {0}
        alert = world.alert(1)
        await world.agency().publish(alert)
        await eventually(lambda: my.node.reader().row(alert.subject), what="the alert in the register")
        assert await hits() == {1}
        await world.agency().publish(sample_recall(alert.subject, agencies=["MY-CUSTOMS"], now_ms=world.now, revision=2))
        await eventually(lambda: (row := my.node.reader().row(alert.subject)) and row.state == "ERASED", what="the recall in the register")
        assert await hits() == {0}


async def test_shipments_are_screened(my: InProcess, world: World) -> None:
    """A shipment in the container of an alert is a hit with reason and requested action, whatever lies beside it; a line that is none is
    told with its number; for a purpose that the alert does not name nothing is told but that something is there; any bytes are answered."""
    await world.agency().publish(world.alert(1))
    await eventually(lambda: my.node.reader().row(world.alert(1).subject), what="the alert in the register")
    lines = b'{"reference": "A", "units": [{"id": "CSQU3054383"}]}\n{"reference": \n{"reference": "B", "units": [{"id": "CSQU3054384"}]}\n'
    lined = {"Content-Type": "application/jsonl"}
    async with my.client("integrator") as client:
        found = (await client.post("/screen", content=lines, headers=lined)).json()
        hit, bad = found["results"]
        assert (hit["type"], hit["subject"], hit["reference"], hit["requested_actions"]) == ("hit", world.alert(1).subject, "A", ["HOLD"])
        assert (bad["type"], bad["line"]) == ("bad_row", 2)
        assert (found["counts"]["rows"], found["counts"]["hits"], found["more"], found["withheld"]) == (3, 1, False, [])
        other = (await client.post("/screen", content=lines, headers=lined | {"Broker-Purpose": "STATISTICS"})).json()
        assert [each["type"] for each in other["results"]] == ["bad_row"]
        told = (await client.post("/screen?findings=true", content=lines, headers=lined)).json()
        assert "finding" in {each["type"] for each in told["results"]}
        for body in (b"", b"\x00\xff" * 50, b"<!DOCTYPE x [<!ENTITY a 'b'>]><x>&a;</x>", b"UNB+", b"[" * 100_000):
            answer = await client.post("/screen", content=body, headers={"Content-Type": "application/xml"})
            assert (answer.status_code, answer.json()["counts"]["hits"]) == (200, 0), body[:20]
        for bad_threshold in ("0", "101", "x"):
            assert (await client.post(f"/screen?threshold={bad_threshold}", content=lines, headers=lined)).status_code == 400
