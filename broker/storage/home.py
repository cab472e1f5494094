"""The home folder: where an agency keeps its keys and stores, and the operator those of the exchange.

::

    agencies/<ID>/   master.pem message.pem tls.pem        private keys, made here, never leave
                     request.json                          what `broker agency init` made for the operator
                     certificate.pem ca.pem exchange.json  what the operator's reply brought
                     publisher.sqlite subscriber.sqlite    stores of publisher and subscriber
                     register.sqlite own.sqlite            what is true now, and own messages on their way into it
                     contacts.json                         who is told of silence; written by hand
                     inbox.sqlite node/                    the node's inbox; its own certificates and its users
    exchange/        exchange.json ca.pem ca-key.pem registrar.pem relay.pem
                     tls/<name>.pem tls/<name>-key.pem     node, relay, registrar
                     kafka/                                the embedded node's data
                     pages/                                certificates and users of the operator's pages

One home may hold both sides and several agencies (`broker up`, `broker demo`); in earnest each party has its own.
How these files come about is :mod:`broker.storage.enrol`.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, NamedTuple

from broker import ids
from broker.errors import Refusal, StoreError, UsageError
from broker.storage import atomic
from broker.storage.keys import FileSigner, load_signer, load_tls_key
from broker.trust.canonical import Fields, Flaw, read_object
from broker.trust.certificates import NODE, SERVICES, Authority
from broker.trust.directory import Directory
from broker.trust.enrolment import FILE_LIMIT, Request, read_request
from broker.trust.entries import SHARD_LIMIT

_MEMBER: Final = "broker member v1"
_EXCHANGE: Final = "broker exchange v1"
_JOIN_FIRST: Final = "run `broker agency init`, have the operator admit the request, then run `broker agency join` with the reply"


class TlsFiles(NamedTuple):
    """What a TLS connection needs: the authority that is trusted, the own certificate, and its key. All PEM."""

    ca: Path
    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True)
class ExchangeSettings:
    """Which exchange this is, how to reach it (``host:port,host:port``, empty while unknown), and whose word counts in it."""

    exchange_id: str
    environment: str
    bootstrap: str
    shards: int
    registrar_spki: bytes

    def directory(self) -> Directory:
        """An empty directory that trusts this exchange's registrar: apply the records of ``exchange.directory`` to it."""
        return Directory.trusting(self.registrar_spki, self.exchange_id, self.environment)


@dataclass(frozen=True, slots=True)
class AgencySettings(ExchangeSettings):
    """The same as an agency knows it since it joined; ``directory_version`` is the least it has to find on the exchange."""

    agency: str
    generation: int
    directory_version: int


class AgencyHome:
    """The files of one agency. Raises InvalidId on a name that is no agency id (so no path leads out of the home)."""

    def __init__(self, home: Path, agency: str) -> None:
        self.agency = ids.agency_id(agency)
        self.folder = home / "agencies" / self.agency
        self.master_key = self.folder / "master.pem"
        self.message_key = self.folder / "message.pem"
        self.tls_key = self.folder / "tls.pem"
        self.request_file = self.folder / "request.json"
        self.certificate = self.folder / "certificate.pem"
        self.ca = self.folder / "ca.pem"
        self.settings_file = self.folder / "exchange.json"
        self.publisher_store = self.folder / "publisher.sqlite"
        self.subscriber_store = self.folder / "subscriber.sqlite"
        self.register_store = self.folder / "register.sqlite"
        self.own_copies = self.folder / "own.sqlite"
        self.answers_store = self.folder / "answers.sqlite"
        self.inbox_store = self.folder / "inbox.sqlite"
        self.rules_store = self.folder / "rules.sqlite"
        self.node_folder = self.folder / "node"
        self.attachments_folder = self.folder / "attachments"
        self.contacts_file = self.folder / "contacts.json"

    @property
    def joined(self) -> bool:
        """Whether the operator's reply was taken."""
        return self.settings_file.exists()

    def request(self) -> tuple[str, Request]:
        """The request file's text and what it says. Raises UsageError where there is none, StoreError where it is damaged."""
        text = _text(self.request_file, f"`{self.agency}` has made no request here", f"run `broker agency init {self.agency} --kind KIND`")
        request = read_request(text)
        if isinstance(request, Refusal):
            raise StoreError(f"`{self.request_file}` is damaged: {request.reason}", advice="restore the file from your backup")
        return text, request

    def settings(self) -> AgencySettings:
        """The exchange this agency joined. Raises UsageError where it has not joined yet, StoreError on a damaged file."""
        fields = _read(self.settings_file, _MEMBER, f"`{self.agency}` has not joined an exchange from this home", _JOIN_FIRST)
        try:
            fields.one_of("agency", [self.agency])
            exchange = _exchange_settings(fields)
            generation, version = fields.integer("generation", 1), fields.integer("directory_version")
        except Flaw as flaw:
            raise _damaged(self.settings_file, str(flaw)) from flaw
        return AgencySettings(
            exchange.exchange_id, exchange.environment, exchange.bootstrap, exchange.shards, exchange.registrar_spki,
            self.agency, generation, version,
        )  # fmt: skip

    def keep(self, settings: AgencySettings) -> None:
        """Store the settings, at once or not at all."""
        _write(self.settings_file, _MEMBER, settings)

    def signer(self) -> FileSigner:
        """The key that signs messages. Raises UsageError where there is none yet, StoreError where the file is unsafe."""
        return load_signer(self.message_key)

    def master(self) -> FileSigner:
        """The key that signs statements about keys."""
        return load_signer(self.master_key)

    def tls(self) -> TlsFiles:
        """The files of this agency's connection. Raises UsageError where it has not joined yet, StoreError on an unsafe key."""
        self.settings()
        load_tls_key(self.tls_key)
        return TlsFiles(self.ca, self.certificate, self.tls_key)


