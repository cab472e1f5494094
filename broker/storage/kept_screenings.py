"""Screenings whose results a node keeps: who screened what for which purpose, and the hits, in a file of the node's own.

Hits hold what alerts say, so they are kept for :data:`RETENTION_MS` at the most, and those of an alert are forgotten when it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from broker.storage.console_file import opened, scrub
from broker.storage.sqlite import transaction

RETENTION_MS: Final = 30 * 86_400_000
"""How long a screening is kept, in milliseconds."""
MOST: Final = 1000
"""Most screenings that are kept: the newest."""
RESULTS: Final = 2000
"""Most hits and bad rows that are kept of one."""
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS screening (
    id TEXT PRIMARY KEY, purpose TEXT NOT NULL, name TEXT NOT NULL, author TEXT NOT NULL, made_at INTEGER NOT NULL, counts BLOB NOT NULL,
    more INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS screening_made ON screening (made_at);
CREATE TABLE IF NOT EXISTS result (
    screening TEXT NOT NULL, number INTEGER NOT NULL, subject TEXT, body BLOB NOT NULL, said TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (screening, number)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS result_subject ON result (subject) WHERE subject IS NOT NULL;
"""
_COLUMNS: Final = "id, purpose, name, author, made_at, counts, more"


class Screening(NamedTuple):
    """One screening; ``counts`` as the last line of ``broker screen --json``, ``more``: not all results were kept; times in Unix ms."""

    id: str
    purpose: str
    name: str
    author: str
    made_at: int
    counts: dict[str, Any]
    more: bool


class Result(NamedTuple):
    """A hit or bad row as ``broker screen --json`` prints it; ``said``: the result of the feedback that was given from here, if any."""

    number: int
    body: dict[str, Any]
    said: str


class KeptScreenings:
    """The screenings of one node. Raises StoreError where the file cannot be used."""

    def __init__(self, path: Path) -> None:
        self._sql = opened(path, _SCHEMA)

    def keep(self, screening: Screening, results: Iterable[dict[str, Any]]) -> None:
        """Keep a screening with its results, and forget what is too old or too much."""
        with transaction(self._sql):
            values = screening._replace(counts=msgspec.json.encode(screening.counts))  # type: ignore[arg-type]
            self._sql.execute(f"INSERT INTO screening ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)", values)  # noqa: S608
            self._sql.executemany(
                "INSERT INTO result (screening, number, subject, body) VALUES (?, ?, ?, ?)",
                ((screening.id, number, each.get("subject"), msgspec.json.encode(each)) for number, each in enumerate(results, 1)),
            )
            self._sql.execute(
                "DELETE FROM screening WHERE made_at < ? OR id NOT IN (SELECT id FROM screening ORDER BY made_at DESC, id LIMIT ?)",
                (screening.made_at - RETENTION_MS, MOST),
            )
            self._sql.execute("DELETE FROM result WHERE screening NOT IN (SELECT id FROM screening)")

    def recent(self, purpose: str, now_ms: int, limit: int = 100) -> list[Screening]:
        """The screenings for a purpose, the newest first."""
        query = f"SELECT {_COLUMNS} FROM screening WHERE purpose = ? AND made_at >= ? ORDER BY made_at DESC, id LIMIT ?"  # noqa: S608
        return [_screening(row) for row in self._sql.execute(query, (purpose, now_ms - RETENTION_MS, limit))]

    def get(self, screening_id: str, purpose: str, now_ms: int) -> Screening | None:
        """A screening that was made for a purpose; None where there is none of this id, or for another."""
        query = f"SELECT {_COLUMNS} FROM screening WHERE id = ? AND purpose = ? AND made_at >= ?"  # noqa: S608
        row = self._sql.execute(query, (screening_id, purpose, now_ms - RETENTION_MS)).fetchone()
        return _screening(row) if row else None

    def results(self, screening_id: str, after: int, limit: int) -> list[Result]:
        """Its results behind a number, in order."""
        query = "SELECT number, body, said FROM result WHERE screening = ? AND number > ? ORDER BY number LIMIT ?"
        rows = self._sql.execute(query, (screening_id, after, limit))
        return [Result(number, msgspec.json.decode(body), said) for number, body, said in rows]

    def say(self, screening_id: str, number: int, result: str) -> None:
        """Remember that feedback was given about a hit."""
        self._sql.execute("UPDATE result SET said = ? WHERE screening = ? AND number = ?", (result, screening_id, number))

    def subjects(self) -> list[str]:
        """The subjects of all hits that are kept."""
        return [subject for (subject,) in self._sql.execute("SELECT DISTINCT subject FROM result WHERE subject IS NOT NULL")]

    def forget(self, subjects: Sequence[str], now_ms: int) -> None:
        """Erase the hits of these subjects, and every screening past its time. The counts of others stay."""
        gone = self._sql.executemany("DELETE FROM result WHERE subject = ?", ((subject,) for subject in subjects)).rowcount > 0
        gone |= self._sql.execute("DELETE FROM screening WHERE made_at < ?", (now_ms - RETENTION_MS,)).rowcount > 0
        self._sql.execute("DELETE FROM result WHERE screening NOT IN (SELECT id FROM screening)")
        if gone:
            scrub(self._sql)


def _screening(row: Sequence[Any]) -> Screening:
    return Screening(*row[:5], counts=msgspec.json.decode(row[5]), more=bool(row[6]))
