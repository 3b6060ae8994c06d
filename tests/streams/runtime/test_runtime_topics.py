"""Topics of a plan: with how many partitions each is made, and what does not fit what is there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import pytest

import streams
from streams.config import load_settings
from streams.errors import ConfigError, PartitionCountError, RepartitionRenamedError, StoreRenamedError, TopologyError
from streams.runtime.topic_fit import InternalTopicError
from streams.runtime.topics import Topics, clock_store, position_topic
from streams.transport.contract import Committed, NotAllowedError, TopicInfo, TopicPartition, TopicSpec
from streams.transport.making import Making

Build = Callable[[streams.App, Any], Any]


class Broker:
    """As much of a transport as topics need."""

    def __init__(self, **there: int) -> None:
        self.infos = {name.replace("_", "-"): TopicInfo(name, name, count) for name, count in there.items()}
        self.made: list[TopicSpec] = []
        self.offsets: dict[str, dict[TopicPartition, Committed]] = {}
        self.ends: dict[TopicPartition, int] = {}

    async def topics(self) -> list[str]:
        return sorted(self.infos)

    async def describe(self, topics: Iterable[str]) -> dict[str, TopicInfo]:
        return {name: self.infos[name] for name in topics if name in self.infos}

    async def create(self, specs: Sequence[TopicSpec]) -> None:
        for spec in specs:
            assert spec.name not in self.infos
            replicas = max(1, spec.replication_factor)
            self.infos[spec.name] = TopicInfo(spec.name, spec.name, spec.partitions, spec.configs, replicas)
            self.made.append(spec)

    async def committed(self, group: str, tps: Iterable[TopicPartition]) -> Mapping[TopicPartition, Committed | None]:
        return {tp: self.offsets.get(group, {}).get(tp) for tp in tps}

    async def earliest(self, tps: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(tps, 0)

    async def latest(self, tps: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        return {tp: self.ends.get(tp, 0) for tp in tps}


async def prepared(
    build: Build, broker: Broker | None = None, *, default: int = 1, making: Making | None = None, **topic: Any
) -> tuple[Topics, Broker]:
    app = streams.App("shop")
    build(app, app.topic("orders", key_type=str, value_type=int, **topic))
    broker = broker or Broker()
    sources = [position_topic(app.id, source.name) for source in app.sources]
    topics = Topics(
        app.plan(),
        broker,  # type: ignore[arg-type]
        data_dir="./shop-data",
        default_partitions=default,
        positions=sources,
        making=making,
    )
    await topics.prepare()
    return topics, broker


def counts(broker: Broker) -> dict[str, int]:
    return {spec.name: spec.partitions for spec in broker.made}


def by_size(app: streams.App, orders: Any) -> None:
    orders.stream().group_by(lambda v: v, name="by-size").count(name="sizes").to_stream().to("out")


async def test_counts_flow_from_the_sources_along_the_graph() -> None:
    topics, broker = await prepared(by_size, partitions=4, default=2)
    assert counts(broker) == {
        "orders": 4,
        "out": 2,
        "shop-by-size-repartition": 4,
        "shop-sizes-changelog": 4,
        "shop-orders-clocks-changelog": 4,
        "shop-shop-by-size-repartition-clocks-changelog": 4,
    }
    assert topics.tasks == {"orders": 4, "shop-by-size-repartition": 4}
    assert (topics.partitions("orders"), topics.partitions("out")) == (4, 2)


async def test_a_topic_that_is_there_counts_as_it_is() -> None:
    topics, broker = await prepared(by_size, Broker(orders=3))
    assert topics.tasks == {"orders": 3, "shop-by-size-repartition": 3}
    assert "orders" not in counts(broker)


async def test_a_second_start_makes_nothing() -> None:
    _, broker = await prepared(by_size, partitions=4)
    broker.made.clear()
    await prepared(by_size, broker, partitions=4)
    assert counts(broker) == {}


def repartitioned(app: streams.App, orders: Any) -> None:
    orders.stream().repartition(name="wide", partitions=7).group_by_key().count(name="n")


async def test_a_repartition_may_say_how_many() -> None:
    topics, broker = await prepared(repartitioned, partitions=2)
    assert topics.tasks == {"orders": 2, "shop-wide-repartition": 7}
    assert counts(broker)["shop-n-changelog"] == 7


def merged(app: streams.App, orders: Any) -> None:
    orders.stream().merge(app.topic("others", partitions=5).stream()).to("out")


async def test_there_are_as_many_tasks_as_the_largest_topic_has_partitions() -> None:
    topics, _ = await prepared(merged, partitions=2)
    assert topics.tasks == {"orders": 5}


def table_beside_a_larger_topic(app: streams.App, orders: Any) -> None:
    app.topic("planes", key_type=str, partitions=1).table().to_stream().merge(orders.stream()).to("out")


async def test_a_table_beside_a_larger_topic_is_no_meeting_by_key() -> None:
    topics, _ = await prepared(table_beside_a_larger_topic, partitions=3)
    assert topics.tasks == {"orders": 3}


async def test_settings_of_topics() -> None:
    def build(app: streams.App, orders: Any) -> None:
        by_size(app, orders)
        app.topic("packed", config={"compression.type": "zstd"}, retention="1d", compacting=True)
        app.topic("short", retention="1h")

    topics, broker = await prepared(build)
    configs = {spec.name: dict(spec.configs) for spec in broker.made}
    assert configs["orders"] == {"retention.ms": "-1"}
    assert configs["packed"] == {"compression.type": "zstd", "retention.ms": "86400000", "cleanup.policy": "compact"}
    assert configs["short"] == {"retention.ms": "3600000"}
    assert configs["shop-sizes-changelog"] == {"cleanup.policy": "compact", "retention.ms": "-1"}
    assert configs["shop-by-size-repartition"] == {"cleanup.policy": "delete", "retention.ms": "-1"}
    assert [topics.codec(name) for name in ("orders", "packed")] == ["none", "zstd"]


async def test_a_source_keeps_its_position_in_a_topic_of_its_own() -> None:
    def build(app: streams.App, orders: Any) -> None:
        app.source(orders, name="shop-floor")(list)
        orders.stream().to("out")

    _, broker = await prepared(build)
    assert counts(broker)["shop-shop-floor-position"] == 1


def joined(app: streams.App, orders: Any) -> None:
    orders.stream().join(app.topic("planes", key_type=str, partitions=3).table(), lambda a, b: a).to("out")


def counted(app: streams.App, orders: Any) -> None:
    others = app.topic("others", key_type=str, value_type=int, partitions=3)
    orders.stream().merge(others.stream()).group_by_key().count(name="n")


@pytest.mark.parametrize("build", [joined, counted])
async def test_topics_that_meet_by_key_need_equal_counts(build: Build) -> None:
    with pytest.raises(
        TopologyError, match=r"orders has 2 \(.*py:\d+\), \w+ has 3 \(|\w+ has 3 \(.*py:\d+\), orders has 2 \("
    ) as caught:
        await prepared(build, partitions=2)
    assert ".repartition(partitions=...)" in str(caught.value)
    await prepared(build, partitions=3)


def _join(left: Any, right: Any) -> Any:
    return left.join(right, lambda a, b: a, within=streams.JoinWindow(1), name="j")


@pytest.mark.parametrize(
    ("others", "moved", "made"),
    [
        (3, "left", {"shop-j-left-repartition": 3}),
        (3, "right", {"shop-j-right-repartition": 2}),
        (3, "both", {"shop-j-left-repartition": 3, "shop-j-right-repartition": 3}),
        (1, "both", {"shop-j-left-repartition": 2, "shop-j-right-repartition": 2}),
    ],
)
async def test_a_repartition_topic_takes_the_count_of_what_its_records_meet(
    others: int, moved: str, made: dict[str, int]
) -> None:
    def build(app: streams.App, orders: Any) -> None:
        left, right = orders.stream(), app.topic("others", key_type=str, partitions=others).stream()
        left = left.select_key(str) if moved in ("left", "both") else left
        _join(left, right.select_key(str) if moved in ("right", "both") else right)

    topics, broker = await prepared(build, partitions=2)
    assert {name: count for name, count in counts(broker).items() if "-repartition" in name[-12:]} == made
    assert topics.tasks[
        "others" if moved == "left" else "orders" if moved == "right" else "shop-j-left-repartition"
    ] == max(made.values())


async def test_a_declared_count_that_differs_from_what_is_there() -> None:
    with pytest.raises(PartitionCountError, match=r"'orders'.*3"):
        await prepared(by_size, Broker(orders=3), partitions=4)


async def test_a_topic_whose_count_has_grown() -> None:
    _, broker = await prepared(by_size, Broker(orders=2))
    broker.infos["orders"] = TopicInfo("orders", "orders", 3)
    with pytest.raises(PartitionCountError, match="'orders' has 3 partitions and had 2"):
        await prepared(by_size, broker)


async def test_a_store_that_the_app_no_longer_names() -> None:
    with pytest.raises(StoreRenamedError, match=r"store 'old' is in ./shop-data but not in the app, which has 'sizes'"):
        await prepared(by_size, Broker(shop_old_changelog=1))


async def test_groups_that_nothing_may_be_known_of_are_somebodys() -> None:
    """With rights on its own group only. The app's own topics raise no question, whatever hyphens they have."""

    class Guarded(Broker):
        async def committed(
            self, group: str, tps: Iterable[TopicPartition]
        ) -> Mapping[TopicPartition, Committed | None]:
            asked.append(group)
            raise NotAllowedError(f"group {group!r}: not authorised for the group")

    asked: list[str] = []
    _, made = await prepared(by_size)
    await prepared(by_size, Guarded(**dict.fromkeys(made.infos, 1)))
    assert asked == []
    await prepared(by_size, Guarded(shop_eu_totals_changelog=1))
    assert asked == ["shop-eu"]


