from __future__ import annotations

from typing import Any

import pytest

from broker_embedded import errors

ONE = {"segment_bytes": 100, "file_delete_delay_ms": 60_000}  # one batch a segment


def _filled(lab: Any, count: int = 5, **config: Any) -> Any:
    if "retention_batches" in config:
        config["retention_bytes"] = config.pop("retention_batches") * len(lab.batch())
    log = lab.open(**ONE, **config)
    for number in range(count):
        log.append(lab.batch(timestamp=lab.now_ms - 1_000 * (count - number)))
    return log


@pytest.mark.parametrize(
    ("config", "later_ms", "start"),
    [
        ({"retention_ms": -1}, 10**15, 0),
        ({"retention_ms": 2_500}, 0, 3),
        ({"retention_ms": 3_000}, 0, 2),
        ({"retention_ms": 3_000}, 1, 3),
        ({"retention_ms": 3_000}, 10**6, 5),
        ({"retention_ms": -1, "retention_bytes": 0}, 0, 5),
        ({"retention_ms": -1, "retention_batches": 2}, 0, 3),
        ({"retention_ms": -1, "retention_bytes": 10**6}, 0, 0),
        ({"retention_ms": 2_500, "retention_batches": 1}, 0, 4),
        ({"retention_ms": 0, "retention_bytes": 0, "cleanup_policy": "compact"}, 10**6, 0),
        ({"retention_ms": 2_500, "cleanup_policy": "compact,delete"}, 0, 3),
    ],
)
def test_what_goes(lab: Any, config: dict[str, Any], later_ms: int, start: int) -> None:
    log = _filled(lab, **config)
    before = lab.read_all(log)
    lab.now_ms += later_ms
    assert log.enforce_retention() == start
    assert (log.log_start_offset, log.log_end_offset) == (start, 5)
    assert lab.read_all(log) == before[len(before) // 5 * start :]
    assert log.enforce_retention() == 0


def test_the_largest_timestamp_counts(lab: Any) -> None:
    log = lab.open(retention_ms=1_000)
    for age_ms in (5_000, 500, 5_000):
        log.append(lab.batch(timestamp=lab.now_ms - age_ms))
    assert log.enforce_retention() == 0
    lab.now_ms += 501
    assert log.enforce_retention() == 1


def test_without_timestamps_the_files_time_counts(lab: Any) -> None:
    log = lab.open(retention_ms=1_000)
    log.append(lab.batch(timestamp=-1))
    lab.now_ms = log._active.last_modified_ms() + 1_001
    assert log.enforce_retention() == 1


def test_files_are_renamed_then_removed(lab: Any) -> None:
    log = _filled(lab, retention_ms=3_500)
    lab.read_all(log)
    log.enforce_retention()
    gone = [f"{base:020d}{suffix}.deleted" for base in (0, 1) for suffix in (".index", ".log", ".timeindex")]
    assert lab.names(log, ".deleted") == sorted([*gone, f"{1:020d}.snapshot.deleted"])
    lab.now_ms += 59_999
    log.configure(log.config.__class__(retention_ms=-1))
    log.enforce_retention()
    assert len(lab.names(log, ".deleted")) == 7
    lab.now_ms += 1
    log.enforce_retention()
    assert lab.names(log, ".deleted") == []


def test_restart_after_retention(lab: Any) -> None:
    log = _filled(lab, retention_ms=2_500)
    log.enforce_retention()
    for reopen in (lab.restart, lab.crash):
        log = reopen(log)
        assert (log.log_start_offset, log.log_end_offset) == (3, 5)
        assert lab.names(log, ".deleted") == []


def test_aborted_transactions_go_with_their_segments(lab: Any) -> None:
    log = lab.open(**ONE, retention_bytes=len(lab.produce(1, 0, txn=True)))
    for sequence in range(3):
        log.append(lab.produce(1, sequence, txn=True))
        log.append_marker(1, 0, commit=False)
    log.enforce_retention()
    assert log.log_start_offset == 4
    assert [entry.first_offset for entry in log._aborted.entries] == [4]


@pytest.mark.parametrize(("before", "start"), [(2, 2), (0, 0), (5, 5), (-1, 5)])
def test_delete_records(lab: Any, before: int, start: int) -> None:
    log = _filled(lab, retention_ms=-1)
    assert log.delete_records(before) == start
    assert log.delete_records(0) == start
    assert log.enforce_retention() == (4 if start == 5 else start)
    if start:
        with pytest.raises(errors.OffsetOutOfRangeError):
            log.read(start - 1, 100)
    folder = lab.kill(log)
    log = lab.open(folder, clean=False, log_start_offset=start, **ONE)
    assert (log.log_start_offset, log.log_end_offset) == (start, 5)


def test_delete_records_refused(lab: Any) -> None:
    log = _filled(lab)
    for before in (6, -2):
        with pytest.raises(errors.OffsetOutOfRangeError, match="ends at 5"):
            log.delete_records(before)
    log.configure(log.config.__class__(cleanup_policy="compact"))
    with pytest.raises(errors.PolicyViolationError, match=r"cleanup\.policy=compact"):
        log.delete_records(2)
