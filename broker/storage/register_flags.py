"""Flags of a register: for what a change touched, the facts are read, the rule is asked, and its flags take the place of the old ones."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any, Final

from broker.register.changes import CITING, HIT
from broker.register.crossing import NAMED, Standing, container_flag, dwell_flags, hit_flag, licence_flag, quantity_flags
from broker.register.keys import CONTAINER, LICENCE
from broker.register.rows import Flag, LicenceItemRow, LicenceRow
from broker.register.zones import Passage, stays

_LICENCES: Final = (
    "SELECT number, authority, licence_no, licence_type, decision, status, instruction, effective_at, published_at, expires_at, "
    "destinations, items, subject, admitted_at, used FROM licence WHERE number = ?"
)
_CITING: Final = (
    "SELECT s.subject, s.admitted_at, s.valid_until, look.detail FROM look JOIN subject s ON s.subject = look.subject "
    "WHERE kind = ? AND value = ? AND s.family IN (?, ?)"
)
_CONTAINER: Final = (
    "SELECT DISTINCT s.subject, s.admitted_at, s.valid_until FROM look JOIN subject s ON s.subject = look.subject "
    "WHERE kind = ? AND value = ? AND s.family = 'alert' ORDER BY s.subject LIMIT ?"
)
_HITS: Final = (
    "SELECT DISTINCT s.subject, s.admitted_at, s.valid_until FROM link JOIN subject s ON s.subject = link.subject "
    "WHERE link.target = ? AND link.kind = ? ORDER BY s.subject"
)
_MOVEMENTS: Final = (
    "SELECT m.subject, s.admitted_at, m.direction, m.at, m.mode, m.left_in FROM movement m JOIN subject s ON s.subject = m.subject "
    "WHERE zone = ? AND container = ? ORDER BY m.at, m.direction, m.subject LIMIT ?"
)
_TOTALS: Final = "SELECT line, unit, total FROM used WHERE number = ? AND authority = ? ORDER BY line, unit"
_LIVE_ALERT: Final = "SELECT subject, admitted_at, valid_until FROM subject WHERE subject = ? AND family = 'alert' AND state = 'LIVE'"
_INSERT: Final = "INSERT OR IGNORE INTO flag VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"


def licence_row(row: Sequence[Any]) -> LicenceRow:
    """A licence from its columns, the first twelve of ``row``, in the order of :class:`LicenceRow`."""
    items = row[11]
    return LicenceRow._make((*row[:10], tuple(row[10].split()), None if items is None else items_of(items)))


def items_of(text: str) -> tuple[LicenceItemRow, ...]:
    """The items of a licence from their column."""
    return tuple(
        LicenceItemRow(line, unit, granted, stated, tuple(controls), tuple(codes), description)
        for line, unit, granted, stated, controls, codes, description in json.loads(text)
    )


class FlagKeeper:
    """Derives flags again. Each method deletes what its rule said about one thing and writes what it says now."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._sql = connection

    def drop(self, subject: str) -> None:
        """Flags that a subject carries because of what it cites: it may not cite that any more."""
        self._sql.execute("DELETE FROM flag WHERE subject = ? AND rule = 'LICENCE'", (subject,))

    def licence(self, number: str) -> None:
        """Everything about the licences of a number: who cites them, what was written off."""
        self._delete("LICENCE", number)
        for row in self._sql.execute(_LICENCES, (number,)).fetchall():
            licence, decided = licence_row(row), Standing(row[12], row[13], None)
            for citing in self._sql.execute(_CITING, (LICENCE, number, *CITING)).fetchall():
                self._add("LICENCE", licence_flag(licence, decided, Standing(*citing)))
            self._quantities(licence, decided, row[14])

    def _quantities(self, licence: LicenceRow, decided: Standing, written: str | None) -> None:
        key = (licence.number, licence.authority)
        totals = self._sql.execute(
            "SELECT line, unit, total FROM used WHERE number = ? AND authority = ? ORDER BY line, unit", key
        ).fetchall()
        used = {(line, unit): int(total) for line, unit, total in totals}
        column = json.dumps([[line, unit, total] for (line, unit), total in used.items()]) if used else None
        if column != written:
            where = "UPDATE licence SET used = ? WHERE number = ? AND authority = ? AND subject = ?"
            self._sql.execute(where, (column, *key, decided.subject))
        if used:
            last = self._sql.execute("SELECT MAX(admitted_at) FROM written_off WHERE number = ? AND authority = ?", key).fetchone()[0]
            for flag in quantity_flags(licence, decided, used, last or 0):
                self._add("LICENCE", flag)

    def citing(self, number: str, subject: str) -> None:
        """What one subject cites, against the licences of that number."""
        for row in self._sql.execute(_LICENCES, (number,)).fetchall():
            licence, decided = licence_row(row), Standing(row[12], row[13], None)
            for citing in self._sql.execute(_CITING + " AND s.subject = ?", (LICENCE, number, *CITING, subject)).fetchall():
                self._add("LICENCE", licence_flag(licence, decided, Standing(*citing)))

    def container(self, container: str) -> None:
        """Live alerts that name a container."""
        self._delete("CONTAINER", container)
        alerts = [Standing(*row) for row in self._sql.execute(_CONTAINER, (CONTAINER, container, NAMED))]
        self._add("CONTAINER", container_flag(container, alerts))

    def stay(self, zone: str, container: str) -> None:
        """A container's stays in a free zone."""
        self._delete("DWELL", f"{zone} {container}")
        passages = [Passage(*row) for row in self._sql.execute(_MOVEMENTS, (zone, container, NAMED))]
        for flag in dwell_flags(zone, container, stays(passages)):
            self._add("DWELL", flag)

    def hit(self, alert: str) -> None:
        """Seizures that name an alert, where the alert is here."""
        self._delete("HIT", alert)
        row = self._sql.execute(_LIVE_ALERT, (alert,)).fetchone()
        if row is not None:
            self._add("HIT", hit_flag(Standing(*row), [Standing(*each) for each in self._sql.execute(_HITS, (alert, HIT))]))

    def _delete(self, rule: str, about: str) -> None:
        self._sql.execute("DELETE FROM flag WHERE rule = ? AND about = ?", (rule, about))

    def _add(self, rule: str, flag: Flag | None) -> None:
        if flag is not None:
            self._sql.execute(_INSERT, (
                rule, flag.about, flag.code, flag.subject, " ".join(flag.others), " ".join(flag.addressees), flag.text, flag.instruction,
                flag.since, flag.starts_at, flag.ends_at,
            ))  # fmt: skip


FLAG_COLUMNS: Final = "code, about, subject, others, addressees, text, instruction, since, starts_at, ends_at"


def flags_of(rows: Iterable[Sequence[Any]]) -> tuple[Flag, ...]:
    """Flags from rows with :data:`FLAG_COLUMNS`."""
    return tuple(
        Flag(code, about, subject, tuple(others.split()), tuple(addressees.split()), text, instruction, since, starts_at, ends_at)
        for code, about, subject, others, addressees, text, instruction, since, starts_at, ends_at in rows
    )
