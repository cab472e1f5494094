"""The console's own file, ``console.sqlite`` beside the node's certificates: what people of the agency keep for themselves.

Drafts, assignments, notes, hand-overs, saved filters and mails to send lie in it, each in tables of their own. What is erased is
overwritten on the disk. One process has the file: the node. The screenings that it keeps have a file of the same kind.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Final

from broker.errors import StoreError
from broker.storage.sqlite import StoreConnection, unopened

NAME: Final = "console.sqlite"


def opened(path: Path, schema: str) -> sqlite3.Connection:
    """A connection in autocommit mode, with these tables in the file. It raises StoreError where the file cannot be used, now and later."""
    try:
        connection = sqlite3.connect(path, isolation_level=None, factory=StoreConnection)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA busy_timeout = 5000")
        connection.execute("PRAGMA secure_delete = ON")
        connection.executescript(schema)
        path.chmod(0o600)
    except (sqlite3.Error, StoreError, OSError) as error:
        raise unopened(path, error) from error
    return connection


def scrub(connection: sqlite3.Connection) -> None:
    """Let go of the log that is written ahead as well: it holds what was overwritten in the file. Call it after what erases."""
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
