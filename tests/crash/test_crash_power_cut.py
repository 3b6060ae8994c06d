"""A power cut takes what was not synced, of the log, of the stores, or of both."""

from __future__ import annotations

import os
import re
from collections import Counter
from random import Random

import pytest
from conftest import Life, NewLife, Undisturbed
from crash_compare import assert_equal, assert_same, assert_sound, recomputed, results

from streams.runtime.steps import COMMIT_STEPS, RESTORE_STEPS
from streams.testing.contents import Contents
from streams.testing.crash import StepAt
from streams.testing.power_cut import Ledger, cut_log, cut_stores, durable

PARTS = {"log": {"log"}, "stores": {"stores"}, "both": {"log", "stores"}}
QUICKLY = ["both", *(pytest.param(part, marks=pytest.mark.slow) for part in ("log", "stores"))]
SEEDS = int(os.environ.get("SEEDS", "2"))
CHANGING = re.compile("-changelog-|/__consumer_offsets-|/__transaction_state-|-position-|-repartition-")
SYNCED = {"STREAMS_FLUSH_ON_COMMIT": "true"}


class PowerCuts:
    """Cuts the power of a life, again and again, and sees that what was durable is still there after the next start.

    Durable is what the template had, which was closed cleanly, and with `is_synced` every byte that was synced: then
    commits are acknowledged when they are on the disk. Without, what a segment that is full has on the disk may have to
    go back with the commits that other partitions lost. Logs that are compacted keep the newest record of each key and
    not their bytes, and what was read of repartition topics is purged: the results show whether that was right.
    """

    def __init__(self, life: Life, parts: set[str], seed: int, *, is_synced: bool) -> None:
        self.life = life
        self.draw = Random(seed)
        self.lost: Counter[str] = Counter()
        self._parts = parts
        self._ledger = Ledger(life.folder.with_name("ledger"))
        for path in (life.folder / "log").rglob("*"):
            if path.is_file():
                self._ledger.note("file", str(path), path.stat().st_size)
        self._durable = None if is_synced else self._ledger.synced()

    def run(self, **options: object) -> None:
        """A process that ends as told, and then the cut."""
        synced = self._durable or self._ledger.synced()
        before = durable({path: size for path, size in synced.items() if not CHANGING.search(path)})
        self.life.run(ledger=self._ledger.path, **options)
        assert durable({path: len(data) for path, data in before.items()}) == before
        if "log" in self._parts:
            self.lost["log"] += cut_log(self.life.folder / "log", self._ledger.synced(), self.draw)
        if "stores" in self._parts and (self.life.folder / "state").exists():
            self.lost["stores"] += cut_stores(self.life.folder / "state", self._ledger.synced(), self.draw)

    def finish(self) -> Contents:
        assert all(self.lost[part] > 0 for part in self._parts), "nothing was lost: the test tests nothing"
        return self.life.finish()


def cut_at_steps(cuts: PowerCuts, times: int) -> None:
    """Cuts at steps of commits, and of the restores that the cuts before have made necessary."""
    for _ in range(times):
        step = cuts.draw.choice([*COMMIT_STEPS, *RESTORE_STEPS] if cuts.life.runs else COMMIT_STEPS)
        cuts.run(die_at=StepAt(step, 1 if step in RESTORE_STEPS else cuts.draw.randint(1, 6)))


def cut_at_moments(cuts: PowerCuts, times: int, seconds: float) -> None:
    for _ in range(times):
        cuts.run(kill_after_s=cuts.draw.uniform(0, seconds))


def assert_agreement(cuts: PowerCuts, undisturbed: Undisturbed) -> None:
    """Log, stores and groups fit together again: the input goes on from what is left, and nothing shows the cut."""
    contents = cuts.finish()
    assert_sound(contents)
    assert_equal(results(contents), recomputed(contents.topics), "the app", "plain Python")
    assert_same(contents, undisturbed.contents)


@pytest.mark.parametrize("parts", QUICKLY)
def test_synced_commits_survive(parts: str, new_life: NewLife, undisturbed: Undisturbed) -> None:
    cuts = PowerCuts(new_life(**SYNCED), PARTS[parts], seed=1, is_synced=True)
    cut_at_steps(cuts, 3)
    assert_same(cuts.finish(), undisturbed.contents)


@pytest.mark.parametrize("parts", QUICKLY)
def test_without_syncs_all_parts_agree_again(parts: str, new_life: NewLife, undisturbed: Undisturbed) -> None:
    cuts = PowerCuts(new_life(), PARTS[parts], seed=2, is_synced=False)
    cut_at_steps(cuts, 3)
    assert_agreement(cuts, undisturbed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10, 10 + SEEDS))
@pytest.mark.parametrize("parts", PARTS)
def test_synced_commits_survive_at_any_moment(
    parts: str, seed: int, new_life: NewLife, undisturbed: Undisturbed
) -> None:
    cuts = PowerCuts(new_life(**SYNCED), PARTS[parts], seed, is_synced=True)
    cut_at_steps(cuts, 2)
    cut_at_moments(cuts, 2, undisturbed.seconds)
    assert_same(cuts.finish(), undisturbed.contents)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10, 10 + SEEDS))
@pytest.mark.parametrize("parts", PARTS)
def test_without_syncs_all_parts_agree_at_any_moment(
    parts: str, seed: int, new_life: NewLife, undisturbed: Undisturbed
) -> None:
    cuts = PowerCuts(new_life(), PARTS[parts], seed, is_synced=False)
    cut_at_steps(cuts, 2)
    cut_at_moments(cuts, 2, undisturbed.seconds)
    assert_agreement(cuts, undisturbed)
