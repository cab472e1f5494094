"""The statement that a suspended agency is to be admitted again: what it says, and the file in which officers pass it round.

::

    {"agency", "reason", "since_ms", "suspension", "type": "readmission"}

is the statement in the file (:mod:`broker.trust.statement_file`). ``suspension`` is the number of the one suspension that the statement
ends: the version of the directory that it began with, which no other suspension ever has; ``since_ms`` is when it began (Unix
milliseconds). Who may sign it, is :mod:`broker.trust.officers`'. The agency's entry in the directory carries statement and signatures
from then on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from broker import ids
from broker.errors import Refusal, UsageError
from broker.trust.canonical import Fields, Json
from broker.trust.statement_file import REASON_LIMIT, StatementFile, read_said, read_signatures, read_statement_file

STATEMENT_TYPE: Final = "application/vnd.broker.directory.readmission+json;v=1"
"""Content type of what officers sign: a signature under anything else never counts here, nor this one anywhere else."""
_STATEMENT_FIELDS: Final = ("agency", "reason", "since_ms", "suspension")


@dataclass(frozen=True, slots=True)
class Readmission(StatementFile):
    """The statement that an agency is to be admitted again."""

    FILE_TYPE = "broker agency readmission v1"
    WORD = "readmission"
    CODE = "BAD_READMISSION"

    agency: str
    suspension: int
    since_ms: int
    reason: str

    def said(self) -> dict[str, Json]:
        """What the statement says, by field, without its type."""
        return {"agency": self.agency, "reason": self.reason, "since_ms": self.since_ms, "suspension": self.suspension}


def propose(agency: str, suspension: int, since_ms: int, reason: str) -> Readmission:
    """An unsigned statement. Raises UsageError where a reader would refuse it."""
    made = Readmission(agency, suspension, since_ms, reason)
    read = read_readmission_file(made.text())
    if isinstance(read, Refusal):
        raise UsageError(f"this statement would be refused: {read.reason}", advice="give a --reason of at most 500 printable characters")
    return read


def other_suspension(file: Readmission, suspension: int, since_ms: int) -> Refusal | None:
    """Whether a statement is about another suspension than the one of this number that began then. Refusal: OTHER_SUSPENSION."""
    if (file.suspension, file.since_ms) == (suspension, since_ms):
        return None
    return Refusal(
        "OTHER_SUSPENSION",
        f"it is about the suspension {file.suspension} of {file.agency}, and the one in force has the number {suspension}",
    )


def read_readmission_file(data: bytes) -> Readmission | Refusal:
    """Read a file; a line end after it is allowed. Refusal: BAD_READMISSION with the rule broken."""
    return read_statement_file(data, Readmission, _read)


def read_readmission(fields: Fields) -> Readmission:
    """Read what a directory entry carries. Raises Flaw."""
    fields.exactly(("signatures", "statement"))
    return _read(fields)


def _read(fields: Fields) -> Readmission:
    said = read_said(fields, Readmission, _STATEMENT_FIELDS)
    return Readmission(
        said.named("agency", ids.agency_id),
        said.integer("suspension", 1),
        said.integer("since_ms"),
        said.text("reason", REASON_LIMIT),
        signatures=read_signatures(fields),
    )
