"""All names of a register, to be found by names that are written otherwise: few are compared, those that share a key.

A word's keys are its beginning, its end and its sound, so that one changed letter leaves at least one of them; the whole name has the
sound of all its words in one. Names that share rare keys are compared first.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import lru_cache
from heapq import nlargest
from typing import Final, NamedTuple

from rapidfuzz import fuzz, process

from broker.register.names import name_forms
from broker.screening.name_parts import COMMON, Part, compared, plain_weight, sound_of

LOOKED_AT: Final = 150
"""Most names that share keys and are looked at as a whole."""
COMPARED: Final = 15
"""Most names that one name is compared with word by word: those that are most alike as a whole."""
CROWDED: Final = 400
"""A key that more names have is looked at only where a name has no other: it would be most of the work, and tells least."""
ANSWERS: Final = 20
"""Most names of one answer."""


class Listed(NamedTuple):
    """A name in the register: of which subject, as its owner wrote it (with role or kind before it), and its comparable words in order."""

    subject: str
    detail: str
    words: tuple[str, ...]


class Found(NamedTuple):
    """A listed name that a name on the papers is like: the score, 0 to 100, and why."""

    listed: Listed
    score: int
    parts: tuple[Part, ...]


class NameIndex:
    """The names. An index never changes, so threads may ask one together: :meth:`changed` makes the next one."""

    def __init__(self, names: Iterable[Listed] = ()) -> None:
        self._names: list[Listed | None] = []
        self._texts: list[str] = []
        self._numbers: dict[Listed, int] = {}
        self._having: dict[str, list[int]] = {}
        self._words: Counter[str] = Counter()
        self._weights: dict[str, float] = {}
        self._ask = lru_cache(maxsize=20_000)(self._asked)
        for each in names:
            self._add(each)

    def __len__(self) -> int:
        return len(self._numbers)

    def changed(self, gone: Iterable[Listed], come: Iterable[Listed]) -> NameIndex:
        """The index without the names that are gone and with those that came. What is the same in both they share."""
        found = NameIndex()
        found._names, found._texts = self._names.copy(), self._texts.copy()
        found._numbers, found._having, found._words = self._numbers.copy(), self._having.copy(), self._words.copy()
        own: set[str] = set()
        for each in gone:
            found._take_away(each, own)
        if len(found._names) > 2 * len(found._numbers) + LOOKED_AT:  # mostly holes: begin anew
            return NameIndex((*found._numbers, *come))
        for each in come:
            found._add(each, own)
        return found

    def _add(self, each: Listed, own: set[str] | None = None) -> None:
        """Take a name in. ``own``: the keys whose lists are this index's alone; None: all are."""
        if not each.words or each in self._numbers:
            return
        number = self._numbers[each] = len(self._names)
        self._names.append(each)
        self._texts.append(_text(each.words))
        self._words.update(set(each.words))
        for key in _keys(each.words):
            if own is not None and key not in own:
                self._having[key] = [*self._having.get(key, ()), number]
                own.add(key)
            else:
                self._having.setdefault(key, []).append(number)

    def _take_away(self, each: Listed, own: set[str]) -> None:
        number = self._numbers.pop(each, None)
        if number is None:
            return
        self._names[number] = None
        self._words.subtract(set(each.words))
        for key in _keys(each.words):
            self._having[key] = [other for other in self._having[key] if other != number]
            own.add(key)

    def find(self, name: str, threshold: int) -> tuple[Found, ...]:
        """The listed names that a name is like, the most alike first; of each subject its best."""
        return self._ask(name, threshold)

    def _weight(self, word: str) -> float:
        """How much a word tells: less, the more names have it."""
        known = self._weights.get(word)
        if known is None:
            total, count = max(len(self), 1), self._words[word]
            rarity = 0.25 + math.log(total / count) / math.log(total + 1) if count > 0 else 1.0
            known = plain_weight(word) * min(1.0, rarity)
            if count > 0:
                self._weights[word] = known
        return known

    def _asked(self, name: str, threshold: int) -> tuple[Found, ...]:
        words = words_of(name)
        best: dict[str, Found] = {}
        for number in self._candidates(words):
            listed = self._names[number]
            if listed is None:
                continue
            score, parts = compared(words, listed.words, self._weight)
            if score >= threshold and (listed.subject not in best or score > best[listed.subject].score):
                best[listed.subject] = Found(listed, int(score + 1e-6), parts)
        return tuple(nlargest(ANSWERS, best.values(), key=lambda found: (found.score, found.listed.subject)))

    def _candidates(self, words: tuple[str, ...]) -> list[int]:
        """Numbers of the names that share keys, those that share rare ones first."""
        lists = sorted((self._having[key] for key in _keys(words) if key in self._having), key=len)
        shared: Counter[int] = Counter()
        for having in lists:
            if len(having) <= CROWDED or not shared:
                weight = 1_000 // (len(having) + 10)
                for number in having[: CROWDED * 5]:
                    shared[number] += 1 + weight
        near = {number: self._texts[number] for number, _ in shared.most_common(LOOKED_AT)}
        if len(near) <= COMPARED:
            return list(near)
        return [number for _, _, number in process.extract(_text(words), near, scorer=fuzz.ratio, limit=COMPARED)]


@lru_cache(maxsize=8192)
def words_of(name: str) -> tuple[str, ...]:
    """The comparable words of a name in their order: romanised, without the kind of company."""
    forms = name_forms(name)
    kept = Counter(forms.bare.split())
    return tuple(word for word in _in_order(forms.latin.split(), kept)) or tuple(forms.bare.split())


def _in_order(latin: list[str], kept: Counter[str]) -> Iterator[str]:
    for word in latin:
        if kept[word]:
            kept[word] -= 1
            yield word


def _text(words: tuple[str, ...]) -> str:
    """The words in an order of their own, so that turned about they are the same."""
    return " ".join(sorted(words))


def _keys(words: tuple[str, ...]) -> set[str]:
    telling = [word for word in words if word not in COMMON and len(word) > 1] or list(words)
    keys: set[str] = set()
    for word in telling:
        keys |= {f"<{word[:3]}", f"{word[-3:]}>", f"~{sound_of(word)}"}
    whole = sound_of("".join(words))
    return keys | {f"={whole[:6]}", f"={whole[-6:]}="}
