"""Making the files of a home: an agency's keys and request, the reply it takes, and the operator's exchange.

Each of these may die anywhere and be run again: existing keys are kept, what is missing is made, the file that says "done"
is written last. A key that should be there and is not is an error, never silently replaced.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from cryptography import x509

from broker import ids
from broker.errors import Refusal, RefusedError, StoreError, UsageError
from broker.storage import atomic
from broker.storage.home import AgencyHome, AgencySettings, ExchangeHome, ExchangeSettings
from broker.storage.keys import ensure_signer, ensure_tls_key, load_tls_key
from broker.trust.certificates import (
    DAY_MS,
    LOCAL_HOSTS,
    NODE,
    SERVICES,
    Authority,
    Validity,
    exchange_ca,
    signing_request,
)
from broker.trust.enrolment import Reply, Request, read_reply, reply_agency, request_text, unsigned_request
from broker.trust.entries import SHARD_LIMIT, new_message_key, unsigned_key_statement
from broker.trust.keys import VerifyKey, spki_of

CA_DAYS: Final = 3650
SERVICE_DAYS: Final = 397
AGENCY_DAYS: Final = 397
"""How long certificates last. The operator's own are renewed by :func:`create_exchange` in their last 30 days."""
RENEW_MS: Final = 30 * DAY_MS


def init_agency(home: Path, agency: str, kind: str, now_ms: int) -> str:
    """Make an agency's keys and its request, and return the request file's text; run again, it returns the same request.

    Raises InvalidId on a bad id or kind, UsageError where a request with another kind was made, StoreError on unsafe files.
    """
    own = AgencyHome(home, agency)
    ids.kind(kind)
    if own.request_file.exists():
        text, request = own.request()
        if request.kind != kind:
            raise UsageError(f"`{agency}` has a request as `{request.kind}` here already", advice=f"use --kind {request.kind}")
        _check_keys(own, request)
        return text
    if own.joined:
        raise StoreError(f"`{own.request_file}` is missing though `{agency}` has joined", advice="restore the file from your backup")
    atomic.private_folder(own.folder)
    master, message, tls = ensure_signer(own.master_key), ensure_signer(own.message_key), ensure_tls_key(own.tls_key)
    key = VerifyKey.from_spki(message.spki)
    if isinstance(key, Refusal):
        raise StoreError(f"`{own.message_key}` is no usable key: {key.reason}", advice="move the file away and run this again")
    unsigned_key = unsigned_key_statement(new_message_key(agency, key, now_ms=now_ms), master)
    unsigned = unsigned_request(
        agency, kind, master_spki=master.spki, statement=unsigned_key.nested(master.sign_now(unsigned_key.to_be_signed)),
        tls_csr=signing_request(tls, agency), created_at_ms=now_ms, by=master,
    )  # fmt: skip
    text = request_text(agency, unsigned.signed(master.sign_now(unsigned.to_be_signed)))
    atomic.replace(own.request_file, text.encode())
    return text


def join_agency(home: Path, text: str, *, registrar_spki: bytes | None = None) -> Reply:
    """Take the operator's reply. ``registrar_spki`` is the registrar's key where the agency learned it on another way.

    Raises RefusedError (BAD_REPLY) where the reply is not the one to this agency's request, UsageError where there is no
    request here, or the agency belongs to another exchange.
    """
    agency = reply_agency(text)
    if isinstance(agency, Refusal):
        raise RefusedError(agency)
    own = AgencyHome(home, agency)
    _, request = own.request()
    _check_keys(own, request)
    before = own.settings() if own.joined else None
    pinned = before.registrar_spki if before else registrar_spki
    reply = read_reply(text, request_digest=request.digest, agency=agency, tls_spki=request.tls_spki, registrar_spki=pinned)
    if isinstance(reply, Refusal):
        raise RefusedError(reply)
    if before is not None:
        _check_same(before, reply)
    atomic.replace(own.ca, reply.ca_pem.encode())
    atomic.replace(own.certificate, reply.certificate_pem.encode())
    own.keep(
        AgencySettings(
            reply.exchange_id, reply.environment, reply.bootstrap, reply.shards, reply.registrar_spki,
            agency, reply.generation, reply.directory_version,
        )
    )  # fmt: skip
    return reply


