"""What is to be told by mail, and what was: each event once, whatever process dies. Times are Unix milliseconds.

An event is kept in the transaction that moves the place up to which was looked; it is ticked off when the mail server has it. A crash
between these two sends the same mail again, under the same Message-ID.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from broker.storage.console_file import opened
from broker.storage.sqlite import transaction

MOST: Final = 5000
"""Most events that wait; further ones are let go of, and counted."""
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS mail (
    id TEXT PRIMARY KEY, kind TEXT NOT NULL, subject TEXT NOT NULL, family TEXT NOT NULL, urgency TEXT NOT NULL, originator TEXT NOT NULL,
    duty TEXT NOT NULL, due INTEGER, at INTEGER NOT NULL, tries INTEGER NOT NULL DEFAULT 0, next_at INTEGER NOT NULL DEFAULT 0,
    state TEXT NOT NULL DEFAULT 'WAITING', done_at INTEGER);
CREATE INDEX IF NOT EXISTS mail_waiting ON mail (next_at, at) WHERE state = 'WAITING';
CREATE TABLE IF NOT EXISTS mail_told (mail TEXT NOT NULL, language TEXT NOT NULL, PRIMARY KEY (mail, language)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS mail_place (cursor TEXT NOT NULL, since INTEGER NOT NULL);
"""
_COLUMNS: Final = "id, kind, subject, family, urgency, originator, duty, due, at, tries"


@dataclass(frozen=True, slots=True)
class MailEvent:
    """Something to tell: ``kind`` NEW or LATE, of which subject; ``duty`` and ``due`` of what is late; ``tries`` so far. No content."""

    id: str
    kind: str
    subject: str
    family: str
    urgency: str
    originator: str
    duty: str
    due: int | None
    at: int
    tries: int = 0


class MailQueue:
    """The events of one node. Raises StoreError where the file cannot be used."""

    def __init__(self, path: Path) -> None:
        self._sql = opened(path, _SCHEMA)

    def place(self) -> tuple[str, int] | None:
        """The cursor of the inbox up to which was looked, and since when mail is on; None: it was never on."""
        found: tuple[str, int] | None = self._sql.execute("SELECT cursor, since FROM mail_place").fetchone()
        return found

    def begin(self, cursor: str, at: int) -> None:
        """Mail is on from here: what came before is not told."""
        self._sql.execute("DELETE FROM mail_place")
        self._sql.execute("INSERT INTO mail_place VALUES (?, ?)", (cursor, at))

    def take(self, events: Iterable[MailEvent], cursor: str) -> int:
        """Keep events that are not known yet, and the place, together; how many there was no room for."""
        lost = 0
        with transaction(self._sql):
            room = MOST - self.waiting()
            for each in events:
                if room <= 0:
                    lost += 1
                    continue
                row = (each.id, each.kind, each.subject, each.family, each.urgency, each.originator, each.duty, each.due, each.at, 0)
                query = f"INSERT OR IGNORE INTO mail ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608 - our own columns
                room -= self._sql.execute(query, row).rowcount
            self._sql.execute("UPDATE mail_place SET cursor = ?", (cursor,))
        return lost

    def waiting(self) -> int:
        """How many events are not told yet."""
        return self._sql.execute("SELECT count(*) FROM mail WHERE state = 'WAITING'").fetchone()[0]

    def due(self, now_ms: int, limit: int) -> list[MailEvent]:
        """What is to be told now, the oldest first."""
        query = f"SELECT {_COLUMNS} FROM mail WHERE state = 'WAITING' AND next_at <= ? ORDER BY at, id LIMIT ?"  # noqa: S608 - as above
        return [MailEvent(*row) for row in self._sql.execute(query, (now_ms, limit))]

    def told_in(self, event_id: str) -> frozenset[str]:
        """The languages in which the mail server has it already, where it does not have all."""
        return frozenset(language for (language,) in self._sql.execute("SELECT language FROM mail_told WHERE mail = ?", (event_id,)))

    def tell_in(self, event_id: str, language: str) -> None:
        """The mail server has it in a language."""
        self._sql.execute("INSERT OR IGNORE INTO mail_told VALUES (?, ?)", (event_id, language))

    def told(self, event_id: str, at: int) -> None:
        """The mail server has it, in every language."""
        self._end(event_id, "TOLD", at)

    def give_up(self, event_id: str, at: int) -> None:
        """The mail server will not have it."""
        self._end(event_id, "GIVEN_UP", at)

    def _end(self, event_id: str, state: str, at: int) -> None:
        self._sql.execute("UPDATE mail SET state = ?, done_at = ? WHERE id = ?", (state, at, event_id))
        self._sql.execute("DELETE FROM mail_told WHERE mail = ?", (event_id,))

    def again(self, event_id: str, next_at: int) -> None:
        """It was refused: try it again then."""
        self._sql.execute("UPDATE mail SET tries = tries + 1, next_at = ? WHERE id = ?", (next_at, event_id))

    def prune(self, before: int) -> None:
        """Let go of what was done before then."""
        self._sql.execute("DELETE FROM mail WHERE done_at < ?", (before,))

    def close(self) -> None:
        """Let go of the file."""
        self._sql.close()
