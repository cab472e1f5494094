"""An exchange in memory for the commands: the fixtures of the service tests."""

from tests.unit.service.conftest import _no_pauses as _no_pauses  # pyright: ignore[reportPrivateUsage]
from tests.unit.service.conftest import world as world
