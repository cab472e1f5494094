"""What the services need from the world, as contracts in prose. Adaptors: ``kafka/``, ``storage/``, and ``testing/`` in memory.

Each contract says what is durable when a call returns, who retries, and which error means what. One contract suite
(``tests/contract``) runs over the in-memory exchange and over real Kafka.
"""

from __future__ import annotations

from collections.abc import Awaitable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from broker.exchange.records import Outgoing as Outgoing
from broker.exchange.records import Record as Record
from broker.exchange.topology import Grant, Quota, TopicSpec
from broker.families.codelists import CodeLists

Source = tuple[str, int]
"""A topic and a partition number."""
Start = int | Literal["beginning", "end"]
"""Where reading begins: the offset of the next record wanted, or one of the two ends."""


@dataclass(frozen=True, slots=True)
class Position:
    """Where a record was stored."""

    topic: str
    partition: int
    offset: int


@dataclass(frozen=True, slots=True)
class Told:
    """How far a reader says that it has read, and when it said so (Unix ms). It is its own word."""

    position: int
    at_ms: int


class Outlet(Protocol):
    """Idempotent writing, one topic's order kept. The caller bounds how many sends are unanswered."""

    async def send(self, record: Outgoing) -> Awaitable[Position]:
        """Queue a record; the returned awaitable ends when all in-sync replicas have it.

        Waiting for queue space is the back-pressure. The awaitable raises NotAuthorised or ExchangeUnreachable; the latter
        leaves the outcome unknown, and the caller sends the same bytes again (the relay drops the duplicate by its leaf).
        UsageError, here or from the awaitable: a topic that is not there, or a record that Kafka will never take.
        """
        ...

    async def close(self) -> None:
        """Send what is queued, then release the connection. Safe to call twice."""
        ...


class Inlet(Protocol):
    """Reading of committed records only, from positions the caller keeps: no group, nothing stored at the exchange."""

    async def assign(self, starts: Mapping[Source, Start]) -> None:
        """Read these sources, and no others, each from its start. May be called again at any time (all starts are given anew).

        Raises NotAuthorised, UsageError (no such topic), ExchangeUnreachable.
        """
        ...

    async def poll(self, *, max_records: int, timeout: float) -> Sequence[Record]:
        """Records in offset order per source, as soon as there are some; an empty list after ``timeout`` seconds, or earlier
        where only markers were passed. One task at a time.

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
        """Write and commit as one transaction; durable when it returns, visible to Inlets milliseconds later, and always
        before the next ``ledger`` of this name opens.

        Raises Fenced when another ledger of this name was opened since, or the exchange ended the transaction by itself;
        OutcomeUnknown for every other failure. After either the ledger is dead: close it, and open a new one if this process
        still holds the shard. Raises UsageError on an over-size record; nothing was written then, and the ledger lives.
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

    async def ends(self, sources: Collection[Source]) -> Mapping[Source, int]:
        """For each source the offset after its last committed record or marker, without reading any. Raises NotAuthorised, UsageError
        where there is no such source, ExchangeUnreachable."""
        ...

    async def tell_read(self, group: str, source: Source, position: int, at_ms: int) -> None:
        """Leave word at the exchange that all before ``position`` was read at this time (Unix ms), for whoever runs it. Nothing depends on
        it, and the last word counts. Raises NotAuthorised, ExchangeUnreachable."""
        ...

    async def trim(self, source: Source, before: int) -> None:
        """Delete the records of a source with an offset lower than ``before`` (DeleteRecords). Idempotent. Raises UsageError
        where ``before`` lies beyond the end."""
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

    async def told_read(self, groups: Mapping[str, Source]) -> Mapping[str, Told]:
        """What :meth:`Transport.tell_read` last said for each of these groups, or said a moment before; a group that told nothing in the
        last days is left out."""
        ...

    async def workers(self) -> Mapping[int, str]:
        """Which relay worker holds which shard now, by the name that it joined under; a shard that nobody holds is left out."""
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


