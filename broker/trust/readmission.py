"""The statement that a suspended agency is to be admitted again: what it says, and the file in which officers pass it round.

::

    {"signatures": [COSE_Sign1 over the statement, base64, ...],
     "statement": {"agency", "reason", "since_ms", "suspension", "type": "readmission"},
     "type": "broker agency readmission v1"}

Canonical JSON (sorted keys, no spaces, UTF-8). ``suspension`` is the number of the one suspension that the statement ends: the version
of the directory that it began with, which no other suspension ever has; ``since_ms`` is when it began (Unix milliseconds). Officers sign
the statement with their agencies' master keys; who may, is :mod:`broker.trust.officers`'. Exchange and environment are not in the text:
every signature is bound to them. The agency's entry in the directory carries statement and signatures from then on.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from broker import ids
from broker.errors import Refusal, UsageError
from broker.trust.canonical import Fields, Flaw, Json, canonical_json, read_canonical

TYPE: Final = "broker agency readmission v1"
STATEMENT_TYPE: Final = "application/vnd.broker.directory.readmission+json;v=1"
"""Content type of what officers sign: a signature under anything else never counts here, nor this one anywhere else."""
FILE_LIMIT: Final = 48 << 10
"""Longest file in bytes."""
SIGNATURE_LIMIT: Final = 8
"""Most signatures: two are needed, and a directory entry has room for these."""
REASON_LIMIT: Final = 500

_SIGNATURE_BYTES: Final = 4096
_STATEMENT_FIELDS: Final = ("agency", "reason", "since_ms", "suspension", "type")


@dataclass(frozen=True, slots=True)
class Readmission:
    """A statement that was read, and the signatures under it, none of them judged."""

    agency: str
    suspension: int
    since_ms: int
    reason: str
    signatures: tuple[bytes, ...] = ()

    def statement(self) -> bytes:
        """The bytes that officers sign."""
        return canonical_json(self._said())

    def values(self) -> dict[str, Json]:
        """Statement and signatures as JSON: what a directory entry carries."""
        return {"signatures": signatures_json(self.signatures), "statement": self._said()}

    def text(self) -> bytes:
        """The file."""
        return canonical_json({**self.values(), "type": TYPE}) + b"\n"

    def with_signature(self, signature: bytes) -> Readmission:
        """The statement with one more signature, in an order that does not depend on who came first."""
        return replace(self, signatures=tuple(sorted({*self.signatures, signature})))

    def _said(self) -> dict[str, Json]:
        return {
            "agency": self.agency, "reason": self.reason, "since_ms": self.since_ms, "suspension": self.suspension, "type": "readmission",
        }  # fmt: skip


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
    if len(data) > FILE_LIMIT:
        return Refusal("BAD_READMISSION", f"the file has {len(data)} bytes, {FILE_LIMIT} is the most")
    try:
        fields = read_canonical(data.removesuffix(b"\n"))
        fields.exactly(("signatures", "statement", "type"))
        fields.one_of("type", [TYPE])
        return _read(fields)
    except Flaw as flaw:
        return Refusal("BAD_READMISSION", str(flaw))


def read_readmission(fields: Fields) -> Readmission:
    """Read what a directory entry carries. Raises Flaw."""
    fields.exactly(("signatures", "statement"))
    return _read(fields)


def _read(fields: Fields) -> Readmission:
    said = fields.inner("statement")
    said.exactly(_STATEMENT_FIELDS)
    said.one_of("type", ["readmission"])
    return Readmission(
        said.named("agency", ids.agency_id),
        said.integer("suspension", 1),
        said.integer("since_ms"),
        said.text("reason", REASON_LIMIT),
        read_signatures(fields),
    )


def signatures_json(signatures: Sequence[bytes]) -> list[Json]:
    """Signatures as they stand in a statement's file."""
    return [base64.b64encode(each).decode() for each in signatures]


def read_signatures(fields: Fields) -> tuple[bytes, ...]:
    """The signatures of a statement's file, in order. Raises Flaw."""
    signatures = tuple(_base64(each) for each in fields.texts("signatures", SIGNATURE_LIMIT, 2 * _SIGNATURE_BYTES))
    if list(signatures) != sorted(set(signatures)):
        raise Flaw("the signatures are not in order, or one is there twice")
    return signatures


def _base64(text: str) -> bytes:
    try:
        octets = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Flaw("a signature is not base64") from error
    if base64.b64encode(octets).decode() != text or len(octets) > _SIGNATURE_BYTES:
        raise Flaw("a signature is not base64")
    return octets
