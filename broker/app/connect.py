"""Connections to a real Kafka under one party's certificate."""

from __future__ import annotations

from broker.kafka.admin import KafkaAdmin
from broker.kafka.tls import TlsFiles as KafkaTlsFiles
from broker.kafka.tls import ssl_context
from broker.kafka.transport import KafkaTransport
from broker.ports import Admin, Transport
from broker.storage.home import TlsFiles


def connect(bootstrap: str, principal: str, files: TlsFiles) -> Transport:
    """A transport as this principal. TLS files are read anew for each client, so that a renewed certificate is picked up."""
    tls = KafkaTlsFiles(*files).checked()
    return KafkaTransport(bootstrap, lambda: ssl_context(tls), client_id=principal)


def connect_admin(bootstrap: str, files: TlsFiles) -> Admin:
    """Administration under the registrar's certificate."""
    return KafkaAdmin(bootstrap, KafkaTlsFiles(*files).checked())
