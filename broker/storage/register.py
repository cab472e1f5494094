"""The register of an agency in SQLite: rows written in the same transaction as the position in the inbox.

What a message changes is decided by :mod:`broker.register`; here it is written, and the flags that it may touch are derived again
from the rows that are there then. So the register is a function of the set of messages, and a crash at any point leaves one that the
next run continues: what was committed is there once, what was not comes again.

Erasure is at once and for good: see :mod:`broker.storage.subscriber_store`.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from operator import attrgetter
from pathlib import Path
from typing import Final

from broker.errors import StoreError
from broker.families.clocks.duty import Chain, Escalation
from broker.register.changes import CITING, HIT, change_of, plain
from broker.register.keys import CONTAINER, LICENCE
from broker.register.rows import Change, Delivered, SubjectRow
from broker.storage.register_duties import DutyKeeper, Known, answer_rows, settled_pairs
from broker.storage.register_flags import FlagKeeper
from broker.storage.register_schema import OF_SUBJECT, STEPS, TABLES, VERSION
from broker.storage.subscriber_store import SqliteSubscriberStore

_RANK: Final = "SELECT revision, counter, leaf, state FROM subject WHERE subject = ?"
_SUBJECT: Final = "INSERT OR REPLACE INTO subject VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_LICENCE: Final = "INSERT INTO licence VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL, ?, ?, ?)"
_SUBJECT_COLUMNS: Final = attrgetter(*(each.name for each in fields(SubjectRow)))
_JSON: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=plain).encode
_DELETE: Final = tuple(f"DELETE FROM {table} WHERE subject = ?" for table in OF_SUBJECT)  # noqa: S608 - names from the schema
_TOTAL: Final = "SELECT total FROM used WHERE number = ? AND authority = ? AND line = ? AND unit = ?"
_AS_OF: Final = "UPDATE register_state SET as_of = ? WHERE as_of IS NULL OR as_of < ?"


class RegisterStore(SqliteSubscriberStore):
    """A subscriber's store with a register in the same file: one transaction moves the position and changes the register."""

    def __init__(self, path: Path | None, agency: str) -> None:
        super().__init__(path, agency)
        try:
            self._prepare(path, agency)
            self.scrub()
            self.register = SqliteRegister(self._sql, self.forget, agency)
        except sqlite3.Error as error:
            self.close()
            raise StoreError(f"the register `{path}` cannot be opened: {error}", advice="move it away: it is built again") from error
        except StoreError:
            self.close()
            raise

    def _prepare(self, path: Path | None, agency: str) -> None:
        version = self._sql.execute("PRAGMA user_version").fetchone()[0]
        if version > VERSION:
            raise StoreError(f"the register `{path}` is of version {version}, newer than this program", advice="use the newer program")
        if version < VERSION:
            self.restart(0, follow_chains=True)
            self._sql.execute("BEGIN IMMEDIATE")
            for step in range(version, VERSION) if version else ():
                for statement in STEPS[step]:
                    self._sql.execute(statement)
            for statement in TABLES.split(";\n"):
                self._sql.execute(statement)
            if version:
                SqliteRegister(self._sql, self.forget, agency).keep_own()
                self._erased = True
            else:
                self._sql.execute("INSERT INTO register_state VALUES (NULL, 0)")
            self._sql.execute(f"PRAGMA user_version = {VERSION}")
            self._sql.execute("COMMIT")

    def own_position(self) -> int:
        """The number of the last own message that was taken."""
        return self._sql.execute("SELECT own FROM register_state").fetchone()[0]

    def own_taken(self, number: int) -> None:
        """Remember it, in the transaction that takes the message."""
        self._sql.execute("UPDATE register_state SET own = ?", (number,))

    def climb(self, now_ms: int, chain: Chain) -> list[Escalation]:
        """Who is to be told now that a duty is not met, each once in the life of this register: durable when it returns. Not while a
        transaction is open."""
        due = self.register.duties.climbs_at()
        if (due is None or due > now_ms) and self.register.duties.uses(chain):
            return []
        self.begin()
        try:
            steps = self.register.duties.climb(now_ms, chain)
        except BaseException:
            self.rollback()
            raise
        self.commit()
        return steps


