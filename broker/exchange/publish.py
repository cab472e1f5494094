"""The publisher's side: from a typed message to the bytes that will lie in the outbox.

Two calls with the signature between them: :func:`prepare` checks, encodes, commits and says what has to be signed;
:func:`seal` puts the signature in. Time, id, salts and the place in the stream are the caller's, so the same arguments give the
same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from broker import ids
from broker.envelope import cose
from broker.envelope.batch import Tree
from broker.envelope.header import CONTENT_TYPE, Header, Routing, header_of, header_record
from broker.envelope.parcel import parcel_bytes, read_parcel
from broker.envelope.section import Commitment, body_of, digest, seal_body
from broker.errors import Finding, Refusal
from broker.exchange.admit import AUDIENCE
from broker.exchange.decide import labels_of
from broker.exchange.rules import Rules
from broker.exchange.topology import MESSAGE_LIMIT
from broker.exchange.verify import root_to_be_signed
from broker.families.catalogue import FAMILIES, check, check_shape
from broker.families.code_findings import bounded
from broker.families.message import Message
from broker.policy.model import Labels
from broker.schema.codec import FieldError
from broker.schema.projection import fitted
from broker.values import immutable

SALT_BYTES = 16


@immutable
class Seat:
    """The place a message takes in its stream: 16-byte stream id, number, and the leaf before it."""

    stream: bytes
    seq: int
    prev: bytes | None


@immutable
class Draft:
    """A message ready to be signed: sign ``signed_bytes``, then call :func:`seal`."""

    header: Header
    protected: bytes
    payload: bytes
    sections: Mapping[str, bytes]
    signed_bytes: bytes
    leaf: bytes
    labels: Labels
    findings: tuple[Finding, ...]
    alg: int
    kid: bytes


@immutable
class Encoded:
    """The sections of a message, checked and encoded, without salts: what a dry run needs too."""

    bodies: dict[str, tuple[bytes, bytes]]
    findings: tuple[Finding, ...]


def encode_sections(message: Message, originator: str, rules: Rules, *, issued_ms: int | None = None) -> Encoded | Refusal:
    """Check a message as its sender and encode its sections: name → (schema id, Avro body).

    Sections are given in the newest version that this program has. Where the exchange does not know that one yet, an older one is
    written; a field that the older one has not is a BAD_FIELD refusal if it holds anything but its default. ``issued_ms`` (Unix ms UTC)
    is about when it will be issued; without it the relay alone judges times against the time of issue.
    """
    if ids.owner_of(message.subject) != originator:
        return Refusal("NOT_OWNER", f"{message.subject} does not begin with {originator}/", "subject")
    refusal = check_shape(message)
    if refusal is not None:
        return refusal
    bodies: dict[str, tuple[bytes, bytes]] = {}
    for name, record in {**message.sections, AUDIENCE: message.audience.record()}.items():
        family = AUDIENCE if name == AUDIENCE else message.family
        schema, newest = rules.catalogue.written(family, name), rules.catalogue.current(family, name)
        if schema is None or newest is None:
            return Refusal("UNKNOWN_SCHEMA", f"the catalogue has no schema for {family}/{name}", name)
        try:
            given = record if schema is newest else fitted(newest.schema, schema.schema, record, schema.version)
            bodies[name] = (schema.schema_id, schema.codec.encode(given))
        except FieldError as error:
            return Refusal("BAD_FIELD", error.reason, f"{name}.{error.path}" if error.path else name)
    found = check(message, rules.codelists, issued_ms=issued_ms)
    if isinstance(found, Refusal):
        return found
    return Encoded(bodies, bounded(found))


def prepare(
    message: Message,
    encoded: Encoded,
    rules: Rules,
    *,
    originator: str,
    seat: Seat,
    message_id: bytes,
    salts: Callable[[int], bytes],
    now_ms: int,
    alg: int,
    kid: bytes,
) -> Draft | Refusal:
    """Commit to the sections and write the header. ``salts(n)`` gives n unpredictable bytes."""
    sections: dict[str, bytes] = {}
    commitments: list[Commitment] = []
    for name in sorted(encoded.bodies):
        schema_id, body = encoded.bodies[name]
        carried = seal_body(salts(SALT_BYTES), body)
        sections[name] = carried
        commitments.append(Commitment(name, schema_id, digest(carried), None))
    header = _header(message, originator, seat, message_id, tuple(commitments), now_ms)
    try:
        payload = rules.schema("header").codec.encode(header_record(header))
    except FieldError as error:
        return Refusal("BAD_LABELS", error.reason, f"header.{error.path}")
    protected = cose.protected_header(alg, kid, CONTENT_TYPE)
    signed_bytes = cose.to_be_signed(protected, rules.aad, payload)
    size = len(payload) + sum(map(len, sections.values())) + 1024
    if size > MESSAGE_LIMIT:
        return Refusal("TOO_LARGE", f"the record would be about {size:,} bytes; {MESSAGE_LIMIT:,} are allowed", _largest(sections))
    labels = labels_of(header, message.audience.record())
    leaf = cose.leaf_hash(signed_bytes)
    return Draft(header, protected, payload, sections, signed_bytes, leaf, labels, encoded.findings, alg, kid)


def reseat(value: bytes, rules: Rules, seat: Seat, *, alg: int, kid: bytes) -> Draft | Refusal:
    """A record of one's own, to be signed anew in another place: id, sections, salts and everything else of the header stay."""
    parcel = read_parcel(value, MESSAGE_LIMIT)
    if isinstance(parcel, Refusal):
        return parcel
    codec = rules.schema("header").codec
    header = header_of(codec.decode(parcel.statement.payload, logical=False))
    header = replace(header, stream=seat.stream, seq=seat.seq, prev=seat.prev)
    payload = codec.encode(header_record(header))
    protected = cose.protected_header(alg, kid, CONTENT_TYPE)
    signed_bytes = cose.to_be_signed(protected, rules.aad, payload)
    leaf = cose.leaf_hash(signed_bytes)
    schema = rules.catalogue.by_id(next(each.schema_id for each in header.commitments if each.section == AUDIENCE))
    if schema is None:
        return Refusal("UNKNOWN_SCHEMA", "the audience was written under a schema that this program has no longer", AUDIENCE)
    audience = rules.catalogue.read(schema, body_of(parcel.sections[AUDIENCE]), logical=False)
    if isinstance(audience, Refusal):
        return audience
    return Draft(header, protected, payload, parcel.sections, signed_bytes, leaf, labels_of(header, audience), (), alg, kid)


