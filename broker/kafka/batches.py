"""What a fetch brought, looked at before any of it is believed. aiokafka (0.14) parses record batches for trusted ones:

- It unpacks whatever is compressed, without any bound: 16 kB become a gigabyte. Every topic of an exchange keeps its records
  uncompressed, so a compressed batch comes from a Kafka that is not what it should be, and is refused unread.
- The name of a header that is no UTF-8 ends the call with an exception; Kafka stores such names, so one record in an outbox would
  stop its reader for ever. No header of a record means anything here: records are then read without them.
- Kafka also stores untrue offsets of single records in an uncompressed batch. The reader would skip records, or go on a
  billion offsets later. Such records are numbered in a row, as Kafka has counted them.

A batch that cannot be read is an :class:`UnfitBatch` that names the place; the position stays before it.
"""

from __future__ import annotations

import struct
from collections.abc import Generator, Iterator
from typing import Any, Final, NamedTuple, cast

from aiokafka import TopicPartition
from aiokafka import errors as kafka_errors
from aiokafka.consumer import fetcher
from aiokafka.record.default_records import DefaultRecordBatch

_LENGTH: Final = struct.Struct(">i")
_FRONT: Final = struct.Struct(">qiibIhiqqqhii")
"""A record batch before its records (Kafka protocol, "Record Batch"): base offset, length, leader epoch, magic, CRC, attributes, last
offset delta, base and maximum timestamp, producer's id, epoch and base sequence, count of records."""
_BEFORE_LENGTH, _OVERHEAD = 8, 12
_CODEC: Final = 0b111
_LOG_APPEND_TIME: Final = 0b1000
_CODECS: Final = {1: "gzip", 2: "snappy", 3: "lz4", 4: "zstd"}
"""Names of the compressions, by the number in a batch's attributes."""


class UnfitBatch(kafka_errors.KafkaError):
    """A batch that is compressed, of an old format, or broken. The text names topic, partition and offset."""


class _Unfit(Exception):
    """The same, before the place is known."""


class FetchedRecord(NamedTuple):
    """A record as aiokafka's parser gives it; headers are left out."""

    offset: int
    timestamp: int
    timestamp_type: int
    key: bytes | None
    value: bytes | None
    headers: tuple[()] = ()
    checksum: None = None


class FetchedBatches:
    """The batches of one partition in one fetch, in the place of aiokafka's ``MemoryRecords``."""

    def __init__(self, data: bytes | None) -> None:
        self._data = data or b""
        self._at = 0

    def size_in_bytes(self) -> int:
        """Bytes that were fetched."""
        return len(self._data)

    def has_next(self) -> bool:
        """Whether another whole batch follows; a fetch may end inside one, and ends before one that is unfit, unless it is the first."""
        left = len(self._data) - self._at
        if left < _OVERHEAD or left - _OVERHEAD < self._length():
            return False
        return not self._at or not self._fault()

    def _length(self) -> int:
        return _LENGTH.unpack_from(self._data, self._at + _BEFORE_LENGTH)[0]

    def _fault(self) -> str:
        """Why the next batch cannot be read; empty where it may be tried."""
        if _OVERHEAD + self._length() < _FRONT.size:
            return "a batch is shorter than its own front, or of a format before Kafka 0.11"
        front = _FRONT.unpack_from(self._data, self._at)
        magic, attributes = front[3], front[5]
        if magic != 2:
            return f"a batch is of format {magic}, not 2"
        if attributes & _CODEC:
            codec = _CODECS.get(attributes & _CODEC, "in an unknown way")
            return f"a batch is compressed ({codec}) and will not be unpacked: the topic needs compression.type=uncompressed"
        return ""

    def next_batch(self) -> FetchedBatch:
        """The next batch. Raises _Unfit."""
        if fault := self._fault():
            raise _Unfit(fault)
        end = self._at + _OVERHEAD + self._length()
        batch = FetchedBatch(self._data[self._at : end])
        self._at = end
        return batch


