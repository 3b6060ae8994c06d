"""The administration of a broker or cluster: topics, configs, groups, access. Ours and a real Kafka alike."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

from broker_embedded.wire.messages.topics import MetadataRequest
from streams.admin import access, configs, groups, topics
from streams.admin.descriptions import (
    Acl,
    Broker,
    ClusterDescription,
    ConfigEntry,
    GroupDescription,
    GroupListing,
    GroupOffset,
    TopicDescription,
)
from streams.transport.contract import TopicPartition, Transport

__all__ = [
    "Acl",
    "Admin",
    "Broker",
    "ClusterDescription",
    "ConfigEntry",
    "GroupDescription",
    "GroupListing",
    "GroupOffset",
    "TopicDescription",
]

_NONE: Mapping[str, str] = MappingProxyType({})
_ANY = Acl()


class Admin:
    """What `client.admin` is. What the broker refuses is a TransportError that says what and why.

    What passes by itself is waited for, up to the request timeout: a broker that starts, a coordinator that moves. A
    change whose answer is lost is asked for again, as by Kafka's admin client: "already exists" may mean done.

    >>> import asyncio, tempfile
    >>> import streams
    >>> async def main() -> list[str]:
    ...     async with streams.Client(data_dir=tempfile.mkdtemp()) as client:
    ...         await client.admin.create_topic("flights", partitions=3, retention="1d")
    ...         return await client.admin.list_topics()
    >>> asyncio.run(main())
    ['flights']
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._asks = transport.asks

    # Topics

    async def list_topics(self, *, internal: bool = False) -> list[str]:
        """The names of all topics; the broker's own only with `internal`."""
        return await self._asks.retry(lambda: topics.list_topics(self._asks, internal=internal))

    async def describe_topics(self, names: Iterable[str] | None = None) -> list[TopicDescription]:
        """Topics with their partitions and configs; all, unless named. Raises UnknownTopicError."""
        return await self._asks.retry(lambda: topics.describe_topics(self._asks, self._transport, names))

    async def create_topic(
        self,
        name: str,
        *,
        partitions: int | None = None,
        replication_factor: int | None = None,
        retention: str | float | None = None,
        configs: Mapping[str, str] = _NONE,
    ) -> None:
        """Make a topic. What is not given is the broker's default; `retention` is a duration, or "forever"."""
        topic = topics.new_topic(name, partitions, replication_factor, retention, configs)
        await self._asks.retry(lambda: topics.create_topic(self._asks, topic))

    async def add_partitions(self, name: str, count: int) -> None:
        """Let a topic have `count` partitions. Keys move between partitions then; records do not."""
        await self._asks.retry(lambda: topics.add_partitions(self._asks, name, count))

    async def delete_topics(self, *names: str) -> None:
        """Remove topics with their records. Raises UnknownTopicError, and removes nothing, if one is missing."""
        await self._asks.retry(lambda: topics.delete_topics(self._transport, names))

    async def delete_records(self, before: Mapping[TopicPartition, int]) -> None:
        """Remove the records before an offset of each partition."""
        await self._transport.delete_records(before)

    # Configs

    async def configs(self, kind: str, name: str, *, documentation: bool = False) -> list[ConfigEntry]:
        """Every config of a "topic", "broker" or "group", in force as it is, with where it comes from."""
        return await self._asks.retry(
            lambda: configs.describe_configs(self._asks, kind, name, documentation=documentation)
        )

    async def alter_configs(
        self,
        kind: str,
        name: str,
        values: Mapping[str, str | None] = MappingProxyType({}),
        *,
        append: Mapping[str, str] = _NONE,
        subtract: Mapping[str, str] = _NONE,
    ) -> None:
        """Set configs, or with None take them back to their default; others stay.

        `append` and `subtract` change configs that are lists.
        """
        await self._asks.retry(
            lambda: configs.alter_configs(self._asks, kind, name, values, append=append, subtract=subtract)
        )

    # Groups

    async def list_groups(self, *, states: Sequence[str] = (), kinds: Sequence[str] = ()) -> list[GroupListing]:
        """All groups, or those in one of `states` ("Stable", ...) and of one of `kinds` ("classic", "consumer")."""
        return await self._asks.retry(lambda: groups.list_groups(self._asks, states=states, kinds=kinds))

    async def describe_group(self, group: str) -> GroupDescription:
        """A group with its members and what each has."""
        return await self._asks.retry(lambda: groups.describe_group(self._asks, group))

    async def offsets(self, group: str) -> list[GroupOffset]:
        """Where a group is in each partition, and how far behind."""
        return await self._asks.retry(lambda: groups.group_offsets(self._asks, self._transport, group))

    async def set_offsets(self, group: str, offsets: Mapping[TopicPartition, int]) -> None:
        """Move a group that has no members at the moment; one that is not there comes into being."""
        await self._asks.retry(lambda: groups.set_offsets(self._asks, group, offsets))

    async def delete_offsets(self, group: str, partitions: Iterable[TopicPartition]) -> None:
        """Let a group forget where it is in partitions of topics that no member reads."""
        await self._asks.retry(lambda: groups.delete_offsets(self._asks, group, partitions))

    async def delete_groups(self, *names: str) -> None:
        """Remove groups that have no members, with their offsets."""
        await self._asks.retry(lambda: groups.delete_groups(self._asks, names))

    # Access

    async def list_acls(self, match: Acl = _ANY) -> list[Acl]:
        """The rules that `match` fits."""
        return await self._asks.retry(lambda: access.list_acls(self._asks, match))

    async def create_acls(self, *acls: Acl) -> None:
        """Add rules."""
        await self._asks.retry(lambda: access.create_acls(self._asks, acls))

    async def delete_acls(self, match: Acl) -> list[Acl]:
        """Remove the rules that `match` fits; gives what was removed."""
        return await self._asks.retry(lambda: access.delete_acls(self._asks, match))

    async def users(self) -> dict[str, list[str]]:
        """The users with stored passwords, and the SASL mechanisms of each."""
        return await self._asks.retry(lambda: access.users(self._asks))

    async def set_password(
        self, user: str, password: str, *, mechanism: str = "SCRAM-SHA-512", iterations: int = 4096
    ) -> None:
        """Add a user, or give it another password. Only salted hashes leave this process."""
        await self._asks.retry(lambda: access.set_password(self._asks, user, password, mechanism, iterations))

    async def remove_user(self, user: str, *, mechanism: str = "SCRAM-SHA-512") -> None:
        """Remove a user's password for a mechanism."""
        await self._asks.retry(lambda: access.remove_user(self._asks, user, mechanism))

    # The cluster

    async def cluster(self) -> ClusterDescription:
        """The cluster's id and brokers."""
        request = MetadataRequest([], allow_auto_topic_creation=False)
        answer = await self._asks.retry(lambda: self._asks.ask(request))
        brokers = [Broker(row.node_id, row.host, row.port, row.rack) for row in answer.brokers]
        return ClusterDescription(answer.cluster_id or "", answer.controller_id, brokers)
