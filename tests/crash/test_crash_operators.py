"""kill -9 and power cuts, with all kinds of joins and windows, suppress, processors, and tables made of tables.

What a task reads from topics of users comes out the same to the last record. Behind a repartition it hangs on how tasks
take turns which changes a table goes through, but not where it ends.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from conftest import HERE, Life, NewLife, Undisturbed, filled, lives, moment, without_disturbance
from crash_compare import assert_equal, assert_nothing_wiped, assert_sound, in_order
from crash_operators_app import app, fill
from test_crash_power_cut import PARTS, PowerCuts, cut_at_moments, cut_at_steps

from streams.runtime.steps import COMMIT_STEPS
from streams.testing.contents import Contents
from streams.testing.crash import KILLED, Crashes

BEHIND_REPARTITIONS = {"places", "stocks", "odd-stocks"}


@pytest.fixture(scope="module")
def crashes() -> Iterator[Crashes]:
    with Crashes("crash_operators_child:app", HERE) as crashes:
        yield crashes


@pytest.fixture(scope="module")
def template() -> Iterator[Path]:
    with filled(fill) as folder:
        yield folder


@pytest.fixture(scope="module")
def new_life(crashes: Crashes, template: Path) -> Iterator[NewLife]:
    with lives(app, crashes, template) as begin:
        yield begin


@pytest.fixture
def life(new_life: NewLife) -> Life:
    return new_life()


@pytest.fixture(scope="module")
def undisturbed(new_life: NewLife) -> Undisturbed:
    return without_disturbance(new_life())


def comparable(contents: Contents) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, rows in contents.topics.items():
        by_key = in_order(rows)
        found[f"topic {name}"] = (
            {key: values[-1][0] for key, values in by_key.items()} if name in BEHIND_REPARTITIONS else by_key
        )
    return found | {"consumed": contents.consumed}


def assert_same(contents: Contents, undisturbed: Contents) -> None:
    assert_sound(contents)
    assert_equal(comparable(contents), comparable(undisturbed), "this run", "an undisturbed one")


def test_an_undisturbed_run_goes_through_everything(undisturbed: Undisturbed) -> None:
    assert_sound(undisturbed.contents)
    empty = {name for name, rows in undisturbed.contents.topics.items() if len(rows) < 20}
    assert not empty


AT_ONCE = {"commit: write a slice"}
"""The step that the plain suite crashes at; crash_app's are all of them."""


@pytest.mark.parametrize(
    "step", [pytest.param(step, marks=[] if step in AT_ONCE else pytest.mark.slow) for step in COMMIT_STEPS]
)
def test_crashes_of_commits(step: str, life: Life, undisturbed: Undisturbed) -> None:
    for occurrence in (1, 2, 3):
        life.die_at(step, occurrence)
    assert_same(life.finish(), undisturbed.contents)
    assert_nothing_wiped(life.runs)


def kill(kills: int, seed: int, new_life: NewLife, undisturbed: Undisturbed) -> None:
    """Lives with random ends of processes in them, until so many were killed between two commits."""
    draw = Random(seed)
    hits = 0
    while hits < kills:
        life = new_life()
        while hits < kills:
            run = life.run(kills=[moment(draw, undisturbed.commits)])
            if run.code != KILLED:
                break
            hits += 1
        assert_same(life.finish(), undisturbed.contents)
        assert_nothing_wiped(life.runs)


def test_a_kill(new_life: NewLife, undisturbed: Undisturbed) -> None:
    kill(1, 1, new_life, undisturbed)


@pytest.mark.slow
@pytest.mark.timeout(300)  # on a machine that has other things to do
@pytest.mark.parametrize("seed", [2])
def test_5_kills(seed: int, new_life: NewLife, undisturbed: Undisturbed) -> None:
    kill(5, seed, new_life, undisturbed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10, 12))
@pytest.mark.parametrize("parts", PARTS)
def test_power_cuts(parts: str, seed: int, new_life: NewLife, undisturbed: Undisturbed) -> None:
    cuts = PowerCuts(new_life(), PARTS[parts], seed, is_synced=False)
    cut_at_steps(cuts, 2)
    cut_at_moments(cuts, 2, undisturbed.seconds)
    assert_same(cuts.finish(), undisturbed.contents)
