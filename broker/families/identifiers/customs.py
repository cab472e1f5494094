"""Numbers and codes of customs: movement references, consignments, commodities, places, free zones."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from broker.families.identifiers.transport import weighted_remainder
from broker.families.identifiers.verdict import Checked, Verdict, malformed, plain_form, quoted, tidy

HS_EDITIONS: Final = (2017, 2022, 2028)
"""Editions of the Harmonized System that a code may name."""
NATIONAL_CHAPTERS: Final = ("98", "99")
"""Chapters that each country fills by itself."""

_MRN = Checked(
    re.compile(r"[0-9]{2}[A-Z]{2}[A-Z0-9]{13}[0-9]"),
    "a movement reference number: two digits of the year, a country, 13 letters and digits, a check digit",
    lambda text: f"{text[:-1]}{weighted_remainder(text[:-1]) % 10}",
)


def movement(value: str) -> Verdict:
    """A movement reference number: values of ISO 6346, place i counted 2**i times, modulo 11, 10 written 0.

    The new layout has a letter for the procedure before the check digit; it is told as a note.
    """
    verdict = _MRN.judge(value)
    if verdict.fault == "FORM":
        return verdict
    normal = verdict.normal or value
    notes = (f"of the year 20{normal[:2]}", f"issued in {normal[2:4]}")
    return replace(verdict, notes=(*notes, f"procedure letter {normal[16]}") if normal[16].isalpha() else notes)


consignment = plain_form(
    r"[!-~]{1,35}",
    "a unique consignment reference: 1 to 35 characters, no spaces (WCO 009, an..35)",
    tidied=lambda value: value.replace(" ", "") if value.isascii() else value,
)

place = plain_form(r"[A-Z]{2}[A-Z2-9]{3}", "a UN/LOCODE: a country and three letters or digits 2 to 9, such as SGSIN")

free_zone = plain_form(
    r"[A-Z]{2}[A-Z2-9]{3}-[A-Za-z0-9]{1,12}",
    "a free zone: a UN/LOCODE, a hyphen and the zone's number, such as SGSIN-03",
    tidied=lambda value: f"{value.strip()[:5].upper()}{value.strip()[5:]}" if value.isascii() else value,
)

_HS = re.compile(r"[0-9]{6}(?:[0-9]{2})?")
_HS_FORM: Final = "an HS code: six digits, or eight with the Combined Nomenclature's"


def commodity(value: str) -> Verdict:
    """A code of the Harmonized System: digits only, 6 or 8 of them, in a chapter that exists.

    Chapter 77 does not exist; 98 and 99 are national. An odd number of digits has lost its leading zero.
    """
    digits = value if _HS.fullmatch(value) else tidy(value)
    if not (digits.isascii() and digits.isdigit()):
        return malformed(value, _HS_FORM)
    if len(digits) in (5, 7):
        digits = f"0{digits}"
    chapter = digits[:2]
    if not _HS.fullmatch(digits):
        return malformed(value, _HS_FORM)
    if chapter in ("00", "77"):
        return Verdict(value, "FORM", f"{quoted(value)}: there is no chapter {chapter} in the Harmonized System")
    notes = (f"chapter {chapter}",)
    if digits != value:
        lost = " with its leading zero" if len(tidy(value)) in (5, 7) else ""
        return Verdict(value, "SPELLING", f"{quoted(value)} is written {digits}{lost}", normal=digits, notes=notes)
    if chapter in NATIONAL_CHAPTERS:
        return Verdict(value, caution=f"chapter {chapter} is national: other countries give this code another meaning", notes=notes)
    return Verdict(value, notes=notes)


unit_form = plain_form(r"[A-Z0-9]{1,3}", "a unit of measure: a UN Recommendation 20 code of two or three characters, such as KGM")
package_form = plain_form(r"[A-Z0-9]{2}", "a type of package: a UN Recommendation 21 code of two characters, such as CT")
