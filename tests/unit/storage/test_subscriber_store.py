"""A subscriber's store: position, what was seen, what waits, and the handler's own writes, in one transaction."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from broker.errors import StoreError
from broker.ports import Held, Record
from broker.storage.subscriber_store import SqliteSubscriberStore


def opened(path: Path | None = None) -> SqliteSubscriberStore:
    return SqliteSubscriberStore(path, "MY-CUSTOMS")


def record(offset: int) -> Record:
    return Record("in.MY-CUSTOMS", 0, offset, 1000 + offset, b"s/x", b"value%d" % offset)


def held(offset: int, subject: str = "SG-CUSTOMS/1", *, due: int = 0, attempts: int = 1) -> Held:
    return Held(record(offset), subject, attempts, due)


def test_new_store() -> None:
    """A new store has no position, nothing attempted, no chain, and expects every chain from its first delivery."""
    store = opened()
    assert (store.position(), store.attempted(), store.chain(3), store.follows_chains) == (None, 0, None, True)
    assert (store.next_due(), list(store.due(10**15))) == (None, [])


def test_transaction_is_whole_or_nothing(tmp_path: Path) -> None:
    """Position, seen parcels, chain, held deliveries, quarantine and the handler's writes come with the commit, or go with the
    rollback."""
    path = tmp_path / "subscriber.sqlite"
    store = opened(path)
    store.transaction.execute("CREATE TABLE effects (n INTEGER)")
    for done in (False, True):
        store.begin()
        store.move(8)
        store.take(b"leaf")
        store.follow(3, 17, b"leaf", 1234)
        store.hold(held(7), "later")
        store.quarantine(record(6), "BAD_SLIP", "why", 99)
        store.transaction.execute("INSERT INTO effects VALUES (1)")
        (store.commit if done else store.rollback)()
        store.close()
        store = opened(path)
        assert store.position() == (8 if done else None)
        assert store.seen(b"leaf") is done
        assert store.chain(3) == ((17, b"leaf") if done else None)
        assert store.holds("SG-CUSTOMS/1") is done
        assert store.quarantined() == ([(6, "BAD_SLIP", "why", 99)] if done else [])
        assert store.transaction.execute("SELECT count(*) FROM effects").fetchone() == (int(done),)
    store.close()


def test_attempt_is_durable_at_once(tmp_path: Path) -> None:
    """What is about to reach the handler is on disk before it does: a rollback does not forget it."""
    path = tmp_path / "subscriber.sqlite"
    store = opened(path)
    store.attempt(12)
    store.begin()
    store.move(12)
    store.rollback()
    store.close()
    store = opened(path)
    assert (store.attempted(), store.position()) == (12, None)
    store.close()


def test_undo_takes_back_one_handlers_writes() -> None:
    """What a failed handler wrote is forgotten; what others wrote in the same transaction, before and after, stays."""
    store = opened()
    store.transaction.execute("CREATE TABLE effects (n INTEGER)")
    store.begin()
    for number, fails in enumerate((False, True, False, True, True)):
        store.mark()
        store.transaction.execute("INSERT INTO effects VALUES (?)", (number,))
        if fails:
            store.undo()
    store.move(5)
    store.commit()
    assert [row[0] for row in store.transaction.execute("SELECT n FROM effects ORDER BY n")] == [0, 2]
    assert store.position() == 5
    store.begin()
    store.mark()
    store.undo()
    store.commit()


def test_oldest_of_a_subject_is_due_first() -> None:
    """Of each subject only the oldest held delivery is ever due, at its own time; the others wait behind it."""
    store = opened()
    store.hold(held(5, due=500), "")
    store.hold(held(6, due=0), "")
    store.hold(held(7, "SG-CUSTOMS/2", due=300), "")
    assert [each.record.offset for each in store.due(299)] == []
    assert [each.record.offset for each in store.due(300)] == [7]
    assert [each.record.offset for each in store.due(500)] == [5, 7]
    assert store.next_due() == 300
    store.release(held(5))
    assert [each.record.offset for each in store.due(0)] == [6]
    assert store.next_due() == 0


def test_held_delivery_comes_back_whole() -> None:
    """Record, subject, attempts and due time are kept; holding it again changes the last two."""
    store = opened()
    store.hold(held(5, due=10, attempts=1), "first")
    store.hold(held(5, due=20, attempts=2), "second")
    assert list(store.due(20)) == [held(5, due=20, attempts=2)]
    store.release(held(5))
    assert not store.holds("SG-CUSTOMS/1")


def test_restart_forgets_what_was_read_and_keeps_the_quarantine() -> None:
    """Reading from elsewhere forgets seen parcels, chains, attempts and what waits; refused bytes stay."""
    store = opened()
    store.move(9)
    store.attempt(9)
    store.take(b"leaf")
    store.follow(1, 2, b"leaf", 0)
    store.hold(held(5), "")
    store.quarantine(record(4), "X", "why", 1)
    store.restart(3, follow_chains=False)
    assert (store.position(), store.attempted(), store.follows_chains) == (3, 0, False)
    assert not store.seen(b"leaf")
    assert store.chain(1) is None
    assert store.next_due() is None
    assert [row[0] for row in store.quarantined()] == [4]
    store.restart(0, follow_chains=True)
    assert store.follows_chains


def test_one_process_and_one_agency(tmp_path: Path) -> None:
    """A second subscriber on the same store would hand everything over twice; another agency's would mix inboxes."""
    path = tmp_path / "subscriber.sqlite"
    store = opened(path)
    with pytest.raises(StoreError, match="another process"):
        opened(path)
    store.close()
    with pytest.raises(StoreError, match="belongs to MY-CUSTOMS"):
        SqliteSubscriberStore(path, "SG-CUSTOMS")
    opened(path).close()


def test_handler_writes_through_a_plain_connection() -> None:
    """The transaction is a sqlite3 connection, so an agency's code needs no interface of ours."""
    assert isinstance(opened().transaction, sqlite3.Connection)
