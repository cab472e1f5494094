"""What officers do beyond reading: look up, search, write, approve, recall."""

from __future__ import annotations

import re
from typing import Any, Final

from tests.support.eventually import eventually
from tests.support.node_clients import InProcess, posted
from tests.unit.node.console.conftest import Officer, held, officer
from tests.unit.service.world import World

ALERT: Final = {
    "alert_type": "SHIPMENT", "risk_category": "DUAL_USE", "indicator": "END_USE_UNCLEAR", "requested_actions": "ASSESS_ONLY",
    "transport_mode": "SEA", "document": "HLCU1", "containers": "CSQU3054383", "party": "Example Trading FZE", "party_role": "CONSIGNEE",
    "agencies": "MY-CUSTOMS", "urgency": "PRIORITY", "tlp": "AMBER", "purposes": "STC_ENFORCEMENT", "valid_until": "2099-01-01T00:00",
}  # fmt: skip


async def written(somebody: Officer, kind: str, filled: dict[str, str]) -> tuple[dict[str, str], str]:
    """Fill in a form and ask who will see it: the fields to send, and the page."""
    path = f"/console/compose/{kind}"
    page = await somebody.get(path)
    fields = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', page))
    subject = re.search(r'name="subject" value="([^"]+)"', page)
    assert subject is not None
    fields |= {"subject": subject[1], **filled}
    shown = await somebody.post(path, {**fields, "do": "preview"})
    assert shown.status_code == 200, shown.text
    seen = re.search(r'name="seen" value="([0-9a-f]+)"', shown.text)
    assert seen is not None, shown.text
    return {**fields, "seen": seen[1]}, shown.text


async def test_an_alert_is_shown_then_sent(sg: InProcess, my: InProcess) -> None:
    """A supervisor sees who will see which sections and by which rule, sends it, and it is in the other's feed. A second click on the same
    form sends nothing more."""
    carol, alice = officer(sg, "supervisor"), officer(my)
    await carol.choose()
    await alice.choose()
    fields, page = await written(carol, "alert", ALERT)
    assert "MY-CUSTOMS" in page
    assert "read-parties-customs" in page or "Parties" in page
    first = await carol.post("/console/compose/alert", {**fields, "do": "send"})
    again = await carol.post("/console/compose/alert", {**fields, "do": "send"})
    assert first.status_code == again.status_code == 303, first.text
    assert first.headers["location"] == again.headers["location"]
    await held(my, fields["subject"])
    assert "CSQU3054383" in await alice.get("/console/feed")
    assert len(my.node.inbox.about(fields["subject"])) == 1
    path = first.headers["location"]

    async def accepted() -> bool:
        return "Accepted" in await carol.get(path)

    await eventually(accepted, what="the receipt")
    assert fields["subject"] in await carol.get("/console/outbox")


async def test_what_was_changed_is_shown_again(sg: InProcess) -> None:
    """What is sent is what was shown: with another container, or without a look, the form comes back and nothing goes out."""
    carol = officer(sg, "supervisor")
    await carol.choose()
    fields, _ = await written(carol, "alert", ALERT)
    before = sg.node.outbox.depth()
    changed = await carol.post("/console/compose/alert", {**fields, "containers": "MSKU0000007", "do": "send"})
    assert changed.status_code == 200
    assert "It is not what was shown before" in changed.text
    assert sg.node.outbox.depth() == before
    assert sg.node.outbox.last_revision(fields["subject"]) is None


async def test_a_wrong_form_is_told_by_its_field(sg: InProcess) -> None:
    """An alert without an indicator comes back with the field, and with what was typed, as text."""
    carol = officer(sg, "supervisor")
    await carol.choose()
    fields = await carol.form("/console/compose/alert", "/console/compose/alert#seen")
    typed = {
        **fields,
        **ALERT,
        "subject": "SG-CUSTOMS/2026/9",
        "indicator": "",
        "narrative": "</textarea><script>1</script>",
        "do": "preview",
    }
    answer = await carol.post("/console/compose/alert", typed)
    assert answer.status_code == 422
    assert "core.indicators" in answer.text
    assert "&lt;/textarea&gt;&lt;script&gt;" in answer.text
    assert "<script>1" not in answer.text


async def test_a_hidden_time_of_any_length_is_no_bug(sg: InProcess) -> None:
    """When the form of a licence was begun, made up by hand: digits without end are as if nothing stood there."""
    carol = officer(sg, "supervisor")
    await carol.choose()
    fields = await carol.form("/console/compose/licence", "/console/compose/licence#seen")
    for begun in ("9" * 5000, "-1", "x"):
        answer = await carol.post("/console/compose/licence", {**fields, "licence_no": "1", "begun": begun, "do": "preview"})
        assert answer.status_code in (200, 422), answer.text


