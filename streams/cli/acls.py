"""`streams acls`: what kafka-acls does, on ours and on a real Kafka."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from streams.cli.kafka_style import KafkaStyleGroup, show
from streams.cli.reaching import broker_options, json_option, run

if TYPE_CHECKING:
    from streams.admin import Acl
    from streams.client import Client

_CLUSTER = "kafka-cluster"
# What a producer and a consumer need (kafka-acls --producer, --consumer).
_PRODUCER = {"topic": ("write", "describe", "create"), "transactional_id": ("write", "describe")}
_CONSUMER = {"topic": ("read", "describe"), "group": ("read",)}


def resources(command: Any) -> Any:
    """Decorates a command with the resources that a rule is about."""
    for option in (
        click.option("--topic", multiple=True, metavar="NAME", help="A topic; * is all."),
        click.option("--group", multiple=True, metavar="NAME", help="A group; * is all."),
        click.option("--transactional-id", multiple=True, metavar="NAME", help="A transactional id; * is all."),
        click.option("--cluster", is_flag=True, help="The cluster."),
        click.option(
            "--resource-pattern-type",
            "pattern",
            type=click.Choice(["literal", "prefixed", "match", "any"]),
            help="Whether the name is whole, or a beginning. Default: literal; any when listing.",
        ),
    ):
        command = option(command)
    return command


@click.group(cls=KafkaStyleGroup)
def command() -> None:
    """List, add and remove rules of access. They need an authorizer: the setting authorizer.class.name.

    \b
    Examples:
      streams acls add --allow-principal User:ada --operation Read --topic flights
      streams acls --list --topic flights
    """


@command.command("list")
@resources
@click.option("--principal", multiple=True, metavar="TYPE:NAME", help="Only rules about them.")
@json_option
@broker_options
def list_(principal: tuple[str, ...], as_json: bool, **options: Any) -> None:
    """List the rules."""
    where, names, pattern = _split(options)
    filters = _filters(names, pattern or "any", principal)

    async def work(client: Client) -> list[Acl]:
        return [acl for match in filters for acl in await client.admin.list_acls(match)]

    _show(run(work, **where), as_json=as_json)


@command.command()
@resources
@click.option("--allow-principal", multiple=True, metavar="TYPE:NAME", help="Who may.")
@click.option("--deny-principal", multiple=True, metavar="TYPE:NAME", help="Who may not; that wins.")
@click.option("--allow-host", "--deny-host", "host", default="*", show_default=True, help="From where.")
@click.option("--operation", multiple=True, metavar="NAME", help="Read, Write, Create, ...; default: All.")
@click.option("--producer", is_flag=True, help="What a producer needs.")
@click.option("--consumer", is_flag=True, help="What a consumer needs.")
@broker_options
def add(
    allow_principal: tuple[str, ...],
    deny_principal: tuple[str, ...],
    host: str,
    operation: tuple[str, ...],
    producer: bool,
    consumer: bool,
    **options: Any,
) -> None:
    """Add rules."""
    from streams.admin import Acl

    where, names, pattern = _split(options)
    if not names or not (allow_principal or deny_principal):
        raise click.UsageError("say who (--allow-principal User:NAME) and what (--topic, --group, --cluster, ...).")
    operations = _operations(operation, producer, consumer)
    acls = [
        Acl(
            resource_type=kind,
            name=name,
            pattern=pattern or "literal",
            principal=principal,
            host=host,
            operation=what,
            permission=permission,
        )
        for kind, name in names
        for what in operations.get(kind, ())
        for permission, principals in (("allow", allow_principal), ("deny", deny_principal))
        for principal in principals
    ]

    async def work(client: Client) -> None:
        await client.admin.create_acls(*acls)

    run(work, **where)
    _show(acls, as_json=False)


@command.command()
@resources
@click.option("--allow-principal", "--deny-principal", "--principal", "principal", multiple=True, metavar="TYPE:NAME")
@click.option("--operation", multiple=True, metavar="NAME", help="Only these operations.")
@click.option("--force", is_flag=True, help="Do not ask.")
@broker_options
def remove(principal: tuple[str, ...], operation: tuple[str, ...], force: bool, **options: Any) -> None:
    """Remove the rules that fit."""
    import msgspec

    where, names, pattern = _split(options)
    filters = _filters(names, pattern or "literal", principal)
    filters = [msgspec.structs.replace(match, operation=what) for match in filters for what in operation or ("any",)]
    if not force:
        click.confirm(
            f"Remove the rules about {', '.join(f'{kind} {name}' for kind, name in names) or 'all'}?", abort=True
        )

    async def work(client: Client) -> list[Acl]:
        return [acl for match in filters for acl in await client.admin.delete_acls(match)]

    _show(run(work, **where), as_json=False)


def _split(options: dict[str, Any]) -> tuple[dict[str, Any], list[tuple[str, str]], str | None]:
    """The options that say where, the resources that were named, and how the names are meant."""
    names = [("cluster", _CLUSTER)] if options.pop("cluster") else []
    for kind in ("topic", "group", "transactional_id"):
        names += [(kind, name) for name in options.pop(kind)]
    pattern = options.pop("pattern")
    return options, names, pattern


def _filters(names: Sequence[tuple[str, str]], pattern: str, principals: Sequence[str]) -> list[Acl]:
    from streams.admin import Acl

    resources = [{"resource_type": kind, "name": name, "pattern": pattern} for kind, name in names] or [{}]
    return [Acl(**resource, principal=principal) for resource in resources for principal in principals or (None,)]


def _operations(operation: Sequence[str], producer: bool, consumer: bool) -> dict[str, tuple[str, ...]]:
    if not producer and not consumer:
        chosen = tuple(_snake(name) for name in operation) or ("all",)
        return dict.fromkeys(("topic", "group", "transactional_id", "cluster"), chosen)
    found: dict[str, tuple[str, ...]] = {}
    for needs in (_PRODUCER if producer else {}, _CONSUMER if consumer else {}):
        for kind, names in needs.items():
            found[kind] = tuple(dict.fromkeys((*found.get(kind, ()), *names)))
    return found


def _snake(name: str) -> str:
    """
    >>> _snake("IdempotentWrite"), _snake("read")
    ('idempotent_write', 'read')
    """
    return "".join(f"_{letter}" if letter.isupper() and at else letter for at, letter in enumerate(name)).lower()


def _show(acls: Sequence[Acl], *, as_json: bool) -> None:
    import msgspec

    show([msgspec.to_builtins(acl) for acl in acls], as_json=as_json, none="(no rules)")
