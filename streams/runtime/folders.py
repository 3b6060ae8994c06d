"""Who works in which of the folders in which the stores of an app lie.

Workers of one place share what lies there: a task that goes from one of them to another finds its stores as they were
left. A folder is held by a lock beside it, which the kernel gives back however its holder ends. Who is given a task
waits a little for the one who has it still. Where that one is frozen, and neither works nor ends, another folder of the
task is begun: `<task>.2`, `<task>.3`. Of several that nobody holds the one that is furthest goes on; the others are
removed.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from broker_embedded.lock import FolderInUseError, FolderLock
from state.api import Backend
from state.backends.memory import MemoryBackend
from state.checkpoint import checkpoints
from streams.config import Settings
from streams.runtime.state_folders import GLOBAL, age_s, candidates, remove, state_folder, task_folders, write_offsets

NOTE_S = 30.0
"""It is written again after so long."""
WAIT_S = 3.0
"""So long a folder is waited for that another process has: it closes it in a few tenths of a second."""
_LOOK_S = 0.02

log = logging.getLogger("streams.worker")


class _Held(NamedTuple):
    path: Path
    lock: FolderLock


class Folders:
    """The stores of those tasks that this worker works on or follows, open, each for as long as it is not closed.

    `slot` is the worker's number at its place: each has its own copy of the global tables.
    """

    def __init__(self, settings: Settings, slot: int = 0) -> None:
        self._settings = settings
        self._in_memory = settings.store == "memory"
        self._slot = slot
        self._folder = state_folder(settings)
        self._held: dict[str, _Held] = {}
        self._open: dict[str, Backend] = {}
        self._noted_s: dict[str, float] = {}
        self._since_s = time.monotonic()

    def __contains__(self, task: str) -> bool:
        """Whether the stores of a task are open here."""
        return task in self._open

    def backends(self) -> list[Backend]:
        """All that are open."""
        return list(self._open.values())

    async def take(self, tasks: Iterable[str], wait_s: float | None = None) -> AsyncIterator[list[str]]:
        """Takes the folders of tasks and gives those it has, first all that are free; where another process has one, it
        waits for so long, by default a little. `backend` opens them.
        """
        waiting = list(tasks)
        until_s = time.monotonic() + (WAIT_S if wait_s is None else wait_s)
        while waiting:
            patient = time.monotonic() < until_s
            taken = [task for task in waiting if self._in_memory or self._take(task, patient=patient)]
            if taken:
                yield taken
            waiting = [task for task in waiting if task not in taken]
            if waiting:
                await asyncio.sleep(_LOOK_S)

    def backend(self, task: str, stores: Sequence[str] = (), *, needed: bool = True) -> Backend:
        """The stores of a task, or of the global tables; opened, unless they are open. In memory with `store="memory"`,
        and where there are none (`needed` is false). Those named are made if they are not there.

        A folder that was not taken before is taken without waiting.
        """
        if task not in self._open:
            if self._in_memory or not needed:
                self._open[task] = MemoryBackend()
            else:
                self._take(task, patient=False)
                self._open[task] = self._rocks(task, stores)
                self._note(task)
        return self._open[task]

    def let_go(self, tasks: Iterable[str]) -> None:
        """Frees those folders of tasks that were taken and not opened."""
        for task in tasks:
            if task not in self._open:
                self.close(task)

    def close(self, task: str) -> None:
        """Closes the stores of a task, if they are open; the folder is free for others."""
        backend = self._open.pop(task, None)
        held = self._held.pop(task, None)
        try:
            if backend is not None:
                if held is not None:
                    write_offsets(held.path, checkpoints(backend))
                backend.close()
        finally:
            if held is not None:
                held.lock.release()
            self._noted_s.pop(task, None)

    def close_all(self) -> list[Exception]:
        """Closes whatever is open. Gives what went wrong, having closed the rest all the same."""
        errors: list[Exception] = []
        for task in [*self._open, *self._held]:
            try:
                self.close(task)
            except Exception as error:  # noqa: BLE001 - handed to the caller with the others
                errors.append(error)
        return errors

    def forget(self) -> list[Path]:
        """Removes the folders that no worker of this place has had open for `state_cleanup_delay_ms`, all of which this
        one was there. Gives them.
        """
        delay_s = self._settings.state_cleanup_delay_ms / 1000
        if not delay_s or time.monotonic() - self._since_s < delay_s:
            return []
        return [path for path in task_folders(self._settings) if age_s(path) >= delay_s and self._forgotten(path)]

    def _forgotten(self, path: Path) -> bool:
        if any(held.path == path for held in self._held.values()):
            return False
        try:
            held = _lock(path)
        except FolderInUseError:
            return False
        log.info("%s is removed: no worker has needed it for a long time", path)
        remove(path)
        held.lock.release()
        return True

    def note(self) -> None:
        """Writes down how far a folder is, if that was long ago: one at a time, so that it costs a commit nothing."""
        task = min(self._noted_s, key=self._noted_s.__getitem__, default=None)
        if task is not None and time.monotonic() - self._noted_s[task] >= NOTE_S:
            self._note(task)

    # -- within

    def _note(self, task: str) -> None:
        self._noted_s[task] = time.monotonic()
        write_offsets(self._held[task].path, checkpoints(self._open[task]))

    def _rocks(self, task: str, stores: Sequence[str]) -> Backend:
        from state.backends.rocks import RocksBackend
        from state.budget import StateMemory

        StateMemory.shared().resize(self._settings.state_memory_bytes)
        try:
            return RocksBackend(self._held[task].path, stores=stores)
        except BaseException:
            self._held.pop(task).lock.release()
            raise

    def _take(self, task: str, *, patient: bool) -> bool:
        """Locks the folder of a task that is furthest of those that nobody has, or a new one. False, if it is `patient`
        and somebody has one.
        """
        if task in self._held:
            return True
        self._folder.mkdir(parents=True, exist_ok=True)
        if task == GLOBAL:
            self._held[task] = _lock(self._folder / (GLOBAL if self._slot == 0 else f"{GLOBAL}.{self._slot + 1}"))
            return True
        free: list[_Held] = []
        for path in candidates(self._folder, task) or [self._folder / task]:
            try:
                free.append(_lock(path))
            except FolderInUseError as error:
                if patient:
                    for held in free:
                        held.lock.release()
                    return False
                who = "another process" if error.pid is None else f"process {error.pid}"
                log.warning("task %s: %s does not let go of %s; another folder is used", task, who, path)
        self._held[task] = free[0] if free else self._begin(task)
        for stale in free[1:]:
            remove(stale.path)
            stale.lock.release()
        return True

    def _begin(self, task: str) -> _Held:
        """A folder of a task that nobody else has."""
        for number in range(1, 1_000):
            path = self._folder / (task if number == 1 else f"{task}.{number}")
            if not path.exists():
                try:
                    return _lock(path)
                except FolderInUseError:
                    continue
        raise FolderInUseError(self._folder / task, None, None, None)


def _lock(path: Path) -> _Held:
    """Raises FolderInUseError."""
    return _Held(path, FolderLock.take(path.parent, f"{path.name}.lock"))
