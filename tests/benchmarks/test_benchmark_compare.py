"""The comparison: what is measured with whom, and a failed run that leaves the others their figures."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks import __main__ as command
from benchmarks import compare, goals, harness, workload
from benchmarks.compare import Choice, Measured
from benchmarks.harness import OURS, Plan
from benchmarks.peers import NAMES, PeerMissingError, Variant, load
from benchmarks.results import Results


def test_what_is_compared_can_be_done_by_whom_it_is_compared_with() -> None:
    for name, peers in compare.ON_KAFKA.items():
        assert name in workload.NAMES
        for system in peers:
            peer = Variant.of(system).peer
            assert peer in NAMES
            assert name in load(peer).FOUND or name in ("restore", "latency")


def test_every_goal_is_of_what_is_compared() -> None:
    cases = {"embedded": compare.EMBEDDED, "kafka": compare.ON_KAFKA}
    for goal in goals.GOALS:
        assert goal.peer in cases[goal.transport][goal.workload]
        assert goal.system in OURS


def plans(**chosen: Any) -> list[tuple[str, str, int, tuple[str, ...]]]:
    choice = Choice(**chosen)
    found = [plan for transport in choice.transports for plan in compare.plans(choice, transport, None)]
    return [(plan.workload, plan.dataset, plan.rate, plan.peers) for plan in found]


def test_what_is_chosen_is_measured() -> None:
    assert plans(workloads=["stateless"], transports=["kafka"], data=["events"], peers=["quix"]) == [
        ("stateless", "events", 1_000, ("quix",))
    ]
    assert plans(workloads=["stateless", "agent"], transports=["kafka"], data=["messy"]) == [
        ("stateless", "messy", 1_000, ("kafka-streams",))
    ]
    assert plans(workloads=["windowed", "restore"], transports=["embedded"], data=["messy"]) == [
        ("windowed", "messy", 1_000, harness.peers(compare.EMBEDDED["windowed"]))
    ]
    assert [(name, rate) for name, _, rate, _ in plans(workloads=["latency"])] == [
        ("latency", 1_000),
        ("latency", 10_000),
    ]


def test_a_name_that_there_is_not_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command.main(["compare", "--workloads", "windowed,joining"])
    assert "'joining' is none of windowed, " in capsys.readouterr().err


def test_a_system_that_fails_leaves_the_others_their_rounds(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    def figures(plan: Plan, system: str) -> dict[str, Any]:
        if system == "bound-dict":
            raise harness.FailedRunError("wrong answer")
        return {"seconds": 1.0, "cpu_s": 1.0, "peak_rss_mb": 1.0}

    for system in harness._RUN:
        monkeypatch.setitem(harness._RUN, system, figures)
    monkeypatch.setattr(compare, "PROFILED", ())
    path = tmp_path / "results" / "day.jsonl"
    chosen = ["--workloads", "windowed", "--transports", "embedded", "--data", "events", "--rounds", "2"]
    assert command.main(["compare", *chosen, "--results", str(path)]) == 1
    out, err = capfd.readouterr()
    assert "windowed, bound-dict: wrong answer" in err and "| windowed | `streams" in out
    written = [json.loads(text) for text in path.read_text().splitlines()]
    systems = [of["system"] for of in written]
    assert "bound-dict" not in systems and systems.count("streams-numpy") == 2
    assert {"commit", "measured_at", "load", "machine", "comparison"} <= set(written[0])


def test_a_line_of_scale_keeps_its_place(tmp_path: Path) -> None:
    assert Results(tmp_path / "day.jsonl").add({"workload": "scale", "axis": "workers", "at": 2})["at"] == 2


def test_nothing_begins_when_the_time_is_over(tmp_path: Path) -> None:
    measured = Measured(Results(tmp_path / "day.jsonl"))
    compare.measure(Choice(transports=["embedded"], minutes=0), measured)
    assert measured.lines == measured.failures == []


def test_a_peer_that_cannot_be_set_up_is_left_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def prepare() -> None:
        raise PeerMissingError("quix: no such package")

    monkeypatch.setattr(load("quix"), "prepare", prepare)
    plan = Plan("windowed", "events", 10, 1, ("bound-dict", "quix"))
    measured = Measured(Results(tmp_path / "day.jsonl"))
    assert compare.with_peers(plan, measured.fail).peers == ("bound-dict",)
    assert measured.failures == ["windowed: quix: no such package"]


def test_the_order_turns_round_and_a_failure_ends_what_has_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    def lines(fails: str, failed: Callable[[str, Exception], None] | None) -> Iterator[str]:
        def figures(plan: Plan, system: str) -> dict[str, Any]:
            if system == fails:
                raise harness.FailedRunError(system)
            return {"seconds": 1.0}

        for system in ("streams", "bound-dict"):
            monkeypatch.setitem(harness._RUN, system, figures)
        for line in Plan("windowed", "events", 10, 3, ("bound-dict",)).lines(failed):
            yield line["system"]

    told: list[str] = []
    assert list(lines("bound-dict", lambda what, error: told.append(what))) == ["streams"] * 3
    assert told == ["windowed, bound-dict"]
    with pytest.raises(harness.FailedRunError):
        list(lines("streams", None))
