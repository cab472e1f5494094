"""The registrar's hands on a real cluster: topics, access rules, quotas; every call can be repeated."""

from __future__ import annotations

import pytest

from broker.exchange.topology import Grant, Quota, TopicSpec, agency_grants, agency_specs, exchange_specs
from tests.support.kafka_node import KafkaNode

pytestmark = pytest.mark.kafka


async def test_topics_are_created_once(kafka_node: KafkaNode) -> None:
    """A half-done admission is repeated whole: the second call finds everything as it should be and changes nothing."""
    specs = agency_specs("NO-CUSTOMS")
    async with kafka_node.admin() as admin:
        await admin.ensure_topics(specs)
        await admin.ensure_topics(specs)
        assert {"out.NO-CUSTOMS", "in.NO-CUSTOMS"} <= await admin.topics()
