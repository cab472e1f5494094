"""A shard of the relay on the bench: real keys, directory, policies and schemas, and no loop, log or network around it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from broker import ids
from broker.app import shipped_bundle
from broker.envelope import cbor
from broker.envelope.receipt import Receipt
from broker.errors import Refusal
from broker.exchange.receive import is_receipt, read_receipt
from broker.exchange.records import Outgoing, Record
from broker.exchange.relay import Batch, Tally
from broker.exchange.rules import Rules, decider_of
from broker.exchange.shard import ShardState
from broker.exchange.topology import CURRENT, JOURNAL, QUARANTINE, STATE
from broker.families.message import Message
from broker.policy.bundle import Bundle
from broker.policy.decide import Decider
from broker.storage.keys import FileSigner
from broker.testing.agreements import EVERYWHERE
from broker.testing.samples import sample_alert
from broker.trust.directory import (
    AgencyEntry,
    Directory,
    ExchangeEntry,
    KeyEntry,
    Unsigned,
    new_message_key,
    unsigned_agency,
    unsigned_exchange,
    unsigned_key,
    unsigned_key_statement,
)
from broker.trust.keys import VerifyKey
from tests.support.parcels import Author, catalogue, key

NOW = 1_795_478_400_000
EXCHANGE, ENVIRONMENT = "bench.test", "test"
RELAY = key("relay")
REGISTRAR = key("registrar")
COMMUNITY = "STCE-ASEAN"
AGENCIES = {
    "SG-CUSTOMS": ("customs", (COMMUNITY,)),
    "MY-CUSTOMS": ("customs", (COMMUNITY,)),
    "AE-CUSTOMS": ("customs", ()),
    "DE-BAFA": ("licensing", ()),
}


@lru_cache(maxsize=1)
def bundle() -> Bundle:
    """The shipped policies, checked once."""
    return shipped_bundle(entities=EVERYWHERE)


class Desk:
    """The registrar's desk: writes entries of the directory, each under the next version."""

    def __init__(self, exchange_id: str = EXCHANGE, environment: str = ENVIRONMENT, by: FileSigner = REGISTRAR) -> None:
        self.names = (exchange_id, environment)
        self.by = by
        self.policy_version = 1
        self.directory = Directory.trusting(by.spki, exchange_id, environment)

    def signed(self, unsigned: Unsigned) -> bytes:
        """A record value of the directory."""
        return unsigned.signed(self.by.sign_now(unsigned.to_be_signed))

    def enter(self, value: bytes) -> None:
        """Apply a record that must be good."""
        applied = self.directory.applied(value)
        assert not isinstance(applied, Refusal), applied
        self.directory = applied

    @property
    def next(self) -> int:
        """The version of the next entry."""
        return self.directory.version + 1

    def open(self, relay: FileSigner = RELAY) -> None:
        """The exchange's own entry."""
        entry = ExchangeEntry(*self.names, 4, self.by.spki, (relay.spki,), self.next)
        self.enter(self.signed(unsigned_exchange(entry, self.by)))

    def admit(self, agency: str, kind: str, communities: Sequence[str]) -> None:
        """An agency and its message key ``key(agency)``, valid since a day ago."""
        entry = AgencyEntry(agency, kind, agency[:2], tuple(communities), "active", 1, key(f"{agency} master").spki, self.next, NOW)
        self.enter(self.signed(unsigned_agency(entry, self.by, *self.names)))
        self.enroll(agency, key(agency))

    def enroll(self, agency: str, signer: FileSigner) -> None:
        """A message key, valid since a day ago."""
        verify = VerifyKey.from_spki(signer.spki)
        assert isinstance(verify, VerifyKey)
        self.enter(self.key_entry(new_message_key(agency, verify, now_ms=NOW - 86_400_000)))

    def key_entry(self, entry: KeyEntry) -> bytes:
        """The record of a key entry, signed by the agency and countersigned."""
        master = key(f"{entry.agency} master")
        unsigned = unsigned_key_statement(entry, master)
        statement = unsigned.nested(master.sign_now(unsigned.to_be_signed))
        return self.signed(unsigned_key(statement, self.next, self.by, *self.names))

    def place(self, agency: str, communities: Sequence[str]) -> None:
        """Put an agency into these communities and no others."""
        entry = replace(self.directory.agencies[agency], communities=tuple(communities), version=self.next)
        self.enter(self.signed(unsigned_agency(entry, self.by, *self.names)))

    def stand(self, agency: str, status: Any) -> None:
        """Suspend or reinstate."""
        entry = replace(self.directory.agencies[agency], status=status, version=self.next)
        self.enter(self.signed(unsigned_agency(entry, self.by, *self.names)))

    def revoke(self, agency: str, *, since_ms: int, at_ms: int) -> None:
        """Revoke an agency's message key; the statement is made at ``at_ms``."""
        known = self.directory.keys_of(agency)[0]
        revoked = replace(known, status="revoked", compromised_since_ms=since_ms, issued_at_ms=at_ms)
        self.enter(self.key_entry(revoked))

    @property
    def rules(self) -> Rules:
        """The view of now."""
        return Rules.of(self.directory, catalogue(), self.policy_version)


