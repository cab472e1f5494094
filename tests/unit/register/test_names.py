"""Names are compared in forms that survive script, case, marks, punctuation and the kind of company."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.register.names import name_forms


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("EXAMPLE TRADING F.Z.E.", "Example Trading FZE"),
        ("Müller & Söhne GmbH", "MULLER UND SOHNE".replace(" UND", "")),
        ("ООО «Ромашка»", "Romashka LLC"),
        ("Ivanov, Sergei", "Sergei IVANOV"),
        ("Société Générale S.A.", "SOCIETE GENERALE"),
        ("ＦＵＬＬ Ｗｉｄｔｈ Ｌｔｄ．", "Full Width (Pte) Ltd"),
        ("東京貿易株式会社", "株式会社東京貿易"),
        ("한국무역 주식회사", "한국무역"),
        ("O’Brien Ltd", "O'BRIEN"),
    ],
)
def test_one_name_in_two_ways(one: str, other: str) -> None:
    """Both writings have the same bare form."""
    assert name_forms(one).bare == name_forms(other).bare != ""


@pytest.mark.parametrize(("one", "other"), [("Alpha Trading Ltd", "Beta Trading Ltd"), ("Ромашка", "Ромашкин"), ("A1 Parts", "A2 Parts")])
def test_different_names_stay_different(one: str, other: str) -> None:
    """No form of one is a form of the other."""
    assert {name_forms(one).normal, name_forms(one).latin, name_forms(one).bare}.isdisjoint(
        {name_forms(other).normal, name_forms(other).latin, name_forms(other).bare}
    )


def test_legal_words_are_kept_apart() -> None:
    """The kind of company is told, and a name of nothing else keeps a word."""
    assert name_forms("Example Trading (Pte) Ltd").legal == ("pte", "ltd")
    assert name_forms("Co., Ltd").bare == "co"


@given(st.text(max_size=80))
def test_any_text_has_stable_forms(text: str) -> None:
    """Whatever is written, forms are found without error, the romanised ones are ASCII, and a form of a form is itself."""
    forms = name_forms(text)
    assert forms.latin.isascii()
    assert forms.bare.isascii()
    assert name_forms(forms.normal).normal == forms.normal
    assert name_forms(forms.latin).latin == forms.latin
    assert name_forms(text.upper()).bare == name_forms(text.upper().casefold()).bare
