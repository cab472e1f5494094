"""The parties to an exchange: from a home folder and a way to connect, to a publisher, a subscriber, a relay worker, a registrar.

Each is made of services and adaptors by passing them arguments.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from cryptography import x509

from broker import ids
from broker.app.recall import Answering, Recalls, answering
from broker.app.register import Register
from broker.errors import Refusal, RefusedError, UsageError
from broker.families.codelists import NO_LISTS, CodeLists
from broker.policy.bundle import Bundle
from broker.ports import Admin, Clock, Randomness, RulesKeeper, SubscriberStore, Transport
from broker.schema.catalogue import Catalogue
from broker.service.knowledge import Knowledge, Pin
from broker.service.publisher import Publisher
from broker.service.registrar import Admission, Registrar
from broker.service.relay import RelayWorker
from broker.service.subscriber import Subscriber
from broker.storage import enrol
from broker.storage.clock import SystemClock, SystemRandomness
from broker.storage.codelists import CodeListFolder
from broker.storage.home import AgencyHome, ExchangeHome, ExchangeSettings, TlsFiles
from broker.storage.own_copies import SqliteOwnCopies
from broker.storage.policies import read_policies
from broker.storage.publisher_store import SqlitePublisherStore
from broker.storage.schemas import schema_texts
from broker.storage.subscriber_store import SqliteSubscriberStore
from broker.trust.certificates import Validity
from broker.trust.enrolment import read_request

SHARDS: Final = 16
"""Shards of a new exchange: the most relay workers that can ever share its work. Fixed for its life."""

Connect = Callable[[str, str, TlsFiles], Transport]
"""Opens a transport: bootstrap address, principal (``SG-CUSTOMS#1``, ``relay``), TLS files."""


def pin_of(settings: ExchangeSettings) -> Pin:
    """What a home trusts."""
    return Pin(settings.exchange_id, settings.environment, settings.registrar_spki)


def shipped_bundle(version: int = 1, entities: str = "") -> Bundle:
    """The policies that come with the program, with these dated facts (:mod:`broker.policy.facts`): none ship. Raises UsageError."""
    texts = read_policies()
    return Bundle.from_texts(version, texts.schema, texts.policies, entities or texts.entities)


class Member:
    """An agency's side, from its home: joined to an exchange, able to publish and to subscribe.

    ``codelists`` is a folder of code lists (:mod:`broker.storage.codelists`); UsageError where it is none.
    """

    def __init__(
        self,
        home: Path,
        agency: str,
        connect: Connect,
        *,
        bootstrap: str | None = None,
        clock: Clock | None = None,
        randomness: Randomness | None = None,
        schemas: Mapping[tuple[str, str, int], str] | None = None,
        codelists: Path | None = None,
    ) -> None:
        """``schemas``: the program's own, by default those shipped."""
        self._schemas = schemas
        self.files = AgencyHome(home, agency)
        self._codelists = CodeListFolder(codelists) if codelists else None
        self._connect, self._bootstrap = connect, bootstrap
        self.clock: Clock = clock or SystemClock()
        self._randomness: Randomness = randomness or SystemRandomness()

    def transport(self) -> Transport:
        """A connection under this agency's certificate. Raises UsageError where it has not joined."""
        settings = self.files.settings()
        principal = ids.principal(settings.agency, settings.generation)
        return self._connect(self._bootstrap or settings.bootstrap, principal, self.files.tls())

    def knowledge(
        self, transport: Transport, writing: Mapping[tuple[str, str], int] | None = None, keeper: RulesKeeper | None = None
    ) -> Knowledge:
        """What this agency reads of the exchange's public topics, and its code lists; ``writing`` as :meth:`publisher` has it, ``keeper``
        keeps what was read."""
        pin, schemas = pin_of(self.files.settings()), self._schemas or schema_texts()
        return Knowledge(transport, pin, schemas, self._codelists, writing=writing, keeper=keeper)

    def publisher(
        self, transport: Transport, store: Path | None = None, *, writing: Mapping[tuple[str, str], int] | None = None
    ) -> Publisher:
        """A publisher with its store (one process at a time). Raises StoreError where another process has it.

        ``writing`` chooses the version of a section that is written, by family and section; by default the newest that this program
        and the exchange both know. Raises UsageError where this program has no such version.
        """
        agency = self.files.agency
        kept = SqlitePublisherStore(store or self.files.publisher_store, agency, self._randomness.take(16))
        # An agency that keeps a register has its own messages in it too; nobody else's process makes that file.
        copies = SqliteOwnCopies(self.files.own_copies) if self.files.own_copies.exists() else None
        knowledge = self.knowledge(transport, writing)
        return Publisher(agency, transport, knowledge, self.files.signer(), kept, self.clock, self._randomness, copies)

    def subscriber(
        self,
        transport: Transport,
        *,
        families: Sequence[str] | None = None,
        store: SubscriberStore | None = None,
        keeper: RulesKeeper | None = None,
    ) -> Subscriber:
        """A subscriber with its store: by default the home's; ``keeper`` as :meth:`knowledge` has it."""
        agency = self.files.agency
        kept = store or SqliteSubscriberStore(self.files.subscriber_store, agency)
        knowledge = self.knowledge(transport, keeper=keeper)
        return Subscriber(agency, transport, knowledge, kept, self.clock, families=families, tells=store is None)

    @contextlib.asynccontextmanager
    async def publishing(self) -> AsyncGenerator[Publisher]:
        """A publisher on a connection of its own, started; both are closed at the end. Raises as :meth:`publisher` and its start do."""
        transport = self.transport()
        try:
            async with self.publisher(transport) as publisher:
                yield publisher
        finally:
            await transport.close()

    @contextlib.asynccontextmanager
    async def subscribing(self, *, families: Sequence[str] | None = None) -> AsyncGenerator[Subscriber]:
        """A subscriber on a connection of its own, which is closed at the end."""
        transport = self.transport()
        try:
            yield self.subscriber(transport, families=families)
        finally:
            await transport.close()

    def register(self, transport: Transport) -> Register:
        """The agency's register: keeps itself up to date through this connection, and answers with or without it."""
        files = self.files
        return Register(
            files.agency,
            files.register_store,
            files.own_copies,
            lambda store: self.subscriber(transport, store=store),
            contacts=files.contacts_file,
            clock=self.clock,
            knowledge=lambda: self.knowledge(transport),
        )

    def lists(self) -> CodeLists:
        """The code lists of the folder that was named, as they are now."""
        return NO_LISTS if self._codelists is None else self._codelists.poll()

    def recalls(self) -> Recalls:
        """Recalls of this agency's subjects, and its answers to those of others."""
        texts = self._schemas or schema_texts()
        return Recalls(self.files, self.clock, Catalogue.from_texts(texts))

    def answering(self, transport: Transport) -> contextlib.AbstractAsyncContextManager[Answering]:
        """Answers recalls by itself, through a publisher store of its own: pass ``look`` to :meth:`Register.follow`."""
        recalls = self.recalls()
        recalls.remember_own()
        return answering(recalls, self.publisher(transport, self.files.answers_store))

    def passing_store(self) -> SubscriberStore:
        """A store that lives as long as its process: for looking at an inbox without moving the agency's own position."""
        return SqliteSubscriberStore(None, self.files.agency)


class Operator:
    """The operator's side, from its home: creates the exchange, admits agencies, runs relay workers."""

    def __init__(
        self,
        home: Path,
        connect: Connect,
        connect_admin: Callable[[str, TlsFiles], Admin],
        *,
        bootstrap: str | None = None,
        clock: Clock | None = None,
        schemas: Mapping[tuple[str, str, int], str] | None = None,
        codelists: Path | None = None,
    ) -> None:
        """``schemas``: the program's own, by default those shipped."""
        self._schemas = schemas
        self.home = home
        self._codelists = CodeListFolder(codelists) if codelists else None
        self.files = ExchangeHome(home)
        self._connect, self._connect_admin, self._bootstrap = connect, connect_admin, bootstrap
        self.clock: Clock = clock or SystemClock()

    @property
    def bootstrap(self) -> str:
        """Where Kafka listens. Raises UsageError while nobody knows."""
        address = self._bootstrap or self.files.settings().bootstrap
        if not address:
            raise UsageError("the exchange has no address yet", advice="run `broker up`, or give --bootstrap HOST:PORT")
        return address

    def transport(self, service: str) -> Transport:
        """A connection as ``relay`` or ``registrar``."""
        return self._connect(self.bootstrap, service, self.files.tls(service))

    def admin(self) -> Admin:
        """Administration of the cluster, as the registrar."""
        return self._connect_admin(self.bootstrap, self.files.tls("registrar"))

    @contextlib.asynccontextmanager
    async def registrar(self) -> AsyncGenerator[Registrar]:
        """The registrar, connected for as long as the block lasts."""
        transport, admin = self.transport("registrar"), self.admin()
        registrar = Registrar(transport, admin, self.files.registrar(), pin_of(self.files.settings()), self.clock)
        try:
            yield registrar
        finally:
            await registrar.close()
            await admin.close()
            await transport.close()

    def knowledge(self, transport: Transport) -> Knowledge:
        """What the operator's services read of the public topics and of the confidential operations, and the code lists."""
        return Knowledge(transport, pin_of(self.files.settings()), self._schemas or schema_texts(), self._codelists, confidential=True)

    def relay(self, transport: Transport, member: str) -> RelayWorker:
        """A relay worker; ``member`` is a name that it keeps over restarts."""
        return RelayWorker(transport, self.knowledge(transport), self.files.relay(), self.clock, member=member)

    async def create(self, bundle: Bundle | None = None) -> None:
        """Bring the cluster to what the exchange of this home needs. May be repeated."""
        async with self.registrar() as registrar:
            settings = self.files.settings()
            await registrar.create(
                shards=settings.shards,
                relay_spkis=[self.files.relay().spki],
                bundle=bundle or shipped_bundle(),
                schemas=self._schemas or schema_texts(),
            )

    async def admit(self, request_text: str, communities: Sequence[str] = ()) -> Admission:
        """Admit the agency whose request file this is. Raises RefusedError (BAD_REQUEST) with the rule that it breaks."""
        request = read_request(request_text)
        if isinstance(request, Refusal):
            raise RefusedError(request)
        async with self.registrar() as registrar:
            return await registrar.admit(
                request, communities=communities, bootstrap=self.bootstrap, ca_pem=self.files.ca_pem(), issue=self._issue
            )

    async def add(self, agency: str, kind: str, communities: Sequence[str] = ()) -> Admission:
        """Init, admit and join in this one home: for `up` and `demo`, where all parties are on one machine."""
        request = enrol.init_agency(self.home, agency, kind, self.clock.now_ms())
        admission = await self.admit(request, communities)
        enrol.join_agency(self.home, admission.reply)
        return admission

    def _issue(self, agency: str, generation: int, spki: bytes) -> str:
        authority = self.files.authority()
        validity = Validity.days(self.clock.now_ms(), enrol.AGENCY_DAYS)
        return authority.agency(spki, agency, generation, serial=x509.random_serial_number(), validity=validity)
