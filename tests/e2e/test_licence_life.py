"""A licence granted, suspended, reinstated, partly used and revoked, on a real Kafka through the program; flags within a second."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.licence_show import run

pytestmark = pytest.mark.kafka


@pytest.mark.parametrize("runs", [pytest.param(5, id="short"), pytest.param(100, id="long", marks=pytest.mark.soak)])
def test_a_licence_and_the_alert_that_cites_it(tmp_path: Path, runs: int) -> None:
    """After each step three agencies see the same status, rest and instruction, and the alert is flagged as that asks for; the flag is in
    the register of a recipient within one second of the relay's admission, whichever of the two came last."""
    report = run(tmp_path, runs=runs, told=runs > 5)
    assert report.failures == []
