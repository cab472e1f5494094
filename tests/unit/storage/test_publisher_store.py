"""A publisher's store: one stream, each record until it is answered, one process at a time."""

from __future__ import annotations

import hashlib
import sqlite3
import stat
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from broker.errors import StoreError
from broker.ports import Stored
from broker.storage.publisher_store import SqlitePublisherStore

STREAM = bytes(range(16))


def stored(seq: int, value: bytes = b"value") -> Stored:
    value = value + str(seq).encode()
    leaf = hashlib.sha256(b"leaf" + value).digest()
    return Stored(seq, bytes(16), f"SG-CUSTOMS/{seq}", 1, leaf, hashlib.sha256(value).digest(), value)


def opened(path: Path | None = None) -> SqlitePublisherStore:
    return SqlitePublisherStore(path, "SG-CUSTOMS", STREAM)


def test_new_store_begins_a_stream() -> None:
    """A new store takes the stream id given, stands at number 0, and has read no receipts."""
    store = opened()
    assert store.stream() == (STREAM, 0, None)
    assert store.receipts_position() is None
    assert store.unanswered() == []


def test_stream_survives_and_its_id_never_changes(tmp_path: Path) -> None:
    """Opened again, the store goes on with its own stream id, number and leaf, whatever new id is offered."""
    path = tmp_path / "publisher.sqlite"
    store = opened(path)
    store.add([stored(1), stored(2)])
    store.close()
    again = SqlitePublisherStore(path, "SG-CUSTOMS", bytes(16))
    assert again.stream() == (STREAM, 2, stored(2).leaf)
    assert again.unanswered() == [stored(1), stored(2)]
    again.close()


def test_add_is_all_or_nothing() -> None:
    """Where one record of a batch cannot be stored none is, and no number is used up; the store goes on."""
    store = opened()
    store.add([stored(1)])
    with pytest.raises(StoreError):
        store.add([stored(2), stored(1)])
    assert store.stream() == (STREAM, 1, stored(1).leaf)
    assert store.unanswered() == [stored(1)]
    store.add([stored(2)])
    assert store.stream()[1] == 2


def test_settled_records_are_not_sent_again_and_the_first_receipt_counts() -> None:
    """A receipt ends the sending; a second one for the same record, and one for a record that is not ours, change nothing."""
    store = opened()
    store.add([stored(1), stored(2)])
    assert store.settle([(stored(1).digest, b"accepted"), (bytes(32), b"stranger")], 7) == {stored(1).digest}
    assert store.settle([(stored(1).digest, b"stale")], 9) == frozenset()
    assert store.receipt(stored(1).digest) == b"accepted"
    assert store.receipt(bytes(32)) is None
    assert store.unanswered() == [stored(2)]
    assert store.receipts_position() == 9


def test_second_process_is_kept_out(tmp_path: Path) -> None:
    """Two publishers on one store would use numbers twice: the second is refused until the first closes."""
    path = tmp_path / "publisher.sqlite"
    first = opened(path)
    with pytest.raises(StoreError, match="another process"):
        opened(path)
    first.close()
    first.close()
    opened(path).close()


def test_store_belongs_to_one_agency(tmp_path: Path) -> None:
    """Another agency cannot open the store; the refused attempt leaves no lock behind."""
    path = tmp_path / "publisher.sqlite"
    opened(path).close()
    with pytest.raises(StoreError, match="belongs to SG-CUSTOMS"):
        SqlitePublisherStore(path, "MY-CUSTOMS", STREAM)
    opened(path).close()


def test_damaged_file_is_one_clear_error(tmp_path: Path) -> None:
    """A file that is no database is a StoreError with advice, and is left as it was."""
    path = tmp_path / "publisher.sqlite"
    path.write_bytes(b"this is no database" * 100)
    with pytest.raises(StoreError) as caught:
        opened(path)
    assert caught.value.advice
    assert path.read_bytes().startswith(b"this is no database")


