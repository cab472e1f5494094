"""A recall on a real Kafka, from the command line, with compaction forced."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.recall_show import story
from tests.e2e.report import Report
from tests.e2e.test_cli import called


@pytest.mark.kafka
async def test_the_content_is_gone_everywhere(tmp_path: Path) -> None:
    """Five holders, one offline: four of five, silence, back online, five of five; the content is in no byte of any holder's home, nor of
    the segments of exchange.current and the inboxes; who was offline reads the recall and nothing else of it."""
    report = Report()
    await story(tmp_path, report)
    assert report.failures == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("recall", "status", "MY-CUSTOMS/2026/1", "--as", "SG-CUSTOMS"), "is not SG-CUSTOMS's"),
        (("recall", "status", "SG-CUSTOMS/2026/1", "--as", "SG-CUSTOMS", "--contact", "DESK=soon"), "is no contact"),
        (("recall", "status", "nothing", "--as", "SG-CUSTOMS"), "is not a subject id"),
        (("recall", "SG-CUSTOMS/2026/1", "--as", "SG-CUSTOMS", "--reason", "BORED"), "--reason"),
        (("recall", "SG-CUSTOMS/2026/1", "--as", "SG-CUSTOMS", "--reason", "ERROR"), "was not published from this home"),
        (("trace", "MY-CUSTOMS/2026/1", "--as", "SG-CUSTOMS"), "is not SG-CUSTOMS's"),
    ],
)
def test_wrong_use(arguments: tuple[str, ...], said: str, tmp_path: Path) -> None:
    """Exit code 2 and what to do, before anything is asked of an exchange."""
    code, _, err = called(*arguments, "--home", str(tmp_path))
    assert code == 2
    assert said in " ".join(err.split())
