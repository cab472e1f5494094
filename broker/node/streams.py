"""How many streams there are, of whom. A place is taken before anything is answered and given back when the request has ended, however it
ended: a client that vanished before its stream began has none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Final, cast

from broker.node.access import user_of
from broker.node.problems import NotDone
from broker.node.scope import AT_END, STILL, Connection, scope_of

STREAMS: Final = 64
"""Most streams at a time, of all clients."""
OF_ONE: Final = STREAMS // 4
"""Most streams of one user."""

NOT_KEPT: Final = {"Cache-Control": "no-store"}
"""Headers of a stream: the framework's own would let it be kept."""


class Streams:
    """The streams that are open, by user."""

    def __init__(self) -> None:
        self._of: Counter[str] = Counter()

    def __len__(self) -> int:
        return self._of.total()

    def open(self, connection: Connection) -> None:
        """Take a place for this request. Raises NotDone where there is none."""
        name = user_of(connection).name
        if len(self) >= STREAMS or self._of[name] >= OF_ONE:
            raise NotDone("TOO_MANY", "too many streams are open", {"Retry-After": "30"})
        self._of[name] += 1
        at_end(connection, lambda: self._close(name))

    def _close(self, name: str) -> None:
        self._of[name] -= 1
        if not self._of[name]:
            del self._of[name]


def at_end(connection: Connection, end: Callable[[], None]) -> None:
    """Call ``end`` when the request has ended, whether its answer was begun or not."""
    cast("list[Callable[[], None]]", scope_of(connection)[AT_END]).append(end)


def still(connection: Connection) -> bool:
    """Whether who opened a stream may go on: the user is there as it was, its token has not expired."""
    return bool(scope_of(connection)[STILL]())
