"""The directory of an exchange: which agencies and keys there are, as an immutable value that grows by signed records.

A reader pins the registrar's public key, the exchange's name and its environment, then applies the records of
``exchange.directory`` in whatever order they come. Nothing that the two signatures do not cover is ever believed, and nothing
goes back: an older version of an entry changes nothing, a revoked key stays revoked, a master key stays the agency's.

On the compacted topic the last entry of an agency may lie behind those of its keys. Such keys wait, unusable, until it comes.

A suspension that has a number is ended by two officers of other agencies and by nobody else: a reader that knows the agency as suspended
takes no active entry without their statement over exactly this suspension, and judges it by who is active when the entry comes. A reader
that never saw the suspension finds the statement in the entry, and can ask :func:`broker.trust.officers.approved` whether it is good; that
an entry with no word of a suspension hides one, it cannot see, no more than whether the registrar admitted the agency rightly.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from broker import ids
from broker.envelope import cose
from broker.errors import Refusal, UsageError
from broker.trust.canonical import Flaw
from broker.trust.entries import (
    AGENCY_TYPE,
    ENTRY_LIMIT,
    EXCHANGE_TYPE,
    KEY_TYPE,
    AgencyEntry,
    Entry,
    ExchangeEntry,
    KeyEntry,
    agency_payload,
    claimed_key,
    directory_key,
    exchange_payload,
    key_payload,
    new_message_key,
    read_agency,
    read_countersigned,
    read_exchange,
    read_key_statement,
    unsigned_agency,
    unsigned_exchange,
    unsigned_key,
    unsigned_key_statement,
    versioned,
)  # fmt: skip
from broker.trust.keys import VerifyKey
from broker.trust.officers import approved
from broker.trust.signing import Unsigned, check_signature, public_key, read_signed

__all__ = [
    "AgencyEntry", "Directory", "Entry", "ExchangeEntry", "KeyEntry", "Unsigned", "Waiting", "agency_payload", "directory_key",
    "exchange_payload", "key_payload", "new_message_key", "unsigned_agency", "unsigned_exchange", "unsigned_key",
    "unsigned_key_statement",
]  # fmt: skip

_K = TypeVar("_K")
_V = TypeVar("_V")


@dataclass(frozen=True, slots=True)
class Waiting:
    """A countersigned key statement whose agency is not known yet, or whose agency's master key did not sign it."""

    statement: bytes
    version: int


