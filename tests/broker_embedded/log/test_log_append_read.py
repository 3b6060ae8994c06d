from __future__ import annotations

import os
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from broker_embedded import errors, records
from broker_embedded.log.segment import MAX_RELATIVE_OFFSET

fast = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

sizes = st.lists(st.tuples(st.integers(1, 6), st.integers(0, 400)), min_size=1, max_size=40)


@fast
@given(sizes, st.integers(2_600, 12_000), st.integers(0, 3_000), st.integers(0, 20_000))
def test_batches_come_back_as_they_were(
    lab: Any, sizes: Any, segment_bytes: int, interval: int, max_bytes: int
) -> None:
    log = lab.open(segment_bytes=segment_bytes, index_interval_bytes=interval)
    expected = b""
    for count, value_bytes in sizes:
        batch = lab.batch(count, value_bytes=value_bytes)
        before = bytes(batch)
        appended = log.append(batch)
        assert bytes(batch) == before
        assert appended.last_offset - appended.base_offset == count - 1
        expected += lab.stored(batch, appended.base_offset)
    assert log.log_end_offset == sum(count for count, _ in sizes)
    assert lab.read_all(log, max_bytes) == expected
    log = lab.restart(log, segment_bytes=segment_bytes, index_interval_bytes=interval)
    assert lab.read_all(log, max_bytes) == expected


@fast
@given(sizes, st.integers(0, 1_000), st.data())
def test_read_from_inside_a_batch_gives_the_whole_batch(lab: Any, sizes: Any, interval: int, data: Any) -> None:
    log = lab.open(segment_bytes=4_000, index_interval_bytes=interval)
    bases = [log.append(lab.batch(count, value_bytes=size)).base_offset for count, size in sizes]
    for _ in range(10):
        offset = data.draw(st.integers(0, log.log_end_offset - 1))
        result = log.read(offset, data.draw(st.integers(0, 5_000)))
        header = records.read_header(result.data[0])
        assert header.base_offset == max(base for base in bases if base <= offset)
        assert result.next_offset == lab.headers(result.data[0])[-1].next_offset


def test_max_bytes(lab: Any) -> None:
    log = lab.open()
    for _ in range(10):
        log.append(lab.batch(value_bytes=100))
    one = log.size_bytes // 10
    assert len(log.read(0, 3 * one).data[0]) == 3 * one
    assert len(log.read(0, 4 * one - 1).data[0]) == 3 * one
    assert len(log.read(0, 1).data[0]) == one
    nothing = log.read(3, one - 1, at_least_one=False)
    assert (nothing.data, nothing.next_offset) == ([], 3)


def test_the_end_is_empty_and_outside_is_an_error(lab: Any) -> None:
    log = lab.open()
    log.append(lab.batch(3))
    assert log.read(3, 100) == ([], 3, 3, 3, 0, [])
    for offset in (-1, 4):
        with pytest.raises(errors.OffsetOutOfRangeError, match=rf"orders-0: offset {offset} .* from 0 to 3"):
            log.read(offset, 100)


def test_readers_go_on_while_it_grows(lab: Any) -> None:
    log = lab.open(segment_bytes=1_000)
    offsets = [0] * 20  # more readers than the log remembers
    expected = b""
    seen = [b""] * 20
    for number in range(60):
        batch = lab.batch(2, value_bytes=number)
        expected += lab.stored(batch, log.append(batch).base_offset)
        reader = number * 7 % 20
        while (result := log.read(offsets[reader], 300)).data:
            seen[reader] += bytes(result.data[0])
            offsets[reader] = result.next_offset
        assert seen[reader] == expected


def _damaged(lab: Any) -> bytearray:
    batch = lab.batch()
    batch[-1] ^= 1
    return batch


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (_damaged, errors.CorruptMessageError, "orders-0: .*CRC"),
        (lambda lab: lab.batch()[:-1], errors.CorruptMessageError, "orders-0: "),
        (lambda lab: b"short", errors.CorruptMessageError, "orders-0: "),
        (lambda lab: lab.batch(value_bytes=2_000), errors.MessageTooLargeError, "max.message.bytes=1500"),
        (lambda lab: lab.batch(value_bytes=1_100), errors.RecordListTooLargeError, "segment.bytes=1000"),
        (
            lambda lab: records.encode_control(commit=True, producer_id=1, producer_epoch=0, timestamp=0),
            errors.InvalidRecordError,
            "control records",
        ),
        (
            lambda lab: records.encode([b"k"] * 2, [b"v"] * 2, [0, 0], offsets=[0, 2]),
            errors.InvalidRecordError,
            "2 records over 3 offsets",
        ),
        (lambda lab: lab.produce(5, -1), errors.InvalidRecordError, "producer 5 sent no sequence"),
    ],
)
def test_refused(lab: Any, make: Any, error: type[errors.KafkaError], message: str) -> None:
    log = lab.open(max_message_bytes=1_500, segment_bytes=1_000)
    log.append(lab.batch())
    with pytest.raises(error, match=message):
        log.append(make(lab))
    assert (log.log_end_offset, len(lab.read_all(log))) == (1, len(lab.batch()))


