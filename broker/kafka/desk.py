"""Questions to the cluster over a connection of their own: partitions, first and last offsets, trimming.

Kafka answers the requests of one connection in turn, so a question asked behind an idle fetch would wait for that fetch:
up to half a second.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from aiokafka import errors as kafka_errors
from aiokafka.coordinator.protocol import ConsumerProtocol
from aiokafka.protocol.admin import DeleteRecordsRequest, DescribeGroupsRequest
from aiokafka.protocol.commit import OffsetCommitRequest, OffsetFetchRequest
from aiokafka.protocol.coordination import FindCoordinatorRequest
from aiokafka.protocol.metadata import MetadataRequest
from aiokafka.protocol.offset import OffsetRequest

from broker.errors import UsageError
from broker.kafka import errors, wire
from broker.ports import Source

Answer = TypeVar("Answer")

EARLIEST = -2
LATEST = -1
READ_COMMITTED = 1
_GROUP = 0
"""The kind of coordinator that groups have."""
_NOBODY = -1
"""No generation: the group has no members. No time to keep it: as long as the cluster keeps others."""

_STATIC = re.compile(r"(.+)-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)
"""The id of a member: the name that it joined under, and a UUID of its coordinator's. The name itself is told to newer clients alone."""


class _Retry(Exception):
    """The answer was not final: the leader moved, or the metadata is not there yet."""


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic as this identity sees it: the leading node of each partition."""

    leaders: Mapping[int, int]
    denied: bool


class Desk:
    """One connection for questions, opened at the first one and again after a failure. ``patience``: seconds per question."""

    def __init__(self, address: wire.Address, *, patience: float) -> None:
        self._address = address
        self._patience = patience
        self._client: wire.RawClient | None = None
        self._opening = asyncio.Lock()
        self._leaders: dict[Source, int] = {}

    async def open(self) -> wire.RawClient:
        """The connection. Raises ExchangeUnreachable."""
        async with self._opening:
            if self._client is None:
                client = self._address.client()
                try:
                    async with asyncio.timeout(self._patience):
                        await client.bootstrap()
                except (kafka_errors.KafkaError, TimeoutError, OSError) as error:
                    await _close(client)
                    raise errors.unreachable(f"could not reach `{self._address.bootstrap}`", error) from error
                except BaseException:
                    await _close(client)
                    raise
                self._client = client
            return self._client

    async def topics(self, names: Iterable[str]) -> dict[str, Topic]:
        """What is known of each of the topics; one that does not exist has no leaders. Raises ExchangeUnreachable."""
        wanted = sorted(set(names))
        if not wanted:
            return {}
        return await self._patiently(lambda: self._topics(wanted), f"the partitions of `{wanted[0]}`")

    async def offsets(self, asked: Mapping[Source, int]) -> dict[Source, int]:
        """The first offset (EARLIEST), or the last stable one (LATEST), of each source.

        Raises NotAuthorised, UsageError where there is no such topic or partition, ExchangeUnreachable.
        """
        if not asked:
            return {}
        return await self._patiently(lambda: self._offsets(asked), f"the offsets of `{next(iter(asked))[0]}`")

    async def trim(self, source: Source, before: int) -> None:
        """Delete records with lower offsets (DeleteRecords). Raises as :meth:`offsets`, and UsageError beyond the end."""
        await self._patiently(lambda: self._trim(source, before), f"trimming `{source[0]}`")

    async def commit(self, group: str, source: Source, position: int, word: str) -> None:
        """Store a position with a word of the reader's own for a group without members. Raises NotAuthorised, ExchangeUnreachable."""
        await self._patiently(lambda: self._commit(group, source, position, word), f"whether `{group}` was stored")

    async def stored(self, group: str, source: Source) -> tuple[int, str] | None:
        """The position that a group stored, with the reader's own word; None: it stored none. Raises NotAuthorised, ExchangeUnreachable."""
        return await self._patiently(lambda: self._stored(group, source), f"what `{group}` stored")

    async def members(self, group: str) -> list[tuple[str, list[int]]]:
        """The members of a group by the names under which they joined, each with the partitions that it holds. Raises as :meth:`stored`."""
        return await self._patiently(lambda: self._members(group), f"who is in `{group}`")

    async def close(self) -> None:
        """Release the connection. It is opened again if another question is asked."""
        client, self._client = self._client, None
        if client is not None:
            await _close(client)

    async def _patiently(self, ask: Callable[[], Awaitable[Answer]], what: str) -> Answer:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._patience
        pause = 0.02
        while True:
            await self.open()
            try:
                async with asyncio.timeout_at(deadline):
                    return await ask()
            except (_Retry, kafka_errors.KafkaError, TimeoutError, OSError) as error:
                self._leaders.clear()
                if not isinstance(error, _Retry):
                    await self.close()
                if loop.time() + pause >= deadline or not (isinstance(error, _Retry) or errors.is_transient(error)):
                    raise errors.unreachable(f"could not learn {what}", error) from error
            await asyncio.sleep(pause)
            pause = min(pause * 2, 0.5)

    async def _ask(self, request: object, node: int | None = None) -> Any:
        client = await self.open()
        node = client.get_random_node() if node is None else node
        if node is None:
            raise kafka_errors.NoBrokersAvailable
        return await client.send(node, request)

    async def _topics(self, names: list[str]) -> dict[str, Topic]:
        answer = await self._ask(MetadataRequest(names, allow_auto_topic_creation=False))
        found: dict[str, Topic] = {}
        for entry in answer.topics:
            code, name, partitions = entry[0], entry[1], entry[-1]
            leaders = {int(partition[1]): int(partition[2]) for partition in partitions}
            found[name] = Topic(leaders, denied=code == kafka_errors.TopicAuthorizationFailedError.errno)
            if code == kafka_errors.LeaderNotAvailableError.errno or -1 in leaders.values():
                raise _Retry(f"`{name}` has no leader")
        return found

    async def located(self, sources: Iterable[Source]) -> dict[Source, int]:
        """The leading node of each source. Raises as :meth:`offsets`; waits a moment for topics that are being created."""
        sources = list(sources)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + min(wire.SETTLE_SECONDS, self._patience)
        while True:
            topics = await self.topics(topic for topic, _ in sources)
            for topic, partition in sources:
                if topics[topic].denied:
                    raise errors.denied(f"reading about `{topic}`")
                if partition not in topics[topic].leaders:
                    missing = topic, partition
                    break
            else:
                self._leaders |= {source: topics[source[0]].leaders[source[1]] for source in sources}
                return {source: self._leaders[source] for source in sources}
            if loop.time() >= deadline:
                raise errors.no_topic(*missing)
            await asyncio.sleep(0.1)

    async def _offsets(self, asked: Mapping[Source, int]) -> dict[Source, int]:
        leaders = self._leaders if self._leaders.keys() >= asked.keys() else await self.located(asked)
        found: dict[Source, int] = {}
        for node in {leaders[source] for source in asked}:
            by_topic: dict[str, list[tuple[int, int]]] = {}
            for source, which in asked.items():
                if leaders[source] == node:
                    by_topic.setdefault(source[0], []).append((source[1], which))
            answer = await self._ask(OffsetRequest(-1, READ_COMMITTED, list(by_topic.items())), node)
            for topic, partitions in answer.topics:
                for partition, code, _, offset in partitions:
                    _check(code, f"reading about `{topic}`")
                    found[topic, partition] = offset
        return found

    async def _trim(self, source: Source, before: int) -> None:
        node = (await self.located([source]))[source]
        request = DeleteRecordsRequest([(source[0], [(source[1], before)])], int(self._patience * 1000))
        answer = await self._ask(request, node)
        for _, partitions, *_ in answer.topics:
            for _, _, code, *_ in partitions:
                if code == kafka_errors.OffsetOutOfRangeError.errno:
                    raise UsageError(f"`{source[0]}`/{source[1]} ends before {before}", advice="trim no further than was read")
                _check(code, f"trimming `{source[0]}`")

    async def _coordinator(self, group: str) -> int:
        found = await self._ask(FindCoordinatorRequest(group, _GROUP))
        _check(found.error_code, f"the group `{group}`")
        return found.coordinator_id

    async def _stored(self, group: str, source: Source) -> tuple[int, str] | None:
        node, what = await self._coordinator(group), f"reading what `{group}` stored"
        answer = await self._ask(OffsetFetchRequest(group, [(source[0], [source[1]])]), node)
        _check(getattr(answer, "error_code", 0), what)
        for _, partitions in answer.topics:
            for _, offset, word, code in partitions:
                _check(code, what)
                if offset >= 0:
                    return offset, word or ""
        return None

    async def _members(self, group: str) -> list[tuple[str, list[int]]]:
        answer = await self._ask(DescribeGroupsRequest([group]), await self._coordinator(group))
        found: list[tuple[str, list[int]]] = []
        for code, _, state, _, _, members, *_ in answer.groups:
            _check(code, f"reading who is in `{group}`")
            for member_id, client_id, _, _, held in members if state == "Stable" else ():
                named = _STATIC.fullmatch(member_id)
                partitions = ConsumerProtocol.ASSIGNMENT.decode(held).partitions() if held else []
                found.append((named[1] if named else client_id, [at.partition for at in partitions]))
        return found

    async def _commit(self, group: str, source: Source, position: int, word: str) -> None:
        node = await self._coordinator(group)
        request = OffsetCommitRequest(group, _NOBODY, "", _NOBODY, [(source[0], [(source[1], position, word)])])
        answer = await self._ask(request, node)
        for _, partitions in answer.topics:
            for _, code in partitions:
                _check(code, f"storing a position of `{group}`")


def _check(code: int, what: str) -> None:
    if code == 0:
        return
    error = kafka_errors.for_code(code)
    if issubclass(error, wire.DENIED):
        raise errors.denied(what)
    if error.retriable or error is kafka_errors.UnknownTopicOrPartitionError:
        raise _Retry(str(error()))
    raise error


async def _close(client: wire.RawClient) -> None:
    closing = asyncio.ensure_future(client.close())
    await asyncio.wait([closing], timeout=1.0)
    if not closing.done():
        closing.cancel()
    elif not closing.cancelled():
        closing.exception()
