"""How an agency becomes a member without its private keys leaving its house: a request file, and the exchange's reply.

::

    request   JSON {"type", "agency", "note"}: a note by the agency's master key over its id, kind, public keys, the statement
              of its message key and the request for its TLS certificate
    reply     JSON {"type", "agency", "note"}: a note by the registrar over the certificate, the exchange's name and addresses,
              its own public key, and the digest of the request it answers

Both are plain files. A request proves only that one holder of keys made it: the operator compares :func:`fingerprint` with the
agency over the phone before admitting it, and the agency compares :func:`reply_fingerprint` with the operator.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass
from typing import Final

from broker import ids
from broker.envelope import cose
from broker.errors import Refusal
from broker.trust.canonical import Fields, Flaw, canonical_json, read_canonical, read_object
from broker.trust.certificates import check_client, read_signing_request
from broker.trust.entries import AGENCY_CONTEXT, SHARD_LIMIT, KeyEntry, read_key_statement
from broker.trust.keys import fingerprint_of, key_id
from broker.trust.signing import SignedBy, Unsigned, check_signature, public_key, read_signed

REQUEST: Final = "broker agency request v1"
REPLY: Final = "broker agency reply v1"
REQUEST_TYPE: Final = "application/vnd.broker.request+json;v=1"
REPLY_TYPE: Final = "application/vnd.broker.reply+json;v=1"
FILE_LIMIT: Final = 64 << 10
"""Longest request or reply, in characters."""

_PEM_LIMIT: Final = 8192
_REQUEST_FIELDS: Final = ("agency", "country", "created_at", "kind", "master_spki", "message_key", "tls_csr")
_REPLY_FIELDS: Final = (
    "agency", "bootstrap", "ca_pem", "certificate_pem", "directory_version", "environment", "exchange_id", "generation",
    "registrar_spki", "request_digest", "shards",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Request:
    """A request that was read and checked. ``statement`` is the agency's signed key statement, ``key`` what it says;
    ``digest`` (32 bytes) names the request in the reply; ``created_at_ms`` is the agency's own clock.
    """

    agency: str
    kind: str
    country: str
    master_spki: bytes
    statement: bytes
    key: KeyEntry
    tls_csr: str
    tls_spki: bytes
    created_at_ms: int
    digest: bytes


@dataclass(frozen=True, slots=True)
class Reply:
    """What the exchange tells a new member. ``bootstrap`` is Kafka's ``host:port,host:port``; ``shards`` never changes."""

    agency: str
    generation: int
    request_digest: bytes
    certificate_pem: str
    ca_pem: str
    exchange_id: str
    environment: str
    bootstrap: str
    shards: int
    registrar_spki: bytes
    directory_version: int


def unsigned_request(
    agency: str, kind: str, *, master_spki: bytes, statement: bytes, tls_csr: str, created_at_ms: int, by: SignedBy
) -> Unsigned:
    """A request for the agency's master key to sign. Raises InvalidId on a bad agency id or kind."""
    values = {
        "agency": ids.agency_id(agency), "country": ids.country_of(agency), "created_at": created_at_ms, "kind": ids.kind(kind),
        "master_spki": master_spki.hex(), "message_key": base64.b64encode(statement).decode(), "tls_csr": tls_csr,
    }  # fmt: skip
    return Unsigned.of(canonical_json(values), REQUEST_TYPE, by, AGENCY_CONTEXT)


def unsigned_reply(reply: Reply, by: SignedBy) -> Unsigned:
    """A reply for the registrar to sign."""
    values = {
        "agency": reply.agency, "bootstrap": reply.bootstrap, "ca_pem": reply.ca_pem, "certificate_pem": reply.certificate_pem,
        "directory_version": reply.directory_version, "environment": reply.environment, "exchange_id": reply.exchange_id,
        "generation": reply.generation, "registrar_spki": reply.registrar_spki.hex(), "request_digest": reply.request_digest.hex(),
        "shards": reply.shards,
    }  # fmt: skip
    return Unsigned.of(canonical_json(values), REPLY_TYPE, by, cose.context(reply.exchange_id, reply.environment))


def request_text(agency: str, note: bytes) -> str:
    """The request file around its signed note."""
    return _file(REQUEST, agency, note)


def reply_text(agency: str, note: bytes) -> str:
    """The reply file around its signed note."""
    return _file(REPLY, agency, note)


def read_request(text: str) -> Request | Refusal:
    """Read a request file and check everything in it against everything else. Refusal: BAD_REQUEST with the rule broken."""
    try:
        return _read_request(text)
    except Flaw as flaw:
        return Refusal("BAD_REQUEST", str(flaw))


