"""`stateless` with the values made by a function of Python's, called for each record.

`python -m benchmarks stateless-python`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import stateless
from benchmarks.stateless import CLOCK, CLOSING, OUTPUTS, PEERS, N, answer, bound, expected, found, inputs

if TYPE_CHECKING:
    from streams import App

__all__ = ["CLOCK", "CLOSING", "OUTPUTS", "PEERS", "N", "answer", "app", "bound", "expected", "found", "inputs"]


def app(data_dir: Path) -> App:
    from benchmarks.event import Event

    def double(event: Event) -> Event:
        return Event(event.user, event.ts, (event.amount or 0.0) * 2)

    return stateless.app(data_dir, double)