async def test_script_in_every_field_is_text(sg: InProcess) -> None:
    """Whatever is typed into whichever field of every form comes back as text: of forms to write, to search, to look up, to take back."""
    carol = officer(sg, "supervisor")
    await carol.choose()
    hostile = "\"'><script>1</script>"
    for path in ("/console/compose/alert", "/console/compose/licence", "/console/recalls"):
        page = await carol.get(path)
        fields = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', page))
        names = set(re.findall(r'<(?:input|select|textarea)[^>]* name="(\w+)"', page)) - set(fields)
        assert len(names) >= 3
        chosen = {"reason": "ERROR", "action": "DELETE"} if path.endswith("recalls") else {}
        for name in sorted(names - set(chosen)):
            answer = await carol.post(path, {**fields, **chosen, name: hostile, "do": "preview"})
            assert answer.status_code in (200, 422), (path, name, answer.text)
            assert "<script>1" not in answer.text, (path, name)
    for path in ("/console/search?by=container&text=", "/console/search?by=", "/console/licences?number=", "/console/session?next="):
        answer = await carol.client.get(path + "%22%27%3E%3Cscript%3E1%3C/script%3E")
        assert answer.status_code < 500
        assert "<script>1" not in answer.text, path


async def test_nobody_is_sent_elsewhere(sg: InProcess) -> None:
    """After the choice of a purpose one goes on to a page of the console, whatever the form says; what is no path there is the feed."""
    carol = officer(sg, "supervisor")
    for wanted in ("https://elsewhere/", "//elsewhere/", "/console/../api", "/console/\\elsewhere", "/console/feed\r\nx: y", "/health"):
        fields = await carol.form("/console/session", "/console/session")
        chosen = {**fields, "next": wanted, "purpose": "LICENSING", "unit": "TUAS", "language": "en"}
        answer = await carol.post("/console/session", chosen)
        assert (answer.status_code, answer.headers["location"]) == (303, "/console/feed"), wanted
        cookie = answer.headers.get_list("set-cookie")
        assert all("Secure" in each and "HttpOnly" in each and "SameSite=strict" in each.replace("Strict", "strict") for each in cookie)


async def test_roles(sg: InProcess) -> None:
    """An auditor sees the outbox and no content; without a certificate there is no page, only a problem."""
    dora = officer(sg, "auditor")
    await dora.choose()
    assert (await dora.client.get("/console/outbox")).status_code == 200
    for path in ("/console/feed", "/console/search", "/console/compose", "/console/recalls", "/console/licences"):
        assert (await dora.client.get(path)).status_code == 403, path
    async with sg.client(None) as nobody:
        answer = await nobody.get("/console/feed")
        assert (answer.status_code, answer.json()["code"]) == (401, "CERTIFICATE_NEEDED")
        assert (await nobody.get("/console/static/console.css")).status_code == 200
        assert (await nobody.get("/console/static/router.py")).status_code == 404


async def test_four_eyes(sg: InProcess, my: InProcess) -> None:
    """An officer's alert waits; the officer cannot send it, a supervisor sees who will see it and sends it, and it is sent once."""
    bob, carol = officer(sg), officer(sg, "supervisor")
    await bob.choose()
    await carol.choose()
    fields, page = await written(bob, "alert", ALERT)
    assert "Hand it to a supervisor" in page
    handed = await bob.post("/console/compose/alert", {**fields, "do": "send"})
    path = handed.headers["location"]
    assert path.startswith("/console/drafts/")
    assert sg.node.outbox.last_revision(fields["subject"]) is None
    assert fields["subject"] in await carol.get("/console/compose")
    own = await bob.post(path, {"token": fields["token"], "do": "send"})
    assert own.status_code == 403
    hidden = await carol.form(path, path)
    sent = await carol.post(path, {**hidden, "do": "send"})
    assert sent.status_code == 303, sent.text
    await held(my, fields["subject"])
    again = await carol.post(path, {**hidden, "do": "send"})
    assert again.headers["location"] == path
    assert sg.node.outbox.last_revision(fields["subject"]) == 1


def licence(decision: str, revision: int, **core: Any) -> dict[str, Any]:
    """A decision of DE-BAFA about a licence."""
    return {
        "family": "licence", "subject": "DE-BAFA/2026/L-1", "revision": revision,
        "header": {"purposes": ["LICENSING", "STC_ENFORCEMENT"], "audience": {"agencies": ["MY-CUSTOMS"]}},
        "sections": {"core": {
            "decision_type": decision, "authority": "DE-BAFA", "licence_no": "2026-1", "licence_type": "INDIVIDUAL",
            "effective_at": "2026-10-01T00:00:00Z", "published_at": "2026-10-01T00:00:00Z", "destinations": ["AE"], **core,
        }, "items": {"items": [{"line": 1, "description": "press", "quantity_granted": "4", "unit": "H87"}]}},
    }  # fmt: skip


