"""Listed names as papers write them: romanised in another way, turned about, mistyped. Made up with a seed, from the public list.

Half of the list's parties are in the index; the names of the other half are those of other parties, and any that are found are false.
So are names made of places and words of trade, which are what most papers hold.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from broker.screening.name_index import Listed, NameIndex, words_of
from tests.support.curves import Curve
from tests.support.records import PLACES, read_rows, seeded
from tests.support.watch_records import PARTIES, parts

LOWEST: Final = 60
THRESHOLDS: Final = (80, 85, 92)
"""Those that the tables show: what a hit by name alone needs at the default of 75, and two that are stricter."""

_RESPELT: Final = (
    ("kh", "h"), ("ph", "f"), ("f", "ph"), ("sh", "sch"), ("ch", "tch"), ("zh", "j"), ("j", "dzh"), ("ts", "tz"), ("x", "ks"), ("ks", "x"),
    ("q", "k"), ("k", "q"), ("w", "v"), ("v", "w"), ("y", "i"), ("i", "y"), ("ou", "u"), ("u", "ou"), ("ee", "i"), ("i", "ee"), ("oo", "u"),
    ("ll", "l"), ("ss", "s"), ("mm", "m"), ("n", "nn"), ("e", "a"), ("o", "u"), ("th", "t"), ("gh", "g"), ("aa", "a"), ("c", "k"),
)  # fmt: skip
"""A romanisation, and another of the same sound."""
_CYRILLIC: Final = (
    ("shch", "щ"), ("sh", "ш"), ("ch", "ч"), ("zh", "ж"), ("kh", "х"), ("ts", "ц"), ("yu", "ю"), ("ya", "я"), ("ks", "кс"), ("ph", "ф"),
    *zip("abcdefghijklmnopqrstuvwxyz", "абкдефгхийклмнопкрстувокйз", strict=False),
)  # fmt: skip
_LETTERS: Final = "abcdefghijklmnopqrstuvwxyz"
_TRADES: Final = (
    "Trading", "Logistics", "Foods", "Textiles", "Machinery", "Import Export", "Shipping", "Steel", "Electronics", "Timber", "Chemicals",
    "Furniture", "Auto Parts", "Fisheries", "Seeds", "Paper", "Ceramics", "Toys", "Medical Supplies", "Freight",
)  # fmt: skip
_FORMS: Final = ("Ltd", "GmbH", "SARL", "Co., Ltd.", "BV", "Inc", "SA", "FZE", "LLC", "")


def respelt(name: str, chance: random.Random) -> str:
    """Romanised in another way, in up to three places."""
    low = name.lower()
    for old, new in chance.sample(_RESPELT, len(_RESPELT)):
        if old in low and old != low:
            low = low.replace(old, new, 1)
            if chance.randrange(3) == 0 or low.count(" ") == 0:
                break
    return low


def cyrillic(name: str, _chance: random.Random) -> str:
    """In Cyrillic letters."""
    low = name.lower()
    for old, new in _CYRILLIC:
        low = low.replace(old, new)
    return low


def turned(name: str, chance: random.Random) -> str:
    """Its words in another order."""
    words = name.split()
    chance.shuffle(words)
    return " ".join(words)


def mistyped(name: str, chance: random.Random) -> str:
    """One letter wrong, two in a long name: left out, doubled, another, or changed about with its neighbour."""
    for _ in range(1 if len(name) < 14 else 2):
        at = chance.randrange(1, max(len(name) - 1, 2))
        other = chance.choice(_LETTERS)
        name = chance.choice(
            (name[:at] + name[at + 1 :], name[:at] + other + name[at:], name[:at] + other + name[at + 1 :],
             name[: at - 1] + name[at : at + 1] + name[at - 1 : at] + name[at + 1 :])
        )  # fmt: skip
    return name


Alteration = Callable[[str, random.Random], str]


def one_after_the_other(*alterations: Alteration) -> Alteration:
    """Several of them, the first one first."""

    def altered(name: str, chance: random.Random) -> str:
        for each in alterations:
            name = each(name, chance)
        return name

    return altered


ALTERED: Final[Mapping[str, Alteration]] = {
    "romanised otherwise": respelt, "in Cyrillic": cyrillic, "words turned about": turned, "mistyped": mistyped,
    "romanised, turned": one_after_the_other(turned, respelt), "turned, mistyped": one_after_the_other(turned, mistyped),
    "romanised, mistyped": one_after_the_other(respelt, mistyped), "all three": one_after_the_other(turned, respelt, mistyped),
}  # fmt: skip
OTHERS: Final = ("false: other listed", "false: ordinary")


@dataclass(frozen=True, slots=True)
class Measured:
    """For each kind of question the best score of a right answer (or, of names that are nobody's, of any), 0 for none; and the time."""

    scores: Mapping[str, Sequence[int]]
    names: int
    micros: float

    def share(self, kind: str, threshold: int) -> float:
        """How many of a kind have an answer at a threshold."""
        return sum(score >= threshold for score in self.scores[kind]) / len(self.scores[kind])

    def at_false(self, share: float) -> int:
        """The lowest score at which at most this share of other listed names is found."""
        return next(at for at in range(LOWEST, 102) if self.share(OTHERS[0], at) <= share)

    def curves(self) -> dict[str, Curve]:
        """Shares over the threshold."""
        return {kind: [(float(at), self.share(kind, at)) for at in range(LOWEST, 101)] for kind in self.scores}


def measured(folder: Path, *, each: int, clock: Callable[[], float]) -> Measured:
    """Ask ``each`` questions of every kind."""
    listed, others = _halves(folder)
    index = NameIndex(listed)
    by_words: defaultdict[frozenset[str], set[str]] = defaultdict(set)
    for name in listed:
        by_words[frozenset(name.words)].add(name.subject)
    chance = seeded("names")
    asked = chance.sample([name for name in listed if len("".join(name.words)) > 4], each)
    scores: dict[str, list[int]] = {}
    begun, count = clock(), 0
    for kind, alter in ALTERED.items():
        right = [(by_words[frozenset(name.words)], alter(name.detail, chance)) for name in asked]
        scores[kind] = [max((f.score for f in index.find(text, LOWEST) if f.listed.subject in of), default=0) for of, text in right]
        count += each
    strangers = {OTHERS[0]: chance.sample(others, min(each, len(others))), OTHERS[1]: _ordinary(folder, each, chance)}
    for kind, texts in strangers.items():
        scores[kind] = [max((found.score for found in index.find(text, LOWEST)), default=0) for text in texts]
        count += len(texts)
    return Measured(scores, len(index), (clock() - begun) * 1e6 / count)


def _halves(folder: Path) -> tuple[list[Listed], list[str]]:
    """The names of one half of the parties, and names of the other half that are not among them. Who shares a name is one party."""
    home: dict[frozenset[str], int] = {}
    listed: list[Listed] = []
    others: list[str] = []
    for number, row in enumerate(read_rows(folder, PARTIES)):
        names = [name for name in (row["name"], *parts(row["alt_names"])) if words_of(name)]
        marks = [frozenset(words_of(name)) for name in names]
        side = next((home[mark] for mark in marks if mark in home), number % 2)
        home.update({mark: side for mark in marks if mark not in home})
        if side == 0:
            listed += [Listed(f"{row['list']}-{row['id']}", name, words_of(name)) for name in names]
        else:
            others.append(row["name"])
    known = {frozenset(name.words) for name in listed}
    return listed, [name for name in others if frozenset(words_of(name)) not in known]


def _ordinary(folder: Path, count: int, chance: random.Random) -> list[str]:
    """Names such as most papers hold: a place, a trade, a kind of company."""
    rows = [row["name"] for row in read_rows(folder, PLACES) if row["name"].isascii() and "?" not in row["name"]]
    return [f"{chance.choice(rows)} {chance.choice(_TRADES)} {chance.choice(_FORMS)}".strip() for _ in range(count)]
