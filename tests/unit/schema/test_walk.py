"""The structural walk: every known bomb is refused at once, with the path of the field it sits in."""

from __future__ import annotations

import time
import tracemalloc

import pytest

from broker.schema.avsc import JsonValue, read_schema
from broker.schema.codec import Codec
from broker.schema.limits import BODY_LIMIT, ITEM_LIMIT
from broker.schema.walk import Walk, WalkError, compile_walk
from tests.hostile.record_batches import varint
from tests.unit.schema.samples import CODES, EVERYTHING, TIMESTAMP, field, notice, one, record


def refusal(avsc: JsonValue, body: bytes, limit: int = BODY_LIMIT) -> WalkError:
    """The WalkError that these bytes must raise."""
    walk = compile_walk(avsc)
    with pytest.raises(WalkError) as caught:
        walk(body, limit)
    return caught.value


LONGS: JsonValue = one({"type": "array", "items": "long"})
MONEY: JsonValue = {"type": "fixed", "name": "m", "size": 4, "logicalType": "decimal", "precision": 9, "scale": 2}

BOMBS: dict[str, tuple[JsonValue, bytes, str]] = {
    "array count 2**40": (LONGS, varint(1 << 40), "a"),
    "array count 2**62": (LONGS, varint(1 << 62), "a"),
    "negative array block": (LONGS, varint(-1) + varint(1) + varint(7) + b"\x00", "a"),
    "array in two blocks": (LONGS, varint(1) + varint(7) + varint(1) + varint(8) + b"\x00", "a"),
    "array without its end": (LONGS, varint(1) + varint(7), "a"),
    "array item cut off": (LONGS, varint(2) + varint(7) + b"\x80", "a[1]"),
    **{f"string of 2**{bits}": (one("string"), varint(1 << bits), "a") for bits in (31, 40, 61, 62)},
    **{f"bytes of 2**{bits}": (one("bytes"), varint(1 << bits), "a") for bits in (31, 40, 61, 62)},
    "negative string length": (one("string"), varint(-1), "a"),
    "negative bytes length": (one("bytes"), varint(-1) + b"x", "a"),
    "string one byte short": (one("string"), varint(3) + b"ab", "a"),
    "union index -1": (one(["null", "int"]), varint(-1), "a"),
    "union index 2": (one(["null", "int"]), varint(2), "a"),
    "union index not minimal": (one(["null", "int"]), b"\x80\x00", "a"),
    "enum index -1": (one(CODES), varint(-1), "a"),
    "enum index past the end": (one(CODES), varint(3), "a"),
    "varint of 11 bytes": (one("long"), b"\x80" * 10 + b"\x01", "a"),
    "varint of 1 MB": (one("long"), b"\x80" * (BODY_LIMIT - 1) + b"\x01", "a"),
    "varint above 64 bits": (one("long"), b"\xff" * 9 + b"\x02", "a"),
    "varint not minimal": (one("long"), b"\x81\x00", "a"),
    "zero not minimal": (one("long"), b"\x80\x00", "a"),
    "int of 2**40": (one("int"), varint(1 << 40), "a"),
    "int of 2**31": (one("int"), varint(1 << 31), "a"),
    "int of -2**31 - 1": (one("int"), varint(-(1 << 31) - 1), "a"),
    "boolean 7": (one("boolean"), b"\x07", "a"),
    "text that is no UTF-8": (one("string"), varint(2) + b"\xc3\x28", "a"),
    "surrogate in UTF-8": (one("string"), varint(3) + b"\xed\xa0\x80", "a"),
    "overlong UTF-8": (one("string"), varint(2) + b"\xc0\xaf", "a"),
    "NUL in a text": (one("string"), varint(1) + b"\x00", "a"),
    "escape in a text": (one("string"), varint(1) + b"\x1b", "a"),
    "bidirectional override": (one("string"), varint(3) + "\u202e".encode(), "a"),
    "time of the year 292278994": (one(TIMESTAMP), varint((1 << 63) - 1), "a"),
    "date of the year 5881580": (one({"type": "int", "logicalType": "date"}), varint((1 << 31) - 1), "a"),
    "decimal with too many digits": (one(MONEY), (10**9).to_bytes(4, "big"), "a"),
    "decimal with too many digits below zero": (one(MONEY), (-(10**9)).to_bytes(4, "big", signed=True), "a"),
    "fixed cut off": (one({"type": "fixed", "name": "f", "size": 32}), bytes(31), "a"),
    "nothing": (one("int"), b"", "a"),
    "trailing byte": (one("int"), b"\x02\x00", ""),
    "many empty texts": (one({"type": "array", "items": "string"}), varint(BODY_LIMIT - 4) + bytes(BODY_LIMIT - 3), "a"),
    "many absent values": (one({"type": "array", "items": ["null", "int"]}), varint(ITEM_LIMIT + 1) + bytes(ITEM_LIMIT + 2), "a"),
}  # fmt: skip


