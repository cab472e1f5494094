"""The ground that both sides stand on: one embedded Kafka (mutual TLS, ACLs), one exchange, its agencies, the peers' topics.

The peers connect as an agency of their own, ``XX-PEER``, with rights on topics ``bench.*``: Kafka does the same work for both. Their
topics have one partition and the settings of an outbox. Quotas are set so high that they never bite.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from cryptography import x509

from broker import ids
from broker.app.local import LocalInstallation, Progress
from broker.exchange.topology import Grant, Quota, agency_grants, outbox_spec
from broker.service.registrar import Registrar
from broker.storage import enrol
from broker.storage.clock import SystemClock
from broker.storage.home import AgencyHome
from broker.testing.agreements import EVERYWHERE
from broker.trust.certificates import Validity

PEER: Final = "XX-PEER"
ORIGINATOR: Final = "SG-CUSTOMS"
UNBOUND: Final = Quota(produce_bytes=2_000_000_000, fetch_bytes=2_000_000_000, request_percent=10_000)


@dataclass(frozen=True)
class Ground:
    """A running exchange without relay workers, in ``home``."""

    home: Path
    installation: LocalInstallation

    @property
    def bootstrap(self) -> str:
        """Where Kafka listens."""
        return self.installation.bootstrap

    async def join(self, agencies: Sequence[str]) -> None:
        """Enrol agencies that are not members yet, and the peer with them."""
        operator = self.installation.operator
        async with operator.registrar() as registrar:
            for agency in dict.fromkeys((PEER, *agencies)):
                if not AgencyHome(self.home, agency).joined:
                    await self._admit(registrar, agency)
        who = ids.principal(PEER, 1)
        grants = [Grant(who, right, "TOPIC", "bench.", prefixed=True) for right in ("READ", "WRITE", "DESCRIBE")]
        admin = operator.admin()
        try:
            await admin.ensure_grants(who, [*agency_grants(PEER, 1), *grants])
        finally:
            await admin.close()

    async def _admit(self, registrar: Registrar, agency: str) -> None:
        operator = self.installation.operator
        enrol.init_agency(self.home, agency, "customs", SystemClock().now_ms())
        request = AgencyHome(self.home, agency).request()[1]

        def issue(name: str, generation: int, spki: bytes) -> str:
            validity = Validity.days(SystemClock().now_ms(), 2)
            return operator.files.authority().agency(spki, name, generation, serial=x509.random_serial_number(), validity=validity)

        admission = await registrar.admit(
            request, communities=(), bootstrap=self.bootstrap, ca_pem=operator.files.ca_pem(), issue=issue, quota=UNBOUND
        )
        enrol.join_agency(self.home, admission.reply)

    async def topics(self, names: Sequence[str]) -> None:
        """Make the peers' topics."""
        admin = self.installation.operator.admin()
        try:
            await admin.ensure_topics([replace(outbox_spec(PEER), name=name) for name in names])
        finally:
            await admin.close()


@asynccontextmanager
async def ground(home: Path, progress: Progress | None = None) -> AsyncGenerator[Ground]:
    """Start it all in an empty folder; stopped and ended with the block."""
    installation = LocalInstallation(home, entities=EVERYWHERE)
    try:
        await installation.start(relays=0, progress=progress)
        yield Ground(home, installation)
    finally:
        await asyncio.shield(installation.stop())
