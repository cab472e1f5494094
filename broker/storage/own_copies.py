"""Copies of an agency's own accepted messages, on their way from its publisher into its register.

Two processes use the file: the publisher adds, the register takes. What the register has taken is overwritten.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from broker.ports import OwnCopy
from broker.storage.sqlite import transaction, unopened

_SCHEMA: Final = (
    "CREATE TABLE IF NOT EXISTS copy (number INTEGER PRIMARY KEY AUTOINCREMENT, value BLOB NOT NULL, admitted_at INTEGER NOT NULL, "
    "recipients TEXT NOT NULL DEFAULT '')"
)
_ADDED: Final = "ALTER TABLE copy ADD COLUMN recipients TEXT NOT NULL DEFAULT ''"
"""What files of an earlier version lack: their copies name no recipients."""


class SqliteOwnCopies:
    """Implements :class:`broker.ports.OwnCopies`, and the register's side of it."""

    def __init__(self, path: Path) -> None:
        try:
            self._sql = sqlite3.connect(path, isolation_level=None)
            self._sql.execute("PRAGMA journal_mode = WAL")
            self._sql.execute("PRAGMA synchronous = FULL")
            self._sql.execute("PRAGMA busy_timeout = 5000")
            self._sql.execute("PRAGMA secure_delete = ON")
            self._sql.execute("BEGIN IMMEDIATE")
            self._sql.execute(_SCHEMA)
            if "recipients" not in {row[1] for row in self._sql.execute("PRAGMA table_info(copy)")}:
                self._sql.execute(_ADDED)
            self._sql.execute("COMMIT")
        except sqlite3.Error as error:
            raise unopened(path, error) from error
        path.chmod(0o600)

    def keep(self, copies: Sequence[OwnCopy]) -> None:
        """See the port."""
        with transaction(self._sql):
            rows = [(copy.value, copy.admitted_at, " ".join(copy.recipients)) for copy in copies]
            self._sql.executemany("INSERT INTO copy (value, admitted_at, recipients) VALUES (?, ?, ?)", rows)

    def after(self, number: int, limit: int) -> list[tuple[int, OwnCopy]]:
        """The copies after a number, in order, with their numbers."""
        query = "SELECT number, value, admitted_at, recipients FROM copy WHERE number > ? ORDER BY number LIMIT ?"
        rows = self._sql.execute(query, (number, limit)).fetchall()
        return [(row[0], OwnCopy(row[1], row[2], tuple(row[3].split()))) for row in rows]

    def forget(self, number: int) -> None:
        """The register has everything up to this number."""
        if self._sql.execute("SELECT 1 FROM copy WHERE number <= ? LIMIT 1", (number,)).fetchone() is not None:
            self._sql.execute("DELETE FROM copy WHERE number <= ?", (number,))
            self._sql.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        """See the port."""
        self._sql.close()
