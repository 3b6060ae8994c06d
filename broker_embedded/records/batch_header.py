"""The 61 bytes in front of a record batch of version 2 (KIP-98, Kafka's DefaultRecordBatch): read, check, write, seal.

    byte   0 base offset int64        17 CRC-32C uint32            43 producer id int64
           8 length int32             21 attributes int16          51 producer epoch int16
          12 leader epoch int32       23 last offset delta int32   53 base sequence int32
          16 magic int8, 2            27 base timestamp int64      57 record count int32
                                      35 max timestamp int64       61 records, perhaps compressed

The length counts what follows it. The CRC covers everything from the attributes on: base offset and leader epoch are
outside, so that a broker can set them without computing it again.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from fastcrc import crc32

from broker_embedded.records.compression import CODECS, Buffer

NO_PRODUCER_ID = -1
NO_PRODUCER_EPOCH = -1
NO_SEQUENCE = -1
BATCH_OVERHEAD_BYTES = 61

# Bits of the attributes; the lowest three are the codec.
_CODEC = 0x07
LOG_APPEND_TIME = 0x08
TRANSACTIONAL = 0x10
CONTROL = 0x20
DELETE_HORIZON = 0x40

_FIELDS = struct.Struct(">qiibIhiqqqhii")
_OFFSET = struct.Struct(">q")
_LEADER_EPOCH = struct.Struct(">i")
_CRC = struct.Struct(">I")
_ATTRIBUTES = struct.Struct(">h")
_TIMESTAMP = struct.Struct(">q")
_PRODUCER = struct.Struct(">qhi")
_LEADER_EPOCH_POSITION, _CRC_POSITION, _ATTRIBUTES_POSITION = 12, 17, 21
_MAX_TIMESTAMP_POSITION, _PRODUCER_POSITION = 35, 43
_BYTES_BEFORE_LENGTH_COUNTS = 12
_MAGIC = 2
_NO_LEADER_EPOCH = -1
_LARGEST_INT32 = 2**31 - 1


class CorruptBatchError(ValueError):
    """A batch that is damaged, cut short or lies about itself; the message names what is wrong and where."""


@dataclass(slots=True)
class BatchHeader:
    """The fields of a batch's header, in the order of their bytes.

    Timestamps are milliseconds since 1970. With a delete horizon the base timestamp holds that horizon, and the
    records' timestamps still count from it (KIP-534).
    """

    base_offset: int
    length: int
    leader_epoch: int
    magic: int
    crc: int
    attributes: int
    last_offset_delta: int
    base_timestamp: int
    max_timestamp: int
    producer_id: int
    producer_epoch: int
    base_sequence: int
    count: int

    @property
    def length_bytes(self) -> int:
        """The whole batch, with the bytes before and of the length field."""
        return self.length + _BYTES_BEFORE_LENGTH_COUNTS

    @property
    def last_offset(self) -> int:
        return self.base_offset + self.last_offset_delta

    @property
    def next_offset(self) -> int:
        return self.base_offset + self.last_offset_delta + 1

    @property
    def codec(self) -> str:
        """One of `compression.CODECS`. Raises CorruptBatchError for an id that Kafka has not given out."""
        try:
            return CODECS[self.attributes & _CODEC]
        except IndexError:
            raise CorruptBatchError(_unknown_codec(self)) from None

    @property
    def is_log_append_time(self) -> bool:
        return self.attributes & LOG_APPEND_TIME != 0

    @property
    def is_transactional(self) -> bool:
        return self.attributes & TRANSACTIONAL != 0

    @property
    def is_control(self) -> bool:
        return self.attributes & CONTROL != 0

    @property
    def has_delete_horizon(self) -> bool:
        return self.attributes & DELETE_HORIZON != 0


def describe(header: BatchHeader) -> str:
    """How messages name a batch."""
    return f"batch at offset {header.base_offset}"


def _unknown_codec(header: BatchHeader) -> str:
    return f"{describe(header)}: codec {header.attributes & _CODEC} in the attributes (bytes 21-22) is unknown"


def read_header(buffer: Buffer, position: int = 0) -> BatchHeader:
    """Read the header of the batch that begins at byte `position`.

    Raises CorruptBatchError when fewer than 61 bytes are left, or no batch of version 2 can look like this.
    """
    left = len(buffer) - position
    if left < BATCH_OVERHEAD_BYTES:
        raise CorruptBatchError(
            f"a batch header takes {BATCH_OVERHEAD_BYTES} bytes, {left} are left at byte {position}"
        )
    header = BatchHeader(*_FIELDS.unpack_from(buffer, position))
    if header.magic != _MAGIC or header.length < BATCH_OVERHEAD_BYTES - _BYTES_BEFORE_LENGTH_COUNTS or header.count < 0:
        raise CorruptBatchError(f"{describe(header)}, byte {position} of the buffer: {_fault(header)}")
    return header


def read_whole(batch: Buffer) -> BatchHeader:
    """Read the header of what must be one whole batch and nothing else. Raises CorruptBatchError."""
    header = read_header(batch)
    if header.length_bytes != len(batch):
        raise CorruptBatchError(
            f"{describe(header)}: by its length (bytes 8-11) it has {header.length_bytes} bytes, here are {len(batch)}"
        )
    return header


def _fault(header: BatchHeader) -> str:
    if header.magic != _MAGIC:
        return f"magic (byte 16) is {header.magic}; only version {_MAGIC} is read"
    if header.count < 0:
        return f"record count (bytes 57-60) is {header.count}"
    smallest = BATCH_OVERHEAD_BYTES - _BYTES_BEFORE_LENGTH_COUNTS
    return f"length (bytes 8-11) is {header.length}; a header alone makes {smallest}"


def batches(buffer: Buffer, position: int = 0) -> Iterator[tuple[BatchHeader, memoryview]]:
    """The whole batches from `position` on, each with its header. A partial last one is left out: a fetch may cut it.

    Raises CorruptBatchError where a header is damaged.
    """
    view = memoryview(buffer)
    while len(view) - position >= BATCH_OVERHEAD_BYTES:
        header = read_header(view, position)
        end = position + header.length_bytes
        if end > len(view):
            return
        yield header, view[position:end]
        position = end


def verify(buffer: Buffer) -> BatchHeader:
    """Check one whole batch as far as that goes without unpacking it: magic, length, CRC, codec, counts.

    Raises CorruptBatchError naming the fault. A changed base offset or leader epoch cannot be seen: the CRC leaves them
    out. Fewer records than offsets are allowed, as compaction leaves them; whoever takes batches from producers, which
    have no gaps, compares count and last offset delta.
    """
    header = read_whole(buffer)
    crc = _crc(buffer)
    if crc != header.crc:
        raise CorruptBatchError(
            f"{describe(header)}: CRC-32C of bytes {_ATTRIBUTES_POSITION}-{len(buffer) - 1} is {crc:#010x}, "
            f"the header (bytes 17-20) says {header.crc:#010x}"
        )
    if header.attributes & _CODEC >= len(CODECS):
        raise CorruptBatchError(_unknown_codec(header))
    if header.last_offset_delta < 0 or header.count > header.last_offset_delta + 1:
        raise CorruptBatchError(
            f"{describe(header)}: {header.count} records (bytes 57-60) do not fit into offset deltas 0 to "
            f"{header.last_offset_delta} (bytes 23-26)"
        )
    return header


def _crc(buffer: Buffer) -> int:
    return crc32.iscsi(memoryview(buffer)[_ATTRIBUTES_POSITION:])


def write_header(
    batch: bytearray,
    *,
    attributes: int,
    base_offset: int,
    last_offset_delta: int,
    base_timestamp: int,
    max_timestamp: int,
    producer_id: int,
    producer_epoch: int,
    base_sequence: int,
    count: int,
) -> None:
    """Fill the first 61 bytes of `batch`, whose records are in place, and seal it. It has no leader epoch yet.

    Raises ValueError when the batch is larger than its length field can say.
    """
    length = len(batch) - _BYTES_BEFORE_LENGTH_COUNTS
    if length > _LARGEST_INT32:
        raise ValueError(f"a batch of {len(batch)} bytes: the length field ends at 2 GiB, so write several batches")
    _FIELDS.pack_into(
        batch,
        0,
        base_offset,
        length,
        _NO_LEADER_EPOCH,
        _MAGIC,
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
    _CRC.pack_into(batch, _CRC_POSITION, _crc(batch))


def set_producer(
    batch: bytearray, *, producer_id: int, producer_epoch: int, base_sequence: int, is_transactional: bool
) -> None:
    """Write the producer's fields and the transactional bit into `batch`, in place, and seal it with a new CRC."""
    (attributes,) = _ATTRIBUTES.unpack_from(batch, _ATTRIBUTES_POSITION)
    attributes = attributes | TRANSACTIONAL if is_transactional else attributes & ~TRANSACTIONAL
    _ATTRIBUTES.pack_into(batch, _ATTRIBUTES_POSITION, attributes)
    _PRODUCER.pack_into(batch, _PRODUCER_POSITION, producer_id, producer_epoch, base_sequence)
    _CRC.pack_into(batch, _CRC_POSITION, _crc(batch))


def set_append_time(batch: bytearray, timestamp: int) -> None:
    """Let all records of `batch` have the time of appending, in place, and seal it with a new CRC (KIP-32)."""
    (attributes,) = _ATTRIBUTES.unpack_from(batch, _ATTRIBUTES_POSITION)
    _ATTRIBUTES.pack_into(batch, _ATTRIBUTES_POSITION, attributes | LOG_APPEND_TIME)
    _TIMESTAMP.pack_into(batch, _MAX_TIMESTAMP_POSITION, timestamp)
    _CRC.pack_into(batch, _CRC_POSITION, _crc(batch))


def set_offset(batch: bytearray, base_offset: int, leader_epoch: int) -> None:
    """Write base offset and leader epoch into `batch`, in place. The CRC stays: it leaves both out."""
    _OFFSET.pack_into(batch, 0, base_offset)
    _LEADER_EPOCH.pack_into(batch, _LEADER_EPOCH_POSITION, leader_epoch)
