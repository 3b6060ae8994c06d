"""The command `streams`. One file per command; `streams --help` loads none of them."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

import click

# Name of the command and of its module here -> the line in `streams --help`.
COMMANDS = {
    "worker": "Run an app.",
    "broker": "Run the built-in broker alone.",
    "topics": "Make, list, describe, alter and delete topics.",
    "produce": "Write lines to a topic.",
    "consume": "Read a topic.",
    "groups": "List, describe, reset and delete groups.",
    "configs": "Look at configs of topics, brokers, groups and users, and change them.",
    "acls": "List, add and remove rules of access.",
    "topology": "Show the graph of an app.",
    "explain": "Say which steps of an app run on columns.",
    "reset": "Let an app begin anew, or remove one of its stores.",
    "compile": "Compile the hot loops ahead of time (extra fast).",
    "config": "Show settings and where each value comes from.",
}
OK, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130


class LazyGroup(click.Group):
    """Commands that are imported when they are called, not when they are listed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"streams.cli.{cmd_name}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            from streams.errors import did_you_mean

            raise click.UsageError(f"{error.message}{did_you_mean(args[0], COMMANDS)}", ctx) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.version_option(package_name="streams-engine", prog_name="streams")
def streams() -> None:
    """Stream processing with a broker built in: run apps, run the broker, look at both.

    \b
    Example:
      streams worker examples.flights:app --until-end
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs a command line and exits: 0 fine, 1 failed, 2 wrong usage, 130 interrupted."""
    sys.exit(run(arguments))


def run(arguments: Sequence[str] | None = None) -> int:
    """Runs a command line and gives its exit code.

    >>> run(["topology"])
    2
    """
    try:
        code = streams.main(args=arguments, prog_name="streams", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("Interrupted.", err=True)
        return INTERRUPTED
    return code if isinstance(code, int) else OK
