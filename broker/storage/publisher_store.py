"""A publisher's store in SQLite: the stream, each signed record until it is answered, and the answers.

A lost store is no harm to others: a new one begins a new stream at number 1. A store copied back from an old backup would use
numbers twice; the relay finds that (EQUIVOCATION), and the publisher then begins a new stream in the same store.

In the table ``outbox``, ``seq`` counts the records of the store over all its streams, ``number`` within the record's stream. A record
may be signed anew more than once: ``formers`` has the digest of each of its earlier forms. Where one of those is accepted, the record
has its receipt, but keeps its bytes until they are answered too: its number has to be consumed, or the stream would stand still.

A node's messages come by way of ``intake`` (:mod:`broker.storage.intake`): storing one for sending takes it out of there, in the same
transaction, so that it is in exactly one of the two.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Final
from urllib.parse import quote

from broker.errors import StoreError
from broker.ports import Stored
from broker.storage.sqlite import SqliteFile

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS stream (id BLOB NOT NULL, seq INTEGER NOT NULL, leaf BLOB, base INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS outbox (
    seq INTEGER PRIMARY KEY, message_id BLOB NOT NULL, subject TEXT NOT NULL, revision INTEGER NOT NULL,
    leaf BLOB NOT NULL, digest BLOB NOT NULL UNIQUE, value BLOB, receipt BLOB, stream BLOB, number INTEGER);
DROP INDEX IF EXISTS outbox_waiting;
CREATE INDEX IF NOT EXISTS outbox_acks ON outbox (subject) WHERE subject GLOB '*/ack/*';
CREATE INDEX IF NOT EXISTS outbox_unanswered ON outbox (seq) WHERE value IS NOT NULL;
CREATE INDEX IF NOT EXISTS outbox_subject ON outbox (subject);
CREATE INDEX IF NOT EXISTS outbox_message ON outbox (message_id);
CREATE TABLE IF NOT EXISTS inbox (position INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS holes (stream BLOB PRIMARY KEY, number INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS formers (digest BLOB PRIMARY KEY, seq INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS formers_seq ON formers (seq);
CREATE TABLE IF NOT EXISTS later (number INTEGER PRIMARY KEY, seq INTEGER NOT NULL, note BLOB NOT NULL, UNIQUE (seq, note));
CREATE TABLE IF NOT EXISTS intake (
    number INTEGER PRIMARY KEY AUTOINCREMENT, message_id BLOB NOT NULL UNIQUE, subject TEXT NOT NULL, revision INTEGER NOT NULL,
    accepted INTEGER NOT NULL, body TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS intake_subject ON intake (subject);
CREATE TABLE IF NOT EXISTS unsent (
    message_id BLOB PRIMARY KEY, subject TEXT NOT NULL, revision INTEGER NOT NULL, accepted INTEGER NOT NULL, code TEXT NOT NULL,
    path TEXT NOT NULL, reason TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS asked (
    client TEXT NOT NULL, key TEXT NOT NULL, digest BLOB NOT NULL, answer TEXT NOT NULL, at INTEGER NOT NULL,
    PRIMARY KEY (client, key)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS asked_at ON asked (at);
"""
_ADDED: Final = (("stream", "base", "INTEGER NOT NULL DEFAULT 0"), ("outbox", "stream", "BLOB"), ("outbox", "number", "INTEGER"))
"""Columns that stores of earlier versions lack."""
_INSERT: Final = (
    "INSERT INTO outbox (seq, stream, number, message_id, subject, revision, leaf, digest, value) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_UNANSWERED: Final = (
    "SELECT number, message_id, subject, revision, leaf, digest, value FROM outbox WHERE value IS NOT NULL ORDER BY seq LIMIT ?"
)
_AWAITED: Final = (
    "SELECT stream, number, message_id, subject, revision, leaf, digest, value FROM outbox WHERE digest = ? AND value IS NOT NULL"
)
_BEHIND: Final = (
    "SELECT number, message_id, subject, revision, leaf, digest, value FROM outbox"
    " WHERE value IS NOT NULL AND stream = ? AND number > ? ORDER BY seq LIMIT ?"
)
_MOVE: Final = "UPDATE outbox SET seq = ?, stream = ?, number = ?, leaf = ?, digest = ?, value = ? WHERE seq = ?"
_ANSWER: Final = "UPDATE outbox SET receipt = ?, value = NULL WHERE digest = ? AND receipt IS NULL"
_ANSWER_FORMER: Final = "UPDATE outbox SET receipt = ? WHERE seq = (SELECT seq FROM formers WHERE digest = ?) AND receipt IS NULL"
_ANSWER_AFTER: Final = "UPDATE outbox SET value = NULL WHERE digest = ? AND value IS NOT NULL"

