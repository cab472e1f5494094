"""A publisher's store in SQLite: the stream, each signed record until it is answered, and the answers.

A lost store is no harm to others: a new one begins a new stream at number 1. A store copied back from an old backup would use
numbers twice; the relay finds that (EQUIVOCATION), and the publisher then needs a new stream.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from broker.ports import Stored
from broker.storage.sqlite import SqliteFile

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS stream (id BLOB NOT NULL, seq INTEGER NOT NULL, leaf BLOB);
CREATE TABLE IF NOT EXISTS outbox (
    seq INTEGER PRIMARY KEY, message_id BLOB NOT NULL, subject TEXT NOT NULL, revision INTEGER NOT NULL,
    leaf BLOB NOT NULL, digest BLOB NOT NULL UNIQUE, value BLOB, receipt BLOB);
CREATE INDEX IF NOT EXISTS outbox_waiting ON outbox (seq) WHERE receipt IS NULL;
CREATE TABLE IF NOT EXISTS inbox (position INTEGER NOT NULL);
"""


class SqlitePublisherStore:
    """Implements :class:`broker.ports.PublisherStore`. ``new_stream``: 16 random bytes, used if the store is new."""

    def __init__(self, path: Path | None, agency: str, new_stream: bytes) -> None:
        self._file = SqliteFile(path, _SCHEMA, owner=agency)
        self._sql = self._file.connection
        if self._sql.execute("SELECT 1 FROM stream").fetchone() is None:
            self._sql.execute("INSERT INTO stream VALUES (?, 0, NULL)", (new_stream,))

    def stream(self) -> tuple[bytes, int, bytes | None]:
        """See the port."""
        row = self._sql.execute("SELECT id, seq, leaf FROM stream").fetchone()
        return row[0], row[1], row[2]

    def add(self, messages: Sequence[Stored]) -> None:
        """See the port."""
        if not messages:
            return
        with self._file.transaction():
            rows = [(m.seq, m.message_id, m.subject, m.revision, m.leaf, m.digest, m.value) for m in messages]
            self._sql.executemany("INSERT INTO outbox VALUES (?, ?, ?, ?, ?, ?, ?, NULL)", rows)
            self._sql.execute("UPDATE stream SET seq = ?, leaf = ?", (messages[-1].seq, messages[-1].leaf))

    def unanswered(self) -> Sequence[Stored]:
        """See the port."""
        query = "SELECT seq, message_id, subject, revision, leaf, digest, value FROM outbox WHERE receipt IS NULL ORDER BY seq"
        return [Stored(*row) for row in self._sql.execute(query)]

    def settle(self, receipts: Sequence[tuple[bytes, bytes]], position: int) -> frozenset[bytes]:
        """See the port."""
        awaited: set[bytes] = set()
        update = "UPDATE outbox SET receipt = ?, value = NULL WHERE digest = ? AND receipt IS NULL"
        with self._file.transaction():
            for digest, note in receipts:
                if self._sql.execute(update, (note, digest)).rowcount:
                    awaited.add(digest)
            self._sql.execute("DELETE FROM inbox")
            self._sql.execute("INSERT INTO inbox VALUES (?)", (position,))
        return frozenset(awaited)

    def receipts_position(self) -> int | None:
        """See the port."""
        row = self._sql.execute("SELECT position FROM inbox").fetchone()
        return row[0] if row else None

    def receipt(self, digest: bytes) -> bytes | None:
        """The stored receipt note of a record, by the record's digest."""
        row = self._sql.execute("SELECT receipt FROM outbox WHERE digest = ?", (digest,)).fetchone()
        return row[0] if row else None

    def close(self) -> None:
        """See the port."""
        self._file.close()
