"""Folders of tasks: one worker in each, whoever is killed, frozen or slow."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

import streams.runtime.folders as folders_module
from state.api import Checkpoint, StoreSpec
from state.task_stores import TaskStores
from streams.config import Settings, load_settings
from streams.runtime.folders import Folders
from streams.runtime.state_folders import dormant, furthest_folder, state_folder, task_folders

HOLDER = """
import sys
import time
from streams.config import load_settings
from streams.runtime.folders import Folders

folders = Folders(load_settings("shop", {"data_dir": sys.argv[1]}, environment={}))
folders.backend(sys.argv[2])
print("open", flush=True)
sys.stdin.readline()
folders.close(sys.argv[2])
print("closed", flush=True)
sys.stdin.readline()
"""

TASK = "orders-0"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings("shop", {"data_dir": str(tmp_path)}, environment={})


@pytest.fixture
def hold(tmp_path: Path) -> Iterator[Callable[[], subprocess.Popen[str]]]:
    """A process that has the folder of the task."""
    with ExitStack() as stack:

        def process() -> subprocess.Popen[str]:
            command = [sys.executable, "-c", HOLDER, str(tmp_path), TASK]
            made = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            stack.enter_context(made)
            stack.callback(made.kill)
            assert made.stdout is not None and made.stdout.readline() == "open\n"
            return made

        yield process


@pytest.fixture
def folders(settings: Settings) -> Iterator[Folders]:
    made = Folders(settings)
    yield made
    assert made.close_all() == []


def commit(folders: Folders, offset: int, task: str = TASK, store: str = "total") -> None:
    """As a commit leaves a store at an offset of its changelog."""
    stores = TaskStores(folders.backend(task), [StoreSpec(store)], lambda *_: None)
    stores.put(store, b"key", str(offset).encode(), 0)
    stores.begin_commit()
    for _ in stores.finish_commit({store: Checkpoint("topic", offset)}):
        pass


async def taken(folders: Folders, *tasks: str) -> list[list[str]]:
    return [found async for found in folders.take(tasks or [TASK])]


def value(folders: Folders, task: str = TASK) -> bytes | None:
    found = TaskStores(folders.backend(task), [StoreSpec("total")], lambda *_: None).get("total", b"key")
    return None if found is None else found[0]


def names(settings: Settings) -> list[str]:
    return [path.name for path in task_folders(settings)]


async def test_a_task_that_moves_at_a_place_finds_its_stores(settings: Settings) -> None:
    first, second = Folders(settings), Folders(settings)
    commit(first, 7)
    taking = asyncio.ensure_future(taken(second))
    await asyncio.sleep(0)
    assert not taking.done()
    first.close(TASK)
    await taking
    assert (value(second), names(settings)) == (b"7", [TASK])
    second.close(TASK)


async def test_what_is_free_is_not_kept_waiting(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders_module, "WAIT_S", 0.05)
    first, second = Folders(settings), Folders(settings)
    first.backend(TASK)
    assert await taken(second, "orders-1", TASK, "orders-2") == [["orders-1", "orders-2"], [TASK]]
    second.let_go(["orders-1", "orders-2"])
    assert await taken(first, "orders-1") == [["orders-1"]]
    assert first.close_all() == second.close_all() == []


async def test_it_waits_for_a_worker_that_closes(settings: Settings, hold: Callable[[], subprocess.Popen[str]]) -> None:
    other = hold()
    folders = Folders(settings)
    taking = asyncio.ensure_future(taken(folders))
    await asyncio.sleep(0)
    assert other.stdin is not None
    other.stdin.write("\n")
    other.stdin.flush()
    await taking
    folders.backend(TASK)
    assert names(settings) == [TASK]
    folders.close(TASK)


async def test_the_folder_of_a_killed_worker_is_taken_over(
    settings: Settings, hold: Callable[[], subprocess.Popen[str]]
) -> None:
    other = hold()
    os.kill(other.pid, signal.SIGKILL)
    other.wait()
    folders = Folders(settings)
    await taken(folders)
    folders.backend(TASK)
    assert names(settings) == [TASK]
    folders.close(TASK)


async def test_beside_a_frozen_worker_another_folder_is_begun(
    settings: Settings,
    hold: Callable[[], subprocess.Popen[str]],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(folders_module, "WAIT_S", 0.05)
    frozen = hold()
    os.kill(frozen.pid, signal.SIGSTOP)
    folders = Folders(settings)
    await taken(folders)
    commit(folders, 9)
    assert names(settings) == [TASK, f"{TASK}.2"]
    assert f"task {TASK}: process {frozen.pid} does not let go of {state_folder(settings) / TASK}" in caplog.text
    folders.close(TASK)
    assert furthest_folder(settings, TASK) == state_folder(settings) / f"{TASK}.2"
    assert dormant(settings) == {TASK: {"total": Checkpoint("topic", 9)}}

    caplog.clear()
    await taken(folders)  # frozen as it is, its folder stays; ours goes on
    assert value(folders) == b"9"
    folders.close(TASK)

    os.kill(frozen.pid, signal.SIGKILL)
    frozen.wait()
    await taken(folders)
    assert (value(folders), names(settings)) == (b"9", [f"{TASK}.2"])
    folders.close(TASK)


async def test_of_several_folders_the_furthest_goes_on(settings: Settings, folders: Folders) -> None:
    for name, offset in ((TASK, 30), (f"{TASK}.2", 20), (f"{TASK}.3", 40), (f"{TASK}.4", 10)):
        other = Folders(settings)
        other._held[TASK] = folders_module._lock(_made(settings) / name)
        commit(other, offset)
        other.close(TASK)
    await taken(folders)
    assert (value(folders), names(settings)) == (b"40", [f"{TASK}.3"])


def _made(settings: Settings) -> Path:
    state_folder(settings).mkdir(parents=True, exist_ok=True)
    return state_folder(settings)


def test_a_folder_is_removed_under_another_name(settings: Settings, folders: Folders) -> None:
    """What a crash leaves of it is no store, and goes with the next."""
    left = _made(settings) / f"{TASK}.2.gone"
    left.mkdir()
    (left / "CURRENT").write_text("half")
    assert (names(settings), furthest_folder(settings, TASK)) == ([], None)
    commit(folders, 1)
    assert names(settings) == [TASK]
    folders.close(TASK)
    (_made(settings) / f"{TASK}.2").mkdir()
    folders.backend(TASK)
    assert not left.exists()


def test_other_tasks_are_not_taken_for_it(settings: Settings, folders: Folders) -> None:
    for task in ("orders-0", "orders-01", "orders-0.5-0", "orders-0-0"):
        commit(folders, 3, task)
    assert names(settings) == ["orders-0", "orders-0-0", "orders-0.5-0", "orders-01"]


def test_how_far_a_folder_is_is_told_without_opening_it(
    settings: Settings, folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit(folders, 5)
    commit(folders, 6, "orders-1")
    assert dormant(settings) == {TASK: {}, "orders-1": {}}, "as they were when they were opened"
    folders.note()
    assert dormant(settings)[TASK] == {}
    monkeypatch.setattr(folders_module, "NOTE_S", 0.0)
    folders.note()
    folders.note()
    assert dormant(settings) == {TASK: {"total": Checkpoint("topic", 5)}, "orders-1": {"total": Checkpoint("topic", 6)}}
    commit(folders, 8)
    folders.close(TASK)
    assert dormant(settings)[TASK] == {"total": Checkpoint("topic", 8)}
    (state_folder(settings) / TASK / "offsets.json").write_text("{")
    assert dormant(settings)[TASK] == {}


def test_every_worker_has_its_own_global_tables(settings: Settings) -> None:
    workers = [Folders(settings, slot) for slot in range(3)]
    for worker in workers:
        commit(worker, 1, "global")
    assert names(settings) == ["global", "global.2", "global.3"]
    assert dormant(settings) == {}
    for worker in workers:
        worker.close_all()
    again = Folders(settings, 1)
    assert value(again, "global") == b"1"
    assert names(settings) == ["global", "global.2", "global.3"]
    again.close_all()


async def test_in_memory_nothing_lies_anywhere(settings: Settings) -> None:
    folders = Folders(settings.with_values({"store": "memory"}))
    await taken(folders)
    commit(folders, 4)
    assert TASK in folders and value(folders) == b"4"
    folders.note()
    folders.close(TASK)
    assert TASK not in folders
    assert (names(settings), dormant(settings)) == ([], {})


async def test_a_task_without_stores_has_no_folder(settings: Settings, folders: Folders) -> None:
    folders.backend(TASK, needed=False)
    assert names(settings) == []


async def test_a_folder_that_does_not_open_is_let_go(settings: Settings, folders: Folders) -> None:
    (_made(settings) / TASK).mkdir()
    (_made(settings) / TASK / "CURRENT").write_text("nothing\n")
    with pytest.raises(Exception, match="cannot open the stores in"):
        folders.backend(TASK)
    other = Folders(settings)
    await taken(other)
    other.close(TASK)


def test_what_nobody_has_needed_for_long_is_removed(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings.with_values({"state_cleanup_delay_ms": 60_000})
    folders, other = Folders(settings), Folders(settings, 1)
    for task, at_work in ((TASK, folders), ("orders-1", other), ("orders-2", other), ("orders-3", folders)):
        commit(at_work, 5, task)
    commit(other, 1, "global")
    other.close("orders-2")
    folders.close("orders-3")
    assert folders.forget() == []
    old_s = time.time() - 100
    for path in task_folders(settings):
        os.utime(path / "offsets.json", (old_s, old_s))
    assert folders.forget() == [], "it was not there for so long itself"
    monkeypatch.setattr(folders, "_since_s", time.monotonic() - 100)
    os.utime(state_folder(settings) / "orders-3" / "offsets.json")
    assert folders.forget() == [state_folder(settings) / "orders-2"]
    assert names(settings) == ["global.2", TASK, "orders-1", "orders-3"]
    assert folders.close_all() == other.close_all() == []
    never = Folders(settings.with_values({"state_cleanup_delay_ms": 0}))
    monkeypatch.setattr(never, "_since_s", time.monotonic() - 1_000_000)
    assert never.forget() == []
