"""Tables in and views out over HTTP: checked, looked at, published once; exported as streams."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import openpyxl
import pytest

from broker.app import table_imports
from broker.app.table_imports import TableImports
from broker.node import exports, screening
from broker.node.exports import REMEMBERED, Exports, Told
from broker.node.imports import imports_of
from tests.support.eventually import eventually
from tests.support.node_clients import PURPOSE, InProcess, Json

MAPPING = """
family = "alert"
subject = "{@agency}/T/{no}"
required = ["no"]
[header]
urgency = "ROUTINE"
tlp = "AMBER"
purposes = ["STC_ENFORCEMENT"]
audience = { agencies = ["MY-CUSTOMS"] }
valid_until = "2099-01-01T00:00:00Z"
[sections.core]
alert_type = "SHIPMENT"
risk_category = "{kind}"
indicators = [{ code = "END_USE_UNCLEAR" }]
requested_actions = ["ASSESS_ONLY"]
transport_mode = "{mode}"
documents = [{ type = "705", id = "HLCU{no}" }]
"""
TOML = {"Content-Type": "application/toml"}
CSV = {"Content-Type": "text/csv"}
TABLE = "no,kind,mode\n1,DUAL_USE,SEA\n2,MISSILE,AIR\n3,NOTHING,SEA\n4,DUAL_USE,=1+1\n,DUAL_USE,SEA\n"


async def sent(node: InProcess, table: bytes, key: str = "k") -> Json:
    """An import that was checked."""
    async with node.client("supervisor") as client:
        assert (await client.put("/mappings/import/table", content=MAPPING, headers=TOML)).status_code == 200
        answer = await client.post("/imports?mapping=table", content=table, headers=CSV | {"Idempotency-Key": key})
        assert answer.status_code == 202, answer.text
        return await done(node, answer.headers["location"])


async def done(node: InProcess, path: str) -> Json:
    """An import when nothing of it is under way any more."""
    async with node.client("supervisor") as client:
        while True:
            async with client.stream("GET", f"{path}/events") as stream:
                lines = [line async for line in stream.aiter_lines() if line.startswith("data:")]
            last = json.loads(lines[-1].removeprefix("data:"))
            if last["phase"] not in ("checking", "running"):
                found: Json = (await client.get(path)).json()
                return found


async def test_a_table_is_checked_and_published(sg: InProcess, my: InProcess) -> None:
    """What is wrong with each row and who would see the rest is told before anything is sent; then each good row is published once, also
    where the table comes again under the same or another key."""
    found = await sent(sg, TABLE.encode())
    assert (found["phase"], found["rows"]) == ("checked", 5)
    assert found["outcomes"] == {"would be accepted": 2, "refused": 3}, [(each["code"], each["findings"]) for each in found["results"]][:1]
    assert [each["line"] for each in found["results"] if each["outcome"] == "refused"] == [4, 5, 6]
    assert found["who"]["recipients"]["MY-CUSTOMS"]["messages"] == 2
    assert found["who"]["recipients"]["MY-CUSTOMS"]["gets core"] == 2
    assert sg.node.outbox.depth().waiting == 0
    path = f"/imports/{found['id']}"
    async with sg.client("officer") as officer:
        assert (await officer.get(path)).status_code == 404
    async with sg.client("supervisor") as client:
        assert (await client.post(f"{path}/run")).status_code == 202
        ran = await done(sg, path)
        assert (ran["phase"], ran["outcomes"]) == ("done", {"kept": 2, "refused": 3})
        again = await client.post("/imports?mapping=table", content=TABLE.encode(), headers=CSV | {"Idempotency-Key": "k"})
        assert (again.status_code, again.json()["id"], again.json()["phase"]) == (202, found["id"], "done")
        other = await client.post("/imports?mapping=table", content=b"no,kind,mode\n", headers=CSV | {"Idempotency-Key": "k"})
        assert (other.status_code, other.json()["code"]) == (422, "KEY_REUSED")
        second = await sent(sg, TABLE.encode(), "other")
        await client.post(f"/imports/{second['id']}/run")
        assert (await done(sg, f"/imports/{second['id']}"))["outcomes"] == {"duplicate": 2, "refused": 3}
        assert [each["id"] for each in (await client.get("/imports")).json()["imports"]].count(found["id"]) == 1
        assert (await client.delete(path)).json()["removed"] is True
        assert (await client.get(path)).status_code == 404
    await eventually(lambda: my.node.reader().row("SG-CUSTOMS/T/2"), what="the alert at its recipient")


async def test_a_run_that_was_ended_goes_on(sg: InProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process ends between two batches: begun again from its folder, what was kept is passed over and the rest is kept, each once."""
    monkeypatch.setattr(table_imports, "TOGETHER", 4)
    table = "no,kind,mode\n" + "".join(f"{number},DUAL_USE,SEA\n" for number in range(1, 31))
    found = await sent(sg, table.encode())
    kept = sg.node.outbox.keep
    count = 0

    async def ends(*arguments: object) -> None:
        nonlocal count
        count += 1
        if count > 3:
            raise table_imports.UsageError("the node is being stopped", advice="")
        await kept(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(sg.node.outbox, "keep", ends)
    path = f"/imports/{found['id']}"
    async with sg.client("supervisor") as client:
        await client.post(f"{path}/run")
        broken = await done(sg, path)
        assert (broken["phase"], broken["error"]) == ("failed", "the node is being stopped")
        monkeypatch.setattr(sg.node.outbox, "keep", kept)
        state = sg.gate.inner.state  # type: ignore[attr-defined]
        state["imports"] = TableImports(sg.node)
        assert imports_of(state).get(found["id"], "supervisor") is not None
        await client.post(f"{path}/run")
        ran = await done(sg, path)
    assert (ran["rows"], ran["outcomes"]) == (30, {"kept": 30})
    await eventually(lambda: sg.node.outbox.depth().waiting == 0, what="all sent")
    assert len(sg.node.outbox.recent(1000)) == 30


def bomb() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/worksheets/sheet1.xml", b" " * (64 << 20))
    return out.getvalue()


def outside() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("../../users.json", b"{}")
    return out.getvalue()


@pytest.mark.parametrize(
    ("table", "told"),
    [(bomb(), "times its size"), (outside(), "outside the workbook"), (b"", "no header"), (b"PK\x03\x04broken", "broken archive"),
     (b"a,b\n1,2\n", "no column"), ("no,kind,mode\n1,DUAL_USE,SEA\n".encode("utf-16-le"), "UTF-16")],
    ids=["a bomb", "names outside", "nothing", "half an archive", "other columns", "a wrong encoding"],
)  # fmt: skip
async def test_bad_tables(shared: InProcess, table: bytes, told: str) -> None:
    """A table that is none fails with what is wrong with it, and cannot be run; nothing of it is published."""
    found = await sent(shared, table, f"bad {told}")
    assert found["phase"] == "failed"
    assert told in found["error"], found["error"]


async def test_a_workbook(shared: InProcess) -> None:
    """A workbook is read as a table; a formula is remarked and never calculated."""
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    for row in (["no", "kind", "mode"], ["77", "DUAL_USE", "SEA"], ["78", "DUAL_USE", "=1+1"]):
        sheet.append(row)
    out = io.BytesIO()
    book.save(out)
    found = await sent(shared, out.getvalue(), "book")
    assert found["outcomes"] == {"would be accepted": 1, "refused": 1}
    assert "FORMULA" in found["findings"]


async def test_what_is_not_taken(shared: InProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mapping that is not there, a key that is none, and a table that is too long: refused before anything is kept."""
    await sent(shared, TABLE.encode(), "first")
    monkeypatch.setattr(table_imports, "LIMIT", 1000)

    async def long() -> AsyncIterator[bytes]:
        for _ in range(50):
            yield b"x" * 100

    async with shared.client("supervisor") as client:
        assert (await client.post("/imports?mapping=none-such", content=b"x")).json()["code"] == "NO_MAPPING"
        assert (await client.post("/imports", content=b"x")).status_code == 400
        assert (await client.post("/imports?mapping=table", content=b"x", headers={b"Idempotency-Key": "é".encode()})).status_code == 400
        assert (await client.post("/imports?mapping=table", content=long())).json()["code"] == "TOO_LONG"
        assert (await client.get("/imports/..%2F..")).status_code == 404


MARKS = {
    "alerts": b"SG-CUSTOMS/2026/000001", "licences": b"DE-BAFA/2026/L-0815", "inbox": b"SG-CUSTOMS/2026/000001",
    "trace": b"MY-CUSTOMS/2026/000009",
}  # fmt: skip


@pytest.mark.parametrize("form", ["csv", "jsonl", "stix", "cloudevents", "cloudevents-avro"])
@pytest.mark.parametrize("view", ["alerts", "licences", "inbox", "trace"])
async def test_views_are_exported(exporting: InProcess, view: str, form: str) -> None:
    """Every view in every format, with its media type; for another purpose nothing of it is in there."""
    async with exporting.client("officer") as client:
        answer = await client.get(f"/exports/{view}?format={form}")
        other = await client.get(f"/exports/{view}?format={form}", headers={"Broker-Purpose": "STATISTICS"})
    assert answer.status_code == 200
    marked = MARKS[view]
    assert marked in answer.content
    assert view == "trace" or marked not in other.content
    assert f'filename="{view}.' in answer.headers["content-disposition"]
    if form == "stix":
        reports = [each for each in answer.json()["objects"] if each["type"] == "report"]
        assert reports
        assert all(each["object_marking_refs"] for each in reports)


async def _never_begun(my: InProcess, method: str, path: str) -> None:
    """A request whose client takes no byte of the answer, not even its head: what the gate makes of that is a TimeoutError."""
    scope: dict[str, Any] = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "https", "path": path,
        "raw_path": path.encode(), "query_string": b"", "root_path": "", "client": ("127.0.0.1", 1), "server": ("node", 443),
        "headers": [(b"host", b"node"), (b"broker-purpose", PURPOSE.encode())],
    }  # fmt: skip

    async def receive() -> Json:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(_message: Json) -> None:
        raise TimeoutError

    await my.app("officer")(scope, receive, send)


async def test_answers_that_never_begin_keep_no_place(exporting: InProcess) -> None:
    """Clients that ask for an export, or begin a screening, and take nothing of it: their places are given back each time."""
    for _ in range(max(exports.AT_ONCE, screening.STREAMS) + 1):
        await _never_begun(exporting, "GET", "/exports/alerts")
        await _never_begun(exporting, "GET", "/exports/inbox")
        await _never_begun(exporting, "POST", "/screen/stream")
    async with exporting.client("officer") as client:
        for view in ("alerts", "inbox"):
            assert (await client.get(f"/exports/{view}")).status_code == 200
        assert (await client.post("/screen/stream", content=b"{}")).status_code == 200


@pytest.mark.parametrize("view", ["alerts", "licences", "inbox", "trace"])
async def test_what_an_export_left_out_is_told(exporting: InProcess, view: str) -> None:
    """Under the id in its header: whole, so many records, so many messages not opened for the purpose, by rule; to who made it for that
    purpose and to nobody else."""
    async with exporting.client("officer") as client:
        mine = await client.get(f"/exports/{view}")
        other = await client.get(f"/exports/{view}", headers={"Broker-Purpose": "STATISTICS"})
        path = f"/exports/{view}/summary?export="
        told = (await client.get(path + mine.headers["broker-export"])).json()
        for_other = (await client.get(path + other.headers["broker-export"], headers={"Broker-Purpose": "STATISTICS"})).json()
        assert (await client.get(path + other.headers["broker-export"])).json()["code"] == "NOT_FOUND"
        assert (await client.get(path + "0" * 32)).status_code == 404
        assert (await client.get(f"/exports/{view}/summary")).status_code == 400
    async with exporting.client("supervisor") as client:
        assert (await client.get(path + mine.headers["broker-export"])).status_code == 404
    assert (told["state"], told["records"]) == ("whole", len(mine.content.splitlines()))
    assert for_other["records"] == len(other.content.splitlines())
    left = for_other["left_out"]
    assert sum(left["messages_by_rule"].values()) == left["messages"]
    assert view == "trace" or (left["messages"] >= 1 and told["left_out"]["messages"] == 0)


async def test_an_export_that_was_given_up_is_told_so() -> None:
    """A client that vanishes before the end leaves an export that is broken, of which nothing is counted; the oldest are forgotten."""
    kept = Exports()
    told = Told("1", "anna", "alerts", "jsonl", "STC_ENFORCEMENT", "2026-11-29T00:00:00.000Z")
    kept.begin(told)
    kept.end(told)
    assert (kept.open, told.json()["state"], told.json()["left_out"]) == (0, "broken", None)
    for number in range(REMEMBERED):
        kept.begin(replace(told, id=f"n{number}"))
    assert (kept.of("1", "anna"), kept.of("n0", "bert")) == (None, None)
    assert kept.of("n0", "anna") is not None
