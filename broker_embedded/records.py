"""Kafka's record batch, version 2 (KIP-98): its records as columns, decoded and encoded; the door to the whole format.

Header, CRC and fields that are set in place are in `batch_header.py`, the encoder in `record_encoder.py`; their names
are given out here. A batch goes in as bytes of any kind and comes out as `Records`, which owns a copy of the bytes, so
that the buffer it was read into can be used again.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from broker_embedded.batch_header import (
    BATCH_OVERHEAD_BYTES,
    NO_PRODUCER_EPOCH,
    NO_PRODUCER_ID,
    NO_SEQUENCE,
    BatchHeader,
    CorruptBatchError,
    batches,
    describe,
    read_header,
    set_offset,
    set_producer,
    verify,
)
from broker_embedded.compression import MAX_UNCOMPRESSED_BYTES, Buffer, CorruptPayloadError, decompress
from broker_embedded.record_decoder import read_records
from broker_embedded.record_encoder import (
    CONTROL_ABORT,
    CONTROL_COMMIT,
    CONTROL_KEY,
    Header,
    encode,
    encode_control,
)
from broker_embedded.varint import WORD_PADDING, Int64Array, VarintError, read_varint

__all__ = [
    "BATCH_OVERHEAD_BYTES",
    "NO_PRODUCER_EPOCH",
    "NO_PRODUCER_ID",
    "NO_SEQUENCE",
    "BatchHeader",
    "CorruptBatchError",
    "Header",
    "Records",
    "batches",
    "decode",
    "encode",
    "encode_control",
    "read_control",
    "read_header",
    "set_offset",
    "set_producer",
    "verify",
]


# From how many on, and up to which spread and width of theirs in bytes, fields are cut out all at once.
_MANY_FIELDS = 80
_LARGEST_SPREAD = 7
_WIDEST_FIELD = 1024


@dataclass(slots=True, eq=False, repr=False)
class Records:
    """Records in the order of their offsets, as columns; keys and values are cut out of `buffer` when asked for.

    `offsets` and `timestamps` (milliseconds since 1970) are int64[n], and so are the positions in `buffer` where keys
    and values begin and end: both -1 for null. `header_start` and `header_stop` enclose a record's headers; they are
    None when no record has any.

    >>> records = decode(encode([b"AA", None], [b"1", b"2"], [1000, 1005], base_offset=7))
    >>> records.offsets, records.keys(), records.values()
    (array([7, 8]), [b'AA', None], [b'1', b'2'])
    """

    buffer: bytes
    offsets: Int64Array
    timestamps: Int64Array
    key_start: Int64Array
    key_stop: Int64Array
    value_start: Int64Array
    value_stop: Int64Array
    header_start: Int64Array | None = None
    header_stop: Int64Array | None = None

    def __len__(self) -> int:
        return len(self.offsets)

    @property
    def has_headers(self) -> bool:
        """Whether any record has; after `slice`, whether any had."""
        return self.header_start is not None

    def keys(self) -> list[bytes | None]:
        return _cut(self.buffer, self.key_start, self.key_stop)

    def values(self) -> list[bytes | None]:
        return _cut(self.buffer, self.value_start, self.value_stop)

    def headers(self) -> list[list[Header]]:
        """Each record's headers in their order. Raises CorruptBatchError when they do not end where the record does."""
        if self.header_start is None or self.header_stop is None:
            return [[] for _ in range(len(self))]
        areas = zip(
            self.offsets.tolist(),
            self.header_start.tolist(),
            self.header_stop.tolist(),
            strict=True,
        )
        return [_read_headers(self.buffer, offset, start, stop) for offset, start, stop in areas]

    def slice(self, start: int, stop: int) -> Records:
        """The records from number `start` to before `stop`; nothing is copied."""
        return Records(
            self.buffer,
            self.offsets[start:stop],
            self.timestamps[start:stop],
            self.key_start[start:stop],
            self.key_stop[start:stop],
            self.value_start[start:stop],
            self.value_stop[start:stop],
            None if self.header_start is None else self.header_start[start:stop],
            None if self.header_stop is None else self.header_stop[start:stop],
        )


def _cut(buffer: bytes, start: Int64Array, stop: Int64Array) -> list[bytes | None]:
    count = len(start)
    if count >= _MANY_FIELDS:
        nulls = np.count_nonzero(start < 0)
        if nulls == count:
            null: list[bytes | None] = [None]
            return null * count
        fields = None if nulls else _cut_at_once(buffer, start, stop)
        if fields is not None:
            return fields
    return [buffer[i:j] if i >= 0 else None for i, j in zip(start.tolist(), stop.tolist(), strict=True)]