class FetchedBatch:
    """One batch, with what aiokafka's fetcher asks of it."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self._front = _FRONT.unpack_from(raw)
        self.base_offset: int = self._front[0]
        self.next_offset: int = self.base_offset + self._front[6] + 1
        self._native = DefaultRecordBatch(raw)
        self.validate_crc = self._native.validate_crc
        self.producer_id: int = self._native.producer_id
        self.is_transactional: bool = self._native.is_transactional
        self.is_control_batch: bool = self._native.is_control_batch

    def __next__(self) -> Any:
        """The record of a control batch."""
        return next(self._native)

    def __iter__(self) -> Iterator[Any]:
        try:
            records = list(self._native)
        except UnicodeDecodeError:
            return iter(self._without_headers())
        before = self.base_offset - 1
        for record in records:
            if not before < record.offset < self.next_offset:
                return iter(self._without_headers())
            before = record.offset
        return iter(records)

    def _without_headers(self) -> list[FetchedRecord]:
        """All records, numbered in a row where their own offsets are untrue. Raises _Unfit."""
        _, _, _, _, _, attributes, last_delta, base_time, last_time, _, _, _, count = self._front
        stamped = attributes & _LOG_APPEND_TIME
        deltas: list[int] = []
        found: list[tuple[int, bytes | None, bytes | None]] = []
        at = _FRONT.size
        for _ in range(count):
            length, at = _varint(self._raw, at)
            end = at + length
            if length < 0 or end > len(self._raw):
                raise _Unfit("a record is longer than its batch")
            time_delta, at = _varint(self._raw, at + 1)
            delta, at = _varint(self._raw, at)
            key, at = _bytes(self._raw, at, end)
            value, _ = _bytes(self._raw, at, end)
            deltas.append(delta)
            found.append((last_time if stamped else base_time + time_delta, key, value))
            at = end
        true = all(low < high for low, high in zip([-1, *deltas], [*deltas, last_delta + 1], strict=True))
        if not true and count > last_delta + 1:
            raise _Unfit("a batch holds more records than offsets")
        kind = 1 if stamped else 0
        return [
            FetchedRecord(self.base_offset + (delta if true else place), time, kind, key, value)
            for place, (delta, (time, key, value)) in enumerate(zip(deltas, found, strict=True))
        ]


def _varint(raw: bytes, at: int) -> tuple[int, int]:
    """A zigzag varint of at most ten bytes, and where it ends."""
    number = 0
    for shift in range(0, 70, 7):
        byte = raw[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return (number >> 1) ^ -(number & 1), at
    raise _Unfit("a number of a record never ends")


def _bytes(raw: bytes, at: int, end: int) -> tuple[bytes | None, int]:
    """Bytes behind their length, None where it is negative, and where they end."""
    length, at = _varint(raw, at)
    if length < 0:
        return None, at
    if at + length > end:
        raise _Unfit("a key or value is longer than its record")
    return raw[at : at + length], at + length


class FetchedPartition(fetcher.PartitionRecords):
    """The records of one partition in one fetch: whatever is wrong with them becomes an UnfitBatch that names the place."""

    def __init__(self, tp: TopicPartition, *rest: Any) -> None:
        super().__init__(tp, *rest)
        self._place = tp

    def _unpack_records(self) -> Generator[Any, None, None]:
        try:
            yield from super()._unpack_records()
        except Exception as error:  # a stranger's bytes: aiokafka's reader raises whatever they break
            why = str(error) if isinstance(error, _Unfit) else f"a batch is broken ({error or type(error).__name__})"
            next_offset = cast(Any, self).next_fetch_offset
            raise UnfitBatch(f"`{self._place.topic}`/{self._place.partition} from offset {next_offset}: {why}") from error


def install() -> None:
    """Put these readers in front of aiokafka's own, for every consumer of this process."""
    cast(Any, fetcher).MemoryRecords = FetchedBatches
    cast(Any, fetcher).PartitionRecords = FetchedPartition
