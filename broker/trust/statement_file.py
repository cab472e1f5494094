"""The file in which officers pass a statement round until enough of them have signed it; one kind of statement is a class of its own.

::

    {"signatures": [COSE_Sign1 over the statement, base64, ...], "statement": {..., "type": word}, "type": the kind of file}

Canonical JSON (sorted keys, no spaces, UTF-8), so equal content has equal bytes. Officers sign the statement with their agencies' master
keys, bound to exchange and environment. Signatures are opaque here: :mod:`broker.trust.officers` checks them.
"""

from __future__ import annotations

import base64
import binascii
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from typing import ClassVar, Final, Self, TypeVar

from broker.errors import Refusal
from broker.trust.canonical import Fields, Flaw, Json, canonical_json, read_canonical

FILE_LIMIT: Final = 48 << 10
"""Longest file in bytes."""
SIGNATURE_LIMIT: Final = 8
"""Most signatures: two are needed, and a directory entry has room for these."""
REASON_LIMIT: Final = 500
"""Longest reason in characters."""

_SIGNATURE_BYTES: Final = 4096
_File = TypeVar("_File", bound="StatementFile")


@dataclass(frozen=True, slots=True)
class StatementFile(ABC):
    """A statement that was read, and the signatures under it, none of them judged. The fields of a subclass are what it says.

    ``FILE_TYPE`` is the kind of file, ``WORD`` the statement's own type, ``CODE`` of the refusal of a file that is not right.
    """

    FILE_TYPE: ClassVar[str]
    WORD: ClassVar[str]
    CODE: ClassVar[str]

    signatures: tuple[bytes, ...] = field(default=(), kw_only=True)

    @abstractmethod
    def said(self) -> dict[str, Json]:
        """What the statement says, by field, without its type."""

    def statement(self) -> bytes:
        """The bytes that officers sign."""
        return canonical_json(self._said())

    def values(self) -> dict[str, Json]:
        """Statement and signatures as JSON: what a directory entry carries."""
        return {"signatures": [base64.b64encode(each).decode() for each in self.signatures], "statement": self._said()}

    def text(self) -> bytes:
        """The file."""
        return canonical_json({**self.values(), "type": self.FILE_TYPE}) + b"\n"

    def with_signature(self, signature: bytes) -> Self:
        """The statement with one more signature, in an order that does not depend on who came first."""
        return replace(self, signatures=tuple(sorted({*self.signatures, signature})))

    def _said(self) -> dict[str, Json]:
        return {**self.said(), "type": self.WORD}


def read_statement_file(data: bytes, kind: type[_File], read: Callable[[Fields], _File]) -> _File | Refusal:
    """Read a file of this kind; a line end after it is allowed. ``read`` takes statement and signatures, and raises Flaw. Refusal: the
    kind's code with the rule broken."""
    if len(data) > FILE_LIMIT:
        return Refusal(kind.CODE, f"the file has {len(data)} bytes, {FILE_LIMIT} is the most")
    try:
        fields = read_canonical(data.removesuffix(b"\n"))
        fields.exactly(("signatures", "statement", "type"))
        fields.one_of("type", [kind.FILE_TYPE])
        return read(fields)
    except Flaw as flaw:
        return Refusal(kind.CODE, str(flaw))


def read_said(fields: Fields, kind: type[StatementFile], names: Collection[str]) -> Fields:
    """The statement of a file: these fields and its type, no others. Raises Flaw."""
    said = fields.inner("statement")
    said.exactly((*names, "type"))
    said.one_of("type", [kind.WORD])
    return said


def read_signatures(fields: Fields) -> tuple[bytes, ...]:
    """The signatures of a file, in order. Raises Flaw."""
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
