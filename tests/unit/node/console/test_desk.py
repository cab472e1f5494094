"""Working together: assignments, notes, the hand-over of a shift, and filters that are kept."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path
from typing import Final

from broker.node.console.filters import Filter, filter_of
from broker.node.console.watch import Watch
from broker.storage.console_file import NAME
from broker.storage.saved_filters import MOST, SavedFilter, SavedFilters
from tests.support.eventually import eventually
from tests.support.node_clients import InProcess, posted
from tests.unit.node.console.conftest import Officer, held, officer
from tests.unit.service.world import World

HOSTILE: Final = "\"'><script>1</script>"


async def sent(sg: InProcess, my: InProcess, world: World, number: int = 1, **labels: str) -> str:
    """SG-CUSTOMS publishes an alert, and MY-CUSTOMS holds it: the path of its page there."""
    message = posted(world.alert(number))
    message["header"] |= labels
    message["sections"]["equipment"]["units"][0]["id"] = f"CSQU305438{number}"
    async with sg.client() as client:
        assert (await client.post("/messages", json=message)).status_code == 202
    await held(my, message["subject"])
    return f"/console/subjects/{message['subject'].replace('/', '%2F')}"


async def note(who: Officer, path: str, text: str) -> None:
    """Add a note."""
    fields = await who.form(path, f"{path}/notes")
    answer = await who.post(f"{path}/notes", {**fields, "text": text})
    assert answer.status_code == 303, answer.text
    assert (await who.post(f"{path}/notes", {**fields, "text": text})).status_code == 303  # a second click


async def test_a_subject_is_given_to_somebody(sg: InProcess, my: InProcess, world: World) -> None:
    """An officer takes a subject; it is among theirs and no longer among the unassigned, for others as well; it can go on to somebody
    else, who did what and when stays; only people of the node can have it, and nothing of it is sent."""
    path, other = await sent(sg, my, world), await sent(sg, my, world, 2)
    alice, carol = officer(my), officer(my, "supervisor")
    await alice.choose()
    await carol.choose()
    before = my.node.outbox.depth()
    fields = await alice.form(path, f"{path}/assign")
    for name in ("nobody-here", "integrator", "auditor", HOSTILE):
        assert (await alice.post(f"{path}/assign", {**fields, "assignee": name})).status_code == 400, name
    assert (await alice.post(f"{path}/assign", {**fields, "assignee": "officer"})).status_code == 303
    mine = await alice.get("/console/feed?who=mine")
    assert path in mine
    assert other not in mine
    assert "with officer" in await carol.get("/console/feed?all=1")
    unassigned = await carol.get("/console/feed?who=none")
    assert other in unassigned
    assert path not in unassigned
    fields = await carol.form(path, f"{path}/assign")
    await carol.post(f"{path}/assign", {**fields, "assignee": "supervisor"})
    page = await carol.get(path)
    assert "officer gave it to officer" in page
    assert "supervisor gave it to supervisor" in page
    assert path not in await alice.get("/console/feed?who=mine")
    assert my.node.outbox.depth() == before


async def test_notes_go_with_what_was_taken_back(sg: InProcess, my: InProcess, world: World) -> None:
    """Notes are added once for each form, as text, with who and when; for a purpose that the subject is not for they are not shown; after a
    recall the text is gone from page, hand-over and disk, who and when stays, and nothing can be noted any more."""
    path = await sent(sg, my, world)
    alice, carol, eve = officer(my), officer(sg, "supervisor"), officer(my, "supervisor")
    for each, purpose in ((alice, "STC_ENFORCEMENT"), (carol, "STC_ENFORCEMENT"), (eve, "STATISTICS")):
        await each.choose(purpose)
    await note(alice, path, f"seal looks new SECRETWORD {HOSTILE}")
    page = await alice.get(path)
    assert page.count("SECRETWORD") == 1
    assert "<script>1" not in page
    assert "SECRETWORD" in await alice.get("/console/handover")
    assert "SECRETWORD" not in await eve.get("/console/handover")
    token = await eve.form("/console/session", "/console/session")
    assert (await eve.post(f"{path}/notes", {"token": token["token"], "key": "k", "text": "x"})).status_code == 404
    kept = my.gate.inner.state["desk"]  # type: ignore[attr-defined]
    subject = path.rpartition("/")[2].replace("%2F", "/")
    hidden = await carol.form("/console/recalls", "/console/recalls")
    await carol.post("/console/recalls", {**hidden, "subject": subject, "reason": "ERROR", "action": "DELETE"})

    def erased() -> bool:
        row = my.node.reader().row(subject)
        return row is not None and row.state == "ERASED"

    await eventually(erased, what="the recall")
    Watch(my.node, {"desk": kept}).look()
    page = await alice.get(path)
    assert "SECRETWORD" not in page
    assert "erased with its subject" in page
    assert f"{path}/notes" not in page
    assert "SECRETWORD" not in await alice.get("/console/handover")
    folder = my.node.member.files.folder
    for file in folder.glob(f"{NAME}*"):
        assert b"SECRETWORD" not in file.read_bytes(), file
    token = await alice.form("/console/session", "/console/session")
    assert (await alice.post(f"{path}/notes", {"token": token["token"], "key": "k", "text": "x"})).status_code == 400


async def test_a_shift_hands_over(sg: InProcess, my: InProcess, world: World) -> None:
    """The page says what is open, late, with whom, and noted; the next shift takes over with the cases of the last, once, and
    not the one who handed over; what is late stands apart. An auditor sees none of it."""
    path = await sent(sg, my, world, urgency="IMMEDIATE")
    alice, carol = officer(my), officer(my, "supervisor")
    await alice.choose()
    await carol.choose()
    fields = await alice.form(path, f"{path}/assign")
    await alice.post(f"{path}/assign", {**fields, "assignee": "officer"})
    await note(alice, path, "called the terminal")
    hidden = await alice.form("/console/handover", "/console/handover")
    for _ in range(2):
        assert (await alice.post("/console/handover", {**hidden, "text": f"watch the quay {HOSTILE}"})).status_code == 303
    page = await carol.get("/console/handover")
    assert page.count("watch the quay") == 1
    assert "<script>1" not in page
    assert "called the terminal" in page
    assert re.search(r"<h2>Late</h2>\s*<p>None\.</p>", page) is not None
    world.clock.advance(40 * 3_600_000)
    page = await carol.get("/console/handover")
    assert re.search(r"<h2>Late</h2>\s*<p>None\.</p>", page) is None
    assert "called the terminal" not in page
    assert "called the terminal" in await carol.get("/console/handover?hours=72")
    action = re.search(r'action="(/console/handover/\d+)"', page)
    assert action is not None
    token = await alice.form("/console/session", "/console/session")
    assert (await alice.post(action[1], {"token": token["token"]})).status_code == 403
    token = await carol.form("/console/handover", action[1])
    assert (await carol.post(action[1], {**token, "cases": "on"})).status_code == 303
    page = await alice.get("/console/handover")
    assert "taken over by supervisor" in page
    assert path in await carol.get("/console/feed?who=mine")
    dora = officer(my, "auditor")
    await dora.choose()
    assert (await dora.client.get("/console/handover")).status_code == 403


def test_a_filter_is_its_query() -> None:
    """What is no value of a field is left out, several values may stand in one, and the query reads back as the same filter."""
    found = filter_of([
        ("urgency", "FLASH"), ("urgency", "LOUD"), ("category", "DUAL_USE"), ("hs", "847989, 93;x"), ("origin", "de nl"),
        ("zone", "AEJEA-1"), ("originator", "SG-CUSTOMS'--"), ("who", "hers"), ("destination", HOSTILE), ("nonsense", "1"),
    ])  # fmt: skip
    assert found == Filter(urgency=("FLASH",), category=("DUAL_USE",), hs=("84", "93"), origin=("DE", "NL"), zone=("AEJEA-1",))
    assert filter_of(part.split("=") for part in found.query.split("&")) == found  # type: ignore[misc]
    assert (Filter().query, filter_of([("all", "1")])) == ("all=1", Filter())


async def test_filters_of_the_feed(sg: InProcess, my: InProcess, world: World) -> None:
    """By urgency, category, chapter, route, zone and originator, each alone finds the alert or leaves it out; the live feed sends what the
    filter lets through; what is withheld is counted whatever the filter."""
    path = await sent(sg, my, world, urgency="FLASH")
    alice, eve = officer(my), officer(my, "supervisor")
    await alice.choose()
    await eve.choose("STATISTICS")
    fitting = ("urgency=FLASH", "category=DUAL_USE", "hs=84", "origin=DE", "transit=SG", "originator=SG-CUSTOMS", "hs=93+84&origin=DE")
    other = ("urgency=ROUTINE", "category=SALW", "hs=93", "origin=SG", "transit=DE", "destination=DE", "originator=DE-BAFA", "zone=XX")
    for query in fitting:
        assert path in await alice.get(f"/console/feed?{query}"), query
    for query in other:
        assert path not in await alice.get(f"/console/feed?{query}"), query
    assert "1 message is here and is not shown" in await eve.get("/console/feed?category=SALW")


async def test_a_filter_is_kept_under_a_name(sg: InProcess, my: InProcess, world: World) -> None:
    """It is the user's own, the feed begins with the one that is first, and it can be let go of; its name is text."""
    path = await sent(sg, my, world)
    alice, carol = officer(my), officer(my, "supervisor")
    await alice.choose()
    await carol.choose()
    fields = await alice.form("/console/feed?hs=93", "/console/filters")
    assert fields["query"] == "hs=93"
    assert (await alice.post("/console/filters", {**fields, "name": ""})).status_code == 400
    kept = await alice.post("/console/filters", {**fields, "name": f"arms {HOSTILE}", "first": "on"})
    assert kept.headers["location"] == "/console/feed?hs=93"
    page = await alice.get("/console/feed")
    assert path not in page
    assert "<script>1" not in page
    assert 'sse-connect="/console/feed/events?hs=93"' in page
    assert path in await alice.get("/console/feed?all=1")
    assert path in await carol.get("/console/feed")
    await alice.post("/console/filters", {**fields, "name": f"arms {HOSTILE}", "do": "drop"})
    assert path in await alice.get("/console/feed")


def test_filters_are_on_the_disk(tmp_path: Path) -> None:
    """They are there after a restart, one alone is first, and there is a most of them."""
    file = tmp_path / NAME
    before = SavedFilters(file)
    for number in range(MOST):
        assert before.keep("alice", SavedFilter(f"{number:02}", "hs=93", first=True))
    assert not before.keep("alice", SavedFilter("more", "hs=93", first=False))
    assert before.keep("alice", SavedFilter("00", "hs=84", first=False))
    before.close()
    after = SavedFilters(file)
    assert [each.name for each in after.of("alice") if each.first] == [f"{MOST - 1:02}"]
    assert after.of("alice")[0].query == "hs=84"
    assert after.of("bob") == []
    after.close()
    assert file.stat().st_mode & 0o077 == 0
    with sqlite3.connect(file) as plain:
        assert plain.execute("SELECT count(*) FROM saved_filter").fetchone() == (MOST,)
    plain.close()
