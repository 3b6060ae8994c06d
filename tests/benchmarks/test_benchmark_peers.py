"""Peers without their environments: names, what they are told and say, and that a wrong answer is found out."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks import harness, peers, workload
from benchmarks.harness import Plan
from benchmarks.peers import Service, Variant, environment, measured
from benchmarks.peers.measured import PeerRun
from benchmarks.topics import Log, Place, Row

ECHO = """
import json, sys
print("not for us")
for line in sys.stdin:
    job = json.loads(line)
    print(json.dumps({"event": job.get("say", "first"), "ns": 0, "error": "broken"}), flush=True)
"""


def echo(code: str = ECHO) -> Any:
    command = [sys.executable, "-c", code]
    return SimpleNamespace(command=lambda: (command, {}), RECORDS=100, WARM_UP=0, ENDS=False, FOUND={})


@pytest.mark.parametrize(
    ("system", "expected"),
    [
        ("kafka-streams", Variant("kafka-streams", 2, "exactly_once")),
        ("kafka-streams:1:at_least_once", Variant("kafka-streams", 1, "at_least_once")),
        ("faust", Variant("faust", 2, "at_least_once")),
        ("quix:exactly_once", Variant("quix", 2, "exactly_once")),
    ],
)
def test_a_system_is_a_peer_and_how_it_is_set(system: str, expected: Variant) -> None:
    assert Variant.of(system) == expected


@pytest.mark.parametrize("name", peers.NAMES)
def test_every_peer_has_the_names_of_its_contract(name: str) -> None:
    peer = peers.load(name)
    assert all(hasattr(peer, wanted) for wanted in peers.Peer.__annotations__)
    assert set(peer.FOUND) <= set(workload.NAMES)
    assert name in harness._RUN


def test_a_service_is_told_and_heard(tmp_path: Path) -> None:
    service = Service.of(echo(), tmp_path / "log")
    service.tell({"say": "noise"})
    service.tell({"do": "start"})
    assert service.hear("first", 20)["ns"] == 0
    service.tell({"say": "failed"})
    with pytest.raises(RuntimeError, match="broken"):
        service.hear("first", 20)
    service.stop()


def test_a_service_that_ends_is_told_with_its_log(tmp_path: Path) -> None:
    service = Service.of(echo("import sys; sys.exit('no such setting')"), tmp_path / "log")
    with pytest.raises(RuntimeError, match="no such setting"):
        service.hear("first", 20)


class FakeKafka:
    """What a run asks of a broker, with given topics in it."""

    address = "nowhere:1"
    place = Place(Path())

    def __init__(self) -> None:
        self.loaded: list[str] = []
        self.cleaned = 0

    def load(self, inputs: Mapping[str, Any], *, closing: bool) -> None:
        self.loaded += inputs

    def create(self, *topics: str) -> None:
        self.loaded += topics

    def ends(self, topic: str) -> dict[Any, int]:
        return {}

    def begin(self) -> None: ...

    def figures(self) -> dict[str, float]:
        return {"broker_cpu_s": 1.0}

    def clean(self) -> None:
        self.cleaned += 1


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> PeerRun:
    peer = echo()
    monkeypatch.setattr(measured, "load", lambda name: peer)
    monkeypatch.setattr(measured, "wait_committed", lambda kafka, group, ends: time.monotonic_ns())
    monkeypatch.setattr(measured, "CACHE", tmp_path)
    (tmp_path / "runs").mkdir()
    return PeerRun(FakeKafka(), "stateless", Variant("echo"), None)  # type: ignore[arg-type]


def answers(run: PeerRun, answer: workload.Answer) -> None:
    def found(log: Log, inputs: workload.Inputs, app: str) -> workload.Answer:
        return answer

    run._peer.FOUND["stateless"] = found  # type: ignore[index]


def test_a_right_answer_gives_figures(run: PeerRun) -> None:
    answers(run, run._module.expected(run._module.inputs("events", 100)))
    figures = run.measure("events", 5_000)
    assert figures["n"] == 100 and figures["seconds"] > 0 and figures["broker_cpu_s"] == 1.0
    kafka: Any = run._kafka
    assert kafka.loaded == ["events-100", "doubled"] and kafka.cleaned == 1


def test_a_wrong_answer_gives_none(run: PeerRun) -> None:
    answers(run, {})
    with pytest.raises(workload.WrongAnswerError):
        run.measure("events", 100)
    kafka: Any = run._kafka
    assert kafka.cleaned == 1


def test_a_peer_needs_a_kafka() -> None:
    plan = Plan(workload="stateless", dataset="events", n=10, runs=1, peers=("quix",), ours=())
    with pytest.raises(harness.FailedRunError, match="--transport kafka"):
        next(plan.lines())


def rows_of(topics: Mapping[str, list[Row]]) -> Log:
    log = Log(Place(Path()), {})
    log.rows = topics.__getitem__  # type: ignore[method-assign, assignment]
    return log


def test_a_window_lacking_in_the_changelog_makes_a_run_of_kafka_streams_void() -> None:
    inputs = workload.load("windowed").inputs("events", 100)
    groups = workload.load("windowed").expected(inputs)
    keys = [user.encode() + start.to_bytes(8, "big", signed=True) + bytes(4) for user, start in groups]
    totals: list[Row] = [
        (
            f'["{user}",{start},{start + 10_000}]'.encode(),
            f'{{"count": {count}, "total": {total!r}}}'.encode(),
            0,
        )
        for (user, start), (count, total) in groups.items()
    ]
    found = peers.load("kafka-streams").FOUND["windowed"]
    whole: dict[str, list[Row]] = {"app-totals-changelog": [(key, b"{}", 0) for key in keys], "totals": totals}
    workload.check(found(rows_of(whole), inputs, "app"), groups)
    with pytest.raises(workload.Void, match="1 missing"):
        found(rows_of(whole | {"app-totals-changelog": whole["app-totals-changelog"][1:]}), inputs, "app")


def test_an_environment_that_cannot_be_made_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(environment, "ENVIRONMENTS", tmp_path)
    monkeypatch.setattr(sys, "executable", "false")
    with pytest.raises(peers.PeerMissingError, match="faust: false -m venv"):
        environment.python_with("faust", ["faust-streaming"])
