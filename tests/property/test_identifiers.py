"""Identifiers under any text, and check digits under any slip."""

from __future__ import annotations

from string import ascii_uppercase, digits
from typing import Any, Literal, get_args, get_origin, is_typeddict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.families.catalogue import FAMILIES
from broker.families.code_findings import CODE_FINDINGS, FINDINGS_LIMIT
from broker.families.coded import FIELDS, check_codes
from broker.families.codelists import NO_LISTS
from broker.families.completion import fields
from broker.families.identifiers.kinds import ALL, KINDS

DRAWN = {
    "container": st.from_regex(r"[A-Z]{3}[UJZ][0-9]{7}", fullmatch=True),
    "ship": st.text(digits, min_size=7, max_size=7),
    "wagon": st.text(digits, min_size=12, max_size=12),
    "gtin": st.one_of(*(st.text(digits, min_size=size, max_size=size) for size in (8, 12, 13, 14))),
    "sscc": st.text(digits, min_size=18, max_size=18),
    "movement": st.from_regex(r"[0-9]{2}[A-Z]{2}[A-Z0-9]{13}[0-9]", fullmatch=True),
    "air_waybill": st.from_regex(r"[0-9]{3}-[0-9]{8}", fullmatch=True),
    "cas": st.from_regex(r"[1-9][0-9]{1,6}-[0-9]{2}-[0-9]", fullmatch=True),
    "post_item": st.from_regex(r"[A-Z]{2}[0-9]{9}[A-Z]{2}", fullmatch=True),
    "legal_entity": st.from_regex(r"[A-Z0-9]{18}[0-9]{2}", fullmatch=True),
}  # fmt: skip
"""Texts of the form of each scheme that has a check digit."""
NEAR = st.one_of(
    st.text(max_size=60), st.text(" -./()" + digits + ascii_uppercase + "abx", max_size=30),
    st.sampled_from([value for kind in KINDS.values() for value in kind.valid + kind.invalid]),
)  # fmt: skip
"""Any text, and such as comes near to an identifier."""


@given(st.sampled_from(sorted(KINDS)), NEAR)
def test_no_text_is_too_strange_to_be_judged(kind: str, text: str) -> None:
    """A judge never raises, never changes the value, and gives a reason where something is wrong, which a receipt can hold."""
    verdict = KINDS[kind].judge(text)
    assert verdict.value == text
    assert verdict.valid == (verdict.reason == "")
    assert verdict.reason.isprintable()
    assert len(verdict.reason) < 300
    if verdict.normal is not None and verdict.fault == "SPELLING":
        assert verdict.normal != text
        assert KINDS[kind].judge(verdict.normal).fault is None


@given(st.sampled_from(sorted(DRAWN)), st.data())
def test_the_right_check_digit_is_right(kind: str, data: st.DataObject) -> None:
    """What a verdict names as right is valid, differs from what was given in its check digits only, and is found again."""
    value = data.draw(DRAWN[kind])
    verdict = KINDS[kind].judge(value)
    if verdict.fault is None:
        return
    assert verdict.fault == "CHECK"
    assert verdict.right is not None
    assert KINDS[kind].judge(verdict.right).valid
    assert sum(one != other for one, other in zip(verdict.right, value, strict=True)) <= (2 if kind == "legal_entity" else 1)


@pytest.mark.parametrize("kind", [name for name, kind in KINDS.items() if kind.single == ALL])
@given(data=st.data())
def test_no_single_digit_slips_through_where_the_scheme_finds_all(kind: str, data: st.DataObject) -> None:
    """For schemes that find every single wrong digit, hypothesis finds none that passes."""
    value = data.draw(DRAWN[kind])
    right = KINDS[kind].judge(value).right or value
    place = data.draw(st.integers(0, len(right) - 1))
    other = data.draw(st.sampled_from([sign for sign in digits if sign != right[place]]))
    assert KINDS[kind].judge(right[:place] + other + right[place + 1 :]).fault == "CHECK"


LEAVES = st.sampled_from(sorted({field.name for field in FIELDS} | {"scheme", "hs_edition", "id_scheme", "type", "note", "found"}))
RECORDS = st.sampled_from(["units", "documents", "control_codes", "parties"])
VALUES = st.recursive(
    st.none() | st.integers() | st.booleans() | NEAR,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(LEAVES | RECORDS, inner, max_size=5),
    max_leaves=20,
)  # fmt: skip


@given(st.dictionaries(st.sampled_from(["core", "goods", "equipment"]), st.dictionaries(LEAVES, VALUES, max_size=6), max_size=3))
def test_the_walk_takes_any_message(sections: dict[str, dict[str, object]]) -> None:
    """Whatever lies under whichever name: no exception, every finding is of the table, and a message is walked the same each time."""
    found = check_codes("any", sections, NO_LISTS)
    assert found == check_codes("any", sections, NO_LISTS)
    assert len(found) <= FINDINGS_LIMIT + 2
    for finding in found:
        assert CODE_FINDINGS[finding.code][0] == finding.severity
        assert finding.severity in ("WARN", "INFO")
        assert finding.reason


def _sections_of(family: str) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({name: records_of(kind) for name, kind in FAMILIES[family].types.items()})


def records_of(kind: type) -> st.SearchStrategy[dict[str, Any]]:
    """Records of a typed dictionary with whatever texts in its fields, near to codes."""
    return st.fixed_dictionaries({name: _values_of(bare, nullable) for name, (bare, nullable, _default) in fields(kind).items()})


def _values_of(bare: Any, nullable: bool) -> st.SearchStrategy[Any]:
    inside = get_args(bare)[0] if get_origin(bare) is list else bare
    plain = st.sampled_from(get_args(inside)) if get_origin(inside) is Literal else NEAR if inside is str else st.just(7)
    value: st.SearchStrategy[Any] = records_of(inside) if is_typeddict(inside) else plain
    if get_origin(bare) is list:
        value = st.lists(value, max_size=2)
    return st.one_of(st.none(), value) if nullable else value


@settings(max_examples=60)
@given(st.data(), st.sampled_from(sorted(FAMILIES)))
def test_the_steps_of_a_type_pass_over_no_code(data: st.DataObject, family: str) -> None:
    """A walk by the steps that follow from a section's type finds what a walk through the whole section finds, at the same paths."""
    sections = data.draw(_sections_of(family))
    quick, whole = (check_codes(family, sections, NO_LISTS, types) for types in (FAMILIES[family].types, None))
    if len(whole) > FINDINGS_LIMIT:
        assert len(quick) == len(whole)  # both ended early, each where it was
    else:
        assert sorted(quick, key=repr) == sorted(whole, key=repr)
