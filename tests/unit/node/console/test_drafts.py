"""Drafts that are changed: by their author, on a supervisor's word or before it, and never behind a supervisor's back."""

from __future__ import annotations

import asyncio
import re
from typing import Any, cast

import pytest

from broker.storage.drafts import Drafts
from tests.support.node_clients import InProcess, posted
from tests.unit.node.console.conftest import Officer, held, officer
from tests.unit.node.console.test_work import ALERT, written
from tests.unit.service.world import World


async def handed(bob: Officer) -> tuple[str, str]:
    """An officer hands an alert over: the draft's path, and its subject."""
    fields, _ = await written(bob, "alert", ALERT)
    answer = await bob.post("/console/compose/alert", {**fields, "do": "send"})
    assert answer.status_code == 303, answer.text
    return answer.headers["location"], fields["subject"]


async def changed(bob: Officer, path: str, **fields: str) -> None:
    """Its author changes it and hands it over again."""
    page = await bob.get(f"{path}/edit")
    kept = dict(re.findall(r'<input type="(?:hidden|text)" name="(\w+)" value="([^"]*)"', page))
    assert kept["containers"] in (ALERT["containers"], fields.get("containers"))
    shown = await bob.post("/console/compose/alert", {**ALERT, **kept, **fields, "do": "preview"})
    seen = re.search(r'name="seen" value="([0-9a-f]+)"', shown.text)
    assert seen is not None, shown.text
    answer = await bob.post("/console/compose/alert", {**ALERT, **kept, **fields, "seen": seen[1], "do": "send"})
    assert (answer.status_code, answer.headers.get("location")) == (303, path), answer.text


async def test_returned_changed_and_sent(sg: InProcess, my: InProcess) -> None:
    """A supervisor returns a draft and has to say why; its author, and nobody else, changes it and hands it over again; it is sent once as
    it was shown last, and who did what, when and why stays, while the content goes."""
    bob, carol = officer(sg), officer(sg, "supervisor")
    await bob.choose()
    await carol.choose()
    path, subject = await handed(bob)
    hidden = await carol.form(path, path)
    silent = await carol.post(path, {**hidden, "do": "return", "reason": ""})
    assert silent.status_code == 422
    assert "say why it is returned" in silent.text
    assert (await carol.post(path, {**hidden, "do": "return", "reason": "wrong box <script>1</script>"})).status_code == 303
    assert path in await bob.get("/console/compose")
    page = await bob.get(path)
    assert "wrong box &lt;script&gt;" in page
    assert (await carol.client.get(f"{path}/edit")).status_code == 403
    await changed(bob, path, containers="MSKU0000007")
    hidden = await carol.form(path, path)
    assert (await carol.post(path, {**hidden, "do": "send"})).status_code == 303
    await held(my, subject)
    arrival = my.node.inbox.about(subject)
    assert [each["id"] for each in (arrival[0].body or {})["sections"]["equipment"]["units"]] == ["MSKU0000007"]
    page = await carol.get(path)
    for told in ("handed over", "returned", "wrong box", "changed and handed over again", "approved and sent"):
        assert told in page, told
    assert "MSKU0000007" not in page
    assert (await bob.client.get(f"{path}/edit")).status_code == 403


class Held:
    """The outbox of a node that takes messages when it is told to."""

    def __init__(self, node: InProcess) -> None:
        self._keep, self.asked, self.go_on = node.node.outbox.keep, asyncio.Event(), asyncio.Event()

    async def keep(self, *arguments: Any) -> None:
        """As the outbox's own, when it is time."""
        self.asked.set()
        await self.go_on.wait()
        await self._keep(*arguments)


