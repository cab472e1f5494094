"""Connections to a real Kafka under one party's certificate."""

from __future__ import annotations

import re
from typing import Final

from broker.errors import UsageError
from broker.kafka.tls import TlsFiles as KafkaTlsFiles
from broker.kafka.tls import ssl_context
from broker.kafka.transport import KafkaTransport
from broker.ports import Admin, Transport
from broker.storage.home import TlsFiles

_ADDRESS: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+):[0-9]{1,5}")


def checked_address(bootstrap: str) -> str:
    """The address as given: ``host:port``, several with commas. Raises UsageError on anything else."""
    for each in bootstrap.split(","):
        if not _ADDRESS.fullmatch(each) or not 0 < int(each.rpartition(":")[2]) < 65_536:
            raise UsageError(f"`{each}` is not HOST:PORT", advice="give --bootstrap as kafka.example.org:9093, several with commas")
    return bootstrap


def connect(bootstrap: str, principal: str, files: TlsFiles) -> Transport:
    """A transport as this principal. TLS files are read anew for each client, so that a renewed certificate is picked up."""
    tls = KafkaTlsFiles(*files).checked()
    return KafkaTransport(checked_address(bootstrap), lambda: ssl_context(tls), client_id=principal)


def connect_admin(bootstrap: str, files: TlsFiles) -> Admin:
    """Administration under the registrar's certificate."""
    from broker.kafka.admin import KafkaAdmin  # a second Kafka client, which agencies never need

    return KafkaAdmin(checked_address(bootstrap), KafkaTlsFiles(*files).checked())
