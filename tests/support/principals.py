"""What one certificate may do at Kafka: an open connection, and single requests over it with Kafka's own answer to each.

Our clients refuse much before Kafka is asked (they look at metadata first); these requests are sent whatever is known.
"""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from aiokafka import errors as kafka_errors
from aiokafka.protocol.admin import (
    AlterConfigsRequest,
    CreateAclsRequest,
    CreatePartitionsRequest,
    CreateTopicsRequest,
    DeleteGroupsRequest,
    DeleteRecordsRequest,
    DeleteTopicsRequest,
    DescribeAclsRequest,
    DescribeClientQuotasRequest,
    DescribeConfigsRequest,
    ListGroupsRequest,
)
from aiokafka.protocol.commit import OffsetCommitRequest, OffsetFetchRequest
from aiokafka.protocol.coordination import FindCoordinatorRequest
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.protocol.group import JoinGroupRequest, LeaveGroupRequest
from aiokafka.protocol.metadata import MetadataRequest
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.protocol.transaction import InitProducerIdRequest
from aiokafka.record.default_records import DefaultRecordBatchBuilder

from broker.exchange.topology import DIRECTORY
from broker.kafka import wire
from broker.kafka.quota import AlterClientQuotasRequest
from tests.support.eventually import eventually
from tests.support.matrix import NO, YES

DENIED: Final = frozenset({29, 30, 31, 53, 73})
"""Authorisation failed: of a topic, a group, the cluster, a transactional id; or nobody may delete topics."""
NOT_YET: Final = frozenset({14, 15, 16, 51})
"""The coordinator is loading, not there yet, elsewhere, or busy: asked again."""
MEMBER_ID_REQUIRED: Final = 79
"""Kafka's first answer to whoever may join a group."""

TOPIC, NODE = 2, 4
"""Resource types of settings; the first also of access rules."""
SET_AT: Final = {TOPIC: 1, NODE: 4}
"""Where a setting comes from: from this topic, from this node's file; all others are defaults."""
ANYTHING, ALLOW, READ = 1, 3, 3
"""Of access rules: the filter that fits all, the permission, the operation."""


@dataclass(frozen=True)
class Stored:
    """Kafka's answer to a record: error code, offset, and how long the connection is now held back, in milliseconds."""

    code: int
    offset: int
    throttle_ms: int


def batch(value: bytes | None, key: bytes = b"probe") -> bytes:
    """A record batch of one record. Without a value it removes a key that nobody uses: every reader passes it over."""
    builder = DefaultRecordBatchBuilder(
        magic=2, compression_type=0, is_transactional=0, producer_id=-1, producer_epoch=-1, base_sequence=-1, batch_size=1 << 20
    )
    builder.append(0, None, key, value, [])
    return bytes(builder.build())


class Caller:
    """A connection that Kafka accepted. One request at a time."""

    def __init__(self, client: wire.RawClient, node: int) -> None:
        self._client, self._node = client, node

    @classmethod
    async def opened(cls, bootstrap: str, tls: ssl.SSLContext | None) -> Caller | None:
        """A connection that has had an answer; None where Kafka takes none with this certificate. ``tls`` None: plain text."""
        client = wire.Address(bootstrap, tls, "caller").client()
        try:
            await client.bootstrap()
        except kafka_errors.KafkaConnectionError:
            await client.close()
            return None
        node = client.get_random_node()
        assert node is not None
        return cls(client, node)

    async def close(self) -> None:
        """Close the connection."""
        await self._client.close()

    async def ask(self, request: object) -> Any:
        """One request, one answer."""
        return await self._client.send(self._node, request)

    async def produce(self, topic: str, value: bytes | None, *, partition: int = 0) -> Stored:
        """Write one record."""
        answer = await self.ask(ProduceRequest(None, -1, 10_000, [(topic, [(partition, batch(value))])]))
        _, code, offset, *_ = answer.topics[0][1][0]
        return Stored(code, offset, answer.throttle_time_ms)

    async def visible(self) -> frozenset[str]:
        """All topics that Kafka shows to this certificate, but not Kafka's own."""
        answer = await self.ask(MetadataRequest(None))
        return frozenset(name for _, name, _, _ in answer.topics if not name.startswith("__"))

    async def settings(self, kind: int, name: str) -> dict[str, str | None]:
        """What was set for just this topic, or in the file of this node; None where Kafka keeps the value to itself."""
        answer = await self.ask(DescribeConfigsRequest([(kind, name, None)]))
        return {key: value for key, value, _, source, *_ in answer.resources[0][4] if source == SET_AT[kind]}

    async def partitions(self, topic: str) -> int:
        """How many partitions a topic has."""
        return len((await self.ask(MetadataRequest([topic], False))).topics[0][3])

    async def groups(self) -> frozenset[str]:
        """All groups that Kafka shows to this certificate."""
        return frozenset(name for name, *_ in (await self.ask(ListGroupsRequest())).groups)


