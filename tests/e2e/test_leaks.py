"""What is withheld is nowhere on a real exchange: the short and the long form of :mod:`tests.e2e.leaks_show`."""

from __future__ import annotations

import pytest

from tests.e2e.leaks_show import Plan, show
from tests.e2e.report import Report

pytestmark = pytest.mark.kafka


async def test_nobody_holds_what_it_was_not_given_on_kafka() -> None:
    """Messages of all families to random members, through Kafka and a relay process, read by the program: searched byte by byte, no inbox,
    file, output or log has a withheld section or the name of another; what was given is found, and so is each leak that is planted."""
    report = Report()
    await show(report, Plan(messages=51, members=3, relays=1))
    assert not report.failures


@pytest.mark.soak
@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_nobody_holds_what_it_was_not_given_on_kafka_long(seed: int) -> None:
    """The same with 400 messages, ten members and two relay processes, three times."""
    report = Report()
    await show(report, Plan(seed=seed))
    assert not report.failures
