"""The statement that a subject is to be opened to an agency in an emergency: what it says, and the file in which officers pass it round.

::

    {"agency", "reason", "sections", "subject", "type": "opening", "until_ms"}

is the statement in the file (:mod:`broker.trust.statement_file`); who may sign it, is :mod:`broker.trust.officers`'. It opens the least
that is needed to find goods (:data:`OPENABLE`), never what names persons, and for a day at the most, counted from when it was carried
(:data:`LIFE_MS`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from broker import ids
from broker.errors import Refusal, UsageError
from broker.trust.canonical import Fields, Flaw, Json
from broker.trust.statement_file import REASON_LIMIT, StatementFile, read_said, read_signatures, read_statement_file

STATEMENT_TYPE: Final = "application/vnd.broker.emergency.opening+json;v=1"
"""Content type of what officers sign: a signature under anything else never counts here, nor this one anywhere else."""
OPENABLE: Final = ("core", "equipment", "goods", "items", "movements", "route")
"""Sections that an emergency may open: what goods, in what, on which way. None of them names persons."""
LIFE_MS: Final = 24 * 3_600_000
_STATEMENT_FIELDS: Final = ("agency", "reason", "sections", "subject", "until_ms")


@dataclass(frozen=True, slots=True)
class Opening(StatementFile):
    """The statement that a subject is opened. ``until_ms``: Unix milliseconds."""

    FILE_TYPE = "broker emergency opening v1"
    WORD = "opening"
    CODE = "BAD_OPENING"

    subject: str
    agency: str
    sections: tuple[str, ...]
    until_ms: int
    reason: str

    @property
    def name(self) -> str:
        """16 hex digits of the statement's SHA-256: what people and records call it."""
        return hashlib.sha256(self.statement()).hexdigest()[:16]

    def said(self) -> dict[str, Json]:
        """What the statement says, by field, without its type."""
        return {
            "agency": self.agency, "reason": self.reason, "sections": list(self.sections), "subject": self.subject,
            "until_ms": self.until_ms,
        }  # fmt: skip


def propose(subject: str, agency: str, sections: Sequence[str], until_ms: int, reason: str) -> Opening:
    """An unsigned statement. Raises UsageError where a reader would refuse it."""
    read = read_opening_file(Opening(subject, agency, tuple(sorted(set(sections))), until_ms, reason).text())
    if isinstance(read, Refusal):
        raise UsageError(f"this statement would be refused: {read.reason}", advice=read.advice)
    return read


def read_opening_file(data: bytes) -> Opening | Refusal:
    """Read a file; a line end after it is allowed. Refusal: BAD_OPENING with the rule broken."""
    return read_statement_file(data, Opening, _read)


def _read(fields: Fields) -> Opening:
    said = read_said(fields, Opening, _STATEMENT_FIELDS)
    sections = tuple(said.texts("sections", len(OPENABLE), 32))
    if list(sections) != sorted(set(sections)) or not set(sections) <= set(OPENABLE) or "core" not in sections:
        raise Flaw(f"`sections` lists, in order, `core` and what else is needed of {', '.join(OPENABLE)}: an emergency opens nothing else")
    subject, agency = said.named("subject", ids.subject_id), said.named("agency", ids.agency_id)
    if ids.owner_of(subject) == agency:
        raise Flaw("the agency is the subject's owner")
    reason = said.text("reason", REASON_LIMIT)
    if not reason.strip():
        raise Flaw("`reason` is empty: the owner reads it")
    return Opening(subject, agency, sections, said.integer("until_ms"), reason, signatures=read_signatures(fields))
