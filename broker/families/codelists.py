"""The operator's code lists as values: compact, immutable tables that rules ask. Reading files is ``storage``'s.

A message is judged under one :class:`CodeLists`; when a file changes, a new one takes its place as a whole. A list that is not
installed is None (or missing from its mapping), and then only the form of its codes is judged.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from broker.errors import Finding
from broker.families.code_findings import code_finding

LIST_FILES: Final[Mapping[str, str]] = {
    "unlocode.csv": "UN/LOCODE",
    "hs2022.csv": "the Harmonized System 2022",
    "iso3166.csv": "countries (ISO 3166-1)",
    "iso4217.csv": "currencies (ISO 4217)",
    "unece-rec20-units.csv": "units of measure (UN Rec 20)",
    "unece-rec21-packages.csv": "types of packages (UN Rec 21)",
    "un-dangerous-goods.csv": "dangerous goods (UN numbers)",
    "free-zones-sample.csv": "free zones",
    "common-high-priority-list.csv": "the Common High Priority List",
    "regime-entries.csv": "entries of MTCR and NSG",
    "cwc-schedules.csv": "chemicals of the CWC schedules",
}
"""Files that a folder of code lists may hold, and what each lists. Other editions of HS are files of the same shape: ``hs2017.csv``."""
BUILT_IN: Final = frozenset({"iso3166.csv", "iso4217.csv"})
"""Lists of which an edition comes with the program; an installed one takes its place."""

PLACE_STATUS: Final = ("", "AA", "AC", "AF", "AI", "AM", "AQ", "AS", "QQ", "RL", "RN", "RQ", "RR", "UR", "XX")
"""Status of a UN/LOCODE entry, by its number in the table; the empty one stands for what the list does not say."""
PLACE_FUNCTIONS: Final = "1234567B"
"""Functions of a place, bit 0 first: port, rail, road, airport, post, inland depot, fixed installation, border crossing."""


@dataclass(frozen=True, slots=True)
class Edition:
    """Where a list comes from: its file, edition date (ISO 8601), and how many codes it has."""

    file: str
    date: str
    codes: int


@dataclass(frozen=True, slots=True)
class Place:
    """What the list says of a UN/LOCODE."""

    status: str
    functions: str


class Packed:
    """Short codes of capitals and digits, each with a number up to 65,535, sorted in two arrays: 6 bytes a code.

    All codes have the same length, of at most 6 characters.
    """

    __slots__ = ("_keys", "_marks", "_width")

    def __init__(self, rows: Iterable[tuple[str, int]], width: int) -> None:
        """Raises ValueError where a code has another length, or holds another sign, or a mark is too large."""
        packed = sorted(_packed(code, mark, width) for code, mark in rows)
        self._keys = array("I", (value >> 16 for value in packed))
        self._marks = array("H", (value & 0xFFFF for value in packed))
        self._width = width

    def __len__(self) -> int:
        return len(self._keys)

    def __contains__(self, code: str) -> bool:
        return self.mark(code) is not None

    def mark(self, code: str) -> int | None:
        """The number that belongs to a code, None where the code is not in the list."""
        if len(code) != self._width or not (code.isascii() and code.isalnum()):
            return None
        key = int(code, 36)
        at = bisect_left(self._keys, key)
        return self._marks[at] if at < len(self._keys) and self._keys[at] == key else None

    @property
    def size(self) -> int:
        """Bytes that the arrays hold."""
        return len(self._keys) * (self._keys.itemsize + self._marks.itemsize)


def _packed(code: str, mark: int, width: int) -> int:
    if len(code) != width or not (code.isascii() and code.isalnum()) or not 0 <= mark < 1 << 16:
        raise ValueError(f"`{code[:20]}` is not a code of {width} capitals and digits")
    return int(code, 36) << 16 | mark


def place_mark(status: str, functions: str) -> int:
    """The mark of a place in its :class:`Packed` table. A status that UN/LOCODE does not know counts as none."""
    flags = sum(1 << bit for bit, sign in enumerate(PLACE_FUNCTIONS) if sign in functions)
    return (PLACE_STATUS.index(status) if status in PLACE_STATUS else 0) << 8 | flags


def place_of(mark: int) -> Place:
    """The inverse of :func:`place_mark`."""
    functions = "".join(sign for bit, sign in enumerate(PLACE_FUNCTIONS) if mark >> bit & 1)
    return Place(PLACE_STATUS[mark >> 8], functions)


@dataclass(frozen=True, slots=True)
class CodeLists:
    """All lists of one moment. Tables are never changed after they were made.

    ``hs``: edition to six-digit codes. ``units``, ``packages``: code to status (empty, ``D`` deprecated, ``X`` deleted).
    ``free_zones``: UN/LOCODE to the names of zones near it. ``high_priority``: HS code to tier. ``regimes``: ``MTCR`` or ``NSG`` to
    entries as the lists print them. ``chemicals``: CAS number to schedule and part, such as ``1A``.
    ``troubles``: file to why it could not be read; a list that was read before is kept then, and only told to be stale.
    ``memo``: judgements that were made under these very lists, for whoever judges; it begins empty in every new view.
    """

    folder: str = ""
    editions: Mapping[str, Edition] = field(default_factory=dict[str, Edition])
    places: Packed | None = None
    hs: Mapping[int, Packed] = field(default_factory=dict[int, Packed])
    countries: frozenset[str] | None = None
    currencies: frozenset[str] | None = None
    units: Mapping[str, str] | None = None
    packages: Mapping[str, str] | None = None
    un_numbers: frozenset[str] | None = None
    free_zones: Mapping[str, tuple[str, ...]] | None = None
    high_priority: Mapping[str, str] | None = None
    regimes: Mapping[str, frozenset[str]] | None = None
    chemicals: Mapping[str, str] | None = None
    troubles: Mapping[str, str] = field(default_factory=dict[str, str])
    memo: dict[tuple[str, str, object], tuple[tuple[str, str], ...]] = field(
        default_factory=dict[tuple[str, str, object], tuple[tuple[str, str], ...]], init=False, compare=False, repr=False
    )

    def place(self, code: str) -> Place | None:
        """What the list says of a UN/LOCODE; None where the code is not in it, or no list is installed."""
        mark = self.places.mark(code) if self.places is not None else None
        return None if mark is None else place_of(mark)

    def older_hs(self, code: str, edition: int) -> int | None:
        """The newest installed edition before ``edition`` that has this six-digit code."""
        return max((each for each, table in self.hs.items() if each < edition and code in table), default=None)

    def remarks(self) -> Iterator[Finding]:
        """What a run should be told once: lists that are not installed, or could not be read. Nothing where no folder was named."""
        if not self.folder:
            return
        for file, what in LIST_FILES.items():
            if file in self.troubles:
                continue
            if file not in self.editions:
                instead = "the edition that comes with the program is used" if file in BUILT_IN else "such codes are judged by form only"
                yield code_finding("NO_LIST", file, f"not installed: {what}; {instead}")
        for file, why in self.troubles.items():
            kept = f"the list of {self.editions[file].date} is kept" if file in self.editions else "it counts as not installed"
            yield code_finding("BROKEN_LIST", file, f"{why}; {kept}")


NO_LISTS: Final = CodeLists()
"""No folder was named: identifiers and codes are judged by form and check digit."""
