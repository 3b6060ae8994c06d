"""`streams configs`: what kafka-configs does, on ours and on a real Kafka."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import click

from streams.cli.kafka_style import KafkaStyleGroup, show
from streams.cli.properties import pairs
from streams.cli.reaching import broker_options, json_option, run

if TYPE_CHECKING:
    from streams.admin import ConfigEntry
    from streams.client import Client

_KINDS = {"topics": "topic", "brokers": "broker", "groups": "group", "users": "user"}
_PASSWORD = re.compile(r"(?:iterations=(?P<iterations>\d+),)?password=(?P<password>.*)", re.DOTALL)


def entity(command: Any) -> Any:
    """Decorates a command with what it is about: `topic flights`, or Kafka's two options."""
    for option in (
        click.option("--entity-name", metavar="NAME", help="Its name, or the id of a broker."),
        click.option("--entity-type", type=click.Choice([*_KINDS]), help="What has the configs."),
        click.option("--entity-default", is_flag=True, help="With brokers: the default of all."),
        click.argument("name", required=False),
        click.argument("kind", required=False, metavar="[KIND]"),
    ):
        command = option(command)
    return command


@click.group(cls=KafkaStyleGroup)
def command() -> None:
    """Look at configs of topics, brokers and groups, and change them; passwords of users.

    \b
    Examples:
      streams configs describe topic flights --all
      streams configs alter topic flights --add-config retention.ms=-1
      streams configs --alter --entity-type users --entity-name ada --add-config 'SCRAM-SHA-512=[password=difference]'
    """


@command.command()
@entity
@click.option("--all", "all_", is_flag=True, help="Also those that have their default.")
@json_option
@broker_options
def describe(all_: bool, as_json: bool, **options: Any) -> None:
    """Describe configs of a topic, broker or group, or list the users."""
    kind, name, where = _entity(options)

    async def work(client: Client) -> list[dict[str, Any]]:
        if kind == "user":
            users = await client.admin.users()
            return [{"user": user, "mechanisms": ", ".join(has)} for user, has in users.items() if name in ("", user)]
        entries = await client.admin.configs(kind, name)
        return [_row(entry) for entry in entries if all_ or entry.source != "default"]

    show(run(work, **where), as_json=as_json, none="(nothing that differs from its default)")


def _row(entry: ConfigEntry) -> dict[str, Any]:
    value = "(hidden)" if entry.is_sensitive else entry.value
    return {"name": entry.name, "value": value, "from": entry.source, "read only": entry.is_read_only}


@command.command()
@entity
@click.option("--add-config", multiple=True, metavar="NAME=VALUE", help="Set; a list in brackets: [a,b].")
@click.option("--delete-config", multiple=True, metavar="NAME", help="Take back to the default.")
@broker_options
def alter(add_config: tuple[str, ...], delete_config: tuple[str, ...], **options: Any) -> None:
    """Change configs of a topic, broker or group, or the password of a user."""
    kind, name, where = _entity(options)
    if not add_config and not delete_config:
        raise click.UsageError("say what: --add-config NAME=VALUE or --delete-config NAME.")
    values: dict[str, str | None] = dict(pairs(add_config, "--add-config"))
    values |= {part.strip(): None for text in delete_config for part in text.split(",")}

    async def work(client: Client) -> None:
        if kind == "user":
            for mechanism, value in values.items():
                await _alter_user(client, name, mechanism, value)
        else:
            await client.admin.alter_configs(kind, name, values)

    run(work, **where)


async def _alter_user(client: Client, user: str, mechanism: str, value: str | None) -> None:
    if value is None:
        await client.admin.remove_user(user, mechanism=mechanism)
        return
    found = _PASSWORD.fullmatch(value)
    if found is None:
        raise click.UsageError(f"{mechanism}: give it as [password=...] or [iterations=8192,password=...].")
    iterations = int(found["iterations"] or 4096)
    await client.admin.set_password(user, found["password"], mechanism=mechanism, iterations=iterations)


def _entity(options: dict[str, Any]) -> tuple[str, str, dict[str, Any]]:
    """Kind and name, and the rest of the options: where."""
    kind, name = options.pop("kind"), options.pop("name")
    entity_type, entity_name = options.pop("entity_type"), options.pop("entity_name")
    is_default = options.pop("entity_default")
    if entity_type is not None:
        kind, name = _KINDS[entity_type], entity_name or kind
    if kind not in _KINDS.values():
        raise click.UsageError(f"say what: one of {', '.join(_KINDS.values())}, and its name.")
    if name is None and kind in ("topic", "group"):
        raise click.UsageError(f"name a {kind}.")
    return kind, "" if is_default else name or "", options
