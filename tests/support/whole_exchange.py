"""An exchange on a node of its own, as the registrar makes it: all parties in one home, real certificates, and forged ones."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from cryptography import x509

from broker.app.connect import connect, connect_admin
from broker.app.parties import Member, Operator, shipped_bundle
from broker.exchange.topology import Quota
from broker.kafka.node import BRIEF, EmbeddedNode
from broker.kafka.tls import TlsFiles, ssl_context
from broker.ports import Record
from broker.service.registrar import Registrar
from broker.storage import enrol
from broker.storage.clock import SystemClock
from broker.storage.home import AgencyHome, ExchangeHome
from broker.storage.keys import load_tls_key
from broker.testing.agreements import EVERYWHERE
from broker.trust.certificates import NODE, SERVICES, Authority, Validity
from broker.trust.keys import spki_of
from tests.support.principals import Caller
from tests.support.standing import set_standing

_NAME: Final = ("isolation.test", "test")


@dataclass(frozen=True)
class WholeExchange:
    """An exchange at work, but for its relay."""

    home: Path
    node: EmbeddedNode
    operator: Operator

    @property
    def files(self) -> ExchangeHome:
        """The operator's files."""
        return self.operator.files

    def service(self, name: str) -> TlsFiles:
        """The certificate of ``relay``, ``registrar`` or ``node``."""
        return TlsFiles(*self.files.tls(name))

    def agency(self, agency: str) -> TlsFiles:
        """An agency's certificate of generation 1, as the registrar issued it."""
        return TlsFiles(*AgencyHome(self.home, agency).tls())

    def member(self, agency: str) -> Member:
        """An agency's side."""
        return Member(self.home, agency, connect)

    @asynccontextmanager
    async def relaying(self, schemas: Mapping[tuple[str, str, int], str] | None = None) -> AsyncGenerator[None]:
        """A relay worker at work for the length of the block; ``schemas``: its program's, by default those shipped."""
        operator = Operator(self.home, connect, connect_admin, schemas=schemas)
        transport = operator.transport("relay")
        worker = operator.relay(transport, "relay-1")
        running = asyncio.create_task(worker.run())
        try:
            yield
        finally:
            worker.stop()
            await running
            await transport.close()

    @asynccontextmanager
    async def caller(self, tls: TlsFiles) -> AsyncGenerator[Caller]:
        """An open connection with this certificate."""
        caller = await Caller.opened(self.node.bootstrap, ssl_context(tls))
        assert caller is not None, f"Kafka takes no connection with {tls.certificate}"
        try:
            yield caller
        finally:
            await caller.close()

    async def set_standing(self, agency: str, status: str) -> int:
        """Suspend or reinstate; the directory version that says so."""
        return await set_standing(self.operator, agency, status)

    async def records(self, topic: str) -> list[Record]:
        """All committed records of a topic, as the registrar."""
        transport = self.operator.transport("registrar")
        inlet, source, found = await transport.inlet(), (topic, 0), list[Record]()
        await inlet.assign({source: "beginning"})
        end = (await inlet.ends())[source]
        while inlet.position(source) < end:
            found += await inlet.poll(max_records=2000, timeout=0.5)
        await inlet.close()
        await transport.close()
        return found

    async def enrol(
        self, registrar: Registrar, agency: str, kind: str, quota: Quota, *, communities: Sequence[str] = (), home: Path | None = None
    ) -> None:
        """Init, admit with this quota, and join; by default in the home of all, else in one of its own."""
        home = home or self.home
        enrol.init_agency(home, agency, kind, SystemClock().now_ms())
        request, authority = AgencyHome(home, agency).request()[1], self.files.authority()

        def issue(name: str, generation: int, spki: bytes) -> str:
            return authority.agency(spki, name, generation, serial=x509.random_serial_number(), validity=lasting())

        admission = await registrar.admit(
            request, communities=communities, bootstrap=self.node.bootstrap, ca_pem=self.files.ca_pem(), issue=issue, quota=quota
        )
        enrol.join_agency(home, admission.reply)


@asynccontextmanager
async def whole_exchange(
    home: Path, agencies: Mapping[str, str], *, shards: int, quotas: Mapping[str, Quota], entities: str = EVERYWHERE
) -> AsyncGenerator[WholeExchange]:
    """Start a node, create the exchange, admit the agencies (id and kind). By default an agreement covers everything."""
    files = enrol.create_exchange(home, *_NAME, shards, SystemClock().now_ms())
    node = await EmbeddedNode.start(files.kafka, TlsFiles(*files.tls(NODE)), jvm_options=BRIEF)
    try:
        files.keep(replace(files.settings(), bootstrap=node.bootstrap))
        made = WholeExchange(home, node, Operator(home, connect, connect_admin))
        await made.operator.create(shipped_bundle(entities=entities))
        async with made.operator.registrar() as registrar:
            for agency, kind in agencies.items():
                await made.enrol(registrar, agency, kind, quotas.get(agency, Quota()))
        yield made
    finally:
        await node.stop()


def lasting() -> Validity:
    """A month from now."""
    return Validity.days(SystemClock().now_ms(), 30)


@dataclass(frozen=True)
class Certificates:
    """More certificates than the registrar issued, written to a folder; all are for keys that the agencies really have."""

    exchange: WholeExchange
    folder: Path

    def successor(self, agency: str) -> TlsFiles:
        """Generation 2, by the exchange's authority."""
        key = AgencyHome(self.exchange.home, agency).tls_key
        return self._kept(f"{agency}-2", _made(self.exchange.files.authority(), f"{agency}#2", key), key)

    def strangers(self, holder: str, principals: list[str]) -> dict[str, ssl.SSLContext | None]:
        """What must not get in, by a name that says why: no certificate, and for each principal and each service one by another
        exchange's authority (of the same name), and one by the agency ``holder`` with its own certificate as the issuer's."""
        other = enrol.create_exchange(self.folder / "other", *_NAME, 1, SystemClock().now_ms()).authority()
        home = AgencyHome(self.exchange.home, holder)
        issuer = home.certificate.read_text()
        own = Authority(x509.load_pem_x509_certificate(issuer.encode()), load_tls_key(home.tls_key))
        found: dict[str, ssl.SSLContext | None] = {
            "plain text": None,
            "no certificate": ssl.create_default_context(cafile=str(self.exchange.files.ca)),
        }
        for who in (*SERVICES, NODE, *principals):
            by_other, by_agency = _made(other, who, home.tls_key), _made(own, who, home.tls_key) + issuer
            found[f"{who} by another exchange"] = ssl_context(self._kept(f"{who}-other", by_other, home.tls_key))
            found[f"{who} by {holder}"] = ssl_context(self._kept(f"{who}-own", by_agency, home.tls_key))
        return found

    def _kept(self, name: str, chain: str, key: Path) -> TlsFiles:
        file = self.folder / f"{name}.pem"
        file.write_text(chain)
        return TlsFiles(self.exchange.files.ca, file, key)


def _made(authority: Authority, who: str, key: Path) -> str:
    """A certificate for a principal, however it is named."""
    agency, _, generation = who.partition("#")
    spki, serial = spki_of(load_tls_key(key).public_key()), x509.random_serial_number()
    if generation:
        return authority.agency(spki, agency, int(generation), serial=serial, validity=lasting())
    if who == NODE:
        return authority.node(spki, (), serial=serial, validity=lasting())
    return authority.service(spki, who, serial=serial, validity=lasting())
