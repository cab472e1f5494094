"""The three kinds of directory entry: what they hold, how they are written, how they are read.

::

    exchange   note by the registrar over canonical JSON: name, environment, shards, the registrar's and the relays' keys
    agency     note by the registrar over canonical JSON: kind, country, communities, status, master key
    key        note by the registrar over CBOR [statement, version]; the statement is the agency's own: a COSE_Sign1 by its
               master key over canonical JSON. Neither of the two can add or alter a key alone.

An agency signs its key statement before it knows any exchange, so that signature is bound to :data:`AGENCY_CONTEXT`; the
registrar's is bound to the exchange and its environment. The registrar numbers entries with one counter for the directory.

An agency entry says which suspension was the last one, and an active one carries the officers' statement that ended it
(:mod:`broker.trust.readmission`). Entries that say nothing of it are read as ever: the agency never was suspended, or by a program that did
not number suspensions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, Literal, TypeAlias, cast

from broker import ids
from broker.envelope import cbor, cose
from broker.errors import UsageError
from broker.trust.canonical import Flaw, Json, canonical_json, read_canonical
from broker.trust.keys import VerifyKey, key_id
from broker.trust.readmission import Readmission, read_readmission
from broker.trust.signing import SignedBy, Unsigned, check_signature, public_key, read_nested
from broker.trust.statement_file import REASON_LIMIT

AGENCY_TYPE: Final = "application/vnd.broker.directory.agency+json;v=1"
KEY_TYPE: Final = "application/vnd.broker.directory.key+cbor;v=1"
KEY_STATEMENT_TYPE: Final = "application/vnd.broker.directory.key+json;v=1"
EXCHANGE_TYPE: Final = "application/vnd.broker.directory.exchange+json;v=1"
AGENCY_CONTEXT: Final = cose.context("", "")
"""What an agency signs about itself belongs to no exchange; no exchange has an empty name."""
ENTRY_LIMIT: Final = 64 << 10
"""Longest directory record in bytes."""
SHARD_LIMIT: Final = 1024
COMMUNITY_LIMIT: Final = 200
RELAY_KEY_LIMIT: Final = 64

_AGENCY_FIELDS: Final = (
    "agency", "communities", "country", "generation", "kind", "master_spki", "reason", "since_ms", "status", "type", "version",
)  # fmt: skip
_HISTORY: Final = ("readmission", "suspension")
"""Fields of an agency entry that are left out where there is nothing to say."""
_KEY_FIELDS: Final = (
    "agency", "alg", "compromised_since_ms", "issued_at_ms", "kid", "purpose", "spki", "status", "type", "valid_from_ms", "valid_until_ms",
)  # fmt: skip
_EXCHANGE_FIELDS: Final = ("environment", "exchange_id", "registrar_spki", "relay_spkis", "shards", "type", "version")


@dataclass(frozen=True, slots=True)
class AgencyEntry:
    """A member as the registrar lists it. ``since_ms``: since when the status holds (Unix milliseconds); ``reason``: why.

    ``generation`` counts the agency's certificates from 1. The master key never changes under one agency id: otherwise the
    registrar alone could put its own key in an agency's place.

    ``suspension`` numbers the last suspension: the version of the directory that it began with, also in later entries; 0 where none is
    known. ``readmission`` is the statement that ended it: every active entry with a suspension has it, and no suspended one.
    """

    agency: str
    kind: str
    country: str
    communities: tuple[str, ...]
    status: Literal["active", "suspended"]
    generation: int
    master_spki: bytes
    version: int
    since_ms: int
    reason: str = ""
    suspension: int = 0
    readmission: Readmission | None = None


@dataclass(frozen=True, slots=True)
class KeyEntry:
    """A message key as its agency states it and the registrar lists it. All times are Unix milliseconds.

    ``issued_at_ms`` is when the agency made the statement: an older one never replaces a newer one. ``version`` is 0 until
    the registrar gives one.
    """

    agency: str
    purpose: Literal["message"]
    alg: int
    spki: bytes
    kid: bytes
    valid_from_ms: int
    valid_until_ms: int | None
    status: Literal["active", "revoked"]
    compromised_since_ms: int | None
    version: int = 0
    issued_at_ms: int = 0

    def usable(self, at_ms: int) -> bool:
        """Whether a message admitted at this time may carry this key. ``at_ms`` is the exchange's time, never a claimed one.

        What a revoked key signed stays good if it was admitted before the key was compromised.
        """
        if at_ms < self.valid_from_ms or (self.valid_until_ms is not None and at_ms >= self.valid_until_ms):
            return False
        return self.status == "active" or (self.compromised_since_ms is not None and at_ms < self.compromised_since_ms)


@dataclass(frozen=True, slots=True)
class ExchangeEntry:
    """What holds for the whole exchange. ``relay_spkis`` are the keys that may sign slips and receipts."""

    exchange_id: str
    environment: str
    shards: int
    registrar_spki: bytes
    relay_spkis: tuple[bytes, ...]
    version: int


Entry: TypeAlias = AgencyEntry | KeyEntry | ExchangeEntry


def directory_key(entry: Entry) -> bytes:
    """The Kafka record key of an entry: compaction keeps the last version of each."""
    if isinstance(entry, AgencyEntry):
        return f"agency/{entry.agency}".encode()
    if isinstance(entry, KeyEntry):
        return f"key/{entry.agency}/{entry.kid.hex()}".encode()
    return b"exchange"


def agency_payload(entry: AgencyEntry) -> bytes:
    """The signed JSON of an agency entry. Raises UsageError where readers would refuse it."""
    values: dict[str, Json] = {
        "agency": entry.agency, "communities": sorted(set(entry.communities)), "country": entry.country, "generation": entry.generation,
        "kind": entry.kind, "master_spki": entry.master_spki.hex(), "reason": entry.reason, "since_ms": entry.since_ms,
        "status": entry.status, "type": "agency", "version": entry.version,
    }  # fmt: skip
    if entry.suspension:
        values["suspension"] = entry.suspension
    if entry.readmission is not None:
        values["readmission"] = entry.readmission.values()
    return _checked(values, read_agency)


def key_payload(entry: KeyEntry) -> bytes:
    """The JSON that the agency's master key signs; the version is not part of it. Raises UsageError."""
    values: dict[str, Json] = {
        "agency": entry.agency, "alg": entry.alg, "compromised_since_ms": entry.compromised_since_ms, "issued_at_ms": entry.issued_at_ms,
        "kid": entry.kid.hex(), "purpose": entry.purpose, "spki": entry.spki.hex(), "status": entry.status, "type": "key",
        "valid_from_ms": entry.valid_from_ms, "valid_until_ms": entry.valid_until_ms,
    }  # fmt: skip
    return _checked(values, _read_key)


