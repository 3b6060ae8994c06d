"""What compaction leaves of a log, record by record and batch by batch."""

from __future__ import annotations

from typing import Any

import pytest

from broker_embedded import records
from broker_embedded.errors import KafkaStorageError
from broker_embedded.log.compaction import Compaction, CompactionStopped
from broker_embedded.records import CorruptBatchError

COMPACT = {"cleanup_policy": "compact", "segment_bytes": 400, "index_interval_bytes": 100}
DAY_MS = 86_400_000


def fill(lab: Any, log: Any, *rows: tuple[str, str | None], **fields: Any) -> None:
    """A batch each, then a segment that is not compacted."""
    for row in rows:
        log.append(lab.keyed(row, timestamp=lab.now_ms, **fields))
    close_segment(lab, log)


def close_segment(lab: Any, log: Any) -> None:
    log.append(lab.keyed(("open", "x" * 300), timestamp=lab.now_ms))


def test_the_newest_record_of_a_key_stays_at_its_offset(lab: Any) -> None:
    log = lab.open(**COMPACT)
    fill(lab, log, ("a", "1"), ("b", "2"), ("a", "3"), ("c", "4"), ("b", "5"))
    end = log.log_end_offset
    assert lab.compact(log) == 5
    assert lab.rows(log) == [(2, "a", "3"), (3, "c", "4"), (4, "b", "5"), (5, "open", "x" * 300)]
    assert (log.log_start_offset, log.log_end_offset) == (0, end)
    before = lab.rows(log)
    assert lab.rows(lab.crash(log, **COMPACT)) == before


def test_a_batch_keeps_its_bounds_and_what_is_around_its_records(lab: Any) -> None:
    log = lab.open(**COMPACT)
    rows = [("a", "1"), ("b", "2"), ("c", "3")]
    batch = records.encode(
        [key.encode() for key, _ in rows],
        [value.encode() for _, value in rows],
        [lab.now_ms + 5, lab.now_ms + 9, lab.now_ms + 7],
        [[("h", b"1")], [], [("h", None)]],
        codec="zstd",
        producer_id=4,
        producer_epoch=1,
        base_sequence=0,
    )
    log.append(batch)
    fill(lab, log, ("b", "4"))
    lab.compact(log)
    (header, kept), *_ = records.batches(lab.read_all(log))
    columns = records.decode(kept)
    assert (header.base_offset, header.last_offset, header.count, header.codec) == (0, 2, 2, "zstd")
    assert (header.producer_id, header.producer_epoch, header.base_sequence) == (4, 1, 0)
    assert header.max_timestamp == lab.now_ms + 7
    assert columns.offsets.tolist() == [0, 2]
    assert columns.timestamps.tolist() == [lab.now_ms + 5, lab.now_ms + 7]
    assert columns.headers() == [[("h", b"1")], [("h", None)]]
    assert records.verify(kept) == header


def test_the_time_of_appending_stays(lab: Any) -> None:
    log = lab.open(message_timestamp_type="LogAppendTime", **COMPACT)
    lab.now_ms += 10
    log.append(lab.keyed(("a", None), ("b", "1")))
    fill(lab, log, ("b", "2"))
    appended_ms = lab.now_ms
    lab.now_ms += 10
    lab.compact(log)
    columns = records.decode(next(iter(records.batches(lab.read_all(log))))[1])
    assert (columns.keys(), columns.timestamps.tolist()) == ([b"a"], [appended_ms])


def test_tombstones_live_on_from_the_first_compaction(lab: Any) -> None:
    log = lab.open(**COMPACT, delete_retention_ms=DAY_MS)
    fill(lab, log, ("a", "1"), ("a", None), ("b", "2"))
    lab.now_ms += 7 * DAY_MS
    clean = lab.compact(log)
    assert [row[:2] for row in lab.rows(log)] == [(1, "a"), (2, "b"), (3, "open")]
    tombstone = lab.headers(lab.read_all(log))[0]
    assert (tombstone.has_delete_horizon, tombstone.base_timestamp) == (True, lab.now_ms + DAY_MS)
    columns = records.decode(next(iter(records.batches(lab.read_all(log))))[1])
    assert columns.timestamps.tolist() == [lab.now_ms - 7 * DAY_MS]
    lab.now_ms += DAY_MS - 1
    close_segment(lab, log)
    clean = lab.compact(log, clean)
    assert lab.rows(log)[0] == (1, "a", None)
    lab.now_ms += 1
    close_segment(lab, log)
    lab.compact(log, clean)
    assert lab.rows(log)[0][:2] == (2, "b")


