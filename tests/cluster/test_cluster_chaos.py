"""Chaos for a minute, by a seed; SEEDS=3,4 and MINUTES=10 in the environment ask for others, or for longer.

By hand `python -m tests.cluster.chaos` does the same and tells what it does meanwhile.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.cluster.chaos import Chaos, report
from tests.cluster.proxied_cluster import running_proxied_cluster

SEEDS = [int(seed) for seed in os.environ.get("SEEDS", "1").split(",")]
MINUTES = float(os.environ.get("MINUTES", "1"))
BESIDE_MINUTES = 8
"""What a run may take beside its chaos."""


@pytest.mark.slow
@pytest.mark.timeout(60 * (MINUTES + BESIDE_MINUTES))
@pytest.mark.parametrize("seed", SEEDS)
def test_outputs_are_as_if_nothing_had_happened(seed: int, java: None, tmp_path: Path) -> None:
    with running_proxied_cluster(tmp_path / "brokers") as cluster:
        chaos = Chaos(cluster, tmp_path, seed, MINUTES)
        told = chaos.run()
    assert not told, report(chaos, told)