@pytest.mark.parametrize("committed", [None, 3, 7])
async def test_a_repartition_that_the_app_no_longer_reads(committed: int | None) -> None:
    broker = Broker(shop_by_town_repartition=1)
    old = TopicPartition("shop-by-town-repartition", 0)
    broker.ends[old] = 7
    broker.offsets["shop"] = {} if committed is None else {old: Committed(committed)}
    if committed == 7:
        await prepared(by_size, broker)
        return
    left = 7 - (committed or 0)
    with pytest.raises(RepartitionRenamedError, match=f"^{left} records in 'shop-by-town-repartition' are not proc"):
        await prepared(by_size, broker)


async def test_times_of_steps_that_are_gone_are_nobodys_loss() -> None:
    await prepared(by_size, Broker(shop_gone_clocks_changelog=1))


def test_who_has_a_use_for_time() -> None:
    def clocks(build: Build) -> list[str | None]:
        app = streams.App("shop")
        build(app, app.topic("orders", key_type=str, value_type=int))
        stores = [clock_store(sub, app.id) for sub in app.plan().subtopologies]
        return [store and store.changelog for store in stores]

    assert clocks(lambda app, orders: orders.stream().to("out")) == [None]
    assert clocks(lambda app, orders: orders.stream().group_by_key().count(name="n")) == [
        "shop-orders-clocks-changelog"
    ]
    assert clocks(repartitioned) == [
        "shop-orders-clocks-changelog",
        "shop-shop-wide-repartition-clocks-changelog",
    ]


