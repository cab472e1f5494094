"""A long table is looked at in bounded memory."""

from __future__ import annotations

import pytest

from tests.e2e.bulk_show import run
from tests.support.records import need_data


def test_some_rows() -> None:
    """Five thousand rows: each is told of, in the memory that a million takes."""
    need_data()
    report = run(5_000)
    assert report is not None
    assert report.failures == []


@pytest.mark.soak
def test_a_million_rows() -> None:
    """A million rows come to an end, in the same memory."""
    need_data()
    report = run(1_000_000)
    assert report is not None
    assert report.failures == []
