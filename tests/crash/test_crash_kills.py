"""kill -9 at random moments, several times in the life of a data folder."""

from __future__ import annotations

import asyncio
import os
import shutil
from random import Random

import pytest
from conftest import Life, NewLife, Undisturbed, moment
from crash_compare import assert_nothing_wiped, assert_same

from streams.testing.crash import KILLED, Kill

KILLS_A_LIFE = 4
"""After so many a life is let come to its end."""


def had_work_left(life: Life) -> bool:
    """Whether the log says so; it is looked at in a copy, since to open a folder is to recover it."""
    from crash_app import records_left

    copy = life.folder.with_name("copy")
    shutil.copytree(life.folder / "log", copy / "log")
    left = asyncio.run(records_left(copy))
    shutil.rmtree(copy)
    return left > 0


def killed(life: Life, at: Kill) -> int:
    """A run: 1 if it was killed before the end of its work, otherwise 0."""
    run = life.run(kills=[at])
    return int(run.code == KILLED and had_work_left(life))


def kill(kills: int, seed: int, new_life: NewLife, undisturbed: Undisturbed) -> None:
    """Lives with random ends of processes in them, until so many were killed at work."""
    draw = Random(seed)
    hits = 0
    while hits < kills:
        life = new_life()
        for _ in range(min(KILLS_A_LIFE, kills - hits)):
            hits += killed(life, moment(draw, undisturbed.commits))
            if life.runs[-1].code == 0:
                break
        assert_same(life.finish(), undisturbed.contents)
        assert_nothing_wiped(life.runs)


@pytest.mark.slow
def test_kills(new_life: NewLife, undisturbed: Undisturbed) -> None:
    kill(2, 1, new_life, undisturbed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 2 + int(os.environ.get("KILL_SEEDS", "1"))))
def test_25_kills(seed: int, new_life: NewLife, undisturbed: Undisturbed) -> None:
    kill(5, seed, new_life, undisturbed)
