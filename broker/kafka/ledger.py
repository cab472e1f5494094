"""Transactions over aiokafka: one ledger is one transactional id, and one doubt ends it.

Only InitProducerId, which opening another ledger sends, makes sure that nothing of an earlier transaction can appear later
(Kafka's old transaction protocol, which aiokafka speaks, does not fence a delayed request within one epoch). So after any
failure the ledger is dead, and whoever still holds the shard opens another one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence

from aiokafka import errors as kafka_errors

from broker.errors import Fenced, OutcomeUnknown, UsageError
from broker.kafka import errors, wire
from broker.ports import Outgoing, Source

TRANSACTION_TIMEOUT_MS = 10_000
"""When Kafka itself aborts what a dead worker left open: until then its readers are stuck."""
WAVE_BYTES = 32 << 20
"""What is sent before answers are awaited: one request to a Kafka node must stay under its 100 MiB."""

Batch = tuple[Source, wire.RawBatch]


class KafkaLedger:
    """See :class:`broker.ports.Ledger`. ``deadline``: seconds that one commit may take."""

    def __init__(self, producer: wire.RawProducer, name: str, *, deadline: float = 30.0) -> None:
        self._producer = producer
        self._name = name
        self._deadline = deadline
        self._dead: Fenced | OutcomeUnknown | None = None
        self._open = False
        self.closed = False

    @classmethod
    async def opened(cls, address: wire.Address, name: str, *, patience: float) -> KafkaLedger:
        """Take the name: every earlier holder is fenced when this returns. Raises ExchangeUnreachable, NotAuthorised."""
        producer = address.transactional(name, TRANSACTION_TIMEOUT_MS)
        try:
            await wire.begin(producer, patience)
        except (kafka_errors.KafkaError, TimeoutError, OSError) as error:
            await wire.retire(producer, seconds=1.0, flush=False)
            raise errors.opening(f"ledger `{name}`", error) from error
        except BaseException:
            await wire.retire(producer, seconds=1.0, flush=False)
            raise
        return cls(producer, name)

    async def commit(self, records: Sequence[Outgoing]) -> None:
        """See :class:`broker.ports.Ledger`. Raises UsageError, and stays alive, for a record too large.

        Kafka confirms a commit when it is durable; the markers that make it visible follow at once, within milliseconds,
        and in any case before another ledger of this name opens.
        """
        if self._dead is not None:
            raise type(self._dead)(str(self._dead), advice=self._dead.advice)
        if self.closed or self._open:
            raise UsageError("the ledger is closed, or busy with a commit", advice="one commit at a time; open another ledger")
        for record in records:
            errors.check_size(record)
        if not records:
            return
        self._open = True
        try:
            async with asyncio.timeout(self._deadline):
                await self._write(records)
        except asyncio.CancelledError as cancelled:
            self._dead = errors.of_commit(self._name, [cancelled])
            raise
        # AssertionError is how aiokafka says that a transaction cannot go from its state to the next.
        except (kafka_errors.KafkaError, wire.EndNotConfirmed, TimeoutError, OSError, AssertionError) as error:
            self._dead = errors.of_commit(self._name, wire.failures(error, self._producer))
            raise self._dead from error
        except BaseException as error:
            self._dead = errors.of_commit(self._name, [error])
            raise
        self._open = False

    async def _write(self, records: Sequence[Outgoing]) -> None:
        await wire.know_topics(self._producer, {record.topic for record in records})
        await self._producer.begin_transaction()
        for wave in _waves(self._batches(records)):
            answers = [await self._producer.send_batch(batch, topic, partition=partition) for (topic, partition), batch in wave]
            # aiokafka commits even where a batch has failed: every answer is looked at before the commit.
            for result in await asyncio.gather(*answers, return_exceptions=True):
                if isinstance(result, BaseException):
                    raise result
        await self._producer.commit_transaction()

    def _batches(self, records: Sequence[Outgoing]) -> dict[Source, list[wire.RawBatch]]:
        batches: dict[Source, list[wire.RawBatch]] = {}
        for record in records:
            of_source = batches.setdefault((record.topic, record.partition), [])
            if of_source and of_source[-1].append(timestamp=None, key=record.key, value=record.value) is not None:
                continue
            of_source.append(self._producer.create_batch())
            of_source[-1].append(timestamp=None, key=record.key, value=record.value)
        return batches

    async def close(self) -> None:
        """See :class:`broker.ports.Ledger`."""
        if self.closed:
            return
        self.closed = True
        if self._open:
            await self._abort()
        await wire.retire(self._producer, seconds=2.0, flush=not self._open)

    async def _abort(self) -> None:
        """Abort what a failed commit left, if Kafka still listens; the next opening of the name does it in any case."""
        try:
            async with asyncio.timeout(2.0):
                await self._producer.abort_transaction()
        except (kafka_errors.KafkaError, wire.EndNotConfirmed, TimeoutError, OSError, AssertionError):
            return


def _waves(batches: dict[Source, list[wire.RawBatch]]) -> Iterator[list[Batch]]:
    """Batches in the order to send them: one of a partition at a time, and no more than WAVE_BYTES at once."""
    turn = 0
    while True:
        wave: list[Batch] = []
        size = 0
        for source, of_source in batches.items():
            if turn < len(of_source):
                batch = of_source[turn]
                if wave and size + batch.size() > WAVE_BYTES:
                    yield wave
                    wave, size = [], 0
                wave.append((source, batch))
                size += batch.size()
        if not wave:
            return
        yield wave
        turn += 1
