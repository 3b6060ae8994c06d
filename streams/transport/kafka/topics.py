"""Topics of a cluster: what there is, made, altered, removed; done when the cluster knows it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from broker_embedded.errors import (
    TopicAlreadyExistsError,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
)
from broker_embedded.wire.messages import Request
from broker_embedded.wire.messages.configs import (
    RESOURCE_TOPIC,
    DescribeConfigsRequest,
    DescribeConfigsResource,
)
from broker_embedded.wire.messages.topics import (
    CreatableTopic,
    CreateTopicsRequest,
    DeleteTopicsRequest,
    DeleteTopicState,
)
from streams.transport.contract import TopicInfo, TopicSpec, TransportError
from streams.transport.error_codes import MISSING, RetryError, check
from streams.transport.kafka.connection import KafkaConnection
from streams.transport.kafka.refused import refused
from streams.transport.rows import alter_topic, missing_topics

_SET_ON_TOPIC = 1  # config source: DYNAMIC_TOPIC_CONFIG
_TOLD = ("cleanup.policy", "retention.ms", "retention.bytes", "min.insync.replicas")


class KafkaTopics:
    """The part of a `Transport` that is about topics."""

    def __init__(self, connection: KafkaConnection) -> None:
        self._connection = connection

    async def names(self) -> list[str]:
        return sorted(row.name or "" for row in (await self._connection.metadata(None)).topics)

    async def describe(self, topics: Iterable[str]) -> dict[str, TopicInfo]:
        names = list(topics)
        return await self._connection.retry(lambda: self._describe(names))

    async def _describe(self, names: Sequence[str]) -> dict[str, TopicInfo]:
        self._connection.forget()
        known = await self._connection.leaders.topics(names)
        if not known:
            return {}
        request = DescribeConfigsRequest([DescribeConfigsResource(RESOURCE_TOPIC, name) for name in known])
        configs: dict[str, dict[str, str]] = {}
        defaults: dict[str, dict[str, str]] = {}
        # Whoever may read and write may yet not see configs: there are none then.
        hidden = TopicAuthorizationFailedError.info.code
        for result in (await self._connection.ask(request)).results:
            if result.error_code in MISSING:  # brokers hear of what is made and deleted one after the other
                raise RetryError(f"topic {result.resource_name!r}: one broker knows it and another one does not")
            if result.error_code != hidden:
                check(result.error_code, f"topic {result.resource_name!r}", result.error_message)
            rows = [row for row in result.configs if row.value is not None]
            name = result.resource_name
            configs[name] = {row.name: row.value for row in rows if row.config_source == _SET_ON_TOPIC}
            defaults[name] = {
                row.name: row.value for row in rows if row.name in _TOLD and row.name not in configs[name]
            }
        return {
            name: TopicInfo(name, str(topic.id), len(topic.leaders), configs[name], topic.replicas, defaults[name])
            for name, topic in known.items()
        }

    async def create(self, specs: Sequence[TopicSpec]) -> None:
        self._connection.forget()
        known = await self._connection.leaders.topics([spec.name for spec in specs])
        rows = missing_topics(specs, {name: len(topic.leaders) for name, topic in known.items()})
        if not rows:
            return
        asked = {spec.name: spec for spec in specs}
        await self._connection.retry(lambda: self._create(rows, asked))
        await self._connection.retry(lambda: self._see([row.name for row in rows]))

    async def _create(self, rows: list[CreatableTopic], asked: Mapping[str, TopicSpec]) -> None:
        for result in (await self._connection.ask(CreateTopicsRequest(rows))).topics:
            if result.error_code == TopicAlreadyExistsError.info.code:
                continue  # somebody else was faster
            try:
                check(result.error_code, f"topic {result.name!r}", result.error_message)
            except RetryError:
                raise
            except TransportError as error:
                raise refused(asked[result.name], result.error_code, error) from None

    async def _see(self, names: Sequence[str]) -> None:
        """Wait until the cluster knows new topics, and who leads them."""
        topics = await self._connection.leaders.topics(names)
        if len(topics) < len(set(names)) or any(-1 in topic.leaders.values() for topic in topics.values()):
            self._connection.forget()
            raise RetryError(f"topics {', '.join(names)} are being made")

    async def delete(self, topics: Iterable[str]) -> None:
        self._connection.forget()
        known = await self._connection.leaders.topics(topics)
        if known:
            request = DeleteTopicsRequest([DeleteTopicState(name) for name in known])
            gone = UnknownTopicOrPartitionError.info.code
            await self._retry(request, lambda answer: answer.responses, lambda row: row.name, gone)
            await self._connection.retry(lambda: self._miss(list(known)))

    async def _miss(self, names: Sequence[str]) -> None:
        self._connection.forget()
        if await self._connection.leaders.topics(names):
            raise RetryError(f"topics {', '.join(names)} are being deleted")

    async def alter(self, topic: str, configs: Mapping[str, str]) -> None:
        await self._retry(alter_topic(topic, configs), lambda answer: answer.responses, lambda row: topic)

    async def _retry(
        self, request: Request, rows: Callable[[Any], list[Any]], name: Callable[[Any], str], fine: int = 0
    ) -> list[Any]:
        """The rows of an answer about topics, in which no error is left but the one that is fine."""

        async def ask() -> list[Any]:
            found = rows(await self._connection.ask(request))
            for row in found:
                if row.error_code != fine:
                    check(row.error_code, f"topic {name(row)!r}", row.error_message)
            return found

        return await self._connection.retry(ask)