Act = Callable[[Caller, str], Awaitable[int]]
"""Tries something on a thing of this name; returns Kafka's error code."""


async def write(caller: Caller, topic: str) -> int:
    """Append a record."""
    return (await caller.produce(topic, None)).code


async def read(caller: Caller, topic: str) -> int:
    """Fetch from the beginning."""
    answer = await caller.ask(FetchRequest(0, 0, 1 << 20, 0, [(topic, [(0, 0, 1 << 20)])]))
    return answer.topics[0][1][0][1]


async def describe(caller: Caller, topic: str) -> int:
    """Ask for the topic's metadata."""
    return (await caller.ask(MetadataRequest([topic], False))).topics[0][0]


async def trim(caller: Caller, topic: str) -> int:
    """Delete the records before the first one."""
    answer = await caller.ask(DeleteRecordsRequest([(topic, [(0, 0)])], 10_000))
    return answer.topics[0][1][0][2]


async def configure(caller: Caller, topic: str) -> int:
    """Set the retention to a minute (checked only, not done)."""
    answer = await caller.ask(AlterConfigsRequest([(TOPIC, topic, [("retention.ms", "60000")])], True))
    return answer.resources[0][0]


async def show_settings(caller: Caller, topic: str) -> int:
    """Read the settings."""
    return (await caller.ask(DescribeConfigsRequest([(TOPIC, topic, None)]))).resources[0][0]


async def widen(caller: Caller, topic: str) -> int:
    """Add partitions (checked only, not done)."""
    wanted: Any = [(topic, (99, None))]
    return (await caller.ask(CreatePartitionsRequest(wanted, 10_000, True))).topic_errors[0][1]


async def delete(caller: Caller, topic: str) -> int:
    """Delete the topic."""
    return (await caller.ask(DeleteTopicsRequest([topic], 10_000))).topic_error_codes[0][1]


async def create(caller: Caller, topic: str) -> int:
    """Create the topic (checked only, not done)."""
    wanted: Any = [(topic, 1, 1, [], [])]
    return (await caller.ask(CreateTopicsRequest(wanted, 10_000, True))).topic_errors[0][1]


async def join(caller: Caller, group: str) -> int:
    """Join the group as far as getting a member's id, and leave it."""
    answer = await caller.ask(JoinGroupRequest(group, 6000, 6000, "", "", "consumer", [("range", b"\0" * 10)]))
    if answer.error_code != MEMBER_ID_REQUIRED:
        return answer.error_code
    return (await caller.ask(LeaveGroupRequest(group, answer.member_id))).error_code


async def peek(caller: Caller, group: str) -> int:
    """Read the positions the group keeps."""
    return (await caller.ask(OffsetFetchRequest(group, None))).error_code


