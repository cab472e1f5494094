"""Who works on what, what was noted, and how one shift handed over to the next: of one agency, and never sent anywhere.

Notes are only added to. What the owner of a subject takes back is erased here as well: the text goes, who noted something and when stays.
Times are Unix milliseconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from broker.storage.console_file import opened, scrub
from broker.storage.sqlite import transaction

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS assigned (
    number INTEGER PRIMARY KEY, subject TEXT NOT NULL, assignee TEXT NOT NULL, given_by TEXT NOT NULL, at INTEGER NOT NULL,
    ended_at INTEGER);
CREATE INDEX IF NOT EXISTS assigned_subject ON assigned (subject, number);
CREATE INDEX IF NOT EXISTS assigned_now ON assigned (subject) WHERE ended_at IS NULL;
CREATE TABLE IF NOT EXISTS note (
    number INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, subject TEXT NOT NULL, author TEXT NOT NULL, at INTEGER NOT NULL,
    text TEXT NOT NULL, erased_at INTEGER);
CREATE INDEX IF NOT EXISTS note_subject ON note (subject, number);
CREATE INDEX IF NOT EXISTS note_at ON note (at);
CREATE INDEX IF NOT EXISTS note_kept ON note (subject) WHERE erased_at IS NULL;
CREATE TABLE IF NOT EXISTS handover (
    number INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, given_by TEXT NOT NULL, at INTEGER NOT NULL, text TEXT NOT NULL,
    taken_by TEXT NOT NULL DEFAULT '', taken_at INTEGER, erased_at INTEGER);
"""
_ASSIGNED: Final = "SELECT subject, assignee, given_by, at, ended_at FROM assigned"
_NOTE: Final = "SELECT number, subject, author, at, text, erased_at FROM note"
_HANDOVER: Final = "SELECT number, given_by, at, text, taken_by, taken_at, erased_at FROM handover"
TEXT: Final = 4000
"""Longest note, in characters."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """That somebody was given a subject by somebody; ``assignee`` empty: it was taken from whoever had it. ``ended_at``: another followed,
    or the subject was erased."""

    subject: str
    assignee: str
    given_by: str
    at: int
    ended_at: int | None


@dataclass(frozen=True, slots=True)
class Note:
    """A note; without text where it was erased."""

    number: int
    subject: str
    author: str
    at: int
    text: str
    erased_at: int | None


@dataclass(frozen=True, slots=True)
class Handover:
    """What one shift leaves to the next; ``taken_by`` empty: nobody has taken over yet."""

    number: int
    given_by: str
    at: int
    text: str
    taken_by: str
    taken_at: int | None
    erased_at: int | None


class Desk:
    """The desk of one node. Raises StoreError where its file cannot be used. ``version`` is another number after each change."""

    def __init__(self, path: Path) -> None:
        self._sql = opened(path, _SCHEMA)
        self.version = 0

    # -- who works on what -----------------------------------------------------------------------------------------------

    def assign(self, subject: str, assignee: str, given_by: str, at: int) -> None:
        """Give a subject to somebody, or to nobody (empty); nothing happens where it is so already."""
        if self.assignees().get(subject, "") == assignee:
            return
        with transaction(self._sql):
            self._sql.execute("UPDATE assigned SET ended_at = ? WHERE subject = ? AND ended_at IS NULL", (at, subject))
            row = (subject, assignee, given_by, at)
            self._sql.execute("INSERT INTO assigned (subject, assignee, given_by, at) VALUES (?, ?, ?, ?)", row)
        self.version += 1

    def assignees(self) -> Mapping[str, str]:
        """Who works on what now, by subject."""
        return dict(self._sql.execute("SELECT subject, assignee FROM assigned WHERE ended_at IS NULL AND assignee <> ''"))

    def assignments(self, subject: str) -> list[Assignment]:
        """Whom a subject was given to, the oldest first."""
        return [Assignment(*row) for row in self._sql.execute(f"{_ASSIGNED} WHERE subject = ? ORDER BY number", (subject,))]

    # -- notes -----------------------------------------------------------------------------------------------------------

    def note(self, subject: str, text: str, author: str, at: int, key: str) -> None:
        """Add a note; the second one under the same ``key`` (of the form) is the same one."""
        row = (key, subject, author, at, text)
        self._sql.execute("INSERT OR IGNORE INTO note (key, subject, author, at, text) VALUES (?, ?, ?, ?, ?)", row)
        self.version += 1

    def notes(self, subject: str) -> list[Note]:
        """The notes on a subject, the oldest first."""
        return [Note(*row) for row in self._sql.execute(f"{_NOTE} WHERE subject = ? ORDER BY number", (subject,))]

    def notes_since(self, at: int, limit: int) -> list[Note]:
        """The newest notes on all subjects that are not older, the newest first."""
        return [Note(*row) for row in self._sql.execute(f"{_NOTE} WHERE at >= ? ORDER BY at DESC, number DESC LIMIT ?", (at, limit))]

    def counts(self) -> Mapping[str, int]:
        """How many notes there are, by subject."""
        return dict(self._sql.execute("SELECT subject, count(*) FROM note WHERE erased_at IS NULL GROUP BY subject"))

    def subjects(self) -> list[str]:
        """Every subject of which something is kept that has to go with it."""
        query = "SELECT subject FROM note WHERE erased_at IS NULL UNION SELECT subject FROM assigned WHERE ended_at IS NULL"
        return [subject for (subject,) in self._sql.execute(query)]

    def erase(self, subject: str, at: int) -> None:
        """Let go of what was noted on a subject, and end its assignment: it was taken back."""
        gone = self._sql.execute("UPDATE note SET text = '', erased_at = ? WHERE subject = ? AND erased_at IS NULL", (at, subject)).rowcount
        ended = self._sql.execute("UPDATE assigned SET ended_at = ? WHERE subject = ? AND ended_at IS NULL", (at, subject)).rowcount
        if gone:
            scrub(self._sql)
        self.version += bool(gone or ended)

    # -- from shift to shift ---------------------------------------------------------------------------------------------

    def hand_over(self, text: str, given_by: str, at: int, key: str) -> None:
        """Leave a note to the next shift; the second one under the same ``key`` is the same one."""
        self._sql.execute("INSERT OR IGNORE INTO handover (key, given_by, at, text) VALUES (?, ?, ?, ?)", (key, given_by, at, text))

    def handovers(self, limit: int) -> list[Handover]:
        """What was handed over: first what nobody has taken over yet, then the newest."""
        query = f"{_HANDOVER} ORDER BY taken_at IS NOT NULL, number DESC LIMIT ?"
        return [Handover(*row) for row in self._sql.execute(query, (limit,))]

    def handover(self, number: int) -> Handover | None:
        """One of them."""
        row = self._sql.execute(f"{_HANDOVER} WHERE number = ?", (number,)).fetchone()
        return None if row is None else Handover(*row)

    def take_over(self, number: int, taken_by: str, at: int, *, with_cases: bool) -> bool:
        """Take over; ``with_cases``: also what is assigned to whoever handed over. False: somebody else has done so, or gave it."""
        query = "UPDATE handover SET taken_by = ?, taken_at = ? WHERE number = ? AND taken_at IS NULL AND given_by <> ?"
        done = self._sql.execute(query, (taken_by, at, number, taken_by)).rowcount > 0
        given = self.handover(number)
        if done and with_cases and given is not None:
            for subject, assignee in self.assignees().items():
                if assignee == given.given_by:
                    self.assign(subject, taken_by, taken_by, at)
        return done

    def forget(self, before: int, at: int) -> None:
        """Let go of the texts of hand-overs that are older; who and when stays."""
        if self._sql.execute("UPDATE handover SET text = '', erased_at = ? WHERE at < ? AND erased_at IS NULL", (at, before)).rowcount:
            scrub(self._sql)

    def close(self) -> None:
        """Let go of the file."""
        self._sql.close()
