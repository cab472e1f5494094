"""A shipment as somebody declares it, whatever the format was, and the rows that could not be read.

The records in a shipment have the field names of our own messages (``schemas/alert``): so the keys of the register and the judgements
of identifiers and codes apply to them as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeAlias

from broker.errors import Finding
from broker.values import immutable

Record: TypeAlias = Mapping[str, Any]
"""A party, a unit, an item of goods and so on, as the messages' sections have it; every text of it is a str."""

BAD_ROWS: Final[dict[str, str]] = {
    "EMPTY": "the file holds nothing: send it again",
    "UNKNOWN_FORMAT": "the content is none of the formats that are read: name it with --format, and give --mapping for CSV",
    "NO_MAPPING": "a CSV file needs to be told what its columns mean: give --mapping MAP.toml",
    "BAD_ENCODING": "the bytes are not in the file's encoding: name the right one in the mapping, or write the file as UTF-8",
    "TOO_LONG": "a line, text or segment is longer than any row of a manifest: find out whether line ends were lost",
    "TOO_LARGE": "one declaration has more elements than are read at once: split it",
    "TOO_DEEP": "the elements lie deeper in each other than those of any declaration: find out what wrote the file",
    "BAD_JSON": "correct the line, or write it with a JSON library",
    "NOT_AN_OBJECT": "a shipment is a JSON object with named fields",
    "UNKNOWN_FIELD": "use the fields of docs/screening.md",
    "BAD_FIELD": "correct the field that the reason names",
    "BAD_CSV": "write the row with a CSV library: quotes doubled, one record closed before the next begins",
    "WRONG_COLUMNS": "every row has as many cells as the header: look for a separator inside a cell without quotes",
    "NO_COLUMN": "the header has no column that the mapping names: correct the mapping or the export",
    "BAD_XML": "the XML ends early or is not well-formed: send it again, whole",
    "XML_DTD": "declarations carry no document type and no entities: remove them, and ask who put them there",
    "UNKNOWN_DOCUMENT": "the XML is no declaration, entry summary or waybill that is read",
    "BAD_SEGMENT": "the segment cannot be read: compare it with the message's directory",
    "NO_TERMINATOR": "no segment ends: send the interchange with its terminators, or with the UNA that names them",
    "UNKNOWN_MESSAGE": "the message is none of those that are read: BAPLIE, COPRAR, CUSCAR, IFTSTA",
    "TRUNCATED": "the message ends without its trailer: what came before was screened; send it again, whole",
    "COUNT_MISMATCH": "the trailer counts other segments than came: some were lost or added on the way; send it again",
    "NOTHING_TO_SCREEN": "the row names nothing that could be looked for",
}
"""Code of a bad row, and what to do about it."""


@immutable
class BadRow:
    """What could not be read: the ``line`` (1 is the first) where it begins, a code of :data:`BAD_ROWS`, the reason in words."""

    line: int
    code: str
    reason: str

    @property
    def advice(self) -> str:
        """What to do about it."""
        return BAD_ROWS[self.code]


@immutable
class Shipment:
    """What one row, declaration, waybill or equipment group says. ``line``: where it begins in the file; ``position``: the same in the
    words of its format (``line 12``, ``segment 30``, ``/CC315A``). ``remarks`` are what its own format's rules say about it."""

    form: str
    line: int
    position: str
    reference: str = ""
    mrn: str | None = None
    ucr: str | None = None
    units: tuple[Record, ...] = ()
    documents: tuple[Record, ...] = ()
    conveyances: tuple[Record, ...] = ()
    parties: tuple[Record, ...] = ()
    goods: tuple[Record, ...] = ()
    licence_refs: tuple[Record, ...] = ()
    countries: tuple[Record, ...] = ()
    places: tuple[Record, ...] = ()
    free_zones: tuple[str, ...] = ()
    remarks: tuple[Finding, ...] = ()

    @property
    def empty(self) -> bool:
        """Whether it names nothing that could be looked for."""
        return not (self.mrn or self.ucr or any(getattr(self, name) for name in LISTS))


Row: TypeAlias = Shipment | BadRow
"""What a reader gives."""

LISTS: Final = ("units", "documents", "conveyances", "parties", "goods", "licence_refs", "countries", "places", "free_zones")

Chunks: TypeAlias = Iterable[bytes]
"""A file as it comes: pieces of any size."""

HS_EDITION: Final = 2022
"""The edition of the Harmonized System that codes without one are taken for."""


def present(**fields: Any) -> dict[str, Any]:
    """A record of those fields that have a value; texts without spaces at their ends."""
    tidy = {name: value.strip() if isinstance(value, str) else value for name, value in fields.items()}
    return {name: value for name, value in tidy.items() if value not in (None, "", (), [], {})}


def party(role: str, name: str | None, *, address: Record | None = None, **more: Any) -> dict[str, Any] | None:
    """A party's record, with an empty name where only its number is known; None where nothing is known of it."""
    record = present(address=address, **more)
    name = " ".join((name or "").split())
    return {"role": role, "name": name, **record} if name or record.keys() - {"id_scheme", "address"} else None


def distinct(records: Iterable[Record | None]) -> tuple[Record, ...]:
    """The records in their order, each once, without those that are empty."""
    found: list[Record] = []
    seen: set[str] = set()
    for record in records:
        if record and (mark := repr(record)) not in seen:
            seen.add(mark)
            found.append(record)
    return tuple(found)
