"""The registrar's hands: topics, access rules and quotas brought to a given state (the ``Admin`` port over confluent-kafka).

Every call reads first, changes what differs, and reads back until the cluster shows it: brokers learn of a change a little after
the controller has it, and a caller that goes on too early would see its own admission fail.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any, Final, TypeVar

import confluent_kafka.admin
from confluent_kafka import KafkaError, KafkaException

from broker.errors import BrokerError, ExchangeUnreachable, NotAuthorised, UsageError
from broker.exchange.topology import Grant, Quota, TopicSpec
from broker.kafka import wire
from broker.kafka.access import as_filter, binding_of, grant_of, is_plain, naming
from broker.kafka.claims import RELAY_GROUP
from broker.kafka.desk import Desk
from broker.kafka.quota import quota_keys, read_quota, set_quota
from broker.kafka.tls import TlsFiles, librdkafka_settings, ssl_context
from broker.ports import Source, Told

_kafka: Final[Any] = confluent_kafka.admin
"""Its classes are re-exports that no type checker sees."""
_BATCH: Final = 200
"""Topics per request: a thousand agencies are two thousand topics, and one request must end within its time."""
_DENIED: Final = frozenset(
    {
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
    }
)
_WRONG: Final = frozenset(
    {KafkaError.INVALID_CONFIG, KafkaError.TOPIC_EXCEPTION, KafkaError.POLICY_VIOLATION, KafkaError.INVALID_REPLICATION_FACTOR}
)
_GROUPS_AT_ONCE: Final = 50
"""Most groups that are asked about at a time: each is a question of its own."""
_TIME: Final = re.compile(r"[0-9]{1,15}", re.ASCII)
_Value = TypeVar("_Value")
_log = logging.getLogger("librdkafka")


class KafkaAdmin:
    """Administers the cluster at ``bootstrap`` under one certificate, usually the registrar's.

    ``timeout`` (seconds) bounds each step. ``replicas`` is the replication factor of new topics, -1 for the cluster's default.
    """

    def __init__(self, bootstrap: str, files: TlsFiles, *, timeout: float = 20.0, replicas: int = -1) -> None:
        self._bootstrap = bootstrap
        self._files = files
        self._timeout = timeout
        self._replicas = replicas
        self._client: Any = None
        self._opening = asyncio.Lock()
        # What is asked again and again goes another way: librdkafka ends the process where it asked about a group while the node was away
        # (an assertion: its issue 4605).
        self._desk = Desk(wire.Address(bootstrap, lambda: ssl_context(files), "registrar"), patience=timeout)

    async def cluster_id(self) -> str:
        """The cluster's id, as soon as a broker answers this certificate. Raises ExchangeUnreachable."""
        client = await self._connected()
        answer = await self._settled(client.describe_cluster(request_timeout=self._timeout))
        return str(answer.cluster_id)

    async def ensure_topics(self, specs: Sequence[TopicSpec]) -> None:
        """Create what is missing and set what differs; when it returns, every topic has a leader and can be used.

        Raises UsageError where a topic has another number of partitions (Kafka cannot take partitions away, and keys would move)
        or a setting that Kafka does not know; ExchangeUnreachable; NotAuthorised.
        """
        wanted = {spec.name: spec for spec in specs}
        present = await self._metadata()
        for name in wanted.keys() & present.keys():
            self._check_partitions(wanted[name], present[name])
        missing = [spec for name, spec in wanted.items() if name not in present]
        for start in range(0, len(missing), _BATCH):
            await self._create(missing[start : start + _BATCH])
        await self._align([spec for name, spec in wanted.items() if name in present])
        await self._until(lambda: self._usable(missing), "the new topics did not become usable")

    async def topics(self) -> frozenset[str]:
        """Names of all topics that are not Kafka's own (those begin with two underscores)."""
        return frozenset(name for name in await self._metadata() if not name.startswith("__"))

    async def ensure_grants(self, principal: str, grants: Sequence[Grant]) -> None:
        """Make exactly these the grants of the principal: removals first, additions after, then read back and compared.

        Denials and rules for single hosts are no grants and are removed too. Raises UsageError where a grant names another principal.
        """
        if any(grant.principal != principal for grant in grants):
            raise UsageError(f"a grant of another principal was given for `{principal}`")
        client = await self._connected()
        wanted = {binding_of(grant) for grant in grants}
        present = await self._bindings(principal)
        if surplus := present - wanted:
            await self._all(client.delete_acls([as_filter(binding) for binding in surplus], request_timeout=self._timeout).values())
        if missing := wanted - present:
            await self._all(client.create_acls(list(missing), request_timeout=self._timeout).values())

        async def agrees() -> bool:
            return await self._bindings(principal) == wanted

        await self._until(agrees, f"the access rules of `{principal}` did not become what was asked for")

    async def grants(self, principal: str) -> frozenset[Grant]:
        """What the principal may do now (allowing rules that hold for every host)."""
        return frozenset(grant_of(binding) for binding in await self._bindings(principal) if is_plain(binding))

    async def ensure_quota(self, principal: str, quota: Quota) -> None:
        """Set the principal's quota; Kafka enforces it when this returns."""
        await set_quota(self._bootstrap, self._files, principal, quota)

        async def agrees() -> bool:
            return await read_quota(self._bootstrap, self._files, principal) == quota_keys(quota)

        await self._until(agrees, f"the quota of `{principal}` did not become what was asked for")

    async def told_read(self, groups: Mapping[str, Source]) -> Mapping[str, Told]:
        """See :class:`broker.ports.Admin`."""
        found, turn = dict[str, Told](), asyncio.Semaphore(_GROUPS_AT_ONCE)

        async def ask(group: str, source: Source) -> None:
            async with turn:
                stored = await self._desk.stored(group, source)
            if stored is not None and _TIME.fullmatch(stored[1]):
                found[group] = Told(stored[0], int(stored[1]))

        await asyncio.gather(*(ask(group, source) for group, source in groups.items()))
        return found

    async def workers(self) -> Mapping[int, str]:
        """See :class:`broker.ports.Admin`. While the group shares out its shards anew nobody holds any."""
        return {partition: name for name, held in await self._desk.members(RELAY_GROUP) for partition in held}

    async def close(self) -> None:
        """Release the connection. Safe to call twice."""
        await self._desk.close()
        client, self._client = self._client, None
        if client is not None:
            # librdkafka joins its threads when the last reference goes: not on the event loop.
            holder = [client]
            del client
            await asyncio.to_thread(holder.clear)

    async def _connected(self) -> Any:
        async with self._opening:
            if self._client is None:
                settings: dict[str, Any] = {
                    "bootstrap.servers": self._bootstrap,
                    "client.id": "registrar",
                    "reconnect.backoff.max.ms": 500,
                    **librdkafka_settings(self._files),
                }
                try:
                    self._client = await asyncio.to_thread(lambda: _kafka.AdminClient(settings, logger=_log))
                except KafkaException as error:
                    raise _mapped(error) from error
            return self._client

    async def _metadata(self) -> Mapping[str, Any]:
        client = await self._connected()
        try:
            answer = await asyncio.to_thread(lambda: client.list_topics(timeout=self._timeout))
        except KafkaException as error:
            raise _mapped(error) from error
        return answer.topics

    def _check_partitions(self, spec: TopicSpec, found: Any) -> None:
        if len(found.partitions) not in (0, spec.partitions):
            raise UsageError(
                f"the topic `{spec.name}` has {len(found.partitions)} partitions and must have {spec.partitions}",
                advice="the number is fixed when an exchange is created: use the one it was created with",
            )

    async def _create(self, specs: Sequence[TopicSpec]) -> None:
        client = await self._connected()
        new = [
            _kafka.NewTopic(spec.name, num_partitions=spec.partitions, replication_factor=self._replicas, config=dict(spec.settings))
            for spec in specs
        ]
        futures = client.create_topics(new, operation_timeout=self._timeout, request_timeout=self._timeout)
        for spec in specs:
            try:
                await self._settled(futures[spec.name])
            except _AlreadyThere:  # made by another registrar since we looked: it must still be the topic we want
                self._check_partitions(spec, (await self._metadata())[spec.name])
                await self._align([spec])

    async def _align(self, specs: Sequence[TopicSpec]) -> None:
        """Set the settings that differ, and only those: AlterConfigs would reset every other one."""
        if changes := await self._differing(specs):
            client = await self._connected()
            await self._all(client.incremental_alter_configs(changes, request_timeout=self._timeout).values())

            async def agrees() -> bool:
                return not await self._differing(specs)

            await self._until(agrees, "the topics' settings did not become what was asked for")

    async def _differing(self, specs: Sequence[TopicSpec]) -> list[Any]:
        """For each topic with other settings than specified, the change that is needed."""
        if not specs:
            return []
        client = await self._connected()
        wanted = {spec.name: spec.settings for spec in specs}
        asked = [_kafka.ConfigResource(_kafka.ConfigResource.Type.TOPIC, name) for name in wanted]
        changes: list[Any] = []
        for resource, future in client.describe_configs(asked, request_timeout=self._timeout).items():
            found: Mapping[str, Any] = await self._settled(future)
            differing = {key: value for key, value in wanted[resource.name].items() if key not in found or found[key].value != value}
            if differing:
                changes.append(_changing(resource.name, differing))
        return changes

    async def _usable(self, specs: Sequence[TopicSpec]) -> bool:
        if not specs:
            return True
        present = await self._metadata()
        return all(
            spec.name in present
            and len(present[spec.name].partitions) == spec.partitions
            and all(part.leader >= 0 for part in present[spec.name].partitions.values())
            for spec in specs
        )

    async def _bindings(self, principal: str) -> set[Any]:
        client = await self._connected()
        return set(await self._settled(client.describe_acls(naming(principal), request_timeout=self._timeout)))

    async def _settled(self, future: Future[_Value]) -> _Value:
        try:
            # Shielded: librdkafka's thread still sets the result of a call that we no longer wait for.
            return await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(future)), self._timeout + 5)
        except TimeoutError as error:
            raise ExchangeUnreachable(f"Kafka at {self._bootstrap} did not answer within {self._timeout:.0f} s") from error
        except KafkaException as error:
            raise _mapped(error) from error

    async def _all(self, futures: Iterable[Future[Any]]) -> None:
        for future in list(futures):
            await self._settled(future)

    async def _until(self, reached: Callable[[], Awaitable[bool]], otherwise: str) -> None:
        deadline = time.monotonic() + self._timeout
        pause = 0.005
        while not await reached():
            if time.monotonic() >= deadline:
                raise ExchangeUnreachable(otherwise, advice="repeat the command: every step of it may be repeated")
            await asyncio.sleep(pause)
            pause = min(2 * pause, 0.25)


class _AlreadyThere(BrokerError):
    """The topic was created in the meantime."""


def _mapped(error: KafkaException) -> BrokerError:
    """Ours for librdkafka's error."""
    cause: KafkaError = error.args[0]
    code = cause.code()
    if code == KafkaError.TOPIC_ALREADY_EXISTS:
        return _AlreadyThere(cause.str())
    if code in _DENIED:
        return NotAuthorised(f"this certificate may not administer the cluster: {cause.str()}", advice="use the operator's home")
    if code in _WRONG:
        return UsageError(f"Kafka refuses the settings: {cause.str()}")
    return ExchangeUnreachable(f"Kafka does not answer: {cause.str()}", advice="see that the node runs and the address is right")


def _changing(topic: str, settings: Mapping[str, str]) -> Any:
    entries = [_kafka.ConfigEntry(key, value, incremental_operation=_kafka.AlterConfigOpType.SET) for key, value in settings.items()]
    return _kafka.ConfigResource(_kafka.ConfigResource.Type.TOPIC, topic, incremental_configs=entries)
