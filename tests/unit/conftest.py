"""A register that any unit test may ask for."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from tests.support.deliveries import Kept


@pytest.fixture
def kept() -> Generator[Kept]:
    """A register in memory."""
    made = Kept()
    yield made
    made.close()
