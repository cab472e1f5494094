"""Numbers of persons and companies: EORI and LEI."""

from __future__ import annotations

import re
from dataclasses import replace

from stdnum.iso7064 import mod_97_10

from broker.families.identifiers.territories import EORI_ONLY, is_current
from broker.families.identifiers.verdict import Checked, Verdict, plain_form

_LEI = Checked(
    re.compile(r"[A-Z0-9]{18}[0-9]{2}"),
    "a legal entity identifier: 18 letters and digits and two check digits (ISO 17442)",
    lambda text: text[:-2] + mod_97_10.calc_check_digits(text[:-2]),
    check_length=2,
)


def legal_entity(value: str) -> Verdict:
    """A legal entity identifier, ISO 17442: letters read as 10 to 35, the number modulo 97 is 1 (ISO 7064 MOD 97-10)."""
    verdict = _LEI.judge(value)
    return verdict if verdict.fault == "FORM" else replace(verdict, notes=(f"issued by {(verdict.normal or value)[:4]}",))


_EORI = plain_form(
    r"[A-Z]{2}[!-~]{1,15}",
    "an EORI: a country of two capitals and 1 to 15 characters, no spaces",
    tidied=lambda value: value.replace(" ", "").upper() if value.isascii() else value,
)


def trader(value: str) -> Verdict:
    """An EORI number. Only its form can be judged: whether it exists, its issuer's register knows."""
    verdict = _EORI(value)
    if verdict.fault == "FORM":
        return verdict
    country = (verdict.normal or value)[:2]
    known = is_current(country) or country in EORI_ONLY
    return replace(verdict, notes=(f"issued in {country}" if known else f"{country} is no country that issues EORI numbers",))
