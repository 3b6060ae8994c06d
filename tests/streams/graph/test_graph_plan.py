"""From steps to sub-topologies: what runs together, how it is called, and what must go one row at a time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

import streams
from streams.errors import TopologyError
from streams.graph.definitions import StoreDef, TopicDef, check_name
from streams.graph.meetings import co_partitioned
from streams.graph.nodes import FilterNode, MergeNode, RepartitionNode, SourceNode
from streams.graph.plan import Graph, plan

Build = Callable[[streams.App, Any], Any]


def planned(build: Build, *, partitions: int | None = None) -> Any:
    app = streams.App("shop")
    build(app, app.topic("orders", key_type=str, value_type=int, partitions=partitions))
    return app.plan()


def shape(found: Any) -> dict[str, list[str]]:
    return {sub.id: [node.name for node in sub.nodes] for sub in found.subtopologies}


# -- what runs together


def test_steps_of_one_topic_run_together() -> None:
    def build(app: streams.App, orders: Any) -> None:
        orders.stream().filter(bool).to("large")
        orders.stream().map_values(str).to("texts")

    assert shape(planned(build)) == {
        "orders": [
            "orders-source",
            *("orders-filter-bool", "orders-to-large", "orders-map_values-str", "orders-to-texts"),
        ]
    }


def test_topics_are_borders() -> None:
    def build(app: streams.App, orders: Any) -> None:
        orders.stream().group_by(lambda v: v % 10, name="by-digit", key_type=int).count(name="digits")
        app.topic("others").stream().to("elsewhere")
        app.topic("elsewhere").stream().for_each(print)

    assert shape(planned(build)) == {
        "orders": ["orders-source", "orders-select_key", "by-digit-repartition"],
        "shop-by-digit-repartition": ["shop-by-digit-repartition-source", "digits"],
        "others": ["others-source", "others-to-elsewhere"],
        "elsewhere": ["elsewhere-source", "elsewhere-for_each-print"],
    }


def test_a_store_joins_what_no_edge_joins() -> None:
    def build(app: streams.App, orders: Any) -> None:
        table = app.topic("planes", key_type=str).table()
        orders.stream().join(table, lambda left, right: left).to("out")

    found = planned(build)
    assert [sub.id for sub in found.subtopologies] == ["orders"]
    assert found.subtopologies[0].shared_stores == {"planes"}


def test_an_id_is_the_first_topic_in_alphabetical_order() -> None:
    def build(app: streams.App, orders: Any) -> None:
        orders.stream().merge(app.topic("aircraft").stream(), app.topic("zoo").stream()).to("out")

    assert list(shape(planned(build))) == ["aircraft"]


def test_a_topic_has_one_source_step() -> None:
    app = streams.App("shop")
    orders = app.topic("orders")
    assert orders.stream().node is orders.stream().node is app.stream("orders").node
    assert orders.table().node.parents == (orders.stream().node,)


def test_parents_come_before_children() -> None:
    def build(app: streams.App, orders: Any) -> None:
        stream = orders.stream()
        parts = [stream.filter(lambda v, n=n: v % 3 == n, name=f"part{n}") for n in range(3)]
        parts[2].merge(parts[0].map_values(str), parts[1]).group_by_key().count(name="all")

    (sub,) = planned(build).subtopologies
    seen: set[str] = set()
    for node in sub.nodes:
        assert {parent.name for parent in node.parents} <= seen
        seen.add(node.name)
    merge = next(node for node in sub.nodes if isinstance(node, MergeNode))
    assert [node.name for node, _ in sub.children(merge)] == ["all"]
    assert [node.name for node, _ in sub.children(sub.nodes[0])] == ["part0", "part1", "part2"]


# -- names are a contract


def contract(found: Any) -> set[str]:
    """What is on disk: ids of tasks, stores, internal topics."""
    internal = {name for name, topic in found.topics.items() if topic.internal}
    changelogs = {store.changelog for store in found.stores.values()}
    return internal | changelogs | set(found.stores) | {sub.id for sub in found.subtopologies}


def pipeline(app: streams.App, orders: Any, *, more: bool) -> None:
    stream = orders.stream()
    if more:
        stream.filter(lambda v: v > 1).peek(print).to("copies")
    if more:
        stream.map_values(lambda v: v + 1).map_values(lambda v: v + 2).for_each(print)
    stream.group_by(by_size).count()
    stream.group_by_key().reduce(max)
    stream.select_key(lambda v: v).group_by_key().windowed_by(streams.TumblingWindow("1h")).count()
    stream.left_join(app.topic("planes", key_type=str).table(), lambda a, b: a)


def by_size(value: int) -> int:
    return value // 100


def test_a_step_elsewhere_moves_no_id_store_or_topic() -> None:
    with_it = contract(planned(lambda app, orders: pipeline(app, orders, more=True)))
    without = contract(planned(lambda app, orders: pipeline(app, orders, more=False)))
    assert (
        with_it
        == without
        == {
            *("orders", "shop-orders-by-by_size-repartition", "shop-orders-by-repartition"),
            *("orders-by-by_size-count", "orders-reduce-max", "orders-by-count", "planes"),
            *(f"shop-{s}-changelog" for s in ("orders-by-by_size-count", "orders-reduce-max", "orders-by-count")),
        }
    )


def test_names_of_the_users_win() -> None:
    def build(app: streams.App, orders: Any) -> None:
        orders.stream().group_by(by_size, name="sized").count(name="sizes")
        app.Table("late")

        @app.agent(orders, tables=[app.tables["late"]])
        async def watch(stream: Any) -> None: ...

    assert contract(planned(build)) == {
        *("orders", "shop-sized-repartition"),
        *("sizes", "shop-sizes-changelog", "late", "shop-late-changelog"),
    }


def test_steps_without_state_get_their_line_where_names_are_taken() -> None:
    app = streams.App("shop")
    stream = app.topic("orders").stream()
    first, second = stream.filter(lambda v: v), stream.filter(lambda v: v)
    third = stream.filter(lambda v: v)
    line = first.node.where.rpartition(":")[2]
    names = [first.node.name, second.node.name, third.node.name]
    assert names == ["orders-filter", f"orders-filter-line-{line}", f"orders-filter-line-{int(line) + 1}"]


def test_many_steps_on_one_line_have_names_too() -> None:
    stream = streams.App("shop").topic("orders").stream()
    assert len({stream.filter(lambda v: v).node.name for _ in range(5)}) == 5


DUPLICATES: dict[str, tuple[Callable[[streams.App, Any], Any], str]] = {
    "store": (
        lambda app, s: [s.group_by_key().count(), s.group_by_key().count()],
        "two stores are called 'orders-count'",
    ),
    "repartition": (
        lambda app, s: [s.group_by(by_size, name="x").count(name="a"), s.group_by(by_size, name="x").count(name="b")],
        "two steps are called 'x-repartition'",
    ),
    "repartition of other types": (
        lambda app, s: [s.group_by(str, name="x"), s.group_by(int, name="x")],
        "'shop-x-repartition' is declared twice with different key_type: .* another name=",
    ),
    "table": (
        lambda app, s: [app.topic("planes").table(), app.topic("planes").table()],
        "two stores are called 'planes'",
    ),
    "step": (lambda app, s: [s.filter(bool, name="x"), s.peek(bool, name="x")], "two steps are called 'x': filter at"),
    "topic": (
        lambda app, s: [app.topic("t", key_type=str), app.topic("t", key_type=int)],
        "topic 't' is declared twice with different key_type: .* declare it once",
    ),
}


@pytest.mark.parametrize("what", DUPLICATES)
def test_two_of_one_name_are_an_error_with_both_lines(what: str) -> None:
    build, said = DUPLICATES[what]
    app = streams.App("shop")
    with pytest.raises(TopologyError, match=said) as caught:
        build(app, app.topic("orders").stream())
    assert str(caught.value).count("test_graph_plan.py:") == 2


def test_a_topic_may_be_declared_again_alike() -> None:
    app = streams.App("shop")
    assert app.topic("t", key_type=str) is app.topic("t", key_type=str)


@pytest.mark.parametrize("name", ["", "a b", "a/b", "ä", ".", "..", "x" * 250])
def test_names_that_kafka_does_not_take(name: str) -> None:
    with pytest.raises(TopologyError, match="use up to 249 characters"):
        check_name(name, "topic")
    with pytest.raises(TopologyError, match="use up to 249 characters"):
        streams.App("shop").topic(name)


@pytest.mark.parametrize("name", ["a", "A-9_.z", "x" * 249, "..."])
def test_names_that_kafka_takes(name: str) -> None:
    assert check_name(name, "topic") == name


# -- one row at a time


async def count_all(stream: Any) -> AsyncIterator[int]:
    async for value in stream:
        yield value


def own_table(app: streams.App, orders: Any) -> None:
    orders.stream().join(orders.table(name="latest"), lambda a, b: a)


def own_count(app: streams.App, orders: Any) -> None:
    orders.stream().join(orders.stream().group_by_key().count(name="n"), lambda a, b: a)


def other_table(app: streams.App, orders: Any) -> None:
    orders.stream().join(app.topic("planes", key_type=str).table(), lambda a, b: a).to("out")


def diamond(app: streams.App, orders: Any) -> None:
    orders.stream().filter(bool).merge(orders.stream().filter_not(bool), name="both").to("out")


def wide_diamond(app: streams.App, orders: Any) -> None:
    other = app.topic("others").stream()
    orders.stream().merge(other, name="one").merge(other.peek(print), name="two")


def merge_of_two(app: streams.App, orders: Any) -> None:
    orders.stream().merge(app.topic("others").stream()).to("out")


def two_sinks(app: streams.App, orders: Any) -> None:
    orders.stream().to("out", name="first")
    orders.stream().filter(bool).to("out", name="second")


def two_sinks_of_two_topics(app: streams.App, orders: Any) -> None:
    orders.stream().to("out")
    app.topic("others").stream().to("out")


def choosing_sink(app: streams.App, orders: Any) -> None:
    orders.stream().to("out", name="fixed")
    orders.stream().to(lambda value: "out", name="choice")


def agent_and_sink(app: streams.App, orders: Any) -> None:
    app.agent(orders, sink=[app.topic("out")])(count_all)
    orders.stream().to("out", name="copy")


def two_agents_one_table(app: streams.App, orders: Any) -> None:
    table = app.Table("late")
    app.agent(orders, name="one", tables=[table])(count_all)
    app.agent(orders, name="two", tables=[table])(count_all)


def two_agents_of_two_topics_one_table(app: streams.App, orders: Any) -> None:
    table = app.Table("late")
    app.agent(orders, name="one", tables=[table])(count_all)
    app.agent(app.topic("others"), name="two", tables=[table])(count_all)


def agent_reads_count(app: streams.App, orders: Any) -> None:
    orders.stream().group_by_key().count(name="n")
    app.agent(orders, name="reader", tables=[app.tables["n"]])(count_all)


def two_readers(app: streams.App, orders: Any) -> None:
    table = app.topic("planes", key_type=str).table()
    orders.stream().join(table, lambda a, b: a, name="one")
    orders.stream().join(table, lambda a, b: a, name="two")


def ttl(app: streams.App, orders: Any) -> None:
    orders.stream().group_by_key().count(name="n", ttl="1h")


@pytest.mark.parametrize(
    ("build", "reason"),
    [
        (own_table, "latest-table writes the store latest that orders-join uses within one record of orders"),
        (own_count, "n writes the store n that orders-join uses within one record of orders"),
        (other_table, None),
        (diamond, "branches of orders meet again in both"),
        (wide_diamond, "branches of others meet again in two"),
        (merge_of_two, None),
        (two_sinks, "first and second write the topic out"),
        (two_sinks_of_two_topics, None),
        (choosing_sink, "fixed and choice write the topic out"),
        (agent_and_sink, "copy and count_all-to-out write the topic out"),
        (two_agents_one_table, "one writes the store late that two uses within one record of orders"),
        (two_agents_of_two_topics_one_table, None),
        (agent_reads_count, "n writes the store n that reader uses within one record of orders"),
        (two_readers, None),
        (ttl, "the table n forgets keys by time (ttl), which each record moves on"),
    ],
)
def test_what_must_go_one_row_at_a_time_says_why(build: Build, reason: str | None) -> None:
    reasons = {sub.row_reason for sub in planned(build).subtopologies}
    assert reasons == {reason}


def test_two_agents_on_one_table_that_only_read_it_take_batches() -> None:
    def build(app: streams.App, orders: Any) -> None:
        app.topic("planes", key_type=str).table()
        app.agent(orders, name="one", tables=[app.tables["planes"]])(count_all)
        app.agent(orders, name="two", tables=[app.tables["planes"]])(count_all)

    assert {sub.row_reason for sub in planned(build).subtopologies} == {None}


# -- partition counts that must agree


def groups(found: Any) -> list[list[str]]:
    return [[topic.name for topic in group] for sub in found.subtopologies for group in co_partitioned(sub)]


def merged_count(app: streams.App, orders: Any) -> None:
    orders.stream().merge(app.topic("others", key_type=str).stream()).group_by_key().count(name="n")


def merged_then_moved(app: streams.App, orders: Any) -> None:
    orders.stream().merge(app.topic("others", key_type=str).stream()).group_by(by_size).count(name="n")


def join_of_merged(app: streams.App, orders: Any) -> None:
    table = app.topic("planes", key_type=str).table()
    orders.stream().merge(app.topic("others", key_type=str).stream()).join(table, lambda a, b: a)


@pytest.mark.parametrize(
    ("build", "expected"),
    [
        (other_table, [["orders", "planes"]]),
        (join_of_merged, [["orders", "others", "planes"]]),
        (merge_of_two, []),
        (merged_count, [["orders", "others"]]),
        (merged_then_moved, []),
        (two_agents_of_two_topics_one_table, [["orders", "others"]] * 2),
        (own_table, []),
    ],
)
def test_topics_that_meet_by_key(build: Build, expected: list[list[str]]) -> None:
    assert groups(planned(build)) == expected


# -- the graph itself


def test_steps_that_no_topic_feeds_are_an_error() -> None:
    graph = Graph()
    graph.add_node(FilterNode(name="lost", where="shop.py:3", predicate=streams.col("x") > 1))
    with pytest.raises(TopologyError, match=r"no topic feeds these steps: lost \(shop.py:3\)"):
        plan(graph, "shop")


def test_a_node_knows_its_kind_and_stores() -> None:
    store = StoreDef(name="t", changelog="t-changelog", window_size_ms=10)
    topic = TopicDef(name="t")
    assert SourceNode(name="s", topic=topic).kind == "source"
    assert RepartitionNode(name="r", topic=topic).kind == "repartition"
    assert (store.windowed, StoreDef(name="t", changelog="c").windowed) == (True, False)
    assert MergeNode(name="m").stores == MergeNode(name="m").writes == ()


def test_what_the_topology_itself_writes() -> None:
    def build(app: streams.App, orders: Any) -> None:
        orders.stream().group_by(by_size, name="sized").count(name="n").to_stream().to("out")
        orders.stream().to(lambda value: "elsewhere", name="choice")

    assert planned(build).produced >= {"out", "shop-sized-repartition"}


def test_what_is_added_behind_a_plan_is_in_the_next() -> None:
    app = streams.App("shop")
    orders = app.topic("orders")
    orders.stream().to("out")
    assert list(shape(app.plan())) == ["orders"]
    app.topic("others").stream().to("out")
    app.agent(orders)(count_all)
    assert list(shape(app.plan())) == ["orders", "others"]
    assert "count_all" in shape(app.plan())["orders"]
    assert app.plan() is app.plan()
