"""Deterministic CBOR: examples of RFC 8949 appendix A that records may hold, and every way to write them otherwise."""

from __future__ import annotations

import time

import pytest

from broker.envelope.cbor import DEPTH, ITEMS, CborError, Encodable, Tagged, decode, encode

EXAMPLES: list[tuple[Encodable, str]] = [
    (0, "00"),
    (23, "17"),
    (24, "1818"),
    (100, "1864"),
    (1000, "1903e8"),
    (1000000, "1a000f4240"),
    (1000000000000, "1b000000e8d4a51000"),
    (18446744073709551615, "1bffffffffffffffff"),
    (-1, "20"),
    (-100, "3863"),
    (-1000, "3903e7"),
    (-18446744073709551616, "3bffffffffffffffff"),
    (None, "f6"),
    (b"", "40"),
    (b"\x01\x02\x03\x04", "4401020304"),
    ("", "60"),
    ("IETF", "6449455446"),
    ("ü", "62c3bc"),
    ("水", "63e6b0b4"),
    ([], "80"),
    ([1, [2, 3], [4, 5]], "8301820203820405"),
    (list(range(1, 26)), "98190102030405060708090a0b0c0d0e0f101112131415161718181819"),
    ({}, "a0"),
    ({1: 2, 3: 4}, "a201020304"),
    ({"a": 1, "b": [2, 3]}, "a26161016162820203"),
    ({"a": "A", "b": "B", "c": "C", "d": "D", "e": "E"}, "a56161614161626142616361436164614461656145"),
    (Tagged(18, [b"", {}, b"", b""]), "d28440a04040"),
]


@pytest.mark.parametrize(("value", "encoded"), EXAMPLES, ids=[encoded for _, encoded in EXAMPLES])
def test_examples_of_the_standard(value: Encodable, encoded: str) -> None:
    """The examples of RFC 8949 appendix A encode to the bytes printed there, and decode back."""
    assert encode(value).hex() == encoded
    assert decode(bytes.fromhex(encoded)) == value


def test_keys_are_sorted_by_their_encoding() -> None:
    """RFC 8949 section 4.2.1 gives this order of keys as its example (those of a kind that records use)."""
    mixed: dict[int | str, Encodable] = {"aa": 0, "z": 0, -1: 0, 100: 0, 10: 0}
    assert encode(mixed) == b"\xa5" + b"".join(encode(key) + b"\x00" for key in (10, 100, -1, "z", "aa"))
    assert decode(encode(mixed)) == mixed


NOT_CANONICAL = {
    "1800": "a small number in a byte",
    "1817": "23 in a byte",
    "1900ff": "255 in two bytes",
    "1a0000ffff": "65535 in four bytes",
    "1b00000000ffffffff": "2**32-1 in eight bytes",
    "3800": "a small negative number in a byte",
    "580161": "the length of a byte string in a byte",
    "790001610": "the length of a text in two bytes",
    "9801f6": "the length of an array in a byte",
    "b8010000": "the length of a map in a byte",
    "d81280": "tag 18 in a byte",
    "5f4161ff": "a byte string of indefinite length",
    "7f6161ff": "a text of indefinite length",
    "9f01ff": "an array of indefinite length",
    "bf0102ff": "a map of indefinite length",
    "a201000100": "a key twice",
    "a202000100": "keys out of order",
    "a2616200616100": "text keys out of order",
    "a262616100617a00": "text keys in the order of the alphabet, not of their encodings",
    "a22000186400": "a negative key before a positive one",
}


@pytest.mark.parametrize("encoded", NOT_CANONICAL, ids=list(NOT_CANONICAL.values()))
def test_other_encodings_of_a_value_are_not_canonical(encoded: str) -> None:
    """Well-formed CBOR that is not the one deterministic encoding is told apart from broken bytes."""
    with pytest.raises(CborError) as caught:
        decode(bytes.fromhex(encoded.ljust(len(encoded) + len(encoded) % 2, "0")))
    assert caught.value.code == "NOT_CANONICAL"


