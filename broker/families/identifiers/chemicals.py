"""Numbers of substances: CAS registry, CUS, dangerous goods."""

from __future__ import annotations

import re

from stdnum import casrn

from broker.families.identifiers.verdict import Checked, Verdict, plain_form, tidy


def _cas_tidied(value: str) -> str:
    digits = tidy(value)
    return f"{digits[:-3]}-{digits[-3:-1]}-{digits[-1]}" if digits.isascii() and digits.isdigit() and len(digits) > 4 else value


_CAS = Checked(
    re.compile(r"[1-9][0-9]{1,6}-[0-9]{2}-[0-9]"),
    "a CAS number: two to seven digits, a hyphen, two digits, a hyphen, a check digit, such as 107-44-8",
    lambda text: text[:-1] + casrn.calc_check_digit(text[:-1]),
    tidied=_cas_tidied,
)


def cas(value: str) -> Verdict:
    """A CAS registry number: digits from the right without the check digit, times 1, 2, 3 and so on, modulo 10."""
    return _CAS.judge(value)


cus = plain_form(
    r"[0-9A-Z]{7}-[0-9A-Z]|[0-9A-Z]{9}",
    "a CUS number: nine characters such as 0010164-4 (ECICS, an9)",
    tidied=lambda value: value.strip().upper() if value.isascii() else value,
)


def _un_tidied(value: str) -> str:
    digits = tidy(value).removeprefix("UN")
    return digits.zfill(4) if digits.isascii() and digits.isdigit() else value


_UN_NUMBER = plain_form(r"[0-9]{4}", "a UN number of dangerous goods: four digits", tidied=_un_tidied)


def un_number(value: str) -> Verdict:
    """A UN number of dangerous goods: four digits, leading zeros included. Whether it exists, only the list knows."""
    return _UN_NUMBER(value)