@pytest.mark.parametrize(
    ("topic", "configs", "says"),
    [
        ("shop-sizes-changelog", {"cleanup.policy": "delete"}, r"cleanup\.policy=delete.*cleanup\.policy=compact"),
        (
            "shop-sizes-changelog",
            {"cleanup.policy": "compact,delete", "retention.ms": "1000"},
            r"retention\.ms=1000",
        ),
        ("shop-by-size-repartition", {"cleanup.policy": "compact"}, r"cleanup\.policy=compact.*cleanup\.policy=delete"),
        ("shop-by-size-repartition", {"cleanup.policy": "delete", "retention.bytes": "9"}, r"retention\.bytes=-1"),
    ],
)
async def test_a_topic_that_would_lose_records_is_named(topic: str, configs: dict[str, str], says: str) -> None:
    broker = Broker()
    broker.infos[topic] = TopicInfo(topic, topic, 4, configs)
    with pytest.raises(InternalTopicError, match=f"topic '{topic}' has .*{says}"):
        await prepared(by_size, broker, partitions=4)


async def test_defaults_of_the_broker_count() -> None:
    broker = Broker()
    broker.infos["shop-sizes-changelog"] = TopicInfo(
        "shop-sizes-changelog", "1", 4, {}, 3, {"cleanup.policy": "delete"}
    )
    with pytest.raises(InternalTopicError, match=r"cleanup\.policy=delete"):
        await prepared(by_size, broker, partitions=4)


async def test_what_is_asked_for_may_lose_records() -> None:
    asked = {"shop-sizes-changelog": {"cleanup.policy": "compact,delete", "retention.ms": "1000"}}
    broker = Broker()
    _, broker = await prepared(by_size, broker, making=Making(configs=asked), partitions=4)
    await prepared(by_size, broker, making=Making(configs=asked), partitions=4)


async def test_what_is_weaker_is_told(caplog: pytest.LogCaptureFixture) -> None:
    _, broker = await prepared(by_size, partitions=4)
    await prepared(by_size, broker, making=Making(3, 2), partitions=4)
    assert "'shop-by-size-repartition' has a replica in 1 broker and 3 are asked for" in caplog.text
    assert "orders' has" not in caplog.text


async def test_topics_are_made_with_replicas() -> None:
    making = Making(3, 2, {"shop-sizes-changelog": {"replication.factor": "2", "segment.bytes": "1048576"}})
    _, broker = await prepared(by_size, making=making, partitions=4)
    assert {spec.replication_factor for spec in broker.made if spec.name != "shop-sizes-changelog"} == {3}
    changelog = next(spec for spec in broker.made if spec.name == "shop-sizes-changelog")
    assert changelog.replication_factor == 2
    assert changelog.configs["segment.bytes"] == "1048576"
    assert changelog.configs["min.insync.replicas"] == "2"


@pytest.mark.parametrize(("factor", "in_sync"), [(0, None), (1, 2), (3, 0)])
def test_replicas_that_nothing_could_be_written_with(factor: int, in_sync: int | None) -> None:
    values = {"broker": "kafka://a:9092", "replication_factor": factor, "min_insync_replicas": in_sync}
    with pytest.raises(ConfigError, match="do not go together"):
        Making.of(load_settings("shop", values, environment={}))
    assert Making.of(load_settings("shop", values | {"broker": "embedded"}, environment={})).replication_factor == -1
