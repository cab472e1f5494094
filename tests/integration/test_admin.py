"""The registrar's hands on a real cluster: topics, access rules, quotas; every call can be repeated."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, cast

import confluent_kafka.admin
import pytest
from confluent_kafka import Producer

from broker import ids
from broker.errors import ExchangeUnreachable, NotAuthorised, UsageError
from broker.exchange.topology import Grant, Quota, TopicSpec, agency_grants, agency_specs, relay_grants
from broker.kafka.access import naming
from broker.kafka.admin import KafkaAdmin
from broker.kafka.node_folder import HOST, find_free_ports
from broker.kafka.quota import quota_keys, read_quota
from broker.kafka.tls import librdkafka_settings
from tests.support.eventually import eventually
from tests.support.kafka_node import KafkaNode

kafka = cast(Any, confluent_kafka.admin)


def bare_client(node: KafkaNode) -> Any:
    """confluent-kafka itself, for what another administrator might do behind our back."""
    return kafka.AdminClient({"bootstrap.servers": node.bootstrap, **librdkafka_settings(node.tls_for("registrar"))})


async def configuration(node: KafkaNode, topic: str) -> dict[str, str]:
    """A topic's settings as Kafka reports them."""
    resource = kafka.ConfigResource(kafka.ConfigResource.Type.TOPIC, topic)
    client = bare_client(node)
    found = await asyncio.wrap_future(client.describe_configs([resource])[resource])
    return {key: entry.value for key, entry in found.items()}


async def set_behind_our_back(node: KafkaNode, topic: str, settings: dict[str, str]) -> None:
    """Change a topic's settings without the registrar."""
    entries = [kafka.ConfigEntry(key, value, incremental_operation=kafka.AlterConfigOpType.SET) for key, value in settings.items()]
    resource = kafka.ConfigResource(kafka.ConfigResource.Type.TOPIC, topic, incremental_configs=entries)
    client = bare_client(node)
    await asyncio.wrap_future(client.incremental_alter_configs([resource])[resource])


async def test_topics_are_created_as_specified_and_only_once(kafka_node: KafkaNode) -> None:
    """A half-done admission is repeated whole: each topic has its settings, and the second call finds nothing to do."""
    specs = agency_specs("NO-CUSTOMS")
    async with kafka_node.admin() as admin:
        await admin.ensure_topics(specs)
        first = {spec.name: await configuration(kafka_node, spec.name) for spec in specs}
        await admin.ensure_topics(specs)
        assert {spec.name for spec in specs} <= await admin.topics()
    for spec in specs:
        assert spec.settings.items() <= first[spec.name].items()
        assert await configuration(kafka_node, spec.name) == first[spec.name]


async def test_a_changed_setting_is_set_back_and_others_are_left_alone(kafka_node: KafkaNode) -> None:
    """What differs from the specification is repaired; a setting that the specification does not name stays as somebody set it."""
    spec = TopicSpec("drift", 1, {"retention.ms": "3600000"})
    async with kafka_node.admin() as admin:
        await admin.ensure_topics([spec])
        await set_behind_our_back(kafka_node, "drift", {"retention.ms": "1000", "segment.bytes": "2097152"})

        async def drifted() -> bool:
            return (await configuration(kafka_node, "drift"))["retention.ms"] == "1000"

        await eventually(drifted)
        await admin.ensure_topics([spec])
    found = await configuration(kafka_node, "drift")
    assert (found["retention.ms"], found["segment.bytes"]) == ("3600000", "2097152")


async def test_partitions_are_never_changed(kafka_node: KafkaNode) -> None:
    """Another partition count is refused in words, both ways: records of a key would change their place."""
    async with kafka_node.admin() as admin:
        await admin.ensure_topics([TopicSpec("fixed", 2)])
        for partitions in (1, 3):
            with pytest.raises(UsageError, match=rf"`fixed` has 2 partitions and must have {partitions}"):
                await admin.ensure_topics([TopicSpec("fixed", partitions)])


async def test_a_setting_that_kafka_does_not_know_is_a_usage_error(kafka_node: KafkaNode) -> None:
    """A misspelt setting is told to the caller as the caller's mistake, not as an unreachable exchange."""
    async with kafka_node.admin() as admin:
        with pytest.raises(UsageError, match="setting"):
            await admin.ensure_topics([TopicSpec("misspelt", 1, {"no.such.setting": "1"})])
        assert "misspelt" not in await admin.topics()


async def test_two_registrars_admit_at_once(kafka_node: KafkaNode) -> None:
    """Both succeed: the one that finds the topic made in the meantime checks it like any other."""
    specs = [TopicSpec(f"race.{number}", 1, {"retention.ms": "-1"}) for number in range(20)]
    async with kafka_node.admin() as one, kafka_node.admin() as other:
        await asyncio.gather(one.ensure_topics(specs), other.ensure_topics(specs))
        assert {spec.name for spec in specs} <= await one.topics()


@pytest.mark.parametrize(
    ("principal", "grants"), [("NO-CUSTOMS#1", agency_grants("NO-CUSTOMS", 1)), ("relay", relay_grants())], ids=["agency", "relay"]
)
async def test_grants_are_exactly_those_given(kafka_node: KafkaNode, principal: str, grants: Sequence[Grant]) -> None:
    """Every grant of the topology survives the way to Kafka and back, a repetition changes nothing, and an empty list removes all."""
    async with kafka_node.admin() as admin:
        for _ in range(2):
            await admin.ensure_grants(principal, grants)
            assert await admin.grants(principal) == frozenset(grants)
        await admin.ensure_grants(principal, [])
        assert await admin.grants(principal) == frozenset()


