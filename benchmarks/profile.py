"""A sampling profiler for a run in this process: where the processor time of the main thread goes.

`python -m benchmarks windowed --profile` samples our worker about a thousand times a second of its own processor time
(SIGPROF) and prints tables by package, by function and by line. Time inside a compiled call (msgspec, numpy, RocksDB)
is booked on the Python line that made it, since a signal handler runs when the interpreter gets to it. The stacks go to
a file in the collapsed form that speedscope and flamegraph.pl read.
"""

from __future__ import annotations

import linecache
import signal
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import FrameType

INTERVAL_S = 0.001
Place = tuple[str, int, str]  # file, line, function
Stack = tuple[Place, ...]  # outermost first
Namer = Callable[[Place], str]

_ROOTS = ("site-packages/", f"lib/python{sys.version_info.major}.{sys.version_info.minor}/", "main/")


class Sampler:
    """Samples between `start` and `stop`; main thread only, where Python runs signal handlers.

    >>> sampler = Sampler()
    >>> sampler.start(); sampler.stop()
    >>> sampler.samples >= 0
    True
    """

    def __init__(self) -> None:
        self.stacks: Counter[Stack] = Counter()

    @property
    def samples(self) -> int:
        return self.stacks.total()

    def start(self) -> None:
        signal.signal(signal.SIGPROF, self._sample)
        signal.siginterrupt(signal.SIGPROF, False)
        signal.setitimer(signal.ITIMER_PROF, INTERVAL_S, INTERVAL_S)

    def stop(self) -> None:
        signal.setitimer(signal.ITIMER_PROF, 0)

    def _sample(self, _signal: int, frame: FrameType | None) -> None:
        stack: list[Place] = []
        while frame is not None:
            stack.append((frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_qualname))
            frame = frame.f_back
        self.stacks[tuple(reversed(stack))] += 1

    def report(self, top: int = 30) -> str:
        """The tables as text: share of samples in a place itself, and with what it calls."""
        sections = [f"{self.samples:,} samples of {INTERVAL_S * 1000:g} ms of processor time"]
        for title, keep in (("package", _package), ("function", _function), ("line", _line)):
            itself, within = self._shares(keep)
            sections.append(f"\n{'itself':>7} {'within':>7}  {title}")
            for name, count in itself.most_common(top):
                sections.append(f"{count / self.samples:7.1%} {within[name] / self.samples:7.1%}  {name}")
            if title == "function":
                sections.append("\n        within  function, by what it calls")
                sections += [f"        {count / self.samples:6.1%}  {name}" for name, count in within.most_common(top)]
        return "\n".join(sections)

    def write(self, path: Path) -> None:
        """The stacks in collapsed form: `outer;inner count` a line."""
        with path.open("w", encoding="utf-8") as file:
            for stack, count in self.stacks.most_common():
                file.write(f"{';'.join(_function(place) for place in stack)} {count}\n")

    def _shares(self, keep: Namer) -> tuple[Counter[str], Counter[str]]:
        itself: Counter[str] = Counter()
        within: Counter[str] = Counter()
        for stack, count in self.stacks.items():
            itself[keep(stack[-1])] += count
            for name in {keep(place) for place in stack}:
                within[name] += count
        return itself, within


def _short(file: str) -> str:
    for root in _ROOTS:
        if root in file:
            return file.rpartition(root)[2]
    return file


def _package(place: Place) -> str:
    parts = _short(place[0]).removesuffix(".py").split("/")
    return "/".join(parts[:2])


def _function(place: Place) -> str:
    return f"{_short(place[0])}:{place[2]}"


def _line(place: Place) -> str:
    return f"{_short(place[0])}:{place[1]}  {linecache.getline(place[0], place[1]).strip()[:100]}"