class ExchangeHome:
    """The operator's files."""

    def __init__(self, home: Path) -> None:
        self.folder = home / "exchange"
        self.settings_file = self.folder / "exchange.json"
        self.ca = self.folder / "ca.pem"
        self.ca_key = self.folder / "ca-key.pem"
        self.registrar_key = self.folder / "registrar.pem"
        self.relay_key = self.folder / "relay.pem"
        self.kafka = self.folder / "kafka"
        self.pages_folder = self.folder / "pages"

    @property
    def exists(self) -> bool:
        """Whether an exchange was made in this home."""
        return self.settings_file.exists()

    def settings(self) -> ExchangeSettings:
        """Which exchange this is. Raises UsageError where none was made here, StoreError on a damaged file."""
        fields = _read(self.settings_file, _EXCHANGE, "there is no exchange in this home", "run `broker up`, or give the operator's --home")
        try:
            return _exchange_settings(fields)
        except Flaw as flaw:
            raise _damaged(self.settings_file, str(flaw)) from flaw

    def keep(self, settings: ExchangeSettings) -> None:
        """Store the settings, at once or not at all."""
        _write(self.settings_file, _EXCHANGE, settings)

    def authority(self) -> Authority:
        """The certificate authority. Raises UsageError where there is none, StoreError on an unsafe key."""
        text = _text(self.ca, "there is no certificate authority in this home", "give the operator's --home")
        return Authority.load(text, load_tls_key(self.ca_key))

    def ca_pem(self) -> str:
        """The authority's certificate as PEM text."""
        return _text(self.ca, "there is no certificate authority in this home", "give the operator's --home")

    def registrar(self) -> FileSigner:
        """The key that signs the directory."""
        return load_signer(self.registrar_key)

    def relay(self) -> FileSigner:
        """The key that signs slips and receipts."""
        return load_signer(self.relay_key)

    def tls(self, name: str) -> TlsFiles:
        """The files of one of the operator's services: ``node``, ``relay`` or ``registrar``. Raises UsageError for others."""
        if name not in (NODE, *SERVICES):
            raise UsageError(f"`{name}` is no service of an exchange", advice=f"use one of {', '.join((NODE, *SERVICES))}")
        return TlsFiles(self.ca, self.folder / "tls" / f"{name}.pem", self.folder / "tls" / f"{name}-key.pem")


def agencies_in(home: Path) -> tuple[str, ...]:
    """The agencies with a folder in this home, in order."""
    folder = home / "agencies"
    found: list[str] = []
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        try:
            found.append(ids.agency_id(path.name))
        except ids.InvalidId:
            continue  # something else that a person put there
    return tuple(found)


def _exchange_settings(fields: Fields) -> ExchangeSettings:
    return ExchangeSettings(
        fields.named("exchange_id", ids.exchange_id),
        fields.one_of("environment", ids.ENVIRONMENTS),
        fields.text("bootstrap", 1000),
        fields.integer("shards", 1, SHARD_LIMIT),
        fields.octets("registrar_spki"),
    )


def _text(path: Path, missing: str, advice: str) -> str:
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise UsageError(missing, advice=advice) from error
    except OSError as error:
        raise StoreError(f"`{path}` cannot be read: {error.strerror}", advice="run as the owner of the home") from error
    if len(content) > FILE_LIMIT:
        raise _damaged(path, "it is too long")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise _damaged(path, "it is no UTF-8 text") from error


def _read(path: Path, kind: str, missing: str, advice: str) -> Fields:
    text = _text(path, missing, advice)
    try:
        fields = Fields(read_object(text))
        fields.one_of("type", [kind])
    except Flaw as flaw:
        raise _damaged(path, str(flaw)) from flaw
    return fields


def _write(path: Path, kind: str, settings: ExchangeSettings) -> None:
    values = {**asdict(settings), "registrar_spki": settings.registrar_spki.hex(), "type": kind}
    atomic.replace(path, (json.dumps(values, indent=2, sort_keys=True) + "\n").encode())


def _damaged(path: Path, reason: str) -> StoreError:
    return StoreError(f"`{path}` is damaged: {reason}", advice="restore the file from your backup")
