"""Look-ups in a register. They read what is committed, whoever writes it, with Kafka or without; every key has an index."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from broker.errors import StoreError
from broker.families.clocks.duty import Duty
from broker.register import keys
from broker.register.answers import Answer, LicenceAnswer, OpenDuty, SubjectAnswer, Told, ZoneAnswer
from broker.register.licences import balances, status_at
from broker.register.names import name_forms
from broker.register.rows import Flag, Key, SubjectRow
from broker.register.zones import Passage, stays
from broker.storage.register_figures import Answered, answered
from broker.storage.register_flags import FLAG_COLUMNS, flags_of, licence_row
from broker.storage.register_schema import VERSION

LIMIT: Final = 1000
"""Most subjects of one answer."""

CACHE_KIB: Final = 16_384
"""Memory for pages of a reader: the inner pages of the look-ups of a million licences fit."""

_LICENCE: Final = (
    "SELECT number, authority, licence_no, licence_type, decision, status, instruction, effective_at, published_at, expires_at, "
    "destinations, items, subject, revision, admitted_at, withheld, used, "
    "EXISTS (SELECT 1 FROM flag WHERE rule = 'LICENCE' AND about = licence.number), "
    "(SELECT as_of FROM register_state) FROM licence WHERE number = ?"
)
_ACTIVE: Final = "starts_at <= ? AND (ends_at IS NULL OR ends_at > ?)"
_LICENCE_FLAGS: Final = f"SELECT {FLAG_COLUMNS} FROM flag WHERE rule = 'LICENCE' AND about = ? AND {_ACTIVE} ORDER BY code, subject"  # noqa: S608
_NOW: Final = "starts_at <= :now AND (ends_at IS NULL OR ends_at > :now)"
_SUBJECT_FLAGS: Final = (
    f"SELECT {FLAG_COLUMNS} FROM flag WHERE subject = :subject AND {_NOW} UNION "  # noqa: S608
    f"SELECT {FLAG_COLUMNS} FROM flag WHERE rule = 'CONTAINER' AND about IN "
    f"(SELECT value FROM look WHERE subject = :subject AND kind = 'CONTAINER') AND {_NOW} ORDER BY code, about"
)
_FLAGS: Final = (
    f"SELECT {FLAG_COLUMNS} FROM flag WHERE {_ACTIVE} "  # noqa: S608
    "AND (? OR addressees = '' OR instr(' ' || addressees || ' ', ' ' || ? || ' ')) ORDER BY since, code, about, subject LIMIT ?"
)
_ANSWERS: Final = (
    "SELECT l.kind, s.originator, s.subject, l.target_revision, l.note, s.admitted_at, c.body FROM link l "
    "JOIN subject s ON s.subject = l.subject LEFT JOIN content c ON c.subject = l.subject "
    "WHERE l.target = ? AND l.kind NOT IN ('HIT', 'RELATED') ORDER BY s.admitted_at, s.subject"
)
_DUTIES: Final = (
    "SELECT d.kind, d.subject, d.revision, d.debtor, d.creditor, d.due, d.due + d.grace, d.about, s.family, s.urgency "
    "FROM duty d JOIN subject s ON s.subject = d.subject WHERE d.due IS NOT NULL AND d.due <= ?"
)
_LATE: Final = " AND d.grace IS NOT NULL"
"""Without the dates on which something ends by itself: these have no index, for there are many and few look at them."""
_BY_TIME: Final = " ORDER BY d.due, d.subject, d.kind, d.debtor, d.about, d.revision LIMIT ?"
_TOLD: Final = (
    "SELECT rung, name, at FROM told WHERE subject = ? AND revision = ? AND kind = ? AND debtor = ? AND about = ? AND due = ? "
    "ORDER BY rung, name"
)
_RECENT: Final = (
    "SELECT * FROM subject WHERE family = ? AND (? OR (state = 'LIVE' AND (valid_until IS NULL OR valid_until > ?))) "
    "ORDER BY admitted_at DESC LIMIT ?"
)
_FOR_ALL: Final = 2**62
"""A time after every due time."""
_STAYS: Final = (
    "SELECT m.zone, m.container, m.subject, s.admitted_at, m.direction, m.at, m.mode, m.left_in FROM movement m "
    "JOIN subject s ON s.subject = m.subject WHERE (m.zone, m.container) IN (SELECT zone, container FROM movement WHERE container = :value "
    "UNION SELECT zone, container FROM movement WHERE subject IN (SELECT subject FROM look WHERE kind = :kind AND value = :value) "
    "AND instr(' ' || left_in || ' ', ' ' || :value || ' ')) ORDER BY m.zone, m.container, m.at"
)
_PREFIXED: Final = frozenset({keys.HS, keys.CONTROL})
_SCREENED: Final = (
    "s.state = 'LIVE' AND s.family IN ('alert', 'entity_watch', 'fz_warning', 'seizure') AND (s.valid_until IS NULL OR s.valid_until > ?)"
)
"""Subjects that shipments are screened against, at a moment."""
# A cross join keeps the order: SQLite would walk all keys of a kind otherwise.
_CANDIDATES: Final = (
    "SELECT l.kind, l.value, l.subject, l.detail FROM json_each(?) AS asked CROSS JOIN look AS l ON l.kind = asked.value ->> 0 "  # noqa: S608
    f"AND l.value = asked.value ->> 1 CROSS JOIN subject AS s ON s.subject = l.subject WHERE {_SCREENED}"
)
_NAMES: Final = (
    f"SELECT l.subject, l.detail, l.value FROM look AS l CROSS JOIN subject AS s ON s.subject = l.subject WHERE l.kind = ? AND {_SCREENED}"  # noqa: S608
)
_PATTERNS: Final = (
    "SELECT s.subject FROM subject AS s CROSS JOIN content AS c ON c.subject = s.subject "  # noqa: S608
    f"WHERE {_SCREENED} AND (s.family = 'fz_warning' OR c.body ->> '$.core.alert_type' IN ('ROUTE', 'COMMODITY')) "
    "ORDER BY s.subject LIMIT ?"
)

Condition = Sequence[tuple[str, str]]
"""Alternatives of (kind, comparable value): one of them has to fit."""


def container_is(text: str) -> Condition:
    """A container number, however it is written."""
    return [(keys.CONTAINER, keys.comparable(text))]


def document_is(text: str) -> Condition:
    """A transport document, MRN or UCR."""
    return [(keys.DOCUMENT, keys.comparable(text))]


def conveyance_is(text: str) -> Condition:
    """``9074729`` or ``9074729/017E`` (ship), ``SQ12/2026-10-01`` (flight), a wagon, a plate, a ship's name."""
    return [(keys.CONVEYANCE, keys.conveyance_value(text))]


