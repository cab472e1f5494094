"""The state of shards that other workers hold, read as they write it, so that whoever takes one over has almost nothing left to read.

What is kept is what any worker would find in ``exchange.state``: committed records only, in the order of the log. Nothing here is
believed by itself: who takes a shard fences its holder first, and then reads the rest of the log up to its end, which is fixed by
then. Other than that only time is at stake: 60,000 subjects of a shard take a second to read, and a worker that dies leaves several
shards at once. (A cold first transaction needs no warming: over 1,000 inboxes it takes 0.3 s, 0.15 s when warm, as their metadata is
fetched in one request.)

Memory is bounded: of more than :data:`ROWS_LIMIT` rows the largest shards are not kept warm, and whoever takes them reads all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import structlog

from broker.errors import BrokerError
from broker.exchange.shard import ShardState
from broker.exchange.topology import STATE
from broker.ports import Inlet, Source, Start, Transport

ROWS_LIMIT: Final = 200_000
"""Most records read of shards that are kept warm, all together: about 100 MB."""
POLL_RECORDS: Final = 500
IDLE_S: Final = 0.5
PAUSE_S: Final = 2.0
"""Wait after a failure to read. Nobody depends on it."""

_log = structlog.get_logger("relay")


@dataclass(slots=True)
class Warm:
    """A shard's state as far as it was read: ``position`` is where to read on, ``rows`` how many records went into it."""

    state: ShardState
    position: Start = "beginning"
    rows: int = 0


class Standby:
    """Follows the shards that this worker does not hold. Run :meth:`follow`; :meth:`hold` says which it holds now."""

    def __init__(self, transport: Transport, shards: int, *, rows_limit: int = ROWS_LIMIT) -> None:
        self._transport, self._limit = transport, rows_limit
        self._warm = {number: Warm(ShardState(number)) for number in range(shards)}
        self._given_up: set[int] = set()
        self._changed = asyncio.Event()

    @property
    def rows(self) -> Mapping[int, int]:
        """How many records were read of each shard that is followed."""
        return {number: warm.rows for number, warm in self._warm.items()}

    @property
    def given_up(self) -> frozenset[int]:
        """Shards that are not kept warm because there would be too much."""
        return frozenset(self._given_up)

    def take(self, number: int) -> Warm:
        """The state of a shard that is this worker's from now on; an empty one, to be read from the beginning, where none is warm."""
        self._changed.set()
        return self._warm.pop(number, None) or Warm(ShardState(number))

    def release(self, numbers: Iterable[int]) -> None:
        """These shards are not this worker's any more. Their state is read anew: what this worker knew may never have been committed."""
        for number in numbers:
            self._warm[number] = Warm(ShardState(number))
            self._given_up.discard(number)
        self._changed.set()

    async def follow(self) -> None:
        """Read for ever. Failures to read are waited out."""
        while True:
            try:
                inlet = await self._transport.inlet()
                try:
                    await self._read(inlet)
                finally:
                    await inlet.close()
            except BrokerError as error:
                _log.info("state of other shards not followed", code=error.code, reason=str(error))
                await asyncio.sleep(PAUSE_S)

    async def _read(self, inlet: Inlet) -> None:
        while True:
            self._changed.clear()
            followed = {number: warm for number, warm in self._warm.items() if number not in self._given_up}
            starts: dict[Source, Start] = {(STATE, number): warm.position for number, warm in followed.items()}
            await inlet.assign(starts)
            while not self._changed.is_set():
                if not starts:
                    await self._changed.wait()
                    break
                for record in await inlet.poll(max_records=POLL_RECORDS, timeout=IDLE_S):
                    warm = self._warm.get(record.partition)
                    if warm is not None and warm is followed.get(record.partition):
                        warm.state.load(record)
                        warm.position, warm.rows = record.offset + 1, warm.rows + 1
                self._stay_small()

    def _stay_small(self) -> None:
        """Let go of the largest shards while there is too much."""
        while sum(warm.rows for warm in self._warm.values()) > self._limit:
            number = max(self._warm, key=lambda each: self._warm[each].rows)
            _log.warning("shard not kept warm: its state is large", shard=number, rows=self._warm[number].rows)
            self._warm[number] = Warm(ShardState(number))
            self._given_up.add(number)
            self._changed.set()
