"""When a process that has died is started again."""

from __future__ import annotations

import signal
from dataclasses import dataclass

FIRST_WAIT_S = 0.1
LONGEST_WAIT_S = 10.0
LONG_RUN_S = 10.0
"""Who has run for so long has been well: what ends it then is a new trouble."""
FAILURES_MAX = 5
"""So many failures in a row, each soon after its start, and another try makes no sense."""

_FROM_OUTSIDE = {0, *(-number for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP))}
"""Exit codes of a process that somebody else has ended: not its failure, however often."""


@dataclass(slots=True)
class Restarts:
    """The restarts of one process: a wait that doubles, and begins anew after a long run.

    >>> restarts = Restarts()
    >>> [restarts.wait_s(code=1, ran_s=0.5) for _ in range(5)]
    [0.1, 0.2, 0.4, 0.8, None]
    >>> Restarts().wait_s(code=-9, ran_s=3600.0)
    0.1
    """

    deaths: int = 0
    failures: int = 0

    def wait_s(self, *, code: int, ran_s: float) -> float | None:
        """For how long to wait after a death; None to give up. `code` is negative for a signal, as in `subprocess`."""
        if ran_s >= LONG_RUN_S:
            self.deaths = self.failures = 0
        self.deaths += 1
        self.failures = 0 if code in _FROM_OUTSIDE else self.failures + 1
        if self.failures >= FAILURES_MAX:
            return None
        return min(LONGEST_WAIT_S, FIRST_WAIT_S * float(2 ** (self.deaths - 1)))


def how(code: int) -> str:
    """An exit code in words.

    >>> how(1), how(-9)
    ('exit code 1', 'SIGKILL')
    """
    if code >= 0:
        return f"exit code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"
