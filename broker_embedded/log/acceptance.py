"""What is asked of a batch before it is appended: its size; by configs also keys, times, codec (Kafka's LogValidator).

With the defaults it is stored as it came.
"""

from __future__ import annotations

from typing import NamedTuple

from broker_embedded.errors import (
    InvalidRecordError,
    InvalidTimestampError,
    MessageTooLargeError,
    RecordListTooLargeError,
)
from broker_embedded.log.config import NO_LIMIT, LogConfig
from broker_embedded.records import BatchHeader, Records, decode, encode, read_header, set_append_time

Batch = bytes | bytearray | memoryview


class Accepted(NamedTuple):
    """The batch to store; `append_time_ms` is -1 unless its records were stamped."""

    batch: Batch
    header: BatchHeader
    append_time_ms: int


def check_batch(header: BatchHeader, size_bytes: int, config: LogConfig, where: str) -> None:
    """Raise MessageTooLargeError or RecordListTooLargeError, and InvalidRecordError for what producers do not send."""
    if size_bytes > config.max_message_bytes:
        raise MessageTooLargeError(
            f"{where}: a batch of {size_bytes} bytes is over max.message.bytes={config.max_message_bytes}"
        )
    if size_bytes > config.segment_bytes:
        raise RecordListTooLargeError(
            f"{where}: a batch of {size_bytes} bytes is over segment.bytes={config.segment_bytes}"
        )
    if header.length_bytes != size_bytes:
        raise InvalidRecordError(
            f"{where}: one batch is expected, the first of {size_bytes} bytes ends at {header.length_bytes}"
        )
    if header.count != header.last_offset_delta + 1 or header.is_control:
        raise InvalidRecordError(
            f"{where}: a batch of {header.count} records over {header.last_offset_delta + 1} offsets, "
            f"control={header.is_control}: producers send neither gaps nor control records"
        )


def is_strict(config: LogConfig) -> bool:
    """Whether `accept` has anything to do for this topic."""
    return (
        config.compacts
        or config.message_timestamp_type == "LogAppendTime"
        or config.compression_type != "producer"
        or config.message_timestamp_before_max_ms != NO_LIMIT
        or config.message_timestamp_after_max_ms != NO_LIMIT
    )


def accept(
    batch: Batch, header: BatchHeader, config: LogConfig, now_ms: int, where: str, *, verified: bool
) -> Accepted:
    """Check a batch and make of it what is stored. A `verified` one is known to have keys where it needs them.

    Raises InvalidRecordError (a compacted topic needs keys), InvalidTimestampError; both list the records at fault.
    """
    codec = {"uncompressed": "none", "producer": header.codec}.get(config.compression_type, config.compression_type)
    stamps = config.message_timestamp_type == "LogAppendTime"
    keyed = config.compacts and not verified
    looks = keyed or codec != header.codec or (not stamps and _may_be_out_of_range(header, config, now_ms))
    records = decode(batch) if looks else None
    if records is not None:
        _check_records(records, config, now_ms, where, keys=keyed, times=not stamps)
        if codec != header.codec:
            batch = _encode_again(records, header, codec)
            header = read_header(batch)
    if not stamps:
        return Accepted(batch, header, -1)
    stamped = bytearray(batch)
    set_append_time(stamped, now_ms)
    return Accepted(stamped, read_header(stamped), now_ms)


def _may_be_out_of_range(header: BatchHeader, config: LogConfig, now_ms: int) -> bool:
    too_late = header.max_timestamp - now_ms > config.message_timestamp_after_max_ms
    return too_late or config.message_timestamp_before_max_ms != NO_LIMIT


def _check_records(records: Records, config: LogConfig, now_ms: int, where: str, *, keys: bool, times: bool) -> None:
    if keys:
        missing = [(index, "no key") for index, key in enumerate(records.keys()) if key is None]
        if missing:
            raise InvalidRecordError(
                f"{where}: {len(missing)} of {len(records)} records have no key, which a compacted topic needs",
                record_errors=missing,
            )
    if times:
        earliest = now_ms - config.message_timestamp_before_max_ms
        latest = now_ms + config.message_timestamp_after_max_ms
        wrong = [
            (index, f"timestamp {at} is not in [{earliest}, {latest}]")
            for index, at in enumerate(records.timestamps.tolist())
            if at >= 0 and not earliest <= at <= latest
        ]
        if wrong:
            raise InvalidTimestampError(
                f"{where}: {len(wrong)} of {len(records)} records are out of range, the first: {wrong[0][1]}; see "
                "message.timestamp.before.max.ms and message.timestamp.after.max.ms",
                record_errors=wrong,
            )


def _encode_again(records: Records, header: BatchHeader, codec: str) -> bytearray:
    return encode(
        records.keys(),
        records.values(),
        records.timestamps,
        records.headers(),
        codec=codec,
        is_transactional=header.is_transactional,
        producer_id=header.producer_id,
        producer_epoch=header.producer_epoch,
        base_sequence=header.base_sequence,
    )
