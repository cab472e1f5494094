"""Screenings in the console: a file, a few lines, what was found, feedback by one click, and what vanishes again."""

from __future__ import annotations

import pytest
from playwright.async_api import Browser

from broker.node.console import screenings
from broker.node.console.screenings import forgetting
from broker.storage.kept_screenings import RETENTION_MS, KeptScreenings, Screening
from tests.support.browser import SIGHTS
from tests.support.console_windows import look_at, window
from tests.support.eventually import eventually
from tests.support.node_clients import InProcess, Served, posted
from tests.unit.node.console.conftest import ORIGIN, Officer, officer
from tests.unit.node.console.test_browser import HOSTILE, certificate, publish, served, url
from tests.unit.service.world import World

__all__ = ["served"]
BOX = "CSQU3054383"


async def paste(someone: Officer, text: str) -> str:
    """Screen lines; the path of what was found."""
    fields = await someone.form("/console/screenings", "/console/screenings")
    answer = await someone.post("/console/screenings", {**fields, "text": text})
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


def kept_of(my: InProcess) -> KeptScreenings:
    found: KeptScreenings = my.gate.inner.state["screenings"]  # type: ignore[attr-defined]
    return found


async def test_lines_and_feedback(sg: InProcess, my: InProcess, world: World) -> None:
    """A container and a name that are pasted hit the alert; one click tells its owner, and a second one nothing more; for another purpose
    the screening is not there."""
    subject = (await publish(sg, my, world)).rpartition("/")[2].replace("%2F", "/")
    someone = officer(my)
    await someone.choose()
    path = await paste(someone, f"{BOX}\n\n  ISOSTATIC PRES \nnobody at all\n<b>x</b>")
    page = await someone.get(path)
    assert page.count('name="number"') == 2
    assert "Asked for:" in page
    assert "~" in page
    fields = await someone.form(path, f"{path}/feedback")
    done = await someone.post(f"{path}/feedback", {**fields, "result": "NO_MATCH"})
    assert done.status_code == 303
    assert done.headers["location"].startswith(path)
    assert "Feedback was given: No match" in await someone.get(path)
    await eventually(lambda: sg.node.reader().answers(subject), what="the feedback at the alert's owner")
    assert [(each.kind, each.code) for each in sg.node.reader().answers(subject)] == [("FEEDBACK", "NO_MATCH")]
    for wrong in ({"result": "MATCH"}, {"number": "77"}, {"number": "x"}):
        answer = await someone.post(f"{path}/feedback", {**fields, "result": "NO_MATCH", **wrong})
        assert answer.status_code == 400, wrong
    other = officer(my, "supervisor")
    await other.choose("STATISTICS")
    await other.get(path, status=404)
    assert "None." in await other.get("/console/screenings")


async def test_files(sg: InProcess, my: InProcess, world: World) -> None:
    """A file is screened, a table by a mapping that is kept; bad rows are told by line; without a token, an origin or a file nothing is."""
    await publish(sg, my, world)
    supervisor = officer(my, "supervisor")
    await supervisor.choose()
    await my.client("supervisor").put(
        "/mappings/screen/boxes", content='[shipment]\nunits = [{ id = "{Box}" }]', headers={"Content-Type": "application/toml"}
    )
    fields = await supervisor.form("/console/screenings", "/console/screenings/file")

    async def upload(content: bytes, **more: str) -> tuple[int, str]:
        files = {"file": ("<i>a.csv", content)}
        answer = await supervisor.client.post("/console/screenings/file", data={**fields, **more}, files=files, headers=ORIGIN)
        return answer.status_code, answer.headers.get("location", "")

    status, path = await upload(f"Box\n{BOX}\na,b\n".encode(), mapping="boxes")
    assert status == 303
    page = await supervisor.get(path)
    assert "2 rows, 1 hits, 1 bad rows" in page
    assert "line 3" in page
    assert "&lt;i&gt;a.csv" in page
    assert (await upload(b"\x00\xff"))[0] == 303
    assert (await upload(b""))[0] == 422
    assert (await upload(b"x", mapping="none-such"))[0] == 404
    assert (await upload(b"x", token="0"))[0] == 403
    assert (await upload(b"x" * (9 << 20)))[0] == 413
    without = await supervisor.client.post("/console/screenings/file", data=fields, files={"file": ("a", b"{}")})
    assert without.status_code == 403
    assert (await supervisor.post("/console/screenings", {**fields, "text": " \n "})).status_code == 422
    auditor = officer(my, "auditor")
    assert (await auditor.client.get("/console/screenings")).status_code in (303, 403)


