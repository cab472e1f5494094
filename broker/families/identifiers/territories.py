"""Countries: ISO 3166-1 as pycountry carries it, what was withdrawn (ISO 3166-3), and codes that stand beside the standard."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import pycountry

from broker.families.identifiers.verdict import Verdict, malformed, plain_form

_ROWS: Any = pycountry.countries
_WITHDRAWN_ROWS: Any = pycountry.historic_countries

CURRENT: Final[frozenset[str]] = frozenset(str(row.alpha_2) for row in _ROWS)
"""Alpha-2 codes in force in the edition that pycountry carries."""


def _withdrawn() -> dict[str, tuple[str, str | None]]:
    """Old code to when it was withdrawn and its successor. The last two letters of ISO 3166-3's four name the successor, if any."""
    found: dict[str, tuple[str, str | None]] = {}
    for row in sorted(_WITHDRAWN_ROWS, key=lambda row: str(row.withdrawal_date)):
        code, successor = str(row.alpha_4)[:2], str(row.alpha_4)[2:]
        if code not in CURRENT:
            found[code] = (str(row.withdrawal_date), successor if successor in CURRENT else None)
    return found


WITHDRAWN: Final[Mapping[str, tuple[str, str | None]]] = _withdrawn()

USER_ASSIGNED: Final[Mapping[str, str]] = {"XK": "Kosovo"}
"""Codes that ISO 3166 leaves to its users and that customs use."""
LOCODE_ONLY: Final[Mapping[str, str]] = {"XZ": "the high seas"}
"""What begins a UN/LOCODE and is no country."""
EORI_ONLY: Final[Mapping[str, str]] = {"XI": "Northern Ireland", "EU": "the European Union"}
"""What begins an EORI number and is no country."""

country_form = plain_form(r"[A-Z]{2}", "a country: two capitals (ISO 3166-1 alpha-2), such as SG")


def is_current(code: str) -> bool:
    """Whether it is a country's code today, in ISO 3166-1 or assigned by users."""
    return code in CURRENT or code in USER_ASSIGNED


def country(value: str) -> Verdict:
    """A country's code: of ISO 3166-1 as it stands, or XK. Codes that only other schemes know are no countries."""
    verdict = country_form(value)
    code = verdict.normal or value
    if verdict.fault == "FORM" or code in CURRENT:
        return verdict
    if code in USER_ASSIGNED:
        return replace(verdict, caution=f"{code} ({USER_ASSIGNED[code]}) is assigned by users, not by ISO 3166")
    if code in LOCODE_ONLY:
        return malformed(value, f"a country: it stands for {LOCODE_ONLY[code]} in UN/LOCODEs only")
    if code in EORI_ONLY:
        return malformed(value, f"a country: it stands for {EORI_ONLY[code]} in EORI numbers only")
    return malformed(value, "in ISO 3166-1")
