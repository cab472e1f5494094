"""A licence granted, suspended, reinstated, partly used and revoked, on a real Kafka through the program; flags within a second."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.licence_show import run


@pytest.mark.kafka
@pytest.mark.soak
def test_a_licence_and_the_alert_that_cites_it(tmp_path: Path) -> None:
    """After each step three agencies see the same status, rest and instruction, and the alert is flagged as that asks for; the flag is in
    the register of a recipient within one second of the relay's admission, whichever of the two came last, a hundred times each. The
    short forms are in ``test_register.py``, where the exchange is there already."""
    report = run(tmp_path, runs=100)
    assert report.failures == []
