"""Two names against each other, word by word: how alike they are, and why.

Names are compared in the romanised form without the kind of company (:mod:`broker.register.names`). A word agrees with another when it is
the same, when it sounds the same in the ways that scripts are romanised, or when rapidfuzz finds few changed letters. A rare word counts
more than ``trading``; what only one of the names has counts against it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Final, Literal, NamedTuple

from rapidfuzz import fuzz, process
from rapidfuzz.distance import OSA

from broker.register.names import LEGAL

How = Literal["SAME", "SOUND", "SPELLING", "ONLY_HERE", "ONLY_THERE", "JOINED"]
"""Why a part counts: the same word, the same sound, changed letters; or only on the papers, only in the register; or written as one."""

SOUND: Final = 0.92
"""How alike two words are that sound the same."""
SOUND_ONLY: Final = 0.84
SOUND_FROM: Final = 0.6
"""Words that sound the same and have this share of their letters in common are :data:`SOUND` alike, others :data:`SOUND_ONLY`."""
SLIP: Final = 0.65
"""What share of the letters that differ counts against two words: slips are made, other words begin with other letters."""
SPELLING_FROM: Final = 0.6
"""Below this, words of which letters differ are other words."""
JOINED_FROM: Final = 90.0
"""From here, two names written without spaces are one name,"""
JOINED_MORE: Final = 2
"""where one has no more letters than this beyond the other."""
SHORT: Final = 3
"""Words up to this length are other words when a letter differs, more often than not."""
SHORT_FROM: Final = 66.0
SHORT_WORTH: Final = 0.8

COMMON: Final = frozenset((
    "al", "and", "aviation", "bank", "center", "centre", "closed", "co", "commercial", "communication", "communications", "company",
    "contracting", "corporation", "de", "development", "el", "electronic", "electronics", "engineering", "enterprise", "enterprises",
    "establishment", "export", "factories", "factory", "federal", "for", "general", "global", "group", "holding", "holdings", "import",
    "industrial", "industries", "industry", "institute", "international", "investment", "investments", "joint", "liability", "line",
    "lines", "logistics", "management", "marine", "maritime", "national", "of", "open", "organisation", "organization", "petroleum",
    "plant", "private", "production", "products", "public", "research", "science", "scientific", "sea", "services", "shipping", "society",
    "state", "stock", "systems", "tech", "technical", "technics", "technologies", "technology", "the", "trade", "trading", "transport",
    "unitary", "university", "works", "y",
))  # fmt: skip
"""Words that many names have. Only a register of many names would show by itself that they tell little."""
COMMON_WEIGHT: Final = 0.3
LEGAL_WEIGHT: Final = 0.1
"""The kind of company in the middle of a name, where the register's forms leave it."""

_SOUNDS: Final = tuple(
    (re.compile(pattern), sound)
    for pattern, sound in (
        ("shch|tch|dzh|sch|ch|sh|zh|dj|j", "j"), ("x", "ks"), ("kh", "h"), ("gh", "g"), ("ph|v|w", "f"), ("ts|tz|cz|c(?=[eiy])|z", "s"),
        ("ck|c|q", "k"), ("dh|th|d", "t"), ("(?<=.)h", ""), ("(?<=.)[aeiouy]+", ""), (r"(.)\1+", r"\1"), ("^[aeiouy]", "a"),
    )
)  # fmt: skip
"""What romanisations and ears confuse, in the order of replacement. Vowels count at the beginning only."""


class Part(NamedTuple):
    """A word of the name on the papers, the word of the listed name that it agrees with, how alike they are (0 to 1), and why."""

    given: str
    listed: str
    alike: float
    how: How


class Compared(NamedTuple):
    """How alike two names are, 0 to 100, and the parts that it follows from."""

    score: float
    parts: tuple[Part, ...]


Weight = Callable[[str], float]
"""How much a word tells: more, the fewer names have it."""


@lru_cache(maxsize=65_536)
def sound_of(word: str) -> str:
    """What is left of a word when everything is taken away that romanisations write in several ways."""
    for pattern, sound in _SOUNDS:
        word = pattern.sub(sound, word)
    return word


