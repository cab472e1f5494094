"""What is owed, in a register: begun by messages in any order, met by others, and told to those who wait for it.

``duty`` holds every duty that a message began and no later one ended. ``begun`` is its time as it began; ``due`` that of now, NULL where it
is met; ``climb`` when the next rung of its escalation is reached, NULL where there is none.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from broker.families.clocks.duty import Chain, Duty, Escalation, escalations
from broker.families.clocks.settling import LASTING
from broker.register.duties import asked_at, duties_of, standing
from broker.register.rows import AnswerRow, Delivered

CLIMBED: Final = 500
"""Most duties that are looked at in one transaction when somebody is to be told."""
_LASTING: Final = ", ".join(f"'{kind}'" for kind in sorted(LASTING))
_KEY: Final = "subject = ? AND revision = ? AND kind = ? AND debtor = ? AND about = ?"
_COLUMNS: Final = "kind, subject, revision, debtor, creditor, begun, begun + grace, about"
_INSERT: Final = "INSERT INTO duty VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_OF: Final = f"SELECT {_COLUMNS}, asked, due FROM duty WHERE subject = ? AND (? IS NULL OR debtor = ?)"  # noqa: S608 - names from above
_ANSWERS: Final = "SELECT target, target_revision, debtor, kind, at, due FROM answer WHERE target = ?"
_SILENT: Final = f"SELECT {_COLUMNS}, due FROM duty WHERE climb <= ? ORDER BY climb LIMIT ?"  # noqa: S608 - names from above
_TOLD: Final = f"SELECT rung, name FROM told WHERE {_KEY} AND due = ?"  # noqa: S608 - names from above
_FORGET_TOLD: Final = (
    "DELETE FROM told WHERE subject = ? AND revision <= ? AND NOT EXISTS (SELECT 1 FROM duty d WHERE d.subject = told.subject "
    "AND d.revision = told.revision AND d.kind = told.kind AND d.debtor = told.debtor AND d.about = told.about)"
)


@dataclass(frozen=True, slots=True)
class Known:
    """The newest message of a subject that was seen so far: its place in the order, and whether it ended the subject."""

    revision: int
    counter: int
    ended: bool


class DutyKeeper:
    """Keeps the duties of one agency through a connection whose transaction is open."""

    def __init__(self, connection: sqlite3.Connection, agency: str) -> None:
        self._sql = connection
        self._agency = agency

    def begin(self, delivered: Delivered, known: Known | None) -> None:
        """Write what a message begins, and drop what it ends, before its other rows are written; :meth:`settle` its subject afterwards."""
        if known is None:
            self._insert(delivered, lasting=False)
            if delivered.ends:  # after the tables were built anew, what was told is there before its subject
                self._sql.execute(_FORGET_TOLD, (delivered.subject, delivered.revision))
            return
        subject, revision, rank = delivered.subject, delivered.revision, (delivered.revision, delivered.counter)
        newest = (known.revision, known.counter) < rank
        ended = self._ended(subject, known)
        if ended is not None and rank < ended:
            return
        if delivered.ends:
            self._sql.execute("DELETE FROM duty WHERE subject = ? AND (revision, counter) < (?, ?)", (subject, *rank))
            ended = rank
        if newest and delivered.ends:  # its own row says so
            self._sql.execute("DELETE FROM ended WHERE subject = ?", (subject,))
        elif ended is not None:
            self._sql.execute("INSERT OR REPLACE INTO ended VALUES (?, ?, ?)", (subject, *ended))
        of_it = self._sql.execute("SELECT MAX(counter) FROM duty WHERE subject = ? AND revision = ?", (subject, revision)).fetchone()[0]
        if of_it is None or of_it < delivered.counter:
            self._sql.execute("DELETE FROM duty WHERE subject = ? AND revision = ?", (subject, revision))
            self._insert(delivered, lasting=known.revision > revision)
        if newest:
            self._sql.execute(f"DELETE FROM duty WHERE subject = ? AND revision < ? AND kind NOT IN ({_LASTING})", (subject, revision))  # noqa: S608
        self._sql.execute(_FORGET_TOLD, (subject, revision))

    def _ended(self, subject: str, known: Known) -> tuple[int, int] | None:
        if known.ended:
            return known.revision, known.counter
        row = self._sql.execute("SELECT revision, counter FROM ended WHERE subject = ?", (subject,)).fetchone()
        return None if row is None else (row[0], row[1])

    def _insert(self, delivered: Delivered, *, lasting: bool) -> None:
        """``lasting``: a newer revision is here already."""
        asked, counter = asked_at(delivered), delivered.counter
        found: list[tuple[Any, ...]] = []
        for duty in duties_of(delivered, self._agency):
            if not lasting or duty.kind in LASTING:
                grace = None if duty.escalate_ms is None else duty.escalate_ms - duty.due_ms
                climb = None if grace is None else duty.due_ms
                found.append((*_key(duty), duty.creditor, counter, asked, duty.due_ms, grace, duty.due_ms, climb))
        self._sql.executemany(_INSERT, found)

    def settle(self, subject: str, debtor: str | None = None, *, fresh: bool = False) -> None:
        """See which duties about a subject its answers meet now; of one debtor, or of all. ``fresh``: all are open as they began."""
        query, of = (_ANSWERS, (subject,)) if debtor is None else (f"{_ANSWERS} AND debtor = ?", (subject, debtor))
        answers = [AnswerRow(*row) for row in self._sql.execute(query, of)]
        if fresh and not answers:
            return
        for *columns, asked, due in self._sql.execute(_OF, (subject, debtor, debtor)).fetchall():
            duty = Duty(*columns)
            after = standing(duty, asked, answers)
            now = None if after is None else after.due_ms
            if now != due:
                climb = None if duty.escalate_ms is None else now
                self._sql.execute(f"UPDATE duty SET due = ?, climb = ? WHERE {_KEY}", (now, climb, *_key(duty)))  # noqa: S608

    def climb(self, now_ms: int, chain: Chain) -> list[Escalation]:
        """Who is to be told of silence now and was not yet; from now on they were. The creditor is told by its own register only.

        At most so many at a time: ask again until there are none. After another chain was configured every open duty is looked at anew.
        """
        self._use(chain)
        found: list[Escalation] = []
        for *columns, due in self._sql.execute(_SILENT, (now_ms, CLIMBED)).fetchall():
            begun = Duty(*columns)
            duty = begun if begun.due_ms == due else begun.due_again(due)
            told = {Escalation(duty, rung, name) for rung, name in self._sql.execute(_TOLD, (*_key(duty), due))}
            for step in escalations([duty], now_ms, chain, told):
                if step.rung or duty.creditor == self._agency:
                    self._sql.execute("INSERT INTO told VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", (*_key(duty), due, step.rung, step.to, now_ms))
                    found.append(step)
            rungs = [(duty.escalate_ms or 0) + contact.after_ms for contact in chain]
            following = min((at for at in rungs if at > now_ms), default=None)
            self._sql.execute(f"UPDATE duty SET climb = ? WHERE {_KEY}", (following, *_key(duty)))  # noqa: S608
        return found

    def climbs_at(self) -> int | None:
        """When somebody is to be told next; None where nothing that somebody waits for is open."""
        return self._sql.execute("SELECT MIN(climb) FROM duty WHERE climb IS NOT NULL").fetchone()[0]

    def uses(self, chain: Chain) -> bool:
        """Whether this is the chain that was climbed last."""
        row = self._sql.execute("SELECT chain FROM chain_of_contacts").fetchone()
        return row is not None and row[0] == _text(chain)

    def _use(self, chain: Chain) -> None:
        if not self.uses(chain):
            self._sql.execute("DELETE FROM chain_of_contacts")
            self._sql.execute("INSERT INTO chain_of_contacts VALUES (?)", (_text(chain),))
            self._sql.execute("UPDATE duty SET climb = due WHERE due IS NOT NULL AND grace IS NOT NULL")


def _text(chain: Chain) -> str:
    return json.dumps([[contact.name, contact.after_ms] for contact in chain])


def _key(duty: Duty) -> tuple[Any, ...]:
    return duty.subject, duty.revision, duty.kind, duty.debtor, duty.about


def settled_pairs(connection: sqlite3.Connection, subject: str) -> set[tuple[str, str]]:
    """Subjects and debtors whose duties a subject's message meets, from the rows that are there."""
    return set(connection.execute("SELECT DISTINCT target, debtor FROM answer WHERE subject = ?", (subject,)).fetchall())


def answer_rows(subject: str, answers: Iterable[AnswerRow]) -> list[tuple[Any, ...]]:
    """As the table has them."""
    return [(subject, each.target, each.target_revision, each.debtor, each.kind, each.at, each.due) for each in answers]
