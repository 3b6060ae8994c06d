"""Which windows records go to, and which of those are closed when they come."""

from __future__ import annotations

from streams.kernels.compiled.native import native


@native(
    times="int64s", count="count", size="count", step="count", keep="count", bound="count", idle="count",
    no_time="count", clock="int64s", rows="int64s", starts="int64s",
)  # fmt: skip
def assign(times, count, size, step, keep, bound, idle, no_time, clock, rows, starts):  # type: ignore[no-untyped-def]
    """(row, window start) of the windows of `size`, one every `step`, that take each record: `HoppingWindow.assign`
    without those that are closed; how many.

    A window takes records until `keep` after its start. Time is the largest timestamp so far, no more than `bound` and
    no less than `idle`; `clock` has [largest timestamp, latest start that is closed], then gets how many pairs were
    late, how many records are in no window, and the latest start that is closed after the last record.
    """
    observed, closed_to = clock[0], clock[1]
    late, without, pairs = 0, 0, 0
    window = 0  # the last start, so that few times are divided
    for row in range(count):
        time = times[row]
        observed = max(observed, time)
        now = min(observed, bound)
        if observed > no_time:
            now = max(now, idle)
        closed_to = max(closed_to, now - keep)
        if time < 0:
            without += 1
            continue
        if time < window or time - window >= step:
            window = time // step * step
        first = window
        if size > step:
            first = max(0, time - size + step) // step * step
        for start in range(first, window + 1, step):
            if start <= closed_to:
                late += 1
            else:
                rows[pairs] = row
                starts[pairs] = start
                pairs += 1
    clock[0], clock[1], clock[2], clock[3] = observed, closed_to, late, without
    return pairs


@native(slots="int64s", rows="int64s", pairs="count", times="int64s", timestamps="int64s", dirty="bytes")
def touch(slots, rows, pairs, times, timestamps, dirty):  # type: ignore[no-untyped-def]
    """Slots get the largest timestamp of what is folded into them, and are marked."""
    for pair in range(pairs):
        slot = slots[pair]
        timestamps[slot] = max(timestamps[slot], times[rows[pair]])
        dirty[slot] = 1
    return 0


@native(slots="int64s", pairs="count", marked="bytes", found="int64s")
def newly(slots, pairs, marked, found):  # type: ignore[no-untyped-def]
    """Marks slots; those that were not marked go into `found`, in the order in which they come; how many those are."""
    new = 0
    for pair in range(pairs):
        slot = slots[pair]
        if not marked[slot]:
            marked[slot] = 1
            found[new] = slot
            new += 1
    return new
