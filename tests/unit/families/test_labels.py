"""The rules of the header's labels, one broken rule at a time."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from typing import Any

import pytest

from broker.errors import Refusal
from broker.families.labels import EARLIEST_MS, LATEST_MS, check_labels, readable
from broker.families.message import Audience
from broker.values import Correlation, Evaluation
from tests.unit.families.samples import UNTIL_MS, good_alert, good_licence

NAMED = Audience(agencies=("AE-CUSTOMS",))

BAD: list[tuple[dict[str, Any], str]] = [
    ({"subject": "SG-CUSTOMS"}, "subject"),
    ({"subject": "SG-CUSTOMS/" + "9" * 60}, "subject"),
    ({"subject": "SG-CUSTOMS/../x"}, "subject"),
    ({"revision": 0}, "revision"),
    ({"revision": 1 << 31}, "revision"),
    ({"urgency": "SOON"}, "header.urgency"),
    ({"handling": "H4"}, "header.handling"),
    ({"tlp": "AMBER+STRICT"}, "header.tlp"),
    ({"pap": "BLUE"}, "header.pap"),
    ({"onward": "ANY"}, "header.onward"),
    ({"retention": "R2Y"}, "header.retention"),
    ({"evaluation": Evaluation("D", "I1")}, "header.evaluation.source"),
    ({"evaluation": Evaluation("A", "1")}, "header.evaluation.information"),
    ({"purposes": ()}, "header.purposes"),
    ({"purposes": ("STATISTICS", "FUN")}, "header.purposes[1]"),
    ({"purposes": ("STATISTICS", "STATISTICS")}, "header.purposes"),
    ({"legal_basis": ""}, "header.legal_basis"),
    ({"legal_basis": "because"}, "header.legal_basis"),
    ({"legal_basis": "CMAA:SG-AE\n"}, "header.legal_basis"),
    ({"language": "eng"}, "header.language"),
    ({"language": "EN"}, "header.language"),
    ({"handling": "H3"}, "header.handling_caveat"),
    ({"handling": "H3", "handling_caveat": "  "}, "header.handling_caveat"),
    ({"handling_caveat": "read \u202eme"}, "header.handling_caveat"),
    ({"handling_caveat": "x" * 1001}, "header.handling_caveat"),
    ({"handling": "H2", "onward": "FREE"}, "header.onward"),
    ({"handling": "H2", "onward": "SAME_PURPOSE_NATIONAL"}, "header.onward"),
    ({"handling": "H1", "evidential_use": True}, "header.evidential_use"),
    ({"valid_until_ms": None}, "header.valid_until"),
    ({"valid_from_ms": UNTIL_MS + 1}, "header.valid_until"),
    ({"valid_from_ms": EARLIEST_MS - 1}, "header.valid_from"),
    ({"valid_until_ms": LATEST_MS}, "header.valid_until"),
    ({"embargo_until_ms": UNTIL_MS}, "header.embargo_until"),
    ({"audience": Audience(agencies=tuple(f"AE-A{number:04}" for number in range(1001)))}, "header.audience.agencies"),
    ({"tlp": "RED", "audience": Audience()}, "header.audience.agencies"),
    ({"tlp": "RED", "audience": replace(NAMED, communities=("STCE-ASEAN",))}, "header.audience.communities"),
    ({"tlp": "RED", "audience": replace(NAMED, countries=("AE",))}, "header.audience.countries"),
    ({"audience": Audience(agencies=("AE-CUSTOMS", "AE-customs"))}, "header.audience.agencies[1]"),
    ({"audience": Audience(communities=("stce",))}, "header.audience.communities[0]"),
    ({"audience": Audience(countries=("ARE",))}, "header.audience.countries[0]"),
    ({"correlation": Correlation(causation=bytes(15))}, "header.correlation.causation"),
    ({"correlation": Correlation(target="nothing")}, "header.correlation.target"),
    ({"correlation": Correlation(target_revision=1)}, "header.correlation.target"),
    ({"correlation": Correlation(target="SG-CUSTOMS/1", target_revision=0)}, "header.correlation.target_revision"),
    ({"correlation": Correlation(case_ref="C" * 36)}, "header.correlation.case_ref"),
    ({"correlation": Correlation(case_ref="")}, "header.correlation.case_ref"),
]

GOOD: list[dict[str, Any]] = [
    {"tlp": "RED", "audience": NAMED},
    {"tlp": "AMBER_STRICT", "pap": "RED"},
    {"handling": "H2", "onward": "NONE"},
    {"handling": "H3", "handling_caveat": "speak to us first\nبه ما بگویید"},
    {"handling": "H0", "evidential_use": True},
    {"audience": Audience()},
    {"valid_from_ms": UNTIL_MS, "embargo_until_ms": UNTIL_MS - 1},
    {"legal_basis": "EU2021/821"},
    {"legal_basis": "EU515/97:art-17"},
    {"legal_basis": "NATIONAL:SG", "language": "th"},
    {"correlation": Correlation(bytes(16), "MY-CUSTOMS/2026/9", 4, "Op 12/2026")},
]


@pytest.mark.parametrize(("labels", "path"), BAD, ids=[f"{path}-{n}" for n, (_, path) in enumerate(BAD)])
def test_a_broken_rule_is_refused_at_its_label(labels: dict[str, Any], path: str) -> None:
    """Each rule refuses with BAD_LABELS and the path of the label that the sender has to correct."""
    refusal = check_labels(replace(good_alert(), **labels))
    assert isinstance(refusal, Refusal)
    assert (refusal.code, refusal.path) == ("BAD_LABELS", path)


@pytest.mark.parametrize("labels", GOOD, ids=str)
def test_what_the_rules_allow(labels: dict[str, Any]) -> None:
    """The other side of each rule passes: refusing everything would pass the test above too."""
    assert check_labels(replace(good_alert(), **labels)) is None


def test_only_alerts_must_end() -> None:
    """A licence may hold without end."""
    assert check_labels(good_licence()) is None


@pytest.mark.parametrize("label", ["handling_caveat", "legal_basis", "language", "tlp"])
def test_nothing_is_kept_of_labels_that_are_refused(label: str) -> None:
    """Labels that passed are remembered; those that a hostile sender makes a hundred kilobytes long leave nothing behind."""
    message = good_alert()
    check_labels(message)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for number in range(50):
            labels: dict[str, Any] = {label: f"{number:03}" + "X" * 100_000}
            assert isinstance(check_labels(replace(message, **labels)), Refusal)
        after = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert after - before < 500_000


def test_readable_text() -> None:
    """Joiners of Persian and Indic scripts are text; direction overrides, controls and decomposed letters are not."""
    assert readable("می\u200cخواهم", 20)
    assert readable("line\nline", 20)
    for text in ("", "a\x00", "a\u202e", "a\ud800", "e\u0301", "a\u2028b", "x" * 21):
        assert not readable(text, 20)
