"""What a worker shows, from the facts it tells."""

from __future__ import annotations

import io
import logging

import pytest
from rich.console import Console

from streams.cli.banner import banner
from streams.cli.live import LiveView
from streams.cli.report import text_table
from streams.cli.watchers import LogLines, explain
from streams.errors import StreamsError, UserCodeError
from streams.runtime.observer import Failed, Observer, Progress, Restoring, Started, Stopped

STARTED = Started(
    "shop", "embedded", "./shop-data", ("orders",), ("tills",), ("watch",), ("late",), 4, "exactly_once_v2"
)
PROGRESS = Progress(27004, 9000.0, commits=12, lag_records=100, stream_time_ms=0, elapsed_s=3.0)
STOPPED = Stopped("end", 27004, 12, 3.0)
ROWS = [{"carrier": f"C{n}", "flights": n * 1000} for n in range(30)]


def tell(observer: Observer) -> None:
    """The whole life of a worker."""
    observer.started(STARTED)
    for records, done in ((0, False), (500, False), (1000, True)):
        observer.restoring(Restoring("late", 0, records, 1000, done))
    observer.progress(PROGRESS)
    observer.ending()
    observer.stopped(STOPPED)


def test_log_lines(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    watcher = LogLines({"delays": lambda: ROWS})
    tell(watcher)
    assert caplog.messages[0] == "app      shop"
    assert "restored late-0: 1,000 records" in caplog.messages
    assert caplog.messages[-1] == "stopped at the end of the input: 27,004 records, 12 commits, 3.0 s"
    assert watcher.final == {"delays": ROWS}


def test_live_view_draws_bars_then_reports_then_the_rate() -> None:
    screen = io.StringIO()
    view = LiveView(
        {"delays": lambda: ROWS}, Console(file=screen, force_terminal=True, width=100, height=20, highlight=False)
    )
    tell(view)
    drawn = screen.getvalue()
    assert drawn.index("restoring late-0") < drawn.index("C29") < drawn.index("27,004 records, 9,000/s")
    assert "C0 " not in drawn  # a screen of 20 lines has no room for 30 rows


def test_failures_of_ours_are_told_in_a_sentence_and_others_with_their_traceback(
    caplog: pytest.LogCaptureFixture,
) -> None:
    LogLines({}).failed(Failed(StreamsError("the data folder is in use by process 12"), "0_3"))
    assert caplog.messages == ["task 0_3: the data folder is in use by process 12"]
    try:
        {}["AA"]
    except KeyError as error:
        told = explain(UserCodeError(error, step="watch", topic="flights", partition=0, offset=7))
    assert told.startswith("watch, flights-0 @ 7: KeyError: 'AA'") and "Traceback" in told


def test_a_table_says_how_many_rows_it_leaves_out() -> None:
    assert text_table(ROWS, 3).splitlines() == [
        "carrier  flights",
        "C27       27,000",
        "C28       28,000",
        "C29       29,000",
        "(27 rows before these)",
    ]
    assert text_table([]) == "(no rows)"


@pytest.mark.parametrize(
    ("workers", "says"),
    [
        (1, "4 tasks for at most 4 workers, exactly_once_v2, pid "),
        (3, "3 for 4 tasks, exactly_once_v2, pid "),
        (6, "6 for 4 tasks: at most 4 workers have work, exactly_once_v2, pid "),
    ],
)
def test_the_banner_says_how_many_workers_have_work(workers: int, says: str) -> None:
    heading, text = banner(STARTED._replace(workers=workers))[-1]
    assert heading == ("worker" if workers == 1 else "workers")
    assert text.startswith(says)
