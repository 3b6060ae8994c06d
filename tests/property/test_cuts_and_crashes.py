"""However records are cut into batches, and wherever the app dies: the results are those of one record at a time.

Topologies are random, with branches that meet again, stores that several steps use, repartitions, windows, joins and
processors; so are records (nulls, ties, late ones), cuts, crashes at steps of a commit or in between, and restarts.
What is left out is what cannot be the same by design: commit-time emission, and the order of records that meet from
several topics while both wait (Kafka Streams' choice by timestamp, which hangs on what is there).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

import streams
from streams.runtime.steps import COMMIT_STEPS
from streams.testing import Driver, TopicRecord
from tests.property.topologies import STEPS, Step, build

steps = st.builds(Step, st.sampled_from(sorted(STEPS)), st.integers(0, 7), st.integers(0, 7), st.integers(0, 5))
records = st.tuples(
    st.sampled_from("aaabtv"),
    st.builds(
        TopicRecord,
        st.sampled_from(["x", "y", "z", None]),
        st.integers(0, 9) | st.none(),
        st.integers(0, 40) | st.integers(0, 4).map(lambda n: n * 10),
        st.just(()) | st.just((("h", b"1"),)),
    ),
)


@dataclass(frozen=True)
class Act:
    """What happens with a piece of the input: how many records it has at most, whether it is committed, and where the
    app dies, if it does: at a step of a commit, or behind it.
    """

    size: int = 1
    commit: bool = True
    dies: str | None = None
    occurrence: int = 1
    stays_down: bool = False


acts = st.builds(
    Act,
    st.integers(1, 6),
    st.booleans(),
    st.none() | st.sampled_from(["behind", *COMMIT_STEPS]),
    st.integers(1, 3),
    st.booleans(),
)


def found(driver: Driver, outs: list[str]) -> dict[str, Any]:
    """Everything that came, and every table."""
    came: dict[str, Any] = {name: driver.read(name) for name in outs}
    nodes = (node for sub in driver.app.plan().subtopologies for node in sub.nodes)
    tables = sorted(node.store.name for node in nodes if node.kind in ("aggregate", "table_source"))
    return came | {f"table {name}": driver.table(name).items() for name in tables}


def one_by_one(topology: list[Step], rows: list[tuple[str, TopicRecord]]) -> dict[str, Any]:
    app, outs = build(topology)
    with Driver(app) as driver:
        for topic, record in rows:
            driver.pipe(topic, [record])
        return found(driver, outs)


def cut_and_crashed(topology: list[Step], rows: list[tuple[str, TopicRecord]], plan: list[Act]) -> dict[str, Any]:
    """A piece is of one topic; before another's turn everything is committed and up again, so that records of several
    topics never wait at once.
    """
    app, outs = build(topology)
    whole = not _meets_behind_a_repartition(app)
    with Driver(app) as driver:
        left, before = list(rows), None
        for act in plan + [Act(6)] * len(rows):
            if not left:
                break
            topic = left[0][0]
            if topic != before:
                _recover(driver)
            before = topic
            piece = []
            while left and left[0][0] == topic and len(piece) < (act.size if whole else 1):
                piece.append(left.pop(0)[1])
            _act(driver, topic, piece, act, whole)
        _recover(driver)
        return found(driver, outs)


def _act(driver: Driver, topic: str, piece: list[TopicRecord], act: Act, whole: bool) -> None:
    if act.dies not in (None, "behind") and not driver.is_down:
        driver.crash(at=act.dies, occurrence=act.occurrence)
    driver.pipe(topic, piece, commit=act.commit or not whole)
    if act.dies == "behind" and not driver.is_down:
        driver.crash()
    if driver.is_down and not (act.stays_down and whole):
        _recover(driver)


def _recover(driver: Driver) -> None:
    """It may die once more on the way."""
    for _ in range(3):
        if driver.is_down:
            driver.restart()
        else:
            driver.commit()
    assert not driver.is_down


def _meets_behind_a_repartition(app: streams.App) -> bool:
    """Whether a task takes what came through a repartition together with something else: which comes first then hangs
    on when each is committed.
    """
    subs = app.plan().subtopologies
    return any(len(sub.sources) > 1 and any(source.topic.internal for source in sub.sources) for sub in subs)


def check(topology: list[Step], rows: list[tuple[str, TopicRecord]], plan: list[Act]) -> None:
    expected = one_by_one(topology, rows)
    note(f"one by one: {expected}")
    assert cut_and_crashed(topology, rows, plan) == expected


CASES = {
    "topology": st.lists(steps, min_size=1, max_size=4),
    "rows": st.lists(records, max_size=14),
    "plan": st.lists(acts, max_size=8),
}


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(**CASES)
def test_cuts_and_crashes_do_not_show(twin: str, topology: list[Step], rows: list[Any], plan: list[Act]) -> None:
    check(topology, rows, plan)


@pytest.mark.slow
@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True)
@given(**CASES)
@pytest.mark.timeout(1_200)
def test_cuts_and_crashes_do_not_show_in_many(
    twin: str, topology: list[Step], rows: list[Any], plan: list[Act]
) -> None:
    check(topology, rows, plan)
