"""Admission of a parcel, one implementation for relay and recipient. The numbers are the steps of the design:

1 size and framing · 2 key · 3 signature over the raw bytes · (the header is decoded only now) · 7 commitments · 8 schema and
structural walk, only then Avro · 9 ownership. Steps 4 to 6 differ by place: the relay's are in :mod:`broker.exchange.relay`,
the recipient's in :mod:`broker.exchange.receive`.

Nothing here raises on any bytes: a refusal is a value with a stable code.
"""

from __future__ import annotations

from dataclasses import field
from typing import Any, Final

from broker import ids
from broker.envelope import cose
from broker.envelope.header import CONTENT_TYPE, Header, header_of
from broker.envelope.parcel import Parcel, read_parcel
from broker.envelope.section import body_of, check_sections
from broker.errors import Refusal
from broker.exchange.rules import Rules
from broker.exchange.topology import MESSAGE_LIMIT
from broker.exchange.verify import is_signed
from broker.trust.keys import VerifyKey
from broker.values import immutable

AUDIENCE: Final = "audience"
"""The section that only the relay and the originator see: recipients never learn who else received a message."""
CORE: Final = "core"
"""The section that every family has and that never holds anything personal."""
UNHEARD: Final = frozenset({"UNKNOWN_SCHEMA", "UNKNOWN_SECTION", "UNKNOWN_FAMILY"})
"""Refusals that a schema takes back which the exchange has announced and this reader has not read yet."""


@immutable
class Authentic:
    """A parcel whose originator signed these bytes: steps 1 to 3 passed. ``leaf`` is its identity (SHA-256).

    ``records`` are the sections as :func:`examine` has read them on its way: bytes are read once, under the version they were written
    with, and seen as this program's.
    """

    parcel: Parcel
    header: Header
    leaf: bytes
    records: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]], compare=False, repr=False)


def authenticate(value: bytes, rules: Rules, *, at_ms: int, limit: int = MESSAGE_LIMIT) -> Authentic | Refusal:
    """Steps 1 to 3, then the header: bytes to a parcel whose originator is proven.

    ``at_ms`` is the moment for which the key must be valid: the admission time at the relay, the slip's at a recipient.
    Claimed times inside the message never count.
    """
    parcel = read_parcel(value, limit)
    return parcel if isinstance(parcel, Refusal) else authenticate_parcel(parcel, rules, at_ms=at_ms)


def authenticate_parcel(parcel: Parcel, rules: Rules, *, at_ms: int | None) -> Authentic | Refusal:
    """Steps 2 and 3, and the header, for a parcel that was read already. ``at_ms`` None: whoever signed, and whenever; the key's
    life is not judged (evidence says whose key it was, not that the message was admitted)."""
    statement = parcel.statement
    if statement.content_type != CONTENT_TYPE:
        return Refusal("BAD_STATEMENT", f"content type `{statement.content_type[:60]}` is not {CONTENT_TYPE}")

    known = rules.directory.message_key(statement.kid)
    if known is None:
        return Refusal("UNKNOWN_KEY", f"key {statement.kid.hex()} is not in the directory (version {rules.directory.version})")
    entry, key = known
    if at_ms is not None and not entry.usable(at_ms):
        return Refusal("KEY_NOT_VALID", f"key {statement.kid.hex()} of {entry.agency} was not valid at admission")
    if statement.alg != key.alg:
        return Refusal("BAD_STATEMENT", f"algorithm {statement.alg} is not the one the directory names for this key ({key.alg})")

    signed = cose.to_be_signed(statement.protected, rules.aad, statement.payload)
    if not rules.signed_by(statement, signed, key):
        return _why_unverified(parcel, key, rules)

    header = _header(statement.payload, rules)
    if isinstance(header, Refusal):
        return header
    if header.originator != entry.agency:
        return Refusal("KEY_OF_ANOTHER_AGENCY", f"the header names {header.originator}, the key belongs to {entry.agency}")
    return Authentic(parcel, header, cose.leaf_hash(signed))


