"""The rules of the exchange as a node knew them last: the signed records of its public topics, in the order in which they were taken.

They are kept to be judged again, signature for signature, by a node that starts while the exchange is away. What cannot be written is
thrown away whole: older rules than those that were known last could open what these had closed.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import structlog

from broker.errors import StoreError
from broker.ports import Record
from broker.storage.sqlite import SqliteFile

_TABLES: Final = """
CREATE TABLE IF NOT EXISTS record (number INTEGER PRIMARY KEY, topic TEXT NOT NULL, at INTEGER NOT NULL, key BLOB, value BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS confirmed (at INTEGER NOT NULL);
"""
_log = structlog.get_logger("rules")


class KeptRules:
    """The file, ``agencies/<ID>/rules.sqlite``; one process at a time. Raises StoreInUse, StoreError."""

    def __init__(self, path: Path, agency: str) -> None:
        self._path, self._agency = path, agency
        self._file: SqliteFile | None = SqliteFile(path, _TABLES, owner=agency)

    def records(self) -> list[Record]:
        """What was kept, in its order; nothing where the file is damaged."""
        if self._file is None:
            return []
        try:
            rows = self._file.connection.execute("SELECT topic, at, key, value FROM record ORDER BY number").fetchall()
        except sqlite3.Error as error:
            _log.error("the rules that were kept cannot be read", reason=str(error))
            return []
        return [Record(topic, 0, number, at, key, value) for number, (topic, at, key, value) in enumerate(rows)]

    def confirmed_at(self) -> int | None:
        """When these were the rules in force for the last time that is known (Unix ms); None where the file is damaged."""
        try:
            row = None if self._file is None else self._file.connection.execute("SELECT MAX(at) FROM confirmed").fetchone()
        except sqlite3.Error as error:
            _log.error("the age of the rules that were kept cannot be read", reason=str(error))
            return None
        return row[0] if row is not None and isinstance(row[0], int) else None

    def replace(self, records: Sequence[Record]) -> None:
        """Keep these, and none of before."""
        self._write(records, anew=True)

    def add(self, records: Sequence[Record]) -> None:
        """Keep these too: durable when it returns."""
        self._write(records, anew=False)

    def _write(self, records: Sequence[Record], *, anew: bool) -> None:
        if self._file is None:
            return
        try:
            with self._file.transaction():
                if anew:
                    self._file.connection.execute("DELETE FROM record")
                rows = [(each.topic, each.timestamp_ms, each.key, each.value) for each in records]
                self._file.connection.executemany("INSERT INTO record (topic, at, key, value) VALUES (?, ?, ?, ?)", rows)
        except StoreError as error:
            _log.error("the rules cannot be kept: a start without the exchange will know none", reason=str(error))
            self._throw_away()

    def confirm(self, at_ms: int) -> None:
        """Remember that these are the rules in force at this time."""
        if self._file is None:
            return
        try:
            with self._file.transaction():
                self._file.connection.execute("DELETE FROM confirmed")
                self._file.connection.execute("INSERT INTO confirmed VALUES (?)", (at_ms,))
        except StoreError as error:
            _log.warning("that the rules are in force is not kept", reason=str(error))

    def _throw_away(self) -> None:
        self.close()
        for path in (self._path, self._path.with_name(self._path.name + "-wal"), self._path.with_name(self._path.name + "-shm")):
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)

    def close(self) -> None:
        """Let go of the file. Safe to call twice."""
        file, self._file = self._file, None
        if file is not None:
            file.close()