def exchange_payload(entry: ExchangeEntry) -> bytes:
    """The signed JSON of the exchange entry. Raises UsageError where readers would refuse it."""
    values: dict[str, Json] = {
        "environment": entry.environment, "exchange_id": entry.exchange_id, "registrar_spki": entry.registrar_spki.hex(),
        "relay_spkis": [spki.hex() for spki in entry.relay_spkis], "shards": entry.shards, "type": "exchange", "version": entry.version,
    }  # fmt: skip
    return _checked(values, read_exchange)


def unsigned_agency(entry: AgencyEntry, by: SignedBy, exchange_id: str, environment: str) -> Unsigned:
    """An agency entry for the registrar to sign."""
    return Unsigned.of(agency_payload(entry), AGENCY_TYPE, by, cose.context(exchange_id, environment))


def unsigned_exchange(entry: ExchangeEntry, by: SignedBy) -> Unsigned:
    """The exchange entry for the registrar to sign."""
    return Unsigned.of(exchange_payload(entry), EXCHANGE_TYPE, by, cose.context(entry.exchange_id, entry.environment))


def unsigned_key_statement(entry: KeyEntry, by: SignedBy) -> Unsigned:
    """A key statement for the agency's master key to sign; take ``nested`` of it."""
    return Unsigned.of(key_payload(entry), KEY_STATEMENT_TYPE, by, AGENCY_CONTEXT)


def unsigned_key(statement: bytes, version: int, by: SignedBy, exchange_id: str, environment: str) -> Unsigned:
    """A key entry for the registrar to countersign: the agency's signed statement and the version given to it."""
    return Unsigned.of(cbor.encode([statement, version]), KEY_TYPE, by, cose.context(exchange_id, environment))


def new_message_key(agency: str, key: VerifyKey, *, now_ms: int, valid_until_ms: int | None = None) -> KeyEntry:
    """The statement of a fresh message key, valid from now."""
    return KeyEntry(agency, "message", key.alg, key.spki, key.kid, now_ms, valid_until_ms, "active", None, 0, now_ms)


def read_agency(payload: bytes) -> AgencyEntry:
    """Read the JSON of an agency entry. Raises Flaw."""
    fields = read_canonical(payload)
    fields.exactly(_AGENCY_FIELDS, _HISTORY)
    fields.one_of("type", ["agency"])
    agency = fields.named("agency", ids.agency_id)
    country = fields.text("country")
    if country != ids.country_of(agency):
        raise Flaw(f"`country` must be `{ids.country_of(agency)}`, the country of `{agency}`")
    master_spki = fields.octets("master_spki")
    public_key(master_spki, "the agency's master key")
    entry = AgencyEntry(
        agency,
        fields.named("kind", ids.kind),
        country,
        fields.named_list("communities", ids.community_id, COMMUNITY_LIMIT),
        cast(Literal["active", "suspended"], fields.one_of("status", ("active", "suspended"))),
        fields.integer("generation", 1),
        master_spki,
        fields.integer("version", 1),
        fields.integer("since_ms"),
        fields.text("reason", REASON_LIMIT),
        fields.integer("suspension", 1) if fields.has("suspension") else 0,
        read_readmission(fields.inner("readmission")) if fields.has("readmission") else None,
    )
    _check_history(entry)
    return entry


