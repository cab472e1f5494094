"""aiokafka as typed shapes: the one file that knows its untyped parts, its private names and its habits.

aiokafka 0.14.0, pinned. What is used beyond its documented interface, and why:

- tasks of a client, to end one that cannot stop by itself (its own ``stop`` waits for ever when the exchange is gone);
- the position of a partition without a coroutine switch;
- a coordinator's failure, which is otherwise seen by fetching only; and its instance id, because a static member never
  says that it leaves;
- the pause before a transaction is begun anew, a constant of its sender's module;
- the connections of a consumer, to cut them (see ``_stop_reader``);
- the queue behind ``send``, which is 3 of the 14 microseconds that a record takes;
- the send of an EndTxn request: aiokafka repeats it on another connection when its answer is lost, and a late first copy
  may then end the *next* transaction (the hazard Jepsen reported for Kafka's transactions). Here it is sent once.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka import errors as kafka_errors
from aiokafka.abc import ConsumerRebalanceListener
from aiokafka.client import AIOKafkaClient
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.producer import sender
from aiokafka.protocol.transaction import EndTxnRequest

from broker.exchange.topology import KAFKA_LIMIT
from broker.kafka import batches

BATCH_BYTES = 700 * 1024
"""Largest batch of one partition: under Kafka's default ``max.message.bytes``; larger single records travel alone."""
REQUEST_BYTES = KAFKA_LIMIT + (64 << 10)
FETCH_BYTES = 8 << 20
"""One fetch over all partitions: about 15 ms of parsing on the event loop."""
PARTITION_FETCH_BYTES = 512 << 10
"""Of one partition in one fetch. What was fetched of a flooded outbox stands before what the others write next, so little of it is
taken at a time. A larger record still comes, alone (KIP-74)."""
FETCH_WAIT_MS = 500
REQUEST_TIMEOUT_MS = 30_000
CUT_SHORT_SECONDS = 1.0
"""How long a start that nobody waits for any more may go on."""
SETTLE_SECONDS = 2.0
"""How long a topic that was just created may take to be known to every Kafka node."""

Connect = ssl.SSLContext | Callable[[], ssl.SSLContext] | None
"""TLS of a client: a context, a maker of fresh ones (rotated certificates are then picked up), or none."""


class RawRecord(Protocol):
    """A record as aiokafka reads it."""

    @property
    def offset(self) -> int: ...  # noqa: D102
    @property
    def timestamp(self) -> int: ...  # noqa: D102
    @property
    def key(self) -> bytes | None: ...  # noqa: D102
    @property
    def value(self) -> bytes | None: ...  # noqa: D102


class RawStored(Protocol):
    """Where aiokafka says that a record, or a batch's first record, was stored."""

    @property
    def offset(self) -> int: ...  # noqa: D102


class RawBatch(Protocol):
    """Records of one partition that travel together."""

    def append(self, *, timestamp: int | None, key: bytes | None, value: bytes | None) -> object | None: ...  # noqa: D102
    def size(self) -> int: ...  # noqa: D102


class RawCluster(Protocol):
    """What a client knows of the cluster."""

    unauthorized_topics: set[str]

    def partitions_for_topic(self, topic: str) -> set[int] | None: ...  # noqa: D102


class RawClient(Protocol):
    """A connection without a producer or consumer on it."""

    cluster: RawCluster

    async def bootstrap(self) -> None: ...  # noqa: D102
    async def close(self) -> None: ...  # noqa: D102
    def get_random_node(self) -> int | None: ...  # noqa: D102
    async def send(self, node_id: int, request: object) -> Any: ...  # noqa: D102
    def add_topic(self, topic: str) -> Awaitable[bool]: ...  # noqa: D102
    def force_metadata_update(self) -> Awaitable[bool]: ...  # noqa: D102


class RawProducer(Protocol):
    """An idempotent or transactional producer."""

    client: RawClient

    async def start(self) -> None: ...  # noqa: D102
    async def stop(self) -> None: ...  # noqa: D102
    def create_batch(self) -> RawBatch: ...  # noqa: D102
    async def send_batch(self, batch: RawBatch, topic: str, *, partition: int) -> asyncio.Future[RawStored]: ...  # noqa: D102
    async def begin_transaction(self) -> None: ...  # noqa: D102
    async def commit_transaction(self) -> None: ...  # noqa: D102
    async def abort_transaction(self) -> None: ...  # noqa: D102


