"""Parcels and notes: framing of record values, and each refusal of admission step 1."""

from __future__ import annotations

import pytest

from broker.envelope import cose, note, parcel
from broker.envelope.cbor import Encodable, encode
from broker.envelope.cose import ED25519, Sign1
from broker.envelope.parcel import MAGIC, Parcel, parcel_bytes, read_parcel
from broker.errors import Refusal

LIMIT = 1 << 20
TYPE = "application/vnd.broker.header+avro;v=1"
PROTECTED = cose.protected_header(ED25519, b"k" * 16, TYPE)
STATEMENT = Sign1(PROTECTED, b"header", b"s" * 64, ED25519, b"k" * 16, TYPE)
ITEM = cose.sign1_item(PROTECTED, b"header", b"s" * 64)
SECTIONS = {"core": b"c" * 40, "audience": b"a" * 300, "goods": b"g" * 70_000, "route": b"r" * 16}


def framed(value: Encodable) -> bytes:
    """A record value with the magic bytes before any item."""
    return MAGIC + encode(value)


def code(value: bytes, limit: int = LIMIT) -> str:
    """The code that a record value is refused with, empty where it is read."""
    outcome = read_parcel(value, limit)
    return outcome.code if isinstance(outcome, Refusal) else ""


@pytest.mark.parametrize("extras", [{}, {parcel.SLIP: b"slip"}, {1: b"", 2: b"p" * 24, 23: b"x", 24: b"y", 65536: b"z"}])
@pytest.mark.parametrize("sections", [{}, {"core": b""}, SECTIONS, {"x" * n: bytes(n) for n in range(17, 33)}])
def test_a_parcel_is_read_as_it_was_made(sections: dict[str, bytes], extras: dict[int, bytes]) -> None:
    """Reading gives back the parts, assembling them again the same bytes, and the bytes are what the codec would write."""
    value = parcel_bytes(STATEMENT, sections, extras)
    assert value == framed([ITEM, sections, extras])
    read = read_parcel(value, len(value))
    assert isinstance(read, Parcel)
    assert read == Parcel(STATEMENT, sections, extras)
    assert parcel_bytes(read.statement, read.sections, read.extras) == value


def test_sections_may_be_given_in_any_order() -> None:
    """The bytes depend on the sections, not on the order in which a mapping lists them."""
    backwards = dict(reversed(SECTIONS.items()))
    assert parcel_bytes(STATEMENT, backwards, {2: b"", 1: b""}) == parcel_bytes(STATEMENT, SECTIONS, {1: b"", 2: b""})


def test_size_comes_first() -> None:
    """A record over the limit is refused before a byte of it is read, one at the limit is not."""
    value = parcel_bytes(STATEMENT, SECTIONS, {})
    assert code(value, len(value)) == ""
    assert code(value, len(value) - 1) == "TOO_LARGE"
    assert code(b"\xff" * 100, 99) == "TOO_LARGE"


@pytest.mark.parametrize("value", [b"", b"X", b"XB", b"XB\x02", b"Obj\x01", b"\x00\x00\x00\x00\x01", b"xb\x01\x83", b'{"a": 1}'])
def test_other_values_are_no_parcel(value: bytes) -> None:
    """Nothing but the magic bytes makes a parcel: no bare Avro, no registry frame, no JSON, no note."""
    assert code(value) == "NOT_A_PARCEL"


def test_broken_and_not_canonical_frames() -> None:
    """What follows the magic bytes is one deterministic item and nothing more."""
    value = parcel_bytes(STATEMENT, SECTIONS, {})
    assert code(MAGIC) == "BAD_CBOR"
    assert code(value[:-1]) == "BAD_CBOR"
    assert code(value + b"\x00") == "BAD_CBOR"
    assert code(MAGIC + b"\x98\x03" + value[4:]) == "NOT_CANONICAL"
    assert code(MAGIC + b"\x9f" + value[4:] + b"\xff") == "NOT_CANONICAL"


