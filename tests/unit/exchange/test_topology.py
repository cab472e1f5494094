"""Topics and rights as plain values: the coarse fence around each agency."""

from __future__ import annotations

from broker.exchange.topology import (
    CURRENT,
    JOURNAL,
    KAFKA_LIMIT,
    MEMBERSHIPS,
    MESSAGE_LIMIT,
    PUBLIC,
    QUARANTINE,
    SHARDS,
    STATE,
    Grant,
    agency_grants,
    agency_specs,
    exchange_specs,
    inbox_spec,
    relay_grants,
)


def test_agency_writes_its_outbox_and_nothing_else() -> None:
    """The only topic that an agency may write is its own outbox; it reads its inbox and the public topics."""
    grants = agency_grants("DE-BAFA", 3)
    assert {grant.principal for grant in grants} == {"DE-BAFA#3"}
    assert {grant.name for grant in grants if grant.operation == "WRITE" and grant.resource == "TOPIC"} == {"out.DE-BAFA"}
    assert {grant.name for grant in grants if grant.operation == "READ" and grant.resource == "TOPIC"} == {"in.DE-BAFA", *PUBLIC}


def test_prefixes_end_in_a_dot() -> None:
    """A right on a prefix never covers another agency whose id begins alike."""
    prefixed = [grant for grant in agency_grants("DE-B", 1) if grant.prefixed]
    assert prefixed
    assert all(grant.name.endswith("DE-B.") for grant in prefixed)
    assert not any(grant.prefixed and grant.resource == "TOPIC" for grant in agency_grants("DE-B", 1))


def test_auditor_reads_the_evidence() -> None:
    """An auditor's rights include journal, quarantine and memberships; nobody else's do."""
    auditor = {grant.name for grant in agency_grants("XX-AUDIT1", 1, auditor=True)}
    assert {JOURNAL, QUARANTINE, MEMBERSHIPS} <= auditor
    assert not {JOURNAL, QUARANTINE, MEMBERSHIPS, STATE, CURRENT} & {grant.name for grant in agency_grants("SG-CUSTOMS", 1)}


def test_relay_writes_no_public_topic() -> None:
    """The relay cannot alter directory, policy or schemas, nor an outbox."""
    writes = {grant.name for grant in relay_grants() if grant.operation == "WRITE"}
    assert writes == {"in.", CURRENT, STATE, JOURNAL, QUARANTINE, "relay-"}
    assert Grant("relay", "READ", "TOPIC", "out.", prefixed=True) in relay_grants()


def test_outbox_is_never_cleaned_by_kafka() -> None:
    """Kafka deletes nothing from an outbox by age or size, stamps records itself, and takes more than the relay accepts."""
    outbox = agency_specs("SG-CUSTOMS")[0]
    assert outbox.name == "out.SG-CUSTOMS"
    assert (outbox.settings["retention.ms"], outbox.settings["retention.bytes"]) == ("-1", "-1")
    assert outbox.settings["message.timestamp.type"] == "LogAppendTime"
    assert int(outbox.settings["max.message.bytes"]) > KAFKA_LIMIT > MESSAGE_LIMIT


def test_inbox_is_compacted_and_its_times_can_be_overridden() -> None:
    """Inboxes keep every revision for 30 days and the last for ever; tests shorten the times."""
    assert inbox_spec("SG-CUSTOMS").settings["cleanup.policy"] == "compact"
    assert inbox_spec("SG-CUSTOMS").settings["min.compaction.lag.ms"] == str(30 * 86_400_000)
    assert inbox_spec("SG-CUSTOMS", {"min.compaction.lag.ms": "0"}).settings["min.compaction.lag.ms"] == "0"


def test_shards_fix_the_partitions() -> None:
    """State and shards have one partition a shard, everything else one; nothing is compressed."""
    specs = {spec.name: spec for spec in exchange_specs(7)}
    assert (specs[STATE].partitions, specs[SHARDS].partitions) == (7, 7)
    assert {spec.partitions for name, spec in specs.items() if name not in (STATE, SHARDS)} == {1}
    assert all(spec.settings["compression.type"] == "uncompressed" for spec in specs.values())
