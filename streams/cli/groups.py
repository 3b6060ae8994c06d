"""`streams groups`: what kafka-consumer-groups does, on ours and on a real Kafka."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from streams.cli.kafka_style import KafkaStyleGroup, names_of, show
from streams.cli.reaching import Reach, broker_options, json_option

if TYPE_CHECKING:
    from streams.admin import GroupDescription, GroupOffset
    from streams.client import Client

_DESCRIBED = ("classic", "consumer")
_all_groups = click.option("--all-groups", is_flag=True, help=f"Every group of these types: {', '.join(_DESCRIBED)}.")


@click.group(cls=KafkaStyleGroup)
def command() -> None:
    """List, describe, reset and delete groups.

    \b
    Examples:
      streams groups describe mailer
      streams groups reset mailer --to-earliest --topic alerts --execute
    """


@command.command("list")
@click.option("--state", multiple=True, metavar="STATE", help="Only groups in this state: Stable, Empty, ...")
@click.option("--type", "kind", multiple=True, metavar="TYPE", help="Only of this protocol: classic, consumer.")
@json_option
@broker_options
def list_(state: Sequence[str], kind: Sequence[str], as_json: bool, broker: Reach) -> None:
    """List the groups with protocol and state."""

    async def work(client: Client) -> list[dict[str, Any]]:
        found = await client.admin.list_groups(states=_listed(state), kinds=_listed(kind))
        return [{"group": row.group_id, "type": row.kind, "state": row.state} for row in found]

    show(broker.run(work), as_json=as_json, none="(no groups)")


def _listed(texts: Sequence[str]) -> list[str]:
    return [part.strip() for text in texts for part in text.split(",")]


async def _chosen(client: Client, groups: Sequence[str], all_groups: bool) -> Sequence[str]:
    """The groups that a command is about. Raises click.UsageError for none and for both."""
    if bool(groups) == all_groups:
        raise click.UsageError("name a group, or say --all-groups.")
    if not all_groups:
        return groups
    return [row.group_id for row in await client.admin.list_groups() if row.kind in _DESCRIBED]


@command.command()
@names_of("group", required=False)
@_all_groups
@click.option("--offsets", "what", flag_value="offsets", default=True, help="Offset, end and lag: the default.")
@click.option("--members", "what", flag_value="members", help="The members and the partitions of each.")
@click.option("--state", "what", flag_value="state", help="Nothing but protocol, state and assignor.")
@json_option
@broker_options
def describe(groups: Sequence[str], all_groups: bool, what: str, as_json: bool, broker: Reach) -> None:
    """Describe groups: state, and for each partition offset, end and lag. JSON has all of it."""

    async def work(client: Client) -> list[tuple[GroupDescription, list[GroupOffset]]]:
        chosen = await _chosen(client, groups, all_groups)
        return [(await client.admin.describe_group(group), await client.admin.offsets(group)) for group in chosen]

    for group, offsets in broker.run(work):
        if as_json:
            show([{"group": group, "offsets": offsets}], as_json=True)
            continue
        click.echo(f"Group: {group.group_id}\tType: {group.kind}\tState: {group.state}\tAssignor: {group.assignor}")
        if what == "offsets":
            show(_offsets(group, offsets), as_json=False, none="(no offsets)")
        elif what == "members":
            show(_members(group), as_json=False, none="(no members)")


def _offsets(group: GroupDescription, offsets: Sequence[GroupOffset]) -> list[dict[str, Any]]:
    owners = {tp: member for member in group.members for tp in member.partitions}
    rows = []
    for row in offsets:
        owner = owners.get(row.partition)
        rows.append(
            {
                "topic": row.partition.topic,
                "partition": row.partition.partition,
                "offset": row.offset,
                "end offset": row.end_offset,
                "lag": row.lag,
                "member": "-" if owner is None else owner.member_id,
                "host": "-" if owner is None else owner.host,
                "client": "-" if owner is None else owner.client_id,
            }
        )
    return rows


def _members(group: GroupDescription) -> list[dict[str, Any]]:
    return [
        {
            "member": member.member_id,
            "instance": member.instance_id or "-",
            "client": member.client_id,
            "host": member.host,
            "partitions": ", ".join(map(str, member.partitions)),
        }
        for member in group.members
    ]


@command.command()
@names_of("group", required=False)
@_all_groups
@broker_options
def delete(groups: Sequence[str], all_groups: bool, broker: Reach) -> None:
    """Delete groups that have no members, with their offsets."""

    async def work(client: Client) -> None:
        chosen = await _chosen(client, groups, all_groups)
        if chosen:
            await client.admin.delete_groups(*chosen)
            click.echo(f"Deleted {', '.join(chosen)}.", err=True)

    broker.run(work)


@command.command("delete-offsets")
@names_of("group")
@click.option("--topic", "topics", multiple=True, required=True, metavar="TOPIC[:0,1]", help="Which offsets.")
@broker_options
def delete_offsets(groups: Sequence[str], topics: Sequence[str], broker: Reach) -> None:
    """Let groups forget where they are in topics that no member reads."""
    from streams.cli.resetting import partitions_of

    async def work(client: Client) -> None:
        partitions = await partitions_of(client, topics)
        for group in groups:
            await client.admin.delete_offsets(group, partitions)
            click.echo(f"Group {group} has no offsets in {', '.join(map(str, partitions))} any more.", err=True)

    broker.run(work)


@command.command()
@names_of("group", required=False)
@_all_groups
@click.option("--topic", "topics", multiple=True, metavar="TOPIC[:0,1]", help="Only these topics or partitions.")
@click.option("--all-topics", is_flag=True, help="Every topic for which the group has an offset.")
@click.option("--to-earliest", is_flag=True, default=None, help="To the first record.")
@click.option("--to-latest", is_flag=True, default=None, help="Behind the last record.")
@click.option("--to-current", is_flag=True, default=None, help="Where it is: to see what it would be.")
@click.option("--to-offset", type=int, help="To this offset; into the log if it lies outside.")
@click.option("--to-datetime", metavar="TIME", help="To the first record not earlier: 2013-01-01T12:00:00.000.")
@click.option("--by-duration", metavar="DURATION", help="To the first record not older: 1h, 30m, PT1H30M.")
@click.option("--shift-by", type=int, help="Forwards, or with a negative number back.")
@click.option("--execute", is_flag=True, help="Do it; without it the new offsets are shown only.")
@click.option("--dry-run", is_flag=True, help="Show only, which is the default.")
@json_option
@broker_options
def reset(
    groups: Sequence[str],
    all_groups: bool,
    topics: Sequence[str],
    all_topics: bool,
    execute: bool,
    dry_run: bool,
    as_json: bool,
    broker: Reach,
    **targets: Any,
) -> None:
    """Move groups that have no members at the moment. Shows where to; --execute does it."""
    from streams.cli.resetting import new_offsets, one_target

    if execute and dry_run:
        raise click.UsageError("--execute and --dry-run: give one of them.")
    if bool(topics) == all_topics:
        raise click.UsageError("say which: --topic TOPIC[:PARTITIONS], or --all-topics.")
    target = one_target(targets)

    async def work(client: Client) -> list[dict[str, Any]]:
        rows = []
        for group in await _chosen(client, groups, all_groups):
            offsets = await new_offsets(client, group, topics, target)
            if execute:
                await client.admin.set_offsets(group, offsets)
            rows += [
                {"group": group, "topic": tp.topic, "partition": tp.partition, "new offset": offset}
                for tp, offset in offsets.items()
            ]
        return rows

    show(broker.run(work), as_json=as_json, none="(no offsets)")
    if not execute:
        click.echo("Nothing was changed; --execute does it.", err=True)
