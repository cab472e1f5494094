"""aiokafka's errors as ours: whoever is above the adaptor never sees a Kafka error code."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from aiokafka import errors as kafka_errors

from broker.errors import BrokerError, ExchangeUnreachable, Fenced, NotAuthorised, OutcomeUnknown, UsageError
from broker.exchange.topology import KAFKA_LIMIT
from broker.kafka import wire
from broker.ports import Outgoing


def check_size(record: Outgoing) -> None:
    """Raise UsageError for a record that Kafka would refuse: a refused one makes an idempotent producer unusable."""
    if record.key is None and record.value is None:
        raise UsageError("a record needs a key, a value, or both", advice="give a tombstone the key that it removes")
    size = len(record.value or b"")
    if size > KAFKA_LIMIT or len(record.key or b"") > 1024:
        raise UsageError(
            f"a record of {size} bytes is over Kafka's limit of {KAFKA_LIMIT}, or its key over 1024",
            advice="keep a record under 1 MiB: send pictures and documents as attachments, not inside sections",
        )


def unreachable(what: str, error: BaseException | None = None) -> ExchangeUnreachable:
    """ExchangeUnreachable that says what could not be done."""
    cause = "" if error is None else ": no answer in time" if isinstance(error, TimeoutError) else f": {error}"
    return ExchangeUnreachable(
        f"{what}{cause}",
        advice="check the address, the network, and that this certificate is current; trying again may work",
    )


def denied(what: str) -> NotAuthorised:
    """NotAuthorised that says what was refused."""
    return NotAuthorised(
        f"Kafka's access control refused {what}",
        advice="ask the operator whether this certificate's generation is the current one",
    )


def no_topic(topic: str, partition: int | None = None) -> UsageError:
    """UsageError for a topic or partition that does not exist."""
    what = f"topic `{topic}`" if partition is None else f"partition {partition} of topic `{topic}`"
    return UsageError(f"there is no {what}", advice="check the name; the registrar creates an agency's topics when it is admitted")


def opening(what: str, error: BaseException) -> BrokerError:
    """Why a client could not be opened."""
    if any(isinstance(each, wire.DENIED) for each in wire.failures(error)):
        return denied(what)
    return unreachable(f"could not open {what}", error)


def of_send(topic: str, error: BaseException) -> BrokerError:
    """Why a record was not confirmed: refused, or its outcome unknown."""
    if isinstance(error, wire.DENIED):
        return denied(f"writing to `{topic}`")
    if isinstance(error, wire.REFUSED):
        return UsageError(f"Kafka will not take a record for `{topic}`: {error}", advice="do not send it again as it is")
    return unreachable(f"a record to `{topic}` was not confirmed", error)


def of_commit(name: str, causes: Iterable[BaseException]) -> Fenced | OutcomeUnknown:
    """Why a transaction was not confirmed."""
    causes = list(causes)
    if any(isinstance(cause, wire.FENCING) for cause in causes):
        return Fenced(f"ledger `{name}` was taken by another worker", advice="discard the shard's state and rejoin")
    if any(isinstance(cause, wire.DENIED) for cause in causes):
        why = f"access control refused it: {next(cause for cause in causes if isinstance(cause, wire.DENIED))}"
    elif isinstance(causes[0], asyncio.CancelledError):
        why = "it was cancelled"
    elif isinstance(causes[0], TimeoutError):
        why = "there was no answer in time"
    else:
        why = str(causes[-1]) or type(causes[-1]).__name__
    return OutcomeUnknown(f"the end of a transaction of `{name}` was not confirmed: {why}", advice="take the shard again from the start")


def is_transient(error: BaseException) -> bool:
    """Whether asking again may help: no connection, no leader yet, metadata not there yet."""
    return isinstance(error, OSError | TimeoutError) or (isinstance(error, kafka_errors.KafkaError) and error.retriable)
