"""Entity watches made from rows of the United States' consolidated screening list (:data:`PARTIES`): companies, ships, aircraft.

The row gives the list and the number in it, names and aliases, addresses, countries, numbers of all kinds, a ship's IMO number, flag
and owner, since when it is listed and where that was published. It has no date of review, no note on proportionality and no audience:
those are made up.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from tests.support.records import Built, Row, Taken, built, country_codes, taken

PARTIES: Final = "parties/us-csl-2022-04.csv"
OWNER: Final = "US-BIS"
KINDS: Final[Mapping[str, str]] = {"Vessel": "VESSEL", "Aircraft": "AIRCRAFT", "Entity": "COMPANY", "Organisation": "COMPANY"}
_FLAGS: Final[Mapping[str, str]] = {
    "Iran": "IR", "Democratic People's Republic of Korea": "KP", "Russia": "RU", "Venezuela": "VE", "Hong Kong": "HK", "Syria": "SY",
    "Tanzania": "TZ", "Bolivia": "BO", "Moldova": "MD",
}  # fmt: skip
"""Flags that the list of countries spells in another way."""
_WEAPONS: Final = ("NPWMD", "E.O. 13382", "Export-Import Bank Act")


@dataclass(frozen=True, slots=True)
class WatchBuilder:
    """Builds watches. The same row and time give the same watch. ``agencies`` are told of it."""

    folder: Path
    now: datetime
    agencies: tuple[str, ...] = ("SG-CUSTOMS",)

    def __call__(self, row: Row) -> Built:
        """The watch for the entity of this row."""
        return built({
            "family": "entity_watch",
            "subject": taken(f"{OWNER}/CSL/{row['list']}-{row['id']}"),
            "revision": 1,
            "header": {
                "urgency": "ROUTINE", "tlp": "AMBER", "handling": "H0", "purposes": ["STC_ENFORCEMENT"], "legal_basis": "UNSCR1540",
                "evaluation": {"source": "A", "information": "I1"}, "audience": {"agencies": list(self.agencies)},
            },
            "sections": {
                "core": self._core(row),
                "identity": self._identity(row),
                "grounds": _grounds(row),
                "source": _source(row),
            },
        })  # fmt: skip

    def _core(self, row: Row) -> dict[str, Any]:
        category = "SANCTIONS_DIVERSION"
        core: dict[str, Any] = {
            "entity_kind": taken(KINDS[row["type"]]),
            "review_date": (self.now + timedelta(days=180)).date().isoformat(),
            "requested_actions": ["SIGHTING_REPORT"],
            "risk_category": "MISSILE" if any(each in row["programs"] for each in _WEAPONS) else category,
        }
        if row["countries"]:
            core["countries"] = [taken(code) for code in dict.fromkeys(parts(row["countries"]))]
        return core

    def _identity(self, row: Row) -> dict[str, Any]:
        names = [{"name": taken(row["name"]), "name_kind": "PRIMARY"}]
        names += [{"name": taken(alias), "name_kind": "ALIAS"} for alias in parts(row["alt_names"])]
        identity: dict[str, Any] = {"names": names, "listings": [{"list": taken(row["list"]), "reference": taken(row["id"])}]}
        identity |= {name: taken(row[name]) for name in ("imo",) if row[name]}
        flag = _FLAGS.get(row["vessel_flag"]) or country_codes(self.folder).get(row["vessel_flag"])
        if flag is not None:
            identity["flag"] = taken(flag)
        if row["vessel_owner"]:
            identity["relations"] = [{"relation": "OWNER", "name": taken(row["vessel_owner"])}]
        numbers = [number for text in parts(row["identifiers"]) if (number := _number(text)) is not None]
        if row["call_sign"]:
            numbers.append({"id_scheme": "CALL_SIGN", "id": taken(row["call_sign"])})
        if numbers:
            identity["other_ids"] = numbers
        known = frozenset(country_codes(self.folder).values())
        addresses = [address for text in parts(row["addresses"]) if (address := _address(text, known)) is not None]
        if addresses:
            identity["addresses"] = addresses
        return identity


def parts(text: str) -> list[str]:
    """The entries of a cell that holds several."""
    return [part.strip() for part in text.split(";") if part.strip()]


def _number(text: str) -> dict[str, Any] | None:
    """``CY, C146742, Registration Number``: country, number, what it is; the country may be missing. None where there is no number."""
    pieces = [piece.strip() for piece in text.split(",")]
    if len(pieces) < 2:
        return None
    country = pieces[0] if len(pieces) > 2 and len(pieces[0]) == 2 and pieces[0].isupper() else None
    number = {"id_scheme": taken(pieces[-1]), "id": taken(", ".join(pieces[1:-1] if country else pieces[:-1]))}
    return number | ({"country": taken(country)} if country else {})


def _address(text: str, known: frozenset[str]) -> dict[str, Any] | None:
    """``29 Pobeditelei ave., Minsk, 220004, BY``: what stands before the country is kept as one line."""
    street, _, country = text.rpartition(",")
    if country.strip() not in known:
        return None
    address: dict[str, Taken] = {"country": taken(country.strip())}
    return address | ({"street": taken(street.strip())} if street.strip() else {})


def _grounds(row: Row) -> dict[str, Any]:
    basis = "; ".join(filter(None, (row["programs"], row["licence_requirement"], row["licence_policy"])))
    return {
        "narrative": taken(basis) if basis else "listed; the record says no more",
        "proportionality_note": "a public listing of a company or conveyance; nothing private is asked for",
    }


def _source(row: Row) -> dict[str, Any]:
    source: dict[str, Any] = {"source_type": "OFFICIAL_RECORD", "obtained_from": "consolidated screening list"}
    if row["federal_register_notice"]:
        source["source_ref"] = taken(row["federal_register_notice"])
    if row["start_date"]:
        source["obtained_at"] = taken(f"{row['start_date']}T00:00:00Z")
    return source
