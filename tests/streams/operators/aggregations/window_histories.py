"""Random histories of records by key, with cuts, commits, stops and crashes; and a model for each kind of window.

A model is Kafka's rule in plain Python, a record at a time, with nothing but dicts and lists.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from streams.windows import Windowed

Row = tuple[Any, Any, int]
Out = tuple[Any, Any, int]

_LONG_AGO = -(2**60)


@st.composite
def histories(draw: st.DrawFn, latest: int = 60) -> tuple[list[Row], list[tuple[int, str]]]:
    """Rows, and what happens behind some of them: (number of rows before it, cut, commit, stop or crash)."""
    row = st.tuples(st.sampled_from(["a", "b", None]), st.sampled_from([None, 1, 2, 5]), st.integers(0, latest))
    rows = draw(st.lists(row, max_size=30))
    events = st.tuples(st.integers(0, len(rows)), st.sampled_from(["cut", "commit", "crash", "stop"]))
    return rows, sorted(draw(st.lists(events, max_size=8)))


def run(
    made: Any, rows: list[Row], events: list[tuple[int, str]], read: Callable[[Any], Any] = lambda value: value
) -> list[Out]:
    """Committed rows that come out, each value as `read`. A crash goes back to the last commit: its rows come again."""
    out: list[Any] = []
    waiting: list[Any] = []
    at = committed = 0
    for upto, event in [*events, (len(rows), "commit")]:
        waiting += made.send(*rows[at:upto])
        at = max(at, upto)
        if event in ("commit", "stop"):
            waiting += made.commit()
            out, waiting, committed = out + waiting, [], at
        if event in ("crash", "stop"):
            made.restart()
            waiting, at = [], committed
    return [(row.key, read(row.value), row.timestamp) for row in out]


@dataclass
class Model:
    """What all kinds share: when results leave, and what a table's reader knows of each window."""

    grace: int
    emit: str
    retention: int
    time: int = _LONG_AGO
    put: int = _LONG_AGO
    late: int = 0
    windows: dict[tuple[str, int, int], tuple[Any, int]] = field(default_factory=dict)
    known: set[tuple[str, int, int]] = field(default_factory=set)
    changed: dict[tuple[str, int, int], int] = field(default_factory=dict)
    closed: set[tuple[str, int, int]] = field(default_factory=set)

    def take(self, key: str, value: Any, time: int) -> list[Out]:
        self.time = max(self.time, time)
        out = self.fold(key, value, time)
        return (out if self.emit == "update" else []) + (self.close() if self.emit == "close" else [])

    def fold(self, key: str, value: Any, time: int) -> list[Out]:
        raise NotImplementedError

    def is_closed(self, start: int, end: int) -> bool:
        raise NotImplementedError

    def kept_by(self, start: int, end: int) -> int:
        """The time by which a window goes."""
        return start

    def met(self, key: str) -> list[tuple[int, int]]:
        """Windows of a key that the store still has, earliest first."""
        gone = self.put - self.retention
        found = [(start, end) for k, start, end in self.windows if k == key and self.kept_by(start, end) > gone]
        return sorted(found)

    def set(self, key: str, start: int, end: int, state: Any, time: int) -> Out:
        self.put = max(self.put, self.kept_by(start, end))
        name = key, start, end
        if state is None:
            self.windows.pop(name, None)
        else:
            self.windows[name] = state, time
        self.changed.pop(name, None)
        self.changed[name] = time
        return Windowed(*name), state, time

    def close(self) -> list[Out]:
        order: Callable[[Any], Any] = lambda name: (self.kept_by(name[1], name[2]), name[1], name[0])  # noqa: E731
        done = sorted((n for n in self.windows if self.is_closed(n[1], n[2]) and n not in self.closed), key=order)
        self.closed.update(done)
        return [(Windowed(*name), *self.windows[name]) for name in done]

    def commit(self) -> list[Out]:
        changed, self.changed = self.changed, {}
        out: list[Out] = []
        for name, time in changed.items():
            if self.emit == "commit" and (name in self.windows or name in self.known):
                out.append((Windowed(*name), *self.windows.get(name, (None, time))))
        self.known = set(self.windows)
        return out


def expected(model: Model, rows: list[Row], events: list[tuple[int, str]]) -> list[Out]:
    out: list[Out] = []
    commits = [*(at for at, event in events if event in ("commit", "stop")), len(rows)]
    for at in range(len(rows) + 1):
        for _ in range(commits.count(at)):
            out += model.commit()
        if at < len(rows) and rows[at][0] is not None and rows[at][1] is not None:
            out += model.take(*rows[at])
    return out