def test_later_receipts_are_kept_beside_the_first(tmp_path: Path) -> None:
    """Further receipts of a record are kept once each, in order, whichever form of it they name; of a record that is not of this store,
    none; the first receipt stays the one that counts."""
    path = tmp_path / "publisher.sqlite"
    store = opened(path)
    first, second = stored(1), stored(2)
    store.add([first, second])
    store.settle([(first.digest, b"first")], 1)
    store.keep_later([(first.digest, b"second"), (bytes(32), b"of a stranger"), (second.digest, b"another's")])
    store.keep_later([(first.digest, b"third"), (first.digest, b"second")])
    store.close()
    store = opened(path)
    assert store.later(first.subject) == [b"second", b"third"]
    assert store.receipt(first.digest) == b"first"
    assert store.later("SG-CUSTOMS/none") == []
    store.close()


def test_store_is_the_owners_alone(tmp_path: Path) -> None:
    """Messages are confidential: folder and file are closed to others."""
    path = tmp_path / "home" / "publisher.sqlite"
    store = opened(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    store.close()


def test_every_commit_reaches_the_disk(tmp_path: Path) -> None:
    """The store is durable on commit: write-ahead log with full synchronisation, not the faster settings."""
    path = tmp_path / "publisher.sqlite"
    store = opened(path)
    sql: sqlite3.Connection = store._sql  # pyright: ignore[reportPrivateUsage]
    assert sql.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert sql.execute("PRAGMA synchronous").fetchone() == (2,)
    store.close()


def test_full_disk_is_a_store_error_and_nothing_is_half_written(tmp_path: Path) -> None:
    """When the disk is full the batch is refused as a whole with StoreError; with room again the same batch is stored."""
    path = tmp_path / "publisher.sqlite"
    store = opened(path)
    store.add([stored(1)])
    sql: sqlite3.Connection = store._sql  # pyright: ignore[reportPrivateUsage]
    pages: int = sql.execute("PRAGMA page_count").fetchone()[0]
    sql.execute(f"PRAGMA max_page_count = {pages}")
    large = [stored(2, bytes(100_000)), stored(3, bytes(100_000))]
    with pytest.raises(StoreError, match="cannot be written"):
        store.add(large)
    assert store.stream()[1] == 1
    sql.execute(f"PRAGMA max_page_count = {pages + 1000}")
    store.add(large)
    assert [record.seq for record in store.unanswered()] == [1, 2, 3]
    store.close()


NEXT, AFTER = bytes([7]) * 16, bytes([8]) * 16


def anew(old: Stored, seq: int) -> Stored:
    """The same message, signed anew under this number."""
    return replace(stored(seq, b"anew " + old.value), subject=old.subject)


def test_given_up_stream_has_a_successor() -> None:
    """The next message begins the successor at number 1; what waits stays, and says which stream it is of. Done again, as after a
    crash, it changes nothing."""
    store = opened()
    store.add([stored(1), stored(2)])
    for _ in range(2):
        store.give_up(STREAM, NEXT, hole=1)
        assert store.stream() == (NEXT, 0, None)
    store.add([stored(1, b"new")])
    store.give_up(STREAM, AFTER, hole=1)
    assert store.stream() == (NEXT, 1, stored(1, b"new").leaf)
    assert store.unanswered() == [stored(1), stored(2), stored(1, b"new")]
    assert store.awaited(stored(2).digest) == (STREAM, stored(2))
    assert store.awaited(stored(1, b"new").digest) == (NEXT, stored(1, b"new"))


def test_lowest_hole_counts() -> None:
    """Of several holes in a stream the lowest is told, whatever came first; each stream has its own, and most have none."""
    store = opened()
    for number, lowest in ((5, 5), (3, 3), (4, 3)):
        store.give_up(STREAM, NEXT, hole=number)
        assert store.hole(STREAM) == lowest
    assert store.hole(NEXT) is None
    store.give_up(NEXT, AFTER, hole=9)
    assert (store.hole(STREAM), store.hole(NEXT)) == (3, 9)


def test_what_stands_behind_a_hole() -> None:
    """Unanswered records of that stream with a higher number, in order and no more than asked for."""
    store = opened()
    store.add([stored(number) for number in range(1, 7)])
    store.settle([(stored(4).digest, b"r")], 1)
    store.give_up(STREAM, NEXT, hole=2)
    store.add([stored(number, b"new") for number in (1, 2, 3)])
    assert store.behind(STREAM, 2, 9) == [stored(3), stored(5), stored(6)]
    assert store.behind(STREAM, 2, 2) == [stored(3), stored(5)]
    assert store.behind(STREAM, 6, 9) == []


def test_signed_anew_takes_the_old_place_in_the_new_order() -> None:
    """Records that are signed anew come behind what their new stream has already, in its order; the old bytes are not sent again, and
    the stream goes on behind them."""
    store = opened()
    store.add([stored(1), stored(2), stored(3)])
    store.give_up(STREAM, NEXT, hole=1)
    store.add([stored(1, b"new")])
    moved = [anew(stored(2), 2), anew(stored(3), 3)]
    store.reseat([(stored(2).digest, moved[0]), (stored(3).digest, moved[1])])
    assert store.unanswered() == [stored(1), stored(1, b"new"), *moved]
    assert store.stream() == (NEXT, 3, moved[1].leaf)
    assert store.awaited(stored(2).digest) is None
    assert store.awaited(moved[0].digest) == (NEXT, moved[0])
    store.add([stored(4, b"new")])
    assert store.unanswered()[-1] == stored(4, b"new")
    store.reseat([])
    assert store.stream()[1] == 4


def test_signing_anew_is_all_or_nothing() -> None:
    """Where one of several cannot take its place none does, and no number of the stream is used up."""
    store = opened()
    store.add([stored(1), stored(2)])
    store.give_up(STREAM, NEXT, hole=1)
    store.add([stored(1, b"new")])
    before = store.unanswered()
    with pytest.raises(StoreError):
        store.reseat([(stored(1).digest, anew(stored(1), 2)), (stored(2).digest, stored(1, b"new"))])
    assert store.unanswered() == before
    assert store.stream()[1] == 1


def signed_anew_twice() -> tuple[SqlitePublisherStore, list[Stored]]:
    """A store with one record that waits, and another in the three forms that it had."""
    forms = [stored(2), anew(stored(2), 1), replace(anew(stored(2), 1), digest=bytes(32))]
    store = opened()
    store.add([stored(1), forms[0]])
    store.give_up(STREAM, NEXT, hole=1)
    store.reseat([(forms[0].digest, forms[1])])
    store.give_up(NEXT, AFTER, hole=None)
    store.reseat([(forms[1].digest, forms[2])])
    return store, forms


def test_any_form_of_a_record_is_answered_for() -> None:
    """However often a record was signed anew, the first receipt for any of its forms is the record's, and is found by each of them."""
    for which in (0, 1, 2):
        store, forms = signed_anew_twice()
        assert store.settle([(forms[which].digest, b"accepted")], 3) == {forms[which].digest}
        assert store.settle([(each.digest, b"stale") for each in forms], 4) == frozenset()
        assert [store.receipt(each.digest) for each in forms] == [b"accepted"] * 3
        assert store.unanswered() == [stored(1)]


def test_bytes_are_sent_until_they_are_answered_themselves() -> None:
    """An acceptance of an earlier form gives the record its receipt, but its present bytes are still to be sent, and may have to be
    signed anew once more: their number must not stay free, or the stream would stand still behind it."""
    store, forms = signed_anew_twice()
    store.settle([(forms[0].digest, b"accepted")], 3)
    assert store.unanswered() == [stored(1), forms[2]]
    assert store.awaited(forms[2].digest) == (AFTER, forms[2])
    assert store.behind(AFTER, 0, 9) == [forms[2]]
    store.give_up(AFTER, STREAM[::-1], hole=None)
    last = replace(forms[2], digest=bytes([1]) * 32)
    store.reseat([(forms[2].digest, last)])
    assert store.settle([(last.digest, b"stale")], 4) == frozenset()
    assert store.unanswered() == [stored(1)]
    assert store.receipt(last.digest) == b"accepted"


EARLIER: Final = """
CREATE TABLE stream (id BLOB NOT NULL, seq INTEGER NOT NULL, leaf BLOB);
CREATE TABLE outbox (
    seq INTEGER PRIMARY KEY, message_id BLOB NOT NULL, subject TEXT NOT NULL, revision INTEGER NOT NULL,
    leaf BLOB NOT NULL, digest BLOB NOT NULL UNIQUE, value BLOB, receipt BLOB);
CREATE INDEX outbox_waiting ON outbox (seq) WHERE receipt IS NULL;
CREATE TABLE inbox (position INTEGER NOT NULL);
CREATE TABLE owner (agency TEXT NOT NULL);
INSERT INTO owner VALUES ('SG-CUSTOMS');
INSERT INTO inbox VALUES (41);
"""
"""The tables of a store before it could give a stream up."""


def test_store_of_an_earlier_version_goes_on(tmp_path: Path) -> None:
    """A file written before streams could be given up: its stream, numbers, answers, position and unanswered bytes are all there, it
    can do all that a new one can, and opening it again changes nothing."""
    path = tmp_path / "publisher.sqlite"
    records = [stored(number) for number in range(1, 5)]
    old = sqlite3.connect(path)
    old.executescript(EARLIER)
    for m in records:
        receipt = b"receipt" if m.seq <= 2 else None
        row = (m.seq, m.message_id, m.subject, m.revision, m.leaf, m.digest, None if receipt else m.value, receipt)
        old.execute("INSERT INTO outbox VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
    old.execute("INSERT INTO stream VALUES (?, 4, ?)", (STREAM, records[3].leaf))
    old.commit()
    old.close()
    for _ in range(2):
        store = SqlitePublisherStore(path, "SG-CUSTOMS", bytes(16))
        assert store.stream() == (STREAM, 4, records[3].leaf)
        assert store.receipts_position() == 41
        assert store.unanswered() == records[2:]
        assert store.receipt(records[0].digest) == b"receipt"
        assert store.awaited(records[2].digest) == (STREAM, records[2])
        store.close()
    store = SqlitePublisherStore(path, "SG-CUSTOMS", bytes(16))
    store.add([stored(5)])
    store.give_up(STREAM, NEXT, hole=3)
    assert store.behind(STREAM, 3, 9) == [records[3], stored(5)]
    store.reseat([(records[3].digest, anew(records[3], 1)), (stored(5).digest, anew(stored(5), 2))])
    assert store.unanswered() == [records[2], anew(records[3], 1), anew(stored(5), 2)]
    assert store.settle([(records[3].digest, b"late"), (records[2].digest, b"refused")], 50) == {records[3].digest, records[2].digest}
    store.close()


def test_empty_store_of_an_earlier_version(tmp_path: Path) -> None:
    """A file of an earlier version that nothing was published from takes the id of its stream at number 0."""
    path = tmp_path / "publisher.sqlite"
    old = sqlite3.connect(path)
    old.executescript(EARLIER)
    old.execute("INSERT INTO stream VALUES (?, 0, NULL)", (STREAM,))
    old.commit()
    old.close()
    store = SqlitePublisherStore(path, "SG-CUSTOMS", bytes(16))
    assert store.stream() == (STREAM, 0, None)
    store.add([stored(1)])
    assert store.awaited(stored(1).digest) == (STREAM, stored(1))
    store.close()
