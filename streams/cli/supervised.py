"""The command `streams worker` with a supervisor: as the one that starts the others, and as one of them."""

from __future__ import annotations

import asyncio
import signal
import sys
from typing import TYPE_CHECKING

import click

from streams.cli.watchers import SAYS_IT_ALL, LogLines, explain
from streams.runtime.observer import Failed, Progress, Started, Stopped
from streams.supervisor.link import Link
from streams.supervisor.messages import Began, Broke, Closed, Moved

if TYPE_CHECKING:
    from streams.app import App
    from streams.config import Settings
    from streams.runtime.observer import Observer
    from streams.supervisor.supervisor import Crew


class ToldLines(LogLines):
    """Of one of several workers: what all would say, banner and rate and end, it tells its supervisor instead."""

    def __init__(self, link: Link) -> None:
        super().__init__({})
        self._link = link

    def started(self, info: Started) -> None:
        self._link.tell(Began(info))

    def progress(self, stats: Progress) -> None:
        self._link.tell_if_heard(Moved(stats))

    def failed(self, failure: Failed) -> None:
        super().failed(failure)
        self._link.tell(Broke(explain(failure.error).partition("\n")[0]))

    def stopped(self, summary: Stopped) -> None:
        self._link.tell(Closed(summary))


def work(app: App, link: Link, *, until_end: bool) -> int:
    """One of several workers; gives its exit code."""
    from streams.runtime.process import run

    return run(app, ToldLines(link), until_end=until_end, end=link, slot=link.number - 1, serves=False)


def report(app: App, *, as_json: bool) -> int:
    """The reports when all workers have ended; gives the exit code."""
    from streams.cli import FAILED, OK
    from streams.runtime.reporting import report

    watcher = LogLines(app.reports)
    try:
        asyncio.run(report(app, watcher, serves=False))
    except SAYS_IT_ALL as error:
        click.echo(f"Error: {error}", err=True)
        return FAILED
    watcher.show_final(as_json=as_json)
    return OK


def supervise(app: App, observer: Observer, workers: int, *, until_end: bool) -> int:
    """Several workers, by the command line of this process; gives the exit code."""
    from streams.supervisor.broker_process import command
    from streams.supervisor.supervisor import Crew

    broker = command(app.settings) if app.settings.broker == "embedded" else None
    same = [sys.executable, *sys.orig_argv[1:]]
    try:
        app.plan()  # what is wrong with it is said once, and not by each of them
        crew = Crew(workers, same, broker, until_end, bool(app.reports))
        return asyncio.run(_supervise(crew, observer, app.settings))
    except SAYS_IT_ALL as error:
        raise click.ClickException(str(error)) from error


async def _supervise(crew: Crew, observer: Observer, settings: Settings) -> int:
    from streams.runtime.signals import first_signal
    from streams.supervisor.scaling import give_up_seats
    from streams.supervisor.supervisor import Supervisor

    supervisor = Supervisor(
        crew,
        observer,
        out=click.echo,
        err=lambda line: click.echo(line, err=True),
        before=lambda: give_up_seats(settings, crew.workers),
    )
    loop = asyncio.get_running_loop()
    with first_signal(lambda: loop.call_soon_threadsafe(supervisor.stop), again=supervisor.kill) as received:
        code = await supervisor.run()
    return 130 if signal.SIGINT in received and code == 0 else code
