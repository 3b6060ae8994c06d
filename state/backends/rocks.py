"""RocksDB, one database per task, a column family per store.

Commits go through the write-ahead log and are not synced: they outlive the process, and a power cut takes a suffix of
them. Restore skips the log; until its data is flushed nothing may be written through the log after it, or a crash would
bring back the later write without the earlier one. `atomic_flush` keeps the data and the checkpoint of an unlogged
write together when buffers fill up.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from rocksdict import (
    BlockBasedIndexType,
    BlockBasedOptions,
    DBCompressionType,
    Options,
    Rdict,
    ReadOptions,
    WriteBatch,
    WriteOptions,
)

from state.api import META, Changes, StateError, StoreLockedError, UnknownStoreError
from state.budget import StateMemory

_DEFAULT = "default"
"""RocksDB's own family, always there: META. Stores have a prefix, so that one may be called "default"."""

_PREFIX = "store/"
_BUFFERS = 4
"""Write buffers of a store: more than two, so that a writer does not wait for the flush of the one before."""

_UNFLUSHED = "rocksdb.num-immutable-mem-table"
_BACKGROUND_ERRORS = "rocksdb.background-errors"


class RocksBackend:
    """The stores of a task in the folder `path`; `memory` is the budget, by default that of the process. Those of
    `stores` that are not there are made as it opens, which takes less than one at a time: each is a file to be synced.

    Raises StoreLockedError when another process, or a backend of this one that was not closed, has the folder.

    >>> import tempfile
    >>> backend = RocksBackend(tempfile.mkdtemp() + "/0_0", StateMemory(32 << 20))
    >>> backend.open_store("late")
    >>> backend.write([Changes("late", [b"AA", b"UA"], [b"1", b"2"])])
    >>> with backend.scan("late", start=b"B") as entries:
    ...     list(entries)
    [(b'UA', b'2')]
    >>> backend.close()
    """

    def __init__(self, path: Path | str, memory: StateMemory | None = None, stores: Iterable[str] = ()) -> None:
        self.path = Path(path)
        self._memory = StateMemory.shared() if memory is None else memory
        self._scans: set[Generator[tuple[bytes, bytes], None, None]] = set()
        self._unlogged_writes = self._flushed_writes = 0
        self._logged, self._synced, self._unlogged = WriteOptions(), WriteOptions(), WriteOptions()
        self._synced.sync = True
        self._unlogged.disable_wal = True  # type: ignore[method-assign,assignment]
        self._families: dict[str, Any] = {}
        self._handles: dict[str, Any] = {}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._open(stores)

    def stores(self) -> list[str]:
        return sorted(name for name in self._families if name != META)

    def open_store(self, store: str) -> None:
        if store not in self._families:
            self._db.create_column_family(_PREFIX + store, self._options())
            self._attach(_PREFIX + store)

    def drop_store(self, store: str) -> None:
        self._family(store)
        del self._families[store], self._handles[store]
        self._db.drop_column_family(_PREFIX + store)

    def get(self, store: str, key: bytes) -> bytes | None:
        family = self._families.get(store) or self._unknown(store)
        try:
            value: bytes | None = family.get(key)
        except Exception as error:  # noqa: BLE001
            self._explain("read", error)
        return value

    def get_many(self, store: str, keys: Sequence[bytes]) -> list[bytes | None]:
        family = self._family(store)
        try:
            values: list[bytes | None] = family.get(list(keys))
        except Exception as error:  # noqa: BLE001
            self._explain("read", error)
        return values

    @contextmanager
    def scan(
        self, store: str, start: bytes | None = None, stop: bytes | None = None, *, reverse: bool = False
    ) -> Iterator[Iterator[tuple[bytes, bytes]]]:
        rows = self._rows(store, start, stop, reverse)
        self._scans.add(rows)
        try:
            yield rows
        finally:
            # A live iterator keeps the folder locked, even after close(); a generator lets go of it when closed.
            rows.close()
            self._scans.discard(rows)

    def write(self, changes: Sequence[Changes], *, durable: bool = True, sync: bool = False) -> None:
        if durable and self._unlogged_writes > self._flushed_writes:
            for family in self._in_flush_order():
                self._flush(family, wait=True)
            self._flushed_writes = self._unlogged_writes
        batch = WriteBatch(raw_mode=True)
        for store, keys, values, cleared in changes:
            # The family as the batch's default, and a map: 70 ns an entry, against 150 with a loop that names it.
            handle = self._handles[store] if store in self._handles else self._unknown(store)
            batch.set_default_column_family(handle)
            if cleared is not None:
                batch.delete_range(*cleared, handle)  # which takes no default
            if None in values:
                for key, value in zip(keys, values, strict=True):
                    if value is None:
                        batch.delete(key)
                    else:
                        batch.put(key, value)
            else:
                deque(map(batch.put, keys, values), maxlen=0)
        self._unlogged_writes += not durable
        try:
            self._db.write(batch, (self._synced if sync else self._logged) if durable else self._unlogged)
        except Exception as error:  # noqa: BLE001
            self._explain("write", error)

    def flush_steps(self) -> Iterator[None]:
        writes = self._unlogged_writes
        for family in self._in_flush_order():
            self._flush(family, wait=False)
            while family.property_int_value(_UNFLUSHED) and not family.property_int_value(_BACKGROUND_ERRORS):
                yield
            self._flush(family, wait=True)  # nothing is left to wait for; this raises what went wrong in the background
            yield
        self._flushed_writes = max(self._flushed_writes, writes)

    def keep(self, owner: object, size_bytes: int) -> bool:
        return self._memory.keep(owner, size_bytes)

    def busy(self, store: str) -> bool:
        """Whether most write buffers wait to be flushed: when all do, RocksDB stops the interpreter."""
        waiting: int = self._family(store).property_int_value(_UNFLUSHED)
        return waiting * 4 >= _BUFFERS * 3

    def close(self) -> None:
        """Close the folder; scans still open end here."""
        for rows in list(self._scans):
            rows.close()
        self._scans.clear()
        self._handles.clear()
        self._families.clear()
        self._db.close()

    def size_bytes(self) -> int:
        names = ("rocksdb.total-sst-files-size", "rocksdb.cur-size-all-mem-tables")
        return sum(family.property_int_value(name) or 0 for family in self._families.values() for name in names)

    def _rows(
        self, store: str, start: bytes | None, stop: bytes | None, reverse: bool
    ) -> Generator[tuple[bytes, bytes], None, None]:
        bounds = ReadOptions()
        if stop is not None:
            bounds.set_iterate_upper_bound(stop)
        family = self._family(store)
        if not reverse:
            yield from family.items(from_key=start, read_opt=bounds)
            return
        # rocksdict 0.3.29 takes a lower bound for an upper one, so the lower end is watched here.
        for entry in family.items(backwards=True, read_opt=bounds):
            if start is not None and entry[0] < start:
                return
            yield entry

    def _open(self, stores: Iterable[str]) -> None:
        try:
            names = Rdict.list_cf(str(self.path)) if (self.path / "CURRENT").exists() else [_DEFAULT]
            names += [_PREFIX + store for store in stores if _PREFIX + store not in names]
            options = {name: self._options() for name in names if name != _DEFAULT}
            self._db: Any = Rdict(str(self.path), self._options(), column_families=options)
        except Exception as error:  # noqa: BLE001
            self._explain("open", error)
        for name in (_DEFAULT, *options):
            self._attach(name)

    def _in_flush_order(self) -> list[Any]:
        # rocksdict flushes one family a call, atomic_flush or not. Meta goes last: a checkpoint never before its data.
        return [self._families[store] for store in sorted(self._families, key=lambda name: name == META)]

    def _flush(self, family: Any, *, wait: bool) -> None:
        try:
            family.flush(wait)
        except Exception as error:  # noqa: BLE001
            self._explain("flush", error)

    def _family(self, store: str) -> Any:
        family = self._families.get(store)
        return family if family is not None else self._unknown(store)

    def _unknown(self, store: str) -> NoReturn:
        raise UnknownStoreError(
            f"store {store} is not open in {self.path}; open now: {', '.join(self.stores()) or 'none'}"
        )

    def _attach(self, family: str) -> None:
        store = _store(family)
        self._families[store] = self._db.get_column_family(family)
        self._handles[store] = self._db.get_column_family_handle(family)

    def _options(self) -> Any:
        table = BlockBasedOptions()
        table.set_block_cache(self._memory.cache)
        # Index and filter blocks in the cache too: otherwise they grow outside of the budget.
        table.set_cache_index_and_filter_blocks(True)
        table.set_pin_l0_filter_and_index_blocks_in_cache(True)
        table.set_bloom_filter(10, False)
        # In pieces, as whole ones push one another out of a small cache: a read of a state ten times the cache took
        # 52 KB from files and 13 us, against 1 KB and 4 us.
        table.set_index_type(BlockBasedIndexType.two_level_index_search())
        table.set_partition_filters(True)
        table.set_pin_top_level_index_and_filter(True)
        options = Options(raw_mode=True)
        options.create_if_missing(True)
        options.create_missing_column_families(True)
        options.set_atomic_flush(True)
        options.set_block_based_table_factory(table)
        options.set_write_buffer_manager(self._memory.buffers)
        buffer_bytes = max(1 << 20, min(16 << 20, self._memory.total_bytes // 16))
        options.set_write_buffer_size(buffer_bytes)
        # Levels in proportion to the buffers, or each small file is merged with all there is.
        options.set_max_bytes_for_level_base(8 * buffer_bytes)
        options.set_target_file_size_base(2 * buffer_bytes)
        # Filters make more files cheap to read: with 16 of them before they are merged, instead of 4, a random update
        # costs half as much in threads of RocksDB (2.2 us against 4.4), and a read the same.
        options.set_level_zero_file_num_compaction_trigger(16)
        options.set_level_zero_slowdown_writes_trigger(40)
        options.set_level_zero_stop_writes_trigger(64)
        options.set_compression_type(DBCompressionType.lz4())
        options.set_max_write_buffer_number(_BUFFERS)
        # A small store should cost little of the budget, so memory is taken in small pieces.
        options.set_arena_block_size(64 << 10)
        options.set_manifest_preallocation_size(64 << 10)
        options.set_keep_log_file_num(2)
        options.set_max_log_file_size(1 << 20)
        options.set_stats_dump_period_sec(0)
        return options

    # rocksdict raises plain Exception for everything, hence the blind excepts above; each ends here and in an error of
    # ours.
    def _explain(self, doing: str, error: Exception) -> NoReturn:
        """Raise an error of ours: rocksdict has one exception type for everything, told apart by RocksDB's words."""
        text = str(error)
        if "lock hold by current process" in text:
            raise StoreLockedError(
                f"{self.path} is open in this process already: close the other backend (and end its scans) first"
            ) from error
        if "While lock file" in text:
            raise StoreLockedError(
                f"{self.path} is in use by another process: stop that worker, or give this one another data folder"
            ) from error
        hint = "; free space on that disk and start again: nothing committed is lost" if "No space left" in text else ""
        raise StateError(f"cannot {doing} the stores in {self.path}: {text}{hint}") from error


def _store(family: str) -> str:
    return META if family == _DEFAULT else family.removeprefix(_PREFIX)
