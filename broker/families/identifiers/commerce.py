"""Terms of trade: currencies (ISO 4217) and Incoterms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import pycountry

from broker.families.identifiers.verdict import Verdict, malformed, plain_form, quoted

_ROWS: Any = pycountry.currencies

ACTIVE: Final[frozenset[str]] = frozenset(str(row.alpha_3) for row in _ROWS)
"""Currency codes in force in the edition that pycountry carries."""

WITHDRAWN: Final[Mapping[str, str]] = {
    **dict.fromkeys(
        ("ATS", "BEF", "BGN", "CYP", "DEM", "EEK", "ESP", "FIM", "FRF", "GRD", "HRK", "IEP", "ITL", "LTL", "LUF", "LVL", "MTL", "NLG",
         "PTE", "SIT", "SKK"), "EUR"),
    "ANG": "XCG", "AZM": "AZN", "BYR": "BYN", "CSD": "RSD", "CUC": "CUP", "GHC": "GHS", "MRO": "MRU", "MZM": "MZN", "ROL": "RON",
    "SDD": "SDG", "SLL": "SLE", "SRG": "SRD", "STD": "STN", "TMM": "TMT", "TRL": "TRY", "VEB": "VES", "VEF": "VES", "ZMK": "ZMW",
    "ZWL": "ZWG",
}  # fmt: skip
"""Currency codes that papers still show, and what took their place (ISO 4217, list three)."""

currency_form = plain_form(r"[A-Z]{3}", "a currency: three capitals (ISO 4217), such as EUR")


def currency(value: str) -> Verdict:
    """A currency in force."""
    verdict = currency_form(value)
    unknown = verdict.fault != "FORM" and (verdict.normal or value) not in ACTIVE
    return malformed(value, "in ISO 4217 today") if unknown else verdict


INCOTERMS: Final = ("EXW", "FCA", "CPT", "CIP", "DAP", "DPU", "DDP", "FAS", "FOB", "CFR", "CIF")
"""Incoterms 2020."""
OLD_INCOTERMS: Final[Mapping[str, str]] = {"DAT": "DPU", "DAF": "DAP", "DES": "DAP", "DEQ": "DPU", "DDU": "DAP"}
"""Terms of earlier editions, and what took their place."""


def incoterm(value: str) -> Verdict:
    """A term of Incoterms 2020."""
    if value in INCOTERMS:
        return Verdict(value)
    upper = value.strip().upper() if value.isascii() else value
    if upper in INCOTERMS:
        return Verdict(value, "SPELLING", f"{quoted(value)} is written {upper}", normal=upper)
    return malformed(value, f"a term of Incoterms 2020: {', '.join(INCOTERMS)}")
