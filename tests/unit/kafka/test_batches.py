"""Reading what a fetch brought: as aiokafka does where it is sound, and otherwise an answer that names the place."""

from __future__ import annotations

from typing import Any

import pytest
from aiokafka.consumer.fetcher import READ_COMMITTED
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.kafka.batches import FetchedPartition, UnfitBatch
from broker.kafka.wire import RawRecord
from tests.hostile.bombs import PLACE, records_of
from tests.hostile.record_batches import GZIP, ZSTD, Row, batch, batch_of, rows, zstd_bomb

BYTES = st.none() | st.binary(max_size=30)
HEADERS = st.lists(st.tuples(st.text(max_size=5), BYTES), max_size=3)
RECORDS = st.lists(st.tuples(st.integers(0, 1 << 40), BYTES, BYTES, HEADERS), min_size=1, max_size=20)


def fields(record: RawRecord) -> tuple[int, int, bytes | None, bytes | None]:
    """What we read of a record."""
    return record.offset, record.timestamp, record.key, record.value


@settings(deadline=None)
@given(st.lists(RECORDS, max_size=3), st.integers(0, 30), st.booleans())
def test_sound_batches_are_read_as_aiokafka_reads_them(written: list[list[Any]], cut: int, transactional: bool) -> None:
    """Any records with any headers, also where the fetch ends inside a batch, and where compaction left holes."""
    fetched = b""
    for records in written:
        builder = DefaultRecordBatchBuilder(2, 0, int(transactional), 7, 1, 0, 1 << 20)
        for place, (time, key, value, headers) in enumerate(records):
            builder.append(2 * place, time, key, value, headers)
        fetched += bytes(builder.build())
    fetched = fetched[: len(fetched) - cut]
    theirs: Any = FetchedPartition.__mro__[1]
    expected = theirs(PLACE, MemoryRecords(fetched), [], 0, None, None, True, READ_COMMITTED)
    assert [fields(record) for record in records_of(fetched)] == [fields(record) for record in expected]


def test_a_header_without_text_costs_only_the_headers() -> None:
    """Key, value, time and offset of every record of the batch are there."""
    plain = records_of(batch_of([Row(b"one"), Row(b"two", delta=1)]))
    odd = records_of(batch_of([Row(b"one", header=b"\xff"), Row(b"two", delta=1)]))
    assert [fields(record) for record in odd] == [fields(record) for record in plain]


def test_true_offsets_with_holes_are_kept_beside_an_odd_header() -> None:
    """Compaction leaves holes, which are no lies: the records keep their places."""
    raw = bytearray(batch_of([Row(b"one", header=b"\xff", delta=2), Row(b"two", delta=5)]))
    raw[23:27] = (9).to_bytes(4, "big")  # the last offset delta: Kafka keeps it when the last records are gone
    assert [record.offset for record in records_of(bytes(raw), check_crcs=False)] == [2, 5]


def test_what_lies_before_an_unfit_batch_is_read_first() -> None:
    """A fetch with a good and a compressed batch brings the good one; the next fetch, which begins there, names the place."""
    bad = batch(zstd_bomb(1 << 20), 1, codec=ZSTD, base=2)
    assert [record.value for record in records_of(batch_of(rows([b"one", b"two"])) + bad)] == [b"one", b"two"]
    with pytest.raises(UnfitBatch, match=r"`out\.SG-CUSTOMS`/0 from offset 0: a batch is compressed \(zstd\) and will not be unpacked"):
        records_of(bad)


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (batch_of(rows([b"x"]), codec=GZIP), "gzip"),
        (batch(Row(b"x").encoded(), 1, magic=1), "of format 1"),
        (bytes(8) + (1).to_bytes(4, "big") + b"x", "shorter than its own front"),
        (bytes(8) + b"\xff\xff\xff\xf0" + bytes(80), "shorter than its own front"),
        (batch_of(rows([b"x"]))[:-1] + b"\x07", "CRC"),
        (batch(Row(b"x").encoded() + b"y", 1), "broken"),
        (batch(Row(b"x", header=b"\xff").encoded() + Row(b"y").encoded(), 2)[:-3], ""),
    ],
)
def test_each_fault_is_told(raw: bytes, why: str) -> None:
    """In words, with topic, partition and offset; a batch that is cut off is waited for."""
    if not why:
        assert records_of(raw) == []
        return
    with pytest.raises(UnfitBatch, match=why):
        records_of(raw)
