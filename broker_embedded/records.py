"""Kafka's record batch, version 2 (KIP-98): header, CRC-32C, compression, and its records as columns."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import TypeAlias

import numpy as np
from fastcrc import crc32
from numpy.typing import NDArray

from broker_embedded.compression import CODECS, Buffer, CorruptPayloadError, compress, decompress

Int64Array: TypeAlias = NDArray[np.int64]
Header: TypeAlias = tuple[str, bytes | None]

NO_PRODUCER_ID = -1
NO_PRODUCER_EPOCH = -1
NO_SEQUENCE = -1
BATCH_OVERHEAD_BYTES = 61

_HEADER = struct.Struct(">qiibIhiqqqhii")
_LENGTH_END = 12  # what the length field counts starts here
_ATTRIBUTES = 21  # the CRC covers from here to the end
_CRC = struct.Struct(">I")
_CRC_POSITION = 17
_PRODUCER = struct.Struct(">qhi")
_PRODUCER_POSITION = 43
_CONTROL_KEY = struct.Struct(">hh")  # version, type: 0 abort, 1 commit
_CONTROL_VALUE = struct.Struct(">hi")  # version, coordinator epoch

_LOG_APPEND_TIME = 0x08
_TRANSACTIONAL = 0x10
_CONTROL = 0x20
_DELETE_HORIZON = 0x40


class CorruptBatchError(ValueError):
    """A batch that is damaged; the message names what is wrong and at which byte."""


class BatchHeader:
    """The 61 bytes before a batch's records. `length_bytes` is the whole batch, with its first 12 bytes."""

    __slots__ = (
        "attributes",
        "base_offset",
        "base_sequence",
        "base_timestamp",
        "count",
        "crc",
        "last_offset_delta",
        "leader_epoch",
        "length_bytes",
        "max_timestamp",
        "producer_epoch",
        "producer_id",
    )

    def __init__(
        self,
        base_offset: int,
        length: int,
        leader_epoch: int,
        magic: int,
        crc: int,
        attributes: int,
        last_offset_delta: int,
        base_timestamp: int,
        max_timestamp: int,
        producer_id: int,
        producer_epoch: int,
        base_sequence: int,
        count: int,
    ) -> None:
        self.base_offset = base_offset
        self.length_bytes = length + _LENGTH_END
        self.leader_epoch = leader_epoch
        self.crc = crc
        self.attributes = attributes
        self.last_offset_delta = last_offset_delta
        self.base_timestamp = base_timestamp
        self.max_timestamp = max_timestamp
        self.producer_id = producer_id
        self.producer_epoch = producer_epoch
        self.base_sequence = base_sequence
        self.count = count

    @property
    def last_offset(self) -> int:
        return self.base_offset + self.last_offset_delta

    @property
    def next_offset(self) -> int:
        return self.base_offset + self.last_offset_delta + 1

    @property
    def codec(self) -> str:
        """One of CODECS. Raises CorruptBatchError for an id without meaning."""
        try:
            return CODECS[self.attributes & 7]
        except IndexError:
            raise CorruptBatchError(
                f"batch at offset {self.base_offset}: unknown codec id {self.attributes & 7} in attributes (byte 21)"
            ) from None

    @property
    def is_transactional(self) -> bool:
        return self.attributes & _TRANSACTIONAL != 0

    @property
    def is_control(self) -> bool:
        return self.attributes & _CONTROL != 0

    @property
    def is_log_append_time(self) -> bool:
        return self.attributes & _LOG_APPEND_TIME != 0

    @property
    def has_delete_horizon(self) -> bool:
        return self.attributes & _DELETE_HORIZON != 0


def read_header(buffer: Buffer, position: int = 0) -> BatchHeader:
    """Read the header of the batch at `position`. Raises CorruptBatchError if it cannot be one of version 2."""
    if len(buffer) - position < BATCH_OVERHEAD_BYTES:
        raise CorruptBatchError(
            f"batch header at byte {position} needs {BATCH_OVERHEAD_BYTES} bytes, {len(buffer) - position} are left"
        )
    fields = _HEADER.unpack_from(buffer, position)
    header = BatchHeader(*fields)
    if fields[3] != 2 or header.length_bytes < BATCH_OVERHEAD_BYTES or header.count < 0:
        raise CorruptBatchError(f"batch at byte {position}, offset {header.base_offset}: {_header_fault(fields)}")
    return header


