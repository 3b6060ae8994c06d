from __future__ import annotations

import struct
from typing import Any

import pytest
from fastcrc import crc32

from broker_embedded import errors, records


def _only(lab: Any, log: Any) -> tuple[records.BatchHeader, records.Records]:
    data = lab.read_all(log)
    return records.verify(data), records.decode(data)


def test_log_append_time(lab: Any) -> None:
    log = lab.open(message_timestamp_type="LogAppendTime", message_timestamp_after_max_ms=0)
    batch = lab.batch(3, timestamp=10**15, producer_id=5, producer_epoch=0, base_sequence=0)
    assert log.append(batch).log_append_time_ms == lab.now_ms
    header, stored = _only(lab, log)
    assert (header.is_log_append_time, header.max_timestamp) == (True, lab.now_ms)
    assert stored.timestamps.tolist() == [lab.now_ms] * 3
    assert log.offset_for_timestamp(lab.now_ms) == (lab.now_ms, 0)
    lab.now_ms += 5
    assert log.append(batch) == (0, 2, lab.now_ms - 5, True)


@pytest.mark.parametrize("wanted", ["gzip", "snappy", "lz4", "zstd", "uncompressed", "producer"])
@pytest.mark.parametrize("sent", ["none", "gzip"])
def test_compression_type(lab: Any, sent: str, wanted: str) -> None:
    log = lab.open(compression_type=wanted)
    batch = records.encode(
        [b"k", None],
        [b"v" * 100, None],
        [lab.now_ms, lab.now_ms + 7],
        [[("h", b"1")], []],
        codec=sent,
        producer_id=5,
        producer_epoch=1,
        base_sequence=3,
        is_transactional=True,
    )
    log.append(batch)
    header, stored = _only(lab, log)
    assert header.codec == {"uncompressed": "none", "producer": sent}.get(wanted, wanted)
    before = records.decode(batch)
    assert (stored.keys(), stored.values(), stored.headers()) == (before.keys(), before.values(), before.headers())
    assert stored.timestamps.tolist() == before.timestamps.tolist()
    fields = (header.producer_id, header.producer_epoch, header.base_sequence, header.is_transactional)
    assert fields == (5, 1, 3, True)


def test_a_batch_that_grows_too_large(lab: Any) -> None:
    log = lab.open(compression_type="uncompressed", max_message_bytes=500)
    with pytest.raises(errors.MessageTooLargeError):
        log.append(lab.batch(value_bytes=5_000, codec="gzip"))
    assert log.log_end_offset == 0


def sealed(batch: bytearray) -> bytearray:
    """With a checksum that says that nothing is wrong."""
    struct.pack_into(">I", batch, 17, crc32.iscsi(memoryview(batch)[21:]))
    return batch


@pytest.mark.parametrize("codec", ["none", "gzip"])
def test_records_that_are_none(lab: Any, codec: str) -> None:
    batch = lab.batch(3, codec=codec)
    batch[61:] = b"\xff" * (len(batch) - 61)
    with pytest.raises(errors.InvalidRecordError, match="orders-0: batch at offset 0"):
        lab.open(cleanup_policy="compact").append(sealed(batch))


@pytest.mark.parametrize("find", [lambda log: log.offset_for_timestamp(1), lambda log: log.max_timestamp_offset()])
def test_who_looks_for_times_is_told_of_damage(lab: Any, find: Any) -> None:
    log = lab.open()
    batch = lab.batch(3)
    batch[61:] = b"\xff" * (len(batch) - 61)
    log.append(sealed(batch))
    with pytest.raises(errors.CorruptMessageError, match="orders-0: batch at offset 0"):
        find(log)


def test_compacted_topics_need_keys(lab: Any) -> None:
    log = lab.open(cleanup_policy="compact")
    batch = records.encode([b"a", None, b"b", None], [b"v"] * 4, [0] * 4)
    with pytest.raises(errors.InvalidRecordError, match="2 of 4 records have no key") as caught:
        log.append(batch)
    assert caught.value.record_errors == ((1, "no key"), (3, "no key"))
    log.append(lab.batch(4))
    assert log.log_end_offset == 4


@pytest.mark.parametrize(
    ("config", "ages_ms", "wrong"),
    [
        ({"message_timestamp_before_max_ms": 100}, [0, 100, 101], [2]),
        ({"message_timestamp_after_max_ms": 100}, [0, -100, -101], [2]),
        ({"message_timestamp_before_max_ms": 100, "message_timestamp_after_max_ms": 100}, [101, 0, -101], [0, 2]),
        ({}, [10**12, -3_600_000, -3_600_001], [2]),
        ({"message_timestamp_after_max_ms": 2**63 - 1}, [0, -(10**9)], []),
    ],
)
def test_times_out_of_range(lab: Any, config: dict[str, int], ages_ms: list[int], wrong: list[int]) -> None:
    log = lab.open(**config)
    count = len(ages_ms)
    batch = records.encode([None] * count, [b"v"] * count, [lab.now_ms - age for age in ages_ms])
    if wrong:
        with pytest.raises(errors.InvalidTimestampError, match=f"{len(wrong)} of {count} records") as caught:
            log.append(batch)
        assert [index for index, _ in caught.value.record_errors] == wrong
    else:
        log.append(batch)
