"""Numbers of things that move: containers, ships, wagons, air waybills, post items, logistic units.

The sums are python-stdnum's where it has them. Its ways of cleaning a number are not used: they accept foreign digits and drop
signs silently, and what was given must stay visible.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from stdnum import ean, imo, iso6346, luhn

from broker.families.identifiers.verdict import Checked, Verdict, malformed, plain_form, quoted, tidy

_LETTER_VALUES: Final = {sign: number for number, sign in enumerate("0123456789A\0BCDEFGHIJK\0LMNOPQRSTU\0VWXYZ") if sign != "\0"}
"""ISO 6346 values: digits as they are, letters from 10 without the multiples of 11 (B is 12, L 23, V 34)."""
_NO_CHECK: Final = re.compile(r"[A-Z]{3}[UJZ][0-9]{6}")
_LIKE_A_CONTAINER: Final = re.compile(r"[A-Z]{3,4}[0-9]{5,8}")
_ULD: Final = re.compile(r"[A-Z][A-Z0-9]{2}[0-9]{4,5}[A-Z0-9]{2}")

_S10_WEIGHTS: Final = (8, 6, 4, 2, 3, 5, 9, 7)
_S10_SPECIAL: Final = {10: 0, 11: 5}
"""What 11 minus the remainder is written as where it has two digits."""


def weighted_remainder(text: str) -> int:
    """The sum of ISO 6346 values, place i counted 2**i times, modulo 11: what containers and MRNs share."""
    return sum(_LETTER_VALUES[sign] << place for place, sign in enumerate(text)) % 11


_CONTAINER = Checked(
    re.compile(r"[A-Z]{3}[UJZ][0-9]{7}"),
    "a container number: three letters of the owner, U, J or Z, six digits and a check digit (ISO 6346)",
    lambda text: text[:-1] + iso6346.calc_check_digit(text[:-1]),
)


def container(value: str) -> Verdict:
    """A container number, ISO 6346. Remainder 10 is written 0, which the standard advises against: a caution, not a fault."""
    verdict = _CONTAINER.judge(value)
    if verdict.fault == "FORM":
        short = tidy(value)
        if _NO_CHECK.fullmatch(short):
            right = short + iso6346.calc_check_digit(short)
            return replace(verdict, reason=f"the check digit is missing: {right}", right=right)
        return verdict
    normal = verdict.normal or value
    notes = (f"owner {normal[:3]}", f"serial {normal[4:10]}")
    if verdict.fault != "CHECK" and weighted_remainder(normal[:10]) == 10:
        caution = "the sum leaves 10, which is written 0: a number that ISO 6346 advises not to use, and that misses more errors"
        return replace(verdict, caution=caution, notes=notes)
    return replace(verdict, notes=notes)


def like_a_container(value: str) -> bool:
    """Whether a text was meant as a container number; air unit loads (three signs, digits, carrier), trailers and the like were not."""
    short = tidy(value)
    return _LIKE_A_CONTAINER.fullmatch(short) is not None and _ULD.fullmatch(short) is None


def unit_load(value: str) -> bool:
    """Whether a text has the form of an IATA unit load device, such as AKE12345LH."""
    return _ULD.fullmatch(tidy(value)) is not None


size_type = plain_form(
    r"[1-4A-HK-NP][0-9C-FL-NP][GVBSRHUPTAKN][0-9A-Z]",
    "a size and type: length, height and width, type group and its digit or letter, such as 22G1 or 45R1 (ISO 6346)",
)


def _imo_tidied(value: str) -> str:
    return tidy(value).removeprefix("IMO")


_SHIP = Checked(
    re.compile(r"[0-9]{7}"),
    "an IMO number: seven digits, the last of them a check digit",
    lambda text: text[:-1] + imo.calc_check_digit(text[:-1]),
    tidied=_imo_tidied,
)


def ship(value: str) -> Verdict:
    """An IMO ship number: the first six digits times 7 to 2; the last digit of the sum is the seventh. Many real ships fail it."""
    return _SHIP.judge(value)


def _awb_right(text: str) -> str:
    return text[:-1] + str(int(text[-8:-1]) % 7)


def _awb_tidied(value: str) -> str:
    digits = tidy(value)
    return f"{digits[:3]}-{digits[3:]}" if len(digits) == 11 else value


_AIR_WAYBILL = Checked(
    re.compile(r"[0-9]{3}-?[0-9]{8}"),
    "an air waybill number: three digits of the airline, seven of the serial number and a check digit, such as 020-12345675 (IATA)",
    _awb_right,
    tidied=_awb_tidied,
)


def air_waybill(value: str) -> Verdict:
    """An air waybill number, with or without the hyphen. The check digit is the serial number modulo 7, so never 7, 8 or 9."""
    verdict = _AIR_WAYBILL.judge(value)
    return verdict if verdict.fault == "FORM" else replace(verdict, notes=(f"airline prefix {(verdict.normal or value)[:3]}",))


_WAGON = Checked(
    re.compile(r"[0-9]{12}"),
    "a wagon number: twelve digits, the last of them a check digit (UIC 438)",
    lambda text: text[:-1] + luhn.calc_check_digit(text[:-1]),
)


def wagon(value: str) -> Verdict:
    """A wagon number of twelve digits, UIC 438: Luhn's sum."""
    return _WAGON.judge(value)


