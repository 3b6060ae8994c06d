"""`streams groups`: what kafka-consumer-groups does, on ours and on a real Kafka."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from streams.cli.kafka_style import KafkaStyleGroup, named, show
from streams.cli.reaching import broker_options, json_option, run

if TYPE_CHECKING:
    from streams.admin import GroupDescription, GroupOffset
    from streams.client import Client

_group_option = click.option("--group", "option", multiple=True, metavar="GROUP", help="The group, as Kafka's say.")


@click.group(cls=KafkaStyleGroup)
def command() -> None:
    """List, describe, reset and delete groups.

    \b
    Examples:
      streams groups describe mailer
      streams groups reset mailer --to-earliest --topic alerts --execute
    """


@command.command("list")
@click.option("--state", multiple=True, help="Only groups in this state: Stable, Empty, ...")
@click.option("--type", "kind", multiple=True, help="Only groups of this protocol: classic, consumer.")
@json_option
@broker_options
def list_(state: tuple[str, ...], kind: tuple[str, ...], as_json: bool, **where: Any) -> None:
    """List the groups with protocol and state."""

    async def work(client: Client) -> list[dict[str, Any]]:
        found = await client.admin.list_groups(states=state, kinds=kind)
        return [{"group": row.group_id, "type": row.kind, "state": row.state} for row in found]

    show(run(work, **where), as_json=as_json, none="(no groups)")


@command.command()
@click.argument("name", nargs=-1)
@_group_option
@click.option("--all-groups", is_flag=True, help="Every group.")
@click.option("--members", is_flag=True, help="The members and their partitions, instead of the offsets.")
@json_option
@broker_options
def describe(
    name: tuple[str, ...], option: tuple[str, ...], all_groups: bool, members: bool, as_json: bool, **where: Any
) -> None:
    """Describe groups: state, and for each partition offset, end and lag."""

    async def work(client: Client) -> list[tuple[GroupDescription, list[GroupOffset]]]:
        groups = [row.group_id for row in await client.admin.list_groups()] if all_groups else []
        groups = groups or ([] if all_groups else named(name, option, "group"))
        return [(await client.admin.describe_group(group), await client.admin.offsets(group)) for group in groups]

    for group, offsets in run(work, **where):
        if as_json:
            import msgspec

            click.echo(msgspec.json.encode({"group": group, "offsets": offsets}).decode())
            continue
        click.echo(f"Group: {group.group_id}\tType: {group.kind}\tState: {group.state}\tAssignor: {group.assignor}")
        show(_members(group) if members else _offsets(group, offsets), as_json=False)


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
@click.argument("name", nargs=-1)
@_group_option
@broker_options
def delete(name: tuple[str, ...], option: tuple[str, ...], **where: Any) -> None:
    """Delete groups that have no members, with their offsets."""

    async def work(client: Client) -> None:
        await client.admin.delete_groups(*named(name, option, "group"))

    run(work, **where)


@command.command("delete-offsets")
@click.argument("name", nargs=-1)
@_group_option
@click.option("--topic", "topics", multiple=True, required=True, metavar="TOPIC[:0,1]", help="Which offsets.")
@broker_options
def delete_offsets(name: tuple[str, ...], option: tuple[str, ...], topics: tuple[str, ...], **where: Any) -> None:
    """Let groups forget where they are in topics that no member reads."""
    from streams.cli.resetting import partitions_of

    async def work(client: Client) -> None:
        partitions = await partitions_of(client, topics)
        for group in named(name, option, "group"):
            await client.admin.delete_offsets(group, partitions)

    run(work, **where)


@command.command()
@click.argument("name", nargs=-1)
@_group_option
@click.option("--topic", "topics", multiple=True, metavar="TOPIC[:0,1]", help="Only these topics or partitions.")
@click.option("--all-topics", is_flag=True, help="Every topic for which the group has an offset.")
@click.option("--to-earliest", "target", flag_value="earliest", help="To the first record.")
@click.option("--to-latest", "target", flag_value="latest", help="Behind the last record.")
@click.option("--to-current", "target", flag_value="current", help="Where it is: to see what it would be.")
@click.option("--to-offset", type=int, help="To this offset; into the log if it lies outside.")
@click.option("--to-datetime", metavar="TIME", help="To the first record not earlier: 2013-01-01T12:00:00.000.")
@click.option("--by-duration", metavar="DURATION", help="To the first record not older: 1h, 30m, PT1H30M.")
@click.option("--shift-by", type=int, help="Forwards, or with a negative number back.")
@click.option("--execute", is_flag=True, help="Do it; without it the new offsets are shown only.")
@click.option("--dry-run", is_flag=True, help="Show only, which is the default.")
@json_option
@broker_options
def reset(
    name: tuple[str, ...],
    option: tuple[str, ...],
    topics: tuple[str, ...],
    all_topics: bool,
    execute: bool,
    dry_run: bool,
    as_json: bool,
    bootstrap_server: str | None,
    data_dir: str | None,
    command_config: str | None,
    **target: Any,
) -> None:
    """Move groups that have no members at the moment. Shows where to; --execute does it."""
    from streams.cli.resetting import new_offsets, one_target

    if execute and dry_run:
        raise click.UsageError("--execute and --dry-run: give one of them.")
    if bool(topics) == all_topics:
        raise click.UsageError("say which: --topic TOPIC[:PARTITIONS], or --all-topics.")
    kind, value = one_target(target)

    async def work(client: Client) -> list[dict[str, Any]]:
        rows = []
        for group in named(name, option, "group"):
            offsets = await new_offsets(client, group, topics, kind, value)
            if execute:
                await client.admin.set_offsets(group, offsets)
            rows += [
                {"group": group, "topic": tp.topic, "partition": tp.partition, "new offset": offset}
                for tp, offset in offsets.items()
            ]
        return rows

    show(run(work, bootstrap_server, data_dir, command_config), as_json=as_json, none="(no offsets)")
    if not execute:
        click.echo("Nothing was changed; --execute does it.", err=True)
