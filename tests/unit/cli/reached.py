"""Commands of a home reach the exchange in memory whose home it is."""

from __future__ import annotations

from types import ModuleType

import pytest

from broker.storage.home import TlsFiles
from broker.testing.local import LocalExchange
from broker.testing.memory import MemoryAdmin, MemoryTransport


def reached_by(exchange: LocalExchange, monkeypatch: pytest.MonkeyPatch, *modules: ModuleType) -> None:
    """Give commands of these modules the exchange in memory where they would connect to Kafka."""

    def connect(_address: str, principal: str, _files: TlsFiles) -> MemoryTransport:
        return MemoryTransport(exchange.memory, None if principal == "registrar" else principal)

    def connect_admin(_address: str, _files: TlsFiles) -> MemoryAdmin:
        return MemoryAdmin(exchange.memory)

    for module in modules:
        monkeypatch.setattr(module, "connect", connect)
        monkeypatch.setattr(module, "connect_admin", connect_admin)