class RawConsumer(Protocol):
    """A consumer, of a group or of none."""

    async def start(self) -> None: ...  # noqa: D102
    async def stop(self) -> None: ...  # noqa: D102
    def assign(self, partitions: Sequence[TopicPartition]) -> None: ...  # noqa: D102
    def seek(self, partition: TopicPartition, offset: int) -> None: ...  # noqa: D102
    def pause(self, *partitions: TopicPartition) -> None: ...  # noqa: D102
    def subscribe(self, topics: Sequence[str], *, listener: ConsumerRebalanceListener) -> None: ...  # noqa: D102
    def last_stable_offset(self, partition: TopicPartition) -> int | None: ...  # noqa: D102
    def last_poll_timestamp(self, partition: TopicPartition) -> int | None: ...  # noqa: D102
    async def getmany(self, *, timeout_ms: int) -> Mapping[TopicPartition, Sequence[RawRecord]]: ...  # noqa: D102


class _FencedByName(kafka_errors.BrokerResponseError):
    """PRODUCER_FENCED, code 90: newer than aiokafka's table, which would call it unknown."""

    errno = 90
    message = "PRODUCER_FENCED"


class _FencedInstance(kafka_errors.BrokerResponseError):
    """FENCED_INSTANCE_ID, code 82: another member joined under this static name."""

    errno = 82
    message = "FENCED_INSTANCE_ID"


for _error in (_FencedByName, _FencedInstance):
    kafka_errors.kafka_errors.setdefault(_error.errno, _error)

batches.install()

sender.BACKOFF_OVERRIDE = 0.002
"""Seconds before aiokafka tries again to begin a transaction while Kafka still writes the markers of the one before. As shipped
(20 ms) commits of one record that follow each other take 26 ms each (median), with this 5.5 ms, at no more work."""

FENCING = (
    kafka_errors.ProducerFenced,
    kafka_errors.InvalidProducerEpoch,
    kafka_errors.InvalidProducerIdMapping,
    _FencedByName,
)
"""What Kafka answers to a transactional producer whose name another one has taken, or whose name it has forgotten."""

DENIED = (
    kafka_errors.TopicAuthorizationFailedError,
    kafka_errors.GroupAuthorizationFailedError,
    kafka_errors.ClusterAuthorizationFailedError,
    kafka_errors.TransactionalIdAuthorizationFailed,
)


REFUSED = (
    kafka_errors.MessageSizeTooLargeError,
    kafka_errors.RecordListTooLargeError,
    kafka_errors.InvalidTopicError,
    kafka_errors.PolicyViolationError,
)
"""What Kafka answers to a record that it will never take."""


class EndNotConfirmed(Exception):
    """The answer to an EndTxn request was lost: the transaction may have ended either way."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where the exchange is and who we are to it. ``bootstrap`` is ``host:port``, several with commas."""

    bootstrap: str
    tls: Connect
    client_id: str

    def settings(self) -> dict[str, Any]:
        """The arguments that every aiokafka client takes."""
        context = self.tls() if callable(self.tls) else self.tls
        return {
            "bootstrap_servers": self.bootstrap,
            "client_id": self.client_id,
            "ssl_context": context,
            "security_protocol": "SSL" if context is not None else "PLAINTEXT",
            "request_timeout_ms": REQUEST_TIMEOUT_MS,
        }

    def client(self) -> RawClient:
        """A bare connection."""
        return cast(RawClient, AIOKafkaClient(**self.settings()))

    def producer(self) -> RawProducer:
        """An idempotent producer."""
        made = AIOKafkaProducer(
            **self.settings(),
            acks="all",
            enable_idempotence=True,
            max_batch_size=BATCH_BYTES,
            max_request_size=REQUEST_BYTES,
            linger_ms=5,
        )
        return cast(RawProducer, made)

    def transactional(self, name: str, timeout_ms: int) -> RawProducer:
        """A transactional producer. Its back-off is 5 ms: Kafka 4 stalls the first write after each commit, and aiokafka's
        default of 100 ms makes that 16,000 instead of 20,000 copies per second and a tail of 240 instead of 75 ms."""
        made = AIOKafkaProducer(
            **self.settings(),
            acks="all",
            transactional_id=name,
            transaction_timeout_ms=timeout_ms,
            max_batch_size=BATCH_BYTES,
            max_request_size=REQUEST_BYTES,
            retry_backoff_ms=5,
        )
        producer = cast(RawProducer, made)
        end_once(producer)
        return producer

    def reader(self, *, alone: bool = False) -> RawConsumer:
        """A consumer of committed records without a group, for explicit positions only. ``alone``: of one partition, behind which nobody
        waits."""
        made = AIOKafkaConsumer(
            **self.settings(),
            group_id=None,
            isolation_level="read_committed",
            enable_auto_commit=False,
            auto_offset_reset="none",
            check_crcs=True,
            fetch_max_wait_ms=FETCH_WAIT_MS,
            fetch_max_bytes=FETCH_BYTES,
            max_partition_fetch_bytes=FETCH_BYTES if alone else PARTITION_FETCH_BYTES,
        )
        return cast(RawConsumer, made)

    def member(self, group: str, name: str, session_ms: int) -> RawConsumer:
        """A static member of a group that never fetches. It may idle for ever: aiokafka's poll interval would expel it."""
        made = AIOKafkaConsumer(
            **self.settings(),
            group_id=group,
            group_instance_id=name,
            session_timeout_ms=session_ms,
            heartbeat_interval_ms=session_ms // 4,
            rebalance_timeout_ms=session_ms,
            max_poll_interval_ms=10**15,
            partition_assignment_strategy=(RangePartitionAssignor,),
            enable_auto_commit=False,
            auto_offset_reset="latest",
        )
        return cast(RawConsumer, made)


