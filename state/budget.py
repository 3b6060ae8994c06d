"""One memory budget for all stores of a process: a block cache that write buffers are charged to."""

from __future__ import annotations

from rocksdict import Cache, WriteBufferManager

STATE_MEMORY_BYTES = 256 << 20

_shared: StateMemory | None = None


class StateMemory:
    """The memory all RocksDB backends of a process share: `total_bytes`, of which write buffers take at most half.

    Write buffers are charged to the cache, so the cache shrinks as they grow and the sum stays within the budget. The
    bound on buffers is soft: reaching it starts a flush, and writers do not wait for it.

    >>> memory = StateMemory(64 << 20)
    >>> memory.memory_bytes() < 1 << 20
    True
    """

    def __init__(self, total_bytes: int = STATE_MEMORY_BYTES) -> None:
        self.total_bytes = total_bytes
        self.cache = Cache(total_bytes)
        # Not stalling writers: a stalled write would hold the interpreter lock, and with it everything else in the
        # process.
        self.buffers = WriteBufferManager.new_write_buffer_manager_with_cache(total_bytes // 2, False, self.cache)

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
        self.cache.set_capacity(total_bytes)
        self.buffers.set_buffer_size(total_bytes // 2)

    def memory_bytes(self) -> int:
        """Bytes in use by cached blocks and write buffers."""
        return int(self.cache.get_usage())

    def buffer_bytes(self) -> int:
        """Of these, bytes in write buffers."""
        return int(self.buffers.get_usage())
