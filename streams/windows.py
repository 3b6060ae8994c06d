"""Windows over event time: which windows a timestamp falls into, and when a window is closed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeAlias, TypeVar, overload

import msgspec

from streams.calendar_windows import CalendarWindow, UnlimitedWindow, Windows
from streams.durations import Duration, format_ms, to_ms
from streams.errors import ConfigError
from streams.keyed_windows import SessionWindow, SlidingWindow

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

K = TypeVar("K")


class Windowed(msgspec.Struct, Generic[K], frozen=True, order=True, array_like=True):
    """A key in one window; `start` and `end` in ms. The end is inclusive for sessions and sliding windows, else
    exclusive.

    >>> Windowed("AA", 0, 3_600_000)
    Windowed(key='AA', start=0, end=3600000)
    """

    key: K
    start: int
    end: int


@dataclass(frozen=True, slots=True, init=False, repr=False)
class HoppingWindow:
    """Windows [start, start + size) aligned to 1970, one every `step`; a record falls into up to ceil(size / step).

    A window takes records until stream time reaches its end + `grace`; then it is closed, and what still comes for it
    is late. Rules and alignment are those of Kafka's `TimeWindows`: no window starts before 1970, 0 < step <= size.

    >>> HoppingWindow("10m", step="5m", grace="1m")
    HoppingWindow('10m', step='5m', grace='1m')
    """

    size_ms: int
    step_ms: int
    grace_ms: int

    def __init__(self, size: Duration, step: Duration, grace: Duration = 0) -> None:
        size_ms, step_ms = to_ms(size, "size"), to_ms(step, "step")
        if size_ms == 0:
            raise ConfigError("a window needs a size of at least a millisecond.")
        if not 0 < step_ms <= size_ms:
            raise ConfigError(
                f"step={step!r} must be more than zero and no more than the size {size!r}: "
                "a longer step leaves gaps between the windows, and records in them would be lost."
            )
        object.__setattr__(self, "size_ms", size_ms)
        object.__setattr__(self, "step_ms", step_ms)
        object.__setattr__(self, "grace_ms", to_ms(grace, "grace"))

    def __repr__(self) -> str:
        grace = f", grace={format_ms(self.grace_ms)!r}" if self.grace_ms else ""
        return f"{type(self).__name__}({format_ms(self.size_ms)!r}{self._step_text}{grace})"

    @property
    def _step_text(self) -> str:
        return f", step={format_ms(self.step_ms)!r}"

    @property
    def retention_ms(self) -> int:
        """How long a window is of use, counted from its start: size + grace."""
        return self.size_ms + self.grace_ms

    def windows_for(self, timestamp: int) -> list[tuple[int, int]]:
        """(start, end) of every window that holds `timestamp` (ms), earliest first; none for a time before 1970.

        >>> HoppingWindow(10, step=5).windows_for(12_000)
        [(5000, 15000), (10000, 20000)]
        """
        size, step = self.size_ms, self.step_ms
        first = max(0, timestamp - size + step) // step * step
        return [(start, start + size) for start in range(first, timestamp + 1, step)]

    def assign(self, timestamps: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """`windows_for` on an array of ms: (row, window start) of every pair, by row, earliest window first.

        >>> import numpy as np
        >>> rows, starts = HoppingWindow(10, step=5).assign(np.array([2_000, 12_000]))
        >>> rows.tolist(), starts.tolist()
        ([0, 1, 1], [0, 5000, 10000])
        """
        import numpy as np

        size, step = self.size_ms, self.step_ms
        # No window is before 1970, and the least of times less a size would not fit.
        timestamps = np.maximum(timestamps, -1)
        last = timestamps // step * step
        first = np.maximum(0, timestamps - size + step) // step * step
        counts = np.maximum((last - first) // step + 1, 0)
        rows = np.repeat(np.arange(len(timestamps)), counts)
        nth = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
        return rows, first[rows] + nth * step

    @property
    def shape(self) -> list[object]:
        """What a store of such windows cannot do without."""
        return [self.size_ms, self.step_ms]

    def end(self, start: int) -> int:
        """The end of the window that starts there (ms), exclusive."""
        return start + self.size_ms

    def without(self, timestamps: npt.NDArray[np.int64]) -> int:
        """How many of the times (ms) are in no window: those before 1970."""
        return int((timestamps < 0).sum())

    @overload
    def closed_start(self, stream_time: int) -> int: ...
    @overload
    def closed_start(self, stream_time: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]: ...
    def closed_start(self, stream_time: int | npt.NDArray[np.int64]) -> int | npt.NDArray[np.int64]:
        """The latest start that is closed at `stream_time` (ms): every window that starts there or earlier is closed.
        An array gives one for each time in it.

        May lie between two windows, or before 1970.

        >>> TumblingWindow("10s").closed_start(20_000)
        10000
        """
        return stream_time - (self.grace_ms + self.size_ms)


@dataclass(frozen=True, slots=True, init=False, repr=False)
class TumblingWindow(HoppingWindow):
    """Windows [start, start + size) side by side, aligned to 1970: a record falls into exactly one.

    >>> TumblingWindow("1h", grace="10m").windows_for(3_700_000)
    [(3600000, 7200000)]
    """

    def __init__(self, size: Duration, grace: Duration = 0) -> None:
        HoppingWindow.__init__(self, size, size, grace)

    @property
    def _step_text(self) -> str:
        return ""

    def assign(self, timestamps: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """`windows_for` on an array of ms: (row, window start) of every record from 1970 on.

        >>> import numpy as np
        >>> TumblingWindow(10).assign(np.array([2_000, 12_000]))[1].tolist()
        [0, 10000]
        """
        import numpy as np

        rows = (
            np.arange(len(timestamps))
            if not len(timestamps) or timestamps.min() >= 0
            else np.flatnonzero(timestamps >= 0)
        )
        taken = timestamps if len(rows) == len(timestamps) else timestamps[rows]
        return rows, taken // self.size_ms * self.size_ms


AlignedWindow: TypeAlias = HoppingWindow | Windows
"""Windows that are where they are whatever records come: a time says which."""

Window: TypeAlias = AlignedWindow | SlidingWindow | SessionWindow

__all__ = [
    "AlignedWindow",
    "CalendarWindow",
    "HoppingWindow",
    "SessionWindow",
    "SlidingWindow",
    "TumblingWindow",
    "UnlimitedWindow",
    "Window",
    "Windowed",
    "Windows",
]
