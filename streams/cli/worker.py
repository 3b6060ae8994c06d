"""`streams worker`: runs an app and shows how it goes."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from streams.cli.setting_flags import setting_flags

if TYPE_CHECKING:
    from streams.cli.watchers import LogLines, Reports


@click.command()
@click.argument("app")
@click.option(
    "--workers",
    type=click.IntRange(1),
    metavar="N",
    help="Run so many processes that share the app's partitions, and start again who dies.",
)
@click.option("--until-end", is_flag=True, help="Process what is there, then stop; open windows stay open.")
@click.option("--json", "as_json", is_flag=True, help="Write the app's last report to standard output as JSON lines.")
@setting_flags
def command(app: str, workers: int | None, until_end: bool, as_json: bool, **flags: Any) -> int:
    """Run APP (module:attribute) until it is interrupted, or to the end of its input.

    Everything goes to standard error; only --json writes to standard output. SIGTERM and Ctrl-C let it commit what it
    has done. Exit codes: 0 fine, 1 failed, 2 wrong usage, 130 interrupted.

    \b
    Example:
      streams worker examples.flights:app --until-end
    """
    from streams.cli.loading import load
    from streams.cli.logs import set_up
    from streams.errors import ConfigError
    from streams.supervisor.link import Link

    link = Link.from_environment()
    loaded = load(app)
    try:
        given = {name: value for name, value in flags.items() if value is not None}
        loaded.settings = loaded.settings.with_values(given, "flag")
    except ConfigError as error:
        raise click.UsageError(str(error)) from None
    set_up(loaded.settings.log_level, aside="broker_embedded")  # how its groups go is for who runs `streams broker`
    if link is not None:
        from streams.cli.supervised import report, work

        if link.number == 0:
            return report(loaded, as_json=as_json)
        return work(loaded, link, until_end=until_end)
    if workers is not None:
        from streams.cli.supervised import supervise

        return supervise(loaded, watcher_for({}), workers, until_end=until_end)
    from streams.runtime.process import run

    watcher = watcher_for(loaded.reports)
    code = run(loaded, watcher, until_end=until_end)
    watcher.show_final(as_json=as_json)
    return code


def watcher_for(reports: Reports) -> LogLines:
    """A live view if standard error is a terminal, else log lines."""
    if sys.stderr.isatty():
        from streams.cli.live import LiveView

        return LiveView(reports)
    from streams.cli.watchers import LogLines

    return LogLines(reports)
