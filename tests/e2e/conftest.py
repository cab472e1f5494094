"""Fixtures of the end-to-end tests: exchanges that the program itself runs."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest

from tests.e2e.enrolment import SeparateHomes, separate_homes
from tests.e2e.program import loaded_once
from tests.e2e.three_homes import Exchanged, critical_alerts, exchange_messages, licences
from tests.support.records import need_data


@pytest.fixture(scope="session", autouse=True)
def _program_is_loaded_once() -> Generator[None]:  # pyright: ignore[reportUnusedFunction]
    """Half a second of each of some three hundred calls is to load the program."""
    with loaded_once():
        yield


@pytest.fixture(scope="session")
def records() -> Path:
    """The folder with the public records; tests that want them skip where they are not there."""
    return need_data()


@pytest.fixture(scope="package")
def homes(records: Path, tmp_path_factory: pytest.TempPathFactory) -> Generator[SeparateHomes]:
    """A running exchange whose parties have separate homes."""
    with separate_homes(tmp_path_factory.mktemp("homes")) as made:
        yield made


@pytest.fixture(scope="package")
def exchanged(homes: SeparateHomes, records: Path) -> Exchanged:
    """Alerts and licence decisions made from records, published at two of the agencies and read at all four."""
    return exchange_messages(homes, critical_alerts(records), licences(records, 30))
