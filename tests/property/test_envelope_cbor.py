"""The codec's laws over generated values and bytes, with cbor2 as the independent reading of RFC 8949."""

from __future__ import annotations

import cbor2
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from broker.envelope.cbor import CborError, Encodable, Item, Tagged, decode, encode

LAW = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
KEYS = st.integers(-(1 << 64), (1 << 64) - 1) | st.integers(-300, 300) | st.text(max_size=30)
SCALARS = KEYS | st.none() | st.binary(max_size=300)


def containers(inner: st.SearchStrategy[Item]) -> st.SearchStrategy[Item]:
    """Arrays, maps and tagged items of ``inner``."""
    return st.lists(inner, max_size=30) | st.dictionaries(KEYS, inner, max_size=30) | inner.map(lambda item: Tagged(18, item))


def grammar() -> st.SearchStrategy[Item]:
    """Any value a record may hold, nested up to three deep."""
    level: st.SearchStrategy[Item] = SCALARS
    for _ in range(3):
        level = SCALARS | containers(level)
    return level


def as_cbor2(item: Item) -> object:
    """The same value in cbor2's types."""
    match item:
        case Tagged(tag, value):
            return cbor2.CBORTag(tag, as_cbor2(value))
        case list():
            return [as_cbor2(entry) for entry in item]
        case dict():
            return {key: as_cbor2(entry) for key, entry in item.items()}
        case _:
            return item


def verdict(data: bytes) -> tuple[str, Item]:
    """The code that bytes are refused with, or an empty code and the item; any other exception than CborError fails the test."""
    try:
        return "", decode(data)
    except CborError as error:
        return error.code, None


@given(grammar())
@LAW
def test_decode_is_the_inverse_of_encode(value: Item) -> None:
    """What is written is read back, equal and in the same bytes; and cbor2 reads the same value."""
    data = encode(value)
    assert decode(data) == value
    assert encode(decode(data)) == data
    assert cbor2.loads(data) == as_cbor2(value)


@given(grammar().map(lambda value: bytearray(encode(value))), st.data())
@LAW
def test_one_encoding_for_one_value(data: bytearray, draw: st.DataObject) -> None:
    """Of all bytes near a valid encoding, those that are accepted are themselves the encoding of what they mean: our encoder
    and cbor2 (writing in the order that was read) both give them back."""
    for _ in range(draw.draw(st.integers(1, 3))):
        at = draw.draw(st.integers(0, len(data) - 1))
        data[at] = draw.draw(st.integers(0, 255))
    altered = bytes(data)
    code, item = verdict(altered)
    if not code:
        assert encode(item) == altered
        assert cbor2.dumps(as_cbor2(item)) == altered


@given(st.binary(max_size=200))
@LAW
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    """Random bytes never raise anything but CborError, and what is accepted encodes to itself."""
    code, item = verdict(data)
    if not code:
        assert encode(item) == data
        assert cbor2.dumps(as_cbor2(item)) == data


HEADS = st.binary(min_size=0, max_size=8).flatmap(
    lambda tail: st.sampled_from([0x18, 0x1B, 0x38, 0x5B, 0x78, 0x9A, 0x9B, 0x9F, 0xA1, 0xB9, 0xBB, 0xBF, 0xD2, 0xD8, 0xF6, 0xFF]).map(
        lambda first: bytes([first]) + tail
    )
)


@given(st.lists(HEADS, max_size=40).map(b"".join))
@LAW
def test_hostile_heads_are_read_or_refused(data: bytes) -> None:
    """Nested heads with enormous, cut-off and indefinite lengths: refused, at no cost."""
    assert verdict(data)[0] in {"", "BAD_CBOR", "NOT_CANONICAL"}


@given(grammar(), st.data())
@LAW
def test_every_truncation_and_every_tail_is_refused(value: Item, draw: st.DataObject) -> None:
    """No proper prefix of an encoding is one, nor an encoding with something behind it."""
    data = encode(value)
    cut = data[: draw.draw(st.integers(0, len(data) - 1))]
    assert verdict(cut)[0] == "BAD_CBOR"
    tail = draw.draw(st.binary(min_size=1, max_size=5))
    assert verdict(data + tail)[0] == "BAD_CBOR"


def loose(value: Encodable, draw: st.DataObject) -> bytes:
    """An encoding of the value with liberties that RFC 8949 allows and the deterministic form does not, drawn at random."""

    def head(major: int, argument: int) -> bytes:
        limits = {0: 24, 1: 1 << 8, 2: 1 << 16, 4: 1 << 32, 8: 1 << 64}
        widths = [width for width, limit in limits.items() if argument < limit]
        width = draw.draw(st.sampled_from(widths))
        if width == 0:
            return bytes([major << 5 | argument])
        return bytes([major << 5 | 23 + width.bit_length()]) + argument.to_bytes(width, "big")

    if isinstance(value, int):
        return head(0, value) if value >= 0 else head(1, -1 - value)
    if isinstance(value, bytes):
        return head(2, len(value)) + value
    if isinstance(value, str):
        return head(3, len(value.encode())) + value.encode()
    if isinstance(value, Tagged):
        return head(6, value.tag) + loose(value.value, draw)
    if isinstance(value, list):
        body = b"".join(loose(entry, draw) for entry in value)
        return b"\x9f" + body + b"\xff" if draw.draw(st.booleans()) else head(4, len(value)) + body
    if isinstance(value, dict):
        entries = draw.draw(st.permutations(list(value.items())))
        body = b"".join(loose(key, draw) + loose(entry, draw) for key, entry in entries)
        return b"\xbf" + body + b"\xff" if draw.draw(st.booleans()) else head(5, len(value)) + body
    return b"\xf6"


SMALL = st.recursive(
    st.integers(-300, 300) | st.binary(max_size=4) | st.none(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.integers(-99, 99) | st.text(max_size=3), inner, max_size=4),
    max_leaves=8,
)


@given(SMALL, st.data())
@LAW
def test_every_other_encoding_of_a_value_is_refused(value: Item, draw: st.DataObject) -> None:
    """Long forms, indefinite lengths and unsorted keys, which cbor2 reads as the same value, are refused as NOT_CANONICAL."""
    data = loose(value, draw)
    assert cbor2.loads(data) == as_cbor2(value)
    if data == encode(value):
        assert decode(data) == value
        return
    assert verdict(data) == ("NOT_CANONICAL", None)