def create_exchange(
    home: Path, exchange_id: str, environment: str, shards: int, now_ms: int, *, hosts: Sequence[str] = ()
) -> ExchangeHome:  # fmt: skip
    """Make the operator's side: authority, registrar and relay keys, certificates of the services; run again, it keeps all.

    ``hosts`` are further names of the Kafka node. Certificates that end within 30 days, or lack a host, are made anew for the
    same key. Raises InvalidId and UsageError on bad arguments, UsageError where another exchange was made here.
    """
    own = ExchangeHome(home)
    wanted = (ids.exchange_id(exchange_id), environment, shards)
    if environment not in ids.ENVIRONMENTS:
        raise UsageError(f"`{environment}` is no environment", advice=f"use one of {', '.join(ids.ENVIRONMENTS)}")
    if not 1 <= shards <= SHARD_LIMIT:
        raise UsageError(f"an exchange has 1 to {SHARD_LIMIT} shards, not {shards}", advice="use 16 unless you know better")
    if own.exists:
        made = own.settings()
        if (made.exchange_id, made.environment, made.shards) != wanted:
            raise UsageError(
                f"this home holds the exchange `{made.exchange_id}` ({made.environment}, {made.shards} shards)",
                advice="an exchange's name, environment and shards never change: give another --home",
            )
        if own.registrar().spki != made.registrar_spki:
            raise StoreError(f"`{own.registrar_key}` is not this exchange's key", advice="restore the file from your backup")
        own.relay()
        _ensure_services(own, own.authority(), hosts, now_ms)
        return own
    atomic.private_folder(own.folder)
    registrar = ensure_signer(own.registrar_key)
    ensure_signer(own.relay_key)
    _ensure_services(own, _new_authority(own, exchange_id, now_ms), hosts, now_ms)
    own.keep(ExchangeSettings(exchange_id, environment, "", shards, registrar.spki))
    return own


def _new_authority(own: ExchangeHome, exchange_id: str, now_ms: int) -> Authority:
    """Only for an exchange in the making, that nobody joined yet: later a missing authority is an error."""
    made = exchange_ca(ensure_tls_key(own.ca_key), exchange_id, serial=x509.random_serial_number(), validity=Validity.days(now_ms, CA_DAYS))
    atomic.replace(own.ca, made.encode())
    return own.authority()


def _ensure_services(own: ExchangeHome, authority: Authority, hosts: Sequence[str], now_ms: int) -> None:
    validity = Validity.days(now_ms, SERVICE_DAYS)
    for name in (NODE, *SERVICES):
        files = own.tls(name)
        spki = spki_of(ensure_tls_key(files.key).public_key())
        names = (*LOCAL_HOSTS, *hosts) if name == NODE else ()
        if files.certificate.exists() and authority.holds(files.certificate.read_text(), spki, at_ms=now_ms + RENEW_MS, hosts=names):
            continue
        serial = x509.random_serial_number()
        if name == NODE:
            made = authority.node(spki, hosts, serial=serial, validity=validity)
        else:
            made = authority.service(spki, name, serial=serial, validity=validity)
        atomic.replace(files.certificate, made.encode())


def _check_keys(own: AgencyHome, request: Request) -> None:
    """The keys in the folder are those of the request. Raises UsageError on a missing key, StoreError on another."""
    found = (own.master().spki, own.signer().spki, spki_of(load_tls_key(own.tls_key).public_key()))
    if found[0] != request.master_spki or found[2] != request.tls_spki:
        raise StoreError(f"the keys in `{own.folder}` are not those of its request", advice="restore the folder from your backup")


def _check_same(before: AgencySettings, reply: Reply) -> None:
    same = (before.exchange_id, before.environment, before.shards) == (reply.exchange_id, reply.environment, reply.shards)
    if not same:
        raise UsageError(
            f"`{before.agency}` belongs to the exchange `{before.exchange_id}` ({before.environment}) in this home",
            advice="use another --home for another exchange",
        )
    if reply.generation < before.generation:
        raise UsageError(
            f"the reply is for certificate generation {reply.generation}, generation {before.generation} is in use here",
            advice="ask the operator for the newest reply",
        )
