"""Files in the compose form: taken in while they come, shown, kept with a draft, sent once, and gone with what they were for."""

from __future__ import annotations

import asyncio
import hashlib
import re
import tracemalloc
from collections.abc import AsyncIterator, Sequence
from html import unescape
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from broker.app.outbox import Accepted
from broker.families.attachment import FILE_LIMIT, FILES_LIMIT
from broker.node.console.router import beside, console_router
from broker.node.console.uploads import BODY, TEXT
from tests.support.eventually import eventually
from tests.support.node_clients import InProcess, in_process
from tests.unit.node.console.conftest import ORIGIN, Officer, held, officer
from tests.unit.node.console.test_work import ALERT
from tests.unit.node.test_attachments import picture
from tests.unit.service.world import World

FORM = "/console/compose/alert"
EDGE = "edge-of-a-part"
File = tuple[str, bytes]


def fields_in(page: str) -> dict[str, str | list[str]]:
    """The hidden fields of the form, its subject, and its files with their titles."""
    form = re.search(r'<form[^>]*id="compose".*?</form>', page, re.DOTALL)
    assert form is not None, page[:3000]
    found: dict[str, str | list[str]] = {}
    for name in ("token", "key", "draft", "begun", "subject"):
        value = re.search(rf'name="{name}" value="([^"]*)"', form[0])
        assert value is not None, name
        found[name] = unescape(value[1])
    for name in ("attached", "attached_title"):
        found[name] = [unescape(each) for each in re.findall(rf'name="{name}" value="([^"]*)"', form[0])]
    seen = re.search(r'name="seen" value="([0-9a-f]+)"', page)
    return found | {"seen": seen[1] if seen else ""}


async def filled(somebody: Officer, files: Sequence[File] = (), *, do: str = "attach", page: str = "", **more: Any) -> httpx.Response:
    """Post the form as a page has it, or an empty one, with files."""
    fields = fields_in(page or await somebody.get(FORM))
    parts = [("upload", (name, data, "application/octet-stream")) for name, data in files]
    return await somebody.client.post(FORM, data={**ALERT, **fields, **more, "do": do}, files=parts or None, headers=ORIGIN)


def on_disk(node: InProcess) -> list[str]:
    """The files whose chunks are on the node's disk."""
    folder: Path = node.node.member.files.attachments_folder / "own"
    return sorted(each.name for each in folder.iterdir()) if folder.exists() else []


async def somebody_at(node: InProcess, role: str = "officer") -> Officer:
    found = officer(node, role)
    await found.choose()
    return found


async def test_shown_sent_once_and_read(sg: InProcess, my: InProcess) -> None:
    """A picture and a text are attached, shown by name, type, size, hash and a small picture, given titles, shown with who will see them,
    and sent; a second click sends nothing more. The other console shows them with their titles."""
    carol, data = await somebody_at(sg, "supervisor"), picture(700_000, side=400)
    first = await filled(carol, [("scan 1.png", data), ("note.txt", b"weighed twice")])
    assert first.status_code == 200, first.text
    digest = hashlib.sha256(data).hexdigest()
    for told in ("scan 1.png", "image/png, 700,000 B", digest, "note.txt", "text/plain, 13 B"):
        assert told in first.text, told
    small = re.findall(r'<img src="(/console/compose/files/[^"]+/thumbnail)"', first.text)
    assert len(small) == 1
    shown = await carol.client.get(small[0])
    assert (shown.status_code, shown.headers["content-type"], len(shown.content) < len(data)) == (200, "image/png", True)
    titles = ["left side <b>", ""]
    preview = await filled(carol, page=first.text, do="preview", attached_title=titles)
    assert preview.status_code == 200, preview.text
    assert "left side &lt;b&gt;" in preview.text
    assert "Attached files" in preview.text
    sent = [await filled(carol, page=preview.text, do="send", attached_title=titles) for _ in range(2)]
    assert [each.status_code for each in sent] == [303, 303], sent[0].text
    assert sent[0].headers["location"] == sent[1].headers["location"]
    subject = str(fields_in(first.text)["subject"])
    await held(my, subject)
    alice = await somebody_at(my)
    path = f"/console/subjects/{subject.replace('/', '%2F')}"

    async def whole() -> bool:
        return (await alice.client.get(f"{path}/attachments/{digest}")).status_code == 200

    await eventually(whole, what="the whole picture at the other agency")
    assert (await alice.client.get(f"{path}/attachments/{digest}")).content == data
    page = await alice.get(path)
    assert "left side &lt;b&gt;" in page
    assert f"{digest}/thumbnail" in page
    assert len(my.node.inbox.about(subject)) == 1
    (section,) = [each.body["sections"]["attachments"] for each in my.node.inbox.about(subject) if each.body]
    for each in section["files"]:
        assert each["key"] not in first.text + preview.text