_COMMON_SOUNDS: Final = frozenset(sound for word in COMMON if len(sound := sound_of(word)) > 3)
_LEGAL_SOUNDS: Final = frozenset(sound_of(word) for word in LEGAL if len(word) > 2) - {sound_of(word) for word in ("as", "se", "sa")}
_MISTYPED_FROM: Final = 5
"""A word of so many letters may be a common one that was mistyped,"""
_MISTYPED_ALIKE: Final = 0.8
"""where it is so much alike one."""
_MISTYPED: Final = sorted(word for word in LEGAL | COMMON if len(word) >= _MISTYPED_FROM)


@lru_cache(maxsize=65_536)
def plain_weight(word: str) -> float:
    """The weight of a word where nothing is known of other names; a mistyped common word is a common word."""
    if word in LEGAL or sound_of(word) in _LEGAL_SOUNDS:
        return LEGAL_WEIGHT
    if any(sign.isdigit() for sign in word):
        return 1.0
    if word in COMMON or len(word) <= 2 or sound_of(word) in _COMMON_SOUNDS:
        return COMMON_WEIGHT
    if len(word) < _MISTYPED_FROM:
        return 1.0
    meant = process.extractOne(word, _MISTYPED, scorer=OSA.normalized_similarity, score_cutoff=_MISTYPED_ALIKE)
    return 1.0 if meant is None else LEGAL_WEIGHT if meant[0] in LEGAL else COMMON_WEIGHT


def compared(given: Sequence[str], listed: Sequence[str], weight: Weight = plain_weight) -> Compared:
    """Two names, as the words of their forms."""
    if not given or not listed:
        return Compared(0.0, ())
    pairs = _pairs(given, listed, weight)
    parts = [Part(given[one], listed[other], alike, how) for alike, _, one, other, how in pairs]
    lone = [Part(word, "", 0.0, "ONLY_HERE") for at, word in enumerate(given) if at not in {pair[2] for pair in pairs}]
    lone += [Part("", word, 0.0, "ONLY_THERE") for at, word in enumerate(listed) if at not in {pair[3] for pair in pairs}]
    whole = sum(map(weight, given)) + sum(map(weight, listed))
    score = 100 * sum((weight(part.given) + weight(part.listed)) * part.alike for part in parts) / whole
    joined = _joined("".join(given), "".join(listed)) if len(given) != len(listed) else 0.0
    if joined > score:
        return Compared(joined, (Part(" ".join(given), " ".join(listed), joined / 100, "JOINED"),))
    return Compared(score, (*parts, *lone))


def _joined(given: str, listed: str) -> float:
    """How alike two names are without spaces; 0 unless they are nearly the same."""
    return fuzz.ratio(given, listed, score_cutoff=JOINED_FROM) if abs(len(given) - len(listed)) <= JOINED_MORE else 0.0


def _pairs(given: Sequence[str], listed: Sequence[str], weight: Weight) -> list[tuple[float, float, int, int, How]]:
    """Words that agree, each with one other: the most alike first, of equals those that tell more."""
    found: list[tuple[float, float, int, int, How]] = []
    for one, word in enumerate(given):
        for other, against in enumerate(listed):
            alike, how = _alike(word, against)
            if alike:
                found.append((alike, weight(word) + weight(against), one, other, how))
    found.sort(key=lambda pair: (-pair[0], -pair[1], pair[2], pair[3]))
    ones, others, kept = set[int](), set[int](), list[tuple[float, float, int, int, How]]()
    for pair in found:
        if pair[2] not in ones and pair[3] not in others:
            kept.append(pair)
            ones.add(pair[2])
            others.add(pair[3])
    return sorted(kept, key=lambda pair: pair[2])


def _alike(word: str, against: str) -> tuple[float, How]:
    if word == against:
        return 1.0, "SAME"
    if any(sign.isdigit() for sign in word + against):
        return 0.0, "SPELLING"
    if len(word) <= SHORT or len(against) <= SHORT:
        return SHORT_WORTH * fuzz.ratio(word, against, score_cutoff=SHORT_FROM) / 100, "SPELLING"
    same = OSA.normalized_similarity(word, against)
    spelling = 1 - SLIP * (1 - same)
    sound = sound_of(word)
    if sound == sound_of(against) and len(sound) > 1:
        return max(SOUND if same >= SOUND_FROM else SOUND_ONLY, spelling), "SOUND"
    return (spelling if same >= SPELLING_FROM else 0.0), "SPELLING"