@dataclass(frozen=True, slots=True)
class Directory:
    """What is known, verified, at ``version`` (the highest applied; one counter for all entries).

    ``waiting`` is empty once a whole directory was read; if something stays in it, a key entry lacks its agency's own
    signature: an alarm for the operator, and never a usable key.
    """

    registrar: VerifyKey
    exchange_id: str
    environment: str
    version: int = 0
    exchange: ExchangeEntry | None = None
    agencies: Mapping[str, AgencyEntry] = field(default_factory=dict[str, AgencyEntry])
    keys: Mapping[bytes, KeyEntry] = field(default_factory=dict[bytes, KeyEntry])
    waiting: Mapping[tuple[str, bytes], Waiting] = field(default_factory=dict[tuple[str, bytes], Waiting], repr=False)
    _message_keys: Mapping[bytes, tuple[KeyEntry, VerifyKey]] = field(default_factory=dict[bytes, tuple[KeyEntry, VerifyKey]], repr=False)
    _relay_keys: Mapping[bytes, VerifyKey] = field(default_factory=dict[bytes, VerifyKey], repr=False)

    @classmethod
    def trusting(cls, registrar_spki: bytes, exchange_id: str, environment: str) -> Directory:
        """An empty directory that believes this registrar about this exchange only. Raises UsageError on a bad pin."""
        key = VerifyKey.from_spki(registrar_spki)
        if isinstance(key, Refusal):
            raise UsageError(f"the registrar's pinned key: {key.reason}", advice="take the key from the reply you joined with")
        if environment not in ids.ENVIRONMENTS:
            raise UsageError(f"`{environment}` is no environment", advice=f"use one of {', '.join(ids.ENVIRONMENTS)}")
        return cls(key, ids.exchange_id(exchange_id), environment)

    def applied(self, value: bytes) -> Directory | Refusal:
        """The directory after one record's value; itself where the record says nothing new. Refusal: BAD_ENTRY."""
        try:
            return self._judged(value)
        except Flaw as flaw:
            return Refusal("BAD_ENTRY", str(flaw))

    def message_key(self, kid: bytes) -> tuple[KeyEntry, VerifyKey] | None:
        """The entry and the key of this name, whatever their state: :meth:`KeyEntry.usable` judges the time."""
        return self._message_keys.get(kid)

    def relay_key(self, kid: bytes) -> VerifyKey | None:
        """The relay's key of this name."""
        return self._relay_keys.get(kid)

    def agency(self, agency: str) -> AgencyEntry | None:
        """The member of this id, suspended or not."""
        return self.agencies.get(agency)

    def keys_of(self, agency: str) -> tuple[KeyEntry, ...]:
        """All message keys of an agency, the oldest entry first."""
        return tuple(sorted((key for key in self.keys.values() if key.agency == agency), key=lambda key: key.version))

    def _judged(self, value: bytes) -> Directory:
        note = read_signed(value, ENTRY_LIMIT)
        check_signature(note, self.registrar, cose.context(self.exchange_id, self.environment), "the registrar's key")
        if note.content_type == AGENCY_TYPE:
            return self._with_agency(read_agency(note.payload))
        if note.content_type == KEY_TYPE:
            return self._with_key(*read_countersigned(note.payload))
        if note.content_type == EXCHANGE_TYPE:
            return self._with_exchange(read_exchange(note.payload))
        raise Flaw("the registrar signed something that is no directory entry")

    def _with_exchange(self, new: ExchangeEntry) -> Directory:
        if (new.exchange_id, new.environment, new.registrar_spki) != (self.exchange_id, self.environment, self.registrar.spki):
            raise Flaw("the entry is of another exchange, environment or registrar")
        old = self.exchange
        if old is not None:
            if old.shards != new.shards:
                raise Flaw(f"the exchange has {old.shards} shards for its life, the entry says {new.shards}")
            if not _is_newer(old, new):
                return self
        relays = {key.kid: key for key in (public_key(spki, "a relay's key") for spki in new.relay_spkis)}
        return replace(self, version=max(self.version, new.version), exchange=new, _relay_keys=relays)

    def _with_agency(self, new: AgencyEntry) -> Directory:
        old = self.agencies.get(new.agency)
        if old is not None:
            if old.master_spki != new.master_spki:
                raise Flaw(f"the master key of `{new.agency}` differs from the one known, and it never changes")
            if not _is_newer(old, new):
                return self
            if new.generation < old.generation:
                raise Flaw(f"the certificate generation of `{new.agency}` goes back from {old.generation} to {new.generation}")
            self._check_standing(old, new)
        grown = replace(self, version=max(self.version, new.version), agencies=_with(self.agencies, new.agency, new))
        return grown if old is not None else grown._with_those_waiting_for(new)

    def _check_standing(self, old: AgencyEntry, new: AgencyEntry) -> None:
        """Suspensions are not forgotten, each has a number of its own, and one that has a number is ended by two officers only."""
        who = f"`{new.agency}`"
        if new.suspension < old.suspension:
            raise Flaw(f"the entry speaks of the suspension {new.suspension} of {who}, and {old.suspension} is known")
        if new.suspension > old.suspension and new.suspension <= old.version:
            raise Flaw(f"a suspension of {who} after version {old.version} cannot have the number {new.suspension}")
        if new.status == "suspended":
            if old.status == "active" and new.suspension == old.suspension > 0:
                raise Flaw(f"{who} is suspended under the number {new.suspension} of a suspension that has ended")
            return
        if old.status == "active" or new.readmission is None:
            return  # without a number there is nothing that officers could have signed
        if new.suspension == old.suspension and new.readmission.since_ms != old.since_ms:
            raise Flaw(f"the statement is about a suspension of {who} at {new.readmission.since_ms}, it was at {old.since_ms}")
        found = approved(new.readmission, self)
        if isinstance(found, Refusal):
            raise Flaw(f"the re-admission of {who}: {found.reason}")

    def _with_those_waiting_for(self, agency: AgencyEntry) -> Directory:
        directory = self
        for (owner, kid), waiting in self.waiting.items():
            if owner != agency.agency:
                continue
            try:
                known = directory._with_key(waiting.statement, waiting.version)
            except Flaw:
                continue  # it stays among those waiting, where the operator's alarm looks
            left = {name: other for name, other in known.waiting.items() if name != (owner, kid)}
            directory = replace(known, waiting=left)
        return directory

    def _with_key(self, statement: bytes, version: int) -> Directory:
        claimed = claimed_key(statement)
        agency = self.agencies.get(claimed.agency)
        if agency is None:
            name = (claimed.agency, claimed.kid)
            held = self.waiting.get(name)
            if held is not None and held.version >= version:
                return self
            waiting = _with(self.waiting, name, Waiting(statement, version))
            return replace(self, version=max(self.version, version), waiting=waiting)
        master = public_key(agency.master_spki, "the agency's master key")
        new = versioned(read_key_statement(statement, master), version)
        old = self.keys.get(new.kid)
        if old is not None:
            if old.agency != new.agency:
                raise Flaw(f"the key {new.kid.hex()} belongs to `{old.agency}`")
            if not _is_newer(old, new):
                return self
            if old.status == "revoked" and new.status != "revoked":
                raise Flaw(f"the key {new.kid.hex()} is revoked and stays so")
            if new.issued_at_ms < old.issued_at_ms:
                raise Flaw(f"the statement of `{new.agency}` about the key {new.kid.hex()} is older than the one known")
        pair = (new, public_key(new.spki, "the message key"))
        return replace(
            self,
            version=max(self.version, version),
            keys=_with(self.keys, new.kid, new),
            _message_keys=_with(self._message_keys, new.kid, pair),
        )


def _is_newer(old: Entry, new: Entry) -> bool:
    """Whether ``new`` replaces ``old``. Raises Flaw on two contents under one version: the registrar contradicts itself."""
    if new.version == old.version and new != old:
        raise Flaw(f"there are two different entries `{directory_key(new).decode()}` of version {new.version}")
    return new.version > old.version


def _with(mapping: Mapping[_K, _V], key: _K, value: _V) -> Mapping[_K, _V]:
    return {**mapping, key: value}
