"""`streams acls`: what kafka-acls does, on ours and on a real Kafka."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import click

from streams.cli.kafka_style import KafkaStyleGroup, show
from streams.cli.reaching import Reach, broker_options, json_option

if TYPE_CHECKING:
    from streams.admin import Acl
    from streams.client import Client

T = TypeVar("T")

_CLUSTER = "kafka-cluster"
_NAMED = ("topic", "group", "transactional_id")
# What a producer and a consumer need (kafka-acls --producer, --consumer).
_PRODUCER = {"topic": ("write", "describe", "create"), "transactional_id": ("write", "describe")}
_CONSUMER = {"topic": ("read", "describe"), "group": ("read",)}


class Resources(NamedTuple):
    """What rules are about: kinds with names, and how the names are meant."""

    named: Sequence[tuple[str, str]]
    pattern: str | None

    def filters(self, pattern: str, principals: Sequence[str]) -> list[Acl]:
        """What fits; `pattern` if the command line does not say how names are meant."""
        from streams.admin import Acl

        pattern = self.pattern or pattern
        about = [{"resource_type": kind, "name": name, "pattern": pattern} for kind, name in self.named]
        return [Acl(**each, principal=who) for each in about or [{}] for who in principals or (None,)]


def resources(command: Callable[..., T]) -> Callable[..., T]:
    """Decorates a command with what a rule is about; it is given `about`, the Resources."""

    @functools.wraps(command)
    def with_resources(*, cluster: bool, pattern: str | None, **rest: Any) -> T:
        named = [("cluster", _CLUSTER)] if cluster else []
        named += [(kind, name) for kind in _NAMED for name in rest.pop(kind)]
        return command(about=Resources(named, pattern), **rest)

    for option in (
        click.option(
            "--resource-pattern-type",
            "pattern",
            type=click.Choice(["literal", "prefixed", "match", "any"]),
            help="Whether the name is whole, or a beginning. Default: literal; any when listing.",
        ),
        click.option("--cluster", is_flag=True, help="The cluster."),
        click.option("--transactional-id", multiple=True, metavar="NAME", help="A transactional id; * is all."),
        click.option("--group", multiple=True, metavar="NAME", help="A group; * is all."),
        click.option("--topic", multiple=True, metavar="NAME", help="A topic; * is all."),
    ):
        with_resources = option(with_resources)
    return with_resources


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
def list_(about: Resources, principal: Sequence[str], as_json: bool, broker: Reach) -> None:
    """List the rules."""
    filters = about.filters("any", principal)

    async def work(client: Client) -> list[Acl]:
        return [acl for match in filters for acl in await client.admin.list_acls(match)]

    _show(broker.run(work), as_json=as_json)


@command.command()
@resources
@click.option("--allow-principal", multiple=True, metavar="TYPE:NAME", help="Who may.")
@click.option("--deny-principal", multiple=True, metavar="TYPE:NAME", help="Who may not; that wins.")
@click.option("--allow-host", multiple=True, metavar="IP", default=["*"], help="From where they may. Default: all.")
@click.option("--deny-host", multiple=True, metavar="IP", default=["*"], help="From where they may not. Default: all.")
@click.option("--operation", multiple=True, metavar="NAME", help="Read, Write, Create, ...; default: All.")
@click.option("--producer", is_flag=True, help="What a producer needs of --topic and --transactional-id.")
@click.option("--consumer", is_flag=True, help="What a consumer needs of --topic and --group.")
@broker_options
def add(
    about: Resources,
    allow_principal: Sequence[str],
    deny_principal: Sequence[str],
    allow_host: Sequence[str],
    deny_host: Sequence[str],
    operation: Sequence[str],
    producer: bool,
    consumer: bool,
    broker: Reach,
) -> None:
    """Add rules."""
    if not about.named or not (allow_principal or deny_principal):
        raise click.UsageError("say who (--allow-principal User:NAME) and what (--topic, --group, --cluster, ...).")
    who = [("allow", principal, host) for principal in allow_principal for host in allow_host]
    who += [("deny", principal, host) for principal in deny_principal for host in deny_host]
    acls = _rules(about, who, _operations(operation, producer, consumer))

    async def work(client: Client) -> None:
        await client.admin.create_acls(*acls)

    broker.run(work)
    _show(acls, as_json=False)


def _rules(about: Resources, who: Sequence[tuple[str, str, str]], operations: dict[str, Sequence[str]]) -> list[Acl]:
    from streams.admin import Acl

    return [
        Acl(
            resource_type=kind,
            name=name,
            pattern=about.pattern or "literal",
            principal=principal,
            host=host,
            operation=operation,
            permission=permission,
        )
        for kind, name in about.named
        for operation in operations.get(kind, ())
        for permission, principal, host in who
    ]


def _operations(operation: Sequence[str], producer: bool, consumer: bool) -> dict[str, Sequence[str]]:
    """The operations on each kind of resource."""
    if not producer and not consumer:
        return dict.fromkeys((*_NAMED, "cluster"), tuple(map(_snake, operation)) or ("all",))
    if operation:
        raise click.UsageError("--operation goes without --producer and --consumer, which say what is needed.")
    needs = [*(_PRODUCER.items() if producer else ()), *(_CONSUMER.items() if consumer else ())]
    found: dict[str, Sequence[str]] = {}
    for kind, names in needs:
        found[kind] = tuple(dict.fromkeys((*found.get(kind, ()), *names)))
    return found


@command.command()
@resources
@click.option("--allow-principal", "--deny-principal", "--principal", "principal", multiple=True, metavar="TYPE:NAME",
              help="Only rules about them.")  # fmt: skip
@click.option("--operation", multiple=True, metavar="NAME", help="Only these operations.")
@click.option("--force", is_flag=True, help="Do not ask.")
@broker_options
def remove(about: Resources, principal: Sequence[str], operation: Sequence[str], force: bool, broker: Reach) -> None:
    """Remove the rules that fit."""
    from msgspec.structs import replace

    if not about.named:
        raise click.UsageError("say what the rules are about: --topic, --group, --transactional-id or --cluster.")
    operations = [_snake(name) for name in operation] or ["any"]
    filters = [replace(acl, operation=name) for acl in about.filters("literal", principal) for name in operations]
    what = ", ".join(f"{kind} {name}" for kind, name in about.named)
    if not force and not click.confirm(f"Remove the rules about {what}?", err=True):
        raise click.ClickException("nothing was removed.")

    async def work(client: Client) -> list[Acl]:
        return [acl for match in filters for acl in await client.admin.delete_acls(match)]

    _show(broker.run(work), as_json=False)


def _snake(name: str) -> str:
    """
    >>> _snake("IdempotentWrite"), _snake("read")
    ('idempotent_write', 'read')
    """
    return "".join(f"_{letter}" if letter.isupper() and at else letter for at, letter in enumerate(name)).lower()


def _show(acls: Sequence[Acl], *, as_json: bool) -> None:
    import msgspec

    show([msgspec.to_builtins(acl) for acl in acls], as_json=as_json, none="(no rules)")
