"""The feed and the page of an alert, as an officer meets them."""

from __future__ import annotations

import httpx

from tests.support.eventually import eventually
from tests.support.node_clients import InProcess, posted
from tests.unit.node.console.conftest import ORIGIN, Officer, held, officer
from tests.unit.service.world import World


async def sent(sg: InProcess, my: InProcess, world: World) -> str:
    """SG-CUSTOMS publishes an alert, and MY-CUSTOMS holds it: its subject."""
    message = world.alert(1)
    async with sg.client() as client:
        assert (await client.post("/messages", json=posted(message))).status_code == 202
    await held(my, message.subject)
    return message.subject


async def test_the_feed_and_an_alert(sg: InProcess, my: InProcess, world: World) -> None:
    """An officer chooses a purpose once, sees the alert in the feed with what is due, opens it, and sees sections, evidence and actions."""
    subject = await sent(sg, my, world)
    alice = officer(my)
    first = await alice.client.get("/console/feed")
    assert (first.status_code, first.headers["location"]) == (303, "/console/session?next=/console/feed")
    chosen = await alice.choose()
    assert (chosen.status_code, chosen.headers["location"]) == (303, "/console/feed")
    feed = await alice.get("/console/feed")
    assert "Dual use" in feed
    assert "CSQU3054383" in feed
    assert "Acknowledge:" in feed
    assert "Purpose: Strategic trade enforcement" in feed
    page = await alice.get(f"/console/subjects/{subject.replace('/', '%2F')}")
    arrival = my.node.inbox.about(subject)[0]
    assert arrival.body is not None
    for wanted in ("Example Trading FZE", "Signatures of the originator", arrival.row.leaf.hex(), arrival.body["proof"]["signer"]):
        assert wanted in page, page
    assert len(arrival.body["proof"]["signer"]) >= 16
    assert len(arrival.body["proof"]["relay"]) >= 16


async def answered(alice: Officer, response: httpx.Response) -> str:
    """Where a form led: the id of a message."""
    assert response.status_code == 303, response.text
    return response.headers["location"].rpartition("/")[2]


async def test_acknowledge_and_feedback_once(sg: InProcess, my: InProcess, world: World) -> None:
    """Both forms come to the owner; a form that is posted twice sends one message; a changed one under the same key is refused."""
    subject = await sent(sg, my, world)
    path = f"/console/subjects/{subject.replace('/', '%2F')}"
    alice = officer(my)
    await alice.choose()
    fields = await alice.form(path, f"{path}/acknowledge")
    await answered(alice, await alice.post(f"{path}/acknowledge", {**fields, "level": "L3"}))
    fields = await alice.form(path, f"{path}/feedback") | {"result": "NO_MATCH"}
    first = await answered(alice, await alice.post(f"{path}/feedback", fields))
    second = await answered(alice, await alice.post(f"{path}/feedback", fields))
    assert first == second
    changed = await alice.post(f"{path}/feedback", {**fields, "result": "NOT_LOCATED"})
    assert changed.status_code == 422
    assert "KEY_REUSED" in changed.text
    await eventually(lambda: {each.kind: each.code for each in sg.node.reader().answers(subject)} == {"ACK": "L3", "FEEDBACK": "NO_MATCH"})


async def test_a_feedback_that_is_refused_keeps_what_was_typed(sg: InProcess, my: InProcess, world: World) -> None:
    """What the exchange's rules refuse is told at the form, with the field, and what was typed stays, as text."""
    subject = await sent(sg, my, world)
    path = f"/console/subjects/{subject.replace('/', '%2F')}"
    alice = officer(my)
    await alice.choose()
    fields = await alice.form(path, f"{path}/feedback")
    answer = await alice.post(f"{path}/feedback", {**fields, "result": "EXAMINED_POSITIVE", "remark": "<script>alert(1)</script>"})
    assert answer.status_code == 422
    assert "core.exam_type" in answer.text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in answer.text
    assert "<script>alert" not in answer.text


async def test_forms_of_other_sites_are_not_taken(sg: InProcess, my: InProcess, world: World) -> None:
    """Without the token, with another user's, without an origin or with a foreign one, nothing is sent."""
    subject = await sent(sg, my, world)
    path = f"/console/subjects/{subject.replace('/', '%2F')}"
    alice, bob = officer(my), officer(my, "supervisor")
    await alice.choose()
    await bob.choose()
    fields = await alice.form(path, f"{path}/acknowledge") | {"level": "L3"}
    foreign = (await bob.form(path, f"{path}/acknowledge"))["token"]
    before = my.node.outbox.depth()
    attempts = [
        await alice.post(f"{path}/acknowledge", {**fields, "token": ""}),
        await alice.post(f"{path}/acknowledge", {**fields, "token": foreign}),
        await alice.client.post(f"{path}/acknowledge", data=fields),
        await alice.client.post(f"{path}/acknowledge", data=fields, headers={**ORIGIN, "origin": "https://elsewhere"}),
        await alice.client.post(f"{path}/acknowledge", data=fields, headers={**ORIGIN, "sec-fetch-site": "cross-site"}),
    ]
    assert [each.status_code for each in attempts] == [403] * 5
    assert my.node.outbox.depth() == before


async def test_a_purpose_that_the_message_is_not_for(sg: InProcess, my: InProcess, world: World) -> None:
    """For another purpose the feed says how many are not shown, and the page why; no content is there. A header cannot change it."""
    subject = await sent(sg, my, world)
    alice = officer(my)
    await alice.choose("STATISTICS")
    feed = await alice.get("/console/feed")
    assert "1 message is here and is not shown" in feed
    assert "CSQU3054383" not in feed
    page = await alice.client.get(f"/console/subjects/{subject.replace('/', '%2F')}", headers={"Broker-Purpose": "STC_ENFORCEMENT"})
    assert page.status_code == 403
    assert "is not shown for this purpose" in page.text
    assert "Example Trading" not in page.text


async def test_three_languages(sg: InProcess, my: InProcess, world: World) -> None:
    """The same page in English, French and Arabic; the last from right to left."""
    await sent(sg, my, world)
    alice = officer(my)
    for language, direction, wanted in (("en", "ltr", "Urgency"), ("fr", "ltr", "Urgence"), ("ar", "rtl", "الاستعجال")):
        await alice.choose(language=language)
        page = await alice.get("/console/feed")
        assert f'<html lang="{language}" dir="{direction}">' in page
        assert wanted in page
