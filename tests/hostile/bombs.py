"""Small inputs that cost a careless reader gigabytes, seconds or its life, and what this project's own readers say to them.

Each is built here from its description and none is kept as a file. A schema bomb is offered for registration, a data bomb to the
structural walk and to the compiled reader, the others to the framing of records and to the reader of Kafka's batches.
"""

from __future__ import annotations

import json
import lzma
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Final, NamedTuple, cast

from aiokafka import TopicPartition
from aiokafka.consumer import fetcher

from broker.envelope.parcel import MAGIC
from broker.errors import Refusal, UsageError
from broker.kafka import wire
from broker.kafka.batches import UnfitBatch
from broker.schema.catalogue import Section
from broker.schema.limits import BODY_LIMIT
from tests.hostile import record_batches
from tests.hostile.record_batches import GZIP, MIB, SNAPPY, Row, batch, batch_of, bombs, legacy, snappy_claim, varint
from tests.hostile.scene import code_at_relay, scene
from tests.unit.schema.samples import CODES, field, one, record

assert wire.batches.FetchedBatches is cast(Any, fetcher).MemoryRecords
PLACE: Final = TopicPartition("out.SG-CUSTOMS", 0)


class Bomb(NamedTuple):
    """An input of ``size`` bytes. ``ask`` gives the refusal it meets, empty where it is accepted; anything it raises is a fault."""

    name: str
    by: str
    size: int
    ask: Callable[[], str]


def registered(avsc: Any) -> str:
    """What registration says of a schema."""
    try:
        Section.from_text("sample", "extra", 1, json.dumps(avsc))
    except UsageError as error:
        return str(error).partition(": ")[2]
    return ""


def walked(section: Section, body: bytes) -> str:
    """What the walk says of a body."""
    refusal = section.check(body)
    return f"{refusal.code}: {refusal.reason}" if refusal else ""


def read(section: Section, body: bytes) -> str:
    """What the reader, which takes good bytes in one go, says of a body."""
    found = section.read(body)
    return f"{found.code}: {found.reason}" if isinstance(found, Refusal) else ""


def records_of(raw: bytes, *, check_crcs: bool = True) -> list[wire.RawRecord]:
    """The records of what a fetch brought, as a consumer of committed records reads them. Raises UnfitBatch."""
    memory = cast(Any, fetcher).MemoryRecords(raw)
    return list(cast(Any, fetcher).PartitionRecords(PLACE, memory, [], 0, None, None, check_crcs, fetcher.READ_COMMITTED))


def fetched(raw: bytes) -> str:
    """What the reader of batches says, as a consumer of committed records calls it."""
    try:
        return "" if records_of(raw) else "nothing"
    except UnfitBatch as error:
        return str(error)


def laughs(levels: int) -> Any:
    """Records in records, ten of each, around one that takes no bytes."""
    inner: Any = record(f"L{levels}")
    for level in reversed(range(levels)):
        inner = record(f"L{level}", field("f0", inner), *(field(f"f{number}", f"L{level + 1}") for number in range(1, 10)))
    return inner


NULLS: Final[Any] = {"type": "array", "items": "null"}
SCHEMAS: Final[dict[str, Any]] = {
    "recursive record (linked list)": record("Node", field("next", ["null", "Node"])),
    "recursion through an array": record("Node", field("next", {"type": "array", "items": "Node"})),
    "array<null>": one(NULLS),
    "array of empty records": one({"type": "array", "items": record("Empty")}),
    "array of fixed(0)": one({"type": "array", "items": {"type": "fixed", "name": "F", "size": 0}}),
    "array<null> to be skipped by a reader": record("Read", field("old", NULLS), field("kept", "long")),
    "records x10, seven deep, no bytes": laughs(7),
    "map<long>": one({"type": "map", "values": "long"}),
    "decimal(bytes)": one({"type": "bytes", "logicalType": "decimal", "precision": 30, "scale": 2}),
    "fixed of 2^40": one({"type": "fixed", "name": "F", "size": 1 << 40}),
    "default of 100,000 items": record("R", field("a", {"type": "array", "items": "long"}, default=[0] * 100_000)),
}
ABSENT: Final[Any] = one({"type": "array", "items": ["null", "long"]})
DATA: Final[dict[str, tuple[Any, bytes]]] = {
    "array of absent values, 2^26": (ABSENT, varint(1 << 26) + b"\x00"),
    "array of absent values, 2^40": (ABSENT, varint(1 << 40) + b"\x00"),
    "array of a million absent values": (ABSENT, varint(1 << 19) + bytes((1 << 19) + 1)),
    "array<long>, count 2^40": (one({"type": "array", "items": "long"}), varint(1 << 40)),
    "array<long>, count -2^62": (one({"type": "array", "items": "long"}), varint(-(1 << 62)) + varint(1)),
    **{f"string of 2^{bits}": (one("string"), varint(1 << bits)) for bits in (31, 40, 61, 62)},
    **{f"bytes of 2^{bits}": (one("bytes"), varint(1 << bits)) for bits in (31, 62)},
    "string of -1": (one("string"), varint(-1)),
    "union index -1": (one(["null", "int"]), varint(-1)),
    "enum index -1": (one(CODES), varint(-1)),
    "varint of 11 bytes": (one("long"), b"\x80" * 10 + b"\x01"),
    "varint of 1 MB": (one("long"), b"\x80" * (BODY_LIMIT - 1) + b"\x01"),
    "varint not in its shortest form": (one("long"), b"\x81\x00"),
    "boolean 7": (one("boolean"), b"\x07"),
    "int of 2^40": (one("int"), varint(1 << 40)),
    "trailing bytes": (one("int"), b"\x02" + bytes(9)),
}