def end_once(producer: RawProducer) -> None:
    """Make the producer's client send an EndTxn request once only; EndNotConfirmed where its answer is lost."""
    client = cast(Any, producer.client)
    send = client.send

    async def send_once(node_id: int, request: object, **how: object) -> object:
        try:
            return await send(node_id, request, **how)
        except kafka_errors.KafkaError as lost:
            if isinstance(request, EndTxnRequest):
                raise EndNotConfirmed(str(lost)) from lost
            raise

    client.send = send_once


async def know_topics(producer: RawProducer, topics: Iterable[str]) -> None:
    """Fetch the metadata of many topics in one request; aiokafka would ask for them one after the other."""
    client = producer.client
    waits = [client.add_topic(topic) for topic in topics if client.cluster.partitions_for_topic(topic) is None]
    if waits:
        await waits[-1]


async def partitions_of(producer: RawProducer, topic: str, *, settle: float) -> set[int]:
    """The partitions of a topic; empty where there is none after ``settle`` seconds, in which a new one becomes known.

    Raises KafkaError where access is denied or no metadata can be had.
    """
    client = producer.client
    deadline = asyncio.get_running_loop().time() + settle
    fresh = client.add_topic(topic)
    while True:
        known = await fresh
        if partitions := client.cluster.partitions_for_topic(topic):
            return partitions
        if topic in client.cluster.unauthorized_topics:
            raise kafka_errors.TopicAuthorizationFailedError(topic)
        if asyncio.get_running_loop().time() >= deadline:
            if not known:
                raise kafka_errors.KafkaConnectionError("no metadata")
            return set()
        await asyncio.sleep(0.1)
        fresh = client.force_metadata_update()


async def append(producer: RawProducer, at: TopicPartition, key: bytes | None, value: bytes | None) -> asyncio.Future[RawStored]:
    """Queue a record whose size and partition were checked; waits while the partition's batch is full.

    This is what ``AIOKafkaProducer.send`` ends in; what it does before that has been done once per partition.
    """
    return await cast(Any, producer)._message_accumulator.add_message(at, key, value, REQUEST_TIMEOUT_MS / 1000)


def position_of(consumer: RawConsumer, source: TopicPartition) -> int | None:
    """The offset that the consumer looks at next, moved over markers that ``getmany`` has passed."""
    subscription = cast(Any, consumer)._subscription.subscription
    state = None if subscription is None else subscription.assignment.state_value(source)
    return state.position if state is not None and state.has_valid_position else None


def group_failure(consumer: RawConsumer) -> BaseException | None:
    """Why the member is out of its group, or None while all is well."""
    try:
        cast(Any, consumer)._coordinator.check_errors()
    except kafka_errors.KafkaError as failure:
        return failure
    return None


def leave_on_stop(consumer: RawConsumer) -> None:
    """Make a static member say that it leaves when it is stopped."""
    cast(Any, consumer)._coordinator._group_instance_id = None


