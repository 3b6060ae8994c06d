"""A process that starts the crash app, the folder all runs begin with, and what an undisturbed run makes of it."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.testing.contents import Contents, read_contents
from streams.testing.crash import DIED, Crashes, Run, StepAt

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

SHARED_MEMORY = Path("/dev/shm")
"""What a killed process wrote stays there as it does on a disk, and a hundred runs wait for no disk."""


def look(folder: Path) -> Contents:
    """What is in a data folder."""
    from crash_app import app

    return asyncio.run(read_contents(app, folder))


class Life:
    """One data folder from its first start to the end of its input."""

    def __init__(self, crashes: Crashes, folder: Path) -> None:
        self.crashes = crashes
        self.folder = folder
        self.runs: list[Run] = []

    def run(self, **options: object) -> Run:
        run = self.crashes.run(self.folder, **options)  # type: ignore[arg-type]
        assert run.code != 1, run.errors
        self.runs.append(run)
        return run

    def die_at(self, step: str, occurrence: int, **environment: str) -> None:
        """A run that falls at a step, and not before or after."""
        run = self.run(die_at=StepAt(step, occurrence), environment=environment)
        assert run.code == DIED, f"{step!r} was reached {run.steps[step]} times, and not {occurrence}"
        assert run.steps[step] == occurrence

    def finish(self) -> Contents:
        """Runs to the end and looks at what is there."""
        assert self.run().code == 0
        return look(self.folder)


@pytest.fixture(scope="session")
def crashes() -> Iterator[Crashes]:
    with Crashes("crash_child:app", HERE) as crashes:
        yield crashes


@pytest.fixture(scope="session")
def root() -> Iterator[Path]:
    usable = SHARED_MEMORY.is_dir() and os.access(SHARED_MEMORY, os.W_OK)
    with tempfile.TemporaryDirectory(dir=SHARED_MEMORY if usable else None) as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def template(root: Path) -> Path:
    from crash_app import fill

    asyncio.run(fill(root / "template"))
    return root / "template"


@pytest.fixture
def life(crashes: Crashes, template: Path) -> Iterator[Life]:
    with tempfile.TemporaryDirectory(dir=template.parent) as folder:
        yield Life(crashes, shutil.copytree(template, Path(folder, "data")))


@pytest.fixture(scope="session")
def undisturbed(crashes: Crashes, template: Path) -> Contents:
    folder = shutil.copytree(template, template.parent / "undisturbed")
    run = crashes.run(folder)
    assert run.code == 0, run.errors
    return look(folder)
