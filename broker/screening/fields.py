"""Our own form of a shipment: a JSON object with the field names of the messages' sections, checked field by field."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any, Final, cast

from broker.screening.shipment import HS_EDITION, BadRow, Row, Shipment

TEXT_LIMIT: Final = 2_000
"""Characters of one text."""
LIST_LIMIT: Final = 20_000
"""Entries of one list."""

TEXTS: Final = ("reference", "mrn", "ucr")
RECORDS: Final[Mapping[str, tuple[str, ...]]] = {
    "units": ("id", "observed_raw", "size_type", "fullness", "seals"),
    "documents": ("type", "id"),
    "conveyances": ("mode", "imo", "name", "flag", "voyage", "flight", "flight_date", "wagon", "plate", "call_sign"),
    "parties": ("role", "name", "person_type", "id", "id_scheme", "lei", "eori", "address", "contact"),
    "goods": (
        "hs_code", "hs_edition", "description", "gross_mass_kg", "quantity", "unit", "package_count", "package_type", "marks", "un_number",
        "cus", "cas", "control_codes",
    ),
    "licence_refs": ("authority", "licence_no"),
    "countries": ("country", "role"),
    "places": ("role", "country", "locode", "name", "eta", "etd"),
}  # fmt: skip
"""Lists of a shipment, and the fields of their records."""
PARTS: Final[Mapping[str, tuple[str, ...]]] = {
    "address": ("street", "city", "postcode", "region", "country"), "control_codes": ("scheme", "code", "edition"),
}  # fmt: skip
"""Records inside of records."""
NEEDED: Final[Mapping[str, tuple[str, ...]]] = {
    "units": ("id",), "documents": ("id",), "licence_refs": ("licence_no",), "countries": ("country",), "control_codes": ("code",),
}  # fmt: skip
NUMBERS: Final = ("hs_edition", "package_count")
FREE_ZONES: Final = "free_zones"


class _FieldError(Exception):
    """A field that is not what it should be: code of a bad row, path, reason."""

    def __init__(self, code: str, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}" if path else reason)
        self.code = code


def shipment_of(value: object, form: str, line: int) -> Row:
    """The shipment of a JSON value."""
    try:
        return _shipment(value, form, line)
    except _FieldError as error:
        return BadRow(line, error.code, str(error))


def _shipment(value: object, form: str, line: int) -> Row:
    given = _object(value, "")
    found: dict[str, Any] = {}
    for name, each in given.items():
        if each is None:
            continue
        if name in TEXTS:
            found[name] = _text(each, name)
        elif name in RECORDS:
            entries = (_record(entry, name, f"{name}[{number}]") for number, entry in enumerate(_list(each, name)))
            found[name] = tuple(entry for entry in entries if entry)
        elif name == FREE_ZONES:
            found[name] = tuple(_text(entry, f"{name}[{number}]") for number, entry in enumerate(_list(each, name)))
        else:
            raise _FieldError(
                "UNKNOWN_FIELD", _shown(name), f"there is no such field; the fields are {', '.join((*TEXTS, *RECORDS, FREE_ZONES))}"
            )
    shipment = Shipment(form, line, f"line {line}", **found)
    return (
        BadRow(line, "NOTHING_TO_SCREEN", "no container, document, party, goods or other field is filled") if shipment.empty else shipment
    )


def _record(value: object, within: str, path: str) -> dict[str, Any]:
    """A record of a list, with what every reader of it needs."""
    names = RECORDS.get(within) or PARTS[within]
    record: dict[str, Any] = {}
    for name, each in _object(value, path).items():
        if name not in names:
            raise _FieldError("UNKNOWN_FIELD", f"{path}.{_shown(name)}", f"there is no such field; the fields are {', '.join(names)}")
        if each is not None and each != "":
            record[name] = _field(each, name, f"{path}.{name}")
    missing = [name for name in NEEDED.get(within, ()) if record and not record.get(name)]
    if missing:
        raise _FieldError("BAD_FIELD", f"{path}.{missing[0]}", "is missing")
    if within == "parties" and record:
        record.setdefault("name", "")
        record.setdefault("role", "OTHER")
    if within == "goods" and "hs_code" in record:
        record.setdefault("hs_edition", HS_EDITION)
    return record


def _field(value: object, name: str, path: str) -> Any:
    if name == "address":
        return _record(value, name, path)
    if name == "control_codes":
        return [entry for number, each in enumerate(_list(value, path)) if (entry := _record(each, name, f"{path}[{number}]"))]
    if name == "seals":
        return [_text(each, f"{path}[{number}]") for number, each in enumerate(_list(value, path))]
    if name in NUMBERS:
        return _number(value, path)
    text = _text(value, path)
    return _day(text, path) if name == "flight_date" else text


def _object(value: object, path: str) -> Mapping[str, object]:
    if not isinstance(value, Mapping):
        raise _FieldError("BAD_FIELD" if path else "NOT_AN_OBJECT", path, "an object with named fields is expected")
    return cast("Mapping[str, object]", value)


def _list(value: object, path: str) -> list[object]:
    if not isinstance(value, list):
        raise _FieldError("BAD_FIELD", path, "a list is expected")
    entries = cast("list[object]", value)
    if len(entries) > LIST_LIMIT:
        raise _FieldError("TOO_LARGE", path, f"{len(entries):,} entries are more than {LIST_LIMIT:,}")
    return entries


def _text(value: object, path: str) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise _FieldError("BAD_FIELD", path, "a text is expected")
    try:
        text = value.strip() if isinstance(value, str) else str(value)
    except ValueError:  # more digits than Python writes out
        text = "0" * (TEXT_LIMIT + 1)
    if len(text) > TEXT_LIMIT:
        raise _FieldError("TOO_LONG", path, f"{len(text):,} characters are more than {TEXT_LIMIT:,}")
    return text


def _number(value: object, path: str) -> int:
    text = _text(value, path)
    if not (text.isascii() and text.isdigit() and len(text) <= 12):
        raise _FieldError("BAD_FIELD", path, "a whole number is expected")
    return int(text)


def _day(text: str, path: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise _FieldError("BAD_FIELD", path, "a date such as 2026-11-24 is expected") from None


def _shown(name: object) -> str:
    return "".join(sign if sign.isprintable() else "?" for sign in str(name)[:40])