_LATER: Final = (
    "INSERT OR IGNORE INTO later (seq, note) SELECT seq, ? FROM"
    " (SELECT seq FROM outbox WHERE digest = ? UNION SELECT seq FROM formers WHERE digest = ?) LIMIT 1"
)
_LATER_OF: Final = "SELECT note FROM later JOIN outbox USING (seq) WHERE subject = ? ORDER BY later.number"


class SqlitePublisherStore:
    """Implements :class:`broker.ports.PublisherStore`. ``new_stream``: 16 random bytes, used if the store is new."""

    def __init__(self, path: Path | None, agency: str, new_stream: bytes) -> None:
        self._file = SqliteFile(path, _SCHEMA, owner=agency)
        self._sql = self._file.connection
        try:
            self._prepare(new_stream)
        except StoreError:
            self._file.close()
            raise

    def _prepare(self, new_stream: bytes) -> None:
        """A store of an earlier version gets what it lacks, a new one its stream."""
        with self._file.transaction():
            for table, column, kind in _ADDED:
                if column not in {row[1] for row in self._sql.execute(f"PRAGMA table_info({table})")}:
                    self._sql.execute(f"ALTER TABLE {table} ADD COLUMN {column} {kind}")
            if self._sql.execute("SELECT 1 FROM stream").fetchone() is None:
                self._sql.execute("INSERT INTO stream (id, seq, leaf) VALUES (?, 0, NULL)", (new_stream,))
            self._sql.execute("UPDATE outbox SET stream = (SELECT id FROM stream), number = seq WHERE number IS NULL")

    def stream(self) -> tuple[bytes, int, bytes | None]:
        """See the port."""
        row = self._sql.execute("SELECT id, seq, leaf FROM stream").fetchone()
        return row[0], row[1], row[2]

    def add(self, messages: Sequence[Stored]) -> None:
        """See the port."""
        if not messages:
            return
        with self._file.transaction():
            stream, base = self._sql.execute("SELECT id, base FROM stream").fetchone()
            rows = [(base + m.seq, stream, m.seq, m.message_id, m.subject, m.revision, m.leaf, m.digest, m.value) for m in messages]
            self._sql.executemany(_INSERT, rows)
            if self._sql.execute("SELECT 1 FROM intake LIMIT 1").fetchone() is not None:
                self._sql.executemany("DELETE FROM intake WHERE message_id = ?", [(m.message_id,) for m in messages])
            self._sql.execute("UPDATE stream SET seq = ?, leaf = ?", (messages[-1].seq, messages[-1].leaf))

    def unanswered(self, limit: int | None = None) -> Sequence[Stored]:
        """See the port."""
        return [Stored(*row) for row in self._sql.execute(_UNANSWERED, (-1 if limit is None else limit,))]

    def awaited(self, digest: bytes) -> tuple[bytes, Stored] | None:
        """See the port."""
        row = self._sql.execute(_AWAITED, (digest,)).fetchone()
        return (row[0], Stored(*row[1:])) if row else None

    def give_up(self, stream: bytes, successor: bytes, *, hole: int | None) -> None:
        """See the port."""
        with self._file.transaction():
            begin = "UPDATE stream SET base = base + seq, id = ?, seq = 0, leaf = NULL WHERE id = ?"
            self._sql.execute(begin, (successor, stream))
            if hole is not None:
                lowest = "INSERT INTO holes VALUES (?, ?) ON CONFLICT (stream) DO UPDATE SET number = min(number, excluded.number)"
                self._sql.execute(lowest, (stream, hole))

    def hole(self, stream: bytes) -> int | None:
        """See the port."""
        row = self._sql.execute("SELECT number FROM holes WHERE stream = ?", (stream,)).fetchone()
        return row[0] if row else None

    def behind(self, stream: bytes, number: int, limit: int) -> Sequence[Stored]:
        """See the port."""
        return [Stored(*row) for row in self._sql.execute(_BEHIND, (stream, number, limit))]

    def reseat(self, moves: Sequence[tuple[bytes, Stored]]) -> None:
        """See the port."""
        if not moves:
            return
        with self._file.transaction():
            stream, base = self._sql.execute("SELECT id, base FROM stream").fetchone()
            for digest, m in moves:
                (seq,) = self._sql.execute("SELECT seq FROM outbox WHERE digest = ? AND value IS NOT NULL", (digest,)).fetchone()
                self._sql.execute(_MOVE, (base + m.seq, stream, m.seq, m.leaf, m.digest, m.value, seq))
                for table in ("formers", "later"):
                    self._sql.execute(f"UPDATE {table} SET seq = ? WHERE seq = ?", (base + m.seq, seq))  # noqa: S608 - from the line above
                self._sql.execute("INSERT INTO formers VALUES (?, ?)", (digest, base + m.seq))
            last = moves[-1][1]
            self._sql.execute("UPDATE stream SET seq = ?, leaf = ?", (last.seq, last.leaf))

    def settle(self, receipts: Sequence[tuple[bytes, bytes]], position: int) -> frozenset[bytes]:
        """See the port."""
        awaited: set[bytes] = set()
        with self._file.transaction():
            for digest, note in receipts:
                answered = self._sql.execute(_ANSWER, (note, digest)).rowcount
                if not answered:
                    self._sql.execute(_ANSWER_AFTER, (digest,))
                    answered = self._sql.execute(_ANSWER_FORMER, (note, digest)).rowcount
                if answered:
                    awaited.add(digest)
            self._sql.execute("DELETE FROM inbox")
            self._sql.execute("INSERT INTO inbox VALUES (?)", (position,))
        return frozenset(awaited)

    def stored(self, subject: str) -> bool:
        """See the port."""
        return self._sql.execute("SELECT 1 FROM outbox WHERE subject = ? LIMIT 1", (subject,)).fetchone() is not None

    def acknowledged(self, subject: str) -> bool:
        """See the port."""
        return self._sql.execute("SELECT 1 FROM outbox WHERE subject = ? AND subject GLOB '*/ack/*'", (subject,)).fetchone() is not None

    def keep_later(self, receipts: Sequence[tuple[bytes, bytes]]) -> None:
        """See the port."""
        if receipts:
            with self._file.transaction():
                self._sql.executemany(_LATER, [(note, digest, digest) for digest, note in receipts])

    def later(self, subject: str) -> Sequence[bytes]:
        """See the port."""
        return [note for (note,) in self._sql.execute(_LATER_OF, (subject,))]

    def receipts_position(self) -> int | None:
        """See the port."""
        row = self._sql.execute("SELECT position FROM inbox").fetchone()
        return row[0] if row else None

    def receipts(self, subject: str) -> Sequence[bytes]:
        """See the port."""
        return receipts_of(self._sql, subject)

    def receipt(self, digest: bytes) -> bytes | None:
        """The stored receipt note of a record, by the digest of any form it had."""
        query = "SELECT receipt FROM outbox WHERE digest = ? OR seq = (SELECT seq FROM formers WHERE digest = ?)"
        row = self._sql.execute(query, (digest, digest)).fetchone()
        return row[0] if row else None

    def close(self) -> None:
        """See the port."""
        self._file.close()


