"""`streams topics`: what kafka-topics does, on ours and on a real Kafka."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import click

from streams.cli.kafka_style import KafkaStyleGroup, names_of, show
from streams.cli.properties import assignments
from streams.cli.reaching import Reach, broker_options, json_option

if TYPE_CHECKING:
    from streams.admin import TopicDescription
    from streams.client import Client

_NAME = re.compile(r"[a-zA-Z0-9._-]+")


@click.group(cls=KafkaStyleGroup)
def command() -> None:
    """Make, list, describe, alter and delete topics.

    A name with letters that no topic can have is a regular expression: `streams topics delete 'trial-.*'`.

    \b
    Examples:
      streams topics create flights --partitions 3 --config retention.ms=-1
      streams topics --describe --topic flights --bootstrap-server localhost:9092
    """


@command.command()
@names_of("topic")
@click.option("--partitions", type=click.IntRange(min=1), help="Default: the broker's.")
@click.option("--replication-factor", type=click.IntRange(min=1), help="Default: the broker's.")
@click.option("--config", "config", multiple=True, metavar="NAME=VALUE", help="A config of the topic, by Kafka's name.")
@click.option("--if-not-exists", is_flag=True, help="A topic that is there is fine.")
@broker_options
def create(
    topics: Sequence[str],
    partitions: int | None,
    replication_factor: int | None,
    config: Sequence[str],
    if_not_exists: bool,
    broker: Reach,
) -> None:
    """Make topics."""
    configs = assignments(config, "--config")

    async def work(client: Client) -> None:
        there = set(await client.admin.list_topics(internal=True)) if if_not_exists else set()
        for topic in topics:
            if topic not in there:
                await client.admin.create_topic(
                    topic, partitions=partitions, replication_factor=replication_factor, configs=configs
                )
                click.echo(f"Created topic {topic}.", err=True)

    broker.run(work)


@command.command("list")
@click.option("--exclude-internal", is_flag=True, help="Leave out the broker's own topics.")
@json_option
@broker_options
def list_(exclude_internal: bool, as_json: bool, broker: Reach) -> None:
    """List the topics, a name a line."""

    async def work(client: Client) -> list[str]:
        return await client.admin.list_topics(internal=not exclude_internal)

    names = broker.run(work)
    if as_json:
        show([{"topic": name} for name in names], as_json=True)
    else:
        click.echo("".join(f"{name}\n" for name in names), nl=False)


@command.command()
@names_of("topic", required=False)
@click.option("--exclude-internal", is_flag=True, help="Leave out the broker's own topics.")
@json_option
@broker_options
def describe(topics: Sequence[str], exclude_internal: bool, as_json: bool, broker: Reach) -> None:
    """Describe topics, all unless named: configs, and for each partition its brokers and offsets."""

    async def work(client: Client) -> Sequence[TopicDescription]:
        return await client.admin.describe_topics(await _matching(client, topics) if topics else None)

    for topic in broker.run(work):
        if not (exclude_internal and topic.is_internal):
            _show(topic, as_json=as_json)


async def _matching(client: Client, names: Iterable[str]) -> list[str]:
    """The topics that are named or fit an expression; a name as it is, whether there is such a topic or not."""
    there = await client.admin.list_topics(internal=True)
    found = []
    for name in names:
        try:
            found += [name] if _NAME.fullmatch(name) else [topic for topic in there if re.fullmatch(name, topic)]
        except re.error as error:
            raise click.UsageError(f"{name!r} is neither a topic nor a regular expression: {error}") from None
    return list(dict.fromkeys(found))


def _show(topic: TopicDescription, *, as_json: bool) -> None:
    if as_json:
        import msgspec

        click.echo(msgspec.json.encode(topic).decode())
        return
    configs = ",".join(f"{key}={value}" for key, value in sorted(topic.configs.items()))
    factor = len(topic.partitions[0].replicas) if topic.partitions else 0
    click.echo(
        f"Topic: {topic.name}\tTopicId: {_id_text(topic.topic_id)}\tPartitionCount: {len(topic.partitions)}\t"
        f"ReplicationFactor: {factor}\tConfigs: {configs}"
    )
    rows = [
        {
            "partition": part.partition,
            "leader": part.leader,
            "replicas": ",".join(map(str, part.replicas)),
            "in sync": ",".join(map(str, part.in_sync)),
            "first offset": part.start_offset,
            "end offset": part.end_offset,
        }
        for part in topic.partitions
    ]
    show(rows, as_json=False)


def _id_text(topic_id: str) -> str:
    """An id as Kafka's tools write it.

    >>> _id_text("4bbe6ccf-5161-4c6b-801f-28e3a7d66201")
    'S75sz1FhTGuAHyjjp9ZiAQ'
    """
    from base64 import urlsafe_b64encode
    from uuid import UUID

    return urlsafe_b64encode(UUID(topic_id).bytes).decode().rstrip("=")


@command.command()
@names_of("topic")
@click.option("--partitions", type=click.IntRange(min=1), required=True, help="How many it is to have.")
@broker_options
def alter(topics: Sequence[str], partitions: int, broker: Reach) -> None:
    """Give topics more partitions. Configs: `streams configs alter`."""

    async def work(client: Client) -> None:
        for topic in await _matching(client, topics):
            await client.admin.add_partitions(topic, partitions)
            click.echo(f"Topic {topic} has {partitions} partitions.", err=True)

    broker.run(work)


@command.command()
@names_of("topic")
@click.option("--if-exists", is_flag=True, help="A topic that is not there is fine.")
@broker_options
def delete(topics: Sequence[str], if_exists: bool, broker: Reach) -> None:
    """Delete topics with their records."""

    async def work(client: Client) -> None:
        found = await _matching(client, topics)
        if if_exists:
            there = set(await client.admin.list_topics(internal=True))
            found = [topic for topic in found if topic in there]
        if found:
            await client.admin.delete_topics(*found)
            click.echo(f"Deleted {', '.join(found)}.", err=True)

    broker.run(work)
