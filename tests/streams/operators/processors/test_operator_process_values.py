"""process_values: the key stays, and nothing goes through a repartition."""

from __future__ import annotations

from typing import Any

import pytest

import streams
from streams.errors import StreamsError, TopologyError
from streams.processing import FixedKeyRecord
from streams.testing.driver import Driver


def app_of(processor: Any) -> streams.App:
    app = streams.App("shop")
    stream = app.topic("in", key_type=str, value_type=int).stream()
    made = stream.process_values(processor, value_type=int)
    made.group_by_key(name="by-key").reduce(lambda old, new: old + new, name="sums").to_stream().to("out")
    return app


class Twice:
    def init(self, ctx: Any) -> None:
        self.ctx = ctx
        self.last: FixedKeyRecord | None = None
        ctx.schedule("10ms", "stream", self.tick)

    def process(self, record: FixedKeyRecord) -> None:
        self.last = record
        self.ctx.forward(record.replace(value=2 * record.value))
        self.ctx.forward(value=1)

    def tick(self, timestamp: int) -> None:
        if self.last is not None:
            self.ctx.forward(self.last.replace(value=100), timestamp=timestamp)


def test_values_under_the_same_key_without_a_repartition() -> None:
    app = app_of(Twice)
    assert "shop-by-key-repartition" not in app.plan().topics
    with Driver(app) as driver:
        driver.pipe("in", [("a", 1, 1), ("b", 5, 12)])
        found = [(r.key, r.value, r.timestamp) for r in driver.read("out")]
    assert found == [("a", 2, 1), ("a", 3, 1), ("a", 103, 1), ("b", 10, 12), ("b", 11, 12), ("b", 111, 12)]


class Renames(Twice):
    def process(self, record: FixedKeyRecord) -> None:
        self.ctx.forward(record, key="x")


class Replaces(Twice):
    def process(self, record: FixedKeyRecord) -> None:
        self.ctx.forward(record.replace(key="x"))


class FromNowhere(Twice):
    def tick(self, timestamp: int) -> None:
        self.ctx.forward(value=1)


@pytest.mark.parametrize("processor", [Renames, Replaces, FromNowhere])
def test_another_key_is_refused_at_the_users_line(processor: type) -> None:
    with Driver(app_of(processor)) as driver, pytest.raises(StreamsError, match="keeps the key of a record") as told:
        driver.pipe("in", key="a", value=1, timestamp=1)
    assert "test_operator_process_values.py" in str(told.value)
    assert processor is Replaces or isinstance(told.value, TopologyError)
