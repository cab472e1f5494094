"""The versions of drafts: what each said when it was handed over, by whom and when; and which version a supervisor looked at last.

They are tables beside those of :mod:`broker.storage.drafts`, written in its transactions, and go with the draft's content.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Final

VERSIONS: Final = 30
"""Most versions that are kept of one draft: the last ones."""
SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS draft_version (
    draft TEXT NOT NULL, number INTEGER NOT NULL, at INTEGER NOT NULL, who TEXT NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY (draft, number)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS draft_look (
    draft TEXT NOT NULL, who TEXT NOT NULL, number INTEGER NOT NULL, before INTEGER NOT NULL, PRIMARY KEY (draft, who)) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class DraftVersion:
    """One version: its number from 1, when it was handed over (Unix ms) and by whom."""

    number: int
    at: int
    who: str


def add(sql: sqlite3.Connection, draft_id: str, at: int, who: str, body: str) -> None:
    """Keep a version, if it says something else than the last one; the oldest go where there are too many. In the caller's transaction."""
    last = sql.execute("SELECT number, body FROM draft_version WHERE draft = ? ORDER BY number DESC LIMIT 1", (draft_id,)).fetchone()
    if last is not None and last[1] == body:
        return
    number = 1 if last is None else last[0] + 1
    sql.execute("INSERT INTO draft_version VALUES (?, ?, ?, ?, ?)", (draft_id, number, at, who, body))
    sql.execute("DELETE FROM draft_version WHERE draft = ? AND number <= ?", (draft_id, number - VERSIONS))


def erase(sql: sqlite3.Connection, draft_id: str) -> None:
    """Let go of all versions of a draft. In the caller's transaction."""
    sql.execute("DELETE FROM draft_version WHERE draft = ?", (draft_id,))
    sql.execute("DELETE FROM draft_look WHERE draft = ?", (draft_id,))


def known(sql: sqlite3.Connection, draft_id: str) -> bool:
    """Whether versions of a draft are kept: those of an earlier program have none."""
    return sql.execute("SELECT 1 FROM draft_version WHERE draft = ? LIMIT 1", (draft_id,)).fetchone() is not None


def of(sql: sqlite3.Connection, draft_id: str) -> list[DraftVersion]:
    """The versions of a draft that are kept, the oldest first."""
    rows = sql.execute("SELECT number, at, who FROM draft_version WHERE draft = ? ORDER BY number", (draft_id,))
    return [DraftVersion(*row) for row in rows]


def body(sql: sqlite3.Connection, draft_id: str, number: int) -> str | None:
    """What a version says, as JSON text; None where it is not kept."""
    row = sql.execute("SELECT body FROM draft_version WHERE draft = ? AND number = ?", (draft_id, number)).fetchone()
    return None if row is None else row[0]


def looked(sql: sqlite3.Connection, draft_id: str, who: str, number: int) -> int:
    """Note that somebody looks at a version; the version that they had looked at before it, 0 for none. To look again changes nothing."""
    row = sql.execute("SELECT number, before FROM draft_look WHERE draft = ? AND who = ?", (draft_id, who)).fetchone()
    if row is not None and row[0] >= number:
        return row[1]
    before = 0 if row is None else row[0]
    sql.execute("INSERT OR REPLACE INTO draft_look VALUES (?, ?, ?, ?)", (draft_id, who, number, before))
    return before
