"""A task's view of one table: decoded values in memory in front of the store, for agents and pipelines alike.

Entries are store keys (bytes), so a lookup by key bytes costs no decoding. Numbers, text and bytes are kept as they
are; every other value is kept encoded, and each `get` decodes its own: nobody can change a value under the table, and
what is read is what would be read after a restart. A number that is changed often is encoded once a commit, at `save`.

Over 300 lines: reading, writing, taking back and expiry share one small state, and apart each would need all of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from heapq import merge
from itertools import islice
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final, Protocol

from state.keys import TIME_MIN, session_key, split_window_key, time_prefix, window_block
from streams.errors import DecodeError, EncodeError
from streams.graph.definitions import StoreDef
from streams.operators.stored import StoredForm
from streams.serde import TEXT, key_serde_for
from streams.serde.types import without_none

if TYPE_CHECKING:
    from state.api import Scanned
    from streams.operators.base import Found, TaskContext
    from streams.windows import Windowed

CACHE_BYTES = 16 << 20
"""About what one view may take in memory between two batches."""

ENTRY_OVERHEAD_BYTES = 250
"""What an entry costs beyond twice its encoded value: slots of two dicts, key, value header."""

PIECE_ENTRIES = 4_096
"""So many changed entries are encoded and put into the store at a step: a few milliseconds."""

_INT_MAX = 2**63 - 1
_UNKNOWN: Final = object()
GONE: Final = object()

Undo = list[tuple["TableView", bytes, Any, int | None, Any]]
"""A record's changes: view, entry, what was in memory before, its timestamp if it was not saved yet, the new value."""


class Front(Protocol):
    """Holds some of a table in front of its view (`streams.operators.agents.table_front`)."""

    def settle(self) -> None:
        """Enters what has changed in the view."""

    def forget(self) -> None:
        """The same, and lets go of all."""


class _Packed:
    """An encoded value; `shared` is its decoded form for readers that leave it as it is, made when first asked for."""

    __slots__ = ("data", "shared")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.shared: Any = _UNKNOWN


