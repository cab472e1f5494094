"""The Kafka that integration tests run against: the embedded node by default, or one that is named or asked for.

- nothing set: the embedded node, started once for the whole run
- ``BROKER_TEST_BOOTSTRAP=host:port`` and ``BROKER_TEST_TLS=folder``: that cluster; the folder holds ``ca.pem`` and, for each
  principal, ``<principal>.pem`` and ``<principal>.key``; or ``ca.key`` besides, with which they are then issued
- ``BROKER_TEST_CONTAINER=1``: an ``apache/kafka`` container, where a Docker engine answers
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from broker.exchange.topology import Grant, TopicSpec
from broker.kafka.admin import KafkaAdmin
from broker.kafka.node import BRIEF, EmbeddedNode
from broker.kafka.tls import TlsFiles
from tests.support.certificates import CertificateAuthority
from tests.support.eventually import eventually
from tests.support.kafka_container import KafkaContainer, no_engine


@dataclass(frozen=True)
class KafkaNode:
    """A Kafka to test against, and certificates for it."""

    bootstrap: str
    tls: Path
    embedded: EmbeddedNode | None = None

    @property
    def ca(self) -> Path:
        """The CA's certificate."""
        return self.tls / "ca.pem"

    def tls_for(self, principal: str) -> TlsFiles:
        """Certificate files for a principal: ``registrar`` (super user), ``relay``, or an agency as ``SG-CUSTOMS#1``."""
        if (self.tls / "ca.key").exists():
            return CertificateAuthority(self.tls).of(principal)
        return TlsFiles(self.ca, self.tls / f"{principal}.pem", self.tls / f"{principal}.key").checked()

    @asynccontextmanager
    async def admin(self, principal: str = "registrar") -> AsyncGenerator[KafkaAdmin]:
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
async def embedded_node(folder: Path, *, jvm_options: Sequence[str] = BRIEF) -> AsyncGenerator[KafkaNode]:
    """A node of one's own, with a CA of its own, in ``folder``; for tests that stop or break it. Again in the same folder: restarted."""
    authority = CertificateAuthority(folder / "tls")
    node = await EmbeddedNode.start(folder / "kafka", authority.issue("node", server=True), jvm_options=jvm_options)
    try:
        yield KafkaNode(node.bootstrap, folder / "tls", node)
    finally:
        await node.stop()


@asynccontextmanager
async def chosen_node(folder: Path) -> AsyncGenerator[KafkaNode]:
    """The Kafka that the environment chooses (see the top of this file); skips the test where it cannot be had."""
    bootstrap, tls = os.environ.get("BROKER_TEST_BOOTSTRAP"), os.environ.get("BROKER_TEST_TLS")
    if bootstrap:
        if not tls:
            pytest.skip("BROKER_TEST_BOOTSTRAP needs BROKER_TEST_TLS, a folder with ca.pem and each principal's certificate and key")
        yield KafkaNode(bootstrap, Path(tls))
    elif os.environ.get("BROKER_TEST_CONTAINER") == "1":
        if why := no_engine():
            pytest.skip(f"BROKER_TEST_CONTAINER=1, but {why}")
        authority = CertificateAuthority(folder / "tls")
        with KafkaContainer(folder / "kafka", authority.issue("node", server=True)) as container:
            await eventually(container.answers, 120, what="the container's Kafka")
            yield KafkaNode(container.bootstrap, folder / "tls")
    else:
        async with embedded_node(folder) as node:
            yield node
