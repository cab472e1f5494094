"""Idempotent writing over aiokafka, with a new producer whenever the old one can no longer be trusted.

An idempotent producer takes sequence numbers when a batch leaves and never gives them back: after any error that it does not
retry, later batches of that partition fail too. And what it does retry, it retries for ever. So an error, or no answer for
``answer_within`` seconds, ends the producer: all its unanswered records are reported as unknown, and the next send opens
another one. The order within a topic holds, because nothing of the old producer is sent after that.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import NamedTuple

from aiokafka import TopicPartition
from aiokafka import errors as kafka_errors

from broker.errors import UsageError
from broker.kafka import errors, wire
from broker.ports import Outgoing, Position, Source

CLOSE_SECONDS = 10.0


class _Unanswered(NamedTuple):
    answer: asyncio.Future[Position]
    at: TopicPartition
    since: float
    producer: wire.RawProducer


class KafkaOutlet:
    """See :class:`broker.ports.Outlet`."""

    def __init__(self, address: wire.Address, *, patience: float, answer_within: float = 30.0) -> None:
        self._address = address
        self._patience = patience
        self._answer_within = answer_within
        self._producer: wire.RawProducer | None = None
        self._opening = asyncio.Lock()
        self._known: dict[Source, TopicPartition] = {}
        self._unanswered: dict[asyncio.Future[wire.RawStored], _Unanswered] = {}
        self._alarm: asyncio.TimerHandle | None = None
        self._retiring: set[asyncio.Task[None]] = set()
        self.closed = False

    async def open(self) -> wire.RawProducer:
        """The producer in use, or a new one. Raises ExchangeUnreachable, NotAuthorised."""
        async with self._opening:
            if self.closed:
                raise UsageError("the outlet is closed", advice="open another one")
            if self._producer is None:
                producer = self._address.producer()
                try:
                    await wire.begin(producer, self._patience)
                except (kafka_errors.KafkaError, TimeoutError, OSError) as error:
                    await wire.retire(producer, seconds=1.0, flush=False)
                    raise errors.opening("an outlet", error) from error
                except BaseException:
                    await wire.retire(producer, seconds=1.0, flush=False)
                    raise
                self._producer = producer
            return self._producer

    async def send(self, record: Outgoing) -> Awaitable[Position]:
        """See :class:`broker.ports.Outlet`. Raises UsageError for a record too large and for a topic that is not there."""
        errors.check_size(record)
        producer = self._producer or await self.open()
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Position] = loop.create_future()
        try:
            at = self._known.get((record.topic, record.partition)) or await self._find(producer, record)
            raw = await wire.append(producer, at, record.key, record.value)
        except kafka_errors.KafkaError as error:
            if not isinstance(error, wire.DENIED):
                self._abandon(producer)
            answer.set_exception(errors.of_send(record.topic, error))
            return answer
        self._unanswered[raw] = _Unanswered(answer, at, loop.time(), producer)
        raw.add_done_callback(self._answered)
        if self._alarm is None:
            self._alarm = loop.call_later(1.0, self._check_age)
        return answer

    async def _find(self, producer: wire.RawProducer, record: Outgoing) -> TopicPartition:
        known = await wire.partitions_of(producer, record.topic, settle=wire.SETTLE_SECONDS)
        if record.partition not in known:
            raise errors.no_topic(record.topic, record.partition)
        at = TopicPartition(record.topic, record.partition)
        if producer is self._producer:
            self._known[record.topic, record.partition] = at
        return at

    def _answered(self, raw: asyncio.Future[wire.RawStored]) -> None:
        error = asyncio.CancelledError() if raw.cancelled() else raw.exception()
        unanswered = self._unanswered.pop(raw, None)
        if unanswered is None:  # given up with its producer
            return
        answer, at, _, producer = unanswered
        if error is not None:
            self._abandon(producer)
        if answer.done():
            return
        if error is not None:
            answer.set_exception(errors.of_send(at.topic, error))
        else:
            answer.set_result(Position(at.topic, at.partition, raw.result().offset))

    def _check_age(self) -> None:
        loop = asyncio.get_running_loop()
        self._alarm = None
        if not self._unanswered:
            return
        oldest = next(iter(self._unanswered.values()))
        if loop.time() - oldest.since > self._answer_within:
            self._abandon(oldest.producer)
        self._alarm = loop.call_later(1.0, self._check_age)

    def _abandon(self, producer: wire.RawProducer) -> None:
        if producer is not self._producer:
            return
        self._producer = None
        self._known.clear()
        loop = asyncio.get_running_loop()
        # Answers of the batch that failed are on their way already and keep their own reason: so not at once.
        loop.call_soon(self._give_up, dict(self._unanswered))
        self._retire(producer, flush=False)

    def _give_up(self, unanswered: dict[asyncio.Future[wire.RawStored], _Unanswered]) -> None:
        for raw, (answer, at, _, _) in unanswered.items():
            if self._unanswered.pop(raw, None) is not None and not answer.done():
                answer.set_exception(errors.unreachable(f"a record to `{at.topic}` was not confirmed: the connection was given up"))

    def _retire(self, producer: wire.RawProducer, *, flush: bool) -> asyncio.Task[None]:
        task = asyncio.ensure_future(wire.retire(producer, seconds=CLOSE_SECONDS if flush else 1.0, flush=flush))
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)
        return task

    async def close(self) -> None:
        """See :class:`broker.ports.Outlet`. What is not confirmed within 10 s is reported as unknown."""
        self.closed = True
        async with self._opening:
            producer, self._producer = self._producer, None
        if producer is not None:
            self._retire(producer, flush=True)
        if self._retiring:
            await asyncio.wait(set(self._retiring))
        await asyncio.sleep(0)  # answers that came while closing are delivered by the loop's next round
        self._give_up(dict(self._unanswered))
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
