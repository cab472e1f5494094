"""What waits for a supervisor: kept once, decided once, gone when decided."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest

from broker.errors import StoreError
from broker.storage.drafts import RETURNED, SENT, WAITING, Draft, Drafts
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


def test_a_draft_is_decided_once(drafts: Drafts, tmp_path: Path) -> None:
    """Sent or returned, by whom and as which message; its content goes with that, and a second decision changes nothing."""
    drafts.keep(draft("one"))
    drafts.keep(draft("two"))
    drafts.decide("one", SENT, "bob", "m-1")
    drafts.decide("one", RETURNED, "carol")
    drafts.decide("two", RETURNED, "bob")
    one, two = drafts.get("one"), drafts.get("two")
    assert one is not None
    assert two is not None
    assert (one.state, one.decided_by, one.message_id, one.body) == (SENT, "bob", "m-1", "")
    assert (two.state, two.decided_by, two.body, two.author) == (RETURNED, "bob", "", "alice")
    assert drafts.waiting(10) == []


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