def test_aborted_records_go_and_markers_follow_them(lab: Any) -> None:
    log = lab.open(**COMPACT, delete_retention_ms=DAY_MS)
    log.append(lab.keyed(("a", "kept")))
    log.append(lab.produce(1, 0, txn=True))  # writes key "k"
    log.append_marker(1, 0, commit=False)
    log.append(lab.produce(2, 0, txn=True))
    log.append_marker(2, 0, commit=True)
    fill(lab, log, ("k", "newer"))
    for pid in (1, 2):
        newer = {"producer_id": pid, "producer_epoch": 0, "base_sequence": 1}
        log.append(lab.keyed(("p", "1"), **newer))  # so that no batch stays for the sake of its producer
    close_segment(lab, log)
    clean = lab.compact(log)
    assert [row[:2] for row in lab.rows(log)][:2] == [(0, "a"), (5, "k")]
    markers = [header.base_offset for header in lab.headers(lab.read_all(log)) if header.is_control]
    assert markers == [2, 4]
    assert [entry.last_offset for entry in log._aborted.entries] == [2]
    close_segment(lab, log)
    clean = lab.compact(log, clean)  # their data is gone: from here on they have a horizon
    horizons = [h.base_timestamp for h in lab.headers(lab.read_all(log)) if h.is_control and h.has_delete_horizon]
    assert horizons == [lab.now_ms + DAY_MS] * 2
    assert log._aborted.entries == []
    lab.now_ms += DAY_MS
    close_segment(lab, log)
    lab.compact(log, clean)
    assert not any(header.is_control for header in lab.headers(lab.read_all(log)))


def test_who_has_aborted_before_deletes_keys_for_good(lab: Any) -> None:
    log = lab.open(**COMPACT, delete_retention_ms=DAY_MS)
    log.append(lab.keyed(("a", "old")))
    log.append(lab.produce(1, 0, txn=True))
    log.append_marker(1, 0, commit=False)
    close_segment(lab, log)
    clean = lab.compact(log)
    assert [entry.last_offset for entry in log._aborted.entries] == [2]
    ids = {"producer_id": 1, "producer_epoch": 0, "base_sequence": 1, "is_transactional": True}
    log.append(lab.keyed(("a", None), **ids))
    log.append_marker(1, 0, commit=True)
    close_segment(lab, log)
    clean = lab.compact(log, clean)
    assert [row[2] for row in lab.rows(log) if row[1] == "a"] == [None]
    lab.now_ms += DAY_MS
    close_segment(lab, log)
    lab.compact(log, clean)
    assert "a" not in {row[1] for row in lab.rows(log)}


def test_what_an_open_transaction_holds_back(lab: Any) -> None:
    log = lab.open(**COMPACT)
    fill(lab, log, ("a", "1"), ("a", "2"))
    log.append(lab.produce(1, 0, txn=True))
    fill(lab, log, ("a", "3"))
    assert lab.compact(log) == 3
    assert [row[1:] for row in lab.rows(log)][:2] == [("a", "2"), ("open", "x" * 300)]
    assert [row[1] for row in lab.rows(log)][2:] == ["k", "a", "open"]


def test_a_producer_goes_on_though_its_last_batch_is_empty(lab: Any) -> None:
    log = lab.open(**COMPACT)
    log.append(lab.produce(7, 0, 2, epoch=3))
    log.append(lab.produce(7, 2, 2, epoch=3))
    fill(lab, log, ("k", "of another"))
    lab.compact(log)
    empty = lab.headers(lab.read_all(log))[0]
    assert (empty.base_offset, empty.last_offset, empty.count, empty.base_sequence) == (2, 3, 0, 2)
    for name in lab.names(log, ".snapshot"):
        (log.folder / name).unlink()
    log = lab.crash(log, **COMPACT)
    assert log.append(lab.produce(7, 2, 2, epoch=3)).is_duplicate
    assert log.append(lab.produce(7, 4, epoch=3)).base_offset == log.log_end_offset - 1


def test_small_segments_become_one(lab: Any) -> None:
    log = lab.open(**COMPACT)
    for number in range(40):
        log.append(lab.keyed((f"k{number % 3}", "v" * 50)))
    before = len(lab.names(log, ".log"))
    lab.compact(log, lab.compact(log))  # what is left of each is small then
    assert len(lab.names(log, ".log")) < before / 2
    followed = {name.removesuffix(".log") for name in lab.names(log, ".log")[1:]}
    assert {name.removesuffix(".snapshot") for name in lab.names(log, ".snapshot")} == followed
    lab.now_ms += 60_000
    log.enforce_retention()
    assert lab.names(log, ".deleted") == []
    assert len(lab.rows(lab.crash(log, **COMPACT))) >= 3


def test_more_keys_than_memory_holds_take_several_passes(lab: Any) -> None:
    log = lab.open(**COMPACT)
    for number in range(60):
        log.append(lab.keyed((f"k{number % 20}", str(number))))
    close_segment(lab, log)
    clean, passes = 0, 0
    while (end := lab.compact(log, clean, max_map_bytes=1_000)) > clean:
        clean, passes = end, passes + 1
    assert passes > 5
    assert [row[0] for row in lab.rows(log)] == list(range(40, 61))


