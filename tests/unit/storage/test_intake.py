"""The queries of what a node accepted: where a message is, what came last, which revision is the highest."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest

from broker.errors import StoreError
from broker.ports import Stored
from broker.storage.intake import Answered, SqliteIntake, Waiting
from broker.storage.publisher_store import SqlitePublisherStore

AGENCY = "SG-CUSTOMS"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A publisher's file."""
    made = tmp_path / "publisher.sqlite"
    SqlitePublisherStore(made, AGENCY, bytes(16)).close()
    return made


@pytest.fixture
def intake(path: Path) -> Generator[SqliteIntake]:
    """What lies beside it."""
    made = SqliteIntake(path)
    yield made
    made.close()


def waiting(number: int, subject: str = "SG-CUSTOMS/1", revision: int = 1) -> Waiting:
    """A message; ids grow with their number, as they do with the time."""
    return Waiting(0, number.to_bytes(16, "big"), subject, revision, 100 + number, f'{{"number": {number}}}')


def ids_of(*numbers: int) -> list[bytes]:
    """Their ids."""
    return [number.to_bytes(16, "big") for number in numbers]


def test_in_the_order_in_which_they_came(intake: SqliteIntake) -> None:
    """Messages wait in their order, each under a number of its own; the newest are told first."""
    assert intake.accept([([waiting(1), waiting(2)], None), ([waiting(3)], None)], 5) == [True, True]
    found = intake.waiting(0, 10)
    assert [each.message_id for each in found] == ids_of(1, 2, 3)
    assert [each.message_id for each in intake.waiting(found[0].number, 1)] == ids_of(2)
    assert intake.recent(2) == ids_of(3, 2)
    depth = intake.depth()
    assert (depth.waiting, depth.unanswered, depth.oldest) == (3, 0, 101)


def test_one_answer_to_a_key(intake: SqliteIntake) -> None:
    """A second request under a key is not kept, nor its messages, in one batch or another; another client's is; old answers are let go."""
    first, other = Answered("a", "k", b"1" * 32, "one"), Answered("b", "k", b"2" * 32, "two")
    assert intake.accept([([waiting(1)], first), ([waiting(2)], first), ([waiting(3)], other)], 5) == [True, False, True]
    assert intake.accept([([waiting(4)], Answered("a", "k", b"3" * 32, "three"))], 6) == [False]
    assert [each.message_id for each in intake.waiting(0, 10)] == ids_of(1, 3)
    assert (intake.answered("a", "k"), intake.answered("a", "other")) == (first, None)
    intake.forget(6)
    assert intake.answered("a", "k") is None
    assert len(intake.waiting(0, 10)) == 2


def test_where_a_message_is(intake: SqliteIntake, path: Path) -> None:
    """Waiting, then signed by the publisher in one step, or refused with the reason; what is not refused counts for the
    highest revision of its subject."""
    intake.accept([([waiting(1, revision=4), waiting(2, "SG-CUSTOMS/2", 7), waiting(3, "SG-CUSTOMS/3")], None)], 5)
    assert [intake.last_revision(subject) for subject in ("SG-CUSTOMS/1", "SG-CUSTOMS/2", "SG-CUSTOMS/9")] == [4, 7, None]
    intake.refuse(ids_of(2)[0], "BAD_FIELD", "core.x", "there is no such field")
    store = SqlitePublisherStore(path, AGENCY, bytes(16))
    store.add([Stored(1, ids_of(1)[0], "SG-CUSTOMS/1", 4, bytes(32), bytes(32), b"value")])
    store.close()
    found = [intake.standing(each) for each in ids_of(1, 2, 3, 4)]
    assert [each.state if each is not None else None for each in found] == ["signed", "refused", "waiting", None]
    assert found[1] is not None
    assert (found[1].code, found[1].path, found[1].reason, found[1].revision) == ("BAD_FIELD", "core.x", "there is no such field", 7)
    assert [each.message_id for each in intake.waiting(0, 10)] == ids_of(3)
    assert (intake.last_revision("SG-CUSTOMS/1"), intake.last_revision("SG-CUSTOMS/2")) == (4, None)
    assert intake.recent(10) == ids_of(3, 2, 1)
    assert (intake.depth().waiting, intake.depth().unanswered) == (1, 1)


def test_all_or_nothing(intake: SqliteIntake) -> None:
    """A batch that cannot be written leaves nothing of itself."""
    intake.accept([([waiting(1)], None)], 5)
    with pytest.raises(StoreError):
        intake.accept([([waiting(2)], Answered("a", "k", b"1" * 32, "one")), ([waiting(1)], None)], 6)  # an id that is taken
    assert [each.message_id for each in intake.waiting(0, 10)] == ids_of(1)
    assert intake.answered("a", "k") is None
