"""`windowed` with windows kept for size and grace, the default retention.

`python -m benchmarks windowed-short`. Windows that open, close and leave between two commits reach the output only,
so the changelog is not asked for every group here.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import windowed
from benchmarks.windowed import CLOCK, CLOSING, PEERS, N, answer, bound, expected, inputs
from benchmarks.workload import Answer, Inputs

if TYPE_CHECKING:
    from benchmarks.topics import Log
    from streams import App

__all__ = ["CLOCK", "CLOSING", "PEERS", "N", "answer", "app", "bound", "expected", "found", "inputs"]


def app(data_dir: Path) -> App:
    return windowed.app(data_dir, retention=None)


def found(log: Log, inputs: Inputs) -> Answer:
    return windowed.results(log)