def _zeros(packer: Any, mebibytes: int) -> bytes:
    return b"".join([*(packer.compress(bytes(MIB)) for _ in range(mebibytes)), packer.flush()])


def container(codec: str, packed: bytes) -> bytes:
    """An Avro object container file (Avro 1.12) with one block."""
    schema = b'{"type":"array","items":"null"}'
    meta = varint(2) + varint(11) + b"avro.schema" + varint(len(schema)) + schema
    meta += varint(10) + b"avro.codec" + varint(len(codec)) + codec.encode() + varint(0)
    return b"Obj\x01" + meta + bytes(16) + varint(1 << 26) + varint(len(packed)) + packed + bytes(16)


def _framed() -> Iterator[tuple[str, bytes]]:
    yield "OCF, deflate of 256 MiB", container("deflate", _zeros(zlib.compressobj(9, zlib.DEFLATED, -15), 256))
    yield "OCF, xz of 256 MiB", container("xz", _zeros(lzma.LZMACompressor(), 256))
    yield "bare Avro", varint(1 << 40)
    yield "record of 3 MiB", MAGIC + bytes(3 * MIB)
    yield "CBOR array of 2^62", MAGIC + b"\x9b" + (1 << 62).to_bytes(8, "big")
    yield "CBOR bytes of 2^63", MAGIC + b"\x83\x5b" + (1 << 63).to_bytes(8, "big")
    yield "CBOR map of 2^63", MAGIC + b"\xbb" + (1 << 63).to_bytes(8, "big")
    yield "CBOR nested 100,000 deep", MAGIC + b"\x81" * 100_000
    yield "CBOR tags 100,000 deep", MAGIC + b"\xd2" * 100_000
    yield "CBOR, a megabyte of empty maps", MAGIC + b"\x9a" + (1_000_000).to_bytes(4, "big") + b"\xa0" * 1_000_000


def _batches() -> Iterator[tuple[str, bytes]]:
    for codec, raw in bombs(512 * MIB):
        yield f"Kafka batch, {codec} of 512 MiB", raw
    yield "Kafka batch, gzip of 256 MiB", batch(record_batches.gzip_bomb(256 * MIB), 1, codec=GZIP)
    yield "Kafka batch, snappy that claims 2 GiB", batch(snappy_claim((1 << 31) - 1), 1, codec=SNAPPY)
    yield "Kafka batch, gzip of nothing bad", batch_of([Row(b"small")], codec=GZIP)
    yield "Kafka batch, unknown compression", batch(b"", 1, codec=7)
    for magic in (0, 1):
        yield f"Kafka message of format {magic}, gzip of 64 MiB", legacy(record_batches.gzip_bomb(64 * MIB), codec=GZIP, magic=magic)
    yield "Kafka batch of format 9", batch(Row(b"x").encoded(), 1, magic=9)
    yield "Kafka batch, 2^31 - 1 records announced", batch(Row(b"x").encoded(), (1 << 31) - 1)
    yield "Kafka batch, -1 records announced", batch(Row(b"x").encoded(), -1)
    body = b"\x00" + varint(0) + varint(0) + varint(-1) + varint(1) + b"x" + varint((1 << 31) - 1)
    yield "Kafka record, 2^31 - 1 headers announced", batch(varint(len(body)) + body, 1)
    body = b"\x00" + varint(0) + varint(0) + varint(-1) + varint((1 << 31) - 1)
    yield "Kafka record, value of 2 GiB announced", batch(varint(len(body)) + body, 1)


def all_bombs() -> Iterator[Bomb]:
    """Every bomb, built one at a time."""
    for name, avsc in SCHEMAS.items():
        yield Bomb(name, "lint", len(json.dumps(avsc)), partial(registered, avsc))
    for name, (avsc, body) in DATA.items():
        section = Section.from_text("sample", "extra", 1, json.dumps(avsc))
        yield Bomb(name, "walk", len(body), partial(walked, section, body))
        yield Bomb(f"{name}, read", "reader", len(body), partial(read, section, body))
    rules = scene().rules
    for name, value in _framed():
        yield Bomb(name, "framing", len(value), partial(code_at_relay, value, rules, "SG-CUSTOMS"))
    for name, raw in _batches():
        yield Bomb(name, "batches", len(raw), partial(fetched, raw))
