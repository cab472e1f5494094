"""The shows of families, identifiers, state machines and the register hold; what needs a real Kafka or all records is beside this."""

from __future__ import annotations

import pytest

from tests.e2e import register_show
from tests.e2e.families_show import show_dictionary
from tests.e2e.report import Report
from tests.property.shows import show_histories, show_identifiers


def test_the_dictionary_has_no_empty_cell() -> None:
    """Every family, section and field has its row, with a test in it."""
    report = Report()
    show_dictionary(report)
    assert report.failures == []


@pytest.mark.parametrize("long", [pytest.param(False, id="short"), pytest.param(True, id="long", marks=pytest.mark.soak)])
def test_identifiers(long: bool) -> None:
    """Valid examples are verified and invalid ones refused; no single digit passes where the scheme finds them all, by trying every one
    and by hypothesis; where numbers are few, each has exactly one check digit."""
    report = Report()
    show_identifiers(report, long=long)
    assert report.failures == []


@pytest.mark.parametrize("long", [pytest.param(False, id="short"), pytest.param(True, id="long", marks=pytest.mark.soak)])
def test_state_machines(long: bool) -> None:
    """Replicas that saw the same set end in the same state, whole registers too."""
    report = Report()
    show_histories(report, long=long)
    assert report.failures == []


@pytest.mark.parametrize(
    ("licences", "looks"), [pytest.param(5_000, 500, id="short"), pytest.param(1_000_000, 50_000, id="long", marks=pytest.mark.soak)]
)
def test_a_register_at_size(licences: int, looks: int) -> None:
    """It is built and asked with flat memory; at a million licences a look-up is within three times a bare primary-key read."""
    assert register_show.run(licences=licences, looks=looks).failures == []
