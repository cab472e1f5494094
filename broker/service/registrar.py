"""The registrar: creates an exchange, admits agencies, changes their standing. Everything it writes is signed.

Each operation is a row of idempotent steps, so one that died half way is repeated whole: topics, rights and quota are brought
to what they must be, a directory entry is written only if it says something new, and the reply is made last.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import structlog

from broker import ids
from broker.errors import BrokerError, Refusal, RefusedError, UsageError
from broker.exchange import notices
from broker.exchange.memberships import Memberships, Operation, public_names
from broker.exchange.openings import KEY, OPENING_TYPE, judged
from broker.exchange.policy_chain import PolicyChain, widening_of
from broker.exchange.topology import (
    DIRECTORY,
    MEMBERSHIPS,
    POLICY,
    RELAY,
    SCHEMAS,
    STOPPED,
    Grant,
    Quota,
    agency_grants,
    agency_specs,
    exchange_specs,
    relay_grants,
)  # fmt: skip
from broker.policy.bundle import Bundle, bundle_record
from broker.policy.bundle_file import BundleFile
from broker.policy.facts import Circle
from broker.ports import Admin, Clock, Inlet, Outgoing, Outlet, Record, Signer, Source, Transport
from broker.schema.catalogue import Catalogue, Section
from broker.service.knowledge import Pin
from broker.trust.directory import (
    AgencyEntry,
    Directory,
    ExchangeEntry,
    Unsigned,
    directory_key,
    unsigned_agency,
    unsigned_exchange,
    unsigned_key,
)  # fmt: skip
from broker.trust.enrolment import Reply, Request, reply_text, unsigned_reply
from broker.trust.keys import VerifyKey
from broker.trust.officers import approved, entitled
from broker.trust.opening import Opening
from broker.trust.readmission import Readmission, other_suspension

_SOURCES: Final[tuple[Source, ...]] = ((DIRECTORY, 0), (POLICY, 0), (SCHEMAS, 0), (MEMBERSHIPS, 0))
TOLD_S: Final = 1.0
"""Within this, whoever reads in the ordinary way has asked Kafka again and was told that it may not: clients wait half a second."""
_log = structlog.get_logger("registrar")


@dataclass(frozen=True, slots=True)
class Admission:
    """What an admission came to: the directory entry, and the reply file for the agency."""

    entry: AgencyEntry
    reply: str


Issue = Callable[[str, int, bytes], str]
"""Makes a client certificate (PEM) from agency, generation and the agency's TLS public key (SubjectPublicKeyInfo)."""


