"""Files over HTTP: taken in, cited, sent with the message, given to those who read the section, and erased when it is taken back."""

from __future__ import annotations

import hashlib
import io
import struct
import zlib
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from PIL import Image

from broker.app.statements import json_of
from broker.families.attachment import CHUNK_BYTES, FILE_LIMIT, attachment
from broker.storage import media
from broker.storage.schemas import load_catalogue
from broker.testing.sample_answers import sample_reachback_reply
from broker.testing.sample_reports import sample_reachback
from broker.testing.samples import sample_alert
from tests.support.attached import citing
from tests.support.eventually import eventually
from tests.support.node_clients import InProcess, in_process
from tests.unit.service.world import COMMUNITY, NOW, World

SUBJECT = "SG-CUSTOMS/2026/000001"


def picture(size: int = 600_000, *, side: int = 64) -> bytes:
    """A PNG of at least so many bytes: what follows the picture's end is no part of what is shown."""
    out = io.BytesIO()
    Image.effect_noise((side, side), 50).convert("RGB").save(out, "PNG")
    return out.getvalue().ljust(size, b"\0")


async def staged(node: InProcess, data: bytes, name: str = "scan 1.png") -> dict[str, Any]:
    async with node.client() as client:
        answer = await client.put("/attachments", params={"name": name}, content=data)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def published(node: InProcess, *entries: dict[str, Any]) -> httpx.Response:
    value: Any = json_of(sample_alert(SUBJECT, now_ms=NOW, communities=[COMMUNITY]), load_catalogue())
    value["sections"]["attachments"] = {"files": list(entries)}
    async with node.client() as client:
        return await client.post("/messages", json=value)


def path(digest: str = "", subject: str = SUBJECT) -> str:
    return f"/subjects/{quote(subject, safe='')}/attachments" + (f"/{digest}" if digest else "")


async def whole(node: InProcess, digest: str, subject: str = SUBJECT) -> bytes:
    """The file, once all of it has come."""

    async def look() -> bytes | None:
        async with node.client() as client:
            answer = await client.get(path(digest, subject))
        return answer.content if answer.status_code == 200 else None

    return await eventually(look, what="the file") or b""


def files_below(folder: Path) -> bytes:
    """All bytes of all files of a folder."""
    return b"".join(each.read_bytes() for each in sorted(folder.rglob("*")) if each.is_file())


async def test_from_one_agency_to_another_and_back(world: World, sg: InProcess, my: InProcess) -> None:
    """A picture of two chunks comes out byte for byte, as a download in a sandbox; its owner reads it too. AE-CUSTOMS, which receives the
    alert because it is on the route, has neither section nor chunk. A recall leaves nothing of key and chunks in any file of the holder."""
    data = picture()
    entry = await staged(sg, data)
    assert (entry["size"], entry["chunks"], entry["media_type"]) == (len(data), 2, "image/png")
    assert entry["digest"] == hashlib.sha256(data).hexdigest()
    assert (await published(sg, entry)).status_code == 202
    for node in (my, sg):
        assert await whole(node, entry["digest"]) == data
    async with my.client() as client:
        answer = await client.get(path(entry["digest"]))
        listed = (await client.get(path())).json()
    assert answer.headers["content-disposition"] == "attachment; filename=\"file\"; filename*=UTF-8''scan%201.png"
    assert answer.headers["content-security-policy"].startswith("sandbox")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert (listed["files"][0]["chunks_here"], listed["files"][0]["whole"], "key" in listed["files"][0]) == (2, True, False)
    async with in_process(world.agency("AE-CUSTOMS")) as ae:
        await eventually(lambda: ae.node.inbox.about(SUBJECT), what="the alert at AE-CUSTOMS")
        async with ae.client() as client:
            assert (await client.get(path(entry["digest"]))).json()["code"] == "NOT_SHOWN"
    assert [r for r in world.memory.records("in.AE-CUSTOMS") if (r.key or b"").startswith(b"s/SG-CUSTOMS/attachment/")] == []

    home = my.node.member.files.folder
    key, chunk = bytes.fromhex(entry["key"]), (home / "attachments" / "received" / "SG-CUSTOMS" / entry["file"] / "1").read_bytes()
    held = files_below(home)
    assert entry["key"].encode() in held
    assert chunk in held
    async with sg.client("supervisor") as client:
        assert (await client.post("/recalls", json={"subject": SUBJECT, "reason": "ERROR"})).status_code == 202

    def gone() -> bool:
        left = files_below(home)
        return entry["key"].encode() not in left and key not in left and chunk not in left and entry["file"].encode() not in left

    await eventually(gone, what="a holder without key and chunks")
    assert not (home / "attachments" / "received" / "SG-CUSTOMS" / entry["file"]).exists()
    async with my.client() as client:
        assert (await client.get(path(entry["digest"]))).status_code in (403, 404)


