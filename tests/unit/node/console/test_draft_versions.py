"""Versions of drafts: each is kept while the draft is, what changed between two is told in words, and who approves sees what is new."""

from __future__ import annotations

import json
import re
import sqlite3
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.node.console.draft_changes import MOST, Change, changes
from broker.storage.draft_versions import VERSIONS
from broker.storage.drafts import Draft, Drafts
from tests.support.node_clients import InProcess
from tests.unit.node.console.conftest import officer
from tests.unit.node.console.test_drafts import changed, handed


def text_of(page: str) -> str:
    """What is read on a page, without marks and with single spaces."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", page)).split())


async def test_who_approves_sees_what_changed_since_they_looked(sg: InProcess) -> None:
    """The first look tells of no change; after two changes of the author's the supervisor reads both as one, field by field, in words, also
    when the page is loaded again; the author's page tells each step; another supervisor, who never looked, is told of none."""
    bob, carol = officer(sg), officer(sg, "supervisor")
    await bob.choose()
    await carol.choose()
    path, _ = await handed(bob)
    assert "Changed since you last looked" not in await carol.get(path)
    await changed(bob, path, containers="MSKU0000007")
    await changed(bob, path, containers="MSKU0000007", document="HLCU2")
    for _ in range(2):
        page = text_of(await carol.get(path))
        assert "Changed since you last looked" in page
        assert "Containers and seals › Units 1 › Number Changed CSQU3054383 MSKU0000007" in page
        assert "Documents 1 › Number Changed HLCU1 HLCU2" in page
    steps = re.findall(rf'href="({re.escape(path)}/changes\?from=\d&amp;to=\d)"', await bob.get(path))
    assert [unescape(each).partition("?")[2] for each in steps] == ["from=1&to=2", "from=2&to=3"]
    second = text_of(await bob.get(unescape(steps[1])))
    assert "HLCU1 HLCU2" in second
    assert "MSKU0000007" not in second
    back = text_of(await bob.get(f"{path}/changes?from=3&to=1"))
    assert "MSKU0000007 CSQU3054383" in back
    sg.add("dora", "supervisor")
    dora = officer(sg, "dora")
    await dora.choose()
    assert "Changed since you last looked" not in await dora.get(path)


async def test_versions_go_with_the_draft(sg: InProcess) -> None:
    """When it is let go of no version is shown or on the disk; before that, numbers that are none are not found."""
    bob = officer(sg)
    await bob.choose()
    path, _ = await handed(bob)
    await changed(bob, path, containers="MSKU0000007")
    await bob.get(f"{path}/changes?from=1&to=9", 404)
    await bob.get(f"{path}/changes?from=0&to=1", 400)
    await bob.get("/console/drafts/none/changes?from=1&to=2", 404)
    own = await bob.form(path, f"{path}/drop")
    assert (await bob.post(f"{path}/drop", own)).status_code == 303
    await bob.get(f"{path}/changes?from=1&to=2", 404)
    assert "Versions" not in await bob.get(path)


def draft(body: str) -> Draft:
    return Draft("d", "alert", "SG-CUSTOMS/1", body, "bob", 1)


def test_versions_are_bounded_and_erased(tmp_path: Path) -> None:
    """What says the same is no version; of very many the last are kept, with their numbers; sent, nothing of them is in the file or in its
    log, while both are open."""
    kept = Drafts(tmp_path / "c.sqlite")
    kept.keep(draft("secret 0"))
    for number in range(VERSIONS + 10):
        for _ in range(2):
            assert kept.amend("d", "bob", subject="SG-CUSTOMS/1", body=f"secret {number}", fields="", at=number)
    numbers = [each.number for each in kept.versions("d")]
    assert numbers == list(range(VERSIONS + 10 - VERSIONS + 1, VERSIONS + 11))
    assert (kept.version("d", 1), kept.version("d", numbers[-1])) == (None, f"secret {VERSIONS + 9}")
    assert [kept.looked("d", "carol", number) for number in (numbers[-2], numbers[-2], numbers[-1], numbers[-1])] == [
        0, 0, numbers[-2], numbers[-2],
    ]  # fmt: skip
    assert kept.approve("d", "carol", f"secret {VERSIONS + 9}")
    kept.sent("d", "carol", "m", 99)
    assert kept.versions("d") == []
    assert not [file for file in tmp_path.iterdir() if b"secret" in file.read_bytes()]
    kept.close()


