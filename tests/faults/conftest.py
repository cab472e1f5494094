"""Fixtures of the crash tests: those of the service tests."""

from __future__ import annotations

from tests.unit.service.conftest import _no_pauses as _no_pauses  # pyright: ignore[reportPrivateUsage]
from tests.unit.service.conftest import world as world
