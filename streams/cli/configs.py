"""`streams configs`: what kafka-configs does, on ours and on a real Kafka."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import click

from streams.cli.kafka_style import KafkaStyleGroup, show
from streams.cli.properties import config_changes
from streams.cli.reaching import Reach, broker_options, json_option

if TYPE_CHECKING:
    from streams.admin import ConfigEntry
    from streams.client import Client

T = TypeVar("T")

_KINDS = ("topic", "broker", "group", "user")
_PASSWORD = re.compile(r"(?:iterations=(?P<iterations>\d+),)?password=(?P<password>.*)", re.DOTALL)


class Entity(NamedTuple):
    """What has configs. The name is "" for the default of all brokers, and for all users."""

    kind: str
    name: str


def entity(command: Callable[..., T]) -> Callable[..., T]:
    """Decorates a command with what it is about: `topic flights`, or as Kafka's tool says it. It is given `entity`."""

    @functools.wraps(command)
    def about(
        *,
        kind: str | None,
        name: str | None,
        entity_type: str | None,
        entity_name: str | None,
        entity_default: bool,
        **rest: Any,
    ) -> T:
        short = {each: rest.pop(f"of_{each}") for each in _KINDS}
        if entity_type is not None:
            short[entity_type.removesuffix("s")] = entity_name or ""
        elif kind is not None:
            short[kind] = name or ""
        given = [Entity(each, text) for each, text in short.items() if text is not None]
        if len(given) != 1 or given[0].kind not in _KINDS:
            raise click.UsageError(f"say what, once: {' NAME, '.join(_KINDS)} NAME.")
        found = given[0]._replace(name="") if entity_default else given[0]
        if not found.name and found.kind in ("topic", "group"):
            raise click.UsageError(f"name a {found.kind}.")
        return command(entity=found, **rest)

    for option in (
        *(
            click.option(f"--{kind}", f"of_{kind}", metavar="NAME", help=f"As {kind} NAME; Kafka's short option.")
            for kind in reversed(_KINDS)
        ),
        click.option("--entity-default", is_flag=True, help="With brokers: the default of all."),
        click.option("--entity-name", metavar="NAME", help="Its name, or the id of a broker."),
        click.option("--entity-type", type=click.Choice([f"{kind}s" for kind in _KINDS]), help="What has the configs."),
        click.argument("name", required=False),
        click.argument("kind", required=False, metavar="[topic|broker|group|user]"),
    ):
        about = option(about)
    return about


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
def describe(entity: Entity, all_: bool, as_json: bool, broker: Reach) -> None:
    """Describe configs of a topic, broker or group, or list the users."""

    async def work(client: Client) -> list[dict[str, Any]]:
        if entity.kind == "user":
            users = await client.admin.users()
            return [
                {"user": user, "mechanism": mechanism}
                for user, mechanisms in users.items()
                for mechanism in sorted(mechanisms)
                if entity.name in ("", user)
            ]
        entries = await client.admin.configs(*entity)
        return [_row(entry) for entry in entries if all_ or entry.source != "default"]

    none = "(no users)" if entity.kind == "user" else "(nothing that differs from its default)"
    show(broker.run(work), as_json=as_json, none=none)


def _row(entry: ConfigEntry) -> dict[str, Any]:
    value = "(hidden)" if entry.is_sensitive else entry.value
    return {"name": entry.name, "value": value, "from": entry.source, "read only": entry.is_read_only}


@command.command()
@entity
@click.option("--add-config", multiple=True, metavar="NAME=VALUE", help="Set; a list in brackets: [a,b].")
@click.option("--delete-config", multiple=True, metavar="NAME", help="Take back to the default.")
@broker_options
def alter(entity: Entity, add_config: Sequence[str], delete_config: Sequence[str], broker: Reach) -> None:
    """Change configs of a topic, broker or group, or the password of a user."""
    if not add_config and not delete_config:
        raise click.UsageError("say what: --add-config NAME=VALUE or --delete-config NAME.")
    values: dict[str, str | None] = dict(config_changes(add_config, "--add-config"))
    values |= {part.strip(): None for text in delete_config for part in text.split(",")}

    async def work(client: Client) -> None:
        if entity.kind == "user":
            for mechanism, value in values.items():
                await _alter_user(client, entity.name, mechanism, value)
        else:
            await client.admin.alter_configs(*entity, values)

    broker.run(work)
    click.echo(f"Changed {entity.kind} {entity.name or '(default)'}.", err=True)


async def _alter_user(client: Client, user: str, mechanism: str, value: str | None) -> None:
    if not user:
        raise click.UsageError("name a user.")
    if value is None:
        await client.admin.remove_user(user, mechanism=mechanism)
        return
    found = _PASSWORD.fullmatch(value)
    if found is None:
        raise click.UsageError(f"{mechanism}: give it as [password=...] or [iterations=8192,password=...].")
    iterations = int(found["iterations"] or 4096)
    await client.admin.set_password(user, found["password"], mechanism=mechanism, iterations=iterations)
