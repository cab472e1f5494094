"""The framing of a parcel that is as it should be, read in one go: the parts of the statement, sections, extras.

This is the quick way for good bytes. At anything unusual (a broken length, an unknown header, keys out of order, a long key) it gives
up without saying why, and :func:`broker.envelope.parcel.read_parcel` reads the bytes as CBOR, which names the fault. What is accepted
here is deterministic CBOR (RFC 8949 4.2.1) and is read the same there: a property test keeps the two together.

A parcel of 1.7 kB with five sections in batch form, on CPython 3.11 (best of many on a shared core): 5 µs against 14.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, NamedTuple

PARCEL: Final = b"XB\x01\x83\xd2\x84"
"""The magic bytes; an array of three; tag 18; an array of four."""
RECEIPTS: Final = b"\xa1\x19\x01\x8a\x81"
"""``{394: [`` before the one receipt of the batch form."""
_SECTIONS_LIMIT: Final = 16
_EXTRAS_LIMIT: Final = 8
_NAME: Final = re.compile(rb"[a-z_]{1,23}")


class Framed(NamedTuple):
    """The parts. ``receipt`` is None in the direct form; ``raw`` are the statement's bytes."""

    protected: bytes
    receipt: bytes | None
    payload: bytes
    signature: bytes
    sections: dict[str, bytes]
    extras: dict[int, bytes]
    raw: bytes


class _Unusual(Exception):
    """Not the quick way."""


def read_framing(value: bytes) -> Framed | None:
    """The parts of a record value; None where it has to be read as CBOR."""
    if not value.startswith(PARCEL):
        return None
    try:
        return _read(value)
    except (_Unusual, IndexError):
        return None


def _read(value: bytes) -> Framed:
    start, at = _string(value, len(PARCEL))
    protected = value[start:at]
    receipt = None
    if value[at] == 0xA0:
        at += 1
    elif value.startswith(RECEIPTS, at):
        start, at = _string(value, at + len(RECEIPTS))
        receipt = value[start:at]
    else:
        raise _Unusual
    start, at = _string(value, at)
    payload = value[start:at]
    start, at = _string(value, at)
    signature, raw = value[start:at], value[4:at]
    sections, at = _sections(value, at)
    extras, at = _extras(value, at)
    if at != len(value):
        raise _Unusual
    return Framed(protected, receipt, payload, signature, sections, extras, raw)


def _string(value: bytes, at: int) -> tuple[int, int]:
    """Where a byte string's content begins and ends; the length in its shortest form."""
    first = value[at]
    if first == 0x59:
        size, start, least = value[at + 1] << 8 | value[at + 2], at + 3, 256
    elif first == 0x58:
        size, start, least = value[at + 1], at + 2, 24
    elif 0x40 <= first < 0x58:
        size, start, least = first - 0x40, at + 1, 0
    elif first == 0x5A:
        size, start, least = int.from_bytes(value[at + 1 : at + 5], "big"), at + 5, 1 << 16
    else:
        raise _Unusual
    end = start + size
    if size < least or end > len(value):
        raise _Unusual
    return start, end


def _sections(value: bytes, at: int) -> tuple[dict[str, bytes], int]:
    count = value[at] - 0xA0
    at += 1
    if not 0 <= count <= _SECTIONS_LIMIT:
        raise _Unusual
    found: dict[str, bytes] = {}
    before = b""
    for _ in range(count):
        end = at + 1 + (value[at] - 0x60)
        key = value[at:end]
        if key <= before:
            raise _Unusual
        before = key
        start, at = _string(value, end)
        found[_name(key)] = value[start:at]
    return found, at


@lru_cache(maxsize=256)
def _name(key: bytes) -> str:
    """A section's name from its encoding, which has a head of one byte."""
    if len(key) < 2 or key[0] - 0x60 != len(key) - 1 or not _NAME.fullmatch(key, 1):
        raise _Unusual
    return key[1:].decode()


def _extras(value: bytes, at: int) -> tuple[dict[int, bytes], int]:
    count = value[at] - 0xA0
    at += 1
    if not 0 <= count <= _EXTRAS_LIMIT:
        raise _Unusual
    found: dict[int, bytes] = {}
    before = -1
    for _ in range(count):
        key = value[at]
        if not before < key < 24:
            raise _Unusual
        before = key
        start, at = _string(value, at + 1)
        found[key] = value[start:at]
    return found, at