async def test_what_comes_with_send_is_shown_first(sg: InProcess) -> None:
    """A file that is chosen after the last look is shown before it goes: the form comes back with it, and nothing is sent."""
    carol = await somebody_at(sg, "supervisor")
    preview = await filled(carol, do="preview")
    late = await filled(carol, [("late.png", picture(1000))], page=preview.text, do="send")
    assert late.status_code == 200
    assert "It is not what was shown before" in late.text
    assert "late.png" in late.text
    assert sg.node.outbox.last_revision(str(fields_in(late.text)["subject"])) is None


async def test_a_draft_keeps_its_files_until_it_is_sent(sg: InProcess, my: InProcess) -> None:
    """Handed over with a picture, which outlives a day of waiting; the supervisor sees and saves it, approves, and it is sent once, with
    the draft's content gone from the page."""
    bob, carol, data = await somebody_at(sg), await somebody_at(sg, "supervisor"), picture(2000)
    draft, subject = await handed(bob, [("scan.png", data)])
    sg.node.attaching.staged.drop_uncited(2**60)
    page = await carol.get(draft)
    digest = hashlib.sha256(data).hexdigest()
    for told in ("scan.png", f"image/png, {len(data):,} B", digest):
        assert told in page, told
    small = await carol.client.get(f"{draft}/attachments/{digest}/thumbnail")
    assert (small.status_code, small.headers["content-type"]) == (200, "image/png")
    saved = await carol.client.get(f"{draft}/attachments/{digest}")
    assert (saved.content, saved.headers["content-disposition"][:10]) == (data, "attachment")
    hidden = await carol.form(draft, draft)
    answers = [await carol.post(draft, {**hidden, "do": "send"}) for _ in range(2)]
    assert [each.status_code for each in answers] == [303, 303]
    await held(my, subject)
    alice = await somebody_at(my)
    path = f"/console/subjects/{subject.replace('/', '%2F')}/attachments/{digest}"

    async def whole() -> bool:
        return (await alice.client.get(path)).status_code == 200

    await eventually(whole, what="the whole picture at the other agency")
    assert len(my.node.inbox.about(subject)) == 1
    assert digest not in await carol.get(draft)
    assert (await carol.client.get(f"{draft}/attachments/{digest}")).status_code == 404


async def handed(bob: Officer, files: Sequence[File]) -> tuple[str, str]:
    """An officer hands an alert with files over: the draft's path, and its subject."""
    preview = await filled(bob, files, do="preview")
    answer = await filled(bob, page=preview.text, do="send")
    assert answer.status_code == 303, answer.text
    return answer.headers["location"], str(fields_in(preview.text)["subject"])


