"""A worker on a terminal: bars while stores catch up, then the app's reports and a rate line, redrawn in place."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars
from rich.table import Table

from streams.cli.banner import rate_line
from streams.cli.report import Row, as_rows, cell, is_number, tail
from streams.cli.watchers import SMALL_RESTORE_RECORDS, LogLines, Reports
from streams.runtime.observer import Progress, Restoring, Stopped

FRAME_LINES = 6  # heading, borders and the rate line around the rows of a report


class LiveView(LogLines):
    """Draws to standard error and only when something happens, so that no thread is needed."""

    def __init__(self, reports: Reports, console: Console | None = None) -> None:
        super().__init__(reports)
        self.console = console or Console(stderr=True, highlight=False)
        columns = (TextColumn("restoring {task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self.bars = Bars(*columns, console=self.console, auto_refresh=False)
        self.bar_of: dict[tuple[str, int], TaskID] = {}
        self.live = Live(console=self.console, auto_refresh=False, transient=True, redirect_stdout=sys.stdout.isatty())

    def restoring(self, event: Restoring) -> None:
        if event.records_total < SMALL_RESTORE_RECORDS:
            return
        place = (event.store, event.partition)
        if place not in self.bar_of:
            self.bar_of[place] = self.bars.add_task(f"{event.store}-{event.partition}", total=event.records_total)
        done = event.records_total if event.done else event.records
        self.bars.update(self.bar_of[place], completed=done)
        self._draw(self.bars)

    def progress(self, stats: Progress) -> None:
        reports = ((name, as_rows(report())) for name, report in self.reports.items())
        tables = [report_table(name, rows, self._room()) for name, rows in reports if rows]
        self._draw(Group(*tables, rate_line(stats)))

    def stopped(self, summary: Stopped) -> None:
        self.live.stop()
        super().stopped(summary)

    def _show_table(self, name: str, rows: Sequence[Row]) -> None:
        self.console.print(report_table(name, rows, self._room()))

    def _room(self) -> int:
        """Rows that each report may take so that all fit on the screen."""
        return max(3, self.console.height // max(1, len(self.reports)) - FRAME_LINES)

    def _draw(self, view: RenderableType) -> None:
        if not self.live.is_started:
            self.live.start()
        self.live.update(view, refresh=True)


def report_table(name: str, rows: Sequence[Row], count: int) -> Table:
    """The last rows of a report, numbers to the right."""
    shown, hidden = tail(rows, count)
    table = Table(title=f"{name} ({hidden:,} rows before these)" if hidden else name)
    for column in shown[0] if shown else ():
        table.add_column(column, justify="right" if is_number(shown[0][column]) else "left")
    for row in shown:
        table.add_row(*(cell(row.get(column)) for column in shown[0]))
    return table