def failures(error: BaseException, producer: RawProducer | None = None) -> list[BaseException]:
    """An error and what caused it, and what ended the producer's sender; aiokafka wraps the answer that matters."""
    found: list[BaseException] = []
    task = cast(Any, producer)._sender.sender_task if producer is not None else None
    ended = task.exception() if task is not None and task.done() and not task.cancelled() else None
    for first in (error, ended):
        at: BaseException | None = first
        while at is not None and at not in found:
            found.append(at)
            at = at.__cause__ or at.__context__
    return found


def _tasks(client: RawProducer | RawConsumer) -> list[asyncio.Task[object]]:
    raw = cast(Any, client)
    places = [
        (getattr(raw, "_sender", None), ("_sender_task",)),
        (getattr(raw, "_fetcher", None), ("_fetch_task",)),
        (getattr(raw, "_coordinator", None), ("_coordination_task", "_heartbeat_task", "_commit_refresh_task", "_reset_committed_task")),
    ]
    named = [getattr(owner, name, None) for owner, names in places if owner is not None for name in names]
    named += list(getattr(getattr(raw, "_fetcher", None), "_pending_tasks", ()))
    return [task for task in named if task is not None and not task.done()]


async def begin(client: RawProducer | RawConsumer, seconds: float) -> None:
    """Start a client in bounded time. A start that is cut short is waited for a moment: aiokafka forgets a connection that is just being
    made, and nobody could close it any more. Raises TimeoutError and what starting raises; the caller retires the client then.

    A Kafka that has just come back may name no broker yet, which aiokafka takes for a bug of its caller (AssertionError in
    ``coordinator_lookup``): that is KafkaConnectionError here, so that whoever starts the client tries again.
    """
    starting = asyncio.ensure_future(client.start())
    try:
        async with asyncio.timeout(seconds):
            await asyncio.shield(starting)
    except AssertionError as error:
        raise kafka_errors.KafkaConnectionError(f"Kafka names no broker yet ({error})") from error
    except BaseException:
        await asyncio.wait({starting}, timeout=CUT_SHORT_SECONDS)
        if not starting.done():
            starting.cancel()
        elif not starting.cancelled():
            starting.exception()
        raise


def _reads_alone(client: RawProducer | RawConsumer) -> bool:
    """A started consumer without a group: it has nothing left to tell Kafka."""
    raw = cast(Any, client)
    return getattr(raw, "_group_id", "") is None and raw._coordinator is not None and raw._fetcher is not None and not raw._closed


async def _stop_reader(client: RawProducer | RawConsumer) -> None:
    """What ``AIOKafkaConsumer.stop`` does, with connections cut before they are closed.

    A fetch is always under way, and Kafka does not look at a connection before it has answered it: the end of a TLS connection that
    is closed politely is answered after up to FETCH_WAIT_MS.
    """
    raw = cast(Any, client)
    raw._closed = True
    await raw._coordinator.close()
    await raw._fetcher.close()
    for connection in raw._client._conns.values():
        if connection._writer is not None:
            connection._writer.transport.abort()
    await raw._client.close()


async def retire(client: RawProducer | RawConsumer, *, seconds: float, flush: bool = True) -> None:
    """Stop a client in bounded time: first as it wants to, then by ending its tasks and connections. Never raises.

    ``flush`` False drops what a producer still holds instead of sending it.
    """
    if flush:
        stopping = asyncio.ensure_future(_stop_reader(client) if _reads_alone(client) else client.stop())
        await asyncio.wait([stopping], timeout=seconds)
        if stopping.done():
            if not stopping.cancelled():
                stopping.exception()
            return
        stopping.cancel()
    raw = cast(Any, client)
    raw._closed = True
    connection = raw.client if hasattr(raw, "client") else raw._client
    if hasattr(raw, "_message_accumulator"):
        raw._message_accumulator.fail_all(kafka_errors.ProducerClosed("given up"))
    for _ in range(5):  # a task that waits for another passes one cancellation on to it and needs its own
        tasks = _tasks(client)
        for task in tasks:
            task.cancel()
        if not tasks:
            break
        await asyncio.wait(tasks, timeout=0.2)
    closing = asyncio.ensure_future(connection.close())
    await asyncio.wait([closing], timeout=seconds)
    if not closing.done():
        closing.cancel()
    elif not closing.cancelled():
        closing.exception()
