"""Which slips each check digit finds, exactly: what the documents say is compared with every slip of many numbers.

For each scheme an independent rule foretells which altered numbers pass. The rule and the judge must agree on every one: all single
characters at all places, and all neighbours changed about. The numbers are drawn so that every place sees every character.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from itertools import pairwise
from string import ascii_uppercase, digits

import pytest

from broker.families.identifiers.kinds import ALL, KINDS

Foretold = Callable[[str, str], bool]
"""Whether the check digits of two numbers of one scheme, the first of them valid, let the second pass too."""

NUMBERS = 60


def _iso_value(sign: str) -> int:
    """ISO 6346, by its text: digits themselves; A is 10, and 11, 22 and 33 are left out."""
    if sign in digits:
        return int(sign)
    return [number for number in range(10, 39) if number % 11][ascii_uppercase.index(sign)]


def _iso_remainder(number: str) -> int:
    return sum(_iso_value(sign) * 2**place for place, sign in enumerate(number[:-1])) % 11


def _iso_passes(_: str, altered: str) -> bool:
    return altered[-1] in digits and _iso_remainder(altered) % 10 == int(altered[-1])


def _weighted(weights: list[int], modulus: int, places: list[int], check: int) -> Foretold:
    """A weighted sum over some places that the check digit's place shows as it is."""

    def passes(_: str, altered: str) -> bool:
        return sum(int(altered[place]) * weight for place, weight in zip(places, weights, strict=True)) % modulus == int(altered[check])

    return passes


def _awb_passes(_: str, altered: str) -> bool:
    number = altered.replace("-", "")
    return int(number[3:10]) % 7 == int(number[10])


def _cas_passes(_: str, altered: str) -> bool:
    number = altered.replace("-", "")
    return altered[0] != "0" and sum(int(d) * n for n, d in enumerate(reversed(number[:-1]), 1)) % 10 == int(number[-1])


def _luhn_passes(_: str, altered: str) -> bool:
    total = 0
    for place, sign in enumerate(reversed(altered)):
        doubled = int(sign) * (2 if place % 2 else 1)
        total += doubled // 10 + doubled % 10
    return total % 10 == 0


def _gs1_passes(_: str, altered: str) -> bool:
    return sum(int(sign) * (3 if place % 2 else 1) for place, sign in enumerate(reversed(altered))) % 10 == 0


def _s10_passes(_: str, altered: str) -> bool:
    rest = sum(int(d) * w for d, w in zip(altered[2:10], (8, 6, 4, 2, 3, 5, 9, 7), strict=True)) % 11
    return {0: 5, 1: 0}.get(rest, 11 - rest) == int(altered[10])


def _lei_passes(_: str, altered: str) -> bool:
    return altered[-2:].isdigit() and int("".join(str(int(sign, 36)) for sign in altered)) % 97 == 1


SCHEMES: dict[str, tuple[str, Foretold]] = {
    # a pattern of places: A letter, 9 digit, X either, others as they are
    "container": ("AAAU9999999", _iso_passes), "movement": ("99AAXXXXXXXXXXXXX9", _iso_passes),
    "ship": ("9999999", _weighted([7, 6, 5, 4, 3, 2], 10, [0, 1, 2, 3, 4, 5], 6)), "air_waybill": ("999-99999999", _awb_passes),
    "cas": ("9999999-99-9", _cas_passes), "wagon": ("999999999999", _luhn_passes), "gtin": ("9999999999999", _gs1_passes),
    "sscc": ("999999999999999999", _gs1_passes), "post_item": ("AA999999999AA", _s10_passes),
    "legal_entity": ("XXXXXXXXXXXXXXXXXX99", _lei_passes),
}  # fmt: skip
_SIGNS = {"A": ascii_uppercase, "9": digits, "X": digits + ascii_uppercase}


def numbers(kind: str) -> Iterator[str]:
    """Valid numbers of a kind."""
    chance, shape = random.Random(kind), SCHEMES[kind][0]
    for _ in range(NUMBERS):
        drawn = "".join(chance.choice(_SIGNS[sign]) if sign in _SIGNS else sign for sign in shape)
        drawn = f"1{drawn[1:]}" if kind == "cas" else drawn
        verdict = KINDS[kind].judge(drawn)
        yield verdict.right or drawn


def slips(kind: str, number: str) -> Iterator[tuple[str, str, str]]:
    """Each altered number with ``single`` or ``swap`` and the two signs concerned; only such as have the scheme's form."""
    shape = SCHEMES[kind][0]
    places = [place for place, sign in enumerate(shape) if sign in _SIGNS]
    for place in places:
        for sign in _SIGNS[shape[place]]:
            if sign != number[place]:
                yield "single", number[place] + sign, number[:place] + sign + number[place + 1 :]
    for left, right in pairwise(places):
        if number[left] != number[right]:
            swapped = list(number)
            swapped[left], swapped[right] = number[right], number[left]
            yield "swap", number[left] + number[right], "".join(swapped)


@pytest.mark.parametrize("kind", SCHEMES)
def test_the_judge_and_an_independent_rule_agree_on_every_slip(kind: str) -> None:
    """Of every altered number that has the scheme's form, the judge says what an independent reckoning says."""
    judge, passes = KINDS[kind].judge, SCHEMES[kind][1]
    seen = 0
    for number in numbers(kind):
        assert judge(number).valid
        for _, _, altered in slips(kind, number):
            verdict = judge(altered)
            if verdict.fault != "FORM":
                seen += 1
                assert verdict.valid == passes(number, altered), (number, altered)
    assert seen > NUMBERS * 40


