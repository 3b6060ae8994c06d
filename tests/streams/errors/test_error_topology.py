"""Apps whose parts do not fit together, or not what is in the data folder: said before anything is processed."""

from __future__ import annotations

from typing import Any

import pytest

import streams
from streams import agg
from streams.errors import DecodeError, PartitionCountError, StoreRenamedError, TopologyError
from streams.transport.contract import TopicSpec
from streams.transport.opening import open_transport


def counts(app: streams.App, name: str = "counts", partitions: int | None = None, topic: str = "numbers") -> None:
    numbers = app.topic(topic, key_type=str, value_type=int, partitions=partitions)
    numbers.stream().group_by_key().count(name=name)


async def make_topic(app: streams.App, name: str, partitions: int, *, anew: bool = False) -> None:
    transport, _ = await open_transport(app.settings)
    if anew:
        await transport.delete([name])
    await transport.create([TopicSpec(name, partitions)])
    await transport.stop()


# -- within the app


def test_two_steps_of_one_name() -> None:
    numbers = streams.App("lab").topic("numbers")
    numbers.stream().filter(bool, name="same")
    with pytest.raises(TopologyError, match=r"two steps are called .same..*give one of them another name=") as failed:
        numbers.stream().map_values(str, name="same")
    assert str(failed.value).count("test_error_topology.py:") == 2


def test_two_stores_of_one_name() -> None:
    app = streams.App("lab")
    app.Table("late")
    numbers = app.topic("numbers").stream().group_by_key()
    with pytest.raises(TopologyError, match="two stores are called 'late'") as failed:
        numbers.count(name="late")
    assert str(failed.value).count("test_error_topology.py:") == 2
    numbers.aggregate(n=agg.count())
    with pytest.raises(TopologyError, match=r"two stores are called 'numbers-aggregate'.*give one of them another"):
        numbers.aggregate(total=agg.sum(lambda value: value))


def test_one_topic_with_two_types() -> None:
    app = streams.App("lab")
    app.topic("numbers", value_type=int)
    with pytest.raises(TopologyError, match="topic 'numbers' is declared twice with different value_type: "):
        app.topic("numbers", value_type=str)


async def test_an_app_without_a_topic(lab: Any) -> None:
    app = lab.app()
    with pytest.raises(TopologyError, match="app 'lab' has no topic, so there is nothing to run"):
        await lab.run(app)
    assert [failure.task for failure in lab.watcher.failures] == [None]
    assert not list(lab.folder.iterdir())


def test_keys_that_never_meet() -> None:
    app = streams.App("lab")
    left, right = app.topic("left", key_type=str), app.topic("right", key_type=int)
    with pytest.raises(TopologyError, match=r"join at .*py:\d+: keys of str never meet keys of int, .* table 'right'"):
        left.stream().join(right.table(), lambda a, b: a)


@pytest.mark.parametrize("key_type", [int, bool, float, Any, int | None, None])
def test_keys_that_may_meet(key_type: Any) -> None:
    app = streams.App("lab")
    right = app.topic("right", key_type=int)
    app.topic("left", key_type=key_type).stream().join(right.table(), lambda a, b: a)


async def test_topics_that_meet_with_different_counts(lab: Any) -> None:
    app = lab.app()
    left = app.topic("left", key_type=str, value_type=int, partitions=4)
    right = app.topic("right", key_type=str, value_type=int, partitions=3)
    left.stream().join(right.table(), lambda a, b: a)
    with pytest.raises(
        TopologyError, match=r"left has 4 \(.*\), right has 3 \(.*\)\. Put \.repartition\(partitions=\.\.\.\) before"
    ):
        await lab.run(app)


# -- against what is there


@pytest.mark.parametrize("behind", ["its topic", "a repartition"])
async def test_a_topic_whose_count_has_changed(lab: Any, behind: str) -> None:
    def make() -> streams.App:
        app = lab.app()
        if behind == "its topic":
            counts(app)
        else:
            app.topic("numbers", key_type=str, value_type=int).stream().group_by(lambda v: str(v), name="by").count()
        return app

    async with lab.held(app := make()):
        await make_topic(app, "numbers", 2)
        await lab.run(app)
        await make_topic(app, "numbers", 3, anew=True)
        with pytest.raises(PartitionCountError, match="topic 'numbers' has 3 partitions and had 2") as failed:
            await lab.run(make())
        assert "`streams reset APP`" in str(failed.value)
        await make_topic(app, "numbers", 2, anew=True)
        await lab.run(make())


async def test_a_topic_without_state_may_change_its_count(lab: Any) -> None:
    def make() -> streams.App:
        app = lab.app()
        app.topic("numbers").stream().to(app.topic("out"))
        return app

    async with lab.held(app := make()):
        await make_topic(app, "numbers", 2)
        await lab.run(app)
        await make_topic(app, "numbers", 3, anew=True)
        await lab.run(make())


async def test_a_topic_with_another_count_than_the_app_declares(lab: Any) -> None:
    app = lab.app()
    counts(app, partitions=4)
    async with lab.held(app):
        await make_topic(app, "numbers", 2)
        with pytest.raises(PartitionCountError, match=r"has 2 partitions, and the app declares 4.*say partitions=2"):
            await lab.run(app)


async def test_a_repartition_with_another_count_than_before(lab: Any) -> None:
    def make(partitions: int) -> streams.App:
        app = lab.app()
        app.topic("numbers", key_type=str, value_type=int).stream().repartition(name="wide", partitions=partitions)
        return app

    async with lab.held(app := make(2)):
        await lab.run(app)
        with pytest.raises(PartitionCountError, match="has 2 partitions, and the app declares 3") as failed:
            await lab.run(make(3))
        assert "'lab-wide-repartition'" in str(failed.value)


@pytest.mark.parametrize(
    "change",
    [
        lambda group: group.aggregate(0, lambda total, number: total + number, value_type=int, name="counts"),
        lambda group: group.aggregate(n=agg.count(), total=agg.sum(lambda number: number), name="counts"),
    ],
    ids=["a function", "one more"],
)
async def test_a_table_of_another_aggregation(lab: Any, written: Any, change: Any) -> None:
    counts(app := lab.app())
    change((changed := lab.app()).topic("numbers", key_type=str, value_type=int).stream().group_by_key())
    async with lab.held(app):
        for made in (app, changed):
            await lab.write(made, "numbers", [written(b"a", b"1")])
            if made is app:
                await lab.run(made)
        with pytest.raises(
            DecodeError, match=r"table 'counts' holds .* no state of this aggregation.*reset APP --store"
        ):
            await lab.run(changed)


async def test_a_renamed_store(lab: Any) -> None:
    counts(app := lab.app())
    async with lab.held(app):
        await lab.run(app)
        counts(renamed := lab.app(), name="tallies")
        with pytest.raises(StoreRenamedError, match=r"store 'counts' is in .* but not in the app, which has 'tallies'"):
            await lab.run(renamed)
        counts(back := lab.app())
        await lab.run(back)


@pytest.mark.parametrize("other", ["lab-eu", "lab-eu-west"])
async def test_stores_of_an_app_with_a_longer_name_are_not_missed(lab: Any, written: Any, other: str) -> None:
    counts(longer := lab.app(other), name="of-theirs")
    async with lab.held(longer):
        await lab.write(longer, "numbers", [written(b"a", b"1")])
        await lab.run(longer)
        counts(app := lab.app())
        await lab.run(app)
        await lab.run(app)
