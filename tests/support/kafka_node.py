"""The Kafka that integration tests run against: the embedded node by default, or one that is named or asked for.

- nothing set: the embedded node, started once for the whole run
- ``BROKER_TEST_BOOTSTRAP=host:port`` and ``BROKER_TEST_TLS=folder``: that cluster; the folder holds ``ca.pem`` and, for each
  principal, ``<principal>.pem`` and ``<principal>.key``; or ``ca.key`` besides, from which they are then issued
- ``BROKER_TEST_CONTAINER=1``: an ``apache/kafka`` container, where a Docker engine answers
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from broker.exchange.topology import Grant, TopicSpec
from broker.kafka.admin import KafkaAdmin
from broker.kafka.node import EmbeddedNode
from broker.kafka.tls import TlsFiles
from tests.support.certificates import CertificateAuthority

QUICK_JVM: Final = ("-XX:TieredStopAtLevel=1",)
"""The first compiler only: a quarter less start-up, and tests measure nothing."""


@dataclass(frozen=True)
class KafkaNode:
    """A Kafka to test against, and certificates for it."""

    bootstrap: str
    ca: Path
    issue: Callable[[str], TlsFiles]
    embedded: EmbeddedNode | None = None

    def tls_for(self, principal: str) -> TlsFiles:
        """Certificate files for a principal: ``registrar`` (super user), ``relay``, or an agency as ``SG-CUSTOMS#1``."""
        return self.issue(principal)

    @asynccontextmanager
    async def admin(self, principal: str = "registrar") -> AsyncIterator[KafkaAdmin]:
        """An admin connection for the length of a ``with`` block."""
        admin = KafkaAdmin(self.bootstrap, self.tls_for(principal))
        try:
            yield admin
        finally:
            await admin.close()

    async def prepare(self, specs: list[TopicSpec], grants: list[Grant]) -> None:
        """Make these topics, and for every principal named in the grants exactly these grants."""
        async with self.admin() as admin:
            await admin.ensure_topics(specs)
            for principal in sorted({grant.principal for grant in grants}):
                await admin.ensure_grants(principal, [grant for grant in grants if grant.principal == principal])


@asynccontextmanager
async def embedded_node(folder: Path) -> AsyncIterator[KafkaNode]:
    """A node of one's own, with a CA of its own, in ``folder``; for tests that stop or break it."""
    authority = CertificateAuthority(folder / "tls")
    node = await EmbeddedNode.start(folder / "kafka", authority.issue("node", server=True), jvm_options=QUICK_JVM)
    try:
        yield KafkaNode(node.bootstrap, authority.ca, authority.issue, node)
    finally:
        await node.stop()