def _header_fault(fields: tuple[int, ...]) -> str:
    if fields[3] != 2:
        return f"magic is {fields[3]} (byte 16), only version 2 is read"
    if fields[1] + _LENGTH_END < BATCH_OVERHEAD_BYTES:
        return f"length is {fields[1]} (bytes 8-11), a header alone has {BATCH_OVERHEAD_BYTES - _LENGTH_END}"
    return f"record count is {fields[12]} (bytes 57-60)"


def batches(buffer: Buffer, position: int = 0) -> Iterator[tuple[BatchHeader, memoryview]]:
    """Each whole batch from `position` on; a partial one at the end is left out, as a fetch may cut it."""
    view = memoryview(buffer)
    while len(view) - position >= BATCH_OVERHEAD_BYTES:
        header = read_header(view, position)
        end = position + header.length_bytes
        if end > len(view):
            return
        yield header, view[position:end]
        position = end


def verify(buffer: Buffer) -> BatchHeader:
    """Check one whole batch: magic, length, CRC-32C, codec, counts. Raises CorruptBatchError naming the fault.

    The CRC covers attributes to end; base offset and leader epoch are outside, since the broker sets them after.
    """
    header = read_header(buffer)
    where = f"batch at offset {header.base_offset}"
    if header.length_bytes != len(buffer):
        raise CorruptBatchError(
            f"{where}: length field says {header.length_bytes} bytes (bytes 8-11), {len(buffer)} are there"
        )
    crc = crc32.iscsi(memoryview(buffer)[_ATTRIBUTES:])
    if crc != header.crc:
        raise CorruptBatchError(
            f"{where}: CRC-32C of bytes 21-{len(buffer) - 1} is {crc:#010x}, the header says {header.crc:#010x}"
        )
    header.codec  # noqa: B018
    if header.count > header.last_offset_delta + 1 or header.last_offset_delta < 0:
        raise CorruptBatchError(
            f"{where}: {header.count} records (bytes 57-60) in {header.last_offset_delta + 1} offsets (bytes 23-26)"
        )
    return header


class Records:
    """The records of a batch as columns; keys and values are cut out of `buffer` when asked."""

    __slots__ = (
        "buffer",
        "has_headers",
        "headers_start",
        "key_start",
        "key_stop",
        "offsets",
        "timestamps",
        "value_start",
        "value_stop",
    )

    def __init__(
        self,
        buffer: bytes,
        offsets: Int64Array,
        timestamps: Int64Array,
        key_start: Int64Array,
        key_stop: Int64Array,
        value_start: Int64Array,
        value_stop: Int64Array,
        headers_start: Int64Array,
        has_headers: bool,
    ) -> None:
        self.buffer = buffer
        self.offsets = offsets
        self.timestamps = timestamps
        self.key_start = key_start
        self.key_stop = key_stop
        self.value_start = value_start
        self.value_stop = value_stop
        self.headers_start = headers_start
        self.has_headers = has_headers

    def __len__(self) -> int:
        return len(self.offsets)

    def keys(self) -> list[bytes | None]:
        return _cut(self.buffer, self.key_start, self.key_stop)

    def values(self) -> list[bytes | None]:
        return _cut(self.buffer, self.value_start, self.value_stop)

    def values_joined(self, separator: bytes = b"\n") -> bytes:
        """The values with `separator` between them; null counts as empty."""
        return separator.join([value or b"" for value in self.values()])

    def headers(self) -> list[list[Header]]:
        if not self.has_headers:
            return [[] for _ in range(len(self))]
        return [_read_headers(self.buffer, position)[0] for position in self.headers_start.tolist()]

    def slice(self, start: int, stop: int) -> Records:
        """Records `start` to `stop` (excluded), sharing buffer and columns."""
        return Records(
            self.buffer,
            self.offsets[start:stop],
            self.timestamps[start:stop],
            self.key_start[start:stop],
            self.key_stop[start:stop],
            self.value_start[start:stop],
            self.value_stop[start:stop],
            self.headers_start[start:stop],
            self.has_headers,
        )


def _cut(buffer: bytes, start: Int64Array, stop: Int64Array) -> list[bytes | None]:
    return [buffer[i:j] if i >= 0 else None for i, j in zip(start.tolist(), stop.tolist(), strict=True)]


