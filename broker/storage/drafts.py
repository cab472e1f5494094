"""Messages that officers wrote in the console and that wait for a supervisor, in a file of the node's own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from broker.storage.console_file import opened

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS draft (
    id TEXT PRIMARY KEY, family TEXT NOT NULL, subject TEXT NOT NULL, body TEXT NOT NULL, author TEXT NOT NULL, made_at INTEGER NOT NULL,
    state TEXT NOT NULL, decided_by TEXT NOT NULL, message_id TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS draft_state ON draft (state, made_at);
"""
_COLUMNS: Final = "id, family, subject, body, author, made_at, state, decided_by, message_id"
WAITING: Final = "WAITING"
SENT: Final = "SENT"
RETURNED: Final = "RETURNED"


@dataclass(frozen=True, slots=True)
class Draft:
    """A message as JSON text; who wrote it and when (Unix ms); ``state`` WAITING, SENT or RETURNED, and who decided that."""

    id: str
    family: str
    subject: str
    body: str
    author: str
    made_at: int
    state: str = WAITING
    decided_by: str = ""
    message_id: str = ""


class Drafts:
    """The drafts of one node. Raises StoreError where the file cannot be used."""

    def __init__(self, path: Path) -> None:
        self._sql = opened(path, _SCHEMA)

    def keep(self, draft: Draft) -> None:
        """Keep a draft; one of this id that is there already stays as it is."""
        values = (
            draft.id, draft.family, draft.subject, draft.body, draft.author, draft.made_at, draft.state, draft.decided_by, draft.message_id,
        )  # fmt: skip
        self._sql.execute(f"INSERT OR IGNORE INTO draft ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", values)  # noqa: S608

    def get(self, draft_id: str) -> Draft | None:
        """A draft by its id."""
        row = self._sql.execute(f"SELECT {_COLUMNS} FROM draft WHERE id = ?", (draft_id,)).fetchone()  # noqa: S608
        return None if row is None else Draft(*row)

    def waiting(self, limit: int) -> list[Draft]:
        """What waits for a supervisor, the oldest first."""
        query = f"SELECT {_COLUMNS} FROM draft WHERE state = ? ORDER BY made_at LIMIT ?"  # noqa: S608
        return [Draft(*row) for row in self._sql.execute(query, (WAITING, limit))]

    def decide(self, draft_id: str, state: str, decided_by: str, message_id: str = "") -> None:
        """Note what became of a draft that waits; the content of one that was decided goes."""
        query = "UPDATE draft SET state = ?, decided_by = ?, message_id = ?, body = '' WHERE id = ? AND state = ?"
        self._sql.execute(query, (state, decided_by, message_id, draft_id, WAITING))

    def close(self) -> None:
        """Let go of the file."""
        self._sql.close()