@pytest.mark.parametrize(
    ("name", "data", "status", "code"),
    [
        ("empty.png", b"", 422, "BAD_FILE"),
        ("run.exe", b"MZ\x90\0" + bytes(100), 422, "BAD_FILE"),
        ("page.html", b"<html><script>", 422, "BAD_FILE"),
        ("page.txt", b"<script>alert(1)</script>", 422, "BAD_FILE"),
        ("scan.pdf", picture(1000), 422, "BAD_FILE"),
        ("../../etc/passwd.png", picture(1000), 422, "BAD_FILE"),
        ("..\\x.png", picture(1000), 422, "BAD_FILE"),
        ("gnp\u202e.exe", picture(1000), 422, "BAD_FILE"),
        ("<img src=x>.png", picture(1000), 422, "BAD_FILE"),
        ("n" * 121, picture(1000), 400, "BAD_REQUEST"),
        ("large.png", picture(FILE_LIMIT + 1), 413, "TOO_LONG"),
    ],
)
async def test_what_may_not_be_attached(shared: InProcess, name: str, data: bytes, status: int, code: str) -> None:
    """Empty, a program, markup, another content than the name says, a name with a path, script or a turned direction, one byte too many:
    each is refused with a code, and nothing of it stays on the disk."""
    async with shared.client() as client:
        answer = await client.put("/attachments", params={"name": name}, content=data)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    folder = shared.node.member.files.attachments_folder / "own"
    assert not folder.exists() or list(folder.iterdir()) == []


async def test_a_picture_that_unpacks_to_gigabytes_is_refused(shared: InProcess) -> None:
    """A PNG of a few kilobytes that says it has 10,000,000,000 pixels is refused by its head; nothing is unpacked."""
    head = picture(2000)
    size = b"IHDR" + (100_000).to_bytes(4, "big") * 2 + head[24:29]
    bomb = head[:12] + size + zlib.crc32(size).to_bytes(4, "big") + head[33:]
    async with shared.client() as client:
        answer = await client.put("/attachments", params={"name": "bomb.png"}, content=bomb)
    assert (answer.status_code, answer.json()["code"]) == (422, "BAD_FILE")
    assert "pixels" in answer.json()["detail"]


