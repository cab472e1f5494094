"""A subscriber's store in SQLite: position, seen parcels, delivery chains, held deliveries, the local quarantine.

Erasure is at once and for good: ``secure_delete`` overwrites what a deleted row held, and after a commit that erased something the
write-ahead log, which held it too, is moved into the file and cut to nothing.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from broker.ports import Held, Record
from broker.storage.sqlite import SqliteFile

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS place (position INTEGER, attempted INTEGER NOT NULL, follows INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS seen (leaf BLOB PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS chain (shard INTEGER PRIMARY KEY, counter INTEGER NOT NULL, leaf BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS followed (shard INTEGER PRIMARY KEY, at INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS held (
    offset INTEGER PRIMARY KEY, subject TEXT NOT NULL, attempts INTEGER NOT NULL, due INTEGER NOT NULL, reason TEXT NOT NULL,
    topic TEXT NOT NULL, part INTEGER NOT NULL, at INTEGER NOT NULL, key BLOB, value BLOB);
CREATE INDEX IF NOT EXISTS held_subject ON held (subject, offset);
CREATE TABLE IF NOT EXISTS quarantine (
    offset INTEGER PRIMARY KEY, code TEXT NOT NULL, reason TEXT NOT NULL, at INTEGER NOT NULL, key BLOB, value BLOB);
"""


