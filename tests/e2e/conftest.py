"""Fixtures of the end-to-end tests: each module has one exchange of its own, run by the program itself."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest

from tests.e2e.enrolment import SeparateHomes, separate_homes
from tests.support.records import need_data


@pytest.fixture(scope="session")
def records() -> Path:
    """The folder with the public records; tests that want them skip where they are not there."""
    return need_data()


@pytest.fixture(scope="module")
def homes(records: Path, tmp_path_factory: pytest.TempPathFactory) -> Generator[SeparateHomes]:
    """A running exchange whose parties have separate homes."""
    with separate_homes(tmp_path_factory.mktemp("homes")) as made:
        yield made
