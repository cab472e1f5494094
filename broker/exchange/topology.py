"""Topics, their settings, and who may touch them: what an exchange looks like on Kafka, as plain values.

A registrar brings the cluster to this state; the configuration of the embedded node and the tests read the same values.
Content rules are the relay's and never an ACL's: ACLs are the coarse fence (one outbox, one inbox, the public topics).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from broker import ids

DIRECTORY: Final = "exchange.directory"
POLICY: Final = "exchange.policy"
SCHEMAS: Final = "exchange.schemas"
MEMBERSHIPS: Final = "exchange.memberships"
CURRENT: Final = "exchange.current"
STATE: Final = "exchange.state"
SHARDS: Final = "exchange.shards"
JOURNAL: Final = "exchange.journal"
QUARANTINE: Final = "exchange.quarantine"
PUBLIC: Final = (DIRECTORY, POLICY, SCHEMAS)
"""Topics that every member reads."""

RELAY: Final = "relay"
REGISTRAR: Final = "registrar"
"""Principals of the operator's services. No agency id can equal them: agency ids are upper case with a hyphen."""

MESSAGE_LIMIT: Final = 1 << 20
"""Largest record the relay accepts, in bytes."""
KAFKA_LIMIT: Final = 4 << 20
"""Largest record Kafka takes from an outbox: above MESSAGE_LIMIT, so that oversize records are quarantined and answered."""

DAY_MS: Final = 86_400_000


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """A topic as it must be: ``settings`` are Kafka topic configurations, all as text."""

    name: str
    partitions: int = 1
    settings: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True, order=True)
class Grant:
    """One Kafka ACL: the principal may do the operation on the resource. Kafka's own names in capitals."""

    principal: str
    operation: str
    resource: str
    name: str
    prefixed: bool = False


@dataclass(frozen=True, slots=True)
class Quota:
    """What one principal may use of each Kafka broker: bytes per second in and out, and percent of request-handler time."""

    produce_bytes: int = 20_000_000
    fetch_bytes: int = 50_000_000
    request_percent: int = 100


STOPPED: Final = Quota(fetch_bytes=64)
"""What a suspended agency may use. Kafka looks at rights when a fetch comes in, and answers one that waits for more bytes only when they
are there or its time is over, which the client chooses: 54 kB came out of an inbox 7.5 s after the last right was gone. An answer over
the quota is sent empty; ten seconds' worth of this one are less than any parcel, and enough for the answer that says no."""


_LIMIT = {"max.message.bytes": str(KAFKA_LIMIT + 4096)}
_PLAIN = {"compression.type": "uncompressed"}
_SOON_GONE = {"segment.ms": str(DAY_MS), "max.compaction.lag.ms": str(31 * DAY_MS)}
"""Both hold parcels: what was superseded or erased is gone within 35 days, also on a quiet exchange."""
_FOREVER = {"retention.ms": "-1", "retention.bytes": "-1"}
_COMPACT = {**_PLAIN, "cleanup.policy": "compact", "max.message.bytes": str(KAFKA_LIMIT + 4096)}


def outbox_spec(agency: str) -> TopicSpec:
    """An agency's outbox: kept until the relay trims it behind its own position; the broker's clock stamps each record."""
    settings = {**_PLAIN, **_LIMIT, **_FOREVER, "cleanup.policy": "delete", "message.timestamp.type": "LogAppendTime"}
    return TopicSpec(ids.outbox(agency), 1, settings)


def inbox_spec(agency: str, times: Mapping[str, str] | None = None) -> TopicSpec:
    """An agency's inbox: online readers see every revision, late ones the last. ``times`` overrides settings in tests."""
    settings = {
        **_COMPACT,
        "min.compaction.lag.ms": str(30 * DAY_MS),
        "max.compaction.lag.ms": str(31 * DAY_MS),
        "segment.ms": str(DAY_MS),
        "delete.retention.ms": str(35 * DAY_MS),
        **(times or {}),
    }
    return TopicSpec(ids.inbox(agency), 1, settings)


def exchange_specs(shards: int) -> list[TopicSpec]:
    """The exchange's own topics; ``shards`` (N) is fixed for the life of the exchange."""
    timed = {**_PLAIN, **_LIMIT, "cleanup.policy": "delete"}
    return [
        *(TopicSpec(name, 1, _COMPACT) for name in (*PUBLIC, MEMBERSHIPS)),
        TopicSpec(CURRENT, 1, {**_COMPACT, **_SOON_GONE}),
        TopicSpec(STATE, shards, {**_COMPACT, **_SOON_GONE}),
        TopicSpec(SHARDS, shards, {**_PLAIN, "cleanup.policy": "delete"}),
        TopicSpec(JOURNAL, 1, {**timed, **_FOREVER}),
        TopicSpec(QUARANTINE, 1, {**timed, "retention.ms": str(90 * DAY_MS), "retention.bytes": "-1"}),
    ]


def agency_specs(agency: str) -> list[TopicSpec]:
    """Both topics of an agency."""
    return [outbox_spec(agency), inbox_spec(agency)]


def _read(principal: str, topics: Sequence[str]) -> list[Grant]:
    return [Grant(principal, op, "TOPIC", topic) for topic in topics for op in ("READ", "DESCRIBE")]


def _write(principal: str, topics: Sequence[str]) -> list[Grant]:
    return [Grant(principal, op, "TOPIC", topic) for topic in topics for op in ("WRITE", "DESCRIBE")]


def agency_grants(agency: str, generation: int, *, auditor: bool = False) -> list[Grant]:
    """All that one generation of an agency's certificates may do. Few on purpose; prefixes end in a dot (``DE-BA`` is not ``DE-BAFA``).

    ``auditor``: the agency is of that kind, and reads what an audit needs besides.
    """
    who = ids.principal(agency, generation)
    grants = [*_write(who, [ids.outbox(agency)]), *_read(who, [ids.inbox(agency), *PUBLIC])]
    grants += [Grant(who, op, "GROUP", f"g.{agency}.", prefixed=True) for op in ("READ", "DESCRIBE")]
    grants += [Grant(who, op, "TRANSACTIONAL_ID", f"t.{agency}.", prefixed=True) for op in ("WRITE", "DESCRIBE")]
    if auditor:
        grants += _read(who, [MEMBERSHIPS, JOURNAL, QUARANTINE])
    return grants


def relay_grants() -> list[Grant]:
    """All that relay workers may do: read outboxes, write inboxes and the exchange's own topics, hold shards."""
    grants = [Grant(RELAY, op, "TOPIC", "out.", prefixed=True) for op in ("READ", "DESCRIBE", "DELETE")]
    grants += [Grant(RELAY, op, "TOPIC", "in.", prefixed=True) for op in ("WRITE", "DESCRIBE")]
    grants += _read(RELAY, [*PUBLIC, MEMBERSHIPS, CURRENT, STATE, SHARDS, JOURNAL, QUARANTINE])
    grants += [Grant(RELAY, "WRITE", "TOPIC", name) for name in (CURRENT, STATE, JOURNAL, QUARANTINE)]
    grants += [Grant(RELAY, op, "GROUP", "relay.", prefixed=True) for op in ("READ", "DESCRIBE")]
    grants += [Grant(RELAY, op, "TRANSACTIONAL_ID", "relay-", prefixed=True) for op in ("WRITE", "DESCRIBE")]
    return grants