class SqliteSubscriberStore:
    """Implements :class:`broker.ports.SubscriberStore`. A handler's own tables may live in the same file."""

    def __init__(self, path: Path | None, agency: str) -> None:
        self._file = SqliteFile(path, _SCHEMA, owner=agency)
        self._sql = self._file.connection
        self._marked = False
        self._sql.execute("PRAGMA secure_delete = ON")
        self._erased = True  # a process that ended before it could may have left something
        self.scrub()
        if self._sql.execute("SELECT 1 FROM place").fetchone() is None:
            self._sql.execute("INSERT INTO place VALUES (NULL, 0, 1)")

    @property
    def transaction(self) -> sqlite3.Connection:
        """See the port. A handler must not commit or roll back."""
        return self._sql

    def position(self) -> int | None:
        """See the port."""
        return self._sql.execute("SELECT position FROM place").fetchone()[0]

    def attempted(self) -> int:
        """See the port."""
        return self._sql.execute("SELECT attempted FROM place").fetchone()[0]

    def attempt(self, before: int) -> None:
        """See the port."""
        self._sql.execute("UPDATE place SET attempted = ?", (before,))

    def restart(self, position: int, *, follow_chains: bool) -> None:
        """See the port."""
        self._sql.execute("BEGIN IMMEDIATE")
        for table in ("seen", "chain", "followed", "held"):
            self._sql.execute(f"DELETE FROM {table}")  # noqa: S608 - names from the line above
        self._sql.execute("UPDATE place SET position = ?, attempted = 0, follows = ?", (position, int(follow_chains)))
        self._sql.execute("COMMIT")

    @property
    def follows_chains(self) -> bool:
        """See the port."""
        return bool(self._sql.execute("SELECT follows FROM place").fetchone()[0])

    def begin(self) -> None:
        """See the port."""
        self._sql.execute("BEGIN IMMEDIATE")
        self._marked = False

    def commit(self) -> None:
        """See the port. What was erased is in no file after it, unless a reader is in the middle of an answer: then after :meth:`scrub`."""
        self._sql.execute("COMMIT")
        self.scrub()

    @property
    def clean(self) -> bool:
        """Whether nothing that was erased is in the files any more."""
        return not self._erased

    def scrub(self) -> None:
        """Empty the write-ahead log if something that was erased is in it still. Does not wait for readers: call it again later."""
        if self._erased:
            self._sql.execute("PRAGMA busy_timeout = 0")
            self._erased = bool(self._sql.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0])
            self._sql.execute("PRAGMA busy_timeout = 5000")

    def rollback(self) -> None:
        """See the port."""
        if self._sql.in_transaction:
            self._sql.execute("ROLLBACK")

    def mark(self) -> None:
        """See the port."""
        if self._marked:
            self._sql.execute("RELEASE handler")
        self._sql.execute("SAVEPOINT handler")
        self._marked = True

    def undo(self) -> None:
        """See the port."""
        self._sql.execute("ROLLBACK TO handler")

    def move(self, position: int) -> None:
        """See the port."""
        self._sql.execute("UPDATE place SET position = ?", (position,))

    def seen(self, leaf: bytes) -> bool:
        """See the port."""
        return self._sql.execute("SELECT 1 FROM seen WHERE leaf = ?", (leaf,)).fetchone() is not None

    def take(self, leaf: bytes) -> None:
        """See the port."""
        self._sql.execute("INSERT OR IGNORE INTO seen VALUES (?)", (leaf,))

    def chain(self, shard: int) -> tuple[int, bytes | None] | None:
        """See the port."""
        row = self._sql.execute("SELECT counter, leaf FROM chain WHERE shard = ?", (shard,)).fetchone()
        return (row[0], row[1]) if row else None

    def followed_ms(self, shard: int) -> int:
        """See the port."""
        row = self._sql.execute("SELECT at FROM followed WHERE shard = ?", (shard,)).fetchone()
        return row[0] if row else 0

    def follow(self, shard: int, counter: int, leaf: bytes, at_ms: int) -> None:
        """See the port."""
        self._sql.execute("INSERT OR REPLACE INTO chain VALUES (?, ?, ?)", (shard, counter, leaf))
        self._sql.execute("INSERT OR REPLACE INTO followed VALUES (?, ?)", (shard, at_ms))

    def hold(self, held: Held, reason: str) -> None:
        """See the port."""
        r = held.record
        row = (r.offset, held.subject, held.attempts, held.due_ms, reason, r.topic, r.partition, r.timestamp_ms, r.key, r.value)
        self._sql.execute("INSERT OR REPLACE INTO held VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)

    def holds(self, subject: str) -> bool:
        """See the port."""
        return self._sql.execute("SELECT 1 FROM held WHERE subject = ? LIMIT 1", (subject,)).fetchone() is not None

    def due(self, now_ms: int) -> Sequence[Held]:
        """See the port."""
        query = (
            "SELECT topic, part, h.offset, at, key, value, h.subject, attempts, due FROM held h "
            "JOIN (SELECT subject, MIN(offset) AS first FROM held GROUP BY subject) f ON h.offset = f.first "
            "WHERE due <= ? ORDER BY h.offset LIMIT 100"
        )
        return [Held(Record(*row[:6]), row[6], row[7], row[8]) for row in self._sql.execute(query, (now_ms,))]

    def next_due(self) -> int | None:
        """See the port."""
        query = "SELECT MIN(due) FROM held h JOIN (SELECT MIN(offset) AS first FROM held GROUP BY subject) f ON h.offset = f.first"
        return self._sql.execute(query).fetchone()[0]

    def release(self, held: Held) -> None:
        """See the port."""
        self._sql.execute("DELETE FROM held WHERE offset = ?", (held.record.offset,))

    def forget(self, subject: str) -> None:
        """See the port."""
        self._sql.execute("DELETE FROM held WHERE subject = ?", (subject,))
        self._sql.execute("DELETE FROM quarantine WHERE code = 'REJECTED_HERE' AND key = ?", (b"s/" + subject.encode(),))
        self._erased = True

    def quarantine(self, record: Record, code: str, reason: str, at_ms: int) -> None:
        """See the port."""
        row = (record.offset, code, reason, at_ms, record.key, record.value)
        self._sql.execute("INSERT OR REPLACE INTO quarantine VALUES (?, ?, ?, ?, ?, ?)", row)

    def quarantined(self) -> list[tuple[int, str, str, int]]:
        """What was refused here: offset, code, reason, Unix ms, oldest first."""
        return list(self._sql.execute("SELECT offset, code, reason, at FROM quarantine ORDER BY offset"))

    def close(self) -> None:
        """See the port."""
        self._file.close()
