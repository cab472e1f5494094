"""The console's own file, ``console.sqlite`` beside the node's certificates: what people of the agency keep for themselves.

Drafts, assignments, notes, hand-overs, saved filters and mails to send lie in it, each in tables of their own. What is erased is
overwritten on the disk. One process has the file: the node. The screenings that it keeps have a file of the same kind.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from broker.storage.sqlite import unopened, unwritten

NAME: Final = "console.sqlite"


class _Connection(sqlite3.Connection):
    """Raises StoreError where SQLite says that the file cannot be used, so that a full disk is told as one and not as a bug."""

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        try:
            return super().execute(sql, parameters)
        except sqlite3.Error as error:
            raise unwritten(error) from error

    def executemany(self, sql: str, parameters: Iterable[Any], /) -> sqlite3.Cursor:
        try:
            return super().executemany(sql, parameters)
        except sqlite3.Error as error:
            raise unwritten(error) from error


def opened(path: Path, schema: str) -> sqlite3.Connection:
    """A connection in autocommit mode, with these tables in the file. It raises StoreError where the file cannot be used, now and later."""
    try:
        connection = sqlite3.connect(path, isolation_level=None, factory=_Connection)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA busy_timeout = 5000")
        connection.execute("PRAGMA secure_delete = ON")
        connection.executescript(schema)
        path.chmod(0o600)
    except (sqlite3.Error, OSError) as error:
        raise unopened(path, error) from error
    return connection
