"""Copies of an agency's own accepted messages, on their way from its publisher into its register.

Two processes use the file: the publisher adds, the register takes. What the register has taken is overwritten.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from broker.errors import StoreError

_SCHEMA: Final = (
    "CREATE TABLE IF NOT EXISTS copy (number INTEGER PRIMARY KEY AUTOINCREMENT, value BLOB NOT NULL, admitted_at INTEGER NOT NULL)"
)


class SqliteOwnCopies:
    """Implements :class:`broker.ports.OwnCopies`, and the register's side of it."""

    def __init__(self, path: Path) -> None:
        try:
            self._sql = sqlite3.connect(path, isolation_level=None)
            self._sql.execute("PRAGMA journal_mode = WAL")
            self._sql.execute("PRAGMA synchronous = FULL")
            self._sql.execute("PRAGMA busy_timeout = 5000")
            self._sql.execute("PRAGMA secure_delete = ON")
            self._sql.execute(_SCHEMA)
        except sqlite3.Error as error:
            raise StoreError(f"the store `{path}` cannot be opened: {error}", advice="restore it from a copy, or move it away") from error
        path.chmod(0o600)

    def keep(self, copies: Sequence[tuple[bytes, int]]) -> None:
        """See the port."""
        try:
            self._sql.execute("BEGIN IMMEDIATE")
            self._sql.executemany("INSERT INTO copy (value, admitted_at) VALUES (?, ?)", copies)
            self._sql.execute("COMMIT")
        except sqlite3.Error as error:
            if self._sql.in_transaction:
                self._sql.execute("ROLLBACK")
            raise StoreError(f"the store cannot be written: {error}", advice="check free space and the file's rights") from error

    def after(self, number: int, limit: int) -> list[tuple[int, bytes, int]]:
        """The copies after a number, in order: number, record value, admission time in Unix ms."""
        query = "SELECT number, value, admitted_at FROM copy WHERE number > ? ORDER BY number LIMIT ?"
        return self._sql.execute(query, (number, limit)).fetchall()

    def forget(self, number: int) -> None:
        """The register has everything up to this number."""
        if self._sql.execute("SELECT 1 FROM copy WHERE number <= ? LIMIT 1", (number,)).fetchone() is not None:
            self._sql.execute("DELETE FROM copy WHERE number <= ?", (number,))
            self._sql.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        """See the port."""
        self._sql.close()
