"""Groups of commands that also take their action as Kafka's console tools do: `--create`, `--list`, ..."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import click


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


def named(argument: Sequence[str], option: Sequence[str], what: str) -> list[str]:
    """What was named, as arguments or with Kafka's option. Raises click.UsageError for nothing."""
    found = [*argument, *option]
    if not found:
        raise click.UsageError(f"name a {what}.")
    return found


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
