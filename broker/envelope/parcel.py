"""The parcel: what one Kafka record of an outbox or inbox holds.

::

    58 42 01 || CBOR [ statement, { section name: bytes }, { int: bytes } ]

The statement is the originator's COSE_Sign1 over the header; sections are committed to in that header and carried beside it,
so that one can be withheld without touching the signature. The third item is the exchange's: empty in an outbox, the slip
(:data:`SLIP`) in an inbox. The three magic bytes keep a bare Avro value from ever being taken for a parcel.

Good bytes are read by :mod:`broker.envelope.framing`, all others here, as CBOR. Measured for a parcel of 1.5 kB with 5 sections (CPython
3.11, one core of a 2-vCPU virtual machine, best of many): as CBOR 12 to 18 µs to read, 3 to 6 µs to assemble, as the machine is loaded;
cbor2 in C needs 3 to 5 µs to read it, and checks nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import field
from typing import Final

from broker.envelope.batch import RECEIPTS
from broker.envelope.cbor import CborError, Item, bytes_head, decode, head, text
from broker.envelope.cose import PROTECTED_LIMIT, Sign1, read_sign1, sign1_of, statement_bytes
from broker.envelope.framing import read_framing
from broker.errors import Refusal
from broker.values import immutable

MAGIC: Final = b"XB\x01"
SLIP: Final = 1
"""Key of the exchange's signed slip among the extras: the bytes of a COSE_Sign1."""
PROOF: Final = 2
"""Key kept for the journal proof."""
SECTIONS_LIMIT: Final = 16
EXTRAS_LIMIT: Final = 8
EXTRA_KEY_LIMIT: Final = 1 << 16

_NAME = re.compile(r"[a-z_]{1,32}")


@immutable
class Parcel:
    """A parcel that was read; nothing in it is verified. ``sections`` are as carried (salt and body), ``extras`` by key, ``raw`` are
    the bytes of the statement, empty where nobody kept them."""

    statement: Sign1
    sections: Mapping[str, bytes]
    extras: Mapping[int, bytes]
    raw: bytes = field(default=b"", compare=False, repr=False)


def parcel_bytes(statement: Sign1, sections: Mapping[str, bytes], extras: Mapping[int, bytes]) -> bytes:
    """The record value of a parcel. The statement's bytes are written as they are, so its signature still holds.

    The caller gives what :func:`read_parcel` would accept: at most 16 sections and 8 extras.
    """
    return _assembled(statement_bytes(statement), sections, extras)


def with_extras(parcel: Parcel, sections: Mapping[str, bytes], extras: Mapping[int, bytes]) -> bytes:
    """The record value of a parcel that was read, with some of its sections and other extras."""
    return _assembled(parcel.raw or statement_bytes(parcel.statement), sections, extras)


def _assembled(statement: bytes, sections: Mapping[str, bytes], extras: Mapping[int, bytes]) -> bytes:
    parts = [MAGIC, b"\x83", statement, head(5, len(sections))]
    # Deterministic CBOR orders keys by their encodings: shorter names first.
    for name, carried in sorted(sections.items(), key=_by_encoding):
        parts += text(name), bytes_head(len(carried)), carried
    parts.append(head(5, len(extras)))
    for key in sorted(extras):
        parts += head(0, key), bytes_head(len(extras[key])), extras[key]
    return b"".join(parts)


def _by_encoding(entry: tuple[str, bytes]) -> bytes:
    return text(entry[0])


def read_parcel(value: bytes, limit: int) -> Parcel | Refusal:
    """Admission step 1: size and framing of a record value, at most ``limit`` bytes.

    Refusals: TOO_LARGE, NOT_A_PARCEL, BAD_CBOR, NOT_CANONICAL, BAD_PARCEL, BAD_STATEMENT. Nothing is believed yet: the
    signature, the header and the sections are the next steps' matter. Unknown keys of the third item are carried along.
    """
    if len(value) > limit:
        return Refusal("TOO_LARGE", f"the record has {len(value)} bytes, {limit} is the most")
    framed = read_framing(value)
    if framed is not None and len(framed.protected) <= PROTECTED_LIMIT:
        unprotected: Item = {} if framed.receipt is None else {RECEIPTS: [framed.receipt]}
        statement = sign1_of(framed.protected, unprotected, framed.payload, framed.signature)
        return statement if isinstance(statement, Refusal) else Parcel(statement, framed.sections, framed.extras, framed.raw)
    if not value.startswith(MAGIC):
        return Refusal("NOT_A_PARCEL", f"the record begins with `{value[:3].hex(' ')}`, a parcel with `{MAGIC.hex(' ')}`")
    try:
        item = decode(value[len(MAGIC) :])
    except CborError as error:
        return Refusal(error.code, error.reason)
    if not isinstance(item, list) or len(item) != 3:
        return Refusal("BAD_PARCEL", "a parcel is an array of three: statement, sections, the exchange's part")
    statement = read_sign1(item[0])
    if isinstance(statement, Refusal):
        return statement
    sections = _sections(item[1])
    if isinstance(sections, Refusal):
        return sections
    extras = _extras(item[2])
    if isinstance(extras, Refusal):
        return extras
    return Parcel(statement, sections, extras)


def _sections(item: Item) -> dict[str, bytes] | Refusal:
    if not isinstance(item, dict) or len(item) > SECTIONS_LIMIT:
        return Refusal("BAD_PARCEL", f"the sections are a map of at most {SECTIONS_LIMIT}")
    sections: dict[str, bytes] = {}
    for name, carried in item.items():
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            shown = str(name).encode("unicode_escape").decode("ascii")[:80]
            return Refusal("BAD_PARCEL", f"`{shown}` is no section name: 1 to 32 of the letters a to z and underscore")
        if not isinstance(carried, bytes):
            return Refusal("BAD_PARCEL", "a section is a byte string", name)
        sections[name] = carried
    return sections


def _extras(item: Item) -> dict[int, bytes] | Refusal:
    if not isinstance(item, dict) or len(item) > EXTRAS_LIMIT:
        return Refusal("BAD_PARCEL", f"the exchange's part is a map of at most {EXTRAS_LIMIT}")
    extras: dict[int, bytes] = {}
    for key, value in item.items():
        if not isinstance(key, int) or not 0 <= key <= EXTRA_KEY_LIMIT or not isinstance(value, bytes):
            return Refusal("BAD_PARCEL", f"the exchange's part maps integers from 0 to {EXTRA_KEY_LIMIT} to byte strings")
        extras[key] = value
    return extras
