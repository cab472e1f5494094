"""The short form of :mod:`tests.e2e.suspension_show`: an agency is suspended in the middle of traffic."""

from __future__ import annotations

import pytest

from tests.e2e.report import Report
from tests.e2e.suspension_show import Plan, show

pytestmark = pytest.mark.kafka


async def test_suspended_under_traffic() -> None:
    """Within five seconds of the directory entry nothing reaches the agency, over no connection that was open before; the command lists
    what lies in its inbox, its next attempts get nothing, and the others are served on, losing and doubling nothing."""
    report = Report()
    await show(report, Plan(rate=24, before_s=3, after_s=3, strict=False, command_s=90))
    assert not report.failures
