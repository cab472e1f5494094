"""Client quotas (KIP-546): AlterClientQuotas and DescribeClientQuotas, version 0, over aiokafka's protocol structs.

Neither aiokafka nor confluent-kafka has these calls. The wire form is the one of Kafka's own message definitions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

from aiokafka.errors import KafkaError, for_code
from aiokafka.protocol.admin import DescribeClientQuotasRequest
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Array, Boolean, Float64, Int16, Int32, Schema, String

from broker.errors import BrokerError, ExchangeUnreachable, NotAuthorised
from broker.exchange.topology import Quota
from broker.kafka.tls import TlsFiles, ssl_context
from broker.kafka.wire import Address

_ENTITY = Array(("entity_type", String("utf-8")), ("entity_name", String("utf-8")))
_EXACT_NAME: Final = 0
_CLUSTER_AUTHORISATION_FAILED: Final = 31


class AlterClientQuotasResponse_v0(Response):  # noqa: N801
    """One error code for each entity."""

    API_KEY = 49  # pyright: ignore[reportAssignmentType, reportIncompatibleMethodOverride]
    API_VERSION = 0  # pyright: ignore[reportAssignmentType, reportIncompatibleMethodOverride]
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("entries", Array(("error_code", Int16), ("error_message", String("utf-8")), ("entity", _ENTITY))),
    )


class AlterClientQuotasRequest_v0(RequestStruct):  # noqa: N801
    """For each entity the quota keys to set or to remove."""

    API_KEY = 49
    API_VERSION = 0
    RESPONSE_TYPE = AlterClientQuotasResponse_v0
    SCHEMA = Schema(
        ("entries", Array(("entity", _ENTITY), ("ops", Array(("key", String("utf-8")), ("value", Float64), ("remove", Boolean))))),
        ("validate_only", Boolean),
    )


class AlterClientQuotasRequest(Request[AlterClientQuotasRequest_v0]):
    """Sets keys of one user's quota."""

    API_KEY = 49

    def __init__(self, user: str, values: Mapping[str, float]) -> None:
        self._entries = [([("user", user)], [(key, value, False) for key, value in values.items()])]

    def build(self, request_struct_class: type[AlterClientQuotasRequest_v0]) -> AlterClientQuotasRequest_v0:
        """The request in the version agreed with the broker."""
        return request_struct_class(self._entries, False)


def quota_keys(quota: Quota) -> dict[str, float]:
    """Kafka's names for a quota: bytes per second per broker, and percent of one request-handler thread."""
    return {
        "producer_byte_rate": float(quota.produce_bytes),
        "consumer_byte_rate": float(quota.fetch_bytes),
        "request_percentage": float(quota.request_percent),
    }


async def set_quota(bootstrap: str, files: TlsFiles, principal: str, quota: Quota) -> None:
    """Set the quota of the user ``principal``. Raises ExchangeUnreachable, NotAuthorised."""
    response = await _ask(bootstrap, files, AlterClientQuotasRequest(principal, quota_keys(quota)))
    for code, message, _entity in response.entries:
        _check(code, message)


async def read_quota(bootstrap: str, files: TlsFiles, principal: str) -> dict[str, float]:
    """What is set for the user ``principal`` under Kafka's names; empty where nothing is. Raises ExchangeUnreachable, NotAuthorised."""
    response = await _ask(bootstrap, files, DescribeClientQuotasRequest([("user", _EXACT_NAME, principal)], True))
    _check(response.error_code, response.error_message)
    entries = cast("list[tuple[object, list[tuple[str, float]]]]", response.entries or [])
    return {key: value for _entity, values in entries for key, value in values}


def _check(code: int, message: str | None) -> None:
    if code == 0:
        return
    if code == _CLUSTER_AUTHORISATION_FAILED:
        raise NotAuthorised("this certificate may not set quotas", advice="run the command with the operator's home")
    raise ExchangeUnreachable(f"the quota was not taken: {for_code(code).__name__} {message or ''}".rstrip())


async def _ask(bootstrap: str, files: TlsFiles, request: Request[Any]) -> Any:
    """One request to any broker (KRaft brokers forward it to the controller), over a connection of its own."""
    client = Address(bootstrap, ssl_context(files), "registrar").client()
    try:
        await client.bootstrap()
        node = client.get_random_node()
        if node is None:
            raise ExchangeUnreachable(f"no Kafka broker answers at {bootstrap}")
        return await client.send(node, request)
    except (KafkaError, OSError, TimeoutError) as error:
        if isinstance(error, BrokerError):
            raise
        raise ExchangeUnreachable(f"no Kafka broker answers at {bootstrap}: {error}") from error
    finally:
        await client.close()