def _cut_at_once(buffer: bytes, start: Int64Array, stop: Int64Array) -> list[bytes | None] | None:
    """All fields by way of an array of fixed width, three times as fast as slices; None where that cannot be.

    numpy strips zeros from the end of such bytes. So each field is read as wide as the widest, from a copy in which
    zeros follow each field, and none may be empty or end in a zero.
    """
    width = stop - start
    narrowest, widest = int(width.min()), int(width.max())
    spread = widest - narrowest
    if narrowest < 1 or spread > _LARGEST_SPREAD or widest > _WIDEST_FIELD:
        return None
    octets = np.frombuffer(buffer, np.uint8)
    if np.count_nonzero(octets[stop - 1]) < len(width):
        return None
    # Only the part they lie in: a slice of a large batch must not cost as much as all of it.
    first = int(start[0])
    start, stop = start - first, stop - first
    octets = octets[first : first + int(stop[-1]) + spread]
    if spread:
        # A record has at least 7 bytes between one key and the next, or one value and the next.
        octets = octets.copy()
        for position in range(spread):
            octets[stop + position] = 0
    windows = np.ndarray((len(octets) - widest + 1,), f"S{widest}", octets, strides=(1,))
    fields: list[bytes | None] = windows[start].tolist()
    return fields


def _read_headers(buffer: bytes, offset: int, start: int, stop: int) -> list[Header]:
    try:
        headers, position = _parse_headers(buffer, start, stop)
    except (VarintError, UnicodeDecodeError) as error:
        raise CorruptBatchError(
            f"headers of the record at offset {offset}, byte {start} of the records: {error}"
        ) from error
    if position != stop:
        raise CorruptBatchError(
            f"headers of the record at offset {offset} end at byte {position} of the records, the record does at {stop}"
        )
    return headers


def _parse_headers(buffer: bytes, position: int, stop: int) -> tuple[list[Header], int]:
    count, position = read_varint(buffer, position)
    if count < 0:
        raise VarintError(f"their number is {count}")
    headers: list[Header] = []
    for _ in range(count):
        length, name_start = read_varint(buffer, position)
        name_stop = name_start + length
        if length < 0 or name_stop >= stop:
            raise VarintError(f"a header's name has {length} bytes at byte {name_start}")
        length, value_start = read_varint(buffer, name_stop)
        position = value_start + max(length, 0)
        if position > stop:
            raise VarintError(f"a header's value has {length} bytes at byte {value_start}")
        value = buffer[value_start:position] if length >= 0 else None
        headers.append((buffer[name_start:name_stop].decode(), value))
    return headers, position


def decode(batch: Buffer) -> Records:
    """The records of one whole batch, whatever its codec. Its CRC is not looked at: `verify` does that.

    Records stamped by the broker (LogAppendTime) all have the batch's max timestamp (KIP-32).

    Raises CorruptBatchError when the bytes are not one whole batch, do not unpack, or are not as many records as the
    header says, one behind the other, with ascending offsets within the batch's.
    """
    header = read_header(batch)
    if header.length_bytes != len(batch):
        raise CorruptBatchError(
            f"{describe(header)}: by its length (bytes 8-11) it has {header.length_bytes} bytes, here are {len(batch)}"
        )
    area = memoryview(batch)[BATCH_OVERHEAD_BYTES:]
    if header.codec != "none":
        try:
            area = memoryview(decompress(header.codec, area, MAX_UNCOMPRESSED_BYTES))
        except CorruptPayloadError as error:
            raise CorruptBatchError(
                f"{describe(header)}: the records (from byte 61 on) do not unpack: {error}"
            ) from error
    buffer = b"".join((area, WORD_PADDING))
    columns = read_records(buffer, header)
    if header.is_log_append_time:
        timestamps = np.full(header.count, header.max_timestamp, np.int64)
    else:
        timestamps = columns.timestamp_delta + header.base_timestamp
    return Records(buffer, columns.offset_delta + header.base_offset, timestamps, *columns[2:])


def read_control(batch: Buffer) -> bool | None:
    """True for the marker of a commit, False for that of an abort, None for other control batches and emptied ones.

    Raises CorruptBatchError when it is not a control batch, or its record's key is not that of one.

    >>> read_control(encode_control(commit=True, producer_id=1, producer_epoch=0, timestamp=1000))
    True
    """
    header = read_header(batch)
    if not header.is_control:
        raise CorruptBatchError(f"{describe(header)} is not a control batch: attributes {header.attributes:#06x}")
    if not header.count:
        return None
    key = decode(batch).keys()[0]
    if key is None or len(key) < CONTROL_KEY.size:
        raise CorruptBatchError(f"{describe(header)}: key {key!r} is not that of a control record, version and type")
    _, kind = CONTROL_KEY.unpack_from(key)
    return {CONTROL_ABORT: False, CONTROL_COMMIT: True}.get(kind)