@dataclass(frozen=True, slots=True)
class Stored:
    """A signed message in a publisher's store. ``digest`` (SHA-256 of ``value``) is what a receipt names it by."""

    seq: int
    message_id: bytes
    subject: str
    revision: int
    leaf: bytes
    digest: bytes
    value: bytes


class RulesKeeper(Protocol):
    """Where the signed records of the public topics are kept for a start without the exchange. What goes wrong is its own matter."""

    def replace(self, records: Sequence[Record]) -> None:
        """Keep these, and none of before: the topics were read to their ends."""
        ...

    def add(self, records: Sequence[Record]) -> None:
        """Keep these too: durable when it returns, before they are used."""
        ...


class PublisherStore(Protocol):
    """A publisher's own memory: the stream it writes now, those it gave up, and every signed record until it is answered. One
    process at a time."""

    def stream(self) -> tuple[bytes, int, bytes | None]:
        """The 16-byte stream id, the last number used, and its leaf."""
        ...

    def add(self, messages: Sequence[Stored]) -> None:
        """Store records before their first send, and use up their numbers. Durable when it returns; all or none."""
        ...

    def unanswered(self, limit: int | None = None) -> Sequence[Stored]:
        """Records whose bytes have no receipt, in the order in which they were stored, the first ``limit`` of them: to be sent again,
        byte for byte."""
        ...

    def awaited(self, digest: bytes) -> tuple[bytes, Stored] | None:
        """The stream and record that have no receipt yet; None for a record that is answered, or not in here."""
        ...

    def give_up(self, stream: bytes, successor: bytes, *, hole: int | None) -> None:
        """If this is the stream of now, the next message begins ``successor``. ``hole``: a number of the stream that will never be
        consumed by the record stored here. Durable when it returns; to be repeated after a crash."""
        ...

    def hole(self, stream: bytes) -> int | None:
        """The lowest hole of the stream, if it has one."""
        ...

    def behind(self, stream: bytes, number: int, limit: int) -> Sequence[Stored]:
        """The first ``limit`` unanswered records of a stream that come after a number of it, in order."""
        ...

    def reseat(self, moves: Sequence[tuple[bytes, Stored]]) -> None:
        """Unanswered records, by the digests they have, are signed anew under the next numbers of the stream of now: each takes the
        place of the old one. An acceptance of any earlier form still counts for it, and yet its bytes have to be sent until they are
        answered too: the stream goes on behind them. Durable when it returns; all or none."""
        ...

    def settle(self, receipts: Sequence[tuple[bytes, bytes]], position: int) -> frozenset[bytes]:
        """Keep receipts as (digest, note), and the inbox offset to go on from; durable together. The first receipt of a record, in
        whatever form, counts. Returns the digests that were awaited."""
        ...

    def receipts(self, subject: str) -> Sequence[bytes]:
        """The receipts of a subject's revisions, as notes, in the order in which the revisions were stored; then those of :meth:`later`."""
        ...

    def stored(self, subject: str) -> bool:
        """Whether a record of this subject was ever added, answered or not."""
        ...

    def acknowledged(self, subject: str) -> bool:
        """Whether an acknowledgement of this subject, ``<AGENCY>/ack/...``, was ever added, answered or not."""
        ...

    def keep_later(self, receipts: Sequence[tuple[bytes, bytes]]) -> None:
        """Keep further receipts as (digest, note), which name recipients besides those of the first. Those of records that are not of this
        store are left out, and what comes again is kept once. Durable when it returns; all or none."""
        ...

    def later(self, subject: str) -> Sequence[bytes]:
        """The further receipts of a subject's records, as notes, in the order in which they came."""
        ...

    def receipts_position(self) -> int | None:
        """The inbox offset to go on from; None before the first use."""
        ...

    def close(self) -> None:
        """Release the store. Safe to call twice."""
        ...


@dataclass(frozen=True, slots=True)
class Held:
    """A delivery that waits for another try: its inbox record, how often it was tried, when it is due (Unix ms)."""

    record: Record
    subject: str
    attempts: int
    due_ms: int