def test_a_draft_of_an_earlier_program_gets_its_first_version(tmp_path: Path) -> None:
    """What it said before it was changed is the first version, though nobody kept one then."""
    kept = Drafts(tmp_path / "c.sqlite")
    kept.keep(draft("before"))
    with sqlite3.connect(tmp_path / "c.sqlite") as sql:
        sql.execute("DELETE FROM draft_version")
    sql.close()
    kept.amend("d", "bob", subject="SG-CUSTOMS/1", body="after", fields="", at=2)
    assert [kept.version("d", each.number) for each in kept.versions("d")] == ["before", "after"]
    kept.close()


A, B, C = {"name": "A", "role": "X"}, {"name": "B", "role": "X"}, {"name": "C", "role": "Y"}


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ([A, B], [C, A, B], [((1,), "ADDED", None, C)]),
        ([A, B], [B], [((1,), "REMOVED", A, None)]),
        ([A, B], [A, C], [((2, "name"), "CHANGED", "B", "C"), ((2, "role"), "CHANGED", "X", "Y")]),
        ([A], [{"name": "A"}], [((1, "role"), "REMOVED", "X", None)]),
        ([1], [True], [((1,), "CHANGED", 1, True)]),
        ([A], [A], []),
    ],
    ids=range(6),
)  # fmt: skip
def test_lists_are_laid_beside_each_other(before: list[Any], after: list[Any], expected: list[Any]) -> None:
    """What is the same stays together: an entry put in front is one change, and one that changed is told by its fields."""
    found = changes({"sections": {"parties": {"parties": before}}}, {"sections": {"parties": {"parties": after}}})
    assert [(each.path[1:], each.kind, each.before, each.after) for each in found] == expected


def test_labels_and_whole_sections_are_told_too() -> None:
    """A label of the message, and a section that came or went."""
    found = changes({"header": {"tlp": "AMBER"}, "sections": {"route": {}}}, {"header": {"tlp": "GREEN"}, "sections": {"goods": {"x": 1}}})
    assert found == [
        Change("", ("tlp",), "CHANGED", "AMBER", "GREEN"), Change("goods", (), "ADDED", None, {"x": 1}),
        Change("route", (), "REMOVED", {}, None),
    ]  # fmt: skip


def test_keys_of_files_are_not_told() -> None:
    """A file that was put in is told by its name and digest; its key is on no page."""
    entry = {"file": "aa", "digest": "bb", "name": "scan.png", "size": 7, "chunk_size": 5, "chunks": 2, "key": "c2VjcmV0"}
    none: dict[str, Any] = {"files": []}
    (found,) = changes({"sections": {"attachments": none}}, {"sections": {"attachments": {"files": [entry]}}})
    assert (found.kind, found.after) == ("ADDED", {"digest": "bb", "name": "scan.png", "size": 7})
    (whole,) = changes({"sections": {}}, {"sections": {"attachments": {"files": [entry]}}})
    assert "c2VjcmV0" not in repr(whole)


VALUE = st.recursive(
    st.booleans() | st.integers(0, 9) | st.text(max_size=2),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=12,
)


@given(VALUE, VALUE)
def test_nothing_is_told_of_what_is_the_same_and_something_of_what_is_not(before: object, after: object) -> None:
    """Any two contents: no change is told exactly where they are equal, and each that is told is one."""
    found = changes({"sections": {"core": {"x": before}}}, {"sections": {"core": {"x": after}}})
    assert bool(found) == (not _same(before, after))
    assert all(each.kind != "CHANGED" or not _same(each.before, each.after) for each in found)


def _same(one: object, other: object) -> bool:
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def test_very_many_changes_are_bounded() -> None:
    """Ten thousand entries are compared in their places, and the first changes are told."""
    found = changes({"sections": {"goods": {"items": list(range(10_000))}}}, {"sections": {"goods": {"items": list(range(1, 10_001))}}})
    assert len(found) == MOST