class TableView:
    """The table `definition` in the task of `context`. Keys and values are typed; a value of None deletes.

    A windowed table's entries have a window start besides: `entry_at`. Changes reach the store with `save`; a commit
    whose outcome is unknown needs a new view.
    """

    def __init__(self, definition: StoreDef, context: TaskContext, *, cache_bytes: int = CACHE_BYTES) -> None:
        self.definition = definition
        self._stores = context.stores
        self._name = definition.name
        self._keys = key_serde_for(definition.key_type)
        self._values = StoredForm(definition)
        self.entry: Callable[[Any], bytes] = str.encode if self._keys is TEXT else self._keys.encode
        """The store key of a key."""
        self._plain = _plain_types(definition)
        self._cache: dict[bytes, Any] = {}
        self._dirty: dict[bytes, int] = {}
        self._stamps: dict[bytes, int] = {}
        """Timestamps of entries that were asked for and are not changed."""
        self.front: Front | None = None
        """An agent's, which knows better than memory what it holds. Whoever reads or writes here settles it first."""
        self._cache_bytes = cache_bytes
        self._changes = 0
        self._value_bytes, self._values_sized = 64, 1
        self._times: dict[str, int] = {}
        self._by_window = definition.kind == "window"
        starts = self._stores.window(self._name).starts() if self._by_window else ()
        self._prefixes = {start: time_prefix(start) for start in starts}
        """Starts (ms) of the windows that have been asked for and have not expired, as in store keys."""
        self._stored = set(self._prefixes.values())
        """Those that the store may have anything of."""

    def __repr__(self) -> str:
        return f"<TableView {self._name}: {len(self._cache)} entries in memory, {len(self._dirty)} changed>"

    def changes(self) -> int:
        """How often the table may have changed: what was read is still there while this stays the same."""
        self._settle()
        return self._changes

    # -- one key

    def get(self, key: Any, absent: Any = None) -> Any:
        """The value of a key, the caller's own."""
        return self.read(self.entry(key), absent)

    def put(self, key: Any, value: Any, timestamp: int, undo: Undo | None = None) -> None:
        """Sets the value of a key; None deletes. Raises EncodeError for a value that is not of the table's type."""
        self.write(self.entry(key), value, timestamp, undo)

    def entry_at(self, key: Any, start: int) -> bytes:
        """The store key of a key in the window that starts at `start` (ms)."""
        prefix = self._prefixes.get(start)
        if prefix is None:
            prefix = self._prefixes[start] = time_prefix(start)
        return prefix + self.entry(key)

    def entry_of(self, key: Any) -> bytes:
        """The store key of a key as records have it: `Windowed` where there are windows."""
        if self.definition.sessions:
            return session_key(key.start, key.end, self.entry(key.key))
        return self.entry_at(key.key, key.start) if self._by_window else self.entry(key)

    def read(self, entry: bytes, absent: Any) -> Any:
        self._settle()
        return self.read_behind(entry, absent)

    def write(self, entry: bytes, value: Any, timestamp: int, undo: Undo | None) -> None:
        if self.front is not None:
            self.front.forget()
        self.write_behind(entry, value, timestamp, undo)

    # -- behind the front

    def holds_as_it_is(self, value: Any) -> bool:
        """Whether it is a number that the table keeps as it is."""
        kind = type(value)
        return kind in self._plain and (kind is float or (kind is int and -_INT_MAX <= value <= _INT_MAX))

    def enter(self, timestamps: Mapping[Any, int], values: Mapping[Any, Any]) -> None:
        """Sets many numbers by key; `values` has more than is to be set."""
        self._changes += 1
        entries = list(map(self.entry, timestamps))
        self._cache.update(zip(entries, map(values.__getitem__, timestamps), strict=True))
        self._dirty.update(zip(entries, timestamps.values(), strict=True))

    def read_behind(self, entry: bytes, absent: Any) -> Any:
        """`read` for the front, of a key that it does not hold."""
        value = self._cache.get(entry, _UNKNOWN)
        if value is _UNKNOWN:
            value = self._load(entry)
        if type(value) is _Packed:
            return self._decoded(value.data)
        return absent if value is GONE else value

    def write_behind(self, entry: bytes, value: Any, timestamp: int, undo: Undo | None) -> None:
        """`write` for the front, of a key that it does not hold."""
        kind = type(value)
        if kind not in self._plain or (kind is int and not -_INT_MAX <= value <= _INT_MAX):
            value = GONE if value is None else self._pack(value)
        elif kind is bytes:
            self._sized(len(value))
        cache, dirty = self._cache, self._dirty
        if undo is not None:
            undo.append((self, entry, cache.get(entry, _UNKNOWN), dirty.get(entry), value))
        cache[entry] = value
        dirty[entry] = timestamp
        self._changes += 1

    def _load(self, entry: bytes) -> Any:
        known = self._by_window and entry[:8] not in self._stored
        found = None if known else self._stores.get(self._name, entry)
        value = self._cache[entry] = GONE if found is None else self._unpack(found[0])
        return value

    def _pack(self, value: Any) -> Any:
        """The value encoded. It is read back at once: one that cannot be must not get into the table."""
        try:
            data = self._values.encode(value)
            back = self._values.decode(data)
        except Exception as error:
            raise EncodeError(
                f"table {self._name!r} does not take {type(value).__name__} {_short(value)}: {error}"
            ) from error
        self._sized(len(data))
        return back if self._is_plain(back) else _Packed(data)

    def _unpack(self, data: bytes) -> Any:
        self._sized(len(data))
        if not self._plain:
            return _Packed(data)
        value = self._decoded(data)
        return value if self._is_plain(value) else _Packed(data)

    def _sized(self, value_bytes: int) -> None:
        """Another value of so many bytes was seen: `trim` goes by their average."""
        self._value_bytes += value_bytes
        self._values_sized += 1

    def _is_plain(self, value: Any) -> bool:
        return type(value) in self._plain or type(value) is str

    def _decoded(self, data: bytes) -> Any:
        try:
            return self._values.decode(data)
        except Exception as error:
            raise DecodeError(
                f"table {self._name!r} holds {_short(data)}, which is no {self.definition.value_type}: {error}. If the "
                f"table's type was changed, give it back, or empty the table: `streams reset APP --store {self._name}`."
            ) from error

    def forget(self, entries: Iterable[bytes]) -> None:
        """Another step has written these entries to the store: what memory knows of them is old."""
        if self.front is not None:
            self.front.forget()
        self._changes += 1
        for entry in entries:
            self._cache.pop(entry, None)
            self._stamps.pop(entry, None)
            if self._by_window:
                self._stored.add(entry[:8])

    def left_behind(self, before: int) -> None:
        """Another step has expired the windows before that: nothing is known of them any more."""
        self._changes += 1
        limit = time_prefix(before)
        for entry in [entry for entry in self._cache if entry < limit]:
            del self._cache[entry]
            self._dirty.pop(entry, None)
            self._stamps.pop(entry, None)

    def undo(self, entry: bytes, value: Any, timestamp: int | None, new: Any) -> None:
        """Puts an entry back to what it was in memory before a change, unless someone else has changed it since."""
        if self._cache.get(entry, _UNKNOWN) is not new:
            return
        self._changes += 1
        if value is _UNKNOWN:
            del self._cache[entry]
        else:
            self._cache[entry] = value
        if timestamp is None:
            self._dirty.pop(entry, None)
        else:
            self._dirty[entry] = timestamp

    # -- many keys

    def get_many(self, keys: Sequence[Any] | None = None, key_bytes: Sequence[bytes | None] | None = None) -> list[Any]:
        """The value of each key, None where there is none; by keys or their bytes. Values are shared: read only."""
        self._settle()
        self.trim()
        entries = self._keys.encode_many(keys or ()) if key_bytes is None else key_bytes
        cache, asked = self._cache, set(entries)
        missing = {entry for entry in asked if entry is not None and entry not in cache}
        if missing:
            self._load_many(missing)
        found = {entry: None if entry is None else self._shared(cache[entry]) for entry in asked}
        return list(map(found.__getitem__, entries))

    def stamped(self, keys: Sequence[Any]) -> list[Found]:
        """Value and timestamp of each key, None where there is none; keys of a windowed table are `Windowed`. Values
        are shared: read only.
        """
        entries = [None if key is None else self.entry_of(key) for key in keys]
        values = self.get_many(key_bytes=entries)
        there = {entry for entry, value in zip(entries, values, strict=True) if entry is not None and value is not None}
        unknown = [entry for entry in there if entry not in self._dirty and entry not in self._stamps]
        for entry, found in zip(unknown, self._stores.get_many(self._name, unknown), strict=True):
            assert found is not None  # or there would be no value
            self._stamps[entry] = found[1]
        return [
            None if entry not in there else (value, self._dirty[entry] if entry in self._dirty else self._stamps[entry])
            for entry, value in zip(entries, values, strict=True)
        ]

    def stamp(self, entry: bytes) -> int | None:
        """The timestamp of an entry; None where there is none."""
        self._settle()
        found = self._dirty.get(entry)
        if found is not None:
            return found if self._cache[entry] is not GONE else None
        stored = self._stores.get(self._name, entry)
        return None if stored is None else stored[1]

    def put_many(self, keys: Sequence[bytes], values: Sequence[Any], timestamps: Sequence[int]) -> None:
        """Sets many values under key bytes, in order; None deletes. The values are of the table's type."""
        if self.front is not None:
            self.front.forget()
        self.trim()
        encode, plain = self._values.encode, self._plain
        made = [
            value if type(value) in plain else GONE if value is None else _Packed(encode(value)) for value in values
        ]
        for value in made:
            if type(value) is _Packed:
                self._sized(len(value.data))
            elif type(value) is bytes:
                self._sized(len(value))
        self._cache.update(zip(keys, made, strict=True))
        self._dirty.update(zip(keys, timestamps, strict=True))
        self._changes += 1

    def _load_many(self, entries: set[bytes]) -> None:
        wanted = list(entries)
        for entry, found in zip(wanted, self._stores.get_many(self._name, wanted), strict=True):
            self._cache[entry] = GONE if found is None else self._unpack(found[0])

    def _shared(self, value: Any) -> Any:
        """A value for readers who leave it as it is: decoded once."""
        if type(value) is not _Packed:
            return None if value is GONE else value
        if value.shared is _UNKNOWN:
            value.shared = self._decoded(value.data)
        return value.shared

    # -- in order

    def items(self) -> Iterator[tuple[Any, Any]]:
        """(key, value) of everything, in the order of key bytes, as it was when the iteration began."""
        return self.range()

    def range(self, start: Any = None, stop: Any = None, *, reverse: bool = False) -> Iterator[tuple[Any, Any]]:
        """(key, value) with start <= key < stop in the order of key bytes, or the other way; None is an open end."""
        low = None if start is None else self.entry(start)
        high = None if stop is None else self.entry(stop)
        return self._in_order(self._store, low, high, self._keys.decode, reverse=reverse)

    def beginning_with(self, prefix: bytes, *, reverse: bool = False) -> Iterator[tuple[Any, Any]]:
        """(key, value) of the keys whose bytes begin so, in their order, or the other way."""
        cut = prefix.rstrip(b"\xff")
        high = cut[:-1] + bytes([cut[-1] + 1]) if cut else None
        return self._in_order(self._store, prefix, high, self._keys.decode, reverse=reverse)

    @property
    def _store(self) -> Scanned:
        return self._stores.key_value(self._name)

    def window(self, start: int) -> Iterator[tuple[Any, Any]]:
        """(key, value) of one window, in the order of key bytes."""
        decode = self._keys.decode
        return self._in_order(
            self._stores.window(self._name).inner, *window_block(start), lambda entry: decode(entry[8:])
        )

    def windows(self) -> Iterator[tuple[Windowed[Any], Any]]:
        """(key in its window, value) of every window, in the order of start and key; of sessions, of end and start."""
        sessions = self.definition.sessions
        layer = self._stores.session(self._name) if sessions else self._stores.window(self._name)
        return self._in_order(layer.inner, None, None, self._values.key)

    def sessions_from(self, end: int | None) -> Iterator[tuple[Windowed[Any], Any]]:
        """(key in its session, value) of the sessions that end at `end` (ms) or later, by end, then by start."""
        low = None if end is None else time_prefix(end)
        return self._in_order(self._stores.session(self._name).inner, low, None, self._values.key)

    def starts(self) -> list[int]:
        """Starts (ms) of the windows that hold anything, ascending."""
        changed = {split_window_key(entry)[0] for entry in self._dirty}
        starts = sorted(changed.union(self._stores.window(self._name).starts()))
        return [start for start in starts if start not in changed or next(self.window(start), None) is not None]

    def _in_order(
        self,
        store: Scanned,
        low: bytes | None,
        high: bytes | None,
        key_of: Callable[[bytes], Any],
        *,
        reverse: bool = False,
    ) -> Iterator[tuple[Any, Any]]:
        """What the store has in a range, under what has changed since; `key_of` gives an entry's key."""
        self._settle()
        changed = {
            entry: self._cache[entry]
            for entry in self._dirty
            if (low is None or low <= entry) and (high is None or entry < high)
        }
        ordered = sorted(changed.items(), key=itemgetter(0), reverse=reverse)
        with store.scan(low, high, reverse=reverse) as rows:
            stored = ((entry, _Packed(data)) for entry, data, _ in rows if entry not in changed)
            for entry, value in merge(ordered, stored, key=itemgetter(0), reverse=reverse):
                if value is not GONE:
                    plain = self._decoded(value.data) if type(value) is _Packed else value
                    yield key_of(entry), plain

    # -- time and commit

    def observe(self, step: str, stream_time: int) -> None:
        """A step's stream time (ms). Windows go when the slowest step that uses the table has left them behind."""
        self._times[step] = stream_time

    def observed(self, step: str, absent: int) -> int:
        """What that step has said last."""
        return self._times.get(step, absent)

    def save(self) -> Iterator[None]:
        """Before a commit: what has expired goes, what changed is encoded and put into the store, step by step."""
        if self.definition.windowed:
            self._expire()
        yield from self._push_pieces()
        if self.definition.ttl_ms is not None:
            self._cache.clear()
            self._stamps.clear()
        self.trim()

    def trim(self) -> None:
        """Drops the oldest half of the memory when it has outgrown its bound; call it between records."""
        room = self._cache_bytes // (ENTRY_OVERHEAD_BYTES + 2 * self._value_bytes // self._values_sized)
        if len(self._cache) > room:
            self._push()
            for entry in list(islice(self._cache, len(self._cache) - room // 2)):
                del self._cache[entry]
                self._stamps.pop(entry, None)

    def _push(self) -> None:
        for _ in self._push_pieces():
            pass

    def _settle(self) -> None:
        if self.front is not None:
            self.front.settle()

    def _push_pieces(self) -> Iterator[None]:
        self._settle()
        entries, timestamps = list(self._dirty), list(self._dirty.values())
        self._dirty.clear()
        if self._stamps:
            self._stamps.update(zip(entries, timestamps, strict=True))
        for at in range(0, len(entries), PIECE_ENTRIES):
            self._push_some(entries[at : at + PIECE_ENTRIES], timestamps[at : at + PIECE_ENTRIES])
            yield

    def _push_some(self, entries: list[bytes], timestamps: list[int]) -> None:
        cache, encode = self._cache, self._values.encode
        values: list[bytes | None] = []
        for entry in entries:
            value = cache[entry]
            values.append(None if value is GONE else value.data if type(value) is _Packed else encode(value))
        self._value_bytes += sum(len(value) for value in values if value is not None)
        self._values_sized += len(values)
        self._stores.put_many(self._name, entries, values, timestamps)
        if self._by_window:
            self._stored.update({entry[:8] for entry in entries})

    def _expire(self) -> None:
        retention_ms = self.definition.retention_ms
        if retention_ms is None or not self._times:
            return
        before = min(self._times.values()) - retention_ms + 1
        if before <= TIME_MIN:
            return
        gone = [start for start in self._prefixes if start < before]
        for start in gone:
            self._stored.discard(self._prefixes.pop(start))
        if gone or self.definition.sessions:
            self.left_behind(before)
        if gone:
            self._stores.window(self._name).expire(before)
        elif self.definition.sessions:
            self._stores.session(self._name).expire(before)


def _plain_types(definition: StoreDef) -> frozenset[type]:
    """Types of values that nobody can change, and that come back from the store as they were.

    Text is not among them: it may hold what UTF-8 cannot (lone surrogates), and that has to be found out at once.
    """
    kind = without_none(definition.value_type)
    if kind is None or kind is Any:
        return frozenset({int, float, bool})
    return frozenset({kind}) & {int, float, bool, bytes} if isinstance(kind, type) else frozenset()


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 100 else f"{text[:100]}..."
