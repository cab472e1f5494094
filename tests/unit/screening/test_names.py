"""Names against names: what counts as alike, what does not, and why."""

from __future__ import annotations

import pytest

from broker.screening.name_index import Listed, NameIndex, words_of
from broker.screening.name_parts import compared, sound_of

LISTED = (
    "Islamic Republic of Iran Shipping Lines", "Bank Belveb OJSC", "ООО «Ромашка»", "Mohammed Al Khatib Trading Co", "Hyundai Precision",
    "Rosoboron Export", "Kala Naft London Ltd", "Example Trading FZE", "上海精密机械有限公司",
)  # fmt: skip
INDEX = NameIndex(Listed(f"S-{number}", name, words_of(name)) for number, name in enumerate(LISTED))


def best(name: str, threshold: int = 80) -> str | None:
    found = INDEX.find(name, threshold)
    return found[0].listed.detail if found else None


@pytest.mark.parametrize(
    ("name", "listed"),
    [
        ("ISLAMIC REPUBLIC IRAN SHIPPING LINES", 0), ("Shipping Lines of the Islamic Republic of Iran", 0), ("Банк БелВЭБ", 1),
        ("Belveb Bank", 1), ("Romashka LLC", 2), ("Muhammad Alkhatib Trading", 3), ("Mohamed al-Khateeb", 3), ("Mokhammed Al Khatib", 3),
        ("Hyundia Precision", 4), ("Hyundai Presision Inc.", 4), ("Rosoboronexport JSC", 5), ("KALANAFT LONDON", 6), ("Kala Naft Londn", 6),
        ("Exampel Trading", 7), ("Shanghai Jingmi Jixie", 8),
    ],
)  # fmt: skip
def test_one_name_in_many_writings(name: str, listed: int) -> None:
    """Other scripts and romanisations, words turned about, joined or left out, letters changed: the listed name is found."""
    assert best(name, 70) == LISTED[listed]


@pytest.mark.parametrize(
    "name",
    ["Rotterdam Trading BV", "Iranian Carpets Ltd", "Shipping Lines", "Example Bakery", "Bank of Scotland", "Trading Co", "", "—", "Al"],
)
def test_other_names_are_other_names(name: str) -> None:
    """What shares a common word, or nothing at all, is not found at the usual threshold."""
    assert best(name) is None


def test_the_parts_say_why() -> None:
    """Each word tells what it agreed with: the same, the sound, the spelling, or nothing."""
    score, parts = compared(("mohamed", "khateeb", "presision", "lost"), ("mohammed", "khatib", "precision", "extra"))
    assert [(part.given, part.listed, part.how) for part in parts] == [
        ("mohamed", "mohammed", "SOUND"), ("khateeb", "khatib", "SOUND"), ("presision", "precision", "SOUND"), ("lost", "", "ONLY_HERE"),
        ("", "extra", "ONLY_THERE"),
    ]  # fmt: skip
    assert 60 < score < 80
    joined = compared(("rosoboronexport",), ("rosoboron", "export"))
    assert (joined.score, joined.parts[0].how) == (100, "JOINED")


def test_a_score_is_the_same_from_both_sides() -> None:
    """Which of two names is on the papers does not matter for how alike they are."""
    names = [words_of(name) for name in LISTED]
    for one in names:
        for other in names:
            assert compared(one, other).score == pytest.approx(compared(other, one).score)


@pytest.mark.parametrize(
    ("one", "other"), [("khatib", "hateeb"), ("dzhamal", "jamal"), ("tsvetkov", "zvetkoff"), ("aleksandr", "alexander")]
)
def test_romanisations_sound_alike(one: str, other: str) -> None:
    """Ways of writing the same sounds have one key."""
    assert sound_of(one) == sound_of(other)


def test_an_index_that_changed_is_one_made_anew() -> None:
    """Names that come and go, some many times over: the answers are those of an index of the same names, and the earlier one's stay."""
    listed = [Listed(f"S-{number}", name, words_of(name)) for number, name in enumerate(LISTED)]
    asked = [*LISTED, "Exampel Trading", "Mokhammed Al Khatib", "Банк БелВЭБ", "Kala Naft Londn"]
    before = [INDEX.find(name, 70) for name in asked]
    left = INDEX.changed(listed[:4], [])
    assert [left.find(name, 70) for name in asked] == [NameIndex(listed[4:]).find(name, 70) for name in asked]
    turned = left
    for _ in range(60):
        turned = turned.changed(listed[4:], listed[:4]).changed(listed[:4], listed[4:])
    again = turned.changed([], listed[:4])
    assert [again.find(name, 70) for name in asked] == before == [INDEX.find(name, 70) for name in asked]
    assert (len(left), len(again)) == (len(LISTED) - 4, len(LISTED))
