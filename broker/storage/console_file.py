"""The console's own file, ``console.sqlite`` beside the node's certificates: what people of the agency keep for themselves.

Drafts, assignments, notes, hand-overs, saved filters and mails to send lie in it, each in tables of their own. What is erased is
overwritten on the disk. One process has the file: the node.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Final

from broker.errors import StoreError

NAME: Final = "console.sqlite"


def opened(path: Path, schema: str) -> sqlite3.Connection:
    """A connection in autocommit mode, with these tables in the file. Raises StoreError where it cannot be used."""
    try:
        connection = sqlite3.connect(path, isolation_level=None)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA busy_timeout = 5000")
        connection.execute("PRAGMA secure_delete = ON")
        connection.executescript(schema)
        path.chmod(0o600)
    except (sqlite3.Error, OSError) as error:
        raise StoreError(f"the store `{path}` cannot be opened: {error}", advice="restore it from a copy, or move it away") from error
    return connection
