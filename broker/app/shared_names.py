"""The names of a register as one index that screenings share, brought up to date from what changed.

Making the index of 12,000 names takes a second, so it is made once. When the register has changed, its names are read again, and those
that came or went are put into the next index: a tenth of a second.
"""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock
from typing import NamedTuple

from broker.screening.name_index import Listed, NameIndex, words_of
from broker.storage.register_reader import RegisterReader


class Listing(NamedTuple):
    """What screening has to know of a whole register: its names, and the subjects that no single number finds."""

    names: NameIndex
    patterns: Sequence[str]


class SharedNames:
    """One register's index; any thread may ask for it."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._version: int | None = None
        self._rows: dict[tuple[str, str, str], Listed] = {}
        self._listing = Listing(NameIndex(), ())

    def at(self, version: int, reader: RegisterReader, now_ms: int) -> Listing:
        """The names as of a ``version`` of the register (:meth:`RegisterReader.changes` of one reader that stays the same) or later.

        ``reader`` is the asking thread's own. Who asks while another brings the index up to date waits for it. What has ended since
        (``now_ms``, Unix milliseconds) may still be in it: whoever uses a name looks at its subject.
        """
        with self._lock:
            if version != self._version:
                before = self._rows
                self._rows = {row: before.get(row) or Listed(row[0], row[1], words_of(row[2])) for row in reader.names(now_ms)}
                listed, known = set(self._rows.values()), set(before.values())
                names = self._listing.names.changed(known - listed, listed - known) if known != listed else self._listing.names
                self._listing = Listing(names, reader.patterns(now_ms))
                self._version = version
            return self._listing