def preview(message: Message, encoded: Encoded, *, originator: str, now_ms: int) -> Labels:
    """The labels policy would see, for a dry run: no id, salt, number or signature is spent."""
    commitments = tuple(Commitment(name, schema_id, bytes(32), None) for name, (schema_id, _) in sorted(encoded.bodies.items()))
    header = _header(message, originator, Seat(bytes(16), 1, None), bytes(16), commitments, now_ms)
    return labels_of(header, message.audience.record())


URGENT: Final = ("FLASH", "IMMEDIATE")
"""Urgencies that wait for no batch: each message has a signature of its own."""


def seal(draft: Draft, signature: bytes) -> bytes:
    """The record value for the outbox, in direct form."""
    statement = cose.Sign1(draft.protected, draft.payload, signature, draft.alg, draft.kid, CONTENT_TYPE)
    return parcel_bytes(statement, draft.sections, {})


class Sealing:
    """Drafts of one signer on their way to record values: one signature for all that may share it, one each for the urgent.

    Sign what :attr:`to_be_signed` lists, then take :meth:`values`.
    """

    def __init__(self, drafts: Sequence[Draft], rules: Rules) -> None:
        self._drafts = drafts
        shared = [number for number, draft in enumerate(drafts) if draft.header.urgency not in URGENT]
        self._shared = {number: index for index, number in enumerate(shared)} if len(shared) > 1 else {}
        self.to_be_signed = [draft.signed_bytes for number, draft in enumerate(drafts) if number not in self._shared]
        self._tree: Tree | None = None
        if self._shared:
            first = drafts[shared[0]]
            self._tree = Tree([drafts[number].leaf for number in shared])
            names = {"exchange_id": rules.exchange_id, "environment": rules.environment}
            self.to_be_signed.append(root_to_be_signed(first.alg, first.kid, self._tree.root, self._tree.size, **names))

    def values(self, signatures: Sequence[bytes]) -> list[bytes]:
        """The record values in the order of the drafts, given the signatures in the order of :attr:`to_be_signed`."""
        own = iter(signatures)
        values: list[bytes] = []
        for number, draft in enumerate(self._drafts):
            if self._tree is None or number not in self._shared:
                values.append(seal(draft, next(own)))
                continue
            proof = self._tree.proof(self._shared[number], signatures[-1])
            statement = cose.Sign1(draft.protected, draft.payload, b"", draft.alg, draft.kid, CONTENT_TYPE, proof)
            values.append(parcel_bytes(statement, draft.sections, {}))
        return values


def _largest(sections: Mapping[str, bytes]) -> str:
    return max(sections, key=lambda name: len(sections[name]))


def _header(message: Message, originator: str, seat: Seat, message_id: bytes, commitments: tuple[Commitment, ...], now_ms: int) -> Header:
    routing = FAMILIES[message.family].routing(message.sections)
    return Header(
        message_id=message_id,
        family=message.family,
        originator=originator,
        stream=seat.stream,
        seq=seat.seq,
        prev=seat.prev,
        subject=message.subject,
        revision=message.revision,
        issued_at=now_ms,
        valid_from=message.valid_from_ms,
        valid_until=message.valid_until_ms,
        embargo_until=message.embargo_until_ms,
        urgency=message.urgency,
        handling=message.handling,
        handling_caveat=message.handling_caveat,
        tlp=message.tlp,
        pap=message.pap,
        evaluation=message.evaluation,
        purposes=tuple(message.purposes),
        legal_basis=message.legal_basis,
        onward=message.onward,
        evidential_use=message.evidential_use,
        retention=message.retention,
        language=message.language,
        routing=Routing(routing.countries, routing.hs_chapters, routing.category, routing.free_zone),
        correlation=message.correlation,
        commitments=commitments,
    )
