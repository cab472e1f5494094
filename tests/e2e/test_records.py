"""Messages made from all kinds of public records are accepted, refused and found again as they should be."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.records_show import run
from tests.support.records import need_data


@pytest.fixture
def data() -> Path:
    """The folder with the records."""
    return need_data()


def test_records_become_messages(data: Path) -> None:
    """Some of each kind on an exchange in memory: every message is answered and what was accepted is in the register, refusals and
    findings are those of the tables, the excise messages are linked, and a screening finds what the messages say and nothing else."""
    report = run(long=False, kafka=False)
    assert report is not None
    assert report.failures == []


@pytest.mark.soak
@pytest.mark.kafka
def test_all_records_on_kafka(data: Path) -> None:
    """The same with every record, through the program on a real Kafka."""
    report = run(long=True, kafka=True)
    assert report is not None
    assert report.failures == []
