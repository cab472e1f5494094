"""One partition as Kafka keeps it: offsets, transactions, markers, the last stable offset, the log's start.

Only what a reader of committed records can notice is modelled. Records of an aborted transaction and the marker that ends
any transaction use up offsets and are never seen, as in Kafka.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple


class Entry(NamedTuple):
    """A visible record. ``timestamp_ms`` is the exchange's clock when it was appended."""

    timestamp_ms: int
    key: bytes | None
    value: bytes | None


@dataclass(slots=True)
class PartitionLog:
    """Entries by offset; ``None`` stands for what no reader sees (markers, aborted, trimmed or compacted records)."""

    entries: list[Entry | None] = field(default_factory=list[Entry | None])
    start: int = 0
    _open: dict[int, list[int]] = field(default_factory=dict[int, list[int]])

    @property
    def end(self) -> int:
        """The last stable offset: the offset after the last record or marker before the first open transaction."""
        return min((offsets[0] for offsets in self._open.values()), default=len(self.entries))

    def append(self, entry: Entry, transaction: int | None = None) -> int:
        """Store a record, as part of an open transaction or of none, and give its offset."""
        offset = len(self.entries)
        self.entries.append(entry)
        if transaction is not None:
            self._open.setdefault(transaction, []).append(offset)
        return offset

    def finish(self, transaction: int, *, commit: bool) -> None:
        """Write the marker that ends a transaction. Nothing happens where the transaction never wrote here."""
        offsets = self._open.pop(transaction, None)
        if offsets is None:
            return
        if not commit:
            for offset in offsets:
                self.entries[offset] = None
        self.entries.append(None)

    def trim(self, before: int) -> None:
        """Delete every record with a lower offset than ``before``; never beyond the end."""
        self.start = max(self.start, min(before, self.end))
        for offset in range(self.start):
            self.entries[offset] = None

    def compact(self) -> None:
        """Drop each record that a later one of the same key replaces, as a log cleaner would; tombstones stay."""
        seen: set[bytes] = set()
        for offset in reversed(range(self.start, self.end)):
            entry = self.entries[offset]
            if entry is None or entry.key is None:
                continue
            if entry.key in seen:
                self.entries[offset] = None
            seen.add(entry.key)
