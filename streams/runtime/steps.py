"""The steps of commits, restores, rebalances and standbys by name, and a seam where a test may make any of them fail.

Exactly-once is a statement about what may happen between two of these steps; tests crash at each (`reach`), so a step
that is missing here is a step that was never tried.
"""

from __future__ import annotations

from collections.abc import Callable

COMMIT_STEPS = (
    "commit: emit and save",
    "commit: begin transaction",
    "commit: send changelog",
    "commit: send outputs",
    "commit: send offsets",
    "commit: end transaction",
    "commit: write stores",
    "commit: write a slice",
    "commit: done",
)

RESTORE_STEPS = (
    "restore: look at checkpoints",
    "restore: read changelog",
    "restore: write store",
    "restore: done",
)

REBALANCE_STEPS = (
    "assign: make tasks",
    "assign: open",
    "revoke: commit",
    "revoke: close",
    "revoke: join again",
)

STANDBY_STEPS = (
    "standby: follow",
    "standby: save",
    "standby: give",
)

_observers: list[Callable[[str], None]] = []


def reach(step: str) -> None:
    """Called as each step begins."""
    for observer in _observers:
        observer(step)


def on_step(observer: Callable[[str], None]) -> Callable[[], None]:
    """Calls `observer(step)` at each step; what it raises ends the worker there. Returns the way to take it away.

    >>> seen = []
    >>> forget = on_step(seen.append)
    >>> reach("commit: done"); forget(); reach("commit: done")
    >>> seen
    ['commit: done']
    """
    _observers.append(observer)
    return lambda: _observers.remove(observer)