def read_reply(
    text: str, *, request_digest: bytes, agency: str, tls_spki: bytes, registrar_spki: bytes | None = None
) -> Reply | Refusal:  # fmt: skip
    """Read a reply file as the agency that asked. Refusal: BAD_REPLY with the rule broken.

    ``registrar_spki`` is the registrar's key where it is known already (a member renewing); else the reply's own is taken, and
    the agency compares :func:`reply_fingerprint` with the operator.
    """
    try:
        reply = _read_reply(text, agency)
        _check_answer(reply, request_digest, registrar_spki)
        check_client(reply.certificate_pem, reply.ca_pem, agency=agency, generation=reply.generation, tls_spki=tls_spki)
    except Flaw as flaw:
        return Refusal("BAD_REPLY", str(flaw))
    return reply


def reply_agency(text: str) -> str | Refusal:
    """Whose reply a file claims to be, before anything is verified: which agency's keys to check it with."""
    try:
        return _opened(text, REPLY)[0]
    except Flaw as flaw:
        return Refusal("BAD_REPLY", str(flaw))


def fingerprint(request: Request) -> str:
    """The agency's master key in groups of four hex digits, for the operator to compare over the phone."""
    return fingerprint_of(request.master_spki)


def reply_fingerprint(reply: Reply) -> str:
    """The registrar's key in groups of four hex digits, for the agency to compare over the phone."""
    return fingerprint_of(reply.registrar_spki)


def _file(kind: str, agency: str, note: bytes) -> str:
    return canonical_json({"agency": agency, "note": base64.b64encode(note).decode(), "type": kind}).decode() + "\n"


def _opened(text: str, kind: str) -> tuple[str, bytes]:
    """The agency a file names and the note in it, unverified."""
    if len(text) > FILE_LIMIT:
        raise Flaw(f"the file is longer than {FILE_LIMIT} characters")
    fields = Fields(read_object(text))
    fields.exactly(("agency", "note", "type"))
    fields.one_of("type", [kind])
    return fields.named("agency", ids.agency_id), _base64(fields.lines("note", FILE_LIMIT), "note")


def _base64(text: str, name: str) -> bytes:
    try:
        octets = base64.b64decode(text, validate=True)
    except binascii.Error:
        octets = b""
    if not octets or base64.b64encode(octets).decode() != text:
        raise Flaw(f"`{name}` is not base64")
    return octets


def _read_request(text: str) -> Request:
    agency, note = _opened(text, REQUEST)
    signed = read_signed(note, FILE_LIMIT)
    if signed.content_type != REQUEST_TYPE:
        raise Flaw("the note in the file is no request")
    fields = read_canonical(signed.payload)
    fields.exactly(_REQUEST_FIELDS)
    master_spki = fields.octets("master_spki")
    master = public_key(master_spki, "the agency's master key")
    check_signature(signed, master, AGENCY_CONTEXT, "the agency's master key")
    if fields.named("agency", ids.agency_id) != agency:
        raise Flaw("the file and the signed request in it name different agencies")
    if fields.text("country") != ids.country_of(agency):
        raise Flaw(f"`country` must be `{ids.country_of(agency)}`")
    tls_csr = fields.lines("tls_csr", _PEM_LIMIT)
    statement = _base64(fields.lines("message_key", FILE_LIMIT), "message_key")
    key = read_key_statement(statement, master)
    if key.agency != agency:
        raise Flaw(f"the message key is stated for `{key.agency}`")
    if key.status != "active" or key.kid == key_id(master_spki):
        raise Flaw("the message key must be active, and another than the master key")
    return Request(
        agency, fields.named("kind", ids.kind), ids.country_of(agency), master_spki, statement, key, tls_csr,
        read_signing_request(tls_csr, agency), fields.integer("created_at"), hashlib.sha256(note).digest(),
    )  # fmt: skip


def _read_reply(text: str, agency: str) -> Reply:
    outer, note = _opened(text, REPLY)
    signed = read_signed(note, FILE_LIMIT)
    if signed.content_type != REPLY_TYPE:
        raise Flaw("the note in the file is no reply")
    fields = read_canonical(signed.payload)
    fields.exactly(_REPLY_FIELDS)
    reply = Reply(
        fields.named("agency", ids.agency_id),
        fields.integer("generation", 1),
        fields.octets("request_digest", 32),
        fields.lines("certificate_pem", _PEM_LIMIT),
        fields.lines("ca_pem", _PEM_LIMIT),
        fields.named("exchange_id", ids.exchange_id),
        fields.one_of("environment", ids.ENVIRONMENTS),
        fields.text("bootstrap", 1000),
        fields.integer("shards", 1, SHARD_LIMIT),
        fields.octets("registrar_spki"),
        fields.integer("directory_version"),
    )
    registrar = public_key(reply.registrar_spki, "the registrar's key")
    check_signature(signed, registrar, cose.context(reply.exchange_id, reply.environment), "the registrar's key")
    if not outer == reply.agency == agency:
        raise Flaw(f"it is for `{reply.agency}`, not for `{agency}`")
    return reply


def _check_answer(reply: Reply, request_digest: bytes, registrar_spki: bytes | None) -> None:
    if reply.request_digest != request_digest:
        raise Flaw("it answers another request than the one kept here")
    if registrar_spki is not None and reply.registrar_spki != registrar_spki:
        raise Flaw("it is signed by another registrar than the one this agency joined with")
