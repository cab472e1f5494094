"""Grammars of control lists (domain dictionary 2.7): how an entry is written, and what can be read from it.

A grammar says that a text can be an entry, not that the entry exists: lists are amended every year. Where the dictionary's pattern
ends above what a list prints, the list's further levels are allowed: XI(a)(3)(ii) of the USML, 4.C.2.b.4.a of the MTCR annex,
5.1.2.a.1 of the NSG trigger list.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from broker.families.identifiers.verdict import Judge, Verdict, malformed, quoted

_GROUPS: Final = {"A": "equipment", "B": "test and production", "C": "material", "D": "software", "E": "technology"}
_REGIMES: Final = ("Wassenaar", "MTCR", "NSG", "Australia Group", "CWC", "no regime")
_SERIES: Final = {"515": "space", "6": "munitions moved from the USML", "9": "unilateral or anti-terrorism control"}
_ROMAN: Final = (
    "I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII", "XIII", "XIV", "XV", "XVI", "XVII", "XVIII", "XIX", "XX",
    "XXI",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Grammar:
    """How entries of one list are written: pattern, words for it, and what can be read from a match."""

    pattern: re.Pattern[str]
    form: str
    read: Callable[[str], tuple[str, ...]]

    def judge(self, value: str) -> Verdict:
        """The verdict on an entry; a difference in capitals is SPELLING, where exactly one way of writing it fits."""
        if self.pattern.fullmatch(value):
            return Verdict(value, notes=self.read(value))
        if value.isascii() and len(value) <= 80:
            compact = value.replace(" ", "")
            fits = {text for text in (compact, _headed(compact), compact.upper()) if self.pattern.fullmatch(text)}
            if len(fits) == 1:
                normal = fits.pop()
                return Verdict(value, "SPELLING", f"{quoted(value)} is written {normal}", normal=normal, notes=self.read(normal))
        return malformed(value, self.form)


def _headed(text: str) -> str:
    """The part before the first full stop or bracket in capitals, the rest in small letters: how most lists write."""
    found = re.match(r"[^.(]*", text)
    head = found[0] if found else ""
    return head.upper() + text[len(head) :].lower()


def _read_eu(code: str) -> tuple[str, ...]:
    return f"category {code[0]}", f"group {code[1]} {_GROUPS[code[1]]}", f"from {_REGIMES[int(code[2])]}"


def _read_eccn(code: str) -> tuple[str, ...]:
    if code == "EAR99":
        return ("not on the Commerce Control List",)
    series = _SERIES.get(code[2:5]) or _SERIES.get(code[2])
    return (f"category {code[0]}", f"group {code[1]} {_GROUPS[code[1]]}", *((series,) if series else ()))


def _read_mtcr(code: str) -> tuple[str, ...]:
    return (f"item {code.partition('.')[0]}", "category I" if int(code.partition(".")[0]) <= 2 else "category II")


def _read_cwc(code: str) -> tuple[str, ...]:
    return f"schedule {code[0]}", "toxic chemical" if code[1] == "A" else "precursor"


EU_ANNEX_I: Final = Grammar(
    re.compile(r"[0-9][A-E][0-5][0-9]{2}(?:\.(?:[a-z]|[0-9]{1,3}))*"),
    "an entry of the EU dual-use list, such as 3A001.a.1",
    _read_eu,
)
US_ECCN: Final = Grammar(
    re.compile(r"EAR99|[0-9][A-E][0-9]{3}(?:\.[a-z](?:\.(?:[0-9]{1,2}|[ivx]+|[a-z]))*)?"),
    "an ECCN such as 3A001.a.1.a, or EAR99",
    _read_eccn,
)
USML: Final = Grammar(
    re.compile(rf"(?:{'|'.join(sorted(_ROMAN, key=len, reverse=True))})\([a-z]\)(?:\([0-9]+\)(?:\([ivx]+\))?)?"),
    "a paragraph of the US Munitions List, categories I to XXI, such as VIII(h)(1)",
    lambda code: (f"category {code.partition('(')[0]}",),
)
MILITARY: Final = Grammar(
    re.compile(r"ML(?:[1-9]|1[0-9]|2[0-2])(?:\.[a-z](?:\.[0-9]{1,2}(?:\.[a-z])?)?)?"),
    "an entry of the Common Military List, ML1 to ML22, such as ML8.a.1",
    lambda code: (f"category {code.partition('.')[0]}",),
)
CWC: Final = Grammar(
    re.compile(r"1A(?:0[1-8]|1[3-6])|1B(?:09|1[0-2])|2A0[1-3]|2B(?:0[4-9]|1[0-4])|3A0[1-4]|3B(?:0[5-9]|1[0-7])"),
    "an entry of the schedules of the Chemical Weapons Convention, such as 2B04",
    _read_cwc,
)
NSG: Final = Grammar(
    re.compile(r"T:A?[0-9](?:\.[0-9]{1,2}){0,2}(?:\.[a-z](?:\.[0-9])?)?|[0-9]\.[A-E](?:\.(?:[a-z]|[0-9]{1,2}))+"),
    "an entry of the Nuclear Suppliers Group's lists: T:5.3.1 (trigger list) or 3.A.1 (dual use)",
    lambda code: ("trigger list",) if code.startswith("T:") else (f"dual use, category {code[0]}", _GROUPS[code[2]]),
)
MTCR: Final = Grammar(
    re.compile(r"(?:[1-9]|1[0-9]|20)\.[A-E]\.[0-9]{1,2}(?:\.[a-z](?:\.[0-9]{1,2}(?:\.[a-z])?)?)?"),
    "an entry of the MTCR annex, items 1 to 20, such as 2.A.1.c",
    _read_mtcr,
)
STRATEGIC_GOODS: Final = Grammar(
    re.compile(f"{EU_ANNEX_I.pattern.pattern}|{MILITARY.pattern.pattern}"),
    "an entry of the Strategic Goods (Control) Order: written as the EU's, such as 3A001.a.1, or ML8.a",
    lambda code: MILITARY.read(code) if code.startswith("ML") else _read_eu(code),
)
HIGH_PRIORITY: Final = Grammar(
    re.compile(r"(?!00|77)[0-9]{6}"),
    "a commodity of the Common High Priority List: an HS code of six digits",
    lambda code: (f"chapter {code[:2]}", "a risk of diversion, not a licence duty"),
)

GRAMMARS: Final[Mapping[str, Grammar]] = {
    "EU_ANNEX_I": EU_ANNEX_I, "US_ECCN": US_ECCN, "USML": USML, "CML": MILITARY, "CWC": CWC, "NSG": NSG, "MTCR": MTCR,
    "SG_SGCO": STRATEGIC_GOODS, "CHPL": HIGH_PRIORITY,
}  # fmt: skip
"""Scheme of a control code to its grammar. Other schemes are allowed: nothing is known of how they write."""


def entry(scheme: str) -> Judge | None:
    """The judge of a scheme's entries, None for a scheme without grammar."""
    grammar = GRAMMARS.get(scheme)
    return grammar.judge if grammar else None


def listed_entry(scheme: str, code: str) -> str:
    """How a table of MTCR and NSG entries names the entry: ``M2A1c``, ``N3A1``, ``T5.1.2a1``."""
    if code.startswith("T:"):
        return "T" + re.sub(r"\.(?=[a-z])|(?<=[a-z])\.", "", code[2:])
    return scheme[0] + code.replace(".", "")


_EDITION = re.compile(r"[0-9]{4}(?:-(?:0[1-9]|1[0-2])(?:-(?:0[1-9]|[12][0-9]|3[01]))?)?")


def edition(value: str) -> Verdict:
    """The edition of a control list: a year, or a date in ISO 8601."""
    return Verdict(value) if _EDITION.fullmatch(value) else malformed(value, "an edition: a year or an ISO 8601 date, such as 2025")
