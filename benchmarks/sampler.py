"""A sampling profiler for a run in this process: where processor time goes, in all threads.

Looks at the process three hundred times a second (SIGALRM). A sample weighs as much processor time as its thread took
since the one before: a signal that arrives within a long compiled call is handled once, when the call is over. Time
inside other libraries, compiled (msgspec, numpy, RocksDB) or not, is booked on the line of this repository that
called them; the package table alone tells them apart. So is time in our own compiled functions. What threads without
any Python take (RocksDB's flushes and compactions) is known as a sum only: all processor time that is nobody else's.
So the layers add up to what the process took, less the looking.
"""

from __future__ import annotations

import linecache
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from streams.kernels.compiled.native import Native

INTERVAL_S = 0.003  # of wall time; a thousandth makes the work itself slower by a fifth
ROOT = f"{Path(__file__).resolve().parents[1]}/"
Place = tuple[str, int, str]  # file, line, function
Stack = tuple[Place, ...]  # outermost first
Namer = Callable[[Stack], set[str]]

NATIVE_THREADS = "threads of RocksDB"
EVENT_LOOP = "event loop"

# Of a stack, from the inside out, the first file that is in here says which layer it is; "" leaves it to who called.
LAYERS = {
    "streams/transport/kafka/sender": "produce",
    "streams/transport/kafka/outbox": "produce",
    "streams/transport/kafka/producer": "produce",
    "streams/transport/embedded/producer": "produce",
    "streams/transport": "fetch",
    "streams/runtime/queue": "fetch",
    "streams/runtime/fetch": "fetch",
    "broker_embedded/records/encoder": "encode",
    "broker_embedded/records/decoder": "parse",
    "broker_embedded/records": "",
    "broker_embedded/wire": "",
    "broker_embedded": "broker",
    "streams/operators/sources": "parse",
    "streams/serde/json_columns": "parse",
    "streams/serde/json_writer": "encode",
    "streams/serde": "",
    "streams/operators/encoding": "encode",
    "streams/operators/column_encoding": "encode",
    "streams/operators/outputs": "encode",
    "streams/lane": "encode",
    "streams/partitioner": "encode",
    "streams/kernels/compiled/json_parser": "parse",
    "streams/kernels/compiled/json_writer": "encode",
    "streams/kernels/compiled/decimals": "encode",
    "streams/kernels/compiled/partitioner": "encode",
    "streams/kernels/compiled/record_writer": "encode",
    "streams/kernels/compiled/native": "",
    "streams/kernels": "kernel",
    "streams/expressions": "kernel",
    "streams/spans": "",
    "streams/columns": "",
    "streams/faces": "",
    "streams/operators": "operators",
    "streams/batch": "operators",
    "state/layers/logged": "changelog",
    "state": "state",
    "streams/runtime/commit": "commit",
    "streams/runtime": "loop",
    "benchmarks/worker": "loop",
    "benchmarks": "the app's own code",
}

_LIBRARIES = ("site-packages/", f"lib/python{sys.version_info.major}.{sys.version_info.minor}/")


