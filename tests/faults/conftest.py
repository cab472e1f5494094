"""Fixtures of the crash tests, those of the service tests; and the table of ``make faults``."""

from __future__ import annotations

import os

import pytest

from tests.faults.matrix import matrix_lines
from tests.unit.service.conftest import _no_pauses as _no_pauses  # pyright: ignore[reportPrivateUsage]
from tests.unit.service.conftest import world as world


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The table, where it is asked for."""
    if os.environ.get("BROKER_FAULT_TABLE"):
        reports = [report for outcome in ("passed", "failed", "error") for report in terminalreporter.stats.get(outcome, [])]
        terminalreporter.section("every write, and what was found")
        for line in matrix_lines(reports):
            terminalreporter.write_line(line)