async def test_what_is_taken_back_vanishes(sg: InProcess, my: InProcess, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a recall the hit is neither on the page nor in the file, also where nobody looks at the page; screenings end by their time."""
    monkeypatch.setattr(screenings, "SWEEP_S", 0.05)
    subject = (await publish(sg, my, world)).rpartition("/")[2].replace("%2F", "/")
    someone = officer(my)
    await someone.choose()
    path, kept = await paste(someone, BOX), kept_of(my)
    assert kept.subjects() == [subject]
    async with forgetting(my.node, {"screenings": kept}):
        async with sg.client("supervisor") as owner:
            recalled = await owner.post("/recalls", json={"subject": subject, "reason": "ERROR", "action": "DELETE"})
            assert recalled.status_code == 202, recalled.text
        await eventually(lambda: kept.subjects() == [], what="the hit to be erased")
    assert "Nothing is found" in await someone.get(path)
    assert subject not in await someone.get(path)
    old = Screening("old", "STC_ENFORCEMENT", "old", "officer", world.now - RETENTION_MS - 1, {"rows": 0, "hits": 0, "bad_rows": {}}, False)
    kept.keep(old, [])
    assert kept.get("old", "STC_ENFORCEMENT", world.now) is None
    assert [each.id for each in kept.recent("STC_ENFORCEMENT", world.now)] == [path.rpartition("/")[2]]


async def test_what_a_revision_withholds_is_not_quoted_any_more(sg: InProcess, my: InProcess, world: World) -> None:
    """A name hits, and the owner's next revision has no parties: the page of the screening that was kept quotes the name no more, though
    the alert itself is still shown; a hit of the same screening by the container stays."""
    await publish(sg, my, world, description="Quarrington Metals")
    someone = officer(my)
    await someone.choose()
    path = await paste(someone, f"{BOX}\nQuarington Metal")
    assert "Quarrington Metals" in await someone.get(path)
    message = posted(world.alert(1, revision=2))
    del message["sections"]["parties"]
    async with sg.client() as client:
        assert (await client.post("/messages", json=message)).status_code == 202
    subject = message["subject"]
    await eventually(lambda: (row := my.node.reader().row(subject)) is not None and row.revision == 2, what="the revision")
    page = await someone.get(path)
    assert "Quarrington Metals" not in page
    assert BOX in page


async def test_its_pages(sg: InProcess, my: InProcess, served: Served, world: World, browser: Browser) -> None:
    """The list and one screening on every screen and on paper: structure, contrast, nothing cut, axe finds nothing; a name that is markup
    runs nothing; a file is chosen and feedback given as an officer does."""
    await publish(sg, my, world, description=HOSTILE, urgency="FLASH")
    await publish(sg, my, world, 2)
    async with window(browser, url(served), certificate(served)) as visited:
        page = visited.page
        await page.goto(f"{url(served)}/console/screenings")
        await page.fill("textarea[name=text]", f"{BOX}\n{HOSTILE}\nisostatic press")
        await page.click("text=Screen them")
        await page.click("summary:has-text('Why')")
        await page.click("button:has-text('Not located')")
        await page.wait_for_selector("text=Feedback was given")
        path = page.url.removeprefix(url(served)).partition("?")[0].partition("#")[0]
        for each in ("/console/screenings", path):
            found = await look_at(visited, (each,), url(served), sights=SIGHTS)
            assert found == [], "\n".join(found)
            assert await page.evaluate("window.ran") is None
