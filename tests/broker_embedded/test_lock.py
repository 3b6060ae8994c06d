"""One process serves a data folder, and says who it is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from broker_embedded.lock import LOCK_NAME, FolderInUseError, FolderLock, is_held

HOLD = """
import sys
from pathlib import Path
from broker_embedded.lock import FolderLock
lock = FolderLock.take(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


def holder(folder: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def test_a_living_holder_is_named(tmp_path: Path) -> None:
    process = holder(tmp_path)
    try:
        with pytest.raises(
            FolderInUseError, match=rf"in use by process {process.pid} \(.*\) since 20.*kill {process.pid}"
        ):
            FolderLock.take(tmp_path)
    finally:
        end(process)


@pytest.mark.skipif(sys.platform != "linux", reason="locks of ranges are looked at on Linux")
def test_a_folder_that_kafka_holds(tmp_path: Path) -> None:
    """It locks all bytes of the file, as Java's FileChannel.tryLock does, and writes nothing there."""
    hold = (
        "import fcntl, sys; file = open(sys.argv[1], 'w'); fcntl.lockf(file, fcntl.LOCK_EX); print(); sys.stdin.read()"
    )
    command = [sys.executable, "-c", hold, str(tmp_path / LOCK_NAME)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.readline()
    try:
        with pytest.raises(FolderInUseError, match="in use by another process"):
            FolderLock.take(tmp_path)
        assert is_held(tmp_path)
    finally:
        end(process)
    FolderLock.take(tmp_path).release()


def test_a_killed_holder_is_followed(tmp_path: Path) -> None:
    process = holder(tmp_path)
    end(process)
    assert json.loads((tmp_path / LOCK_NAME).read_text())["pid"] == process.pid
    lock = FolderLock.take(tmp_path)
    assert json.loads((tmp_path / LOCK_NAME).read_text())["pid"] == os.getpid()
    lock.release()


def test_the_lock_decides_and_not_the_pid(tmp_path: Path) -> None:
    (tmp_path / LOCK_NAME).write_text(json.dumps({"pid": os.getpid(), "program": "x", "since": "y"}))
    FolderLock.take(tmp_path).release()


def test_twice_in_one_process(tmp_path: Path) -> None:
    lock = FolderLock.take(tmp_path)
    with pytest.raises(FolderInUseError) as caught:
        FolderLock.take(tmp_path)
    assert caught.value.pid == os.getpid()
    lock.release()
    lock.release()
    FolderLock.take(tmp_path).release()


def test_a_holder_without_a_word(tmp_path: Path) -> None:
    lock = FolderLock.take(tmp_path)
    (tmp_path / LOCK_NAME).write_text("")
    with pytest.raises(FolderInUseError, match="in use by another process"):
        FolderLock.take(tmp_path)
    lock.release()


def test_a_forked_child_does_not_hold_on(tmp_path: Path) -> None:
    script = """
import os, sys
from pathlib import Path
from broker_embedded.lock import FolderLock
lock = FolderLock.take(Path(sys.argv[1]))
if os.fork() == 0:
    os.kill(os.getppid(), 9)
    print("killed", flush=True)
    os.read(0, 1)
    os._exit(0)
os.wait()
"""
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "killed\n"
    process.wait()
    FolderLock.take(tmp_path).release()
    process.communicate()
