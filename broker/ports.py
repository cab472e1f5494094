"""What the services need from the world, as contracts in prose. Adaptors: ``kafka/``, ``storage/``, and ``testing/`` in memory.

Each contract says what is durable when a call returns, who retries, and which error means what. One contract suite
(``tests/contract``) runs over the in-memory exchange and over real Kafka.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from broker.exchange.topology import Grant, Quota, TopicSpec

Source = tuple[str, int]
"""A topic and a partition number."""
Start = int | Literal["beginning", "end"]
"""Where reading begins: the offset of the next record wanted, or one of the two ends."""


@dataclass(frozen=True, slots=True)
class Record:
    """A record as read. ``timestamp_ms`` is Unix milliseconds (LogAppendTime on outboxes: the broker's clock)."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A record to write. A ``None`` value is a tombstone on a compacted topic."""

    topic: str
    key: bytes | None
    value: bytes | None
    partition: int = 0


@dataclass(frozen=True, slots=True)
class Position:
    """Where a record was stored."""

    topic: str
    partition: int
    offset: int


class Outlet(Protocol):
    """Idempotent writing, one topic's order kept. The caller bounds how many sends are unanswered."""

    async def send(self, record: Outgoing) -> Awaitable[Position]:
        """Queue a record; the returned awaitable ends when all in-sync replicas have it.

        Waiting for queue space is the back-pressure. The awaitable raises NotAuthorised or ExchangeUnreachable; the latter
        leaves the outcome unknown, and the caller sends the same bytes again (the relay drops the duplicate by its leaf).
        """
        ...

    async def close(self) -> None:
        """Send what is queued, then release the connection. Safe to call twice."""
        ...


class Inlet(Protocol):
    """Reading of committed records only, from positions the caller keeps: no group, nothing stored at the exchange."""

    async def assign(self, starts: Mapping[Source, Start]) -> None:
        """Read these sources, and no others, each from its start. May be called again at any time (all starts are given anew)."""
        ...

    async def poll(self, *, max_records: int, timeout: float) -> Sequence[Record]:
        """Records in offset order per source, as soon as there are some; an empty list after ``timeout`` seconds.

        Raises ExchangeUnreachable when the exchange cannot be read for long, NotAuthorised, and UsageError with code
        POSITION_LOST where a position asked for was trimmed away.
        """
        ...

    async def ends(self) -> Mapping[Source, int]:
        """For each assigned source the offset after its last committed record or marker: reading has caught up when
        :meth:`position` reaches it."""
        ...

    def position(self, source: Source) -> int:
        """The offset of the next record that ``poll`` will look at (it moves over transaction markers too)."""
        ...

    async def close(self) -> None:
        """Release the connection. Safe to call twice."""
        ...


class Ledger(Protocol):
    """Transactional writing under one name: all records of a commit become visible together, or none."""

    async def commit(self, records: Sequence[Outgoing]) -> None:
        """Write and commit as one transaction; durable and visible to Inlets when it returns.

        Raises Fenced when another ledger of this name was opened since; OutcomeUnknown for every other failure. After either
        the ledger is dead: close it, and open a new one if this process still holds the shard.
        """
        ...

    async def close(self) -> None:
        """Release the connection; an open transaction is aborted. Safe to call twice."""
        ...


class ShardClaims(Protocol):
    """Membership of the relay group: which shards this worker holds now."""

    async def changed(self, timeout: float) -> frozenset[int]:
        """The shards held: returns at once when they changed since the last call, else after ``timeout`` seconds."""
        ...

    async def close(self) -> None:
        """Leave the group, so that others take over at once. Safe to call twice."""
        ...


class Transport(Protocol):
    """A connection to the exchange under one identity (one client certificate)."""

    async def outlet(self) -> Outlet:
        """Open an Outlet. Raises ExchangeUnreachable."""
        ...

    async def inlet(self) -> Inlet:
        """Open an Inlet with nothing assigned. Raises ExchangeUnreachable."""
        ...

    async def ledger(self, name: str) -> Ledger:
        """Open the ledger of this name. When it returns, every earlier holder of the name is fenced and its open
        transaction is over: what it committed is readable, nothing of it can appear later. Raises ExchangeUnreachable."""
        ...

    async def shard_claims(self, member: str) -> ShardClaims:
        """Join the relay group on ``exchange.shards`` as ``member`` (a name that a restarted worker keeps)."""
        ...

    async def partitions(self, topic: str) -> int:
        """How many partitions a topic has; 0 where there is no such topic or this identity may not see it."""
        ...

    async def trim(self, source: Source, before: int) -> None:
        """Delete the records of a source with an offset lower than ``before`` (DeleteRecords). Idempotent."""
        ...

    async def close(self) -> None:
        """Close all that was opened from here. Safe to call twice."""
        ...


class Admin(Protocol):
    """What the registrar does to the cluster. Every call is idempotent: a half-done admission is repeated whole."""

    async def ensure_topics(self, specs: Sequence[TopicSpec]) -> None:
        """Create what is missing and set what differs. Raises UsageError where a topic has another partition count."""
        ...

    async def topics(self) -> frozenset[str]:
        """Names of all topics that are not Kafka's own."""
        ...

    async def ensure_grants(self, principal: str, grants: Sequence[Grant]) -> None:
        """Make exactly these the grants of the principal: removals first, additions after, then read back and compared."""
        ...

    async def grants(self, principal: str) -> frozenset[Grant]:
        """What the principal may do now."""
        ...

    async def ensure_quota(self, principal: str, quota: Quota) -> None:
        """Set the principal's quota."""
        ...

    async def close(self) -> None:
        """Release the connection. Safe to call twice."""
        ...


class Signer(Protocol):
    """One private key, wherever it lives: a file, a token, a remote service."""

    @property
    def alg(self) -> int:
        """COSE algorithm: -19 Ed25519 or -9 ECDSA P-256."""
        ...

    @property
    def kid(self) -> bytes:
        """First 16 bytes of SHA-256 of the public key's SubjectPublicKeyInfo."""
        ...

    async def sign(self, messages: Sequence[bytes]) -> Sequence[bytes]:
        """One signature for each message, in order. All or none; raises BrokerError where the key cannot be used."""
        ...


class Clock(Protocol):
    """The only source of time for services."""

    def now_ms(self) -> int:
        """Unix time in milliseconds."""
        ...


class Randomness(Protocol):
    """The only source of ids and salts for services."""

    def take(self, count: int) -> bytes:
        """``count`` unpredictable bytes."""
        ...
