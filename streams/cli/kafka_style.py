"""Commands that also take what Kafka's console tools take: `--create` for `create`, `--topic NAME` for NAME."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, TypeVar

import click

T = TypeVar("T")
Command = Callable[..., T]


class KafkaStyleGroup(click.Group):
    """`streams topics --create --topic flights` is `streams topics create --topic flights`.

    `KAFKA_NAMES` are actions that Kafka's tools call otherwise than we do.
    """

    KAFKA_NAMES: ClassVar[Mapping[str, str]] = {"--reset-offsets": "reset"}

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        names = {f"--{name}": name for name in self.commands} | dict(self.KAFKA_NAMES)
        action = next((arg for arg in args if names.get(arg) in self.commands), None)
        if action is not None:
            rest = list(args)
            rest.remove(action)
            args = [names[action], *rest]
        return super().parse_args(ctx, args)


def names_of(what: str, *, required: bool = True) -> Callable[[Command[T]], Command[T]]:
    """Decorates a command with names as arguments and as Kafka's option: `flights`, or `--topic flights`.

    The command is given them as a tuple, `topics`. Not one is a click.UsageError if they are `required`.
    """

    def decorate(command: Command[T]) -> Command[T]:
        @functools.wraps(command)
        def named(*, name: tuple[str, ...], option: tuple[str, ...], **rest: Any) -> T:
            if required and not name and not option:
                raise click.UsageError(f"name a {what}.")
            return command(**{f"{what}s": (*name, *option)}, **rest)

        help_text = f"The {what}, as Kafka's tools name it; may be repeated."
        with_option = click.option(f"--{what}", "option", multiple=True, metavar="NAME", help=help_text)(named)
        return click.argument("name", nargs=-1, metavar="[NAME]...")(with_option)

    return decorate


def one_topic(command: Command[T]) -> Command[T]:
    """Decorates a command that is about one topic: `flights`, or `--topic flights`. It is given `topic`."""

    @functools.wraps(command)
    def named(*, topic: str | None, option: str | None, **rest: Any) -> T:
        if (topic is None) == (option is None):
            raise click.UsageError("name a topic." if topic is None else "name one topic.")
        return command(topic=topic or option, **rest)

    with_option = click.option("--topic", "option", metavar="NAME", help="The topic, as Kafka's tools name it.")(named)
    return click.argument("topic", required=False)(with_option)


def show(rows: Iterable[dict[str, Any]], *, as_json: bool, none: str = "(none)") -> None:
    """Rows as a table, or one JSON object a line."""
    import msgspec

    from streams.cli.report import text_table

    rows = list(rows)
    if as_json:
        for row in rows:
            click.echo(msgspec.json.encode(row).decode())
    else:
        click.echo(text_table(rows, len(rows)) if rows else none)