async def test_what_is_being_sent_stays_as_it_was_approved(sg: InProcess, my: InProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the outbox is about to take a draft, its author can neither change it nor let go of it, and a second supervisor does not
    send it too: what was approved arrives, once, and the draft says so."""
    sg.add("dora", "supervisor")
    bob, carol, dora = officer(sg), officer(sg, "supervisor"), officer(sg, "dora")
    for each in (bob, carol, dora):
        await each.choose()
    path, subject = await handed(bob)
    hidden, others, own = await carol.form(path, path), await dora.form(path, path), await bob.form(path, f"{path}/drop")
    held_back = Held(sg)
    monkeypatch.setattr(sg.node.outbox, "keep", held_back.keep)
    sending = asyncio.create_task(carol.post(path, {**hidden, "do": "send"}))
    await held_back.asked.wait()
    assert "Is being sent" in await bob.get(path)
    assert (await bob.client.get(f"{path}/edit")).status_code == 403
    assert (await bob.post(f"{path}/drop", own)).headers["location"] == path
    for do in ("send", "return"):
        assert (await dora.post(path, {**others, "do": do, "reason": "no"})).headers["location"] == path
    assert "Is being sent" in await bob.get(path)
    held_back.go_on.set()
    assert (await sending).headers["location"].startswith("/console/outbox/")
    await held(my, subject)
    assert "Approved and sent" in await bob.get(path)
    assert len(my.node.inbox.about(subject)) == 1


async def test_a_process_that_ends_while_it_sends(sg: InProcess, my: InProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends before the outbox has the draft: it waits again, and is sent once. It ends after: the draft is known to be sent, to whoever
    looks first, and by no hand is it sent again."""
    bob, carol = officer(sg), officer(sg, "supervisor")
    await bob.choose()
    await carol.choose()

    async def dies(*_: Any) -> None:
        raise RuntimeError("the process ends")

    for after in (False, True):
        path, subject = await handed(bob)
        hidden = await carol.form(path, path)
        with monkeypatch.context() as patched:
            if after:
                patched.setattr(Drafts, "sent", dies_now)
            else:
                patched.setattr(sg.node.outbox, "keep", dies)
                patched.setattr(Drafts, "wait", dies_now)
            assert (await carol.post(path, {**hidden, "do": "send"})).status_code == 500
        assert (path in await bob.get("/console/compose")) == (not after)
        page = await bob.get(path)
        assert ("Approved and sent" if after else "Waits for a supervisor") in page
        again = await carol.post(path, {**hidden, "do": "send"})
        assert again.headers["location"].startswith(path if after else "/console/outbox/")
        await held(my, subject)
        assert len(my.node.inbox.about(subject)) == 1


def dies_now(*_: object) -> None:
    """The process ends."""
    raise RuntimeError("the process ends")


async def test_a_node_that_stops_while_it_sends(sg: InProcess, my: InProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits for its turn in the outbox is taken by it when the node stops, though nobody waits for the answer any more. Till then the
    draft is nobody's to send or to change; the next process finds it sent, and it arrives once."""
    bob, carol = officer(sg), officer(sg, "supervisor")
    await bob.choose()
    await carol.choose()
    path, subject = await handed(bob)
    hidden = await carol.form(path, path)
    held_back, taken = Held(sg), list[asyncio.Task[None]]()

    async def keep(*arguments: Any) -> None:
        taken.append(asyncio.create_task(held_back.keep(*arguments)))
        await asyncio.shield(taken[0])

    monkeypatch.setattr(sg.node.outbox, "keep", keep)
    sending = asyncio.create_task(carol.post(path, {**hidden, "do": "send"}))
    await held_back.asked.wait()
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    assert "Is being sent" in await bob.get(path)
    held_back.go_on.set()
    await taken[0]
    state_of(sg)["sending"].clear()
    assert "Approved and sent" in await bob.get(path)
    await held(my, subject)
    assert len(my.node.inbox.about(subject)) == 1


async def test_an_answer_to_something_else_is_none_to_a_draft(world: World, sg: InProcess, my: InProcess) -> None:
    """A supervisor whose program used the draft's id as a key of its own has sent something else: the draft is not noted as sent, keeps
    what it says, and another supervisor sends it."""
    sg.add("dora", "supervisor")
    bob, dora = officer(sg), officer(sg, "dora")
    await bob.choose()
    await dora.choose()
    path, subject = await handed(bob)
    carol = officer(sg, "supervisor")
    other = posted(world.alert(7))
    told = await carol.client.post(
        "/messages", json=other, headers={"Idempotency-Key": path.rpartition("/")[2], "Broker-Purpose": "STC_ENFORCEMENT"}
    )
    assert told.status_code == 202, told.text
    await carol.choose()
    assert (await carol.post(path, {**await carol.form(path, path), "do": "send"})).status_code == 422
    assert "Waits for a supervisor" in await bob.get(path)
    assert (await dora.post(path, {**await dora.form(path, path), "do": "send"})).headers["location"].startswith("/console/outbox/")
    await held(my, subject)


async def test_what_changes_a_draft_is_not_sent_beside_it(sg: InProcess) -> None:
    """Where its author may send such messages alone by now, a change is the draft's still, and waits: nothing goes out but by approval."""
    bob = officer(sg)
    await bob.choose()
    path, subject = await handed(bob)
    state_of(sg)["approving"] = frozenset[str]()
    await changed(bob, path, containers="MSKU0000007")
    assert sg.node.outbox.last_revision(subject) is None
    assert "Waits for a supervisor" in await bob.get(path)


async def test_a_form_that_was_handed_over_is_not_handed_over_changed(sg: InProcess) -> None:
    """The same again is the same draft; with something else in it, as a browser's way back allows, it is refused rather than let go of."""
    bob = officer(sg)
    await bob.choose()
    fields, _ = await written(bob, "alert", ALERT)
    for _ in range(2):
        answer = await bob.post("/console/compose/alert", {**fields, "do": "send"})
        assert answer.status_code == 303, answer.text
    other = {**fields, "containers": "MSKU0000007"}
    shown = await bob.post("/console/compose/alert", {**other, "do": "preview"})
    seen = re.search(r'name="seen" value="([0-9a-f]+)"', shown.text)
    assert seen is not None
    refused = await bob.post("/console/compose/alert", {**other, "seen": seen[1], "do": "send"})
    assert refused.status_code == 422, refused.text
    assert "handed over before" in refused.text


def state_of(node: InProcess) -> Any:
    """What the routes of a node keep."""
    return cast("Any", node.gate.inner).state


async def test_what_changed_meanwhile_is_shown_again(sg: InProcess) -> None:
    """A supervisor who looked before the author changed it approves nothing; the author can let go of it, and then nothing can be sent."""
    bob, carol = officer(sg), officer(sg, "supervisor")
    await bob.choose()
    await carol.choose()
    path, subject = await handed(bob)
    before = await carol.form(path, path)
    await changed(bob, path, containers="MSKU0000007")
    answer = await carol.post(path, {**before, "do": "send"})
    assert answer.status_code == 200
    assert "Its author has changed it since" in answer.text
    assert sg.node.outbox.last_revision(subject) is None
    token = await carol.form("/console/session", "/console/session")
    assert (await carol.post(f"{path}/drop", {"token": token["token"]})).status_code == 403
    after = await carol.form(path, path)
    own = await bob.form(path, f"{path}/drop")
    assert (await bob.post(f"{path}/drop", own)).status_code == 303
    assert (await carol.post(path, {**after, "do": "send"})).headers["location"] == path
    assert sg.node.outbox.last_revision(subject) is None
    assert "Let go of by its author" in await carol.get(path)