def sent(connection: sqlite3.Connection, subject: str) -> list[tuple[int, bytes | None]]:
    """What was published of a subject, in order: revision, and the receipt note; None where it is not answered yet."""
    query = "SELECT revision, receipt FROM outbox WHERE subject = ? ORDER BY revision, seq"
    return connection.execute(query, (subject,)).fetchall()


def receipts_of(connection: sqlite3.Connection, subject: str) -> list[bytes]:
    """The receipts of a subject's revisions in order, then the later ones."""
    notes = [note for _, note in sent(connection, subject) if note is not None]
    return notes + [note for (note,) in connection.execute(_LATER_OF, (subject,))]


class PublishedReader:
    """What an agency published, from its store, whoever writes it meanwhile."""

    def __init__(self, path: Path) -> None:
        """Raises StoreError where there is no store."""
        if not path.exists():
            raise StoreError(f"nothing was published from `{path}`", advice="give the --home from which the messages were published")
        try:
            self._sql = sqlite3.connect(f"file:{quote(str(path.absolute()))}?mode=ro", uri=True, isolation_level=None)
            self._sql.execute("SELECT 1 FROM outbox, later LIMIT 1")
        except sqlite3.Error as error:
            raise StoreError(f"the store `{path}` cannot be read: {error}", advice="publish once with this version") from error

    def receipts(self, subject: str) -> list[bytes]:
        """The receipts of a subject's revisions, and of those who were sent them later, as notes."""
        return receipts_of(self._sql, subject)

    def subjects_after(self, subject: str, limit: int) -> list[str]:
        """The subjects that were published, behind this one in order."""
        query = "SELECT DISTINCT subject FROM outbox WHERE subject > ? ORDER BY subject LIMIT ?"
        return [found for (found,) in self._sql.execute(query, (subject, limit))]

    def last_revision(self, subject: str) -> int | None:
        """The highest revision that was stored for sending; None where there was none."""
        return max((revision for revision, _ in sent(self._sql, subject)), default=None)

    def close(self) -> None:
        """Let go of the file."""
        self._sql.close()
