"""Compaction of a log: of each key the newest record stays, at its offset (Kafka's LogCleaner).

Two passes over finished segments. The first notes the newest offset of each key in the dirty part, as far as memory
goes; the second copies what stays of everything up to there, several small segments into one. How what it makes gets
into the log's place is in `swap.py`.

All of it runs beside the thread that owns the log, on files that nobody changes: of the log it knows what `Plan` says.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from broker_embedded.log import disk, swap
from broker_embedded.log.cleaned_transactions import CleanedTransactions
from broker_embedded.log.config import LogConfig
from broker_embedded.log.index import AbortedTransaction, aborted_to_bytes
from broker_embedded.log.names import file_name
from broker_embedded.log.offset_map import OffsetMap
from broker_embedded.log.producers import LastBatch
from broker_embedded.log.retained import Retention
from broker_embedded.log.segment import MAX_RELATIVE_OFFSET, Segment
from broker_embedded.records import BatchHeader, decode, read_header

_WINDOW_BYTES: Final = 256 << 10
_WRITE_BYTES: Final = 1 << 20
_MOST_SEGMENTS: Final = 100  # in one go: each is renamed while requests wait

Pace = Callable[[], None]
"""Called between batches: to let others go first, or to raise `CompactionStopped`."""


class CompactionStopped(Exception):
    """Somebody asked for it; the log is as it was."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be compacted: all `segments`, which end before offset `end`, by the keys from `first_dirty` on."""

    folder: Path
    config: LogConfig
    segments: Sequence[Segment]
    first_dirty: int
    end: int
    aborted: Sequence[AbortedTransaction]
    last_batches: Mapping[int, LastBatch]
    now_ms: int

    def rows(self) -> Iterator[tuple[Segment, int]]:
        """Each segment with the offset it ends before."""
        return zip(self.segments, [*[segment.base_offset for segment in self.segments[1:]], self.end], strict=False)


class Cleaned(NamedTuple):
    """A segment, its files called `.swap`, to take the place of `replaced`, and the aborted transactions left in it."""

    segment: Segment
    replaced: Sequence[Segment]
    aborted: list[AbortedTransaction]


