"""Samples of every format are read and hit what was made for them, rules and names hold what they promise, a long file stays small."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.e2e.screening_show import run
from tests.support.records import need_data


def test_samples_are_screened(tmp_path: Path) -> None:
    """Some parties, all samples, all rule cases, some names, twenty thousand rows; the curve is a picture with all its lines."""
    need_data()
    report = run(long=False, watches=500, picture_to=tmp_path / "names.svg")
    assert report is not None
    assert report.failures == []
    lines = ElementTree.parse(tmp_path / "names.svg").getroot().iter("{http://www.w3.org/2000/svg}polyline")
    assert len(list(lines)) == 10


@pytest.mark.soak
def test_all_parties_and_a_million_rows(tmp_path: Path) -> None:
    """The same with the whole list and a file of a million rows."""
    need_data()
    report = run(long=True)
    assert report is not None
    assert report.failures == []
