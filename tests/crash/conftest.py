"""A process that starts the crash app, the folder all runs begin with, and what an undisturbed run makes of it."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import pytest

from streams.app import App
from streams.testing.contents import Contents, read_contents
from streams.testing.crash import DIED, Crashes, Kill, Run, StepAt

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

SHARED_MEMORY = Path("/dev/shm")
"""What a killed process wrote stays there as it does on a disk, and a hundred runs wait for no disk."""


class Undisturbed(NamedTuple):
    contents: Contents
    seconds: float
    """How long the run took, about."""
    commits: int


class Life:
    """One data folder from its first start to the end of its input; `environment` is that of all its processes."""

    def __init__(self, app: App, crashes: Crashes, folder: Path, environment: dict[str, str]) -> None:
        self._app = app
        self._crashes = crashes
        self._environment = environment
        self.folder = folder
        self.runs: list[Run] = []

    def run(self, *, environment: dict[str, str] | None = None, **options: Any) -> Run:
        run = self._crashes.run(self.folder, environment=self._environment | (environment or {}), **options)
        assert run.code != 1, run.errors
        self.runs.append(run)
        return run

    def die_at(self, step: str, occurrence: int, **options: Any) -> None:
        """A run that falls at a step, and not before or after."""
        run = self.run(die_at=StepAt(step, occurrence), **options)
        assert run.code == DIED, f"{step!r} was reached {run.steps[step]} times, and not {occurrence}"
        assert run.steps[step] == occurrence

    def finish(self) -> Contents:
        """Runs to the end and looks at what is there."""
        assert self.run().code == 0
        return asyncio.run(read_contents(self._app, self.folder))


NewLife = Callable[..., Life]


@contextmanager
def filled(fill: Callable[[Path], Coroutine[Any, Any, None]]) -> Iterator[Path]:
    """The folder that all runs of an app begin with."""
    usable = SHARED_MEMORY.is_dir() and os.access(SHARED_MEMORY, os.W_OK)
    with tempfile.TemporaryDirectory(dir=SHARED_MEMORY if usable else None) as folder:
        asyncio.run(fill(Path(folder, "template")))
        yield Path(folder, "template")


@contextmanager
def lives(app: App, crashes: Crashes, template: Path) -> Iterator[NewLife]:
    """Begins a life, the settings of which are given by the names of their environment variables."""
    with tempfile.TemporaryDirectory(dir=template.parent) as root:

        def begin(**environment: str) -> Life:
            folder = Path(tempfile.mkdtemp(dir=root), "data")
            return Life(app, crashes, shutil.copytree(template, folder), environment)

        yield begin


def without_disturbance(life: Life) -> Undisturbed:
    began_s = time.monotonic()
    run = life.run()
    seconds = time.monotonic() - began_s
    return Undisturbed(life.finish(), seconds, run.steps["commit: emit and save"])


def moment(draw: Random, commits: int) -> Kill:
    """Somewhere in the first two thirds of so many commits, within one or between two."""
    return Kill(draw.randint(1, max(1, commits * 2 // 3)), draw.uniform(0, 0.02))


@pytest.fixture(scope="session")
def crashes() -> Iterator[Crashes]:
    with Crashes("crash_child:app", HERE) as crashes:
        yield crashes


@pytest.fixture(scope="session")
def template() -> Iterator[Path]:
    from crash_app import fill

    with filled(fill) as folder:
        yield folder


@pytest.fixture
def new_life(crashes: Crashes, template: Path) -> Iterator[NewLife]:
    from crash_app import app

    with lives(app, crashes, template) as begin:
        yield begin


@pytest.fixture
def life(new_life: NewLife) -> Life:
    return new_life()


@pytest.fixture(scope="session")
def undisturbed(crashes: Crashes, template: Path) -> Undisturbed:
    from crash_app import app

    with lives(app, crashes, template) as begin:
        return without_disturbance(begin())
