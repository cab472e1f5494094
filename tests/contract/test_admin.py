"""What every Admin promises: calls that can be repeated, exactly the grants that were asked for. In memory and on Kafka."""

from __future__ import annotations

import uuid
from collections.abc import AsyncGenerator

import pytest
import pytest_asyncio

from broker.errors import UsageError
from broker.exchange.topology import Grant, Quota, TopicSpec, agency_grants, agency_specs
from broker.ports import Admin
from broker.testing.memory import MemoryAdmin, MemoryExchange
from tests.support.kafka_node import KafkaNode


@pytest_asyncio.fixture
async def admin(node_or_memory: KafkaNode | None) -> AsyncGenerator[Admin]:
    """A registrar's connection, in memory or to Kafka."""
    if node_or_memory is None:
        yield MemoryAdmin(MemoryExchange())
    else:
        async with node_or_memory.admin() as made:
            yield made


def agency() -> str:
    """A new agency's id."""
    return f"SG-{uuid.uuid4().hex[:8].upper()}"


async def test_topics_are_made_once_and_keep_their_partitions(admin: Admin) -> None:
    """Repeating the whole is harmless; another number of partitions is refused."""
    specs = agency_specs(agency())
    for _ in range(2):
        await admin.ensure_topics(specs)
        assert {spec.name for spec in specs} <= await admin.topics()
    with pytest.raises(UsageError, match="partitions"):
        await admin.ensure_topics([TopicSpec(specs[0].name, 3, specs[0].settings)])


async def test_grants_become_exactly_what_was_asked_for(admin: Admin) -> None:
    """Missing ones are added, surplus ones removed, another principal's are left alone; none at all is possible too."""
    one, two = agency(), agency()
    principal = f"{one}#1"
    await admin.ensure_grants(f"{two}#1", agency_grants(two, 1))
    for wanted in (agency_grants(one, 1), agency_grants(one, 1), agency_grants(one, 1)[:2], []):
        await admin.ensure_grants(principal, wanted)
        assert await admin.grants(principal) == frozenset(wanted)
    assert await admin.grants(f"{two}#1") == frozenset(agency_grants(two, 1))


async def test_a_grant_of_another_principal_is_a_mistake(admin: Admin) -> None:
    """Grants for one principal cannot smuggle in one for another."""
    stranger = Grant("SG-OTHER#1", "READ", "TOPIC", "in.SG-OTHER")
    with pytest.raises(UsageError):
        await admin.ensure_grants("SG-CUSTOMS#1", [stranger])
    assert await admin.grants("SG-OTHER#1") == frozenset()


async def test_a_quota_can_be_set_again(admin: Admin) -> None:
    """Setting a quota twice, and another one after it, is no error."""
    principal = f"{agency()}#1"
    for quota in (Quota(), Quota(), Quota(produce_bytes=1_000_000)):
        await admin.ensure_quota(principal, quota)


async def test_closing_twice_is_fine(admin: Admin) -> None:
    """A second close does nothing."""
    await admin.topics()
    await admin.close()
    await admin.close()
