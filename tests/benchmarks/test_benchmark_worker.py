"""Our worker does each workload rightly on a small input, and what it does wrong is found out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import data, harness, profile, sampler, topics, windowed, worker, workload
from benchmarks.data import Dataset
from benchmarks.harness import Plan
from benchmarks.measure import Job
from benchmarks.topics import Log, Place, Row

N = 4_000


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(data, "CACHE", tmp_path / "cache")
    monkeypatch.setattr(worker, "CACHE", tmp_path)
    monkeypatch.setattr(harness, "CACHE", tmp_path / "cache")
    yield tmp_path


def loaded(folder: Path, name: str, dataset: str) -> Job:
    module = workload.load(name)
    topics.load(Place(folder), module.inputs(dataset, N), closing=module.CLOSING)
    return Job(name, "streams", dataset, N, str(folder))


@pytest.mark.parametrize("dataset", ["events", pytest.param("messy", marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", ["windowed", "windowed-short", "stateless", "agent", "join", "keyed"])
def test_the_answer_is_right(tmp_path: Path, name: str, dataset: str) -> None:
    figures = worker.measure(loaded(tmp_path / "data", name, dataset))
    assert figures["seconds"] > 0 and figures["cpu_s"] > 0 and figures["peak_rss_mb"] > 5 and figures["commits"] >= 1


@pytest.mark.usefixtures("twins")
@pytest.mark.parametrize("dataset", ["events", pytest.param("messy", marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    "name",
    ["windowed", *(pytest.param(name, marks=pytest.mark.slow) for name in ("stateless", "agent", "join", "keyed"))],
)
def test_the_answer_of_the_compiled_twins_is_right(tmp_path: Path, name: str, dataset: str) -> None:
    assert worker.measure(loaded(tmp_path / "data", name, dataset))["commits"] >= 1


@pytest.mark.parametrize("dataset", ["events", pytest.param("messy", marks=pytest.mark.slow)])
def test_restore_reads_every_update_again(tmp_path: Path, dataset: str) -> None:
    job = loaded(tmp_path / "data", "restore", dataset)
    worker.measure(job)
    topics.delete_local_state(Path(job.data_dir))
    figures = worker.measure(job)
    assert figures["n"] == Dataset(dataset, N).facts.decodable.sum() and figures["seconds"] > 0


@pytest.mark.slow
def test_start_is_measured_from_the_command_to_the_first_record() -> None:
    plan = Plan(workload="start", dataset="events", n=100, runs=1, peers=())
    [line] = plan.lines()
    assert line["seconds"] > 0 and line["events_per_s"] is None


@pytest.mark.parametrize(
    "name", [name if name == "windowed" else pytest.param(name, marks=pytest.mark.slow) for name in profile.NAMES]
)
def test_the_layers_of_a_profile_add_up(tmp_path: Path, name: str) -> None:
    job = loaded(tmp_path / "data", name, "events")
    figures = worker.measure(Job(**{**vars(job), "profile": True}))
    layers = figures["layers"]
    known = {*sampler.LAYERS.values(), sampler.EVENT_LOOP, sampler.NATIVE_THREADS}
    assert layers and set(layers) <= known
    report = Path(figures["report"]).read_text()
    total = float(report.partition("  processor time of all")[0].split()[-2])
    assert total == pytest.approx(1e6 * sum(layers.values()) / N, rel=0.05)
    assert "streams/runtime/loop.py:Loop.run" in report
    assert "Loop.run" in (tmp_path / f"profile-{name}-events-streams.stacks.txt").read_text()


class Left(Log):
    """A log with given topics."""

    def __init__(self, topics: dict[str, list[Row]]) -> None:
        super().__init__(Place(Path()), {})
        self.topics = topics

    def rows(self, topic: str) -> list[Row]:
        return self.topics[topic]


def left_by(folder: Path) -> dict[str, list[Row]]:
    worker.measure(loaded(folder, "windowed", "events"))
    log = Log(Place(folder), {})
    return {topic: log.rows(topic) for topic in ("totals", "windowed-totals-changelog")}


def test_windowed_is_void_without_every_group_and_wrong_with_any_twice(tmp_path: Path) -> None:
    inputs, topics = {"events": Dataset("events", N)}, left_by(tmp_path / "data")
    assert windowed.found(Left(topics), inputs) == windowed.expected(inputs)
    group = topics["windowed-totals-changelog"][0][0]
    lacking = [row for row in topics["windowed-totals-changelog"] if row[0] != group]
    with pytest.raises(workload.Void, match="1 missing"):
        windowed.found(Left({**topics, "windowed-totals-changelog": lacking}), inputs)
    with pytest.raises(workload.WrongAnswerError, match="more than once"):
        windowed.found(Left({**topics, "totals": [*topics["totals"], topics["totals"][0]]}), inputs)
