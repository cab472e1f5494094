"""The filters of the feed that users of a node have given a name to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from broker.storage.console_file import opened
from broker.storage.sqlite import transaction

MOST: Final = 30
"""Most filters of one user."""
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS saved_filter (
    owner TEXT NOT NULL, name TEXT NOT NULL, query TEXT NOT NULL, first INTEGER NOT NULL, PRIMARY KEY (owner, name));
"""


@dataclass(frozen=True, slots=True)
class SavedFilter:
    """A filter as the query of the feed's address; ``first``: the feed begins with it."""

    name: str
    query: str
    first: bool


class SavedFilters:
    """The filters of all users of one node. Raises StoreError where the file cannot be used."""

    def __init__(self, path: Path) -> None:
        self._sql = opened(path, _SCHEMA)

    def of(self, owner: str) -> list[SavedFilter]:
        """A user's filters, by name."""
        query = "SELECT name, query, first FROM saved_filter WHERE owner = ? ORDER BY name"
        return [SavedFilter(name, text, bool(first)) for name, text, first in self._sql.execute(query, (owner,))]

    def keep(self, owner: str, saved: SavedFilter) -> bool:
        """Keep a filter; one of this name is replaced, and one alone is the first. False: there are :data:`MOST` already."""
        before = {each.name for each in self.of(owner)}
        if saved.name not in before and len(before) >= MOST:
            return False
        with transaction(self._sql):
            if saved.first:
                self._sql.execute("UPDATE saved_filter SET first = 0 WHERE owner = ?", (owner,))
            row = (owner, saved.name, saved.query, int(saved.first))
            self._sql.execute("INSERT OR REPLACE INTO saved_filter VALUES (?, ?, ?, ?)", row)
        return True

    def drop(self, owner: str, name: str) -> None:
        """Let go of a filter."""
        self._sql.execute("DELETE FROM saved_filter WHERE owner = ? AND name = ?", (owner, name))

    def close(self) -> None:
        """Let go of the file."""
        self._sql.close()
