"""Opening a SQLite store: one process at a time, durable on commit, one clear error when it cannot be used."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from broker.errors import StoreError, StoreInUse

MEMORY: Final = None
"""Instead of a path: a store that lives as long as its process (tests, one-off readers)."""


class SqliteFile:
    """A connection in autocommit mode, WAL with full synchronisation, and the lock that keeps other processes out."""

    def __init__(self, path: Path | None, schema: str, *, owner: str) -> None:
        self._lock: int | None = None
        if path is not None:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = _locked(path.with_suffix(path.suffix + ".lock"))
        try:
            self.connection = sqlite3.connect(":memory:" if path is None else path, isolation_level=None)
            self.connection.execute("PRAGMA journal_mode = WAL")
            self.connection.execute("PRAGMA synchronous = FULL")
            self.connection.execute("PRAGMA busy_timeout = 5000")
            self.connection.executescript(schema)
            self._claim(owner, path)
        except (sqlite3.Error, UnicodeDecodeError) as error:  # the latter of a damaged text that SQLite quotes in its own words
            self.close()
            raise unopened(path, error) from error
        except StoreError:
            self.close()
            raise
        if path is not None:
            path.chmod(0o600)

    @contextmanager
    def transaction(self) -> Generator[None]:
        """See :func:`transaction`."""
        with transaction(self.connection):
            yield

    def _claim(self, owner: str, path: Path | None) -> None:
        """A store belongs to one agency for ever: numbers and positions of two would mix."""
        self.connection.execute("CREATE TABLE IF NOT EXISTS owner (agency TEXT NOT NULL)")
        row = self.connection.execute("SELECT agency FROM owner").fetchone()
        if row is None:
            self.connection.execute("INSERT INTO owner VALUES (?)", (owner,))
        elif row[0] != owner:
            raise StoreError(f"the store `{path}` belongs to {row[0]}, not to {owner}", advice="give each agency a store of its own")

    def close(self) -> None:
        """Close the file and let others in. Safe to call twice."""
        connection = getattr(self, "connection", None)
        if connection is not None:
            connection.close()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


class StoreConnection(sqlite3.Connection):
    """Raises StoreError where SQLite says that the file cannot be used, so that a full disk is told as one and not as a bug."""

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        """See sqlite3."""
        try:
            return super().execute(sql, parameters)
        except sqlite3.Error as error:
            raise _unusable("used", error) from error

    def executemany(self, sql: str, parameters: Iterable[Any], /) -> sqlite3.Cursor:
        """See sqlite3."""
        try:
            return super().executemany(sql, parameters)
        except sqlite3.Error as error:
            raise _unusable("used", error) from error


@contextmanager
def transaction(connection: sqlite3.Connection) -> Generator[None]:
    """All that is written inside, or none of it. Raises StoreError where the file cannot be written (a full disk, say)."""
    try:
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:  # SQLite may have rolled back by itself
                connection.execute("ROLLBACK")
            raise
    except sqlite3.Error as error:
        raise _unusable("written", error) from error


def _unusable(what: str, error: sqlite3.Error) -> StoreError:
    return StoreError(f"the store cannot be {what}: {error}", advice="check free space and the file's rights")


def unopened(path: Path | None, error: Exception) -> StoreError:
    """What is said where a store cannot be opened."""
    return StoreError(f"the store `{path}` cannot be opened: {error}", advice="restore it from a copy, or move it away")


def _locked(path: Path) -> int:
    """Hold the lock file; the kernel lets go of it when this process ends, however it ends."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise StoreInUse(
            f"another process uses `{path.with_suffix('')}`", advice="end the other one, or give this one a store of its own"
        ) from error
    return descriptor
