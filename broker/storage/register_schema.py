"""The tables of a register, its version, and how a register of an earlier one comes to it.

What came from the inbox is read from there again. What came from the agency's own messages is nowhere else any more, so its rows stay
where they are, and a new version says how they become what it needs.
"""

from __future__ import annotations

from typing import Final

VERSION: Final = 3
"""Version of these tables, kept as SQLite's ``user_version``."""

TABLES: Final = """
CREATE TABLE IF NOT EXISTS register_state (as_of INTEGER, own INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS subject (
    subject TEXT PRIMARY KEY, family TEXT NOT NULL, originator TEXT NOT NULL, revision INTEGER NOT NULL, counter INTEGER NOT NULL,
    leaf BLOB NOT NULL, message_id TEXT NOT NULL, issued_at INTEGER NOT NULL, admitted_at INTEGER NOT NULL, valid_until INTEGER,
    urgency TEXT NOT NULL, tlp TEXT NOT NULL, handling TEXT NOT NULL, withheld TEXT NOT NULL, state TEXT NOT NULL, reason TEXT,
    erased_at INTEGER, labels TEXT NOT NULL DEFAULT '') WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS subject_recent ON subject (family, admitted_at);
CREATE TABLE IF NOT EXISTS content (subject TEXT PRIMARY KEY, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS look (
    kind TEXT NOT NULL, value TEXT NOT NULL, subject TEXT NOT NULL, detail TEXT NOT NULL,
    PRIMARY KEY (kind, value, subject, detail)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS look_subject ON look (subject);
CREATE TABLE IF NOT EXISTS licence (
    number TEXT NOT NULL, authority TEXT NOT NULL, subject TEXT NOT NULL, licence_no TEXT NOT NULL, licence_type TEXT NOT NULL,
    decision TEXT NOT NULL, status TEXT NOT NULL, instruction TEXT, effective_at INTEGER NOT NULL, published_at INTEGER NOT NULL,
    expires_at INTEGER, destinations TEXT NOT NULL, items TEXT, used TEXT, revision INTEGER NOT NULL, admitted_at INTEGER NOT NULL,
    withheld TEXT NOT NULL, PRIMARY KEY (number, authority, subject)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS licence_subject ON licence (subject);
CREATE TABLE IF NOT EXISTS written_off (
    subject TEXT NOT NULL, number TEXT NOT NULL, authority TEXT NOT NULL, line INTEGER NOT NULL, unit TEXT NOT NULL,
    quantity TEXT NOT NULL, admitted_at INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS written_off_subject ON written_off (subject);
CREATE INDEX IF NOT EXISTS written_off_licence ON written_off (number, authority, admitted_at);
CREATE TABLE IF NOT EXISTS used (
    number TEXT NOT NULL, authority TEXT NOT NULL, line INTEGER NOT NULL, unit TEXT NOT NULL, total TEXT NOT NULL,
    PRIMARY KEY (number, authority, line, unit)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS movement (
    zone TEXT NOT NULL, container TEXT NOT NULL, at INTEGER NOT NULL, direction TEXT NOT NULL, subject TEXT NOT NULL, mode TEXT NOT NULL,
    left_in TEXT NOT NULL, PRIMARY KEY (zone, container, at, direction, subject)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS movement_subject ON movement (subject);
CREATE INDEX IF NOT EXISTS movement_container ON movement (container, zone);
CREATE TABLE IF NOT EXISTS link (
    subject TEXT NOT NULL, kind TEXT NOT NULL, target TEXT NOT NULL, target_revision INTEGER, note TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS link_subject ON link (subject);
CREATE INDEX IF NOT EXISTS link_target ON link (target, kind);
CREATE TABLE IF NOT EXISTS duty (
    subject TEXT NOT NULL, revision INTEGER NOT NULL, kind TEXT NOT NULL, debtor TEXT NOT NULL, about TEXT NOT NULL,
    creditor TEXT NOT NULL, counter INTEGER NOT NULL, asked INTEGER NOT NULL, begun INTEGER NOT NULL, grace INTEGER,
    due INTEGER, climb INTEGER, PRIMARY KEY (subject, revision, kind, debtor, about)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS duty_due ON duty (due) WHERE due IS NOT NULL AND grace IS NOT NULL;
CREATE INDEX IF NOT EXISTS duty_climb ON duty (climb) WHERE climb IS NOT NULL;
CREATE TABLE IF NOT EXISTS answer (
    subject TEXT NOT NULL, target TEXT NOT NULL, target_revision INTEGER, debtor TEXT NOT NULL, kind TEXT NOT NULL,
    at INTEGER NOT NULL, due INTEGER);
CREATE INDEX IF NOT EXISTS answer_subject ON answer (subject);
CREATE INDEX IF NOT EXISTS answer_target ON answer (target, debtor);
CREATE TABLE IF NOT EXISTS ended (subject TEXT PRIMARY KEY, revision INTEGER NOT NULL, counter INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS told (
    subject TEXT NOT NULL, revision INTEGER NOT NULL, kind TEXT NOT NULL, debtor TEXT NOT NULL, about TEXT NOT NULL,
    due INTEGER NOT NULL, rung INTEGER NOT NULL, name TEXT NOT NULL, at INTEGER NOT NULL,
    PRIMARY KEY (subject, revision, kind, debtor, about, due, rung, name)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS chain_of_contacts (chain TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS flag (
    rule TEXT NOT NULL, about TEXT NOT NULL, code TEXT NOT NULL, subject TEXT NOT NULL, others TEXT NOT NULL, addressees TEXT NOT NULL,
    text TEXT NOT NULL, instruction TEXT, since INTEGER NOT NULL, starts_at INTEGER NOT NULL, ends_at INTEGER,
    PRIMARY KEY (rule, about, code, subject, others)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS flag_subject ON flag (subject);
"""

NAMES: Final = (
    "register_state", "subject", "content", "look", "licence", "written_off", "used", "movement", "link", "duty", "answer",
    "ended", "flag",
)  # fmt: skip
"""All tables of a register that follow from messages. ``told`` follows from the clock: who was told of silence is told once."""

OF_SUBJECT: Final = ("content", "look", "licence", "written_off", "movement", "link", "answer")
"""Tables whose rows go with their subject's revision."""

STEPS: Final[dict[int, tuple[str, ...]]] = {
    1: ("DROP TABLE duty",),
    2: ("ALTER TABLE subject ADD COLUMN labels TEXT NOT NULL DEFAULT ''",),
}
"""From a version to the next: what is done before the tables of now are made. Version 1 knew neither receipts nor retention, so what
others owe about own messages of its time is not known. Version 2 kept no labels: for a purpose, own messages of its time are withheld."""