def _check_history(entry: AgencyEntry) -> None:
    """What status, suspension and readmission say together. Raises Flaw."""
    ended = entry.readmission
    if entry.suspension > entry.version:
        raise Flaw("`suspension` is a version that the directory has not reached")
    if (ended is not None) != (entry.status == "active" and entry.suspension > 0):
        raise Flaw("an active agency that was suspended, and no other, carries the statement that ended it")
    if ended is not None and (ended.agency, ended.suspension) != (entry.agency, entry.suspension):
        raise Flaw(
            f"the statement ends the suspension {ended.suspension} of `{ended.agency}`, the entry is of `{entry.agency}` "
            f"and its suspension {entry.suspension}"
        )


def read_exchange(payload: bytes) -> ExchangeEntry:
    """Read the JSON of the exchange entry. Raises Flaw."""
    fields = read_canonical(payload)
    fields.exactly(_EXCHANGE_FIELDS)
    fields.one_of("type", ["exchange"])
    entry = ExchangeEntry(
        fields.named("exchange_id", ids.exchange_id),
        fields.one_of("environment", ids.ENVIRONMENTS),
        fields.integer("shards", 1, SHARD_LIMIT),
        fields.octets("registrar_spki"),
        fields.octets_list("relay_spkis", RELAY_KEY_LIMIT),
        fields.integer("version", 1),
    )
    public_key(entry.registrar_spki, "the registrar's key")
    for spki in entry.relay_spkis:
        public_key(spki, "a relay's key")
    return entry


def read_key_statement(statement: bytes, master: VerifyKey) -> KeyEntry:
    """Read an agency's key statement and check its signature with the master key. Raises Flaw."""
    signed = read_nested(statement)
    if signed.content_type != KEY_STATEMENT_TYPE:
        raise Flaw("the message key is not a key statement")
    check_signature(signed, master, AGENCY_CONTEXT, "the agency's master key")
    return _read_key(signed.payload)


def claimed_key(statement: bytes) -> KeyEntry:
    """Read an agency's key statement without its signature: whose master key to look for. Raises Flaw."""
    return _read_key(read_nested(statement).payload)


def read_countersigned(payload: bytes) -> tuple[bytes, int]:
    """Read the registrar's part of a key entry: the agency's statement and the version. Raises Flaw."""
    try:
        item = cbor.decode(payload)
    except cbor.CborError as error:
        raise Flaw(f"the key entry is not deterministic CBOR: {error}") from error
    match item:
        case [bytes() as statement, int() as version] if version >= 1:
            return statement, version
        case _:
            raise Flaw("a key entry is the agency's statement and a version")


def versioned(entry: KeyEntry, version: int) -> KeyEntry:
    """The entry under the version that the registrar gave it."""
    return replace(entry, version=version)


def _read_key(payload: bytes) -> KeyEntry:
    fields = read_canonical(payload)
    fields.exactly(_KEY_FIELDS)
    fields.one_of("type", ["key"])
    fields.one_of("purpose", ["message"])
    spki = fields.octets("spki")
    key = public_key(spki, "the message key")
    if fields.octets("kid") != key_id(spki) or fields.integer("alg", -(2**31), 2**31) != key.alg:
        raise Flaw("`kid` and `alg` do not fit the public key")
    entry = KeyEntry(
        fields.named("agency", ids.agency_id),
        "message",
        key.alg,
        spki,
        key.kid,
        fields.integer("valid_from_ms"),
        fields.integer_or_none("valid_until_ms"),
        cast(Literal["active", "revoked"], fields.one_of("status", ("active", "revoked"))),
        fields.integer_or_none("compromised_since_ms"),
        0,
        fields.integer("issued_at_ms"),
    )
    if entry.valid_until_ms is not None and entry.valid_until_ms <= entry.valid_from_ms:
        raise Flaw("`valid_until_ms` must be after `valid_from_ms`")
    since = entry.compromised_since_ms
    if (entry.status == "revoked") != (since is not None) or (since is not None and since > entry.issued_at_ms):
        raise Flaw("a revoked key, and no other, says since when; that is not after the statement was made")
    return entry


def _checked(values: dict[str, Json], read: Callable[[bytes], object]) -> bytes:
    """What a reader would refuse is never given to a signer."""
    try:
        payload = canonical_json(values)
        read(payload)
    except ValueError as error:
        raise UsageError(f"this directory entry would be refused: {error}", advice="correct the value named") from error
    return payload
