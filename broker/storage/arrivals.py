"""What came into an agency's inbox, in order, for those who read it by a cursor: rows written in the transaction that moves the position.

A row is found by its number, which is never given twice; ``epoch`` tells this file from one that was lost and made again, whose numbers
would mean other messages. What the owner takes back is erased here as everywhere (:mod:`broker.storage.subscriber_store`): the row stays,
without content. The same revision decided again takes the place of what came before.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from broker.errors import StoreError
from broker.register.rows import SubjectRow
from broker.storage.subscriber_store import SqliteSubscriberStore

KEPT_MS: Final = 30 * 86_400_000
"""How long a row is kept: as long as the inbox itself keeps every revision."""
_COLUMNS: Final = (
    "subject", "family", "originator", "revision", "counter", "leaf", "message_id", "issued_at", "admitted_at", "valid_until", "urgency",
    "tlp", "handling", "withheld", "state", "reason", "erased_at", "labels",
)  # fmt: skip
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS arrived (
    number INTEGER PRIMARY KEY AUTOINCREMENT, subject TEXT NOT NULL, family TEXT NOT NULL, originator TEXT NOT NULL,
    revision INTEGER NOT NULL, counter INTEGER NOT NULL, leaf BLOB NOT NULL, message_id TEXT NOT NULL, issued_at INTEGER NOT NULL,
    admitted_at INTEGER NOT NULL, valid_until INTEGER, urgency TEXT NOT NULL, tlp TEXT NOT NULL, handling TEXT NOT NULL,
    withheld TEXT NOT NULL, state TEXT NOT NULL, reason TEXT, erased_at INTEGER, labels TEXT NOT NULL, body TEXT);
CREATE INDEX IF NOT EXISTS arrived_subject ON arrived (subject);
CREATE TABLE IF NOT EXISTS epoch (epoch TEXT NOT NULL);
"""
_INSERT: Final = f"INSERT INTO arrived ({', '.join(_COLUMNS)}, body) VALUES ({', '.join('?' * (len(_COLUMNS) + 1))})"  # noqa: S608
_ROW: Final = attrgetter(*_COLUMNS)
_READ: Final = f"SELECT number, body, {', '.join(_COLUMNS)} FROM arrived WHERE number > ? ORDER BY number LIMIT ?"  # noqa: S608
_ABOUT: Final = f"SELECT number, body, {', '.join(_COLUMNS)} FROM arrived WHERE subject = ? ORDER BY number"  # noqa: S608
_ERASE: Final = (
    "UPDATE arrived SET body = NULL, labels = '', withheld = '', state = 'ERASED', reason = ?, erased_at = ? "
    "WHERE subject = ? AND state = 'LIVE'"
)
_REPLACE: Final = (
    "UPDATE arrived SET body = NULL, labels = '', withheld = '', state = 'ERASED', reason = 'REPLACED', erased_at = ? "
    "WHERE subject = ? AND revision = ? AND state = 'LIVE'"
)


@dataclass(frozen=True, slots=True)
class Arrival:
    """A row: its number, what its signed header says, and the delivery as JSON values; None where it was erased."""

    number: int
    row: SubjectRow
    body: Mapping[str, Any] | None


class ArrivalStore(SqliteSubscriberStore):
    """A subscriber's store with the arrivals in the same file. ``new_epoch``: some random digits, used if the file is new.

    ``committed`` is called after each commit: readers see what it brought from then on."""

    def __init__(self, path: Path | None, agency: str, new_epoch: str, committed: Callable[[], None] = lambda: None) -> None:
        super().__init__(path, agency)
        self._committed = committed
        try:
            self._sql.executescript(_SCHEMA)
            if self._sql.execute("SELECT 1 FROM epoch").fetchone() is None:
                self._sql.execute("INSERT INTO epoch VALUES (?)", (new_epoch,))
        except sqlite3.Error as error:
            self.close()
            raise StoreError(f"the store `{path}` cannot be opened: {error}", advice="move it away: it is built again") from error

    def arrive(self, row: SubjectRow, body: Mapping[str, Any], *, taken_back: bool, again: bool) -> None:
        """Keep a delivery, in the transaction that is open. ``taken_back``: what is kept of its subject goes; ``again``: what is kept of
        its revision goes, it was decided anew."""
        if taken_back:
            erased = self._sql.execute(_ERASE, ("TAKEN_BACK", row.admitted_at, row.subject)).rowcount
        else:
            erased = self._sql.execute(_REPLACE, (row.admitted_at, row.subject, row.revision)).rowcount if again else 0
        self._erased |= erased > 0
        self._sql.execute(_INSERT, (*_ROW(row), json.dumps(body, ensure_ascii=False, separators=(",", ":"))))

    def commit(self) -> None:
        """See the port."""
        super().commit()
        self._committed()

    def prune(self, before_ms: int) -> int:
        """Let go of rows that were admitted before then; how many. Not while a transaction is open."""
        gone = self._sql.execute("DELETE FROM arrived WHERE admitted_at < ?", (before_ms,)).rowcount
        self._erased |= gone > 0
        self.scrub()
        return gone


class ArrivalReader:
    """Reads arrivals that another connection writes."""

    def __init__(self, path: Path) -> None:
        """Raises StoreError where there is no such file yet."""
        try:
            self._sql = sqlite3.connect(f"file:{quote(str(path.absolute()))}?mode=ro", uri=True, isolation_level=None)
            (self.epoch,) = self._sql.execute("SELECT epoch FROM epoch").fetchone()
        except (sqlite3.Error, TypeError) as error:
            raise StoreError(f"the store `{path}` cannot be read: {error}", advice="start the node: it makes the file") from error

    def after(self, number: int, limit: int) -> list[Arrival]:
        """The rows behind a number, in order."""
        return _arrivals(self._sql.execute(_READ, (number, limit)).fetchall())

    def about(self, subject: str) -> list[Arrival]:
        """The rows of one subject, in order."""
        return _arrivals(self._sql.execute(_ABOUT, (subject,)).fetchall())

    def last(self) -> int:
        """The number of the last row that ever came; 0 where none did."""
        row = self._sql.execute("SELECT seq FROM sqlite_sequence WHERE name = 'arrived'").fetchone()
        return row[0] if row else 0

    def position(self) -> int:
        """The offset in the inbox up to which everything is here."""
        return self._sql.execute("SELECT position FROM place").fetchone()[0] or 0

    def close(self) -> None:
        """Let go of the file."""
        self._sql.close()


def _arrivals(found: list[Any]) -> list[Arrival]:
    return [Arrival(each[0], SubjectRow(*each[2:]), None if each[1] is None else json.loads(each[1])) for each in found]
