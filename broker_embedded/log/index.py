"""The indexes beside a segment: offset to position, timestamp to offset, and aborted transactions.

They are held in memory; their files are written in one go when a segment is rolled or closed, always at their true
size. (Kafka maps a preallocated file instead and trims it then: the same bytes.) After a crash they are made again from
the segment, so a file that lags behind does no harm.
"""

from __future__ import annotations

import os
import struct
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from broker_embedded.log.disk import storing, write_file
from broker_embedded.log.names import file_name

OFFSET_ENTRY: Final = struct.Struct(">ii")  # offset - base offset (the last of its batch), position of the batch
TIME_ENTRY: Final = struct.Struct(">qi")  # timestamp in ms (the largest so far), offset - base offset
_ABORTED_ENTRY: Final = struct.Struct(">hqqqq")  # version 0, then the fields of AbortedTransaction


class CorruptIndexError(ValueError):
    """An index file that cannot be one; it is rebuilt from its segment."""


class Index:
    """A sparse index: `keys` never fall, `values` rise with them; both relative to the segment as the file has them.

    >>> index = Index(Path("/tmp/00000000000000000000.index"), OFFSET_ENTRY)
    >>> index.append(9, 4096); index.append(21, 8300)
    >>> index.floor(15), index.floor(3)
    (0, -1)
    """

    __slots__ = ("_entry", "_written", "keys", "path", "values")

    def __init__(self, path: Path, entry: struct.Struct) -> None:
        self.path = path
        self._entry = entry
        self.keys = array("q")
        self.values = array("q")
        self._written = 0

    def load(self) -> None:
        """Read the file. Raises CorruptIndexError when entries fall or a part of one is left over."""
        data = self.path.read_bytes()
        if len(data) % self._entry.size:
            raise CorruptIndexError(f"{self.path}: {len(data)} bytes are not a multiple of {self._entry.size}")
        entries = np.frombuffer(data, np.dtype([("key", f">i{self._entry.size - 4}"), ("value", ">i4")]))
        for column, field in ((self.keys, "key"), (self.values, "value")):
            numbers = entries[field].astype(np.int64)
            if (numbers[1:] < numbers[:-1]).any():
                raise CorruptIndexError(f"{self.path}: an entry is smaller than the one before it ({field})")
            del column[:]
            column.frombytes(numbers.tobytes())
        self._written = len(self.keys)

    def append(self, key: int, value: int) -> None:
        self.keys.append(key)
        self.values.append(value)

    def floor(self, key: int) -> int:
        """The number of the last entry whose key is not larger than `key`; -1 when there is none."""
        return bisect_right(self.keys, key) - 1

    def floor_value(self, value: int) -> int:
        """The number of the last entry whose value is not larger than `value`; -1 when there is none."""
        return bisect_right(self.values, value) - 1

    def clear(self) -> None:
        """No entries, in memory; `write` makes the file follow."""
        del self.keys[:], self.values[:]
        self._written = 0

    def write(self) -> None:
        """Bring the file up to date, at its true size. Raises KafkaStorageError."""
        size = self._entry.size
        pack = self._entry.pack
        rows = zip(self.keys[self._written :], self.values[self._written :], strict=True)
        data = b"".join([pack(key, value) for key, value in rows])
        with storing(self.path, "write"), open(os.open(self.path, os.O_WRONLY | os.O_CREAT, 0o644), "wb") as file:
            file.seek(self._written * size)
            file.write(data)
            file.truncate()
        self._written = len(self.keys)


class AbortedTransaction(NamedTuple):
    """A transaction that was aborted: its records in [first_offset, last_offset] are not to be seen.

    `last_offset` is its marker; `last_stable_offset` is what it was once the marker was written.
    """

    producer_id: int
    first_offset: int
    last_offset: int
    last_stable_offset: int


def aborted_to_bytes(entries: Iterable[AbortedTransaction]) -> bytes:
    """What a `.txnindex` file of these holds."""
    return b"".join([_ABORTED_ENTRY.pack(0, *entry) for entry in entries])


class AbortedTransactions:
    """The aborted transactions of a whole partition in the order of their markers.

    On disk each is in the `.txnindex` file of the segment that holds its marker; a segment without any has no such file
    (Kafka's TransactionIndex).

    >>> aborted = AbortedTransactions(Path("/tmp"))
    >>> aborted.append(AbortedTransaction(7, first_offset=3, last_offset=9, last_stable_offset=10))
    >>> aborted.between(5, 8), aborted.between(10, 20)
    ([(7, 3)], [])
    """

    __slots__ = ("_folder", "_last_offsets", "entries")

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.entries: list[AbortedTransaction] = []
        self._last_offsets = array("q")

    def path(self, segment_base_offset: int) -> Path:
        return self._folder / file_name(segment_base_offset, ".txnindex")

    def load(self, segment_base_offset: int) -> None:
        """Read the file of one segment, if there is one. Raises CorruptIndexError."""
        path = self.path(segment_base_offset)
        data = path.read_bytes()
        if len(data) % _ABORTED_ENTRY.size:
            raise CorruptIndexError(f"{path}: {len(data)} bytes are not a multiple of {_ABORTED_ENTRY.size}")
        for version, *fields in _ABORTED_ENTRY.iter_unpack(data):
            entry = AbortedTransaction(*fields)
            last_offset = self._last_offsets[-1] if self._last_offsets else segment_base_offset - 1
            if version != 0 or entry.last_offset <= last_offset:
                raise CorruptIndexError(f"{path}: {entry} of version {version} does not follow offset {last_offset}")
            self.append(entry)

    def append(self, entry: AbortedTransaction) -> None:
        """Add the newest one; `write` makes the file follow."""
        self.entries.append(entry)
        self._last_offsets.append(entry.last_offset)

    def write(self, segment_base_offset: int) -> None:
        """Bring the file of the last segment up to date. Raises KafkaStorageError."""
        path = self.path(segment_base_offset)
        entries = self.entries[bisect_left(self._last_offsets, segment_base_offset) :]
        if entries:
            write_file(path, aborted_to_bytes(entries))
        else:
            path.unlink(missing_ok=True)

    def between(self, offset: int, end_offset: int) -> list[tuple[int, int]]:
        """(producer id, first offset) of those that touch [offset, end_offset), which lies below the stable offset."""
        found = []
        for entry in self.entries[bisect_left(self._last_offsets, offset) :]:
            if entry.first_offset < end_offset:
                found.append((entry.producer_id, entry.first_offset))
            if entry.last_stable_offset >= end_offset:
                break
        return found

    def replace(self, offset: int, end_offset: int, entries: list[AbortedTransaction]) -> None:
        """Let `entries` be what ended in [offset, end_offset): compaction forgets those of which nothing is left."""
        start, stop = bisect_left(self._last_offsets, offset), bisect_left(self._last_offsets, end_offset)
        self.entries[start:stop] = entries
        self._last_offsets[start:stop] = array("q", [entry.last_offset for entry in entries])

    def drop_before(self, offset: int) -> None:
        """Forget those that ended before `offset`; their segments are gone."""
        count = bisect_left(self._last_offsets, offset)
        del self.entries[:count], self._last_offsets[:count]

    def truncate(self, offset: int) -> None:
        """Forget those that ended at or after `offset`."""
        count = bisect_left(self._last_offsets, offset)
        del self.entries[count:], self._last_offsets[count:]