async def place(caller: Caller, group: str) -> int:
    """Store a position for the group, in a topic that every member may read."""
    answer = await caller.ask(OffsetCommitRequest(group, -1, "", -1, [(DIRECTORY, [(0, 0, "")])]))
    return answer.topics[0][1][0][1]


async def disband(caller: Caller, group: str) -> int:
    """Delete the group."""
    return (await caller.ask(DeleteGroupsRequest([group]))).results[0][1]


async def claim(caller: Caller, name: str) -> int:
    """Open the transactional id, which fences whoever uses it."""
    return (await caller.ask(InitProducerIdRequest(name, 10_000))).error_code


async def read_rules(caller: Caller, _cluster: str) -> int:
    """Read all access rules."""
    whatever: Any = None
    return (await caller.ask(DescribeAclsRequest(ANYTHING, whatever, ANYTHING, whatever, whatever, ANYTHING, ANYTHING))).error_code


async def add_rule(caller: Caller, _cluster: str) -> int:
    """Let somebody who is nobody read a topic that does not exist."""
    answer = await caller.ask(CreateAclsRequest(TOPIC, "in.nowhere", READ, "User:nobody", "*", READ, ALLOW))
    return answer.creation_responses[0][0]


async def set_quota(caller: Caller, _cluster: str) -> int:
    """Give somebody who is nobody a quota."""
    return (await caller.ask(AlterClientQuotasRequest("nobody", {"producer_byte_rate": 1e9}))).entries[0][0]


async def read_quotas(caller: Caller, _cluster: str) -> int:
    """Read everybody's quotas."""
    everybody: Any = [("user", 2, None)]
    return (await caller.ask(DescribeClientQuotasRequest(everybody, False))).error_code


async def configure_node(caller: Caller, _cluster: str) -> int:
    """Change a setting of the node (checked only, not done)."""
    return (await caller.ask(AlterConfigsRequest([(NODE, "1", [("log.cleaner.threads", "1")])], True))).resources[0][0]


async def show_node(caller: Caller, _cluster: str) -> int:
    """Read the node's settings."""
    return (await caller.ask(DescribeConfigsRequest([(NODE, "1", None)]))).resources[0][0]


async def produce_once(caller: Caller, _cluster: str) -> int:
    """Get a producer id, which idempotent writing needs."""
    no_name: Any = None
    return (await caller.ask(InitProducerIdRequest(no_name, 10_000))).error_code


ON_TOPICS: Final[Mapping[str, Act]] = {
    "w": write, "r": read, "d": describe, "t": trim, "s": show_settings, "c": configure, "p": widen, "X": delete,
}  # fmt: skip
ON_GROUPS: Final[Mapping[str, Act]] = {"m": place, "o": peek, "j": join, "D": disband}
ON_NAMES: Final[Mapping[str, Act]] = {"i": claim}
ON_CLUSTER: Final[Mapping[str, Act]] = {
    "n": produce_once, "a": read_rules, "A": add_rule, "q": read_quotas, "Q": set_quota, "k": show_node, "K": configure_node,
}  # fmt: skip


async def coordinators_ready(caller: Caller) -> None:
    """Wait until Kafka has made the topics that groups and transactions need. ``caller`` may do everything."""

    async def ready() -> bool:
        answers = [await caller.ask(FindCoordinatorRequest("ready", kind)) for kind in (0, 1)]
        return all(answer.error_code == 0 for answer in answers)

    await eventually(ready, 30, what="the coordinators")


async def attempt(act: Act, caller: Caller, name: str) -> str:
    """Try it: YES, NO where the certificate may not, else the name of Kafka's error."""

    async def settled() -> tuple[int] | None:
        code = await act(caller, name)
        return None if code in NOT_YET else (code,)

    answer = await eventually(settled, what=name)
    assert answer is not None
    code = answer[0]
    return YES if code == 0 else NO if code in DENIED else f"{kafka_errors.for_code(code).__name__} ({code})"