@dataclass(slots=True)
class Touched:
    """What may depend on a subject: licence numbers it cites or decides or writes off, containers, zone stays, alerts hit, and duties that
    it meets by their subject and debtor."""

    cited: set[str] = field(default_factory=set[str])
    decided: set[str] = field(default_factory=set[str])
    containers: set[str] = field(default_factory=set[str])
    stays: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])
    hits: set[str] = field(default_factory=set[str])
    answered: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])


class SqliteRegister:
    """Writes the register of ``agency`` through a connection whose transaction is open. ``forget`` is called with a subject that its owner
    took back: it removes what else is kept of it, and sees that nothing stays in the file."""

    def __init__(self, connection: sqlite3.Connection, forget: Callable[[str], None], agency: str) -> None:
        self._sql = connection
        self._forget = forget
        self._flags = FlagKeeper(connection)
        self.duties = DutyKeeper(connection, agency)

    def take(self, delivered: Delivered) -> bool:
        """Apply a message; whether it is the newest of its subject. What is older changes nothing but the age, and what it began that
        lasts; what was applied, nothing."""
        self._sql.execute(_AS_OF, (delivered.admitted_at, delivered.admitted_at))
        known = self._sql.execute(_RANK, (delivered.subject,)).fetchone()
        before = None if known is None else Known(known[0], known[1], known[3] == "ERASED")
        if known is not None and tuple(known[:3]) >= delivered.rank:
            if tuple(known[:3]) > delivered.rank:
                self.duties.begin(delivered, before)
                self.duties.settle(delivered.subject)
            return False
        self.duties.begin(delivered, before)
        touched = Touched()
        if known is not None:
            self._touched_before(delivered.subject, touched)
            self._write_off(delivered.subject, -1)
            for statement in _DELETE:
                self._sql.execute(statement, (delivered.subject,))
        change = change_of(delivered)
        self._insert(change)
        _touched_after(change, touched)
        if change.subject.state == "ERASED":
            self._forget(delivered.subject)
        if known is not None:
            self._flags.drop(delivered.subject)
        self._derive(change.subject, touched)
        self.duties.settle(delivered.subject, fresh=known is None)
        for target, debtor in sorted(touched.answered):
            self.duties.settle(target, debtor)
        return True

    def keep_own(self) -> None:
        """Leave the agency's own messages, and make everything that follows from several as if nothing else had come yet."""
        for table in OF_SUBJECT:
            self._sql.execute(f"DELETE FROM {table} WHERE subject IN (SELECT subject FROM subject WHERE counter > 0)")  # noqa: S608
        self._sql.execute("DELETE FROM subject WHERE counter > 0")
        self._sql.execute("DELETE FROM ended WHERE subject NOT IN (SELECT subject FROM subject)")
        for rows in ("duty WHERE counter > 0", "flag", "used"):
            self._sql.execute(f"DELETE FROM {rows}")  # noqa: S608 - from the line above
        self._sql.execute("UPDATE licence SET used = NULL")
        self._sql.execute("UPDATE register_state SET as_of = (SELECT MAX(admitted_at) FROM subject)")
        touched = Touched()
        own = [SubjectRow(*row) for row in self._sql.execute("SELECT * FROM subject ORDER BY subject").fetchall()]
        for row in own:
            self._touched_before(row.subject, touched)
            self._write_off(row.subject, 1)
        for row in own:
            self._derive(row, touched)
            self.duties.settle(row.subject)

    def _touched_before(self, subject: str, touched: Touched) -> None:
        """From the rows that are about to go."""
        for kind, value in self._sql.execute(
            "SELECT kind, value FROM look WHERE subject = ? AND kind IN (?, ?)", (subject, LICENCE, CONTAINER)
        ):
            (touched.cited if kind == LICENCE else touched.containers).add(value)
        query = "SELECT number FROM licence WHERE subject = ? UNION SELECT number FROM written_off WHERE subject = ?"
        touched.decided.update(number for (number,) in self._sql.execute(query, (subject, subject)))
        touched.stays.update(self._sql.execute("SELECT zone, container FROM movement WHERE subject = ?", (subject,)))
        hits = self._sql.execute("SELECT target FROM link WHERE subject = ? AND kind = ?", (subject, HIT))
        touched.hits.update(target for (target,) in hits)
        touched.hits.add(subject)
        touched.answered.update(settled_pairs(self._sql, subject))

    def _insert(self, change: Change) -> None:
        row = change.subject
        subject, execute, many = row.subject, self._sql.execute, self._sql.executemany
        execute(_SUBJECT, _SUBJECT_COLUMNS(row))
        if change.content:
            execute("INSERT INTO content VALUES (?, ?)", (subject, _JSON(change.content)))
        if change.keys:
            many("INSERT OR IGNORE INTO look VALUES (?, ?, ?, ?)", [(key.kind, key.value, subject, key.detail) for key in change.keys])
        if change.licence is not None:
            self._insert_licence(change)
        if change.usages:
            rows = [(subject, u.number, u.authority, u.line, u.unit, str(u.quantity), row.admitted_at) for u in change.usages]
            many("INSERT INTO written_off VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
            self._write_off(subject, 1)
        if change.movements:
            passages = [(m.zone, m.container, m.at, m.direction, subject, m.mode, m.left_in) for m in change.movements]
            many("INSERT OR IGNORE INTO movement VALUES (?, ?, ?, ?, ?, ?, ?)", passages)
        if change.links:
            many("INSERT INTO link VALUES (?, ?, ?, ?, ?)", [(subject, k.kind, k.target, k.target_revision, k.note) for k in change.links])
        if change.answers:
            many("INSERT INTO answer VALUES (?, ?, ?, ?, ?, ?, ?)", answer_rows(subject, change.answers))

    def _insert_licence(self, change: Change) -> None:
        licence, row = change.licence, change.subject
        if licence is None:
            return
        items = None if licence.items is None else _JSON(licence.items)
        self._sql.execute(
            _LICENCE,
            (
                licence.number, licence.authority, row.subject, licence.licence_no, licence.licence_type, licence.decision, licence.status,
                licence.instruction, licence.effective_at, licence.published_at, licence.expires_at, " ".join(licence.destinations), items,
                row.revision, row.admitted_at, row.withheld,
            ),
        )  # fmt: skip

    def _write_off(self, subject: str, sign: int) -> None:
        """Add a subject's write-offs to the totals, or take them off: sums of whole numbers, the same in any order."""
        query = "SELECT number, authority, line, unit, quantity FROM written_off WHERE subject = ?"
        for number, authority, line, unit, quantity in self._sql.execute(query, (subject,)).fetchall():
            key = (number, authority, line, unit)
            known = self._sql.execute(_TOTAL, key).fetchone()
            total = (int(known[0]) if known else 0) + sign * int(quantity)
            if total:
                self._sql.execute("INSERT OR REPLACE INTO used VALUES (?, ?, ?, ?, ?)", (*key, str(total)))
            else:
                self._sql.execute("DELETE FROM used WHERE number = ? AND authority = ? AND line = ? AND unit = ?", key)

    def _derive(self, row: SubjectRow, touched: Touched) -> None:
        for number in sorted(touched.decided):
            self._flags.licence(number)
        if row.family in CITING:
            for number in sorted(touched.cited - touched.decided):
                self._flags.citing(number, row.subject)
        for container in sorted(touched.containers):
            self._flags.container(container)
        for zone, container in sorted(touched.stays):
            self._flags.stay(zone, container)
        for alert in sorted(touched.hits):
            self._flags.hit(alert)


def _touched_after(change: Change, touched: Touched) -> None:
    touched.cited.update(key.value for key in change.keys if key.kind == LICENCE)
    touched.containers.update(key.value for key in change.keys if key.kind == CONTAINER)
    touched.decided.update(usage.number for usage in change.usages)
    if change.licence is not None:
        touched.decided.add(change.licence.number)
    touched.stays.update((movement.zone, movement.container) for movement in change.movements)
    touched.hits.update(link.target for link in change.links if link.kind == HIT)
    touched.answered.update((answer.target, answer.debtor) for answer in change.answers)
    if change.subject.family == "alert":
        touched.hits.add(change.subject.subject)
