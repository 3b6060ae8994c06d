"""What every workload module holds, and the comparison of answers.

A workload is a module of this folder: the app as a user would write it, the same work as a plain loop (`bound`), the
answer that the facts give (`expected`), and the answer that the app left behind (`found`).
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from benchmarks.data import Dataset

if TYPE_CHECKING:
    from benchmarks.topics import Log
    from streams import App

Answer = dict[Any, Any]
Inputs = Mapping[str, Dataset]  # the data set in each topic; the first is the one whose records are counted

MESSY = ("windowed", "windowed-short", "stateless", "stateless-python", "agent", "join", "keyed", "restore")
"""Those that do `messy` too; the other two take the time of single records."""
NAMES = (*MESSY, "start", "latency")
GRACE = "5s"  # `messy` is late by less
WINDOW_MS = 10_000


class WrongAnswerError(Exception):
    """A run whose answer differs from the one the facts give: no figure."""


@dataclass
class Void(WrongAnswerError):
    """A run that answered, and did not leave behind what it has to."""

    what: str
    missing: list[Any] = field(default_factory=list)

    def __str__(self) -> str:
        return f"void: {self.what}; {len(self.missing):,} missing, the first are {self.missing[:3]}"


class Workload(Protocol):
    """The names in a workload's module."""

    N: int  # records when not said otherwise
    PEERS: tuple[str, ...]  # the systems measured beside ours, unless others are asked for
    CLOSING: bool  # whether each partition ends with a record that closes its windows
    CLOCK: Literal["commits", "restore", "first-record", "latency"]  # what the time spans, see `benchmarks.measure`

    def inputs(self, dataset: str, n: int) -> Inputs:
        """The topics and what is in them."""

    def app(self, data_dir: Path) -> App:
        """The app under measurement."""

    def bound(self, inputs: Mapping[str, list[bytes]]) -> Any:
        """The same work as a loop over bytes in memory: this call is what the bound's clock spans."""

    def answer(self, done: Any) -> Answer:
        """The answer in what `bound` gave."""

    def expected(self, inputs: Inputs) -> Answer:
        """The answer by the facts."""

    def found(self, log: Log, inputs: Inputs) -> Answer:
        """The answer that the app left in its topics; raises `Void` if something else is missing there."""


def load(name: str) -> Workload:
    """The module of a workload.

    >>> load("windowed").N
    1000000
    """
    module: Any = importlib.import_module(f"benchmarks.{name.replace('-', '_')}")
    workload: Workload = module
    return workload


def memory_bytes(module: Workload, n: int) -> int | None:
    """What the stores may have in memory, where that is part of the workload."""
    limit: Callable[[int], int] | None = getattr(module, "memory_bytes", None)
    return limit and limit(n)


def outputs(module: Workload) -> tuple[str, ...]:
    """The topics of its results. A peer is to find them made, as the broker would make them with other settings."""
    found: tuple[str, ...] = getattr(module, "OUTPUTS", ())
    return found


def unique(pairs: Iterable[tuple[Any, Any]]) -> Answer:
    """The answer in pairs of key and value; a key that comes twice was emitted twice, which is wrong.

    >>> unique([("a", 1), ("a", 1)])
    Traceback (most recent call last):
    benchmarks.workload.WrongAnswerError: 'a' came more than once
    """
    answer: Answer = {}
    for key, value in pairs:
        if key in answer:
            raise WrongAnswerError(f"{key!r} came more than once")
        answer[key] = value
    return answer


def check(found: Answer, expected: Answer) -> None:
    """Compares answers exactly: sums add in record order in float64, so they have one right value.

    >>> check({"a": 1, "b": 2}, {"a": 1, "b": 3})
    Traceback (most recent call last):
    benchmarks.workload.WrongAnswerError: 1 of 2 entries differ; the first is 'b': found 2, expected 3
    """
    if found == expected:
        return
    wrong = [key for key in expected if key not in found or found[key] != expected[key]]
    wrong += [key for key in found if key not in expected]
    first = wrong[0]
    raise WrongAnswerError(
        f"{len(wrong):,} of {len(expected):,} entries differ; the first is {first!r}: "
        f"found {found.get(first, 'nothing')!r}, expected {expected.get(first, 'nothing')!r}"
    )
