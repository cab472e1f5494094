"""What an agency's imports have done, in SQLite: how far each file got, and which row made which revision of which subject.

That a message is sent once is the publisher's store's matter: it holds each record from before its first send. This one tells a row that
comes again from another row that says something else, and where an import that was killed goes on.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal, NamedTuple

from broker.storage.sqlite import SqliteFile

State = Literal["begun", "accepted", "refused"]

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS files (digest BLOB PRIMARY KEY, line INTEGER NOT NULL, messages INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS made (
    subject TEXT NOT NULL, revision INTEGER NOT NULL, digest BLOB NOT NULL, line INTEGER NOT NULL, state TEXT NOT NULL,
    PRIMARY KEY (subject, revision)) WITHOUT ROWID;
"""


class Made(NamedTuple):
    """A message that a row made: SHA-256 of its JSON form, the row's line, and what became of it."""

    subject: str
    revision: int
    digest: bytes
    line: int
    state: State


class SqliteImports:
    """The imports of one agency; one process at a time. ``path`` None: for as long as the process lives."""

    def __init__(self, path: Path | None, agency: str) -> None:
        """Raises StoreError, StoreInUse."""
        self._file = SqliteFile(path, _SCHEMA, owner=agency)
        self._sql = self._file.connection

    def reached(self, digest: bytes) -> tuple[int, int]:
        """Up to which line a file with this digest is dealt with, and how many messages that were; 0 and 0 where it is new."""
        row = self._sql.execute("SELECT line, messages FROM files WHERE digest = ?", (digest,)).fetchone()
        return (row[0], row[1]) if row else (0, 0)

    def made(self, subject: str, revision: int) -> Made | None:
        """What a row made of this revision."""
        row = self._sql.execute("SELECT * FROM made WHERE subject = ? AND revision = ?", (subject, revision)).fetchone()
        return Made(*row) if row else None

    def keep(self, made: Sequence[Made], reached: tuple[bytes, int, int] | None = None) -> None:
        """Keep these, each in place of what was known of it, and with them how far its file (digest, line, messages) got."""
        with self._file.transaction():
            self._sql.executemany("INSERT OR REPLACE INTO made VALUES (?, ?, ?, ?, ?)", made)
            if reached is not None:
                self._sql.execute("INSERT OR REPLACE INTO files VALUES (?, ?, ?)", reached)

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()
