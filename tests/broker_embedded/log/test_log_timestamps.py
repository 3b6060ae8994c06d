from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from broker_embedded import records

fast = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
batches = st.lists(st.lists(st.integers(0, 60), min_size=1, max_size=5), max_size=30)


@fast
@given(batches, st.integers(200, 900), st.sampled_from([0, 100, 300]), st.booleans(), st.integers(0, 40))
@example([[0], [1], [2], [9, 3, 5], [4]], 400, 0, False, 0)
def test_offset_for_timestamp(
    lab: Any, batches: list[list[int]], segment_bytes: int, interval: int, restart: bool, before: int
) -> None:
    config = {"segment_bytes": segment_bytes, "index_interval_bytes": interval}
    log = lab.open(**config)
    rows = []
    for timestamps in batches:
        base = log.append(records.encode([None] * len(timestamps), [b"v"] * len(timestamps), timestamps)).base_offset
        rows += [(timestamp, base + index) for index, timestamp in enumerate(timestamps)]
    if restart:
        log = lab.restart(log, **config)
    start = log.delete_records(min(before, len(rows)))
    for wanted in range(-1, 62):
        found = next((row for row in rows[start:] if row[0] >= wanted), None)
        assert log.offset_for_timestamp(wanted) == found
    assert log.max_timestamp_offset() == max(rows[start:], key=lambda row: row[0], default=None)
    lab.release()


def test_an_empty_log_has_no_times(lab: Any) -> None:
    log = lab.open()
    assert (log.offset_for_timestamp(0), log.max_timestamp_offset()) == (None, None)
    log.append(lab.batch(timestamp=-1))
    assert (log.offset_for_timestamp(0), log.max_timestamp_offset()) == (None, None)
