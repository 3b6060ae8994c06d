"""stream(pattern=): the topics that are there, by their names."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import streams
from streams.errors import TopologyError
from streams.testing.driver import Driver
from streams.transport.contract import TopicSpec


def app_of(pattern: str = r"orders-\w+", **more: Any) -> streams.App:
    app = streams.App("shop")
    stream = app.stream(pattern=pattern, key_type=str, value_type=int, name="orders", **more)
    stream.group_by_key().count(name="counts").to_stream().to("orders-counts")
    return app


def create(driver: Driver, *names: str) -> None:
    asyncio.run(driver.log.create([TopicSpec(name, 1, {}) for name in names]))


def test_topics_that_match_are_read_and_new_ones_from_the_next_start_on() -> None:
    driver = Driver(app_of())
    create(driver, "orders-a", "orders-b", "orders", "returns-a", "__orders-x")
    with driver:
        driver.pipe("orders-b", key="x", value=1, timestamp=1)
        driver.pipe("orders-a", key="x", value=1, timestamp=2)
        assert [sub.id for sub in driver.app.plan().subtopologies] == ["orders"]
        create(driver, "orders-c")
        driver.restart()
        driver.pipe("orders-c", key="x", value=1, timestamp=3)
        driver.restart()
        driver.pipe("orders-a", key="x", value=1, timestamp=4)
        assert [(r.key, r.value, r.timestamp) for r in driver.read("orders-counts")] == [
            *[("x", 1, 1), ("x", 2, 2), ("x", 3, 3), ("x", 4, 4)]
        ]
        assert sorted(source.topic.name for source in driver.app.plan().subtopologies[0].sources) == [
            *("orders-a", "orders-b", "orders-c")
        ]


def test_a_topic_that_is_declared_counts_as_there() -> None:
    app = app_of()
    app.topic("orders-z", key_type=str, value_type=int)
    with Driver(app) as driver:
        driver.pipe("orders-z", key="x", value=1, timestamp=1)
        assert [r.value for r in driver.read("orders-counts")] == [1]


def test_none_that_matches_is_an_error_at_the_users_line() -> None:
    with pytest.raises(TopologyError, match=r"test_operator_pattern.py.*: no topic matches"), Driver(app_of()):
        pass


def test_it_can_be_planned_without_a_log() -> None:
    assert [sub.id for sub in app_of().plan().subtopologies] == ["orders"]


def test_several_topics_by_name() -> None:
    app = streams.App("shop")
    first = app.topic("a", key_type=str, value_type=int)
    app.stream(first, app.topic("b", key_type=str, value_type=int)).to("out")
    with Driver(app) as driver:
        driver.pipe("a", key="x", value=1)
        driver.pipe("b", key="x", value=2)
        assert [r.value for r in driver.read("out")] == [1, 2]


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({"pattern": "("}, r"'\(' is no pattern"),
        ({"pattern": ".*"}, "give it name="),
        ({}, "give it topics, or pattern="),
    ],
)
def test_refused_when_built(told: dict[str, Any], message: str) -> None:
    with pytest.raises(TopologyError, match=message) as error:
        streams.App("shop").stream(**told)
    assert "test_operator_pattern.py" in str(error.value)
