"""Altered parcels before the whole of admission, at the relay and at a recipient: none is accepted, and nothing is raised."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import pytest

from broker.errors import REFUSALS
from tests.hostile.alterations import FLIPPED, KINDS, MASKS, MISPLACED, Altered, altered, flipped
from tests.hostile.scene import scene

ALL_KINDS = {FLIPPED, MISPLACED, *KINDS}


def judged(alterations: Iterable[Altered]) -> Counter[str]:
    """How many there were of each kind; each must be refused with a code that is documented."""
    made, seen = scene(), Counter[str]()
    for kind, original, value, reader in alterations:
        code = made.code(value, original, reader=reader)
        assert code in REFUSALS, f"{kind}: {original.form}, read by {reader or original.reader}: `{code}`"
        seen[kind] += 1
    return seen


def test_the_originals_are_accepted_and_differ_in_form() -> None:
    """The judges let every original pass: both algorithms, both forms of statement and slip, with and without withheld sections."""
    originals = scene().originals
    assert {scene().code(original.value, original) for original in originals} == {""}
    proofs = {(original.delivered, original.parcel.statement.alg, original.parcel.statement.proof is None) for original in originals}
    assert len(proofs) == 8
    shares = {len(original.made.sections) - 1 - len(original.parcel.sections) for original in originals if original.delivered}
    assert 0 in shares
    assert max(shares) > 0
    assert len({original.value for original in originals}) == len(originals)


def test_altered_parcels_are_refused() -> None:
    """Some two thousand, of every kind and every original."""
    seen = judged(altered(scene(), step=260, thin=26))
    assert seen.keys() == ALL_KINDS
    assert sum(seen.values()) > 2_000


@pytest.mark.soak
@pytest.mark.parametrize("part", range(2))
def test_every_alteration_is_refused(part: int) -> None:
    """Every byte of every original changed, in each part by another mask; in the first part also all other alterations."""
    made = scene()
    if part == 0:
        seen = judged(altered(made, step=7, thin=1))
        assert sum(seen.values()) > 50_000
    bytes_of = (
        Altered(FLIPPED, original, flipped(original, at, mask=MASKS[(at + part) % len(MASKS)]))
        for original in made.originals
        for at in range(len(original.value))
    )
    assert judged(bytes_of)[FLIPPED] > 100_000