@pytest.mark.parametrize("kind", [0, 2, 5, 7, 10, 11, 12, 16])
def test_a_picture_whose_tags_are_of_a_wrong_kind_is_damaged_and_no_bug(kind: int) -> None:
    """TIFFs with each tag in turn of a wrong kind, a text or a fraction where a place in the file is meant: a small picture or none, and no
    error of the decoder comes through."""
    out = io.BytesIO()
    Image.new("RGB", (40, 40)).save(out, "TIFF")
    good = out.getvalue()
    assert media.thumbnail(good, "image/tiff")
    (tags,) = struct.unpack_from("<I", good, 4)
    for at in range(tags + 2, tags + 2 + 12 * int(struct.unpack_from("<H", good, tags)[0]), 12):
        bad = good[: at + 2] + struct.pack("<H", kind) + good[at + 4 :]
        small = media.thumbnail(bad, "image/tiff")
        assert small is None or small.startswith(b"\x89PNG")
        assert media.is_too_large(bad, "image/tiff") in (True, False)


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"size": 0}, "size"), ({"size": FILE_LIMIT + 1}, "size"), ({"chunks": 9}, "chunks"), ({"chunk_size": 1}, "chunk_size"),
        ({"media_type": "text/html"}, "media_type"), ({"name": "../x.png"}, "name"), ({"key": "00"}, "key"), ({"digest": "zz"}, "digest"),
    ],
)  # fmt: skip
async def test_an_entry_that_cannot_be_is_refused(shared: InProcess, change: dict[str, Any], where: str) -> None:
    """A message whose section names a wrong size, count, type, name, or a key of a wrong length is refused with the path of the field."""
    entry = await staged(shared, picture(1000))
    answer = await published(shared, {**entry, **change})
    assert (answer.status_code, answer.json()["code"]) == (422, "BAD_FIELD")
    assert where in answer.json()["path"]


async def test_what_came_wrong_is_told_as_such(world: World, sg: InProcess, my: InProcess) -> None:
    """A chunk that is missing, one that is another's, and a file whose owner cited another digest: each is a code, and no byte is given."""
    data = picture(CHUNK_BYTES * 2)
    entry = await staged(sg, data)
    wrong = await staged(sg, picture(1000), "other.png")
    lie = {**wrong, "digest": "00" * 32}
    assert (await published(sg, entry, lie)).status_code == 202
    await whole(my, entry["digest"])
    folder = my.node.member.files.attachments_folder / "received" / "SG-CUSTOMS" / entry["file"]
    await eventually(lambda: (folder.parent / wrong["file"] / "0").exists(), what="the other file")
    first, second = (folder / "0").read_bytes(), (folder / "1").read_bytes()

    async def code(digest: str) -> str:
        async with my.client() as client:
            return (await client.get(path(digest))).json()["code"]

    assert await code(lie["digest"]) == "ATTACHMENT_DAMAGED"
    (folder / "0").write_bytes(second)
    (folder / "1").write_bytes(first)
    assert await code(entry["digest"]) == "ATTACHMENT_DAMAGED"
    (folder / "0").write_bytes(first)
    (folder / "1").unlink()
    assert await code(entry["digest"]) == "ATTACHMENT_INCOMPLETE"
    assert await code("0" * 63 + "1") == "NOT_FOUND"


async def test_a_question_to_experts_and_their_answer(world: World, sg: InProcess, my: InProcess) -> None:
    """An officer asks what the goods are with a photograph alone; the experts that are named have it, nobody of the community has. Their
    answer comes with a report, which the asker reads."""
    data, report = picture(), b"the valves have wetted surfaces of a nickel alloy"
    question, answer = "SG-CUSTOMS/2026/R-1", "MY-CUSTOMS/2026/R-1R"
    asked: Any = json_of(sample_reachback(question, now_ms=NOW, agencies=["MY-CUSTOMS"], target=None), load_catalogue())
    photograph = await staged(sg, data)
    asked["sections"] = {"core": asked["sections"]["core"], "attachments": {"files": [photograph]}}
    async with sg.client() as client:
        kept = await client.post("/messages", json=asked)
        assert kept.status_code == 202, kept.text
    assert await whole(my, photograph["digest"], question) == data
    told: Any = json_of(sample_reachback_reply(answer, target=question, now_ms=NOW), load_catalogue())
    paper = await staged(my, report, "report.txt")
    told["sections"]["attachments"] = {"files": [paper]}
    async with my.client() as client:
        kept = await client.post("/messages", json=told)
        assert kept.status_code == 202, kept.text
    assert await whole(sg, paper["digest"], answer) == report
    assert [each for each in world.memory.records("in.AE-CUSTOMS") if b"/attachment/" in (each.key or b"")] == []


