"""`python -m benchmarks driver`: 1,000 small topologies, each built, driven and checked; 10 s are the goal.

Six kinds in turn, ten records each, one pipe a record; a third of them through a repartition, a sixth over four
partitions. Every answer is compared with one that a loop gives.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import streams
from streams.testing import Driver

GOAL_S_PER_1000 = 10.0

ROWS = [("abc"[n % 3], n, n * 1_000) for n in range(10)]


def kept(app: streams.App, numbers: Any) -> list[Any]:
    numbers.stream().filter(lambda v: v % 2).map_values(lambda v: v * 10).to("out")
    return [(key, value * 10) for key, value, _ in ROWS if value % 2]


def counted(app: streams.App, numbers: Any) -> list[Any]:
    numbers.stream().group_by_key().count(name="counts").to_stream().to("out")
    seen: Counter[str] = Counter()
    return [(key, seen[key]) for key, _, _ in ROWS if not seen.update([key])]


def regrouped(app: streams.App, numbers: Any) -> list[Any]:
    numbers.stream().group_by(lambda v: f"k{v % 2}", name="by", key_type=str).count(name="counts").to_stream().to("out")
    return [(f"k{value % 2}", value // 2 + 1) for _, value, _ in ROWS]


def windowed(app: streams.App, numbers: Any) -> list[Any]:
    window = streams.TumblingWindow("5s")
    table = numbers.stream().group_by(lambda v: "all", name="by", key_type=str).windowed_by(window).count(name="counts")
    table.emit("close").to_stream().to("out")
    return [(streams.Windowed("all", 0, 5_000), 5)]


def joined(app: streams.App, numbers: Any) -> list[Any]:
    names = app.topic("names", key_type=str, value_type=str).table(name="names")
    numbers.stream().left_join(names, lambda number, name: f"{name}{number}", value_type=str).to("out")
    return [(key, f"{None}{value}") for key, value, _ in ROWS]


def spread(app: streams.App, numbers: Any) -> list[Any]:
    numbers.stream().merge(app.topic("more", key_type=str, value_type=int).stream()).to("out")
    return [(key, value) for key, value, _ in ROWS]


KINDS: tuple[Callable[[streams.App, Any], list[Any]], ...] = (kept, counted, regrouped, windowed, joined, spread)


def one(number: int) -> None:
    """Builds, drives and checks a topology. Raises AssertionError for a wrong answer."""
    kind = KINDS[number % len(KINDS)]
    app = streams.App("bench")
    expected = kind(app, app.topic("numbers", key_type=str, value_type=int))
    with Driver(app, partitions=4 if kind is spread else 1) as driver:
        for key, value, timestamp in ROWS:
            driver.pipe("numbers", key=key, value=value, timestamp=timestamp)
        found = [(record.key, record.value) for record in driver.read("out")]
    assert found == expected, f"{kind.__name__}: {found} instead of {expected}"


def main(arguments: list[str] | None = None) -> int:
    """Measures and prints one JSON line; 1 if an answer was wrong."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks driver", description=__doc__)
    parser.add_argument("--n", type=int, default=1_000, help="topologies (default: 1,000)")
    options = parser.parse_args(arguments)
    one(0)  # imports
    began_s, began_cpu_s = time.perf_counter(), time.process_time()
    try:
        for number in range(options.n):
            one(number)
    except AssertionError as error:
        print(error, file=sys.stderr)
        return 1
    seconds, cpu_s = time.perf_counter() - began_s, time.process_time() - began_cpu_s
    line = {
        "workload": "driver",
        "topologies": options.n,
        "seconds": round(seconds, 2),
        "cpu_s": round(cpu_s, 2),
        "ms_each": round(1_000 * cpu_s / options.n, 2),
        "goal_met": seconds / options.n * 1_000 <= GOAL_S_PER_1000,
    }
    print(json.dumps(line))
    return 0