def test_two_batches_at_once_are_refused(lab: Any) -> None:
    log = lab.open()
    for verified in (False, True):
        with pytest.raises((errors.InvalidRecordError, errors.CorruptMessageError)):
            log.append(lab.batch() + lab.batch(), verified=verified)


@pytest.mark.parametrize(
    ("config", "timestamps", "bases"),
    [
        ({"segment_bytes": 200}, [0, 0, 0, 0, 0], [0, 2, 4]),
        ({"segment_ms": 100}, [1_000, 1_100, 1_101, 1_000, 1_300], [0, 2, 4]),
        ({"index_interval_bytes": 0, "segment_index_bytes": 24}, [1, 2, 3, 4, 5], [0, 2, 4]),
        ({"index_interval_bytes": 0, "segment_index_bytes": 48}, [1, 2, 3, 4, 5], [0, 4]),
        ({"index_interval_bytes": 0, "segment_index_bytes": 24}, [9, 9, 9, 9, 9], [0, 2, 4]),
        ({}, [0, 10**12, 0, 0, 0], [0, 1]),
    ],
    ids=["size", "time of the first batch", "full index", "larger index", "full time index", "default time"],
)
def test_roll(lab: Any, config: dict[str, Any], timestamps: list[int], bases: list[int]) -> None:
    log = lab.open(**config)
    for timestamp in timestamps:
        log.append(lab.batch(timestamp=timestamp))
    assert lab.names(log, ".log") == [f"{base:020d}.log" for base in bases]
    assert lab.names(log, ".index") == [f"{base:020d}.index" for base in bases]
    assert lab.names(log, ".snapshot") == [f"{base:020d}.snapshot" for base in bases[1:]]


def test_roll_by_the_clock_without_timestamps(lab: Any) -> None:
    log = lab.open(segment_ms=100)
    log.append(lab.batch(timestamp=-1))
    lab.now_ms += 101
    log.append(lab.batch(timestamp=-1))
    assert len(lab.names(log, ".log")) == 2


def test_roll_before_relative_offsets_overflow(lab: Any) -> None:
    log = lab.open()
    log.append(lab.batch())
    log._active.next_offset = log.log_end_offset = MAX_RELATIVE_OFFSET
    log.append(lab.batch())
    assert len(lab.names(log, ".log")) == 1
    log.append(lab.batch())
    assert lab.names(log, ".log")[1:] == [f"{MAX_RELATIVE_OFFSET + 1:020d}.log"]


@pytest.mark.parametrize(("interval", "step"), [(0, 1), (100, 2), (250, 3)])
def test_index_files(lab: Any, interval: int, step: int) -> None:
    log = lab.open(index_interval_bytes=interval)
    size = len(lab.batch())
    timestamps = (5, 7, 6, 9, 8, 9, 4, 30)
    for timestamp in timestamps:
        log.append(lab.batch(timestamp=timestamp))
    log.close()
    index = (log.folder / f"{0:020d}.index").read_bytes()
    times = (log.folder / f"{0:020d}.timeindex").read_bytes()
    noted = range(step, len(timestamps), step)
    assert index == b"".join(offset.to_bytes(4) + (offset * size).to_bytes(4) for offset in noted)
    largest = {max(timestamps[: offset + 1]) for offset in (*noted, len(timestamps) - 1)}
    rows = [(timestamp, timestamps.index(timestamp)) for timestamp in sorted(largest)]
    assert times == b"".join(timestamp.to_bytes(8) + offset.to_bytes(4) for timestamp, offset in rows)


def test_two_file_descriptors_at_most(lab: Any) -> None:
    before = len(os.listdir("/proc/self/fd"))
    log = lab.open(segment_bytes=200)
    assert len(os.listdir("/proc/self/fd")) - before == 1
    for _ in range(40):
        log.append(lab.batch())
    lab.read_all(log, 100)
    log.offset_for_timestamp(0)
    log.sync()
    assert len(os.listdir("/proc/self/fd")) - before <= 2
    log.close()
    assert len(os.listdir("/proc/self/fd")) == before


def test_closed(lab: Any) -> None:
    log = lab.open()
    log.append(lab.batch())
    log.close()
    log.close()
    with pytest.raises(errors.KafkaStorageError, match=r"append failed: .*; the log is closed"):
        log.append(lab.batch())
    with pytest.raises(errors.KafkaStorageError, match="orders-0: the log is closed"):
        log.read(0, 100)


def test_delete(lab: Any) -> None:
    log = lab.open()
    log.append(lab.batch())
    log.delete()
    assert list(log.folder.parent.iterdir()) == []


def test_another_topics_folder(lab: Any) -> None:
    log = lab.open()
    log.close()
    path = log.folder / "partition.metadata"
    assert path.read_text() == "version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAABw"
    path.write_text("version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAAAQ")
    with pytest.raises(errors.InconsistentTopicIdError, match="Move the folder away"):
        lab.open(log.folder)