def _why_unverified(parcel: Parcel, key: VerifyKey, rules: Rules) -> Refusal:
    """Tell a message of another environment from a forgery: the sender can mend the first."""
    statement = parcel.statement
    for environment in ids.ENVIRONMENTS:
        if environment == rules.environment:
            continue
        signed = cose.to_be_signed(statement.protected, cose.context(rules.exchange_id, environment), statement.payload)
        if is_signed(statement, signed, key, exchange_id=rules.exchange_id, environment=environment, roots=rules.roots):
            return Refusal("WRONG_ENVIRONMENT", f"signed for {environment}; this exchange is {rules.environment}")
    return Refusal("BAD_SIGNATURE", "the signature does not verify")


def _header(payload: bytes, rules: Rules) -> Header | Refusal:
    schema = rules.schema("header")
    record = schema.read(payload, logical=False)
    if isinstance(record, Refusal):
        return Refusal("BAD_HEADER", record.reason, record.path)
    header = header_of(record)
    if header.seq < 1 or header.revision < 1:
        return Refusal("BAD_HEADER", "seq and revision count from 1", "header.seq" if header.seq < 1 else "header.revision")
    if (header.prev is None) != (header.seq == 1):
        return Refusal("BAD_HEADER", "prev names the message before it in the stream, and the first has none", "header.prev")
    return header


def examine(authentic: Authentic, rules: Rules, *, complete: bool, logical: bool = False) -> Refusal | None:
    """Steps 7 to 9 that need no state. ``complete``: an originator must carry every section it commits to. ``logical``: times in
    sections become datetimes, not Unix milliseconds."""
    header = authentic.header
    mismatch = check_sections(header.commitments, authentic.parcel.sections, complete=complete)
    if mismatch is not None:
        return mismatch
    return _check_schemas(authentic, rules, complete=complete, logical=logical) or _check_subject(header)


def _check_schemas(authentic: Authentic, rules: Rules, *, complete: bool, logical: bool) -> Refusal | None:
    """Step 8: every committed schema is known and the right one; carried bodies are its canonical Avro."""
    header, sections = authentic.header, authentic.parcel.sections
    known = rules.catalogue.sections(header.family)
    if not known or header.family in ("header", "slip", "receipt", AUDIENCE):
        return Refusal("UNKNOWN_FAMILY", f"`{header.family[:40]}` is not a family", "header.family")
    names = {commitment.section for commitment in header.commitments}
    if complete and not {CORE, AUDIENCE} <= names:
        return Refusal("MISSING_SECTION", "core and audience belong to every message", CORE if CORE not in names else AUDIENCE)
    for commitment in header.commitments:
        name = commitment.section
        if name != AUDIENCE and name not in known:
            return Refusal("UNKNOWN_SECTION", f"{header.family} has no section `{name}`", name)
        schema = rules.catalogue.by_id(commitment.schema_id)
        if schema is None:
            return Refusal("UNKNOWN_SCHEMA", f"schema {commitment.schema_id.hex()[:16]}… is not known here", name)
        if (schema.family, schema.section) not in ((header.family, name), (AUDIENCE, name)):
            return Refusal("WRONG_SCHEMA", f"the schema is {schema.family}/{schema.section}", name)
        carried = sections.get(name)
        if carried is not None:
            record = rules.catalogue.read(schema, body_of(carried), logical=logical)
            if isinstance(record, Refusal):
                return record
            authentic.records[name] = record
    return None


def _check_subject(header: Header) -> Refusal | None:
    """Step 9 as far as it needs no state: the subject is well-formed and belongs to the originator."""
    try:
        subject = ids.subject_id(header.subject)
    except ids.InvalidId as error:
        return Refusal("BAD_LABELS", f"{error}; {error.advice}", "header.subject")
    if ids.owner_of(subject) != header.originator:
        return Refusal("NOT_OWNER", f"{subject} belongs to {ids.owner_of(subject)}", "header.subject")
    return None


def knows_schemas(header: Header, rules: Rules) -> bool:
    """Whether every schema that the header names is in the catalogue."""
    return all(rules.catalogue.by_id(commitment.schema_id) is not None for commitment in header.commitments)


def open_section(authentic: Authentic, name: str) -> dict[str, Any]:
    """The record of one carried section, once :func:`examine` has passed the parcel. Raises LookupError where it is not carried."""
    record = authentic.records.get(name)
    if record is None:
        raise LookupError(f"section {name} is not carried, or the parcel was not examined")
    return record
