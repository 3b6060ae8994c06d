"""Keys, values and headers of records, cut out of the buffer they are in when somebody asks for them."""

from __future__ import annotations

import numpy as np

from broker_embedded.records.batch_header import CorruptBatchError
from broker_embedded.records.encoder import Header
from broker_embedded.records.varint import Int64Array, UInt64Array, VarintError, constant, read_varint

# Measured: from how many fields on, and up to which spread and width of theirs in bytes, all are cut at once.
_MANY_FIELDS = 160
_LARGEST_SPREAD = 48
_WIDEST_FIELD = 512
# One in so many may be null, empty or end in a zero.
_ONE_ODD_IN = 4
_ALL_BITS = constant(2**64 - 1)


def cut(buffer: bytes, start: Int64Array, stop: Int64Array) -> list[bytes | None]:
    """The fields from `start` to before `stop` (int64[n]), both -1 for null."""
    count = len(start)
    if count >= _MANY_FIELDS:
        if np.count_nonzero(start < 0) == count:
            null: list[bytes | None] = [None]
            return null * count
        fields = _cut_at_once(buffer, start, stop)
        if fields is not None:
            return fields
    return [buffer[i:j] if i >= 0 else None for i, j in zip(start.tolist(), stop.tolist(), strict=True)]


def _cut_at_once(buffer: bytes, start: Int64Array, stop: Int64Array) -> list[bytes | None] | None:
    """All fields by way of an array of fixed width, up to four times as fast as slices; None where that does not pay.

    numpy strips zeros from the end of such bytes. So each field is read as wide as the widest, with zeros put in place
    of what follows it; the odd ones, which end in a zero, are empty or null, are then cut one by one.
    """
    width = stop - start
    narrowest, widest = int(width.min()), int(width.max())
    if widest - narrowest > _LARGEST_SPREAD or widest > _WIDEST_FIELD:
        return None
    room = widest if narrowest == widest else -(-widest // 8) * 8
    last = len(buffer) - room
    odd = np.flatnonzero((np.frombuffer(buffer, np.uint8)[stop - 1] == 0) | (start > last))
    if len(odd) * _ONE_ODD_IN > len(width):
        return None
    rows = np.ndarray((last + 1,), f"S{room}", buffer, strides=(1,))[np.minimum(start, last)]
    if narrowest < widest:
        _blank(rows.view("<u8").reshape(len(rows), -1), width, narrowest)
    fields: list[bytes | None] = rows.tolist()
    for index in odd.tolist():
        fields[index] = buffer[start[index] : stop[index]] if start[index] >= 0 else None
    return fields


def _blank(rows: UInt64Array, width: Int64Array, narrowest: int) -> None:
    """Puts zeros behind the first `width` bytes of each row, none of which is less than `narrowest`."""
    bits = width << 3
    for index in range(narrowest // 8, rows.shape[1]):
        kept = np.maximum(bits - 64 * index, 0).view(np.uint64)
        rows[:, index] &= ~(_ALL_BITS << kept)


def read_headers(buffer: bytes, offset: int, start: int, stop: int) -> list[Header]:
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