def _s10_right(text: str) -> str:
    rest = 11 - sum(int(digit) * weight for digit, weight in zip(text[2:10], _S10_WEIGHTS, strict=True)) % 11
    return f"{text[:10]}{_S10_SPECIAL.get(rest, rest)}{text[11:]}"


_S10 = re.compile(r"[A-Z]{2}[0-9]{9}[A-Z]{2}")


def post_item(value: str) -> Verdict:
    """A postal item, UPU S10: two letters, eight digits, a check digit, the country. The digit stands before the country."""
    normal = value if _S10.fullmatch(value) else tidy(value)
    if not _S10.fullmatch(normal):
        return malformed(value, "a postal item: two letters, nine digits and a country, such as RR473124829SE (UPU S10)")
    right, notes = _s10_right(normal), (f"service {normal[:2]}", f"country {normal[-2:]}")
    if right != normal:
        reason = f"the check digit {normal[10]} should be {right[10]}: {right}"
        return Verdict(value, "CHECK", reason, right=right, normal=None if normal == value else normal, notes=notes)
    if normal != value:
        return Verdict(value, "SPELLING", f"{quoted(value)} is written {normal} in its normal form", normal=normal, notes=notes)
    return Verdict(value, notes=notes)


def _gs1(pattern: str, form: str) -> Checked:
    return Checked(re.compile(pattern), form, lambda text: text[:-1] + ean.calc_check_digit(text[:-1]))


_SSCC = _gs1(r"[0-9]{18}", "a serial shipping container code: eighteen digits, the last of them a check digit (GS1)")
_GTIN = _gs1(r"[0-9]{8}|[0-9]{12,14}", "a trade item number: 8, 12, 13 or 14 digits, the last of them a check digit (GS1)")


def sscc(value: str) -> Verdict:
    """A GS1 serial shipping container code, 18 digits: weights 3 and 1 from the right, modulo 10."""
    return _SSCC.judge(value)


def gtin(value: str) -> Verdict:
    """A GS1 trade item number of 8, 12, 13 or 14 digits."""
    return _GTIN.judge(value)


transport_means = plain_form(r"[0-9]{2,4}", "a type of means of transport: two to four digits, the first of them the mode (UN Rec 28)")
document_type = plain_form(r"[A-Z0-9]{1,4}", "a type of document: up to four letters and digits, such as N705 (an4)")
document_number = plain_form(r"[!-~](?:[ -~]{0,68}[!-~])?", "a number of a document: 1 to 70 printable ASCII characters (an..70)")
