"""Kafka's access rules (KIP-140, KIP-290) as confluent-kafka has them, from and to our ``Grant``.

A grant allows, for every host, one operation on one resource or on all whose names begin so. Denials and rules for one host exist
in Kafka but not here: nothing of ours writes them, and what somebody else wrote is removed.
"""

from __future__ import annotations

from typing import Any, Final

import confluent_kafka.admin

from broker.exchange.topology import Grant

_kafka: Final[Any] = confluent_kafka.admin
"""Its classes are re-exports that no type checker sees."""


def binding_of(grant: Grant) -> Any:
    """The access rule of a grant; equal rules are equal values."""
    return _kafka.AclBinding(
        _kafka.ResourceType[grant.resource],
        grant.name,
        _kafka.ResourcePatternType.PREFIXED if grant.prefixed else _kafka.ResourcePatternType.LITERAL,
        f"User:{grant.principal}",
        "*",
        _kafka.AclOperation[grant.operation],
        _kafka.AclPermissionType.ALLOW,
    )


def is_plain(binding: Any) -> bool:
    """It allows, and for every host: a rule that a grant can say."""
    return binding.permission_type == _kafka.AclPermissionType.ALLOW and binding.host == "*"


def grant_of(binding: Any) -> Grant:
    """The grant of a plain rule."""
    return Grant(
        principal=binding.principal.removeprefix("User:"),
        operation=binding.operation.name,
        resource=binding.restype.name,
        name=binding.name,
        prefixed=binding.resource_pattern_type == _kafka.ResourcePatternType.PREFIXED,
    )


def naming(principal: str) -> Any:
    """A filter for every rule that names this principal, of any kind."""
    return _kafka.AclBindingFilter(
        _kafka.ResourceType.ANY, None, _kafka.ResourcePatternType.ANY, f"User:{principal}", None,
        _kafka.AclOperation.ANY, _kafka.AclPermissionType.ANY,
    )  # fmt: skip


def as_filter(binding: Any) -> Any:
    """A filter for exactly this rule."""
    return _kafka.AclBindingFilter(
        binding.restype, binding.name, binding.resource_pattern_type, binding.principal, binding.host,
        binding.operation, binding.permission_type,
    )  # fmt: skip