async def test_a_revocation_flags_the_alert_there(bafa: InProcess, sg: InProcess, my: InProcess, world: World) -> None:
    """A licence is granted, an alert cites it; its revocation, written with its number alone, is the next revision of the same subject, and
    is seen there in look-up, search and feed."""
    async with bafa.client() as authority, sg.client() as client:
        granted = await authority.post("/messages", json=licence("GRANT", 1))
        assert granted.status_code == 202, granted.text
        alert = posted(world.alert(1))
        alert["sections"]["core"]["licence_refs"] = [{"authority": "DE-BAFA", "licence_no": "2026-1", "resolved": False}]
        assert (await client.post("/messages", json=alert)).status_code == 202
    await held(my, "DE-BAFA/2026/L-1")
    await held(my, alert["subject"])
    await eventually(lambda: bafa.node.reader().licence("2026-1", bafa.node.now_ms()), what="the own licence")
    carol, alice = officer(bafa, "supervisor"), officer(my)
    await carol.choose()
    await alice.choose()
    assert "Valid" in await alice.get("/console/licences?number=2026%201")
    decision = {
        "licence_no": "2026-1", "decision_type": "REVOKE", "instruction": "HOLD", "reason_code": "DIVERSION_RISK", "agencies": "MY-CUSTOMS",
        "urgency": "IMMEDIATE", "tlp": "AMBER", "purposes": "STC_ENFORCEMENT",
    }  # fmt: skip
    fields, _ = await written(carol, "licence", decision)
    sent = await carol.post("/console/compose/licence", {**fields, "do": "send"})
    assert sent.status_code == 303, sent.text

    def flagged() -> bool:
        found = my.node.reader().subject(alert["subject"], my.node.now_ms())
        return found is not None and bool(found.flags)

    await eventually(flagged, what="a flag")
    assert bafa.node.outbox.last_revision("DE-BAFA/2026/L-1") == 2
    for path in ("/console/feed", "/console/search?by=container&text=CSQU3054383", "/console/search?by=party&text=example%20trading"):
        assert "Cites a revoked licence" in await alice.get(path), path
    page = await alice.get("/console/licences?number=2026-1")
    assert "Revoked" in page
    assert "Shipments in transit: Hold" in page
    assert "0 alerts found" in await alice.get("/console/search?by=container&text=MSKU0000007")


async def test_the_recall_board(sg: InProcess, my: InProcess, world: World) -> None:
    """A supervisor takes an alert back; the other's board asks for an answer, which the owner's counts. An officer may not recall."""
    message = world.alert(1)
    async with sg.client() as client:
        await client.post("/messages", json=posted(message))
    await held(my, message.subject)
    bob, carol, alice = officer(sg), officer(sg, "supervisor"), officer(my)
    for each in (bob, carol, alice):
        await each.choose()
    assert "Take back a subject" not in await bob.get("/console/recalls")
    token = await bob.form("/console/session", "/console/session")
    filled = {"subject": message.subject, "reason": "ERROR", "action": "DELETE"}
    assert (await bob.post("/console/recalls", {**token, **filled, "key": "k"})).status_code == 403
    hidden = await carol.form("/console/recalls", "/console/recalls")
    sent = await carol.post("/console/recalls", {**hidden, **filled})
    assert sent.status_code == 303, sent.text

    async def asked() -> bool:
        return "/console/recalls/answer" in await alice.get("/console/recalls")

    await eventually(asked, what="the recall on the other's board")
    hidden = await alice.form("/console/recalls", "/console/recalls/answer")
    said = await alice.post("/console/recalls/answer", {**hidden, "answer": "DELETED", "reason": ""})
    assert said.status_code == 303, said.text

    async def counted() -> bool:
        return re.search(r"<strong>1 of \d confirmed", await carol.get("/console/recalls")) is not None

    await eventually(counted, what="the answer on the owner's board")
    assert '<td class="yes">Deleted' in await carol.get("/console/recalls")
    await carol.choose("STATISTICS")  # for another purpose than the answer's: that it was given, and not what it says
    page = await carol.get("/console/recalls")
    assert re.search(r"<strong>1 of \d confirmed", page)
    assert '<td class="yes">answered' in page
    assert '<td class="yes">Deleted' not in page
    assert "Its content is erased here" in await alice.get(f"/console/subjects/{message.subject.replace('/', '%2F')}")
