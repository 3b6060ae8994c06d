"""Records without a key go through a repartition where a join behind takes them; expectations are Kafka's."""

from __future__ import annotations

import pytest

from streams import App, JoinWindow
from streams.testing import Driver


def outputs(step: str, *, through: bool, partitions: int = 1) -> list[tuple[str | None, object]]:
    app = App("keyless")
    left = app.topic("left", key_type=str, value_type=str).stream().repartition(name="again")
    if through:
        left = left.repartition(name="and-again")
    right = app.topic("right", key_type=str, value_type=str).stream()
    within = JoinWindow(before=1, after=1)
    getattr(left, step)(right, lambda a, b: f"{a},{b}", within=within, name="joined").to("joined")
    with Driver(app, partitions=partitions) as driver:
        driver.pipe("left", [(None, "x", 0), (None, None, 0), ("k", "y", 0)])
        driver.pipe("right", key="k", value="z", timestamp=0)
        return sorted(((record.key, record.value) for record in driver.read("joined")), key=repr)


@pytest.mark.parametrize("through", [False, True])
@pytest.mark.parametrize("partitions", [1, 3])
def test_a_left_join_takes_them(through: bool, partitions: int) -> None:
    assert outputs("left_join", through=through, partitions=partitions) == [("k", "y,z"), (None, "x,None")]


def test_elsewhere_they_are_left_out() -> None:
    assert outputs("join", through=False) == [("k", "y,z")]