class Sampler:
    """Samples between `start` and `stop`, both in the main thread, where Python runs signal handlers.

    `stacks` holds nanoseconds of processor time, `waits` those that the main thread waited, by `phase`: what a worker
    was last known to begin.

    >>> sampler = Sampler()
    >>> sampler.start(); sampler.stop()
    >>> sampler.total_ns >= 0
    True
    """

    def __init__(self) -> None:
        self.stacks: Counter[Stack] = Counter()
        self.waits: Counter[str] = Counter()
        self.phase = "begin"
        self.native_ns = self.process_ns = 0
        self.seconds = 0.0
        self._main = threading.get_ident()
        self._last_ns: dict[int, int] = {}  # by thread
        self._looks = False
        self._looked_ns = 0
        self._began_ns = (0, 0)  # of the clock on the wall, of the process
        self._looked_at_ns = 0

    @property
    def total_ns(self) -> int:
        """Processor time of the process, less the looking."""
        return self.stacks.total() + self.native_ns

    def start(self) -> None:
        self._began_ns = time.perf_counter_ns(), time.process_time_ns()
        self._looked_at_ns = self._began_ns[0]
        self._last_ns = {thread: _thread_ns(thread) for thread in sys._current_frames()}
        signal.signal(signal.SIGALRM, self._sample)
        signal.siginterrupt(signal.SIGALRM, False)
        signal.setitimer(signal.ITIMER_REAL, INTERVAL_S, INTERVAL_S)

    def stop(self) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        self._sample(0, sys._getframe())
        self.seconds = (time.perf_counter_ns() - self._began_ns[0]) / 1e9
        self.process_ns = time.process_time_ns() - self._began_ns[1]
        self.native_ns = max(0, self.process_ns - self.stacks.total() - self._looked_ns)

    def _sample(self, _signal: int, frame: FrameType | None) -> None:
        if self._looks:  # a signal that came while another was handled
            return
        self._looks = True
        began_ns, at_ns = time.thread_time_ns(), time.perf_counter_ns()
        self.waits[self.phase] += max(0, at_ns - self._looked_at_ns - (began_ns - self._last_ns[self._main]))
        self._book(self._main, frame, began_ns)
        if threading.active_count() > 1:
            for thread, other in sys._current_frames().items():
                if thread != self._main:
                    self._book(thread, other, _thread_ns(thread))
        self._last_ns[self._main] = ended_ns = time.thread_time_ns()
        self._looked_ns += ended_ns - began_ns
        self._looked_at_ns = time.perf_counter_ns()
        self._looks = False

    def _book(self, thread: int, frame: FrameType | None, ns: int) -> None:
        """What a thread has taken since it was last looked at is where it is now."""
        spent_ns = ns - self._last_ns.get(thread, 0)
        self._last_ns[thread] = ns
        if spent_ns <= 0:
            return
        stack = [_compiled(frame)] if frame is not None and frame.f_code is Native.__call__.__code__ else []
        while frame is not None:
            code = frame.f_code
            stack.append((code.co_filename, frame.f_lineno or code.co_firstlineno, code.co_qualname))
            frame = frame.f_back
        self.stacks[tuple(reversed(stack))] += spent_ns

    def layers(self) -> dict[str, float]:
        """Seconds of processor time by layer, the largest first; they add up to the total."""
        spent: Counter[str] = Counter({NATIVE_THREADS: self.native_ns})
        for stack, ns in self.stacks.items():
            spent[layer(stack)] += ns
        return {name: ns / 1e9 for name, ns in spent.most_common() if ns}

    def report(self, records: int, top: int = 30) -> str:
        """The tables as text: a place's share of the samples itself, and together with what it calls."""
        tables = [
            self.by_layer(records),
            self._table("itself   package", top, lambda stack: {_package(stack[-1])}),
            self._table("itself   function", top, lambda stack: {_function(_innermost(stack))}),
            self._table("itself   line", top, lambda stack: {_line(_innermost(stack))}),
            self._table("within   function", 2 * top, lambda stack: {_function(p) for p in stack if _ours(p)}),
        ]
        return "\n\n".join(tables)

    def by_layer(self, records: int) -> str:
        """Share, and microseconds a record."""
        total = self.total_ns / 1e9
        rows = [f"{s / total:7.1%} {1e6 * s / records:8.3f} us  {name}" for name, s in self.layers().items()]
        last = f" 100.0% {1e6 * total / records:8.3f} us  processor time of all, in {self.seconds:.2f} s on the wall"
        waits = [f"{ns / 1e9:7.2f} s  after {phase}" for phase, ns in self.waits.most_common() if ns >= 1e7]
        waited = "waiting (for answers, the disk, a processor)" if waits else ""
        return "\n".join(["  share   a record  layer", *rows, last, waited, *waits]).rstrip()

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
    return EVENT_LOOP


def _compiled(frame: FrameType) -> Place:
    """The compiled function that a frame has called: itself it has none."""
    code = frame.f_locals["self"].function.__code__
    return code.co_filename, code.co_firstlineno, code.co_qualname


def _thread_ns(thread: int) -> int:
    """Processor time of a thread that lives."""
    return time.clock_gettime_ns(time.pthread_getcpuclockid(thread))


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
