"""What an agency has of files attached by others: which subjects cite them, and the chunks, in the folder beside.

A chunk is kept while a subject that is here cites its file, and no longer: what the owner takes back, or cites no more, goes at once,
whether or not the exchange has told of the chunks yet. Files of each owner are apart: who cites a file of another agency, whose number and
key it may know, neither keeps it here when its owner takes it back nor changes a byte of it. In an inbox that was compacted the chunks may
come before the message that cites them, which was revised since: they are kept (``early``) until that one comes and decides.

Rows change in the transaction that moves the position; chunks are on the disk before their row is, and go after it: a process that ends in
between leaves what the next one lets go.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from broker import ids
from broker.errors import StoreError
from broker.storage.chunk_files import ChunkFolder
from broker.storage.subscriber_store import SqliteSubscriberStore

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS cited (
    file BLOB NOT NULL, subject TEXT NOT NULL, revision INTEGER NOT NULL, chunks INTEGER NOT NULL, size INTEGER NOT NULL,
    owner TEXT NOT NULL, PRIMARY KEY (file, subject)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS cited_subject ON cited (subject);
CREATE TABLE IF NOT EXISTS early (
    subject TEXT NOT NULL, file BLOB NOT NULL, owner TEXT NOT NULL, PRIMARY KEY (subject, file)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS told (subject TEXT PRIMARY KEY) WITHOUT ROWID;
"""


class ReceivedChunks(SqliteSubscriberStore):
    """A subscriber's store with the files that are cited. ``folder`` holds the chunks."""

    def __init__(self, path: Path, agency: str, folder: ChunkFolder) -> None:
        super().__init__(path, agency)
        self._folder = folder
        self._leaving: set[tuple[str, bytes]] = set()
        try:
            self._sql.executescript(_SCHEMA)
        except sqlite3.Error as error:
            self.close()
            raise StoreError(f"the store `{path}` cannot be opened: {error}", advice="move it away: it is built again") from error
        for below in list(folder.path.iterdir()) if folder.path.is_dir() else ():
            self._keep_only(below.name)

    def _keep_only(self, owner: str) -> None:
        with contextlib.suppress(ids.InvalidId):  # not one of ours
            self._folder.below(owner).keep_only(lambda file: self._is_cited(owner, file))

    def cite(self, subject: str, revision: int, files: Sequence[Mapping[str, Any]]) -> None:
        """The files that a revision cites, in the transaction that is open; what an earlier one cited besides goes."""
        newest = self._sql.execute("SELECT max(revision) FROM cited WHERE subject = ?", (subject,)).fetchone()[0]
        if newest is not None and newest > revision:
            return
        self.forget_files(subject)
        rows = [(each["file"], subject, revision, each["chunks"], each["size"], ids.owner_of(subject)) for each in files]
        self._sql.executemany("INSERT OR IGNORE INTO cited VALUES (?, ?, ?, ?, ?, ?)", rows)

    def forget_files(self, subject: str) -> None:
        """The subject cites nothing any more: it was taken back, or what is disclosed of it has no files."""
        query = "SELECT file FROM cited WHERE subject = ? UNION SELECT file FROM early WHERE subject = ?"
        files = self._sql.execute(query, (subject, subject)).fetchall()
        self._sql.execute("DELETE FROM cited WHERE subject = ?", (subject,))
        self._sql.execute("DELETE FROM early WHERE subject = ?", (subject,))
        self._sql.execute("INSERT OR IGNORE INTO told VALUES (?)", (subject,))
        self._leaving.update((ids.owner_of(subject), file) for (file,) in files)
        self._erased |= bool(files)

    def wants(self, file: bytes, subject: str, chunks: int) -> bool:
        """Whether this subject, as it was disclosed last, cites the file with so many chunks; or whether nothing of it has come yet, which
        is noted, in the transaction that is open."""
        query = "SELECT 1 FROM cited WHERE file = ? AND subject = ? AND chunks = ?"
        if self._sql.execute(query, (file, subject, chunks)).fetchone() is not None:
            return True
        if self._sql.execute("SELECT 1 FROM told WHERE subject = ?", (subject,)).fetchone() is not None:
            return False
        self._sql.execute("INSERT OR IGNORE INTO early VALUES (?, ?, ?)", (subject, file, ids.owner_of(subject)))
        return True

    def take_chunk(self, owner: str, file: bytes, index: int, data: bytes) -> None:
        """Keep a chunk, on the disk when it returns. Raises StoreError."""
        self._folder.below(owner).put(file, index, data)

    def drop_chunk(self, owner: str, file: bytes, index: int) -> None:
        """The exchange took a chunk back."""
        self._folder.below(owner).drop(file, index)

    def commit(self) -> None:
        """See the port. What is cited no more is on the disk no more after it."""
        super().commit()
        leaving, self._leaving = self._leaving, set()
        for owner, file in leaving:
            if not self._is_cited(owner, file):
                self._folder.below(owner).drop_file(file)

    def rollback(self) -> None:
        """See the port."""
        super().rollback()
        self._leaving.clear()

    def _is_cited(self, owner: str, file: bytes) -> bool:
        try:
            return any(
                self._sql.execute(f"SELECT 1 FROM {table} WHERE file = ? AND owner = ? LIMIT 1", (file, owner)).fetchone()  # noqa: S608
                for table in ("cited", "early")
            )
        except sqlite3.Error:
            return True  # nothing goes on suspicion
