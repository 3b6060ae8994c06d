"""Kafka's record batch, version 2 (KIP-98): its records as columns, decoded and encoded; the door to the whole format.

Header, CRC and fields that are set in place are in `batch_header`, the encoder in `encoder`; their names
are given out here. Batches go in as bytes of any kind and come out as `Records`, which owns a copy of the bytes, so
that the buffer they were read into can be used again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from broker_embedded.records.batch_header import (
    BATCH_OVERHEAD_BYTES,
    NO_PRODUCER_EPOCH,
    NO_PRODUCER_ID,
    NO_SEQUENCE,
    BatchHeader,
    CorruptBatchError,
    batches,
    describe,
    read_header,
    read_whole,
    set_append_time,
    set_offset,
    set_producer,
    verify,
)
from broker_embedded.records.compression import MAX_UNCOMPRESSED_BYTES, Buffer, CorruptPayloadError, decompress
from broker_embedded.records.decoder import Area, Columns, Reader, read_records
from broker_embedded.records.encoder import (
    CONTROL_ABORT,
    CONTROL_COMMIT,
    CONTROL_KEY,
    Header,
    encode,
    encode_control,
    seal,
)
from broker_embedded.records.fields import cut, read_headers
from broker_embedded.records.varint import WORD_PADDING, Int64Array

__all__ = [
    "BATCH_OVERHEAD_BYTES",
    "NO_PRODUCER_EPOCH",
    "NO_PRODUCER_ID",
    "NO_SEQUENCE",
    "Area",
    "BatchHeader",
    "Columns",
    "CorruptBatchError",
    "Header",
    "Reader",
    "Records",
    "batches",
    "decode",
    "decode_many",
    "encode",
    "encode_control",
    "read_control",
    "read_header",
    "read_records",
    "seal",
    "set_append_time",
    "set_offset",
    "set_producer",
    "verify",
]


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
        return cut(self.buffer, self.key_start, self.key_stop)

    def values(self) -> list[bytes | None]:
        return cut(self.buffer, self.value_start, self.value_stop)

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
        return [read_headers(self.buffer, offset, start, stop) for offset, start, stop in areas]

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


def decode(batch: Buffer) -> Records:
    """The records of one whole batch, whatever its codec. Its CRC is not looked at: `verify` does that.

    Records stamped by the broker (LogAppendTime) all have the batch's max timestamp (KIP-32).

    Raises CorruptBatchError when the bytes are not one whole batch, do not unpack, or are not as many records as the
    header says, one behind the other, with ascending offsets within the batch's.
    """
    return decode_many([batch])


def decode_many(batches: Sequence[Buffer], read: Reader = read_records) -> Records:
    """The records of whole batches one after the other, as `decode` gives them; faster than batch by batch. `read` is
    what finds them in the buffer.

    Raises CorruptBatchError as `decode` does, for one of the batches that are wrong.

    >>> records = decode_many([encode([b"AA"], [b"1"], [1000]), encode([b"UA"], [b"2"], [1005], base_offset=1)])
    >>> records.offsets, records.keys(), records.values()
    (array([0, 1]), [b'AA', b'UA'], [b'1', b'2'])
    """
    parts: list[Buffer] = []
    areas: list[Area] = []
    stop = 0
    for batch in batches:
        header, part = _unpack(batch)
        start, stop = stop, stop + len(part)
        parts.append(part)
        areas.append(Area(header, start, stop))
    buffer = b"".join((*parts, WORD_PADDING))
    return Records(buffer, *read(buffer, areas))


def _unpack(batch: Buffer) -> tuple[BatchHeader, Buffer]:
    header = read_whole(batch)
    packed = memoryview(batch)[BATCH_OVERHEAD_BYTES:]
    if header.codec == "none":
        return header, packed
    try:
        return header, decompress(header.codec, packed, MAX_UNCOMPRESSED_BYTES)
    except CorruptPayloadError as error:
        raise CorruptBatchError(f"{describe(header)}: the records (from byte 61 on) do not unpack: {error}") from error


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
