"""What waits for a supervisor: kept once, decided once, gone when decided."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from pathlib import Path

import pytest

from broker.errors import StoreError
from broker.storage.drafts import DROPPED, RETURNED, SENT, WAITING, Draft, Drafts
from tests.support.deliveries import bytes_of


@pytest.fixture
def drafts(tmp_path: Path) -> Generator[Drafts]:
    """An empty file of drafts."""
    made = Drafts(tmp_path / "console.sqlite")
    yield made
    made.close()


def draft(name: str, at: int = 1) -> Draft:
    """A draft of alice's."""
    return Draft(name, "alert", "SG-CUSTOMS/2026/1", f"the secret body of {name}", "alice", at)


def test_what_waits_comes_oldest_first(drafts: Drafts) -> None:
    """In the order in which they were written, no more than asked for; a draft that is there already stays as it is."""
    for name, at in (("late", 3), ("early", 1), ("middle", 2)):
        drafts.keep(draft(name, at))
    drafts.keep(draft("early", 9))
    assert [each.id for each in drafts.waiting(10)] == ["early", "middle", "late"]
    assert [each.id for each in drafts.waiting(2)] == ["early", "middle"]
    assert (drafts.get("early"), drafts.get("none")) == (draft("early", 1), None)


def test_a_draft_is_decided_once(drafts: Drafts) -> None:
    """Sent, by whom and as which message, and its content goes with that; one that is returned keeps it for its author, and one that was
    let go of has none. What was decided is not decided again, nor changed; who did what, when and why stays."""
    for name in ("one", "two", "three"):
        drafts.keep(draft(name), "{}")
    assert not drafts.approve("one", "bob", "another text")
    assert drafts.approve("one", "bob", draft("one").body)
    assert not drafts.approve("one", "carol", draft("one").body)
    drafts.drop("one", "alice", 5)
    drafts.sent("one", "bob", "m-1", 5)
    drafts.give_back("one", "carol", "too late", 6)
    drafts.give_back("two", "bob", "name the licence", 6)
    drafts.sent("two", "carol", "m-2", 7)
    drafts.drop("three", "alice", 8)
    one, two, three = (drafts.get(name) for name in ("one", "two", "three"))
    assert one == replace(draft("one"), body="", state=SENT, decided_by="bob", message_id="m-1")
    assert two == replace(draft("two"), state=RETURNED, decided_by="bob")
    assert three == replace(draft("three"), body="", state=DROPPED, decided_by="alice")
    assert drafts.waiting(10) == []
    assert (drafts.returned("alice", 10), drafts.returned("bob", 10)) == ([two], [])

    def changed(name: str, author: str) -> bool:
        return drafts.amend(name, author, subject="SG-CUSTOMS/2026/1", body="better", fields="{}", at=9)

    assert [changed(name, "alice") for name in ("one", "two", "three")] == [False, True, False]
    assert not changed("two", "bob")
    assert [each.id for each in drafts.waiting(10)] == ["two"]
    assert [(each.who, each.what, each.reason) for each in drafts.history("two")] == [
        ("alice", "HANDED", ""), ("bob", RETURNED, "name the licence"), ("alice", "EDITED", ""),
    ]  # fmt: skip


def test_drafts_outlive_their_process(tmp_path: Path) -> None:
    """What waits is there in the next life; the file is its owner's alone, and one that is none is told."""
    path = tmp_path / "console.sqlite"
    first = Drafts(path)
    first.keep(draft("one"))
    first.close()
    again = Drafts(path)
    assert [each.state for each in again.waiting(1)] == [WAITING]
    again.close()
    assert path.stat().st_mode & 0o777 == 0o600
    assert b"secret body" in bytes_of(path)
    path.write_bytes(b"this is no database, and long enough to be looked at as one" * 20)
    with pytest.raises(StoreError):
        Drafts(path)
