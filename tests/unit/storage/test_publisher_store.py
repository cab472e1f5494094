"""A publisher's store: one stream, each record until it is answered, one process at a time."""

from __future__ import annotations

import hashlib
import sqlite3
import stat
from pathlib import Path

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