def party_is(text: str) -> Condition:
    """A party's name in any script, with or without the kind of company, or one of its numbers."""
    forms = name_forms(text)
    by_name = [(keys.NAME, forms.normal), (keys.LATIN, forms.latin), (keys.BARE, forms.bare), (keys.PARTY_ID, keys.comparable(text))]
    return [(kind, value) for kind, value in by_name if value]


def hs_is(text: str) -> Condition:
    """An HS code, or how one begins: a chapter, a heading."""
    return [(keys.HS, keys.comparable(text))]


def control_is(text: str) -> Condition:
    """An entry of a control list, or how one begins: ``3A001`` finds ``3A001.a.1``."""
    return [(keys.CONTROL, keys.control_code(text))]


def cites_licence(text: str) -> Condition:
    """A licence's number."""
    return [(keys.LICENCE, keys.comparable(text))]


class RegisterReader:
    """Answers from a register. ``now_ms`` is the moment that is asked about: what has ended by then is not live."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._sql = connection

    @classmethod
    def open(cls, path: Path) -> RegisterReader:
        """Read a register that another process may be writing. Raises StoreError where there is none, or of another version."""
        if not path.exists():
            raise StoreError(f"there is no register at `{path}`", advice="run `broker register follow` while the exchange is up")
        try:
            connection = sqlite3.connect(f"file:{quote(str(path.absolute()))}?mode=ro", uri=True, isolation_level=None)
            connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
            version = connection.execute("PRAGMA user_version").fetchone()[0]
        except sqlite3.Error as error:
            raise StoreError(f"the register `{path}` cannot be read: {error}", advice="move it away: it is built again") from error
        if version != VERSION:
            connection.close()
            raise StoreError(f"the register `{path}` is of another version", advice="run `broker register follow`: it is built again")
        return cls(connection)

    def close(self) -> None:
        """Let go of the file."""
        self._sql.close()

    def as_of(self) -> int | None:
        """The latest admission time of what this register has seen, in Unix milliseconds; None where it has seen nothing."""
        return self._sql.execute("SELECT as_of FROM register_state").fetchone()[0]

    def licence(self, number: str, now_ms: int) -> list[LicenceAnswer]:
        """The licences of this number, one for each authority that has it."""
        value = keys.comparable(number)
        return [self._licence(row, now_ms) for row in self._sql.execute(_LICENCE, (value,)).fetchall()]

    def _licence(self, row: Sequence[Any], now_ms: int) -> LicenceAnswer:
        subject, revision, admitted_at, withheld, used, flagged, as_of = row[12:]
        licence = licence_row(row)
        written_off = {(line, unit): total for line, unit, total in json.loads(used)} if used else {}
        return LicenceAnswer(
            licence=licence,
            subject=subject,
            revision=revision,
            admitted_at=admitted_at,
            status=status_at(licence, now_ms),
            in_force=licence.effective_at <= now_ms,
            items=None if licence.items is None else balances(licence, written_off),
            flags=flags_of(self._sql.execute(_LICENCE_FLAGS, (licence.number, now_ms, now_ms))) if flagged else (),
            withheld=tuple(withheld.split()),
            as_of=as_of,
        )

    def find(self, conditions: Iterable[Condition], now_ms: int, *, family: str = "alert", ended: bool = False) -> list[SubjectAnswer]:
        """Live subjects of a family that fit every condition, by subject; ``ended`` takes in those past their time."""
        parts: list[str] = []
        values: list[object] = []
        for condition in conditions:
            tests: list[str] = []
            for kind, value in condition:
                begins = kind in _PREFIXED
                tests.append("(kind = ? AND value >= ? AND value < ?)" if begins else "(kind = ? AND value = ?)")
                values += [kind, value, f"{value}\U0010ffff"] if begins else [kind, value]
            parts.append(f"SELECT subject FROM look WHERE {' OR '.join(tests) or '0'}")  # noqa: S608 - tests are of the line above
        if not parts:
            return []
        query = (
            f"SELECT * FROM subject WHERE subject IN ({' INTERSECT '.join(parts)}) AND family = ? "  # noqa: S608
            "AND (? OR valid_until IS NULL OR valid_until > ?) ORDER BY subject LIMIT ?"
        )
        rows = self._sql.execute(query, (*values, family, ended, now_ms, LIMIT)).fetchall()
        return [self._answer(SubjectRow(*row), now_ms) for row in rows]

    def candidates(self, asked: Iterable[tuple[str, str]], now_ms: int) -> list[tuple[Key, str]]:
        """Keys of these kinds and comparable values that live alerts, watches, warnings and seizures have, each with its subject: one query
        for as many as are asked."""
        text = json.dumps([list(pair) for pair in asked])
        return [(Key(kind, value, detail), subject) for kind, value, subject, detail in self._sql.execute(_CANDIDATES, (text, now_ms))]

    def names(self, now_ms: int) -> Iterator[tuple[str, str, str]]:
        """Subject, detail and romanised form of every name in live alerts, watches, warnings and seizures."""
        return iter(self._sql.execute(_NAMES, (keys.LATIN, now_ms)))

    def patterns(self, now_ms: int, limit: int = LIMIT) -> list[str]:
        """Live subjects that no single number finds: alerts about a route or a commodity, and warnings about a free zone."""
        return [subject for (subject,) in self._sql.execute(_PATTERNS, (now_ms, limit))]

    def recent(self, family: str, now_ms: int, limit: int, *, ended: bool = False) -> list[SubjectAnswer]:
        """The live subjects of a family that were admitted last, the newest first; ``ended``: also those that are erased or over."""
        rows = self._sql.execute(_RECENT, (family, ended, now_ms, limit)).fetchall()
        return [self._answer(SubjectRow(*row), now_ms) for row in rows]

    def recent_rows(self, family: str, now_ms: int, limit: int) -> list[SubjectRow]:
        """As :meth:`recent`, what is kept of each beside its content alone: for those who choose among many."""
        return [SubjectRow(*row) for row in self._sql.execute(_RECENT, (family, False, now_ms, limit))]

    def changes(self) -> int:
        """A number that is another one after something was committed by whoever keeps the register; between two calls of one reader."""
        return self._sql.execute("PRAGMA data_version").fetchone()[0]

    def row(self, subject: str) -> SubjectRow | None:
        """What is kept of a subject beside its content; None where it never came."""
        row = self._sql.execute("SELECT * FROM subject WHERE subject = ?", (subject,)).fetchone()
        return None if row is None else SubjectRow(*row)

    def write_offs(self, number: str, authority: str) -> list[str]:
        """The subjects that wrote quantities off a licence; ``number`` in its comparable form."""
        query = "SELECT DISTINCT subject FROM written_off WHERE number = ? AND authority = ? ORDER BY subject"
        return [subject for (subject,) in self._sql.execute(query, (number, authority))]

    def subject(self, subject: str, now_ms: int) -> SubjectAnswer | None:
        """All that is held of a subject; of an erased one, that it is erased, when and why. None where it never came."""
        row = self.row(subject)
        return None if row is None else self._answer(row, now_ms)

    def _answer(self, row: SubjectRow, now_ms: int) -> SubjectAnswer:
        body = self._sql.execute("SELECT body FROM content WHERE subject = ?", (row.subject,)).fetchone()
        content: Mapping[str, Any] = json.loads(body[0]) if body else {}
        found = self._sql.execute("SELECT kind, value, detail FROM look WHERE subject = ? ORDER BY kind, value, detail", (row.subject,))
        links = self._sql.execute("SELECT kind, subject, note FROM link WHERE target = ? ORDER BY kind, subject", (row.subject,))
        return SubjectAnswer(
            row=row,
            content=content,
            keys=tuple(Key(*each) for each in found),
            flags=flags_of(self._sql.execute(_SUBJECT_FLAGS, {"subject": row.subject, "now": now_ms})),
            links=tuple(links.fetchall()),
            live=row.state == "LIVE" and (row.valid_until is None or row.valid_until > now_ms),
        )

    def flags(self, now_ms: int, limit: int = LIMIT, *, agency: str | None = None) -> tuple[Flag, ...]:
        """Every flag that stands, oldest first. ``agency``: without those that others only should be told."""
        return flags_of(self._sql.execute(_FLAGS, (now_ms, now_ms, agency is None, agency or "", limit)))

    def zone_stays(self, container: str) -> list[ZoneAnswer]:
        """The stays in free zones of a container, and of those whose goods left in it, zone by zone."""
        by_place: dict[tuple[str, str], list[Passage]] = {}
        for zone, box, *passage in self._sql.execute(_STAYS, {"kind": keys.CONTAINER, "value": keys.comparable(container)}):
            by_place.setdefault((zone, box), []).append(Passage(*passage))
        return [ZoneAnswer(zone, box, tuple(stays(passages))) for (zone, box), passages in by_place.items()]

    def duties(self, now_ms: int, limit: int = LIMIT, *, overdue: bool = False, dates: bool = False, after: int = 0) -> list[OpenDuty]:
        """What is open between this agency and others, the earliest first. ``overdue``: only what is past its time. ``dates``: also those
        on which something ends by itself, when nobody is late. ``after``: only what is due later than then."""
        query = _DUTIES + " AND d.due > ?" + ("" if dates else _LATE) + _BY_TIME
        rows = self._sql.execute(query, (now_ms if overdue else _FOR_ALL, after, limit)).fetchall()
        return [self._open(Duty(*row[:8]), row[8], row[9], now_ms) for row in rows]

    def _open(self, duty: Duty, family: str, urgency: str, now_ms: int) -> OpenDuty:
        key = (duty.subject, duty.revision, duty.kind, duty.debtor, duty.about, duty.due_ms)
        told = tuple(Told(*row) for row in self._sql.execute(_TOLD, key))
        return OpenDuty(duty, family, urgency, now_ms - duty.due_ms if duty.due_ms <= now_ms else None, told)

    def answers(self, target: str) -> list[Answer]:
        """What agencies said about a subject, the oldest first."""
        rows = self._sql.execute(_ANSWERS, (target,))
        return [Answer(*row[:6], core=json.loads(row[6]).get("core", {}) if row[6] else {}) for row in rows]

    def answered(self, since_ms: int) -> Iterator[Answered]:
        """The newest alerts since a time with the feedback on them, to be counted."""
        return answered(self._sql, since_ms)

    def subjects_after(self, subject: str, family: str, limit: int) -> list[str]:
        """The subjects of a family behind this one, in order, erased ones left out: page by page over a register of any size."""
        query = "SELECT subject FROM subject WHERE subject > ? AND family = ? AND state = 'LIVE' ORDER BY subject LIMIT ?"
        return [found for (found,) in self._sql.execute(query, (subject, family, limit))]

    def licences_after(self, number: str, limit: int) -> list[str]:
        """The numbers of licences behind this one, in their comparable form and order."""
        query = "SELECT DISTINCT number FROM licence WHERE number > ? ORDER BY number LIMIT ?"
        return [found for (found,) in self._sql.execute(query, (number, limit))]