@dataclass(frozen=True, slots=True)
class OwnCopy:
    """An own message that was accepted: its record value, and of its receipt the admission time (Unix ms) and who got it."""

    value: bytes
    admitted_at: int
    recipients: tuple[str, ...]


class OwnCopies(Protocol):
    """Where a publisher leaves a copy of what was accepted, for the agency's own register: nobody gets his own messages back."""

    def keep(self, copies: Sequence[OwnCopy]) -> None:
        """Store copies durably and at once. The same may come again."""
        ...

    def close(self) -> None:
        """Release the store. Safe to call twice."""
        ...


class SubscriberStore(Protocol):
    """A subscriber's own memory: position, what was seen, the delivery chains, what waits, what was refused.

    All writes between :meth:`begin` and :meth:`commit` happen together; a handler may write into the same transaction.
    """

    def position(self) -> int | None:
        """The inbox offset to go on from; None before the first use."""
        ...

    def attempted(self) -> int:
        """Records before this offset may have reached a handler already, before a crash."""
        ...

    def attempt(self, before: int) -> None:
        """Remember, durably and at once, that records before this offset are about to reach the handler."""
        ...

    def restart(self, position: int, *, follow_chains: bool) -> None:
        """Read from ``position`` on, forgetting what was seen. ``follow_chains`` false: the first delivery of a chain sets its count."""
        ...

    def begin(self) -> None:
        """Open a transaction."""
        ...

    def commit(self) -> None:
        """Make everything since ``begin`` durable."""
        ...

    def rollback(self) -> None:
        """Forget everything since ``begin``."""
        ...

    def mark(self) -> None:
        """Set a point inside the transaction to which a failed handler is undone."""
        ...

    def undo(self) -> None:
        """Forget everything since ``mark``."""
        ...

    @property
    def transaction(self) -> object:
        """What a handler writes its own effects through (a ``sqlite3.Connection``)."""
        ...

    def move(self, position: int) -> None:
        """Reading goes on at ``position``."""
        ...

    def seen(self, leaf: bytes) -> bool:
        """Whether this parcel was taken already."""
        ...

    def take(self, leaf: bytes) -> None:
        """Remember a parcel."""
        ...

    def chain(self, shard: int) -> tuple[int, bytes | None] | None:
        """Counter and leaf of the last delivery of a shard; None before the first."""
        ...

    def followed_ms(self, shard: int) -> int:
        """When the last delivery of a shard was written into the inbox (Unix ms); 0 where that was not kept, or before the first."""
        ...

    def follow(self, shard: int, counter: int, leaf: bytes, at_ms: int) -> None:
        """Remember the last delivery of a shard, and when it was written."""
        ...

    @property
    def follows_chains(self) -> bool:
        """Whether the first delivery of a chain has to be its first (reading began at the beginning)."""
        ...

    def hold(self, held: Held, reason: str) -> None:
        """Keep a delivery for another try, or change its due time."""
        ...

    def holds(self, subject: str) -> bool:
        """Whether a delivery of this subject waits: later ones have to wait behind it."""
        ...

    def due(self, now_ms: int) -> Sequence[Held]:
        """The deliveries to try now: the oldest of each subject, if its time has come."""
        ...

    def next_due(self) -> int | None:
        """When the next one is due (Unix ms); None where nothing waits."""
        ...

    def release(self, held: Held) -> None:
        """A held delivery is dealt with."""
        ...

    def forget(self, subject: str) -> None:
        """Its owner took the subject back: what waits of it, and what this agency's own code rejected, goes for good. Forgeries that were
        refused are evidence, and stay."""
        ...

    def quarantine(self, record: Record, code: str, reason: str, at_ms: int) -> None:
        """Keep refused bytes with the reason."""
        ...

    def close(self) -> None:
        """Release the store. Safe to call twice."""
        ...


class CodeListSource(Protocol):
    """Where the operator keeps code lists."""

    def poll(self) -> CodeLists:
        """The lists of now: the same object where nothing changed. Reads files, so it is called in a thread of its own.

        Never raises for a list that cannot be read: the last good one stays, and :meth:`CodeLists.remarks` tells of it.
        """
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
