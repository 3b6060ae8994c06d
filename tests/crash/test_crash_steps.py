"""A crash at every step of a commit and of a restore: afterwards everything is as if nothing had happened."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from conftest import Life, Undisturbed
from crash_compare import assert_equal, assert_nothing_wiped, assert_same, assert_sound, recomputed, results

import streams.runtime
from streams.runtime.steps import COMMIT_STEPS, REBALANCE_STEPS, RESTORE_STEPS, STANDBY_STEPS


def test_the_tables_of_steps_are_complete() -> None:
    sources = Path(streams.runtime.__path__[0]).rglob("*.py")
    reached = {step for path in sources for step in re.findall(r'^\s+reach\("(.+)"\)$', path.read_text(), re.MULTILINE)}
    assert reached == {*COMMIT_STEPS, *RESTORE_STEPS, *REBALANCE_STEPS, *STANDBY_STEPS}


def test_an_undisturbed_run_gives_what_plain_python_gives(undisturbed: Undisturbed) -> None:
    assert_sound(undisturbed.contents)
    assert_equal(results(undisturbed.contents), recomputed(undisturbed.contents.topics), "the run", "plain Python")


AT_ONCE = ("commit: end transaction", "commit: write a slice")
"""Those that the quick suite tries."""


def _quick(steps: Iterable[str]) -> list[Any]:
    return [pytest.param(step, marks=[] if step in AT_ONCE else pytest.mark.slow) for step in steps]


@pytest.mark.parametrize("step", _quick(COMMIT_STEPS))
def test_crashes_of_commits(step: str, life: Life, undisturbed: Undisturbed) -> None:
    """Some time that a process reaches the step; the next one goes on from there."""
    life.die_at(step, 3)
    assert_same(life.finish(), undisturbed.contents)
    assert_nothing_wiped(life.runs)


RESTORES = {
    "restore: look at checkpoints": (1, 1, 1),  # once a start
    "restore: read changelog": (1, 1, 1),
    "restore: write store": (1, 2, 5),
    "restore: done": (1, 2, 9),
}
"""At which time each of three starts in a row falls."""


@pytest.mark.parametrize("step", _quick(RESTORE_STEPS))
def test_crashes_of_restores(step: str, life: Life, undisturbed: Undisturbed) -> None:
    """Three starts in a row fall in the midst of a restore: behind by a commit, and then with no local state."""
    life.die_at("commit: write stores", 5)
    for occurrence in RESTORES[step]:
        life.die_at(step, occurrence)
    life.die_at("commit: write stores", 2)
    assert_nothing_wiped(life.runs)
    shutil.rmtree(life.folder / "state")
    for occurrence in RESTORES[step]:
        life.die_at(step, occurrence)
    assert_same(life.finish(), undisturbed.contents)


@pytest.mark.slow
@pytest.mark.parametrize("occurrence", [1, 7])
@pytest.mark.parametrize("step", COMMIT_STEPS)
def test_one_crash_of_a_commit(step: str, occurrence: int, life: Life, undisturbed: Undisturbed) -> None:
    life.die_at(step, occurrence)
    assert_same(life.finish(), undisturbed.contents)
    assert_nothing_wiped(life.runs)


@pytest.mark.slow
@pytest.mark.parametrize("nth", [0, 1, 2])
@pytest.mark.parametrize("step", RESTORE_STEPS)
@pytest.mark.parametrize("before", ["commit: write stores", "commit: write a slice"])
def test_one_crash_of_a_restore(before: str, step: str, nth: int, life: Life, undisturbed: Undisturbed) -> None:
    life.die_at(before, 3 + 3 * nth)
    life.die_at(step, RESTORES[step][nth])
    assert_same(life.finish(), undisturbed.contents)
    assert_nothing_wiped(life.runs)
