"""Messages that officers wrote in the console and that wait for a supervisor, in a file of the node's own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from broker.storage import draft_versions
from broker.storage.console_file import opened, scrub
from broker.storage.draft_versions import DraftVersion
from broker.storage.sqlite import transaction

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS draft (
    id TEXT PRIMARY KEY, family TEXT NOT NULL, subject TEXT NOT NULL, body TEXT NOT NULL, author TEXT NOT NULL, made_at INTEGER NOT NULL,
    state TEXT NOT NULL, decided_by TEXT NOT NULL, message_id TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS draft_state ON draft (state, made_at);
CREATE TABLE IF NOT EXISTS draft_form (draft TEXT PRIMARY KEY, fields TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS draft_event (
    number INTEGER PRIMARY KEY, draft TEXT NOT NULL, at INTEGER NOT NULL, who TEXT NOT NULL, what TEXT NOT NULL, reason TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS draft_event_of ON draft_event (draft, number);
"""
_COLUMNS: Final = "id, family, subject, body, author, made_at, state, decided_by, message_id"
WAITING: Final = "WAITING"
SENDING: Final = "SENDING"
"""A supervisor has approved it, and the outbox is about to take it: nobody changes it any more."""
SENT: Final = "SENT"
RETURNED: Final = "RETURNED"
DROPPED: Final = "DROPPED"


@dataclass(frozen=True, slots=True)
class Draft:
    """A message as JSON text; who wrote it and when (Unix ms); ``state`` WAITING, SENDING, SENT, RETURNED or DROPPED, and who
    decided that. One that is returned keeps its content, to be changed and handed over again."""

    id: str
    family: str
    subject: str
    body: str
    author: str
    made_at: int
    state: str = WAITING
    decided_by: str = ""
    message_id: str = ""


@dataclass(frozen=True, slots=True)
class DraftEvent:
    """What somebody did with a draft, and when (Unix ms): HANDED over, EDITED, RETURNED with a reason, SENT or DROPPED."""

    at: int
    who: str
    what: str
    reason: str


