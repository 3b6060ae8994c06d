"""The leader epochs of a partition and where each began (Kafka's LeaderEpochFileCache, KIP-101)."""

from __future__ import annotations

from pathlib import Path

from broker_embedded.log import checkpoints


class LeaderEpochs:
    """Epochs with the offset each began at, both rising, kept in `leader-epoch-checkpoint`.

    >>> epochs = LeaderEpochs(Path("/tmp/leader-epoch-checkpoint"), [(0, 0), (3, 40)])
    >>> epochs.latest, epochs.at(39), epochs.end_offset(0, 100), epochs.end_offset(3, 100), epochs.end_offset(7, 100)
    (3, 0, (0, 40), (3, 100), (-1, -1))
    """

    __slots__ = ("_path", "entries", "is_changed")

    def __init__(self, path: Path, entries: list[tuple[int, int]]) -> None:
        self._path = path
        self.entries = entries
        self.is_changed = False
        """Whether the file was written since whoever syncs it set this back."""

    @classmethod
    def load(cls, path: Path) -> LeaderEpochs:
        """From its file; empty when there is none."""
        return cls(path, checkpoints.read_epochs(path))

    @property
    def latest(self) -> int:
        """The newest epoch; -1 before the first."""
        return self.entries[-1][0] if self.entries else -1

    def assign(self, epoch: int, start_offset: int) -> None:
        """Let `epoch` begin at `start_offset`, unless it is known."""
        if epoch > self.latest:
            kept = [entry for entry in self.entries if entry[1] < start_offset]
            self._replace([*kept, (epoch, start_offset)])

    def at(self, offset: int) -> int:
        """The epoch `offset` was written in; -1 when unknown."""
        return max((epoch for epoch, start in self.entries if start <= offset), default=-1)

    def end_offset(self, epoch: int, log_end_offset: int) -> tuple[int, int]:
        """The largest known epoch not above `epoch` and its end offset; (-1, -1) when unknown."""
        if epoch == self.latest:
            return epoch, log_end_offset
        later = [start for known, start in self.entries if known > epoch]
        if epoch < 0 or not later:
            return -1, -1
        return max((known for known, _ in self.entries if known <= epoch), default=epoch), later[0]

    def truncate_end(self, offset: int) -> None:
        """Forget epochs that began beyond `offset`, the end of the log."""
        kept = [entry for entry in self.entries if entry[1] <= offset]
        if len(kept) != len(self.entries):
            self._replace(kept)

    def truncate_start(self, offset: int) -> None:
        """Let the log begin at `offset`: of the epochs that began before it, the last begins there now."""
        before = [entry for entry in self.entries if entry[1] <= offset]
        if before and (len(before) > 1 or before[0][1] < offset):
            self._replace([(before[-1][0], offset), *self.entries[len(before) :]])

    def _replace(self, entries: list[tuple[int, int]]) -> None:
        self.entries = entries
        checkpoints.write_epochs(self._path, entries)
        self.is_changed = True
