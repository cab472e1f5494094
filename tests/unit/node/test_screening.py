"""Screening over HTTP: tables with mappings that are kept, and bodies that are answered while they come."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator

import pytest

from broker.node import gate
from broker.node import screening as routes
from tests.support.eventually import eventually
from tests.support.node_clients import PURPOSE, InProcess, Json, Served
from tests.unit.service.world import World

MAPPING = '[shipment]\nreference = "{No}"\nunits = [{ id = "{Container}" }]\n'
TOML = {"Content-Type": "application/toml"}
CSV = {"Content-Type": "text/csv"}
BOX = "CSQU3054383"


async def an_alert(my: InProcess, world: World) -> None:
    await world.agency().publish(world.alert(1))
    await eventually(lambda: my.node.reader().row(world.alert(1).subject), what="the alert in the register")


def told(body: str) -> list[Json]:
    return [json.loads(line) for line in body.splitlines()]


async def test_mappings_are_kept(my: InProcess) -> None:
    """A mapping is read before it is kept, replaced, listed and removed; a name that leads elsewhere is none, nor is a text without one."""
    async with my.client("supervisor") as client:
        assert (await client.put("/mappings/screen/boxes", content=MAPPING, headers=TOML)).json()["new"] is True
        assert (await client.put("/mappings/screen/boxes", content=MAPPING, headers=TOML)).json()["new"] is False
        assert (await client.get("/mappings")).json()["mappings"] == [{"kind": "screen", "name": "boxes"}]
        assert (await client.get("/mappings/screen/boxes")).json()["text"] == MAPPING
        for name in ("..%2F..%2Fusers", "..", "A", "a" * 64, "a.b"):
            assert (await client.put(f"/mappings/screen/{name}", content=MAPPING, headers=TOML)).status_code in (400, 404, 405), name
        for bad in (b"", b"[shipment", b"\xff", b'[shipment]\nunits = "{A}"', b"x" * 300_000):
            answer = await client.put("/mappings/screen/other", content=bad, headers=TOML)
            assert answer.status_code in (400, 413), bad[:20]
        assert (await client.put("/mappings/screen/other", content=MAPPING)).status_code == 415
        assert (await client.put("/mappings/import/boxes", content=MAPPING, headers=TOML)).status_code == 400
        assert (await client.get("/mappings/screen/other")).json()["code"] == "NO_MAPPING"
        assert (await client.delete("/mappings/screen/boxes")).json()["removed"] is True
        assert (await client.get("/mappings")).json()["mappings"] == []


async def test_tables_are_screened(my: InProcess, world: World) -> None:
    """A CSV body is read by the mapping that the request names; without one it is told what is missing, with one that is none it is 404."""
    await an_alert(my, world)
    table = f"No,Container\nA,{BOX}\nB\nC,MSKU9070323\n".encode()
    async with my.client("supervisor") as client:
        await client.put("/mappings/screen/boxes", content=MAPPING, headers=TOML)
        found = (await client.post("/screen?mapping=boxes", content=table, headers=CSV)).json()
        assert [(each["type"], each["line"]) for each in found["results"]] == [("hit", 2), ("bad_row", 3)]
        without = (await client.post("/screen?format=csv", content=table, headers=CSV)).json()
        assert [each["code"] for each in without["results"]] == ["NO_MAPPING"]
        assert (await client.post("/screen?mapping=other", content=table, headers=CSV)).json()["code"] == "NO_MAPPING"
        lines = told((await client.post("/screen/stream?mapping=boxes", content=table, headers=CSV)).text)
    assert [each["type"] for each in lines] == ["hit", "bad_row", "summary"]
    assert (lines[-1]["rows"], lines[-1]["withheld"], lines[-1]["agency"]) == (3, [], "MY-CUSTOMS")


async def test_a_stream_is_answered_as_it_comes(served: Served, world: World) -> None:
    """A hit is told while the client still holds back the rest of its body; many rows are counted, and the summary is last."""
    await an_alert(served.made, world)
    go_on = asyncio.Event()

    async def rows() -> AsyncIterator[bytes]:
        yield json.dumps({"reference": "A", "units": [{"id": BOX}]}).encode() + b"\n"
        await asyncio.wait_for(go_on.wait(), 20)
        for number in range(40):
            yield b"".join(b'{"reference": "%d", "units": [{"id": "MSKU9070323"}]}\n' % (100 * number + each) for each in range(100))
        yield b'{"reference": "Z"'

    reader, writer = await asyncio.open_connection("127.0.0.1", served.port, ssl=served.tls("officer"))
    head = f"POST /screen/stream HTTP/1.1\r\nHost: x\r\nBroker-Purpose: {PURPOSE}\r\nContent-Type: application/jsonl\r\n"
    writer.write(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode())
    lines: list[Json] = []
    async for piece in rows():
        writer.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        await writer.drain()
        while not lines:
            line = await asyncio.wait_for(reader.readline(), 20)
            if line.startswith(b"{"):
                lines.append(json.loads(line))
                go_on.set()
    writer.write(b"0\r\n\r\n")
    while not lines or lines[-1]["type"] != "summary":
        line = await asyncio.wait_for(reader.readline(), 20)
        lines += [json.loads(line)] if line.startswith(b"{") else []
    writer.close()
    assert [each["type"] for each in lines if each["type"] != "progress"] == ["hit", "bad_row", "summary"]
    assert (lines[-1]["rows"], lines[-1]["hits"]) == (4002, 1)


async def test_clients_that_stop_or_vanish(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """A body that stops in its midst is ended with an error as the last line, one whose client vanished is let go of: no turn is lost, and
    when all are taken the next one is told to wait."""
    shared = routes.screenings_of(served.made.gate.inner.state)  # type: ignore[attr-defined]
    head = f"POST /screen/stream HTTP/1.1\r\nHost: x\r\nBroker-Purpose: {PURPOSE}\r\nContent-Length: 999\r\n\r\n".encode()
    opened: list[asyncio.StreamWriter] = []
    for _ in range(routes.STREAMS):
        _, writer = await asyncio.open_connection("127.0.0.1", served.port, ssl=served.tls("officer"))
        writer.write(head + b'{"reference": "A"')
        opened.append(writer)
    await eventually(lambda: shared.streams == routes.STREAMS, what="all turns taken")
    async with served.client() as client:
        answer = await client.post("/screen/stream", content=b"{}")
        assert (answer.status_code, answer.json()["code"]) == (429, "TOO_MANY")
    for writer in opened:
        writer.transport.abort()  # type: ignore[attr-defined]
    await eventually(lambda: shared.streams == 0, what="no turn taken")
    monkeypatch.setattr(gate, "BODY_S", 0.3)
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port, ssl=served.tls("officer"))
    writer.write(head + b'{"reference": "A"}\n')
    said = await asyncio.wait_for(reader.readuntil(b"TOO_SLOW"), 20)
    assert b"bad_row" in said
    writer.close()
    await eventually(lambda: shared.streams == 0, what="no turn taken")


@pytest.mark.parametrize("kind", ["screen", "import"])
@pytest.mark.parametrize(
    "text",
    [".".join(["a"] * 20_000) + " = 1", "[" + ".".join(["a"] * 20_000) + "]", "x = " + "[" * 30_000, "x = " + "9" * 9000, "x" * 100_000],
    ids=["dotted key", "dotted table", "nested lists", "digits", "too long"],
)
async def test_a_mapping_that_would_take_long_to_read_is_refused(shared: InProcess, kind: str, text: str) -> None:
    """Keys of thousands of names, nesting without end, numbers of thousands of digits and more than 64 KiB are refused as what they are,
    at once: within a second, where the reader of TOML takes many for the first of them."""
    began = time.process_time()
    async with shared.client("supervisor") as client:
        answer = await client.put(f"/mappings/{kind}/long", content=text, headers=TOML)
    assert (answer.status_code, answer.json()["code"]) == (400, "USAGE")
    assert time.process_time() - began < 1
