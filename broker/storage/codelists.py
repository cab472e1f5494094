"""The operator's folder of code lists: read once, and again when a file changes, without a restart.

A list is a CSV file with a heading line, found by its name in the folder or in a folder directly below it; the names and columns are
those of :data:`broker.families.codelists.LIST_FILES` and of the readers here. The edition of a list is the date of its file, or what
``codelists.json`` beside it says::

    {"unlocode.csv": "2024-10-14", "hs2022.csv": "2022-01-01"}

A file that cannot be read, or is not what its name says, never replaces a list that was read before: :class:`CodeLists` keeps the old
one and tells the trouble. The file is looked at again when it changes.
"""

from __future__ import annotations

import csv
import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final, cast

from broker.errors import UsageError
from broker.families.codelists import LIST_FILES, CodeLists, Edition, Packed, place_mark

SIDECAR: Final = "codelists.json"
SIZE_LIMIT: Final = 64 << 20
"""Largest file in bytes: ten times the largest list there is."""
_HS_FILE: Final = re.compile(r"hs(20[0-9]{2})\.csv")
_PLACE: Final = re.compile(r"[A-Z]{2}[A-Z2-9]{3}")


class BadListError(Exception):
    """A file is not the list that its name says; the text says why. Never leaves this module."""


def _rows(path: Path, columns: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    """Line number and the wanted columns of each row."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file)
        heading: list[str] = next(reader, list[str]())
        missing = [name for name in columns if name not in heading]
        if missing:
            raise BadListError(f"the heading line has no column {', '.join(missing)}")
        places = [heading.index(name) for name in columns]
        last = max(places)
        for row in reader:
            if not row:
                continue
            if len(row) <= last:
                raise BadListError(f"line {reader.line_num} has {len(row)} columns")
            yield reader.line_num, [row[place] for place in places]


def _coded(path: Path, columns: Sequence[str], pattern: str) -> Iterator[list[str]]:
    """The wanted columns of each row; the first is a code and has to fit the pattern."""
    fits = re.compile(pattern).fullmatch
    for line, row in _rows(path, columns):
        if not fits(row[0]):
            raise BadListError(f"line {line}: `{row[0][:20]}` is not a code of this list")
        yield row


def _read_places(path: Path) -> Packed:
    return Packed(((row[0], place_mark(row[1], row[2])) for row in _coded(path, ("locode", "status", "function"), _PLACE.pattern)), 5)


def _read_hs(path: Path) -> Packed:
    rows = _coded(path, ("hscode",), r"[0-9]{2}|[0-9]{4}|[0-9]{6}|TOTAL")
    return Packed(((code, 0) for (code,) in rows if len(code) == 6), 6)


def _read_codes(column: str, pattern: str) -> Callable[[Path], frozenset[str]]:
    return lambda path: frozenset(row[0] for row in _coded(path, (column,), pattern))


def _read_statuses(code: str, status: str, pattern: str) -> Callable[[Path], Mapping[str, str]]:
    """Code to status; signs that only mark an editorial change (a changed name, a new entry) are left out."""

    def read(path: Path) -> Mapping[str, str]:
        return {row[0]: row[1] if row[1] in ("D", "X") else "" for row in _coded(path, (code, status), pattern)}

    return read


def _read_zones(path: Path) -> Mapping[str, tuple[str, ...]]:
    zones: dict[str, tuple[str, ...]] = {}
    for place, name in _coded(path, ("nearest_locode", "zone"), _PLACE.pattern):
        zones[place] = (*zones.get(place, ()), name)
    return zones


def _read_tiers(path: Path) -> Mapping[str, str]:
    return {row[0]: row[1] for row in _coded(path, ("hs6", "tier"), r"[0-9]{6}")}


def _read_regimes(path: Path) -> Mapping[str, frozenset[str]]:
    """Entries of the two regimes whose items the list has one by one; of the others it has headings only."""
    entries: dict[str, set[str]] = {}
    for regime, entry in _coded(path, ("regime", "entry"), r"[A-Z]{2,12}"):
        if regime in ("MTCR", "NSG"):
            entries.setdefault(regime, set()).add(entry)
    return {regime: frozenset(found) for regime, found in entries.items()}


def _read_chemicals(path: Path) -> Mapping[str, str]:
    rows = _coded(path, ("schedule", "part", "cas"), r"[123]")
    return {cas: f"{schedule}{part}" for schedule, part, cas in rows if cas}


_READERS: Final[Mapping[str, tuple[str, Callable[[Path], Any]]]] = {
    "unlocode.csv": ("places", _read_places),
    "iso3166.csv": ("countries", _read_codes("alpha2", r"[A-Z]{2}")),
    "iso4217.csv": ("currencies", _read_codes("code", r"[A-Z]{3}")),
    "unece-rec20-units.csv": ("units", _read_statuses("code", "status", r"[A-Z0-9]{1,3}")),
    "unece-rec21-packages.csv": ("packages", _read_statuses("Code", "Status", r"[A-Z0-9]{2}")),
    "un-dangerous-goods.csv": ("un_numbers", _read_codes("un_number", r"[0-9]{4}")),
    "free-zones-sample.csv": ("free_zones", _read_zones),
    "common-high-priority-list.csv": ("high_priority", _read_tiers),
    "regime-entries.csv": ("regimes", _read_regimes),
    "cwc-schedules.csv": ("chemicals", _read_chemicals),
}
"""File name to the field of :class:`CodeLists` that it fills, and its reader. Files of HS are recognised by their name."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """What tells one state of a file from another: place, size, time of change (ns; of its rights too), inode, and its edition date."""

    path: Path
    size: int
    changed: int
    inode: int
    edition: str


def _table(seen: _Seen, reader: Callable[[Path], Any]) -> Any:
    if seen.size > SIZE_LIMIT:
        raise BadListError(f"the file has {seen.size:,} bytes; {SIZE_LIMIT:,} are allowed")
    table = reader(seen.path)
    if not len(table):
        raise BadListError("the file has no codes")
    return table


class CodeListFolder:
    """A folder of code lists. :meth:`poll` looks at the files and gives the lists of now; it reads files, so call it off the loop."""

    def __init__(self, folder: Path) -> None:
        """Raises UsageError where it is no folder, or holds none of the lists: a slip of the pen must not pass as "not installed"."""
        if not folder.is_dir():
            raise UsageError(
                f"`{folder}` is not a folder", advice="give --codelists the folder that holds unlocode.csv and the other lists"
            )
        self._folder = folder
        self._lock = threading.Lock()
        self._seen: dict[str, _Seen] = {}
        self._lists = CodeLists(folder=str(folder))
        if not self._files():
            raise UsageError(f"`{folder}` holds no code list", advice=f"it should have files such as {', '.join(list(LIST_FILES)[:4])}")

    def poll(self) -> CodeLists:
        """The lists as the folder holds them now: the same object as before where nothing changed. Never raises for a file."""
        with self._lock:
            found = self._files()
            for name, seen in found.items():
                if self._seen.get(name) != seen:
                    self._lists = self._taken(name, seen)
                    self._seen[name] = seen
            for name in [name for name in self._seen if name not in found]:
                self._lists = self._without(name)
                del self._seen[name]
            return self._lists

    def _files(self) -> dict[str, _Seen]:
        """The lists that are there, by name."""
        editions, found = self._editions(), dict[str, _Seen]()
        for path in (*sorted(self._folder.glob("*/*.csv")), *sorted(self._folder.glob("*.csv"))):
            if path.name in _READERS or _HS_FILE.fullmatch(path.name):
                with suppress(OSError):
                    state = path.stat()
                    day = datetime.fromtimestamp(state.st_mtime, UTC).date().isoformat()
                    edition = editions.get(path.name, day)
                    found[path.name] = _Seen(path, state.st_size, state.st_ctime_ns, state.st_ino, edition)
        return found

    def _editions(self) -> dict[str, str]:
        """Edition dates by file name, of every sidecar; what is no date is ignored."""
        editions: dict[str, str] = {}
        for path in (*sorted(self._folder.glob(f"*/{SIDECAR}")), self._folder / SIDECAR):
            try:
                content: object = json.loads(path.read_text(encoding="utf-8"))
            except (OSError, ValueError, RecursionError):
                continue
            for name, day in cast("dict[str, object]", content).items() if isinstance(content, dict) else ():
                with suppress(ValueError, TypeError):
                    editions[name] = date.fromisoformat(cast("str", day)).isoformat()
        return editions

    def _taken(self, name: str, seen: _Seen) -> CodeLists:
        """The lists with this file read, or with its trouble told."""
        hs = _HS_FILE.fullmatch(name)
        field, reader = ("hs", _read_hs) if hs else _READERS[name]
        try:
            table = _table(seen, reader)
        except (BadListError, OSError, UnicodeDecodeError, csv.Error, ValueError) as error:
            return replace(self._lists, troubles={**self._lists.troubles, name: f"cannot be read: {error}"})
        edition = Edition(name, seen.edition, len(table))
        troubles = {file: why for file, why in self._lists.troubles.items() if file != name}
        lists = replace(self._lists, editions={**self._lists.editions, name: edition}, troubles=troubles)
        return replace(lists, hs={**lists.hs, int(hs[1]): table}) if hs else replace(lists, **{field: table})

    def _without(self, name: str) -> CodeLists:
        """A file went away: the last list stays until the process ends, for a file is often replaced by way of removing it."""
        troubles = {**self._lists.troubles, name: "was removed"}
        return replace(self._lists, troubles=troubles)
