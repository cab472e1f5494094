"""A list by subject that grows while an inbox is read, in a file of SQLite's own that is gone when it is closed.

A hundred thousand subjects take no more memory than ten: SQLite keeps two megabytes of them there. No content is ever in it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from typing import Any

from broker.exchange.holdings import Holding, after

_SCHEMA = (
    "CREATE TABLE holding (subject TEXT PRIMARY KEY, owner TEXT NOT NULL, family TEXT NOT NULL, revision INTEGER NOT NULL, "
    "sections TEXT NOT NULL, earlier TEXT NOT NULL, delivered INTEGER NOT NULL, rule TEXT NOT NULL, state TEXT NOT NULL) WITHOUT ROWID"
)
_COLUMNS = "subject, owner, family, revision, sections, earlier, delivered, rule, state"


class HoldingsTable:
    """Holdings by subject."""

    def __init__(self) -> None:
        self._sql = sqlite3.connect("", isolation_level=None)
        self._sql.execute("PRAGMA journal_mode = OFF")
        self._sql.execute(_SCHEMA)

    def close(self) -> None:
        """Forget everything."""
        self._sql.close()

    def take(self, deliveries: Iterable[Holding]) -> None:
        """Add deliveries, in the order in which they lie in the inbox."""
        self._sql.execute("BEGIN")
        for each in deliveries:
            kept = after(self._of(each.subject), each)
            row = (
                kept.subject, kept.owner, kept.family, kept.revision, " ".join(kept.sections), " ".join(kept.earlier),
                kept.delivered_ms, kept.rule, kept.state,
            )  # fmt: skip
            self._sql.execute("INSERT OR REPLACE INTO holding VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
        self._sql.execute("COMMIT")

    def counts(self) -> dict[str, int]:
        """How many subjects there are by state."""
        return dict(self._sql.execute("SELECT state, count(*) FROM holding GROUP BY state ORDER BY state").fetchall())

    def owners(self) -> int:
        """How many agencies own them."""
        return self._sql.execute("SELECT count(DISTINCT owner) FROM holding").fetchone()[0]

    def __iter__(self) -> Iterator[Holding]:
        """All, in order of subject."""
        for row in self._sql.execute(f"SELECT {_COLUMNS} FROM holding ORDER BY subject"):  # noqa: S608 - constants of this module
            yield _holding(row)

    def _of(self, subject: str) -> Holding | None:
        row = self._sql.execute(f"SELECT {_COLUMNS} FROM holding WHERE subject = ?", (subject,)).fetchone()  # noqa: S608 - constants
        return None if row is None else _holding(row)


def _holding(row: tuple[Any, ...]) -> Holding:
    subject, owner, family, revision, sections, earlier, delivered, rule, state = row
    return Holding(subject, owner, family, revision, tuple(sections.split()), tuple(earlier.split()), delivered, rule, state)
