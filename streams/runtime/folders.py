"""Where the stores of an app lie in its data folder: several apps may share one."""

from __future__ import annotations

from pathlib import Path

from streams.config import Settings


def state_folder(settings: Settings) -> Path:
    """The folder of an app's stores, with one for each of its tasks."""
    return Path(settings.data_dir) / "state" / settings.id


def task_folder(settings: Settings, task: str) -> Path:
    """The folder of the stores of a task."""
    return state_folder(settings) / task