def missed(kind: str) -> dict[str, set[str]]:
    """The slips that pass, as the two signs concerned, by ``single`` and ``swap``."""
    found: dict[str, set[str]] = {"single": set(), "swap": set()}
    for number in numbers(kind):
        for slip, signs, altered in slips(kind, number):
            if KINDS[kind].judge(altered).valid:
                found[slip].add(signs)
    return found


def gaps(pairs: set[str]) -> set[int]:
    """The differences between digits that passed."""
    return {abs(int(pair[0]) - int(pair[1])) for pair in pairs}


def test_luhn_finds_all_but_09() -> None:
    """A wagon number: every single digit, every pair of neighbours but 09 and 90."""
    assert KINDS["wagon"].single == ALL
    assert missed("wagon") == {"single": set(), "swap": {"09", "90"}}


@pytest.mark.parametrize("kind", ["gtin", "sscc"])
def test_gs1_finds_all_but_neighbours_five_apart(kind: str) -> None:
    """Weights 3 and 1 have no divisor in common with 10, and differ by 2: only a difference of 5 changes about unseen."""
    assert KINDS[kind].single == ALL
    found = missed(kind)
    assert found["single"] == set()
    assert gaps(found["swap"]) == {5}


def test_imo_misses_single_digits_and_no_neighbours() -> None:
    """Weights 6, 5, 4 and 2 share a divisor with 10; neighbouring weights differ by 1, so no two neighbours change about unseen."""
    found = missed("ship")
    assert gaps(found["single"]) == {2, 4, 5, 6, 8}
    assert (found["swap"], KINDS["ship"].swaps) == (set(), ALL)
    for weight, place in zip((7, 6, 5, 4, 3, 2), range(6), strict=True):
        unseen = {gap for gap in range(1, 10) if weight * gap % 10 == 0}
        base = "000000"
        for gap in range(1, 10):
            altered = f"{base[:place]}{gap}{base[place + 1 :]}0"
            assert KINDS["ship"].judge(altered).valid == (gap in unseen)


def test_air_waybills_miss_a_difference_of_seven() -> None:
    """Modulo 7, digits that differ by 7 are one; the airline's prefix is not in the sum at all."""
    judge = KINDS["air_waybill"].judge
    found: set[int] = set()
    for number in numbers("air_waybill"):
        for place in (*range(4, 12),):
            for sign in digits:
                altered = number[:place] + sign + number[place + 1 :]
                if sign != number[place] and judge(altered).valid:
                    found.add(abs(int(sign) - int(number[place])))
        assert judge("999" + number[3:]).valid
    assert found == {7}


def test_container_and_movement_miss_equal_values_and_ten() -> None:
    """A slip passes exactly where the signs are equal modulo 11, or the remainder goes from 10 to 0 or back."""
    for kind in ("container", "movement"):
        for number in numbers(kind):
            for slip, signs, altered in slips(kind, number):
                verdict = KINDS[kind].judge(altered)
                if verdict.fault == "FORM" or altered[-1] != number[-1]:
                    continue
                same = (_iso_value(signs[0]) - _iso_value(signs[1])) % 11 == 0
                ten = {_iso_remainder(number), _iso_remainder(altered)} == {0, 10}
                assert verdict.valid == (same or ten), (slip, number, altered)


def test_post_items_miss_remainder_six_for_none() -> None:
    """11 minus 6 is 5, and so is what stands for remainder 0; the letters are not in the sum."""

    def remainder(number: str) -> int:
        return sum(int(d) * w for d, w in zip(number[2:10], (8, 6, 4, 2, 3, 5, 9, 7), strict=True)) % 11

    for number in numbers("post_item"):
        for _, signs, altered in slips("post_item", number):
            verdict = KINDS["post_item"].judge(altered)
            if signs.isalpha():
                assert verdict.valid or verdict.fault == "FORM"
            elif verdict.fault != "FORM" and altered[10] == number[10]:
                assert verdict.valid == ({remainder(number), remainder(altered)} == {0, 6}), (number, altered)


def test_cas_misses_what_its_weights_share_with_ten() -> None:
    """Weights 2, 4, 5, 6 and 8 share a divisor with 10. Neighbours differ by 1 in weight: only across the last hyphen a 5 passes."""
    found = missed("cas")
    assert gaps(found["single"]) == {2, 4, 5, 6, 8}
    assert gaps(found["swap"]) <= {5}
    judge, unseen = KINDS["cas"].judge, set[int]()
    for body in range(100, 10_000):
        for last in range(10):
            number = judge(f"{body // 10}-{body % 10}{last}-0").right or f"{body // 10}-{body % 10}{last}-0"
            if number[-1] != str(last) and judge(f"{number[:-3]}{number[-1]}-{last}").valid:
                unseen.add(abs(int(number[-1]) - last))
    assert unseen == {5}


def test_lei_finds_every_digit_for_a_digit_and_letter_for_a_letter() -> None:
    """97 is prime and divides no difference below it; a letter is two digits, so a letter for a digit moves all before it."""
    found = missed("legal_entity")
    for pairs in found.values():
        assert all(pair[0].isdigit() != pair[1].isdigit() for pair in pairs)
    assert found["single"]