class Compaction:
    """One run over a plan: `read_keys`, then `clean` for each of `groups`."""

    def __init__(self, plan: Plan, max_map_bytes: int, pace: Pace = lambda: None) -> None:
        self._plan = plan
        self._pace = pace
        self._newest = OffsetMap(max_map_bytes)
        self.end_offset = plan.first_dirty
        """Up to where the log is clean afterwards."""

    def read_keys(self) -> None:
        """Note the newest offsets of the dirty part's keys. Raises CorruptBatchError, KafkaStorageError."""
        plan = self._plan
        # One that ended in the clean part is over: its marker, which would say so, is not read here.
        transactions = CleanedTransactions(entry for entry in plan.aborted if entry.last_offset >= plan.first_dirty)
        for segment, end in plan.rows():
            if end <= plan.first_dirty:
                continue
            for header, batch in self._walk(segment):
                if header.last_offset < plan.first_dirty:
                    continue
                if self._newest.is_full:
                    return self._begin()
                if header.is_control:
                    transactions.may_go(header, batch)
                elif not transactions.is_aborted(header):
                    records = decode(batch)
                    self._newest.add(records.keys(), records.offsets.tolist())
                self.end_offset = header.next_offset
            self.end_offset = end
        return self._begin()

    def _begin(self) -> None:
        plan = self._plan
        self._transactions = CleanedTransactions(plan.aborted)
        self._retention = Retention(
            self._newest,
            self.end_offset,
            plan.end,
            self._transactions,
            plan.last_batches,
            plan.now_ms,
            plan.config.delete_retention_ms,
        )

    def _walk(self, segment: Segment) -> Iterator[tuple[BatchHeader, memoryview]]:
        """The batches of a segment, read by a file of our own."""
        size_bytes = segment.size_bytes
        reader = Segment(self._plan.folder, segment.base_offset, size_bytes, created_ms=0, index_interval_bytes=0)
        try:
            for _, header, batch in reader.walk(size_bytes, 0, _WINDOW_BYTES):
                yield header, batch
                self._pace()
        finally:
            reader.release()

    def groups(self) -> Iterator[list[Segment]]:
        """Segments that become one: no larger, with all indexes, than the settings allow one to be."""
        group: list[Segment] = []
        for segment, end in self._plan.rows():
            if segment.base_offset >= self.end_offset:
                break
            if group and not _fits(group, segment, end - 1, self._plan.config):
                yield group
                group = []
            group.append(segment)
        if group:
            yield group

    def clean(self, group: Sequence[Segment]) -> Cleaned:
        """Write what stays of some segments, durably. Raises CorruptBatchError, KafkaStorageError, CompactionStopped.

        To be called for one group after the other, as transactions reach over several.
        """
        folder, base_offset = self._plan.folder, group[0].base_offset
        disk.sync_folder(str(folder))  # a swap before this one must not come back as half done beside a .cleaned file
        try:
            segment = Segment.create(
                folder,
                base_offset,
                created_ms=self._plan.now_ms,
                index_interval_bytes=self._plan.config.index_interval_bytes,
                suffix=swap.CLEANED,
            )
            try:
                self._copy(group, segment)
                aborted, self._transactions.kept = self._transactions.kept, []
                self._sync(segment, group[-1], aborted)
            finally:
                segment.release()
            swap.cleaned_to_swap(folder, base_offset)
        except BaseException:
            swap.remove(folder, base_offset)
            raise
        segment.renamed(swap.CLEANED, swap.SWAP)
        segment.is_synced = True
        return Cleaned(segment, group, aborted)

    def _copy(self, group: Sequence[Segment], segment: Segment) -> None:
        parts: list[memoryview | bytearray] = []
        waiting_bytes = 0
        for source in group:
            for header, batch in self._walk(source):
                kept = self._retention.keep(header, batch)
                if kept is None:
                    continue
                header = header if kept is batch else read_header(kept)
                segment.note(segment.size_bytes, header, header.last_offset)
                parts.append(kept)
                waiting_bytes += len(kept)
                if waiting_bytes >= _WRITE_BYTES:
                    _write(segment, parts)
                    parts, waiting_bytes = [], 0
        _write(segment, parts)

    def _sync(self, segment: Segment, last: Segment, aborted: list[AbortedTransaction]) -> None:
        """Finish the files. The time of the last change stays: retention goes by it where records have no time."""
        segment.seal()
        paths = [segment.path, str(segment.offsets.path), str(segment.times.path)]
        if aborted:
            path = self._plan.folder / file_name(segment.base_offset, f".txnindex{swap.CLEANED}")
            disk.write_file(path, aborted_to_bytes(aborted))
            paths.append(str(path))
        for path_text in paths:
            with disk.storing(path_text, "open"), open(path_text, "rb", buffering=0) as file:
                disk.sync_file(file.fileno(), path_text)
        changed_ms = last.last_modified_ms()
        os.utime(segment.path, ns=(changed_ms * 1_000_000,) * 2)


def _write(segment: Segment, parts: list[memoryview | bytearray]) -> None:
    view = memoryview(b"".join(parts))
    with disk.storing(segment.path, "write"):
        while view:
            view = view[os.write(segment.open(), view) :]


def _fits(group: Sequence[Segment], segment: Segment, last_offset: int, config: LogConfig) -> bool:
    members = [*group, segment]
    return (
        len(members) <= _MOST_SEGMENTS
        and sum(member.size_bytes for member in members) <= config.segment_bytes
        and sum(os.stat(member.offsets.path).st_size for member in members) <= config.segment_index_bytes
        and sum(os.stat(member.times.path).st_size for member in members) <= config.segment_index_bytes
        and last_offset - group[0].base_offset <= MAX_RELATIVE_OFFSET
    )