BAD_PARCELS: dict[str, Encodable] = {
    "an empty array": [],
    "two items": [ITEM, {}],
    "four items": [ITEM, {}, {}, {}],
    "a map": {1: ITEM},
    "sections in an array": [ITEM, [b""], {}],
    "a section that is text": [ITEM, {"core": "x"}, {}],
    "a section that is null": [ITEM, {"core": None}, {}],
    "a section with a number for a name": [ITEM, {1: b""}, {}],
    "a section without a name": [ITEM, {"": b""}, {}],
    "a section in capitals": [ITEM, {"Core": b""}, {}],
    "a section with a digit": [ITEM, {"core2": b""}, {}],
    "a section with a Cyrillic letter": [ITEM, {"c\u043ere": b""}, {}],
    "a section with a line break": [ITEM, {"core\n": b""}, {}],
    "a long section name": [ITEM, {"c" * 33: b""}, {}],
    "seventeen sections": [ITEM, {"c" * n: b"" for n in range(1, 18)}, {}],
    "extras in an array": [ITEM, {}, []],
    "an extra with a name": [ITEM, {}, {"slip": b""}],
    "a negative extra": [ITEM, {}, {-1: b""}],
    "a large extra": [ITEM, {}, {65537: b""}],
    "an extra that is a map": [ITEM, {}, {1: {}}],
    "nine extras": [ITEM, {}, dict.fromkeys(range(9), b"")],
}


@pytest.mark.parametrize("item", BAD_PARCELS.values(), ids=BAD_PARCELS.keys())
def test_other_shapes_are_refused(item: Encodable) -> None:
    """A parcel is three things of their kinds, within their numbers."""
    assert code(framed(item)) == "BAD_PARCEL"


def test_a_bad_statement_keeps_its_code() -> None:
    """The statement is judged as a COSE_Sign1, also when the rest is fine."""
    assert code(framed([b"statement", {}, {}])) == "BAD_STATEMENT"


def test_a_hostile_name_is_shown_escaped() -> None:
    """A refusal goes to logs and terminals: control characters and look-alikes are spelt out, and it stays short."""
    outcome = read_parcel(framed([ITEM, {"\x1b[2J\u043e" + "x" * 5000: b""}, {}]), LIMIT)
    assert isinstance(outcome, Refusal)
    assert outcome.reason.isascii()
    assert outcome.reason.isprintable()
    assert "\\x1b[2J\\u043e" in outcome.reason
    assert len(outcome.reason) < 200


def test_a_note_is_read_as_it_was_made() -> None:
    """A note is its own magic bytes and one COSE_Sign1; neither a parcel nor a bare statement passes for one."""
    value = note.note_bytes(PROTECTED, b"header", b"s" * 64)
    assert value == b"XB\x02" + encode(ITEM)
    assert note.read_note(value, len(value)) == STATEMENT
    outcomes = {
        "long": note.read_note(value, len(value) - 1),
        "parcel": note.read_note(parcel_bytes(STATEMENT, {}, {}), LIMIT),
        "bare": note.read_note(value[3:], LIMIT),
        "empty": note.read_note(b"", LIMIT),
        "cut": note.read_note(value[:-1], LIMIT),
        "tail": note.read_note(value + b"\xf6", LIMIT),
        "indefinite": note.read_note(b"XB\x02\xd2\x9f" + value[5:] + b"\xff", LIMIT),
    }
    assert {name: outcome.code if isinstance(outcome, Refusal) else "" for name, outcome in outcomes.items()} == {
        "long": "TOO_LARGE",
        "parcel": "BAD_STATEMENT",
        "bare": "BAD_STATEMENT",
        "empty": "BAD_STATEMENT",
        "cut": "BAD_CBOR",
        "tail": "BAD_CBOR",
        "indefinite": "NOT_CANONICAL",
    }