BROKEN = {
    "": "nothing",
    "18": "an argument cut off",
    "1b00000000000000": "a long argument cut off",
    "4261": "a byte string cut off",
    "6261": "a text cut off",
    "8201": "an array cut off",
    "a101": "a map without its value",
    "d2": "a tag without its item",
    "5bffffffffffffffff00": "a byte string of 2**64-1 bytes",
    "7b7fffffffffffffff00": "a text of 2**63-1 bytes",
    "9bffffffffffffffff00": "an array of 2**64-1 items",
    "bbffffffffffffffff00": "a map of 2**64-1 entries",
    "0000": "something after the end",
    "1c": "a reserved initial byte",
    "1f": "an indefinite integer",
    "ff": "a break without a beginning",
    "61ff": "a text that is not UTF-8",
    "62c080": "an overlong zero in UTF-8",
    "63eda080": "half a surrogate pair",
    "f4": "false",
    "f5": "true",
    "f7": "undefined",
    "f0": "an unassigned simple value",
    "f820": "a simple value in a byte",
    "f97e00": "a half-precision number",
    "fb3ff199999999999a": "a double",
    "c074": "a date and time, cut off",
    "c11a514b67b0": "an epoch time (tag 1)",
    "c249010000000000000000": "a big number (tag 2)",
    "d18440a04040": "COSE_Mac0 (tag 17)",
    "d9d9f780": "the self-described tag",
    "a1410000": "a byte string as key",
    "a1f600": "null as key",
    "a18000": "an array as key",
}


@pytest.mark.parametrize("encoded", BROKEN, ids=list(BROKEN.values()))
def test_broken_or_foreign_bytes_are_bad_cbor(encoded: str) -> None:
    """Bytes that end early, are no CBOR, or hold kinds of values that records never hold."""
    with pytest.raises(CborError) as caught:
        decode(bytes.fromhex(encoded))
    assert caught.value.code == "BAD_CBOR"
    assert caught.value.reason == str(caught.value)


def test_nesting_is_bounded() -> None:
    """The deepest allowed nesting is read and written, one level more is refused, a hundred thousand cost nothing."""
    deepest = b"\x81" * DEPTH + b"\x00"
    assert encode(decode(deepest)) == deepest
    for depth in (DEPTH + 1, 100_000):
        for opening in (b"\x81", b"\xa1\x00", b"\xd2"):
            with pytest.raises(CborError, match="nest deeper"):
                decode(opening * depth + b"\x00")
    value: Encodable = 0
    for _ in range(DEPTH + 1):
        value = [value]
    with pytest.raises(ValueError, match="nesting deeper"):
        encode(value)


def test_the_number_of_items_is_bounded() -> None:
    """A megabyte of empty maps is refused before it becomes objects; what encode writes decode takes, up to the bound."""
    full = [0] * (ITEMS - 1)
    assert decode(encode(full)) == full
    with pytest.raises(ValueError, match="more than"):
        encode([*full, 0])
    row: list[Encodable] = [{}] * 100
    nested = encode([row] * 40)
    assert encode(decode(nested)) == nested
    with pytest.raises(ValueError, match="more than"):
        encode([row] * 41)
    many = b"\x9a\x00\x0f\xff\xff" + b"\xa0" * 0xFFFFF
    begun = time.process_time()
    with pytest.raises(CborError, match="more than"):
        decode(many)
    assert time.process_time() - begun < 0.1


@pytest.mark.parametrize("value", [True, 1.5, {b"k": 1}, {True: 1}, {None: 1}, object(), bytearray(b"x"), memoryview(b"x")])
def test_values_outside_the_grammar_are_not_encoded(value: object) -> None:
    """A value that records cannot hold is the caller's mistake, found before anything is signed."""
    with pytest.raises(TypeError):
        encode(value)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("value", [1 << 64, -(1 << 64) - 1, Tagged(17, []), Tagged(0, "2026-11-24T00:00:00Z")])
def test_values_out_of_range_are_not_encoded(value: Encodable) -> None:
    """Integers over 64 bits and other tags than 18 are not written."""
    with pytest.raises(ValueError, match=r"64 bits|tag"):
        encode(value)