async def test_surplus_rules_are_removed_and_other_principals_keep_theirs(kafka_node: KafkaNode) -> None:
    """A rule that somebody added, a denial, a rule for one host: none is left; the next generation's rules are not touched."""
    who, successor = "DK-CUSTOMS#1", "DK-CUSTOMS#2"
    async with kafka_node.admin() as admin:
        await admin.ensure_grants(who, [Grant(who, "READ", "TOPIC", "exchange.journal")])
        await admin.ensure_grants(successor, agency_grants("DK-CUSTOMS", 2))
        extra = [
            kafka.AclBinding("topic", "out.", "prefixed", f"User:{who}", "*", "read", "allow"),
            kafka.AclBinding("topic", "in.DK-CUSTOMS", "literal", f"User:{who}", "*", "read", "deny"),
            kafka.AclBinding("topic", "in.DK-CUSTOMS", "literal", f"User:{who}", "10.0.0.1", "read", "allow"),
        ]
        client = bare_client(kafka_node)
        await asyncio.gather(*(asyncio.wrap_future(made) for made in client.create_acls(extra).values()))
        await admin.ensure_grants(who, agency_grants("DK-CUSTOMS", 1))
        assert await admin.grants(who) == frozenset(agency_grants("DK-CUSTOMS", 1))
        left = await asyncio.wrap_future(client.describe_acls(naming(who)))
        assert len(left) == len(agency_grants("DK-CUSTOMS", 1))
        assert await admin.grants(successor) == frozenset(agency_grants("DK-CUSTOMS", 2))


async def test_a_grant_of_another_principal_is_refused(kafka_node: KafkaNode) -> None:
    """A slip in the caller's list may not widen somebody else's rights."""
    async with kafka_node.admin() as admin:
        with pytest.raises(UsageError, match="another principal"):
            await admin.ensure_grants("FI-CUSTOMS#1", agency_grants("SE-CUSTOMS", 1))


async def test_a_quota_is_set_for_a_principal_with_its_generation_and_is_enforced(kafka_node: KafkaNode) -> None:
    """The quota reads back, another value replaces it, and Kafka slows down the writer whose name holds a ``#``."""
    who, topic = "IS-CUSTOMS#1", "out.IS-CUSTOMS"
    registrar = kafka_node.tls_for("registrar")
    await kafka_node.prepare(agency_specs("IS-CUSTOMS"), agency_grants("IS-CUSTOMS", 1))
    async with kafka_node.admin() as admin:
        for quota in (Quota(), Quota(produce_bytes=1000)):
            await admin.ensure_quota(who, quota)
            assert await read_quota(kafka_node.bootstrap, registrar, who) == quota_keys(quota)
    assert await read_quota(kafka_node.bootstrap, registrar, "IS-CUSTOMS#2") == {}

    throttled: list[object] = []
    settings: dict[str, Any] = {
        "bootstrap.servers": kafka_node.bootstrap,
        "throttle_cb": throttled.append,
        **librdkafka_settings(kafka_node.tls_for(who)),
    }
    producer = Producer(settings)
    try:

        def send_until_throttled() -> bool:
            producer.produce(topic, b"x" * 20_000)
            producer.poll(0.05)
            return bool(throttled)

        await eventually(lambda: asyncio.to_thread(send_until_throttled))
    finally:
        producer.purge()
        await asyncio.to_thread(producer.flush, 5)


async def test_an_agency_may_administer_nothing(kafka_node: KafkaNode) -> None:
    """An agency's certificate, with all its grants, cannot make topics, grant rights or lift its quota."""
    await kafka_node.prepare(agency_specs("PL-CUSTOMS"), agency_grants("PL-CUSTOMS", 1))
    who = "PL-CUSTOMS#1"
    async with kafka_node.admin(who) as admin:
        with pytest.raises(NotAuthorised):
            await admin.ensure_topics([TopicSpec("mine")])
        with pytest.raises(NotAuthorised):
            await admin.ensure_grants(who, [Grant(who, "READ", "TOPIC", "in.", prefixed=True)])
        with pytest.raises(NotAuthorised):
            await admin.ensure_quota(who, Quota(produce_bytes=10**12))


async def test_groups_are_asked_about_without_librdkafka(kafka_node: KafkaNode, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the operator's pages ask every few seconds, also while nobody is there, opens no client of librdkafka, which ends the whole
    process at the node's return where it was asked about a group meanwhile; and it fails within its time."""

    def opened(*_: object, **__: object) -> None:
        pytest.fail("a client of librdkafka was opened")

    monkeypatch.setattr(confluent_kafka.admin, "AdminClient", opened)
    port, _ = find_free_ports()
    asked = {ids.inbox_group("PL-CUSTOMS"): (ids.inbox("PL-CUSTOMS"), 0)}
    away = KafkaAdmin(f"{HOST}:{port}", kafka_node.tls_for("registrar"), timeout=0.5)
    for call in (away.workers(), away.told_read(asked)):
        with pytest.raises(ExchangeUnreachable):
            await call
    await away.close()
    async with kafka_node.admin("registrar") as there:
        assert await there.workers() == {}
        assert await there.told_read(asked) == {}


async def test_nobody_there_is_said_as_unreachable(kafka_node: KafkaNode) -> None:
    """Every kind of call fails within its time with the error that the CLI turns into exit code 3."""
    port, _ = find_free_ports()
    admin = KafkaAdmin(f"{HOST}:{port}", kafka_node.tls_for("registrar"), timeout=0.5)
    try:
        for call in (admin.topics(), admin.cluster_id(), admin.ensure_grants("relay", []), admin.ensure_quota("relay", Quota())):
            with pytest.raises(ExchangeUnreachable):
                await call
    finally:
        await admin.close()
        await admin.close()
