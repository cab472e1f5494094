"""Reading a message again from its outbox, for the evidence of an equivocation: rarely, never for long, and never twice at once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

import structlog

from broker.errors import BrokerError, PositionLost
from broker.ports import Inlet, Record, Source, Transport

BURST: Final = 16
"""Most messages read again at once."""
PER_SECOND: Final = 4.0
"""How many may be read again over time: an agency that does nothing but equivocate must not hold up the others of its shard."""
PATIENCE_S: Final = 1.0
"""How long one batch waits for all that it wants to read again."""

_log = structlog.get_logger("relay")

Place = tuple[str, int, int]
"""Topic, partition, offset."""


class ProofReader:
    """Reads single records of outboxes through an inlet of its own. Its failures are no failures: evidence then names places."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._allowance, self._at = float(BURST), 0.0
        self._closing: set[asyncio.Task[None]] = set()

    async def read(self, places: Sequence[Place]) -> list[Record]:
        """The records that are there, in no order; none of those beyond the allowance, trimmed away, or too slow to come."""
        chosen = list(dict.fromkeys(places))[: self._allowed()]
        if not chosen:
            return []
        self._allowance -= len(chosen)
        found: list[Record] = []
        try:
            async with asyncio.timeout(PATIENCE_S):
                inlet = await self._transport.inlet()
                try:
                    for topic, partition, offset in chosen:
                        found += await _one(inlet, (topic, partition), offset)
                finally:
                    self._close(inlet)
        except (BrokerError, TimeoutError) as error:
            _log.warning("a first message was not read again", wanted=len(chosen), read=len(found), reason=str(error))
        return found

    def _close(self, inlet: Inlet) -> None:
        """Nobody waits for that: it may take as long as reading, where the exchange is slow."""
        task = asyncio.create_task(inlet.close())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    def _allowed(self) -> int:
        now = asyncio.get_running_loop().time()
        self._allowance = min(float(BURST), self._allowance + (now - self._at) * PER_SECOND)
        self._at = now
        return int(self._allowance)


async def _one(inlet: Inlet, source: Source, offset: int) -> Sequence[Record]:
    """The record at this place; none where it was trimmed away, which says nothing about the others."""
    try:
        await inlet.assign({source: offset})
        return await inlet.poll(max_records=1, timeout=PATIENCE_S / 4)
    except PositionLost:
        return ()
