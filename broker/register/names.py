"""Names of parties in the forms in which they are compared: one name is written in many ways, in several scripts.

============================  ===================  ===================  ==============
as on the paper               normal               latin                bare
============================  ===================  ===================  ==============
``ООО «Ромашка»``             ``ооо ромашка``      ``ooo romashka``     ``romashka``
``Müller & Söhne GmbH``       ``müller söhne gmbh``  ``muller sohne gmbh``  ``muller sohne``
``EXAMPLE TRADING F.Z.E.``    ``example trading fze``  same              ``example trading``
============================  ===================  ===================  ==============

Romanisation is anyascii's, character by character: good enough to find a name, never good enough to tell that two are the same.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from anyascii import anyascii

NAME_LIMIT: Final = 512
"""Characters of a name that are compared; a name on papers has 70."""

_INITIALS: Final = re.compile(r"\b(?:\w\.){2,}")
LEGAL: Final = frozenset((
    "ab", "ag", "ao", "aps", "as", "asa", "bhd", "bv", "bvba", "cjsc", "co", "company", "corp", "corporation", "cv", "dmcc", "doo", "eood",
    "fzc", "fzco", "fze", "gmbh", "inc", "incorporated", "jsc", "kft", "kg", "kk", "limited", "llc", "llp", "lp", "ltd", "ltda", "mbh",
    "nv", "oao", "ohg", "ojsc", "ooo", "oy", "oyj", "pao", "pjsc", "plc", "private", "pte", "pty", "pvt", "rt", "sa", "sae", "sal", "sarl",
    "sas", "sdn", "se", "sl", "spa", "srl", "sro", "tbk", "ug", "wll", "zao", "zoo", "zrt",
))  # fmt: skip
"""Words that say what kind of company it is, romanised."""
_LEGAL_HAN: Final = ("股份有限公司", "有限责任公司", "有限責任公司", "有限公司", "株式会社", "有限会社", "合同会社", "주식회사", "유한회사")
"""The same in scripts that set no space between words; longest first."""


@dataclass(frozen=True, slots=True)
class NameForms:
    """A name to compare with. ``normal`` keeps the script; ``latin`` is romanised; ``bare`` is ``latin`` without the words for the
    kind of company, its words sorted (``Ivanov Sergei`` is ``Sergei Ivanov``); ``legal`` are those words, in their order."""

    normal: str
    latin: str
    bare: str
    legal: tuple[str, ...]


def name_forms(name: str) -> NameForms:
    """The forms of a name. Empty texts where nothing of it can be compared (only signs, say)."""
    return _forms(name[:NAME_LIMIT])


@lru_cache(maxsize=8192)
def _forms(name: str) -> NameForms:
    normal = _words(name)
    kept, found = normal, tuple(form for form in _LEGAL_HAN if form in _joined(normal))
    for form in found:
        kept = kept.replace(unicodedata.normalize("NFKD", form), " ")
    words = _words(_romanised(kept)).split() or _words(_romanised(normal)).split()
    bare, legal = _without_legal(words)
    return NameForms(normal, _words(_romanised(normal)), " ".join(sorted(bare)), (*found, *legal))


def _joined(text: str) -> str:
    return unicodedata.normalize("NFKC", text)


def _romanised(text: str) -> str:
    # Marks are composed with their letters again: anyascii goes by the character.
    return anyascii(_joined(text))


def _words(text: str) -> str:
    """Compatibility forms taken apart, case folded, initials joined (``L.L.C.``), everything but letters, marks and digits a space."""
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    folded = _INITIALS.sub(lambda found: found[0].replace(".", "") + " ", folded)
    spaced = "".join(c if c.isalnum() or unicodedata.category(c)[0] == "M" else " " for c in folded.replace("'", "").replace("’", ""))
    return " ".join(spaced.split())


def _without_legal(words: list[str]) -> tuple[list[str], tuple[str, ...]]:
    """Words without the run of legal forms at the end and at the beginning. A name of nothing else keeps its last word."""
    begin, end = 0, len(words)
    while end - begin > 1 and words[end - 1] in LEGAL:
        end -= 1
    while end - begin > 1 and words[begin] in LEGAL:
        begin += 1
    return words[begin:end], (*words[:begin], *words[end:])
