"""Order of runs, the summary's arithmetic, the processes of the bounds, and the profiler's tables."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from benchmarks import __main__ as command
from benchmarks import data, harness, sampler, workload
from benchmarks.harness import Plan, summary
from benchmarks.history import record
from benchmarks.sampler import Sampler


def plan(**changes: object) -> Plan:
    settings = {"workload": "windowed", "dataset": "events", "n": 100, "runs": 3, "peers": ("bound-dict",), **changes}
    return Plan(**settings)  # type: ignore[arg-type]


@pytest.fixture
def seconds(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[float]]:
    taken = {"streams": [2.0, 4.0, 1.0], "bound-dict": [1.0, 1.0, 1.0]}
    for system, times in taken.items():
        runs = iter(times)
        figures = lambda _plan, _system, runs=runs: {"seconds": next(runs), "cpu_s": 1.0, "peak_rss_mb": 50.0}  # noqa: E731
        monkeypatch.setitem(harness._RUN, system, figures)
    return taken


def test_the_order_turns_round(seconds: dict[str, list[float]]) -> None:
    systems = [line["system"] for line in plan().lines()]
    assert systems == ["streams", "bound-dict", "bound-dict", "streams", "streams", "bound-dict"]


def test_a_line_has_the_fields_of_the_workloads(seconds: dict[str, list[float]]) -> None:
    line = next(plan().lines())
    stated = [
        "workload",
        "system",
        "transport",
        "n",
        "events_per_s",
        "seconds",
        "peak_rss_mb",
        "cpu_s",
        "versions",
        "answer_ok",
    ]
    assert set(stated) <= set(line)
    assert line["events_per_s"] == 50


def test_the_summary_has_medians_ratio_and_spread(seconds: dict[str, list[float]]) -> None:
    lines = list(plan().lines())
    summed = summary(plan(), lines)
    assert summed["medians"]["streams"] == {"events_per_s": 50, "peak_rss_mb": 50.0, "cpu_s": 1.0}
    assert summed["ratio"] == {"streams": {"bound-dict": {"median": 0.5, "min": 0.25, "max": 1.0}}}


def test_start_is_a_ratio_of_seconds(seconds: dict[str, list[float]]) -> None:
    started = plan(workload="start")
    assert summary(started, list(started.lines()))["ratio"]["streams"]["bound-dict"]["median"] == 2.0


def test_a_bound_runs_in_a_process_of_its_own(capfd: pytest.CaptureFixture[str]) -> None:
    assert command.main(["windowed", "--n", "2000", "--runs", "1", "--only-peers", "--peer", "bound-dict"]) == 0
    line, last = map(json.loads, capfd.readouterr().out.splitlines())
    assert (line["system"], line["n"], line["answer_ok"]) == ("bound-dict", 2000, True)
    assert line["events_per_s"] > 0 and line["peak_rss_mb"] > 5
    assert last["summary"] == "windowed"


def test_a_run_that_fails_prints_no_figure(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    def fails(_plan: Plan, _system: str) -> dict[str, float]:
        raise harness.FailedRunError("wrong answer")

    monkeypatch.setitem(harness._RUN, "bound-dict", fails)
    assert command.main(["windowed", "--only-peers"]) == 1
    out, err = capfd.readouterr()
    assert out == "" and "wrong answer" in err


def test_recorded_lines_carry_commit_and_time(tmp_path: Path) -> None:
    history = tmp_path / "history.jsonl"
    record([{"workload": "windowed"}], history)
    record([{"workload": "join"}], history)
    lines = [json.loads(line) for line in history.read_text().splitlines()]
    assert [line["workload"] for line in lines] == ["windowed", "join"]
    assert {"commit", "at"} <= set(lines[0])


@pytest.mark.parametrize("name", workload.NAMES)
def test_every_workload_has_the_names_of_its_contract(name: str) -> None:
    module = workload.load(name)
    assert all(hasattr(module, wanted) for wanted in workload.Workload.__annotations__)
    inputs = module.inputs("events", 100)
    assert len(next(iter(inputs.values())).facts) == 100
    assert module.CLOCK == "latency" or set(module.expected(inputs)) != set()
    assert all(isinstance(topic, str) and dataset.name in data._DRAW for topic, dataset in inputs.items())


def test_the_sampler_books_time_in_libraries_on_the_line_that_called_them(tmp_path: Path) -> None:
    looker = Sampler()
    ours, numpy = (f"{sampler.ROOT}streams/app.py", 1, "run"), ("/x/site-packages/numpy/core.py", 3, "mean")
    looker.stacks.update({(ours, numpy): 3000, (ours,): 1000})
    layers, packages, functions, lines, within = looker.report(2).split("\n\n")
    assert layers.splitlines()[1] == " 100.0%    2.000 us  event loop"
    assert packages.splitlines()[1:] == ["  75.0%  numpy/core", "  25.0%  streams/app"]
    assert functions.splitlines()[1:] == within.splitlines()[1:] == [" 100.0%  streams/app.py:run"]
    assert lines.splitlines()[1].startswith(" 100.0%  streams/app.py:1  ")
    looker.write(tmp_path / "stacks.txt")
    assert (tmp_path / "stacks.txt").read_text().splitlines()[0] == "streams/app.py:run;numpy/core.py:mean 3"


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (["streams/runtime/loop.py", "streams/runtime/commit.py", "state/layers/logged.py"], "changelog"),
        (["streams/runtime/loop.py", "streams/transport/kafka/sender.py", "/lib/asyncio/streams.py"], "produce"),
        (["streams/runtime/task.py", "streams/operators/sources/source.py", "/site-packages/msgspec.py"], "parse"),
        (["/lib/asyncio/base_events.py"], "event loop"),
    ],
)
def test_a_stack_is_in_the_layer_of_its_innermost_file(files: list[str], expected: str) -> None:
    stack = tuple((file if file.startswith("/") else sampler.ROOT + file, 1, "f") for file in files)
    assert sampler.layer(stack) == expected


def test_the_sampler_sees_a_busy_function_and_other_threads() -> None:
    looker, ends = Sampler(), threading.Event()

    def beside() -> None:
        while not ends.is_set():
            sum(range(1000))

    thread = threading.Thread(target=beside)
    looker.start()
    thread.start()
    try:
        _until_seen(looker, "beside", "_spin", work=_spin)
    finally:
        ends.set()
        thread.join()
        looker.stop()
    assert "test_benchmark_harness.py:_spin" in looker.report(1)
    assert looker.total_ns == pytest.approx(sum(looker.layers().values()) * 1e9)
    assert looker.total_ns <= looker.process_ns


def _until_seen(looker: Sampler, *names: str, work: Callable[[], object]) -> None:
    """Works until there are samples of these functions, or a second of processor time is gone."""
    deadline = time.process_time() + 1.0
    while not set(names) <= {place[2].rpartition(".")[2] for stack in list(looker.stacks) for place in stack}:
        assert time.process_time() < deadline
        work()


def _spin() -> None:
    sum(range(1000))


@pytest.mark.usefixtures("twins")
def test_the_sampler_sees_compiled_functions() -> None:
    from streams.kernels.compiled.texts import is_ascii

    looker, text = Sampler(), np.full(1_000_000, 65, np.uint8)
    looker.start()
    try:
        _until_seen(looker, "is_ascii", work=lambda: is_ascii(text, np.array([0]), np.array([len(text)]), 1))
    finally:
        looker.stop()
    assert looker.layers()["kernel"] > 0


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (["--peer", "ksql"], "'ksql' is none of bound-dict, bound-kernel"),
        (["--peer", "bound-kernel"], r"bound-kernel needs the extra `fast`"),
        (["--ours", "streams"], r"streams needs the extra `fast`"),
    ],
)
def test_what_cannot_be_measured_is_refused_at_once(
    asked: list[str], said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(harness.compiled, "installed", lambda: False)
    with pytest.raises(SystemExit):
        command.main(["windowed", *asked])
    assert said in capsys.readouterr().err