async def test_whoever_cites_a_file_of_another_agency_neither_keeps_nor_spoils_it(world: World, sg: InProcess, my: InProcess) -> None:
    """AE-CUSTOMS, which was given a file with its key, cites it in an alert of its own and sends another chunk under its number. A holder
    of both gives the owner's file as before; it is gone with all its chunks when the owner recalls it, whoever else cites it."""
    data = picture(1000)
    entry = await staged(sg, data)
    value: Any = json_of(sample_alert(SUBJECT, now_ms=NOW, communities=[COMMUNITY], agencies=["AE-CUSTOMS"]), load_catalogue())
    value["sections"]["attachments"] = {"files": [entry]}
    async with sg.client() as client:
        assert (await client.post("/messages", json=value)).status_code == 202
    assert await whole(my, entry["digest"]) == data

    await world.learn()
    foreign = sample_alert("AE-CUSTOMS/2026/000001", now_ms=NOW, agencies=["MY-CUSTOMS"])
    numbers = {name: bytes.fromhex(entry[name]) for name in ("file", "digest", "key")}
    citing_it = citing(foreign, {**entry, **numbers})  # pyright: ignore[reportArgumentType]
    author = world.author("AE-CUSTOMS")
    spoilt = attachment(citing_it, numbers["file"], 0, 1, bytes(1016))
    await world.put(*(author.write(each, now_ms=NOW).value for each in (citing_it, spoilt)), outbox="AE-CUSTOMS")
    theirs = my.node.member.files.attachments_folder / "received" / "AE-CUSTOMS" / entry["file"] / "0"
    await eventually(theirs.exists, what="the other's chunk")
    assert await whole(my, entry["digest"]) == data

    async with sg.client("supervisor") as client:
        assert (await client.post("/recalls", json={"subject": SUBJECT, "reason": "ERROR"})).status_code == 202
    ours = my.node.member.files.attachments_folder / "received" / "SG-CUSTOMS" / entry["file"]
    await eventually(lambda: not ours.exists(), what="a holder without the owner's chunks")
    assert theirs.exists()


async def test_who_begins_with_a_compacted_inbox_has_the_file(world: World, sg: InProcess) -> None:
    """The alert is revised after its chunks were delivered, and the inbox compacted: its record lies behind the chunks now. A node that
    begins then has the whole file, and nothing of it when the alert is recalled."""
    data = picture()
    entry = await staged(sg, data)
    assert (await published(sg, entry)).status_code == 202
    inbox = "in.MY-CUSTOMS"

    def keys() -> list[bytes]:
        return [record.key or b"" for record in world.memory.records(inbox)]

    await eventually(lambda: sum(b"/attachment/" in key for key in keys()) == 2, what="both chunks in the inbox")
    value: Any = json_of(sample_alert(SUBJECT, now_ms=NOW, communities=[COMMUNITY], revision=2), load_catalogue())
    value["sections"]["attachments"] = {"files": [entry]}
    async with sg.client() as client:
        assert (await client.post("/messages", json=value)).status_code == 202
    await eventually(lambda: keys().count(f"s/{SUBJECT}".encode()) == 2, what="the revision in the inbox")
    world.memory.compact(inbox)
    assert keys()[-1] == f"s/{SUBJECT}".encode()
    async with in_process(world.agency("MY-CUSTOMS")) as late:
        assert await whole(late, entry["digest"]) == data
        async with sg.client("supervisor") as client:
            assert (await client.post("/recalls", json={"subject": SUBJECT, "reason": "ERROR"})).status_code == 202
        folder = late.node.member.files.attachments_folder / "received" / "SG-CUSTOMS" / entry["file"]
        await eventually(lambda: not folder.exists(), what="a holder without chunks")
