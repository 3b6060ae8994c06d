"""`streams topics`: what kafka-topics does, on ours and on a real Kafka."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from streams.cli.kafka_style import KafkaStyleGroup, named, show
from streams.cli.properties import pairs
from streams.cli.reaching import broker_options, json_option, run

if TYPE_CHECKING:
    from streams.admin import TopicDescription
    from streams.client import Client

_topic_option = click.option(
    "--topic", "option", multiple=True, metavar="NAME", help="The topic, as Kafka's tools say."
)


@click.group(cls=KafkaStyleGroup)
def command() -> None:
    """Make, list, describe, alter and delete topics.

    \b
    Examples:
      streams topics create flights --partitions 3 --config retention.ms=-1
      streams topics --describe --topic flights --bootstrap-server localhost:9092
    """


@command.command()
@click.argument("name", nargs=-1)
@_topic_option
@click.option("--partitions", type=click.IntRange(min=1), help="Default: the broker's.")
@click.option("--replication-factor", type=click.IntRange(min=1), help="Default: the broker's.")
@click.option("--config", "config", multiple=True, metavar="NAME=VALUE", help="A config of the topic, by Kafka's name.")
@click.option("--if-not-exists", is_flag=True, help="A topic that is there is fine.")
@broker_options
def create(
    name: tuple[str, ...],
    option: tuple[str, ...],
    partitions: int | None,
    replication_factor: int | None,
    config: tuple[str, ...],
    if_not_exists: bool,
    **where: Any,
) -> None:
    """Make topics."""
    configs = pairs(config, "--config")

    async def work(client: Client) -> None:
        there = set(await client.admin.list_topics(internal=True)) if if_not_exists else set()
        for topic in named(name, option, "topic"):
            if topic not in there:
                await client.admin.create_topic(
                    topic, partitions=partitions, replication_factor=replication_factor, configs=configs
                )
                click.echo(f"Created topic {topic}.", err=True)

    run(work, **where)


@command.command("list")
@click.option("--exclude-internal", is_flag=True, help="Leave out the broker's own topics.")
@json_option
@broker_options
def list_(exclude_internal: bool, as_json: bool, **where: Any) -> None:
    """List the topics, a name a line."""

    async def work(client: Client) -> list[str]:
        return await client.admin.list_topics(internal=not exclude_internal)

    names = run(work, **where)
    if as_json:
        show([{"topic": name} for name in names], as_json=True)
    elif names:
        click.echo("\n".join(names))


@command.command()
@click.argument("name", nargs=-1)
@_topic_option
@click.option("--exclude-internal", is_flag=True, help="Leave out the broker's own topics.")
@json_option
@broker_options
def describe(
    name: tuple[str, ...], option: tuple[str, ...], exclude_internal: bool, as_json: bool, **where: Any
) -> None:
    """Describe topics, all unless named: configs, and for each partition its brokers and offsets."""

    async def work(client: Client) -> Sequence[TopicDescription]:
        return await client.admin.describe_topics([*name, *option] or None)

    for topic in run(work, **where):
        if exclude_internal and topic.is_internal:
            continue
        if as_json:
            import msgspec

            click.echo(msgspec.json.encode(topic).decode())
        else:
            _print(topic)


def _id_text(topic_id: str) -> str:
    """An id as Kafka's tools write it.

    >>> _id_text("4bbe6ccf-5161-4c6b-801f-28e3a7d66201")
    'S75sz1FhTGuAHyjjp9ZiAQ'
    """
    from base64 import urlsafe_b64encode
    from uuid import UUID

    return urlsafe_b64encode(UUID(topic_id).bytes).decode().rstrip("=")


def _print(topic: TopicDescription) -> None:
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


@command.command()
@click.argument("name", nargs=-1)
@_topic_option
@click.option("--partitions", type=click.IntRange(min=1), required=True, help="How many it is to have.")
@broker_options
def alter(name: tuple[str, ...], option: tuple[str, ...], partitions: int, **where: Any) -> None:
    """Give topics more partitions. Configs: `streams configs alter`."""

    async def work(client: Client) -> None:
        for topic in named(name, option, "topic"):
            await client.admin.add_partitions(topic, partitions)

    run(work, **where)


@command.command()
@click.argument("name", nargs=-1)
@_topic_option
@click.option("--if-exists", is_flag=True, help="A topic that is not there is fine.")
@broker_options
def delete(name: tuple[str, ...], option: tuple[str, ...], if_exists: bool, **where: Any) -> None:
    """Delete topics with their records."""

    async def work(client: Client) -> None:
        topics = named(name, option, "topic")
        if if_exists:
            there = set(await client.admin.list_topics(internal=True))
            topics = [topic for topic in topics if topic in there]
        if topics:
            await client.admin.delete_topics(*topics)

    run(work, **where)