@pytest.mark.parametrize(("avsc", "body", "path"), BOMBS.values(), ids=BOMBS.keys())
def test_bombs_are_refused_within_a_millisecond_and_without_memory(avsc: JsonValue, body: bytes, path: str) -> None:
    """Each bomb gives a WalkError at its field, in under 1 ms (best of five) and under 64 kB of memory."""
    walk = compile_walk(avsc)
    assert refusal(avsc, body).path == path
    assert min(_seconds(walk, body) for _ in range(5)) < 0.001
    tracemalloc.start()
    try:
        _seconds(walk, body)
        assert tracemalloc.get_traced_memory()[1] < 65_536
    finally:
        tracemalloc.stop()


def _seconds(walk: Walk, body: bytes) -> float:
    start = time.perf_counter()
    with pytest.raises(WalkError):
        walk(body, BODY_LIMIT)
    return time.perf_counter() - start


def test_arrays_of_records_share_one_budget() -> None:
    """Arrays in arrays cannot multiply: the values of all of them count against one budget before any is read."""
    inner = record("In", *(field(f"f{number}", ["null", "int"]) for number in range(10)))
    avsc = record("Out", field("rows", {"type": "array", "items": record("Row", field("cells", {"type": "array", "items": inner}))}))
    row = varint(2_500) + bytes(25_000) + b"\x00"
    compile_walk(avsc)(varint(9) + row * 9 + b"\x00", BODY_LIMIT)
    assert refusal(avsc, varint(10) + row * 10 + b"\x00").path == "rows[9].cells"


def test_paths_lead_through_records_arrays_and_absent_values() -> None:
    """The path names the field as `section.field[3].sub` readers expect it."""
    goods = record("Goods", field("items", {"type": "array", "items": record("Item", field("hs", "string"), field("n", ["null", "int"]))}))
    avsc = record("Top", field("goods", ["null", goods]), field("plain", record("Plain", field("flag", "boolean"))))
    item = varint(2) + b"84" + b"\x00"
    assert refusal(avsc, b"\x02" + varint(4) + item * 3 + varint(2) + b"\xff\xff").path == "goods.items[3].hs"
    assert refusal(avsc, b"\x00\x02").path == "plain.flag"
    assert str(refusal(avsc, b"\x00\x02")).startswith("plain.flag: ")
    assert refusal(LONGS, varint(9) + b"\x00").reason == "9 items are announced, 1 bytes are left"


def test_limits_of_numbers_are_inclusive() -> None:
    """The smallest and largest int and long pass."""
    for kind, bits in (("int", 31), ("long", 63)):
        walk = compile_walk(one(kind))
        for value in (-(1 << bits), (1 << bits) - 1, 0, -1):
            walk(varint(value), BODY_LIMIT)


def test_large_enums_use_two_bytes() -> None:
    """An enum of more than 64 symbols is walked by its index, not by its first byte."""
    avsc = one({"type": "enum", "name": "E", "doc": "E.", "symbols": [f"S{number}" for number in range(100)]})
    compile_walk(avsc)(varint(99), BODY_LIMIT)
    assert refusal(avsc, varint(100)).path == "a"
    assert refusal(avsc, b"\x82\x00").path == "a"


def test_every_prefix_of_a_record_is_refused() -> None:
    """A record cut off anywhere is refused, and the whole one passes within exactly its own length."""
    body = Codec(read_schema(EVERYTHING)).encode(notice())
    walk = compile_walk(EVERYTHING)
    walk(body, len(body))
    for length in range(len(body)):
        with pytest.raises(WalkError):
            walk(body[:length], BODY_LIMIT)
    assert "at most" in refusal(EVERYTHING, body, limit=len(body) - 1).reason
