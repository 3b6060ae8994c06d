"""The fixtures `driver` and `clock`, as a stranger's test suite has them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

SUITE = """
import streams
import pytest

app = streams.App("shop")
ticks = app.topic("ticks", key_type=str, value_type=int)
app.topic("orders", key_type=str, value_type=int).stream().group_by_key().count(name="n").to_stream().to("counts")

@app.timer(interval="1m")
async def tick():
    await ticks.send("tick", 1)

@pytest.mark.parametrize("round", [1, 2])
def test_counts(driver, round):
    shop = driver(app)
    shop.pipe("orders", key="ada", value=30)
    assert [record.value for record in shop.read("counts")] == [1]

def test_time(driver, clock):
    shop = driver(app, partitions=2)
    clock.advance("3m")
    assert [record.timestamp for record in shop.read("ticks")] == [60_000, 120_000, 180_000]

def test_the_clock_is_new(clock):
    assert clock.now_ms == 0
"""


def test_fixtures_come_with_the_package(tmp_path: Path) -> None:
    (tmp_path / "test_shop.py").write_text(SUITE)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "streams.testing.pytest_plugin", "-p", "no:cacheprovider"]
    here = os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])}
    done = subprocess.run([*command, str(tmp_path)], cwd=tmp_path, env=here, capture_output=True, text=True)
    assert "4 passed" in done.stdout, done.stdout + done.stderr