class Drafts:
    """The drafts of one node. Raises StoreError where the file cannot be used."""

    def __init__(self, path: Path) -> None:
        self._sql = opened(path, _SCHEMA + draft_versions.SCHEMA)

    def _tell(self, draft_id: str, at: int, who: str, what: str, reason: str = "") -> None:
        row = (draft_id, at, who, what, reason)
        self._sql.execute("INSERT INTO draft_event (draft, at, who, what, reason) VALUES (?, ?, ?, ?, ?)", row)

    def keep(self, draft: Draft, fields: str = "") -> None:
        """Keep a draft, with the fields of the form (JSON) that it came of; one of this id that is there already stays as it is."""
        values = (
            draft.id, draft.family, draft.subject, draft.body, draft.author, draft.made_at, draft.state, draft.decided_by, draft.message_id,
        )  # fmt: skip
        with transaction(self._sql):
            query = f"INSERT OR IGNORE INTO draft ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608
            if self._sql.execute(query, values).rowcount:
                self._sql.execute("INSERT OR REPLACE INTO draft_form VALUES (?, ?)", (draft.id, fields))
                self._tell(draft.id, draft.made_at, draft.author, "HANDED")
                draft_versions.add(self._sql, draft.id, draft.made_at, draft.author, draft.body)

    def get(self, draft_id: str) -> Draft | None:
        """A draft by its id."""
        row = self._sql.execute(f"SELECT {_COLUMNS} FROM draft WHERE id = ?", (draft_id,)).fetchone()  # noqa: S608
        return None if row is None else Draft(*row)

    def fields(self, draft_id: str) -> str:
        """The fields of the form that a draft came of (JSON); empty where they are not kept."""
        row = self._sql.execute("SELECT fields FROM draft_form WHERE draft = ?", (draft_id,)).fetchone()
        return "" if row is None else row[0]

    def history(self, draft_id: str) -> list[DraftEvent]:
        """What was done with a draft, the oldest first."""
        query = "SELECT at, who, what, reason FROM draft_event WHERE draft = ? ORDER BY number"
        return [DraftEvent(*row) for row in self._sql.execute(query, (draft_id,))]

    def versions(self, draft_id: str) -> list[DraftVersion]:
        """The versions of a draft that are kept, the oldest first; none of one whose content is gone."""
        return draft_versions.of(self._sql, draft_id)

    def version(self, draft_id: str, number: int) -> str | None:
        """What a version says, as JSON text; None where it is not kept."""
        return draft_versions.body(self._sql, draft_id, number)

    def looked(self, draft_id: str, who: str, number: int) -> int:
        """Note that somebody looks at a version; the one that they had looked at before it, 0 for none."""
        with transaction(self._sql):
            return draft_versions.looked(self._sql, draft_id, who, number)

    def waiting(self, limit: int) -> list[Draft]:
        """What waits for a supervisor, the oldest first."""
        query = f"SELECT {_COLUMNS} FROM draft WHERE state IN (?, ?) ORDER BY made_at LIMIT ?"  # noqa: S608
        return [Draft(*row) for row in self._sql.execute(query, (WAITING, SENDING, limit))]

    def returned(self, author: str, limit: int) -> list[Draft]:
        """What was returned to an author, the oldest first."""
        query = f"SELECT {_COLUMNS} FROM draft WHERE state = ? AND author = ? ORDER BY made_at LIMIT ?"  # noqa: S608
        return [Draft(*row) for row in self._sql.execute(query, (RETURNED, author, limit))]

    def bodies(self) -> list[str]:
        """The messages of all drafts that wait, are being sent, or were returned."""
        states = (WAITING, SENDING, RETURNED)
        return [body for (body,) in self._sql.execute("SELECT body FROM draft WHERE state IN (?, ?, ?)", states)]

    def amend(self, draft_id: str, author: str, *, subject: str, body: str, fields: str, at: int) -> bool:
        """Change a draft that waits or was returned, and hand it over again. False: it is not this author's, or it was decided."""
        before = self.get(draft_id)
        with transaction(self._sql):
            query = "UPDATE draft SET subject = ?, body = ?, state = ?, decided_by = '' WHERE id = ? AND author = ? AND state IN (?, ?)"
            done = self._sql.execute(query, (subject, body, WAITING, draft_id, author, WAITING, RETURNED)).rowcount > 0
            if done:
                self._sql.execute("INSERT OR REPLACE INTO draft_form VALUES (?, ?)", (draft_id, fields))
                self._tell(draft_id, at, author, "EDITED")
                if before is not None and not draft_versions.known(self._sql, draft_id):
                    draft_versions.add(self._sql, draft_id, before.made_at, before.author, before.body)
                draft_versions.add(self._sql, draft_id, at, author, body)
        return done

    def give_back(self, draft_id: str, by: str, reason: str, at: int) -> None:
        """Return a draft that waits to its author, with the reason."""
        with transaction(self._sql):
            query = "UPDATE draft SET state = ?, decided_by = ? WHERE id = ? AND state = ?"
            if self._sql.execute(query, (RETURNED, by, draft_id, WAITING)).rowcount:
                self._tell(draft_id, at, by, RETURNED, reason)

    def approve(self, draft_id: str, by: str, body: str) -> bool:
        """A supervisor sends a draft that waits, as it is: from now on nobody changes it. False: it says something else by now, or waits no
        more."""
        with transaction(self._sql):
            query = "UPDATE draft SET state = ?, decided_by = ? WHERE id = ? AND body = ? AND state = ?"
            return self._sql.execute(query, (SENDING, by, draft_id, body, WAITING)).rowcount > 0

    def wait(self, draft_id: str) -> None:
        """What was to be sent was not: it waits again."""
        with transaction(self._sql):
            self._sql.execute("UPDATE draft SET state = ?, decided_by = '' WHERE id = ? AND state = ?", (WAITING, draft_id, SENDING))

    def sent(self, draft_id: str, by: str, message_id: str, at: int) -> None:
        """Note that a draft that was approved was sent; its content goes."""
        self._end(draft_id, SENT, by, message_id, at, (SENDING,))

    def drop(self, draft_id: str, author: str, at: int) -> None:
        """Its author lets go of it; its content goes."""
        self._end(draft_id, DROPPED, author, "", at, (WAITING, RETURNED))

    def _end(self, draft_id: str, state: str, by: str, message_id: str, at: int, before: tuple[str, ...]) -> None:
        with transaction(self._sql):
            query = "UPDATE draft SET state = ?, decided_by = ?, message_id = ?, body = '' WHERE id = ? AND state IN (?, ?)"
            done = self._sql.execute(query, (state, by, message_id, draft_id, before[0], before[-1])).rowcount > 0
            if done:
                self._sql.execute("DELETE FROM draft_form WHERE draft = ?", (draft_id,))
                draft_versions.erase(self._sql, draft_id)
                self._tell(draft_id, at, by, state)
        if done:
            scrub(self._sql)

    def close(self) -> None:
        """Let go of the file."""
        self._sql.close()
