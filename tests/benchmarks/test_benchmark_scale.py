"""How cost grows: the places on the axes, and that each is measured like any other run."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from benchmarks import data, harness, scale, windowed
from benchmarks.data import Dataset
from benchmarks.harness import FailedRunError


@pytest.mark.parametrize("keys", [1, 1_000])
def test_a_data_set_over_so_many_keys(keys: int) -> None:
    facts = Dataset(f"keys-{keys}", 5_000).facts
    assert len(facts) == 5_000 and int(facts.user.max()) == keys - 1


@pytest.mark.slow
def test_more_keys_on_the_embedded_broker(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for module in (data, harness):
        monkeypatch.setattr(module, "CACHE", tmp_path)
    monkeypatch.setitem(scale.AXES, "keys", (10, 1_000))
    lines: list[dict[str, Any]] = list(scale.lines(None, 2_000, 1, ["keys"]))
    assert [(line["at"], line["dataset"], line["answer_ok"]) for line in lines] == [
        (10, "keys-10", True),
        (1_000, "keys-1000", True),
    ]
    summed = scale.summary("keys", lines)
    assert summed["rate"][10] == summed["cpu"][10] == 1.0


def test_several_workers_need_a_kafka() -> None:
    with pytest.raises(FailedRunError, match="--transport kafka"):
        list(scale.lines(None, 1_000, 1, ["workers"]))


def test_the_processes_of_a_supervisor_are_it_and_its_children() -> None:
    assert scale.processes(os.getpid())[0] == os.getpid()


def test_the_app_is_that_of_windowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMS_COMPILED", "off")
    from benchmarks.scale_app import app

    assert app.id == windowed.app(Path("x")).id


def test_keys_in_turn() -> None:
    users = Dataset("turns-10", 25).facts.user.tolist()
    assert sorted(users[:10]) == list(range(10)) and users[:10] == users[10:20] and users[20:] == users[:5]