def _read_varint(buffer: bytes, position: int) -> tuple[int, int]:
    raw = shift = 0
    while True:
        if position >= len(buffer) or shift > 63:
            raise CorruptBatchError(f"varint before byte {position} does not end")
        byte = buffer[position]
        position += 1
        raw |= (byte & 0x7F) << shift
        if byte < 0x80:
            return (raw >> 1) ^ -(raw & 1), position
        shift += 7


def _read_bytes(buffer: bytes, position: int) -> tuple[int, int, int]:
    length, start = _read_varint(buffer, position)
    if length < 0:
        return -1, -1, start
    if start + length > len(buffer):
        raise CorruptBatchError(f"field of {length} bytes at byte {start} runs past the end at {len(buffer)}")
    return start, start + length, start + length


def _read_headers(buffer: bytes, position: int) -> tuple[list[Header], int]:
    count, position = _read_varint(buffer, position)
    if count < 0:
        raise CorruptBatchError(f"header count {count} before byte {position}")
    headers: list[Header] = []
    for _ in range(count):
        key_start, key_stop, position = _read_bytes(buffer, position)
        if key_start < 0:
            raise CorruptBatchError(f"null header key before byte {position}")
        value_start, value_stop, position = _read_bytes(buffer, position)
        value = buffer[value_start:value_stop] if value_start >= 0 else None
        headers.append((buffer[key_start:key_stop].decode(), value))
    return headers, position


def decode(batch: Buffer) -> Records:
    """The records of one whole batch, of any codec. The CRC is not checked: see `verify`.

    Raises CorruptBatchError when the payload does not unpack, or the records do not fill it exactly.
    """
    header = read_header(batch)
    where = f"batch at offset {header.base_offset}"
    area = memoryview(batch)[BATCH_OVERHEAD_BYTES : header.length_bytes]
    try:
        buffer = decompress(header.codec, area)
    except CorruptPayloadError as error:
        raise CorruptBatchError(f"{where}: records do not unpack: {error}") from error
    try:
        return _decode_area(header, buffer)
    except CorruptBatchError as error:
        raise CorruptBatchError(f"{where}: {error}") from error


def _decode_area(header: BatchHeader, buffer: bytes) -> Records:
    rows: list[tuple[int, ...]] = []
    position = 0
    has_headers = False
    for index in range(header.count):
        length, start = _read_varint(buffer, position)
        if length < 0:
            raise CorruptBatchError(f"record {index} at byte {position}: negative length {length}")
        timestamp, position = _read_varint(buffer, start + 1)
        offset, position = _read_varint(buffer, position)
        key_start, key_stop, position = _read_bytes(buffer, position)
        value_start, value_stop, headers_start = _read_bytes(buffer, position)
        headers, position = _read_headers(buffer, headers_start)
        has_headers = has_headers or bool(headers)
        if position != start + length:
            raise CorruptBatchError(
                f"record {index}: length says it ends at byte {start + length}, it does at {position}"
            )
        rows.append((offset, timestamp, key_start, key_stop, value_start, value_stop, headers_start))
    if position != len(buffer):
        raise CorruptBatchError(f"{header.count} records end at byte {position}, {len(buffer)} bytes are there")
    columns = np.array(rows, np.int64).reshape(-1, 7).T.copy()
    offsets, timestamps, *rest = columns
    if header.is_log_append_time:
        timestamps = np.full(len(rows), header.max_timestamp)
    else:
        timestamps = timestamps + header.base_timestamp
    return Records(buffer, offsets + header.base_offset, timestamps, *rest, has_headers)


def _varint(value: int) -> bytes:
    raw = (value << 1) ^ (value >> 63)
    out = bytearray()
    while raw > 0x7F:
        out.append(raw & 0x7F | 0x80)
        raw >>= 7
    out.append(raw)
    return bytes(out)


def _field(data: Buffer | None) -> bytes:
    return b"\x01" if data is None else _varint(len(data)) + data


