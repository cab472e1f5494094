"""What happened to an alert, all of it, in order: issued, revised, acknowledged, fed back, asked about, consented, taken back."""

from __future__ import annotations

import json
import re
import sqlite3
from contextlib import closing
from typing import Any

from tests.support.eventually import eventually
from tests.support.node_clients import InProcess, posted
from tests.unit.node.console.conftest import held, officer
from tests.unit.service.world import World

DUE = "2099-01-01T00:00:00Z"


async def say(node: InProcess, path: str, body: dict[str, Any]) -> str:
    """Publish through the API: the message's own subject."""
    async with node.client() as client:
        answer = await client.post(path, json=body)
        assert answer.status_code == 202, answer.text
        return answer.json()["subject"]


async def taken(node: InProcess, subject: str, count: int) -> None:
    """Wait until a register knows so many statements about a subject."""
    await eventually(lambda: len(node.node.reader().answers(subject)) >= count, what=f"{count} statements about {subject}")


async def test_all_that_happened(sg: InProcess, my: InProcess, world: World) -> None:
    """Both agencies see each step once and in order, with who said it and a way to that message; answers to requests stand there too."""
    first = posted(world.alert(1))
    target = first["subject"]
    await say(sg, "/messages", first)
    await held(my, target)
    world.clock.advance(60_000)
    await say(sg, "/messages", posted(world.alert(1, revision=2)))
    await eventually(lambda: (row := my.node.reader().row(target)) is not None and row.revision == 2, what="the revision")
    about = {"target": target, "target_revision": 2}
    steps: list[tuple[InProcess, str, dict[str, Any]]] = [
        (my, "/acks", {**about, "core": {"level": "L3"}}),
        (my, "/feedback", {**about, "core": {"result": "NO_MATCH"}}),
        (my, "/rfis", {**about, "core": {"question_codes": ["END_USE"], "third_party_consent": False, "due": DUE}}),
    ]
    subjects: list[str] = []
    for number, (node, path, body) in enumerate(steps, 1):
        world.clock.advance(60_000)
        subjects.append(await say(node, path, body))
        await taken(sg, target, number)
    world.clock.advance(60_000)
    reply = {
        "family": "rfi_reply", "subject": "SG-CUSTOMS/reply/1", "revision": 1, "sections": {"core": {"status": "NO_DATA"}},
        "header": {"audience": {"agencies": ["MY-CUSTOMS"]}, "correlation": {"target": subjects[2]}},
    }  # fmt: skip
    await eventually(lambda: sg.node.reader().row(subjects[2]), what="the request")
    await say(sg, "/messages", reply)
    await taken(my, subjects[2], 1)
    await taken(sg, subjects[2], 1)
    world.clock.advance(60_000)
    wish = {"family": "consent_request", **about, "core": {"recipients": ["AE-CUSTOMS"], "evidential_use": False, "period_until": DUE}}
    asked = await say(my, "/consents", wish)
    await taken(sg, target, 4)
    await taken(my, target, 4)  # its own requests come into its register by another way
    leave = {"decision": "GRANT", "consented_subject": target, "recipients": ["AE-CUSTOMS"], "period_until": DUE}
    await say(sg, "/consents", {"family": "consent_reply", "target": asked, "core": leave})
    await taken(my, asked, 1)
    await taken(sg, asked, 1)
    wanted = [
        "SG-CUSTOMS issued revision 1", "SG-CUSTOMS revised it: revision 2", "Acknowledgement taken in", "Feedback No match",
        "Request for information", "Answer to a request Nothing is known", "Request for consent", "Answer on consent granted",
    ]  # fmt: skip
    alice, bob = officer(my), officer(sg)
    await alice.choose()
    await bob.choose()
    path = f"/console/subjects/{target.replace('/', '%2F')}"
    page = await alice.get(path)
    for each in wanted:
        assert timeline(page).count(each) == 1, (each, timeline(page))
    places = [timeline(page).index(each) for each in wanted]
    assert places == sorted(places)
    assert timeline(page).count("came here, verified") == 2
    own = timeline(await bob.get(path))
    assert [each for each in wanted[1:] if own.count(each) != 1] == []
    for link in set(re.findall(r'<ol class="time">.*?</ol>', page, re.DOTALL)[-1].split('href="')[1:]):
        await alice.get(link.partition('"')[0])
    await say(sg, "/recalls", {"subject": target, "reason": "ERROR", "action": "DELETE"})

    async def taken_back() -> bool:
        return "The owner took it back" in timeline(await alice.get(path))

    await eventually(taken_back, what="the recall on the page")
    text = timeline(await alice.get(path))
    assert text.count("The owner took it back") == 1
    assert "Content erased here" in text


async def test_what_was_said_in_a_core_that_is_withheld(sg: InProcess, my: InProcess, world: World) -> None:
    """A feedback and an answer to a request that are here for the purpose of another section alone: that they were given is told, and not
    what their cores say; for their own purpose it is."""
    first = posted(world.alert(1))
    target = first["subject"]
    await say(sg, "/messages", first)
    await held(my, target)
    about = {"target": target, "target_revision": 1}
    said = [await say(my, "/feedback", {**about, "core": {"result": "NO_MATCH"}})]
    request = await say(my, "/rfis", {**about, "core": {"question_codes": ["END_USE"], "third_party_consent": False, "due": DUE}})
    await eventually(lambda: sg.node.reader().row(request), what="the request")
    reply = {
        "family": "rfi_reply", "subject": "SG-CUSTOMS/reply/1", "revision": 1,
        "sections": {"core": {"status": "REFUSED", "refusal_ground": "SOVEREIGNTY"}},
        "header": {"audience": {"agencies": ["MY-CUSTOMS"]}, "correlation": {"target": request}},
    }  # fmt: skip
    said.append(await say(sg, "/messages", reply))
    await taken(my, request, 1)
    await taken(my, target, 2)
    labels = {"purposes": ["STC_ENFORCEMENT"], "bound": {"answers": ["LICENSING"]}}
    with closing(sqlite3.connect(my.node.member.files.register_store)) as sql, sql:
        for each in said:
            assert sql.execute("UPDATE subject SET labels = ? WHERE subject = ?", (json.dumps(labels), each)).rowcount == 1
        wider = json.dumps({"purposes": ["STC_ENFORCEMENT", "LICENSING"]})
        sql.execute("UPDATE subject SET labels = ? WHERE subject IN (?, ?)", (wider, target, request))
    alice = officer(my)
    for purpose, count in (("LICENSING", 0), ("STC_ENFORCEMENT", 1)):
        await alice.choose(purpose)
        text = timeline(await alice.get(f"/console/subjects/{target.replace('/', '%2F')}"))
        assert (text.count("Feedback"), text.count("No match"), text.count("Refused")) == (1, count, count)
        pages = [await alice.get("/console/requests"), await alice.get(f"/console/requests/{request.replace('/', '%2F')}")]
        for page in pages:
            assert "SG-CUSTOMS</bdi>: " in page
            assert ("withheld" in page) == (count == 0)
        assert ["Refused" in page for page in pages] == [count == 1] * 2


def timeline(page: str) -> str:
    """The text of the page's history."""
    part = page[page.index('id="h-time"') :]
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", part[: part.index("</ol>")]))
