"""The versioned layer: what a key was at any time within `history_ms`, over a key-value layer.

| what | store key | flag before the payload |
|---|---|---|
| the latest version | the largest time prefix + key | value |
| an earlier one | start of the segment in which it ends (int64) + key + when it began (int64) | value, or deleted |
| a deletion with nothing after it when it came | start of the segment of its time + key + its time | gap |

A segment is half of `history_ms`, so what is too old goes as one range, and a key is found in a handful of places.
The rules are those of Kafka Streams' `RocksDBVersionedStore`, to the letter of what it forgets: a version that is
deleted at the very time at which it began leaves nothing behind, unless the version before it ended there. Its layout,
one value a key and segment, is not: it would write a key's whole history again with every change.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from operator import itemgetter
from typing import Final, TypeAlias

from state.api import Version
from state.keys import TIME_MAX, TIME_MIN, split_window_key, time_prefix
from state.layers.pending import PendingStore

_LATEST: Final = time_prefix(TIME_MAX)
_GAP: Final = b"\x00"
_VALUE: Final = b"\x01"
_DELETED: Final = b"\x02"

Entry: TypeAlias = tuple[int, bytes]
"""When a version began, and what is stored of it: a flag and the payload."""

_time = itemgetter(0)

CACHED_KEYS = 100_000
"""Keys whose versions are kept in memory between two calls of `trim`."""


class VersionedLayer:
    """A versioned store. Time is the largest timestamp put, held back by `bound`.

    >>> from state.backends.memory import MemoryBackend
    >>> backend = MemoryBackend()
    >>> backend.open_store("prices")
    >>> store = VersionedLayer(PendingStore("prices", backend), history_ms=100)
    >>> store.put(b"AA", b"1", 50) == TIME_MAX, store.put(b"AA", b"0", 20)
    (True, 50)
    >>> store.get(b"AA"), store.get(b"AA", as_of=30)
    (Version(value=b'1', valid_from=50, valid_to=None), Version(value=b'0', valid_from=20, valid_to=50))
    >>> store.put(b"UA", b"9", 200) == TIME_MAX, store.put(b"AA", b"x", 99), store.get(b"AA", as_of=30)
    (True, None, None)
    """

    def __init__(self, inner: PendingStore, history_ms: int) -> None:
        self.name = inner.name
        self.inner = inner
        self.history_ms = history_ms
        self.bound = TIME_MAX
        self.observed = TIME_MIN
        self._segment_ms = max(1, history_ms // 2)
        self._known_segments: set[int] | None = None
        self._cache: dict[bytes, list[Entry]] = {}

    @property
    def limit(self) -> int:
        """The earliest time (ms) that can be asked about, and changed."""
        return max(TIME_MIN, min(self.observed, self.bound) - self.history_ms)

    def advance(self, time_ms: int) -> None:
        """Set the store's time; a time before it changes nothing."""
        self.observed = max(self.observed, time_ms)

    # -- reading

    def get(self, key: bytes, as_of: int | None = None) -> Version | None:
        """The latest version, or the one that was valid at `as_of`; before `limit` only the latest is known."""
        found = self._cache.get(key)
        if found is None:
            latest = self.inner.get_stamped(_LATEST + key)
            if latest is not None and (as_of is None or latest[1] <= as_of):
                return Version(latest[0][1:], latest[1], None)
            if as_of is None or as_of < self.limit:
                return None
            found = self._versions(key)
        at = len(found) - 1 if as_of is None else bisect_right(found, as_of, key=_time) - 1
        if at < 0 or (at < len(found) - 1 and as_of is not None and as_of < self.limit):
            return None
        began, stored = found[at]
        ended = found[at + 1][0] if at + 1 < len(found) else None
        return Version(stored[1:], began, ended) if stored[:1] == _VALUE else None

    def history(self, key: bytes) -> list[Version]:
        """The versions that can still be asked for, the earliest first; deletions are the gaps between them."""
        found, limit = self._versions(key), self.limit
        ends = [*(began for began, _ in found[1:]), None][: len(found)]
        return [
            Version(stored[1:], began, ended)
            for (began, stored), ended in zip(found, ends, strict=True)
            if stored[:1] == _VALUE and (ended is None or ended > limit)
        ]

    @contextmanager
    def scan(
        self, start: bytes | None = None, stop: bytes | None = None, *, reverse: bool = False
    ) -> Iterator[Iterator[tuple[bytes, bytes, int]]]:
        """(key, value, timestamp) of the latest versions with start <= key < stop, in key order."""
        low, high = _LATEST + (start or b""), None if stop is None else _LATEST + stop
        with self.inner.scan(low, high, reverse=reverse) as rows:
            yield ((place[8:], stored[1:], timestamp) for place, stored, timestamp in rows)

    # -- writing

    def put(self, key: bytes, value: bytes | None, timestamp: int) -> int | None:
        """Set what the key is from `timestamp` on, None deletes. Gives up to when: the time of the next version,
        TIME_MAX if there is none; None when it is too late, and nothing is changed.
        """
        if timestamp < self.limit:
            return None
        self.advance(timestamp)
        versions = self._versions(key)
        if value is not None and (not versions or (versions[-1][1] != _GAP and versions[-1][0] < timestamp)):
            return self._append(key, versions, value, timestamp)
        # What the change may move stands at that time, or in the two places before it.
        first = max(0, bisect_right(versions, timestamp, key=_time) - 3)
        beyond, size = min(len(versions), first + 5), len(versions)
        before = self._places(key, versions, first, beyond)
        ended = _insert(versions, value, timestamp)
        after = self._places(key, versions, first, beyond + len(versions) - size)
        gone = [place for place in before if place not in after]
        self.inner.delete_many(gone, [timestamp] * len(gone))
        for place, (began, stored) in after.items():
            if before.get(place) != (began, stored):
                self.inner.put(place, stored, began)
                if not place.startswith(_LATEST):
                    self._segments.add(split_window_key(place)[0])
        return ended

    def _append(self, key: bytes, versions: list[Entry], value: bytes, timestamp: int) -> int:
        """The usual case, short: a value behind a value."""
        if len(versions) > 1 and versions[-2][0] == versions[-1][0]:
            self.inner.delete_many([self._place(key, versions, len(versions) - 2)], [timestamp])
            del versions[-2]
        if versions:
            began, stored = versions[-1]
            segment = self._segment(timestamp)
            self._segments.add(segment)
            self.inner.put(time_prefix(segment) + key + time_prefix(began), stored, began)
        stored = _VALUE + value
        versions.append((timestamp, stored))
        self.inner.put(_LATEST + key, stored, timestamp)
        return TIME_MAX

    def delete(self, key: bytes, timestamp: int) -> Version | None:
        """The key is nothing from `timestamp` on; gives what it was then. Nothing happens when it is too late."""
        found = None if timestamp < self.limit else self.get(key, timestamp)
        self.put(key, None, timestamp)
        return found

    def expire(self) -> None:
        """Remove what can no longer be asked for, whole segments at once. Call it once a commit."""
        floor = self._segment(self.limit)
        gone = [segment for segment in self._segments if segment < floor]
        if gone:
            self._segments.difference_update(gone)
            self.inner.clear_before(time_prefix(floor), timestamp=max(0, floor))

    def trim(self) -> None:
        """Let go of what memory holds when it has outgrown its bound, if all of it is in the backend: a key that memory
        does not hold is looked for only there.
        """
        if not self.inner.clean:
            return
        for key in list(islice(self._cache, max(0, len(self._cache) - CACHED_KEYS))):
            del self._cache[key]

    def forget(self) -> None:
        """What memory holds is old: changes were taken back, or written past this layer."""
        self._cache.clear()
        self._known_segments = None

    # -- places

    @property
    def _segments(self) -> set[int]:
        """Those that may hold anything."""
        if self._known_segments is None:
            self._known_segments = set(self._stored_segments())
        return self._known_segments

    def _segment(self, time_ms: int) -> int:
        return max(TIME_MIN, time_ms // self._segment_ms * self._segment_ms)

    def _place(self, key: bytes, versions: list[Entry], at: int) -> bytes:
        began, stored = versions[at]
        if stored == _GAP:
            return time_prefix(self._segment(began)) + key + time_prefix(began)
        if at + 1 == len(versions):
            return _LATEST + key
        return time_prefix(self._segment(versions[at + 1][0])) + key + time_prefix(began)

    def _places(self, key: bytes, versions: list[Entry], first: int, beyond: int) -> dict[bytes, Entry]:
        return {self._place(key, versions, at): versions[at] for at in range(first, beyond)}

    def _versions(self, key: bytes) -> list[Entry]:
        """Every version that is left of a key, the earliest first."""
        found = self._cache.get(key)
        if found is None:
            found = self._cache[key] = self._load(key)
        floor = self._segment(self.limit)
        while len(found) > 1 and found[1][0] < floor:
            del found[0]
        return found

    def _load(self, key: bytes) -> list[Entry]:
        found: list[Entry] = []
        size = 16 + len(key)
        for segment in self._segments:
            prefix = time_prefix(segment) + key
            for place, stored, timestamp in self.inner.scan_stored(prefix, prefix + b"\xff" * 8 + b"\x00"):
                if len(place) == size:  # the rest are versions of longer keys
                    found.append((timestamp, stored))
        latest = self.inner.get_stamped(_LATEST + key)
        if latest is not None:
            found.append((latest[1], latest[0]))
        # A gap stands before the version that came at the same time.
        return sorted(found, key=lambda entry: (entry[0], entry[1] != _GAP))

    def _stored_segments(self) -> Iterator[int]:
        at: bytes | None = None
        while True:
            with self.inner.scan(at, _LATEST) as rows:
                first = next(rows, None)
            if first is None:
                return
            segment = split_window_key(first[0])[0]
            yield segment
            at = time_prefix(segment + 1)


def _insert(versions: list[Entry], value: bytes | None, timestamp: int) -> int:
    """Put a version into a list of them; gives the time of the next one, TIME_MAX if there is none."""
    at = bisect_right(versions, timestamp, key=_time)
    last = at == len(versions)
    stored = _VALUE + value if value is not None else _GAP if last else _DELETED
    there = at > 0 and versions[at - 1][0] == timestamp
    if not there:
        if last and at > 1 and versions[at - 2][0] == versions[at - 1][0]:
            del versions[at - 2]  # a gap that was kept for the version behind it, which now has one behind it
            at -= 1
        versions.insert(at, (timestamp, stored))
    elif not last:
        versions[at - 1] = timestamp, stored
    else:
        _replace_latest(versions, stored)
    return TIME_MAX if last else versions[bisect_right(versions, timestamp, key=_time)][0]


def _replace_latest(versions: list[Entry], stored: bytes) -> None:
    """Another value, or a deletion, at the very time of the latest version."""
    timestamp, known = versions[-1]
    ended_here = len(versions) > 1 and (versions[-2][1] != _GAP or versions[-2][0] == timestamp)
    if known == _GAP and stored != _GAP and not ended_here:
        versions.append((timestamp, stored))
    elif known != _GAP and stored == _GAP and (not ended_here or versions[-2][1] == _GAP):
        del versions[-1]
    else:
        versions[-1] = timestamp, stored
