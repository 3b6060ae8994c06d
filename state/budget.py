"""One memory budget for all state of a process: a block cache, to which write buffers are charged, and what steps keep
at hand of their stores.
"""

from __future__ import annotations

from weakref import WeakKeyDictionary

from rocksdict import Cache, WriteBufferManager

STATE_MEMORY_BYTES = 256 << 20

_shared: StateMemory | None = None


class StateMemory:
    """The memory all RocksDB backends of a process share: `total_bytes`, of which write buffers take at most three
    eighths, and so does what steps keep at hand.

    Both are charged to the cache, so it shrinks as they grow and the sum stays within the budget. The bound on buffers
    is soft: reaching it starts a flush, and writers do not wait for it.

    >>> class Step: ...
    >>> memory, step, other = StateMemory(64 << 20), Step(), Step()
    >>> memory.keep(step, 20 << 20), memory.keep(other, 10 << 20), memory.keep(step, 20 << 20)
    (True, True, False)
    >>> memory.memory_bytes() >> 20
    10
    """

    def __init__(self, total_bytes: int = STATE_MEMORY_BYTES) -> None:
        self.total_bytes = total_bytes
        self.cache = Cache(total_bytes)
        # Not stalling writers: a stalled write would hold the interpreter lock, and with it everything else in the
        # process.
        self.buffers = WriteBufferManager.new_write_buffer_manager_with_cache(total_bytes * 3 // 8, False, self.cache)
        self._kept: WeakKeyDictionary[object, int] = WeakKeyDictionary()

    @classmethod
    def shared(cls) -> StateMemory:
        """The budget of this process; STATE_MEMORY_BYTES unless `resize` said otherwise."""
        global _shared
        if _shared is None:
            _shared = cls()
        return _shared

    def resize(self, total_bytes: int) -> None:
        """Change the budget while it is in use; backends opened before keep the size of their write buffers."""
        self.total_bytes = total_bytes
        self.cache.set_capacity(total_bytes - self._kept_bytes())
        self.buffers.set_buffer_size(total_bytes * 3 // 8)

    def keep(self, owner: object, size_bytes: int) -> bool:
        """Whether a step may keep so much at hand; if not, it is to let go of it. That is where all steps together have
        more than three eighths of the memory, and this one more than its share of that.
        """
        self._kept[owner] = size_bytes
        most = self.total_bytes * 3 // 8
        fits = self._kept_bytes() <= most or size_bytes * len(self._kept) <= most
        if not fits:
            self._kept[owner] = 0
        self.cache.set_capacity(self.total_bytes - min(self._kept_bytes(), most))
        return fits

    def memory_bytes(self) -> int:
        """Bytes in use by cached blocks, write buffers and what steps keep at hand."""
        return int(self.cache.get_usage()) + self._kept_bytes()

    def buffer_bytes(self) -> int:
        """Of these, bytes in write buffers."""
        return int(self.buffers.get_usage())

    def _kept_bytes(self) -> int:
        return sum(self._kept.values())
