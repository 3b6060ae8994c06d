"""A sampling profiler for a run in this process: where the main thread's processor time goes.

`python -m benchmarks profile windowed` looks at our worker a thousand times a second (SIGALRM) and prints tables by
layer, package, function and line. A sample weighs as much processor time as went by since the one before: a signal that
arrives within a long compiled call is handled once, when the call is over. Time inside other libraries, compiled
(msgspec, numpy, RocksDB) or not, is booked on the line of this repository that called them; the package table alone
tells them apart. The stacks go to a file in the collapsed form that speedscope and flamegraph.pl read.
"""

from __future__ import annotations

import linecache
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import FrameType

INTERVAL_S = 0.001  # of wall time: timers of processor time tick with the kernel, every 4 ms
ROOT = f"{Path(__file__).resolve().parents[1]}/"
Place = tuple[str, int, str]  # file, line, function
Stack = tuple[Place, ...]  # outermost first
Namer = Callable[[Stack], set[str]]

# Of a stack, from the inside out, the first file that is in here says which layer it is.
LAYERS = {
    "streams/transport/kafka/sender": "produce",
    "streams/transport/kafka/outbox": "produce",
    "streams/transport/kafka/producer": "produce",
    "streams/transport/embedded/producer": "produce",
    "streams/transport": "fetch",
    "streams/runtime/queue": "fetch",
    "broker_embedded/records/encoder": "encode",
    "broker_embedded/records/decoder": "parse",
    "broker_embedded/records": "",  # used by both: whoever calls it says
    "broker_embedded": "broker",
    "streams/operators/sources": "parse",
    "streams/operators/encoding": "encode",
    "streams/operators/outputs": "encode",
    "streams/lane": "encode",
    "streams/partitioner": "encode",
    "streams/operators": "work",
    "streams/kernels": "work",
    "streams/expressions": "work",
    "state/layers/logged": "changelog",
    "state": "state",
    "streams/runtime/commit": "commit",
    "streams/runtime": "runtime",
    "benchmarks": "benchmark",
}

_LIBRARIES = ("site-packages/", f"lib/python{sys.version_info.major}.{sys.version_info.minor}/")


class Sampler:
    """Samples between `start` and `stop`; main thread only, where Python runs signal handlers.

    `stacks` holds nanoseconds.

    >>> sampler = Sampler()
    >>> sampler.start(); sampler.stop()
    >>> sampler.total_ns >= 0
    True
    """

    def __init__(self) -> None:
        self.stacks: Counter[Stack] = Counter()
        self._last_ns = 0

    @property
    def total_ns(self) -> int:
        return self.stacks.total()

    def start(self) -> None:
        self._last_ns = time.thread_time_ns()
        signal.signal(signal.SIGALRM, self._sample)
        signal.siginterrupt(signal.SIGALRM, False)
        signal.setitimer(signal.ITIMER_REAL, INTERVAL_S, INTERVAL_S)

    def stop(self) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)

    def _sample(self, _signal: int, frame: FrameType | None) -> None:
        spent_ns = time.thread_time_ns() - self._last_ns
        stack: list[Place] = []
        while frame is not None:
            code = frame.f_code
            stack.append((code.co_filename, frame.f_lineno or code.co_firstlineno, code.co_qualname))
            frame = frame.f_back
        self.stacks[tuple(reversed(stack))] += spent_ns
        self._last_ns = time.thread_time_ns()  # after the look itself, which costs what nobody asked for

    def report(self, top: int = 30) -> str:
        """The tables as text: a place's share of the samples itself, and together with what it calls."""
        tables = [
            f"{self.total_ns / 1e9:.2f} s of processor time",
            self._table("itself   layer", top, lambda stack: {layer(stack)}),
            self._table("itself   package", top, lambda stack: {_package(stack[-1])}),
            self._table("itself   function", top, lambda stack: {_function(_innermost(stack))}),
            self._table("itself   line", top, lambda stack: {_line(_innermost(stack))}),
            self._table("within   function", 2 * top, lambda stack: {_function(p) for p in stack if _ours(p)}),
        ]
        return "\n\n".join(tables)

    def _table(self, title: str, top: int, names_of: Namer) -> str:
        spent: Counter[str] = Counter()
        for stack, ns in self.stacks.items():
            for name in names_of(stack):
                spent[name] += ns
        return "\n".join([title, *(f"{ns / self.total_ns:7.1%}  {name}" for name, ns in spent.most_common(top))])

    def write(self, path: Path) -> None:
        """The stacks in collapsed form: `outer;inner microseconds` a line."""
        collapsed: Counter[str] = Counter()
        for stack, ns in self.stacks.items():
            collapsed[";".join(_function(place) for place in stack)] += ns // 1000
        path.write_text("".join(f"{line} {us}\n" for line, us in collapsed.most_common()), encoding="utf-8")


def layer(stack: Stack) -> str:
    """The layer of `LAYERS` that a stack is in."""
    for place in reversed(stack):
        file = place[0].removeprefix(ROOT)
        found = next((layer for prefix, layer in LAYERS.items() if file.startswith(prefix)), "")
        if found:
            return found
    return "event loop"


def _ours(place: Place) -> bool:
    return place[0].startswith(ROOT) and not place[0].startswith(f"{ROOT}.")


def _innermost(stack: Stack) -> Place:
    return next((place for place in reversed(stack) if _ours(place)), stack[-1])


def _short(file: str) -> str:
    for library in _LIBRARIES:
        if library in file:
            return file.rpartition(library)[2]
    return file.removeprefix(ROOT)


def _package(place: Place) -> str:
    return "/".join(_short(place[0]).removesuffix(".py").split("/")[:2])


def _function(place: Place) -> str:
    return f"{_short(place[0])}:{place[2]}"


def _line(place: Place) -> str:
    return f"{_short(place[0])}:{place[1]}  {linecache.getline(place[0], place[1]).strip()[:110]}"