def encode(
    keys: Sequence[bytes | None],
    values: Sequence[bytes | None],
    timestamps: Sequence[int] | Int64Array,
    headers: Sequence[Sequence[Header]] | None = None,
    *,
    codec: str = "none",
    level: int | None = None,
    base_offset: int = 0,
    is_transactional: bool = False,
    producer_id: int = NO_PRODUCER_ID,
    producer_epoch: int = NO_PRODUCER_EPOCH,
    base_sequence: int = NO_SEQUENCE,
    offsets: Sequence[int] | Int64Array | None = None,
) -> bytearray:
    """One whole batch. `offsets` are absolute, for compacted rewrites; without them they count from `base_offset`."""
    times = [int(t) for t in timestamps]
    count = len(values)
    if not len(keys) == len(times) == count:
        raise ValueError(f"{len(keys)} keys, {count} values, {len(times)} timestamps: one of each per record")
    if not count:
        raise ValueError("a batch needs at least one record")
    if offsets is not None:
        base_offset = int(offsets[0])
        deltas = [int(o) - base_offset for o in offsets]
    else:
        deltas = list(range(count))
    base_timestamp = times[0]
    parts: list[bytes] = []
    for index in range(count):
        record = [
            b"\x00",
            _varint(times[index] - base_timestamp),
            _varint(deltas[index]),
            _field(keys[index]),
            _field(values[index]),
        ]
        entries = headers[index] if headers is not None else ()
        record.append(_varint(len(entries)))
        for name, value in entries:
            record += (_field(name.encode()), _field(value))
        body = b"".join(record)
        parts += (_varint(len(body)), body)
    attributes = CODECS.index(codec) | (_TRANSACTIONAL if is_transactional else 0)
    area = compress(codec, b"".join(parts), level)
    return _seal(
        area,
        attributes,
        base_offset,
        deltas[-1],
        base_timestamp,
        max(times),
        producer_id,
        producer_epoch,
        base_sequence,
        count,
    )


def _seal(
    area: bytes,
    attributes: int,
    base_offset: int,
    last_offset_delta: int,
    base_timestamp: int,
    max_timestamp: int,
    producer_id: int,
    producer_epoch: int,
    base_sequence: int,
    count: int,
) -> bytearray:
    batch = bytearray(BATCH_OVERHEAD_BYTES)
    batch += area
    _HEADER.pack_into(
        batch,
        0,
        base_offset,
        len(batch) - _LENGTH_END,
        -1,
        2,
        0,
        attributes,
        last_offset_delta,
        base_timestamp,
        max_timestamp,
        producer_id,
        producer_epoch,
        base_sequence,
        count,
    )
    _write_crc(batch)
    return batch


def _write_crc(batch: bytearray) -> None:
    _CRC.pack_into(batch, _CRC_POSITION, crc32.iscsi(memoryview(batch)[_ATTRIBUTES:]))


def encode_control(
    *,
    commit: bool,
    producer_id: int,
    producer_epoch: int,
    coordinator_epoch: int = 0,
    timestamp: int,
    base_offset: int = 0,
) -> bytearray:
    """The marker that ends a transaction (Kafka's EndTransactionMarker): one record, no sequence."""
    body = b"\x00\x00\x00" + _field(_CONTROL_KEY.pack(0, commit)) + _field(_CONTROL_VALUE.pack(0, coordinator_epoch))
    area = _varint(len(body) + 1) + body + b"\x00"
    return _seal(
        area,
        _TRANSACTIONAL | _CONTROL,
        base_offset,
        0,
        timestamp,
        timestamp,
        producer_id,
        producer_epoch,
        NO_SEQUENCE,
        1,
    )


def read_control(batch: Buffer) -> bool | None:
    """True for a commit marker, False for an abort, None for other control records."""
    key = decode(batch).keys()[0]
    if key is None or len(key) < _CONTROL_KEY.size:
        raise CorruptBatchError(f"control record with key {key!r}: version and type expected, 4 bytes")
    return {0: False, 1: True}.get(_CONTROL_KEY.unpack_from(key)[1])


def set_producer(
    batch: bytearray, *, producer_id: int, producer_epoch: int, base_sequence: int, is_transactional: bool
) -> None:
    """Write producer fields and the transactional bit into `batch`, in place, and seal it with a new CRC."""
    _PRODUCER.pack_into(batch, _PRODUCER_POSITION, producer_id, producer_epoch, base_sequence)
    bit = _TRANSACTIONAL if is_transactional else 0
    batch[22] = batch[22] & ~_TRANSACTIONAL | bit
    _write_crc(batch)


def set_offset(batch: bytearray, base_offset: int, leader_epoch: int) -> None:
    """Write base offset and leader epoch into `batch`, in place. Both lie outside the CRC."""
    struct.pack_into(">q", batch, 0, base_offset)
    struct.pack_into(">i", batch, 12, leader_epoch)