@lru_cache(maxsize=1)
def opened() -> Directory:
    """The directory that every bench begins with."""
    desk = Desk()
    desk.open()
    for agency, (kind, communities) in AGENCIES.items():
        desk.admit(agency, kind, communities)
    return desk.directory


@lru_cache(maxsize=1)
def opened_decider() -> Decider:
    """Decisions under that directory."""
    return decider_of(bundle(), opened())


@dataclass(frozen=True)
class Written:
    """What one batch wrote, sorted by kind. ``notes`` are the receipts as bytes, in order."""

    tally: Tally
    records: tuple[Outgoing, ...]
    receipts: tuple[Receipt, ...]
    notes: tuple[bytes, ...]
    quarantine: tuple[dict[str, Any], ...]

    def inbox(self, agency: str) -> list[Outgoing]:
        """Deliveries into an inbox."""
        return [record for record in self.records if record.topic == ids.inbox(agency) and not is_receipt(record.key)]

    def to(self, topic: str) -> list[Outgoing]:
        """Everything written to a topic."""
        return [record for record in self.records if record.topic == topic]

    @property
    def codes(self) -> list[str]:
        """The code of each receipt, empty where it accepts."""
        return [receipt.code for receipt in self.receipts]


class Bench:
    """Shard 0 and its topics. ``now`` moves by hand; ``log`` is what ``exchange.state`` holds, ``current`` ``exchange.current``,
    ``outbox`` what outboxes hold."""

    def __init__(self) -> None:
        self.desk = Desk()
        self.desk.directory = opened()
        self.decider = opened_decider()
        self.shard = ShardState(0)
        self.now = NOW
        self.log: list[Record] = []
        self.current: list[Record] = []
        self._read: tuple[tuple[int, int | None], int] | None = None
        self._ends: dict[str, int] = {}
        self.outbox: dict[tuple[str, int, int], Record] = {}

    @property
    def rules(self) -> Rules:
        """The view of now."""
        return self.desk.rules

    def key_of(self, agency: str) -> FileSigner:
        """An agency's message key."""
        return key(agency)

    def renew(self, policies: Bundle | None = None) -> None:
        """Decide under the directory of now, and this bundle."""
        used = policies or bundle()
        self.desk.policy_version = used.version
        self.decider = decider_of(used, self.desk.directory)

    def author(self, agency: str = "SG-CUSTOMS", *, seed: int = 0) -> Author:
        """A stream of an agency."""
        return Author(agency, key(agency), self.rules, seed=seed)

    def alert(self, number: int = 1, *, owner: str = "SG-CUSTOMS", revision: int = 1) -> Message:
        """A good alert for the community, about a subject of this number."""
        return sample_alert(f"{owner}/2026/{number:06}", now_ms=self.now, communities=[COMMUNITY], revision=revision)

    def record(self, value: bytes | None, *, outbox: str = "SG-CUSTOMS", at_ms: int | None = None) -> Record:
        """The bytes as the next record of an outbox."""
        topic = ids.outbox(outbox)
        offset = self._ends.get(topic, 0)
        self._ends[topic] = offset + 1
        record = Record(topic, 0, offset, self.now if at_ms is None else at_ms, b"key", value)
        self.outbox[topic, 0, offset] = record
        return record

    def feed(self, *values: bytes | Record | None) -> Written:
        """One batch: bytes are put into SG-CUSTOMS's outbox first."""
        batch = Batch(self.shard, self.rules, self.decider, alg=RELAY.alg, kid=RELAY.kid)
        batch.resume(now_ms=self.now)
        for value in values:
            assert batch.take(value if isinstance(value, Record) else self.record(value), now_ms=self.now)
        batch.expire(now_ms=self.now)
        batch.found([self.outbox[place] for place in batch.wanted if place in self.outbox])
        records = batch.sealed([RELAY.sign_now(message) for message in batch.to_be_signed()])
        return self._sorted(batch.tally, records)

    def sweep(self, count: int = 1000) -> Written:
        """One batch without traffic that has so many records of ``exchange.current`` to look at."""
        batch = Batch(self.shard, self.rules, self.decider, alg=RELAY.alg, kid=RELAY.kid)
        batch.resume(now_ms=self.now)
        self.step(batch, count)
        return self._sorted(batch.tally, batch.sealed([RELAY.sign_now(message) for message in batch.to_be_signed()]))

    def swept(self) -> list[Written]:
        """Batches until there is nothing more to decide again: what each wrote."""
        found = [self.sweep()]
        while self.shard.sweep.position is not None:
            assert len(found) < 100, self.shard.sweep
            found.append(self.sweep())
        return found

    def step(self, batch: Batch, count: int) -> None:
        """Give a batch the next records of ``exchange.current``, as the worker's reader does: from the position that is written where a
        sweep begins or is taken over, from then on where it was left."""
        sweep = self.shard.sweep
        if sweep.position is None:
            return
        reading = sweep.number, sweep.until
        start = self._read[1] if self._read is not None and self._read[0] == reading else sweep.position
        records = [record for record in self.current if record.offset >= start][:count]
        taken = batch.sweep(records, now_ms=self.now)
        self._read = reading, records[taken - 1].offset + 1 if taken else start

    def compact(self) -> None:
        """What the log cleaner does to ``exchange.current``."""
        last = {record.key: record for record in self.current}
        self.current = [record for record in self.current if last[record.key] is record]

    def _sorted(self, tally: Tally, records: Sequence[Outgoing]) -> Written:
        notes = [record.value or b"" for record in records if is_receipt(record.key)]
        receipts = [self.read(note) for note in notes]
        quarantine: list[Any] = [cbor.decode(record.value or b"") for record in records if record.topic == QUARANTINE]
        for record in records:
            assert record.topic in (CURRENT, JOURNAL, QUARANTINE, STATE) or record.topic.startswith("in.")
        self.remember(records)
        return Written(tally, tuple(records), tuple(receipts), tuple(notes), tuple(quarantine))

    def read(self, note: bytes) -> Receipt:
        """A receipt that must verify."""
        receipt = read_receipt(note, self.rules)
        assert isinstance(receipt, Receipt), receipt
        return receipt

    def remember(self, records: Sequence[Outgoing]) -> None:
        """Keep what a commit wrote to ``exchange.state`` and ``exchange.current``."""
        for record in records:
            if record.topic == CURRENT:
                offset = self.current[-1].offset + 2 if self.current else 0
                self.current.append(Record(CURRENT, 0, offset, self.now, record.key, record.value))
            if record.topic == STATE:
                assert record.partition == self.shard.number
                self.log.append(Record(STATE, record.partition, len(self.log), self.now, record.key, record.value))

    def compacted(self) -> list[Record]:
        """The state topic after the log cleaner went over it."""
        last = {record.key: record for record in self.log}
        return [record for record in self.log if last[record.key] is record]

    def loaded(self, log: Sequence[Record] | None = None) -> ShardState:
        """What a worker that takes the shard now would know."""
        state = ShardState(self.shard.number)
        for record in self.log if log is None else log:
            state.load(record)
        return state

    def crash(self) -> None:
        """The worker is gone; another takes the shard from the state topic."""
        self.shard = self.loaded()
        self._read = None
