"""Who watches a worker for the command line: plain log lines. `live.py` is the same on a terminal."""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence

import click

from broker_embedded.lock import FolderInUseError
from state.api import StateError
from streams.cli.banner import banner, dropped_line, rate_line, restoring_line, summary_line
from streams.cli.report import Row, as_rows, json_lines, text_table
from streams.errors import StreamsError, TaskFailedError, UserCodeError
from streams.runtime.observer import Failed, Progress, Restoring, Silent, Started, Stopped
from streams.transport.contract import NotAllowedError

Reports = Mapping[str, Callable[[], Iterable[object]]]

SMALL_RESTORE_RECORDS = 1_000  # over before anybody has read a line about it
LINE_EVERY_S = 10.0  # as often as Kafka Streams logs its restore

SAYS_IT_ALL = (StreamsError, StateError, FolderInUseError)
"""Errors whose message needs no traceback beside it."""

_RIGHTS = (
    "With ID for the app's id, its workers need: on topics that begin with ID- Create, Describe, DescribeConfigs, "
    "Read, Write and Delete; on the app's own topics Read or Write; on the group ID Read; on transactional ids that "
    "begin with ID- Describe and Write. `streams acls add` gives them."
)

log = logging.getLogger("streams.worker")


class LogLines(Silent):
    """Banner, restore and rate as log lines; keeps the last reports in `final`."""

    def __init__(self, reports: Reports) -> None:
        self.reports = reports
        self.final: dict[str, Sequence[Row]] = {}
        self._next_line_at = 0.0

    def started(self, info: Started) -> None:
        for heading, text in banner(info):
            log.info("%-8s %s", heading, text)

    def restoring(self, event: Restoring) -> None:
        if event.records_total >= SMALL_RESTORE_RECORDS and (event.done or self._is_due()):
            log.info(restoring_line(event))

    def progress(self, stats: Progress) -> None:
        if self._is_due():
            log.info(rate_line(stats))

    def failed(self, failure: Failed) -> None:
        where = f"task {failure.task}: " if failure.task else ""
        log.error("%s%s", where, explain(failure.error))

    def ending(self) -> None:
        self.final = {name: as_rows(report()) for name, report in self.reports.items()}

    def stopped(self, summary: Stopped) -> None:
        log.info(summary_line(summary))
        if summary.dropped:
            log.warning(dropped_line(summary.dropped))

    def show_final(self, *, as_json: bool) -> None:
        """Writes the last reports: to standard output as JSON lines, or as tables to standard error."""
        if as_json:
            click.echo(json_lines(self.final), nl=False)
        else:
            for name, rows in self.final.items():
                self._show_table(name, rows)

    def _show_table(self, name: str, rows: Sequence[Row]) -> None:
        click.echo(f"\n{name}\n{text_table(rows)}", err=True)

    def _is_due(self) -> bool:
        now = time.monotonic()
        if now < self._next_line_at:
            return False
        self._next_line_at = now + LINE_EVERY_S
        return True


def explain(error: BaseException) -> str:
    """What a failure says: the message of an error of ours and the traceback of what the user's code raised.

    >>> explain(StreamsError("the data folder is in use by process 12"))
    'the data folder is in use by process 12'
    """
    if isinstance(error, NotAllowedError):
        return f"{error}. {_RIGHTS}"
    if isinstance(error, UserCodeError | TaskFailedError) and not isinstance(error.__cause__, SAYS_IT_ALL):
        return f"{error}\n{trace(error.__cause__)}"
    return str(error) if isinstance(error, SAYS_IT_ALL) else trace(error)


def trace(error: BaseException | None) -> str:
    return "".join(traceback.format_exception(error)).rstrip()