def test_readers_go_on(lab: Any) -> None:
    log = lab.open(**COMPACT)
    fill(lab, log, *((f"k{number % 5}", "v" * 40) for number in range(30)))
    first = log.read(0, 100)
    lab.compact(log)
    offset, found = first.next_offset, list(first.data)
    while (result := log.read(offset, 100)).data:
        found += result.data
        offset = result.next_offset
    assert bytes(first.data[0])[8:12] != b""  # what was read before stays as it was
    offsets = [header.last_offset for piece in found for header, _ in records.batches(piece)]
    assert offsets == sorted(offsets)
    assert offset == log.log_end_offset
    for asked in range(log.log_end_offset):  # also where no batch is any more
        assert lab.headers(log.read(asked, 1).data[0])[0].last_offset >= asked


def test_younger_than_the_lag(lab: Any) -> None:
    log = lab.open(**COMPACT, min_compaction_lag_ms=1000)
    fill(lab, log, ("a", "1"), ("a", "2"))
    lab.now_ms += 600
    fill(lab, log, ("a", "3"), ("a", "4"))
    lab.now_ms += 600
    close_segment(lab, log)
    log.sync()
    assert log.cleanable(0, log.log_end_offset).end == 3
    lab.now_ms += 600
    assert log.cleanable(0, log.log_end_offset).end == log._active.base_offset


def test_what_is_overdue(lab: Any) -> None:
    log = lab.open(**COMPACT, max_compaction_lag_ms=1000, min_cleanable_dirty_ratio=1.0)
    fill(lab, log, ("a", "1"))
    log.sync()
    assert not log.cleanable(0, log.log_end_offset).is_due(log.config)
    lab.now_ms += 1001
    assert log.cleanable(0, log.log_end_offset).is_due(log.config)
    before = len(lab.names(log, ".log"))
    log.append(lab.keyed(("a", "2"), timestamp=lab.now_ms))  # the open segment would keep it from being compacted
    assert len(lab.names(log, ".log")) == before + 1


def test_nothing_beyond_the_recovery_point(lab: Any) -> None:
    log = lab.open(**COMPACT)
    fill(lab, log, ("a", "1"), ("a", "2"))
    assert log.cleanable(0, log.log_end_offset).dirty_bytes == 0


def test_a_damaged_batch_is_left_as_it_is(lab: Any) -> None:
    log = lab.open(**COMPACT)
    fill(lab, log, ("a", "1"), ("a", "2"))
    path = log.folder / lab.names(log, ".log")[0]
    content = bytearray(path.read_bytes())
    content[65] ^= 1
    path.write_bytes(content)
    with pytest.raises(CorruptBatchError, match="CRC-32C"):
        lab.compact(log)
    assert path.read_bytes() == content
    assert lab.names(log, ".cleaned") == []


def test_a_full_disk_leaves_the_log_as_it_was(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    log = lab.open(**COMPACT)
    fill(lab, log, ("a", "1"), ("a", "2"))
    before = lab.rows(log)

    def refuse(fd: int, data: Any) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as full:
        full.setattr("os.write", refuse)
        with pytest.raises(KafkaStorageError, match="disk is full"):
            lab.compact(log)
    assert lab.names(log, ".cleaned") == []
    assert lab.rows(log) == before
    lab.compact(log)
    assert lab.rows(log) == before[1:]


def test_it_can_be_stopped(lab: Any) -> None:
    log = lab.open(**COMPACT)
    fill(lab, log, ("a", "1"), ("a", "2"))
    log.sync()
    calls = []

    def stop() -> None:
        calls.append(1)
        if len(calls) == 3:  # in the second pass
            raise CompactionStopped

    run = Compaction(log.plan_compaction(log.cleanable(0, log.log_end_offset)), 1 << 20, stop)
    run.read_keys()
    with pytest.raises(CompactionStopped):
        for group in run.groups():
            run.clean(group)
    assert lab.names(log, ".cleaned") == []


def test_segments_that_are_gone_are_not_replaced(lab: Any) -> None:
    log = lab.open(cleanup_policy="compact,delete", segment_bytes=400, retention_ms=-1)
    fill(lab, log, ("a", "1"), ("a", "2"))
    log.sync()
    run = Compaction(log.plan_compaction(log.cleanable(0, log.log_end_offset)), 1 << 20)
    run.read_keys()
    cleaned = run.clean(next(run.groups()))
    log.delete_records(-1)
    assert log.enforce_retention() == 1
    assert not log.replace(cleaned)


def test_a_log_compacted_once_stays_sound_under_another_policy(lab: Any) -> None:
    log = lab.open(**COMPACT)
    fill(lab, log, *((f"k{number % 3}", "v" * 40) for number in range(30)))
    log.append(lab.produce(1, 0, txn=True))
    log.append_marker(1, 0, commit=False)
    fill(lab, log, ("a", "1"))
    lab.compact(log)
    before = lab.rows(log)
    for name in lab.names(log, ".txnindex"):
        (log.folder / name).write_bytes(b"damaged")
    log = lab.crash(log, segment_bytes=400)
    assert lab.rows(log) == before
