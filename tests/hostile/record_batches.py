"""Kafka record batches written by hand, as no client would write them: compressed bombs, strange headers, untrue offsets.

Kafka protocol, "Record Batch" (magic 2) and "Message Set" (magic 0 and 1). Nothing here allocates what it claims to hold.
"""

from __future__ import annotations

import gzip
import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from aiokafka.record.util import calc_crc32c

NONE, GZIP, SNAPPY, LZ4, ZSTD = range(5)
CODECS: Final = {NONE: "none", GZIP: "gzip", SNAPPY: "snappy", LZ4: "lz4", ZSTD: "zstd"}
MIB: Final = 1 << 20


def varint(value: int) -> bytes:
    """A zigzag varint of any size, as Avro and Kafka's records have it, written independently of the code under test."""
    raw = value << 1 if value >= 0 else (-value << 1) - 1
    out = bytearray()
    while raw >> 7:
        out.append(raw & 0x7F | 0x80)
        raw >>= 7
    return bytes([*out, raw])


@dataclass(frozen=True)
class Row:
    """One record of a batch. ``header`` is the name of its one header, as bytes; ``delta`` its offset after the batch's first."""

    value: bytes
    header: bytes | None = None
    delta: int = 0

    def encoded(self) -> bytes:
        """The record as it stands in a batch."""
        headers = varint(0)
        if self.header is not None:
            headers = varint(1) + varint(len(self.header)) + self.header + varint(1) + b"x"
        body = b"\x00" + varint(0) + varint(self.delta) + varint(1) + b"k" + varint(len(self.value)) + self.value + headers
        return varint(len(body)) + body


def rows(values: Sequence[bytes]) -> list[Row]:
    """Ordinary records in a row."""
    return [Row(value, delta=delta) for delta, value in enumerate(values)]


def batch(records: bytes, count: int, *, codec: int = NONE, base: int = 0, magic: int = 2) -> bytes:
    """A batch around encoded (and, where ``codec`` says so, compressed) records; its CRC is right."""
    after = struct.pack(">hiqqqhii", codec, count - 1, 1_795_478_400_000, 1_795_478_400_000, -1, -1, -1, count) + records
    return struct.pack(">qiib", base, len(after) + 9, 0, magic) + struct.pack(">I", calc_crc32c(after)) + after


def batch_of(records: Sequence[Row], *, codec: int = NONE, base: int = 0) -> bytes:
    """A batch of these records; gzip is the only compression done here."""
    body = b"".join(row.encoded() for row in records)
    return batch(gzip.compress(body) if codec == GZIP else body, len(records), codec=codec, base=base)


def legacy(value: bytes, *, codec: int = NONE, magic: int = 1) -> bytes:
    """A message of the format before magic 2; ``value`` is a compressed set of messages where ``codec`` says so."""
    stamp = struct.pack(">q", 1_795_478_400_000) if magic else b""
    after = struct.pack(">bb", magic, codec) + stamp + struct.pack(">i", -1) + struct.pack(">i", len(value)) + value
    message = struct.pack(">I", zlib.crc32(after)) + after
    return struct.pack(">qi", 0, len(message)) + message


def _zeros(size: int) -> tuple[bytes, bytes]:
    """What stands before and behind the zeros of one record whose value is that many zeros."""
    tail = varint(0)
    front = b"\x00" + varint(0) + varint(0) + varint(1) + b"k" + varint(size)
    return varint(len(front) + size + len(tail)) + front, tail


def gzip_bomb(size: int) -> bytes:
    """One record of ``size`` zeros, compressed a megabyte at a time."""
    front, tail = _zeros(size)
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    parts = [packer.compress(front)]
    parts += [packer.compress(bytes(MIB)) for _ in range(size // MIB)]
    return b"".join([*parts, packer.compress(bytes(size % MIB)), packer.compress(tail), packer.flush()])


def zstd_bomb(size: int) -> bytes:
    """The same as one Zstandard frame (RFC 8878) of repeated-byte blocks: four bytes stand for 128 KiB."""
    front, tail = _zeros(size)
    frame = bytearray(b"\x28\xb5\x2f\xfd\x00\x38")  # magic, no checksum nor size, a window of 128 KiB

    def block(kind: int, length: int, content: bytes, *, last: bool = False) -> None:
        frame.extend((length << 3 | kind << 1 | last).to_bytes(3, "little") + content)

    block(0, len(front), front)
    for start in range(0, size, 128 << 10):
        block(1, min(size - start, 128 << 10), b"\x00")
    block(0, len(tail), tail, last=True)
    return bytes(frame)


def lz4_bomb(size: int) -> bytes:
    """The same as an LZ4 frame of independent 4 MiB blocks: 255 zeros for each byte."""
    front, tail = _zeros(size)
    descriptor = b"\x60\x70"  # version 1, independent blocks; blocks of at most 4 MiB
    frame = bytearray(b"\x04\x22\x4d\x18" + descriptor + bytes([_xxh32(descriptor) >> 8 & 0xFF]))

    def stored(content: bytes) -> None:
        frame.extend((len(content) | 1 << 31).to_bytes(4, "little") + content)

    stored(front)
    left = size
    while left > 64:
        run = min(left, 4 * MIB) - 6  # one literal, a match of it, five last literals
        extra = run - 4 - 15
        content = b"\x1f\x00\x01\x00" + b"\xff" * (extra // 255) + bytes([extra % 255]) + b"\x50" + bytes(5)
        frame.extend(len(content).to_bytes(4, "little") + content)
        left -= run + 6
    if left:
        stored(bytes(left))
    stored(tail)
    return bytes(frame + bytes(4))


def snappy_bomb(size: int) -> bytes:
    """The same as raw Snappy: 64 zeros for each three bytes."""
    front, tail = _zeros(size)
    out = bytearray(_uvarint(len(front) + size + len(tail)))

    def literal(content: bytes) -> None:
        out.extend(bytes([(len(content) - 1) << 2]) + content)

    literal(front + b"\x00")
    runs, rest = divmod(size - 1, 64)
    out.extend(b"\xfe\x01\x00" * runs)
    literal(bytes(rest) + tail)
    return bytes(out)


def snappy_claim(size: int) -> bytes:
    """Snappy that only claims a size, as ``size`` and in the frame that Java clients write: nothing follows."""
    block = _uvarint(size) + b"\x00\x00"
    return b"\x82SNAPPY\x00" + struct.pack(">iii", 1, 1, len(block)) + block


BOMBS: Final = {GZIP: gzip_bomb, SNAPPY: snappy_bomb, LZ4: lz4_bomb, ZSTD: zstd_bomb}


def bombs(size: int) -> Iterator[tuple[str, bytes]]:
    """A batch of each compression that Kafka knows, holding one record of that many zeros."""
    for codec, make in BOMBS.items():
        yield CODECS[codec], batch(make(size), 1, codec=codec)


def _uvarint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _xxh32(data: bytes) -> int:
    """xxHash-32 of fewer than four bytes, seed 0: what guards the descriptor of an LZ4 frame."""
    mask, two, three, five = 0xFFFF_FFFF, 2_246_822_519, 3_266_489_917, 374_761_393
    one = 2_654_435_761
    found = five + len(data)
    for byte in data:
        found = (found + byte * five) & mask
        found = (found << 11 | found >> 21) & mask
        found = found * one & mask
    found ^= found >> 15
    found = found * two & mask
    found ^= found >> 13
    found = found * three & mask
    return found ^ found >> 16
