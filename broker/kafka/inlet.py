"""Reading committed records over aiokafka, from positions that the caller keeps.

Three things are done here because aiokafka does not do them:

- **Turns.** All that a fetch brought is parsed at once into a queue per source, and polls take from the queues in turn:
  a flood in one outbox neither delays nor hides the others.
- **The end.** ``position`` moves over transaction markers and aborted records as soon as a fetch brings them. (There is no gap
  before the end that no fetch brings: Kafka's log cleaner never touches the segment that is being written.)
- **The watchdog.** A consumer that brings nothing while the log goes on is replaced. It has its positions from here, so that
  nothing it lost is missed.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections import deque
from collections.abc import Mapping, Sequence
from typing import cast

from aiokafka import TopicPartition
from aiokafka import errors as kafka_errors
from aiokafka.errors import ConsumerStoppedError

from broker.errors import ExchangeUnreachable, PositionLost, UsageError
from broker.kafka import errors, wire
from broker.kafka.desk import EARLIEST, LATEST, Desk
from broker.ports import Record, Source, Start

log = logging.getLogger(__name__)

QUEUE_BYTES = 768 << 10
"""With more than this waiting here, a poll leaves the next fetch where it is: a record that comes now waits until then."""
CATCH_UP_SECONDS = 0.02
"""While the caller reads to the ends it asked for: how often a poll looks whether only markers were left."""
CATCH_UP_LOOK_SECONDS = 1.0
LONGEST_LOOK_SECONDS = 60.0


class KafkaInlet:
    """See :class:`broker.ports.Inlet`.

    ``patience``: seconds without any answer before poll raises ExchangeUnreachable. ``watch_after``: how often, in seconds, the
    ends are compared with the positions (sooner while catching up, later after each replacement that did not help).
    """

    def __init__(self, address: wire.Address, desk: Desk, *, patience: float, watch_after: float = 10.0) -> None:
        self._address = address
        self._desk = desk
        self._patience = patience
        self._watch_after = watch_after
        self._consumer: wire.RawConsumer | None = None
        self._drained: dict[Source, int] = {}
        self._queues: dict[Source, deque[Record]] = {}
        self._queued = 0
        self._ends: dict[Source, int] = {}
        self._looked: dict[Source, tuple[int, int]] = {}
        self._look_at = 0.0
        self._look_pause = watch_after
        self._silent_since: float | None = None
        self._retiring: set[asyncio.Task[None]] = set()
        self.closed = False

    async def assign(self, starts: Mapping[Source, Start]) -> None:
        """See :class:`broker.ports.Inlet`. Raises NotAuthorised, ExchangeUnreachable, UsageError where there is no such source."""
        self._check_open()
        await self._desk.located(starts)
        which = {"beginning": EARLIEST, "end": LATEST}
        found = await self._desk.offsets({source: which[start] for source, start in starts.items() if isinstance(start, str)})
        self._drop_consumer()
        self._drained = {source: found[source] if isinstance(start, str) else start for source, start in starts.items()}
        self._queues = {source: deque() for source in starts}
        self._queued = 0
        self._ends, self._looked = {}, {}
        self._look_later(self._watch_after)
        if starts:
            self._consumer = await self._start_consumer()

    async def _start_consumer(self) -> wire.RawConsumer:
        consumer = self._address.reader(alone=len(self._drained) == 1)
        try:
            await wire.begin(consumer, min(self._patience, 10.0))
        except (kafka_errors.KafkaError, TimeoutError, OSError) as error:
            await wire.retire(consumer, seconds=1.0)
            raise errors.opening("an inlet", error) from error
        except BaseException:
            await wire.retire(consumer, seconds=1.0)
            raise
        consumer.assign([TopicPartition(*source) for source in self._drained])
        for source, position in self._drained.items():
            consumer.seek(TopicPartition(*source), position)
        return consumer

    def _drop_consumer(self) -> None:
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            task = asyncio.ensure_future(wire.retire(consumer, seconds=2.0))
            self._retiring.add(task)
            task.add_done_callback(self._retiring.discard)

    async def poll(self, *, max_records: int, timeout: float) -> Sequence[Record]:
        """See :class:`broker.ports.Inlet`. Also returns, empty, as soon as the ends last asked for are reached."""
        self._check_open()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        await asyncio.sleep(0)  # a reader that always finds records would otherwise let nothing else run: no heartbeat, no fetch
        catching_up = bool(self._behind())
        if not self._drained:
            await asyncio.sleep(timeout)
        while self._drained and not self.closed:
            if self._queued < QUEUE_BYTES:
                await self._fetch(0.0 if self._queued else max(0.0, deadline - loop.time()))
            if self._queued or loop.time() >= deadline or (catching_up and not self._behind()):
                break
        return self._take(max_records)

    async def _fetch(self, wait: float) -> None:
        """Move what has arrived into the queues; wait for it no longer than this, less while catching up."""
        if self._behind():
            wait = min(wait, CATCH_UP_SECONDS)
        try:
            if self._consumer is None:
                self._consumer = await self._start_consumer()
            consumer = self._consumer
            brought = await consumer.getmany(timeout_ms=math.ceil(wait * 1000))
        except kafka_errors.TopicAuthorizationFailedError as error:
            raise errors.denied(f"reading `{error.args[0] if error.args else '?'}`") from error
        except kafka_errors.OffsetOutOfRangeError as error:
            raise _lost(error) from error
        except ConsumerStoppedError:
            return
        except (kafka_errors.KafkaError, ExchangeUnreachable) as error:
            # Of the records that this call had taken already, none may be missed: the next consumer begins before them.
            self._drop_consumer()
            await self._silence(error)
            return
        if consumer is not self._consumer:
            return
        for at, raws in brought.items():
            self._queue(consumer, (at.topic, at.partition), raws)
        if brought:
            self._silent_since = None
        await self._watch()

    def _queue(self, consumer: wire.RawConsumer, source: Source, raws: Sequence[wire.RawRecord]) -> None:
        topic, partition = source
        queue = self._queues[source]
        for raw in raws:
            queue.append(Record(topic, partition, raw.offset, raw.timestamp, raw.key, raw.value))
            self._queued += _weight(raw)
        self._drained[source] = wire.position_of(consumer, TopicPartition(topic, partition)) or raws[-1].offset + 1

    def _take(self, max_records: int) -> list[Record]:
        ready = [source for source, queue in self._queues.items() if queue] if self._queued else []
        taken: list[Record] = []
        if not ready:
            return taken
        share = max(1, max_records // len(ready))
        for limit in (share, max_records):
            for source in ready:
                queue = self._queues[source]
                for _ in range(min(limit, max_records - len(taken), len(queue))):
                    record = queue.popleft()
                    self._queued -= _weight(record)
                    taken.append(record)
        # Who had a turn stands behind the others now; where all had one, the next round begins with another.
        for source in ready[:max_records] if len(ready) > max_records else ready[:1]:
            self._queues[source] = self._queues.pop(source)
        return taken

    async def ends(self) -> Mapping[Source, int]:
        """See :class:`broker.ports.Inlet`."""
        self._check_open()
        ends = await self._desk.offsets(dict.fromkeys(self._drained, LATEST))
        self._ends = dict(ends)
        if self._behind():
            self._look_at = min(self._look_at, asyncio.get_running_loop().time() + CATCH_UP_LOOK_SECONDS)
        return ends

    def position(self, source: Source) -> int:
        """See :class:`broker.ports.Inlet`."""
        if source not in self._drained:
            raise UsageError(f"`{source[0]}`/{source[1]} is not assigned", advice="assign it first")
        if queue := self._queues[source]:
            return queue[0].offset
        if self._consumer is not None and (at := wire.position_of(self._consumer, TopicPartition(*source))) is not None:
            self._drained[source] = max(self._drained[source], at)
        return self._drained[source]

    def _behind(self) -> dict[Source, int]:
        """Of the ends last asked for, those that are not reached yet."""
        if self._ends:
            self._ends = {source: end for source, end in self._ends.items() if self.position(source) < end}
        return self._ends

    # ── the watchdog ────────────────────────────────────────────────────────────────────────────────────────────────

    def _look_later(self, pause: float) -> None:
        self._look_pause = pause
        self._look_at = asyncio.get_running_loop().time() + pause

    async def _watch(self) -> None:
        """Compare positions with ends now and then, and replace the consumer where one does not move towards the other."""
        if asyncio.get_running_loop().time() < self._look_at:
            return
        try:
            async with asyncio.timeout(min(self._patience, 5.0)):
                ends = await self._desk.offsets(dict.fromkeys(self._drained, LATEST))
        except (ExchangeUnreachable, TimeoutError) as error:
            self._look_later(1.0)
            await self._silence(error)
            return
        self._silent_since = None
        looked = self._looked.items()
        stuck = [source for source, (at, end) in looked if not self._queues[source] and self.position(source) == at < end]
        if stuck:
            log.warning("no progress in %s: the consumer is replaced", stuck)
            self._drop_consumer()
        self._looked = {source: (self.position(source), end) for source, end in ends.items()}
        first = CATCH_UP_LOOK_SECONDS if self._behind() else self._watch_after
        self._look_later(min(self._look_pause * 2, LONGEST_LOOK_SECONDS) if stuck else first)

    async def _silence(self, error: BaseException) -> None:
        now = asyncio.get_running_loop().time()
        if self._silent_since is None:
            self._silent_since = now
        if now - self._silent_since >= self._patience:
            raise errors.unreachable("the exchange cannot be read", error) from error
        await asyncio.sleep(0.2)

    def _check_open(self) -> None:
        if self.closed:
            raise UsageError("the inlet is closed", advice="open another one")

    async def close(self) -> None:
        """See :class:`broker.ports.Inlet`. A poll in progress ends empty."""
        self.closed = True
        self._drop_consumer()
        if self._retiring:
            await asyncio.wait(set(self._retiring))


def _weight(record: Record | wire.RawRecord) -> int:
    return 64 + len(record.value or b"")


def _lost(error: kafka_errors.OffsetOutOfRangeError) -> PositionLost:
    positions = cast(Mapping[TopicPartition, int], error.args[0] if error.args else {})
    where = ", ".join(f"offset {offset} of `{at.topic}`/{at.partition}" for at, offset in positions.items())
    return PositionLost(
        f"{where or 'an offset'} is not there: it was trimmed away, or the topic is not the one it was",
        advice="records may have been missed: compare with the sender, then read from the beginning",
    )
