"""Requests for information, from the alert they are about to the answer on the asker's board."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

from tests.support.eventually import eventually
from tests.support.node_clients import InProcess
from tests.unit.node.console.conftest import ORIGIN, Officer, held, officer
from tests.unit.node.console.test_pages import sent
from tests.unit.service.world import World

HOSTILE: Final = "\"'><script>1</script>"
ASKED: Final = {
    "question_code": ["END_USER_KNOWN", "OWNERSHIP"], "question_text": ["Do you know Example Trading FZE?", ""], "agencies": ["SG-CUSTOMS"],
    "due": ["2099-01-01T00:00"], "urgency": ["PRIORITY"],
}  # fmt: skip


def escaped(subject: str) -> str:
    """A subject in a path."""
    return subject.replace("/", "%2F")


async def asked(alice: Officer, subject: str, **more: list[str]) -> str:
    """An officer asks about a subject: the request's own subject."""
    path = f"/console/subjects/{escaped(subject)}/ask"
    hidden = await alice.form(path, path)
    fields = {**{name: [value] for name, value in hidden.items()}, **ASKED, "do": ["ask"], **more}
    answer = await alice.client.post(path, data=fields, headers=ORIGIN)
    assert answer.status_code == 303, answer.text
    page = await alice.get(answer.headers["location"])
    found = re.search(r"MY-CUSTOMS/rfi/[0-9a-f]{32}", page)
    assert found is not None
    return found[0]


async def test_asked_answered_and_read(sg: InProcess, my: InProcess, world: World) -> None:
    """MY-CUSTOMS asks about SG's alert; SG's board has it with its clock, an officer answers one question in part and names the rest; the
    asker's board shows status and words, and what is due moves to the rest's time."""
    subject = await sent(sg, my, world)
    alice, bob = officer(my), officer(sg)
    await alice.choose()
    await bob.choose()
    request = await asked(alice, subject)
    await held(sg, request)
    board = await bob.get("/console/requests")
    for wanted in ("Is the end user known?", "Who owns it?", "data-due=", "MY-CUSTOMS"):
        assert wanted in board
    path = f"/console/requests/{escaped(request)}"
    page = await bob.get(path)
    assert "Do you know Example Trading FZE?" in page
    hidden = {name: [value] for name, value in (await bob.form(path, path)).items()}
    said = {
        **hidden, "status": ["PARTIAL"], "answer_code": ["END_USER_KNOWN", "OWNERSHIP"], "answer_text": ["Since 2019, a shop.", ""],
        "answer_source": ["ACRA 2019-1", ""], "rest_due": ["2099-02-01T00:00"],
    }  # fmt: skip
    answer = await bob.client.post(path, data=said, headers=ORIGIN)
    assert answer.status_code == 303, answer.text

    async def answered() -> bool:
        return "Answered in part" in await alice.get("/console/requests")

    await eventually(answered, what="the answer on the asker's board")
    page = await alice.get(path)
    for wanted in ("Since 2019, a shop.", "ACRA 2019-1", "The rest comes by", "2099-02-01"):
        assert wanted in page
    row = my.node.reader().answers(request)[-1]
    found = my.node.reader().subject(row.subject, my.node.now_ms())
    assert found is not None
    assert found.content["core"]["answered_codes"] == ["END_USER_KNOWN"]

    def due() -> list[int]:
        open_now = sg.node.reader().duties(0)
        return [each.duty.due_ms for each in open_now if each.duty.subject == request and each.duty.kind == "ANSWER_RFI"]

    rest = [int(datetime(2099, 2, 1, tzinfo=UTC).timestamp() * 1000)]
    await eventually(lambda: due() == rest, what="the time of the rest")


async def test_what_is_wrong_keeps_what_was_typed(sg: InProcess, my: InProcess, world: World) -> None:
    """A question without a time, a refusal without its ground: each is told at its field, and what was typed stays, as text. A row is added
    and removed by its button, and nothing is sent by that."""
    subject = await sent(sg, my, world)
    alice, bob = officer(my), officer(sg)
    await alice.choose()
    await bob.choose()
    path = f"/console/subjects/{escaped(subject)}/ask"
    hidden = {name: [value] for name, value in (await alice.form(path, path)).items()}
    before = my.node.outbox.depth()
    typed = {**hidden, **ASKED, "question_text": [HOSTILE, "second"], "due": [""]}
    refused = await alice.client.post(path, data={**typed, "do": ["ask"]}, headers=ORIGIN)
    assert (refused.status_code, "core.due" in refused.text, "<script>1" in refused.text) == (422, True, False)
    more = await alice.client.post(path, data={**typed, "do": ["add-questions"]}, headers=ORIGIN)
    assert more.text.count('name="question_text"') == 3
    less = await alice.client.post(path, data={**typed, "do": ["drop-questions-0"]}, headers=ORIGIN)
    assert less.text.count('name="question_text"') == 1
    assert 'value="second"' in less.text
    assert my.node.outbox.depth() == before
    request = await asked(alice, subject)
    await held(sg, request)
    path = f"/console/requests/{escaped(request)}"
    hidden = {name: [value] for name, value in (await bob.form(path, path)).items()}
    said = {**hidden, "status": ["REFUSED"], "answer_code": ["OWNERSHIP"], "answer_text": [""], "redirected_to": [HOSTILE]}
    answer = await bob.client.post(path, data=said, headers=ORIGIN)
    assert (answer.status_code, "core.refusal_ground" in answer.text, "<script>1" in answer.text) == (422, True, False)


async def test_who_sees_requests(sg: InProcess, my: InProcess, world: World) -> None:
    """An auditor sees none of it, a request is withheld for another purpose, another family's subject is no request, and a form without the
    token of its page sends nothing."""
    subject = await sent(sg, my, world)
    alice, dora = officer(my), officer(sg, "auditor")
    await alice.choose()
    await dora.choose()
    request = await asked(alice, subject)
    await held(sg, request)
    for path in ("/console/requests", f"/console/requests/{escaped(request)}", f"/console/subjects/{escaped(subject)}/ask"):
        assert (await dora.client.get(path)).status_code == 403, path
    bob = officer(sg)
    await bob.choose("STATISTICS")
    board = await bob.get("/console/requests")
    assert "Is the end user known?" not in board
    assert "1 message is here and is not shown" in board
    await bob.choose()
    await bob.get(f"/console/requests/{escaped(subject)}", 404)
    forged = await alice.client.post(f"/console/subjects/{escaped(subject)}/ask", data={**ASKED, "do": ["ask"]}, headers=ORIGIN)
    assert forged.status_code == 403
