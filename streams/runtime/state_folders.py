"""Where the stores of an app lie in its data folder: a folder for each task, or several (`folders.py` says when).

How far a folder is stands in a small file in it, so that one that nobody has open can be asked for, too (`dormant`). It
is what was there a while ago, and decides nothing but who is to work on a task.
"""

from __future__ import annotations

import logging
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from state.api import Checkpoint
from streams.config import Settings

GLOBAL = "global"
"""The stores of the global tables, of which each worker has its own: `global`, `global.2` and so on by its slot. Errors
name them so: a task's own name ends with a number."""
OFFSETS = "offsets.json"
"""How far the stores in a folder are, by name."""
_GONE = ".gone"

log = logging.getLogger("streams.worker")

Offsets = dict[str, Checkpoint]
"""By store: the topic that is its changelog, and the first offset there that it lacks."""


def state_folder(settings: Settings) -> Path:
    """The folder of an app's stores, with those of its tasks."""
    return Path(settings.data_dir) / "state" / settings.id


def dormant(settings: Settings) -> dict[str, Offsets]:
    """How far the stores of each task are that lie at this place, as it was written down last; those that somebody
    works on are among them.
    """
    found: dict[str, Offsets] = {}
    for path in task_folders(settings):
        task, noted = _task_of(path), offsets(path)
        if task not in found or _sum(noted) > _sum(found[task]):
            found[task] = noted
    found.pop(GLOBAL, None)
    return found


def task_folders(settings: Settings) -> Iterator[Path]:
    """The folders of all tasks, in the order of their names."""
    folder = state_folder(settings)
    for path in sorted(folder.iterdir()) if folder.exists() else []:
        if path.is_dir() and path.suffix != _GONE:
            yield path


def furthest_folder(settings: Settings, task: str) -> Path | None:
    """The folder of a task that is furthest; None if there is none."""
    return next(iter(candidates(state_folder(settings), task)), None)


def candidates(folder: Path, task: str) -> list[Path]:
    """The folders of a task that are there, the furthest first."""
    numbered = re.compile(re.escape(task) + r"(\.\d+)?")
    found = [path for path in folder.glob(f"{task}*") if numbered.fullmatch(path.name) and path.is_dir()]
    return sorted(found, key=lambda path: (-_sum(offsets(path)), path.name))


def _task_of(path: Path) -> str:
    return re.sub(r"\.\d+$", "", path.name)


def write_offsets(path: Path, found: Offsets) -> None:
    """Writes down how far the stores in a folder are."""
    new = path / f"{OFFSETS}.new"
    try:
        new.write_bytes(msgspec.json.encode(found))
        new.replace(path / OFFSETS)
    except OSError as error:
        log.warning("%s: how far the stores are could not be written down: %s", path, error)


def offsets(path: Path) -> Offsets:
    """How far the stores in a folder are, as it was written down last."""
    try:
        return msgspec.json.decode((path / OFFSETS).read_bytes(), type=Offsets)
    except (OSError, msgspec.DecodeError):  # never written, or cut off by a power cut
        return {}


def age_s(path: Path) -> float:
    """How long ago it was written down how far a folder is, which is done while it is open."""
    noted = path / OFFSETS
    try:
        return time.time() - (noted if noted.exists() else path).stat().st_mtime
    except FileNotFoundError:  # somebody else was faster
        return 0.0


def _sum(offsets: Offsets) -> int:
    return sum(checkpoint.offset for checkpoint in offsets.values())


def remove(path: Path) -> None:
    """First it has another name: half removed it must not be taken for a store."""
    gone = path.with_name(path.name + _GONE)
    shutil.rmtree(gone, ignore_errors=True)
    path.rename(gone)
    shutil.rmtree(gone, ignore_errors=True)