async def test_one_decision_at_a_time(sg: InProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a supervisor's approval is being kept, another supervisor approves and the author hands over a change: one message goes, the
    other is led to the draft that was sent, and the author is told that it is too late; the files of the change are not kept."""
    bob, carol, dora = await somebody_at(sg), await somebody_at(sg, "supervisor"), await somebody_at(sg, "integrator")
    draft, subject = await handed(bob, [("scan.png", picture(2000))])
    hidden = [await each.form(draft, draft) for each in (carol, dora)]
    changed = await filled(bob, [("late.png", picture(1002))], page=await bob.get(f"{draft}/edit"), do="preview")
    keep, asked, go_on, kept = sg.node.outbox.keep, asyncio.Event(), asyncio.Event(), list[str]()

    async def slow(messages: Sequence[Accepted], *more: Any) -> None:
        kept.extend(each.message.subject for each in messages)
        asked.set()
        await go_on.wait()
        await keep(messages, *more)

    monkeypatch.setattr(sg.node.outbox, "keep", slow)
    first = asyncio.create_task(carol.post(draft, {**hidden[0], "do": "send"}))
    await eventually(asked.is_set, what="the first approval")
    later = [
        asyncio.create_task(dora.post(draft, {**hidden[1], "do": "send"})),
        asyncio.create_task(filled(bob, page=changed.text, do="send")),
    ]
    await asyncio.wait(later, timeout=0.3)
    go_on.set()
    second, change = await asyncio.gather(*later)
    assert (await first).headers["location"].startswith("/console/outbox/")
    assert (second.status_code, second.headers.get("location"), change.status_code) == (303, draft, 403)
    assert kept == [subject]
    assert "changed and handed over again" not in await bob.get(draft)
    assert sg.node.attaching.staged.held() == []


async def test_killed_while_an_approval_is_kept(world: World, my: InProcess) -> None:
    """A process that is killed after a draft's file was bound to a message, and before that message was kept: when the node is up again the
    file belongs to the draft, outlives what nobody cites, and goes out whole when the draft is approved."""
    agency, data = world.agency("SG-CUSTOMS"), picture(2000)

    def beside_() -> dict[str, object]:
        return beside(agency.member.files.folder, ("alert",))

    async with in_process(agency, more=[console_router()], beside=beside_()) as sg:
        bob = await somebody_at(sg)
        draft, subject = await handed(bob, [("scan.png", data)])
        (file,) = sg.node.attaching.staged.held()
        sg.node.attaching.staged.cite(subject, "01a20ada-2c00-7d67-bb36-32dc9613890c", "{}", [{"file": file}])
    (agency.member.files.node_folder / "users.json").unlink()
    async with in_process(agency, more=[console_router()], beside=beside_()) as sg:
        bob, carol = await somebody_at(sg), await somebody_at(sg, "supervisor")
        await handed(bob, [("other.png", picture(1000))])
        sg.node.attaching.staged.drop_uncited(2**60)
        assert "scan.png" in await carol.get(draft)
        answer = await carol.post(draft, {**await carol.form(draft, draft), "do": "send"})
        assert answer.status_code == 303, answer.text
        await held(my, subject)
        alice, digest = await somebody_at(my), hashlib.sha256(data).hexdigest()
        path = f"/console/subjects/{subject.replace('/', '%2F')}/attachments/{digest}"

        async def whole() -> bool:
            return (await alice.client.get(path)).status_code == 200

        await eventually(whole, what="the whole picture at the other agency")


async def test_changing_and_dropping_a_draft_erases_what_it_has_no_more(sg: InProcess) -> None:
    """One of two files is taken out, and goes when the draft is handed over without it, not before; a third comes. When the draft is let go
    of nothing is left on the disk, and its page shows none."""
    bob = await somebody_at(sg)
    draft, _ = await handed(bob, [("one.png", picture(1000)), ("two.png", picture(1001))])
    two = on_disk(sg)
    edited = await filled(bob, [("three.png", picture(1002))], page=await bob.get(f"{draft}/edit"), do="detach-0")
    assert edited.status_code == 200, edited.text
    assert set(two) < set(on_disk(sg))
    assert ("one.png" in edited.text, "two.png" in edited.text, "three.png" in edited.text) == (False, True, True)
    preview = await filled(bob, page=edited.text, do="preview")
    again = await filled(bob, page=preview.text, do="send")
    assert (again.status_code, again.headers["location"]) == (303, draft), again.text
    assert len(on_disk(sg)) == 2
    assert len(set(on_disk(sg)) & set(two)) == 1
    page = await bob.get(draft)
    assert ("one.png" in page, "two.png" in page, "three.png" in page) == (False, True, True)
    assert (await bob.post(f"{draft}/drop", await bob.form(draft, f"{draft}/drop"))).status_code == 303
    assert on_disk(sg) == []
    assert sg.node.attaching.staged.held() == []
    assert "two.png" not in await bob.get(draft)


async def test_taken_out_of_a_form(sg: InProcess) -> None:
    """Removing a file from a form that is no draft yet erases it at once; the others keep their titles, and rows can be added between."""
    bob = await somebody_at(sg)
    first = await filled(bob, [("one.png", picture(1000)), ("two.png", picture(1001))])
    titled = await filled(bob, page=first.text, do="add-goods", attached_title=["first", "second"])
    assert titled.text.count('name="hs_code"') == 2
    left = await filled(bob, page=titled.text, do="detach-0", attached_title=["first", "second"])
    assert fields_in(left.text)["attached_title"] == ["second"]
    assert len(on_disk(sg)) == 1


BAD: tuple[tuple[str, bytes, str, str], ...] = (
    ("empty.png", b"", "BAD_FILE", "the file is empty"),
    ("run.exe", b"MZ\x90\0" + bytes(100), "BAD_FILE", "none of the kinds"),
    ("page.txt", b"<script>alert(1)</script>", "BAD_FILE", "none of the kinds"),
    ("scan.pdf", picture(1000), "BAD_FILE", "which is image/png"),
    ("../../etc/passwd.png", picture(1000), "BAD_FILE", "no folder"),
    ("<script>1</script>.png", picture(1000), "BAD_FILE", "no folder"),
    ("gnp\u202e.exe", picture(1000), "BAD_FILE", "not seen"),
    ("n" * 121 + ".png", picture(1000), "BAD_FILE", "120 characters"),
    ("large.png", picture(FILE_LIMIT + 1), "TOO_LONG", "50 MiB at the most"),
)


async def test_what_may_not_be_attached(sg: InProcess) -> None:
    """Empty, a program, markup, another content than the name says, a name with a path, script or a turned direction, one byte too many:
    each is a finding with the file's name, as text, and its place; the good file beside it is kept, nothing of the bad one is, and nothing
    is sent, also where sending was asked for."""
    bob = await somebody_at(sg)
    for number, (name, data, code, told) in enumerate(BAD, 1):
        answer = await filled(bob, [("good.png", picture(1000)), (name, data)], do="send")
        assert answer.status_code == 422, name
        alert = re.search(r'<div class="note bad" role="alert"><ul>(.*?)</ul>', answer.text, re.DOTALL)
        assert alert is not None, name
        for text in (code, told, "attachments.upload[1]"):
            assert text in unescape(alert[1]), (name, text)
        assert "<script>1" not in answer.text
        assert "\u202e" not in answer.text
        assert len(fields_in(answer.text)["attached"]) == 1, name
        assert len(on_disk(sg)) == number, name
    assert sg.node.outbox.depth().unanswered == 0


async def test_too_many(sg: InProcess) -> None:
    """The twenty-first is a finding with its place, the twenty before it stay."""
    bob = await somebody_at(sg)
    first = await filled(bob, [(f"{number}.txt", b"text %d" % number) for number in range(FILES_LIMIT - 1)])
    answer = await filled(bob, [("20.txt", b"the last"), ("21.txt", b"one more")], page=first.text)
    assert answer.status_code == 422
    assert "20 files at the most" in answer.text
    assert "attachments.upload[1]" in answer.text
    assert len(fields_in(answer.text)["attached"]) == len(on_disk(sg)) == FILES_LIMIT


def multipart(token: str, *, end: bool = True, name: str = "scan.png", field: str = "upload", content: bytes | None = None) -> bytes:
    """A body with a token, a key and a file: a picture where no other content is given."""
    texts = [(f'name="{each}"', value.encode()) for each, value in (("token", token), ("key", "k"))]
    parts = [*texts, (f'name="{field}"; filename="{name}"', content or picture(70_000))]
    body = b"".join(f"--{EDGE}\r\nContent-Disposition: form-data; {of}\r\n\r\n".encode() + data + b"\r\n" for of, data in parts)
    return body + (f"--{EDGE}--\r\n".encode() if end else b"")


async def raw(
    somebody: Officer, body: bytes | AsyncIterator[bytes], media: str = f"multipart/form-data; boundary={EDGE}", **headers: str
) -> httpx.Response:
    return await somebody.client.post(FORM, content=body, headers={**ORIGIN, "content-type": media, **headers})


async def token_of(somebody: Officer) -> str:
    return str(fields_in(await somebody.get(FORM))["token"])


async def test_a_form_that_is_none_of_ours_leaves_nothing(sg: InProcess) -> None:
    """Truncated anywhere, without boundary or with another, a token that is wrong, another user's, missing or behind the file, a file in
    another field, fields that are too long or no UTF-8, no origin: a problem each, and not a byte on the disk."""
    bob, carol = await somebody_at(sg), await somebody_at(sg, "supervisor")
    token = await token_of(bob)
    good = multipart(token)
    behind = multipart("")[: -len(EDGE) - 6] + multipart(token)
    long = multipart(token).replace(b'name="key"\r\n\r\nk', b'name="key"\r\n\r\n' + b"k" * (TEXT + 1))
    urls = {"content-type": "application/x-www-form-urlencoded"}
    cases: list[tuple[str, httpx.Response, int, str]] = [
        ("cut off", await raw(bob, multipart(token, end=False)), 400, "BAD_REQUEST"),
        ("cut off in the file", await raw(bob, good[:50_000]), 400, "BAD_REQUEST"),
        ("cut off in a head", await raw(bob, good[:60]), 400, "BAD_REQUEST"),
        ("nothing", await raw(bob, b""), 400, "BAD_REQUEST"),
        ("no boundary", await raw(bob, good, "multipart/form-data"), 415, "BAD_MEDIA_TYPE"),
        ("another boundary", await raw(bob, good, "multipart/form-data; boundary=x"), 400, "BAD_REQUEST"),
        ("another type", await raw(bob, good, "multipart/mixed; boundary=" + EDGE), 415, "BAD_MEDIA_TYPE"),
        ("wrong token", await raw(bob, multipart("0" * 64)), 403, "CROSS_SITE"),
        ("another's token", await raw(carol, good), 403, "CROSS_SITE"),
        ("token behind the file", await raw(bob, behind), 403, "CROSS_SITE"),
        ("another field", await raw(bob, multipart(token, field="subject")), 400, "BAD_REQUEST"),
        ("long fields", await raw(bob, long), 413, "TOO_LONG"),
        ("no UTF-8", await raw(bob, good.replace(b"\r\n\r\nk", b"\r\n\r\n\xff\xfe")), 400, "BAD_REQUEST"),
        ("another site", await raw(bob, good, origin="https://elsewhere"), 403, "CROSS_SITE"),
        (
            "a long form without files",
            await bob.client.post(FORM, content=b"a=" + b"b" * TEXT, headers={**ORIGIN, **urls}),
            413,
            "TOO_LONG",
        ),
    ]
    for what, answer, status, code in cases:
        assert (answer.status_code, code in answer.text) == (status, True), (what, answer.status_code, answer.text[:2000])
    assert on_disk(sg) == []
    assert (await raw(bob, good)).status_code == 422  # all that it lacks is an alert
    assert len(on_disk(sg)) == 1


async def test_wherever_the_network_cuts_a_form(sg: InProcess) -> None:
    """A form is taken whole wherever one read ends and the next begins, near its end and byte by byte, with a file that ends in line
    breaks."""
    bob = await somebody_at(sg)
    lines = b"\r\n" * 40 + b"\n"
    body = multipart(await token_of(bob), name="note.txt", content=b"weighed" + lines)

    async def cut(at: int) -> AsyncIterator[bytes]:
        yield body[:at]
        yield body[at:]

    async def each() -> AsyncIterator[bytes]:
        for byte in body:
            yield bytes([byte])

    for sent in (*(cut(len(body) - left) for left in range(1, 6)), each()):
        answer = await raw(bob, sent)
        assert "weighed" not in answer.text
        assert (answer.status_code, "note.txt" in answer.text) == (422, True), answer.text[:500]  # all that it lacks is an alert
    (size,) = {staged.size for staged in (sg.node.attaching.staged.find(bytes.fromhex(each)) for each in on_disk(sg)) if staged}
    assert size == len(b"weighed" + lines)


async def test_a_body_beyond_all_limits_is_not_read_to_its_end(sg: InProcess) -> None:
    """A body that goes on and on is given up at the limit of the route, with nothing on the disk, and little of it was ever in memory."""
    bob = await somebody_at(sg)
    head, sent = multipart(await token_of(bob))[:400], 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        yield head
        while sent < 1 << 30:
            sent += 4 << 20
            yield bytes(4 << 20)

    tracemalloc.start()
    try:
        answer = await raw(bob, endless())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert answer.status_code == 413
    assert peak < 40 << 20
    assert sent <= BODY + (8 << 20)
    assert on_disk(sg) == []


async def test_a_mark_is_good_for_its_user_alone(sg: InProcess) -> None:
    """Whoever copies the name of a file out of another's form gets neither its picture nor the file; a made-up one neither."""
    bob, carol = await somebody_at(sg), await somebody_at(sg, "supervisor")
    page = (await filled(bob, [("scan.png", picture(1000))])).text
    (mark,) = fields_in(page)["attached"]
    for wrong in (mark, mark[:-1] + ("0" if mark[-1] != "0" else "1"), "0" * 32, "..%2F..%2Fx"):
        assert (await carol.client.get(f"/console/compose/files/{wrong}/thumbnail")).status_code == 404, wrong
    answer = await filled(carol, do="preview", attached=[mark], attached_title=["mine"])
    assert answer.status_code == 422
    assert "this file is not here any more" in answer.text
    stolen = await filled(carol, do="detach-0", attached=[mark], attached_title=[""])
    assert stolen.status_code == 422
    assert len(on_disk(sg)) == 1
    (licence,) = [await bob.client.post("/console/compose/licence", content=multipart(await token_of(bob)), headers={
        **ORIGIN, "content-type": f"multipart/form-data; boundary={EDGE}"})]  # fmt: skip
    assert licence.status_code == 400
    assert len(on_disk(sg)) == 1


@given(st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_bytes_that_were_altered(sg: InProcess, data: st.DataObject) -> None:
    """A good body with bytes changed, cut out, doubled or put in: an answer that is no error of the node's, and on the disk at most the
    files that the page then shows."""
    bob = await somebody_at(sg)
    body = bytearray(multipart(await token_of(bob)))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.one_of(st.integers(0, 500), st.integers(0, len(body) - 1)))
        match data.draw(st.sampled_from("xcdi")):
            case "x":
                body[at] ^= data.draw(st.integers(1, 255))
            case "c":
                del body[at : at + data.draw(st.integers(1, 400))]
            case "d":
                body[at:at] = body[at : at + data.draw(st.integers(1, 400))]
            case _:
                body[at:at] = data.draw(st.sampled_from([b"\r\n", b"--" + EDGE.encode(), b'"', b"\0", b"; filename=x", b"\r\n\r\n"]))
    before = set(on_disk(sg))
    answer = await raw(bob, bytes(body))
    assert answer.status_code in (200, 400, 403, 413, 415, 422), answer.text[:500]
    new = set(on_disk(sg)) - before
    assert {mark[:32] for mark in re.findall(r'name="attached" value="([^"]*)"', answer.text)} == new