class Registrar:
    """Acts for the operator with the registrar's key. One at a time: versions are one counter."""

    def __init__(self, transport: Transport, admin: Admin, signer: Signer, pin: Pin, clock: Clock) -> None:
        self._transport, self._admin, self._signer, self._pin, self._clock = transport, admin, signer, pin, clock
        self._directory = Directory.trusting(pin.registrar_spki, pin.exchange_id, pin.environment)
        self._unread: dict[Source, list[Record]] = {source: [] for source in _SOURCES}
        self._catalogue = Catalogue(())
        self._policy = PolicyChain()
        self._memberships: Memberships | None = None
        self._inlet: Inlet | None = None
        self._outlet: Outlet | None = None

    async def close(self) -> None:
        """Release what was opened. Safe to call twice."""
        for part in (self._inlet, self._outlet):
            if part is not None:
                await part.close()
        self._inlet = self._outlet = None

    async def create(
        self, *, shards: int, relay_spkis: Sequence[bytes], bundle: Bundle, schemas: Mapping[tuple[str, str, int], str]
    ) -> Directory:
        """Bring a cluster to what an exchange needs: topics, the relay's rights, the exchange entry, schemas, a policy bundle."""
        await self._admin.ensure_topics(exchange_specs(shards))
        await self._admin.ensure_grants(RELAY, relay_grants())
        directory = await self._read_directory()
        wanted = ExchangeEntry(
            self._pin.exchange_id, self._pin.environment, shards, self._pin.registrar_spki, tuple(sorted(relay_spkis)), 0
        )
        known = directory.exchange
        if known is None or replace(known, version=0) != wanted:
            entry = replace(wanted, version=directory.version + 1)
            await self._announce(directory_key(entry), await self._sign(unsigned_exchange(entry, self._signer)))
        await self.announce(schemas)
        if (await self._read_policy()).bundle is None:
            await self._notice(POLICY, b"bundle", notices.POLICY_TYPE, bundle_record(bundle))
        return await self._read_directory()

    async def admit(
        self, request: Request, *, communities: Sequence[str], bootstrap: str, ca_pem: str, issue: Issue, quota: Quota | None = None
    ) -> Admission:
        """Admit an agency, or finish admitting it. Raises UsageError where the id is another holder's, RefusedError (NAME_TAKEN) where
        a community has the name of a confidential operation, which would make it public."""
        names = tuple(sorted({ids.community_id(name) for name in communities}))
        directory = await self._read_directory()
        if directory.exchange is None:
            raise UsageError("the exchange is not created yet", advice="run `broker up` once, then admit agencies")
        if hidden := sorted(set(names).intersection((await self._read_memberships()).operations)):
            raise RefusedError(Refusal("NAME_TAKEN", f"{hidden[0]} is the name of a confidential operation"))
        known = directory.agency(request.agency)
        if known is not None and known.master_spki != request.master_spki:
            raise UsageError(
                f"{request.agency} is a member already, with another master key",
                advice="compare fingerprints with the agency: a member keeps its master key for life; see `broker agency show`",
            )
        generation = known.generation if known else 1
        await self._admin.ensure_topics(agency_specs(request.agency))
        principal = ids.principal(request.agency, generation)
        suspended = known is not None and known.status == "suspended"
        await self._admin.ensure_grants(principal, [] if suspended else _grants(request.agency, generation, request.kind))
        await self._admin.ensure_quota(principal, STOPPED if suspended else quota or Quota())
        entry = await self._enter(request, names, directory, known)
        version = (await self._read_directory()).version
        certificate = issue(request.agency, generation, request.tls_spki)
        reply = Reply(
            agency=request.agency,
            generation=generation,
            request_digest=request.digest,
            certificate_pem=certificate,
            ca_pem=ca_pem,
            exchange_id=self._pin.exchange_id,
            environment=self._pin.environment,
            bootstrap=bootstrap,
            shards=directory.exchange.shards,
            registrar_spki=self._pin.registrar_spki,
            directory_version=version,
        )
        _log.info("agency admitted", agency=request.agency, directory_version=version)
        return Admission(entry, reply_text(request.agency, await self._sign(unsigned_reply(reply, self._signer))))

    async def _enter(self, request: Request, communities: tuple[str, ...], directory: Directory, known: AgencyEntry | None) -> AgencyEntry:
        """The directory entries of an agency and its message key, where they say something new."""
        version = directory.version
        wanted = AgencyEntry(
            agency=request.agency,
            kind=request.kind,
            country=request.country,
            communities=communities if communities or known is None else known.communities,
            status=known.status if known else "active",
            generation=known.generation if known else 1,
            master_spki=request.master_spki,
            version=known.version if known else 0,
            since_ms=known.since_ms if known else self._clock.now_ms(),
            reason=known.reason if known else "",
            suspension=known.suspension if known else 0,
            readmission=known.readmission if known else None,
        )
        entry = known or wanted
        if wanted != known:
            version += 1
            entry = replace(wanted, version=version)
            await self._enter_agency(entry)
        if request.key.kid not in directory.keys:
            unsigned = unsigned_key(request.statement, version + 1, self._signer, self._pin.exchange_id, self._pin.environment)
            await self._announce(directory_key(request.key), await self._sign(unsigned))
        return entry

    async def suspend(self, agency: str, reason: str) -> AgencyEntry:
        """Suspend an agency: its rights at Kafka go first, then the directory says so, under a number that this suspension alone has.
        :meth:`silence` follows. May be repeated. Raises UsageError where the agency is not a member."""
        directory = await self._read_directory()
        known = _member(directory, agency)
        await self._admin.ensure_grants(ids.principal(agency, known.generation), [])
        if known.status == "suspended" and known.suspension:
            return known
        version = directory.version + 1
        since_ms = known.since_ms if known.status == "suspended" else self._clock.now_ms()
        entry = replace(
            known, status="suspended", reason=reason, since_ms=since_ms, version=version, suspension=version, readmission=None
        )  # fmt: skip
        await self._enter_agency(entry)
        _log.info("agency suspended", agency=agency, suspension=version)
        return entry

    async def silence(self, agency: str) -> None:
        """End what a suspended agency asked Kafka for before its rights went, and waits for: see :data:`STOPPED`.

        To be called :data:`TOLD_S` after :meth:`suspend`: who has read much is not answered at all from then on, and an honest reader
        should have been told before that it may not read any more. May be repeated. Raises UsageError where it is not suspended.
        """
        known = _member(await self._read_directory(), agency)
        if known.status != "suspended":
            raise UsageError(f"{agency} is not suspended", advice="see `broker agency show`")
        await self._admin.ensure_quota(ids.principal(agency, known.generation), STOPPED)

    async def readmit(self, file: Readmission) -> AgencyEntry:
        """Carry the officers' statement that a suspended agency is admitted again: after judging it as every reader will, the directory
        says so, then its rights at Kafka come back. May be repeated.

        Raises RefusedError (OTHER_SUSPENSION, BAD_SIGNATURE, TOO_FEW_OFFICERS; the last also where the bundle in force names officers and
        a signer is not among them), UsageError where the agency is no member or not suspended.
        """
        directory = await self._read_directory()
        known = entry = _member(directory, file.agency)
        if known.status == "active" and known.readmission != file:
            raise UsageError(f"{file.agency} is not suspended", advice="see `broker agency show`")
        if known.status == "suspended":
            signed = _readmitted(file, known, directory)
            _raise(entitled(signed, (await self._read_policy()).officers, directory))
            entry = replace(
                known, status="active", reason=file.reason, since_ms=self._clock.now_ms(), version=directory.version + 1, readmission=file
            )  # fmt: skip
            await self._enter_agency(entry)
            _log.info("agency re-admitted", agency=file.agency, suspension=file.suspension, approved_by=list(signed))
        principal = ids.principal(file.agency, entry.generation)
        await self._admin.ensure_quota(principal, Quota())
        await self._admin.ensure_grants(principal, _grants(file.agency, entry.generation, entry.kind))
        return entry

    async def carry(self, file: BundleFile) -> PolicyChain:
        """Announce a policy bundle that officers signed, after judging it as every reader will. Returns the chain with it.

        Each version has a record of its own: who comes late follows the chain from its first link. Raises RefusedError
        with the step that it fails, BUNDLE_WIDENS where it gives more than it declares.
        """
        chain, directory = await self._read_policy(), await self._read_directory()
        after = chain.after_file(file.text(), self._clock.now_ms(), directory)
        if isinstance(after, Refusal):
            raise RefusedError(after)
        if after is chain:
            return chain
        undeclared = await asyncio.to_thread(widening_of, chain, file)
        if isinstance(undeclared, Refusal):
            raise RefusedError(undeclared)
        await self._notice(POLICY, b"bundle/%d" % after.version, notices.BUNDLE_TYPE, file.text())
        _log.info("policy bundle carried", version=after.version, digest=after.digest.hex(), signed_by=list(after.signed))
        return after

    async def _read_policy(self) -> PolicyChain:
        """The chain as the topic has it now, judged as every reader judges it."""
        directory = await self._read_directory()
        for record in await self._read((POLICY, 0)):
            if record.value is not None:
                after = self._policy.after_record(record.value, record.timestamp_ms, directory)
                self._policy = self._policy if isinstance(after, Refusal) else after
        return self._policy

    async def announce(self, schemas: Mapping[tuple[str, str, int], str]) -> list[str]:
        """Announce the schemas that the exchange does not know yet, by family, section and version; their names as
        ``alert/v2/route``. What is announced stays: everybody decodes with it for as long as its messages are kept.

        Raises RefusedError (INCOMPATIBLE_SCHEMA), and announces none, where one cannot be in use beside the others of its section,
        or is another schema than the one announced under its name. Raises UsageError where the lint rejects one.
        """
        before = after = await self._read_schemas()
        for name, text in sorted(schemas.items()):
            added = after.announced(Section.from_text(*name, text))
            if isinstance(added, Refusal):
                raise RefusedError(added)
            after = added
        news = [section for section in after if before.by_id(section.schema_id) is None]
        for section in news:
            name = section.family, section.section, section.version
            key = "{}/{}/v{}".format(*name).encode()
            await self._notice(SCHEMAS, key, notices.SCHEMA_TYPE, notices.schema_payload(name, section.text))
        self._catalogue = after
        return [section.name for section in news]

    async def _read_schemas(self) -> Catalogue:
        """What is announced now. A record that this registrar's key did not sign, or that its readers ignore, does not count."""
        registrar = VerifyKey.from_spki(self._pin.registrar_spki)
        aad = notices.context(self._pin.exchange_id, self._pin.environment)
        for record in await self._read((SCHEMAS, 0)):
            if record.value is None or isinstance(registrar, Refusal):
                continue
            payload = notices.read_notice(record.value, notices.SCHEMA_TYPE, registrar, aad)
            if isinstance(payload, Refusal):
                continue
            with contextlib.suppress(UsageError):
                name, text = notices.schema_of(payload)
                known = self._catalogue.announced(Section.from_text(*name, text))
                self._catalogue = self._catalogue if isinstance(known, Refusal) else known
        return self._catalogue

    async def operate(self, circle: Circle) -> Operation:
        """Announce a confidential operation, or its next version, to the relays; nothing is written where it says nothing new.

        Raises RefusedError (NAME_TAKEN) where its name is public, UsageError where a member of it is no member of the exchange.
        """
        directory, bundle = await self._read_directory(), (await self._read_policy()).bundle
        if bundle is None:
            raise UsageError("the exchange is not created yet", advice="run `broker up` once")
        if circle.id in public_names(bundle, directory):
            raise RefusedError(
                Refusal("NAME_TAKEN", f"{circle.id} is the name of a community, an agreement or an operation that is public")
            )
        for agency in circle.members:
            _member(directory, agency)
        memberships = await self._read_memberships()
        operation = memberships.next(circle)
        if operation != memberships.operations.get(circle.id):
            await self._notice(MEMBERSHIPS, operation.key, notices.OPERATION_TYPE, operation.payload)
            _log.info("confidential operation announced", operation=operation.id, version=operation.version)
        return operation

    async def open(self, file: Opening) -> tuple[str, ...]:
        """Carry an emergency opening that officers signed to the relays; the agencies whose officers they are. Nothing is written where
        it was carried before. Raises RefusedError with the step that it fails, UsageError where the agency is no active member."""
        directory, chain = await self._read_directory(), await self._read_policy()
        if _member(directory, file.agency).status != "active":
            raise UsageError(f"{file.agency} is suspended", advice="nothing is opened to an agency that is suspended")
        officers = judged(file, self._clock.now_ms(), directory, chain)
        if isinstance(officers, Refusal):
            raise RefusedError(officers)
        await self._notice(MEMBERSHIPS, KEY + file.name.encode(), OPENING_TYPE, file.text())
        _log.info("emergency opening carried", opening=file.name, subject=file.subject, agency=file.agency, officers=list(officers))
        return officers

    async def _read_memberships(self) -> Memberships:
        """The confidential operations as the topic has them now. What readers ignore does not count."""
        registrar = VerifyKey.from_spki(self._pin.registrar_spki)
        if isinstance(registrar, Refusal):
            raise UsageError(f"the registrar's key in this home cannot be used: {registrar.reason}", advice=registrar.advice)
        known = self._memberships or Memberships(registrar, notices.context(self._pin.exchange_id, self._pin.environment))
        for record in await self._read((MEMBERSHIPS, 0)):
            if record.value is not None:
                applied = known.applied(record.value)
                known = known if isinstance(applied, Refusal) else applied
        self._memberships = known
        return known

    async def _notice(self, topic: str, key: bytes, content_type: str, payload: bytes) -> None:
        aad = notices.context(self._pin.exchange_id, self._pin.environment)
        alg, kid = self._signer.alg, self._signer.kid
        signature = (await self._signer.sign([notices.notice_to_sign(content_type, payload, aad, alg=alg, kid=kid)]))[0]
        await self._write(Outgoing(topic, key, notices.notice_bytes(content_type, payload, signature, alg=alg, kid=kid)))

    async def _enter_agency(self, entry: AgencyEntry) -> None:
        unsigned = unsigned_agency(entry, self._signer, self._pin.exchange_id, self._pin.environment)
        await self._announce(directory_key(entry), await self._sign(unsigned))

    async def _sign(self, unsigned: Unsigned) -> bytes:
        return unsigned.signed((await self._signer.sign([unsigned.to_be_signed]))[0])

    async def _announce(self, key: bytes, value: bytes) -> None:
        """Write a directory record, after checking that every reader will accept it."""
        applied = (await self._read_directory()).applied(value)
        if isinstance(applied, Refusal):
            raise UsageError(f"this directory entry would be refused: {applied.reason}", advice=applied.advice)
        await self._write(Outgoing(DIRECTORY, key, value))

    async def _write(self, record: Outgoing) -> None:
        if self._outlet is None:
            self._outlet = await self._transport.outlet()
        await (await self._outlet.send(record))

    async def _read_directory(self) -> Directory:
        """The directory as the topic has it now: what is new since the last look is read and checked."""
        for record in await self._read((DIRECTORY, 0)):
            if record.value is None:
                continue
            applied = self._directory.applied(record.value)
            if isinstance(applied, Refusal):
                raise BrokerError(f"exchange.directory holds a bad entry: {applied.reason}", advice="an auditor should look at it")
            self._directory = applied
        return self._directory

    async def _read(self, source: Source) -> list[Record]:
        """Everything of a public topic that this registrar has not read yet."""
        if self._inlet is None:
            self._inlet = await self._transport.inlet()
            await self._inlet.assign(dict.fromkeys(_SOURCES, "beginning"))
        end = (await self._inlet.ends())[source]
        while self._inlet.position(source) < end:
            for record in await self._inlet.poll(max_records=2000, timeout=0.5):
                self._unread[record.topic, record.partition].append(record)
        records, self._unread[source] = self._unread[source], []
        return records


def _member(directory: Directory, agency: str) -> AgencyEntry:
    known = directory.agency(agency)
    if known is None:
        raise UsageError(f"{agency} is not a member", advice="see `broker agency list`")
    return known


def _readmitted(file: Readmission, known: AgencyEntry, directory: Directory) -> tuple[str, ...]:
    """Who approved the end of exactly this suspension. Raises RefusedError."""
    _raise(other_suspension(file, known.suspension, known.since_ms))
    signed = approved(file, directory)
    if isinstance(signed, Refusal):
        raise RefusedError(signed)
    return signed


def _raise(refusal: Refusal | None) -> None:
    if refusal is not None:
        raise RefusedError(refusal)


def _grants(agency: str, generation: int, kind: str) -> list[Grant]:
    return agency_grants(agency, generation, auditor=kind == "auditor")
