"""What the plan learns of an agent before it runs: its topics, tables, key and sinks."""

from __future__ import annotations

import asyncio
import functools
import types
from typing import Any

import pytest

from streams.app import App
from streams.discovery import find_tables
from streams.errors import ConfigError, TopologyError
from streams.graph.nodes import AgentNode, RepartitionNode, SinkNode
from streams.models import Record


class Flight(Record):
    carrier: str
    tailnum: str


_app = App("tables")
one = _app.Table("one", default=int)
two = _app.Table("two", default=int).tumbling("1h")
three = _app.Table("three")
unused = _app.Table("unused")
holder = types.SimpleNamespace(one=one, three=three)
listed = [one, three]
named = {"two": two}


class Holder:
    table = two


def helper() -> None:
    two["x"] += 1


def deep() -> None:
    helper()


async def by_name(stream: Any) -> None:
    async for value in stream:
        one[value] += 1
        if value:
            two[value] += 1


async def by_attribute(stream: Any) -> None:
    async for value in stream:
        holder.three[value] = Holder.table[value]


async def by_container(stream: Any) -> None:
    async for value in stream:
        for table in listed:
            table[value] = named["two"]


async def by_helper(stream: Any) -> None:
    async for _ in stream:
        helper()


async def too_deep(stream: Any) -> None:
    async for _ in stream:
        deep()


async def by_inner(stream: Any) -> None:
    def inner() -> None:
        one[1] = 1

    async for _ in stream:
        inner()
        [two[x] for x in range(3)]


async def by_default(stream: Any, table: Any = three, *, other: Any = one) -> None:
    async for _ in stream:
        table[1] = other[1]


def closure() -> Any:
    inside = three

    async def agent(stream: Any) -> None:
        async for _ in stream:
            inside[1] = 1
            late[1] = 1

    if stop_early:
        return agent
    late = one
    return agent


stop_early = True


class Callable:
    def __init__(self) -> None:
        self.table = one

    async def __call__(self, stream: Any) -> None:
        async for _ in stream:
            self.table[1] = two[1]

    async def method(self, stream: Any) -> None:
        async for _ in stream:
            self.table[1] = 1


async def with_argument(table: Any, stream: Any) -> None:
    async for _ in stream:
        table[1] = 1


def decorated(function: Any) -> Any:
    @functools.wraps(function)
    async def wrapper(stream: Any) -> None:
        await function(stream)

    return wrapper


@pytest.mark.parametrize(
    ("function", "tables"),
    [
        (by_name, [one, two]),
        (by_attribute, [two, three]),
        (by_container, [one, two, three]),
        (by_helper, [two]),
        (too_deep, []),
        (by_inner, [one, two]),
        (by_default, [one, three]),
        (closure(), [three]),
        (Callable(), [one, two]),
        (Callable().method, [one]),
        (functools.partial(with_argument, two), [two]),
        (decorated(by_helper), [two]),
    ],
)
def test_tables_are_found(function: Any, tables: list[Any]) -> None:
    assert sorted(table.name for table in find_tables(function)) == sorted(table.name for table in tables)


def agent_node(app: App) -> AgentNode:
    return next(node for sub in app.plan().subtopologies for node in sub.nodes if isinstance(node, AgentNode))


def test_tables_given_and_found_are_those_of_the_step() -> None:
    app = App("flights")
    table, other = app.Table("late"), app.Table("other")

    @app.agent(app.topic("flights"), tables=[other, table])
    async def watch(stream: Any) -> None:
        async for value in stream:
            table[value] = 1

    assert [store.name for store in agent_node(app).tables] == ["other", "late"]


@pytest.mark.parametrize("sink", ["late", print])
def test_one_sink_needs_no_list(sink: Any) -> None:
    app = App("flights")

    @app.agent(app.topic("flights"), sink=sink)
    async def look(stream: Any) -> None: ...

    assert look.sinks == [sink]


def test_several_topics_and_sinks() -> None:
    app = App("flights")
    a, b, out = app.topic("a", key_type=str), app.topic("b", key_type=str), app.topic("out", value_type=int)

    @app.agent()
    async def later(stream: Any) -> None:
        async for _ in stream:
            pass

    @app.agent([a, b], sink=[out, later, "more", print])
    async def watch(stream: Any) -> Any:
        async for value in stream:
            yield value

    plan = app.plan()
    sub = next(sub for sub in plan.subtopologies if any(node.name == "watch" for node in sub.nodes))
    assert [source.topic.name for source in sub.sources] == ["a", "b"]
    assert [n.topic.name for n in sub.nodes if isinstance(n, SinkNode) and n.topic] == ["out", "flights-later", "more"]
    assert watch.functions == [print]
    assert later.topic.name == "flights-later"


def test_group_by_in_the_decorator_and_in_the_body_make_the_same_plan() -> None:
    def planned(in_body: bool) -> list[tuple[str, str]]:
        app = App("flights")
        flights = app.topic("flights", key_type=str, value_type=Flight)

        async def watch(stream: Any) -> None:
            grouped = stream.group_by(Flight.carrier) if in_body else stream
            async for _ in grouped:
                raise AssertionError("the function is not run while it is planned")

        app.agent(flights, group_by=None if in_body else Flight.carrier)(watch)
        return [(node.kind, node.name) for sub in app.plan().subtopologies for node in sub.nodes]

    assert planned(True) == planned(False)
    assert ("repartition", "flights-by-carrier-repartition") in planned(True)


def test_an_agent_groups_by_an_expression_beside_a_pipeline_that_groups_by_a_function() -> None:
    app = App("flights")
    flights = app.topic("flights", key_type=str, value_type=Flight)
    flights.stream().group_by(lambda flight: flight.carrier, key_type=str, name="carriers").count(name="count")

    @app.agent(flights, group_by=Flight.carrier)
    async def watch(stream: Any) -> None:
        async for _ in stream:
            pass

    names = {node.name for sub in app.plan().subtopologies for node in sub.nodes if node.kind == "repartition"}
    assert names == {"carriers-repartition", "flights-by-carrier-repartition"}


def test_body_with_yield_and_view_is_started_for_its_key() -> None:
    app = App("flights")

    @app.agent(app.topic("flights", value_type=Flight))
    async def watch(stream: Any) -> Any:
        try:
            async for event in stream.group_by(lambda flight: flight.tailnum, name="plane").events():
                yield event
        finally:
            ended.append(True)

    ended: list[bool] = []
    key, name = watch.grouping()
    assert name == "plane"
    assert key(Flight("AA", "N1")) == "N1"
    assert ended == [True]


def test_agents_that_group_alike_share_the_topic_and_tables_say_how_many_partitions() -> None:
    app = App("flights")
    flights = app.topic("flights", key_type=str, value_type=Flight)
    late = app.Table("late", partitions=6)

    @app.agent(flights, group_by=Flight.carrier)
    async def first(stream: Any) -> None:
        async for value in stream:
            late[value] = 1

    @app.agent(flights, group_by=Flight.carrier)
    async def second(stream: Any) -> None:
        async for _ in stream:
            pass

    plan = app.plan()
    found = [node for sub in plan.subtopologies for node in sub.nodes if isinstance(node, RepartitionNode)]
    assert [(node.topic.name, node.topic.partitions) for node in found] == [
        ("flights-flights-by-carrier-repartition", 6)
    ]


def test_tables_of_one_agent_need_one_number_of_partitions() -> None:
    app = App("flights")
    tables = [app.Table("a", partitions=2), app.Table("b", partitions=3)]

    @app.agent(app.topic("flights"), group_by=str, tables=tables)
    async def watch(stream: Any) -> None:
        async for _ in stream:
            pass

    with pytest.raises(TopologyError, match="2 and 3 partitions"):
        app.plan()


async def _awaits_before(stream: Any) -> None:
    import asyncio

    await asyncio.sleep(0)
    async for _ in stream.group_by(str, name="text"):
        pass


async def _groups_twice(stream: Any) -> None:
    async for _ in stream.group_by(str, name="a").group_by(int, name="b"):
        pass


async def _raises(stream: Any) -> None:
    raise LookupError("no such file")
    async for _ in stream.group_by(str, name="a"):
        pass


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (_awaits_before, "awaits something before its first record.*Say group_by="),
        (_groups_twice, "calls group_by 2 times"),
        (_raises, "LookupError: no such file"),
    ],
)
def test_group_by_that_cannot_be_found_out(function: Any, message: str) -> None:
    app = App("flights")
    app.agent(app.topic("flights"))(function)
    with pytest.raises(TopologyError, match=message):
        app.plan()


async def _yields(stream: Any) -> Any:
    async for value in stream.group_by(str, name="text"):
        yield value


async def _takes(stream: Any) -> None:
    async for _ in stream.group_by(str, name="text").take(3):
        pass


async def _takes_batches(stream: Any) -> None:
    async for _ in stream.group_by(str, name="text").batches():
        pass


@pytest.mark.parametrize("function", [_yields, _takes, _takes_batches])
async def test_the_dry_start_leaves_no_iterator_standing(function: Any) -> None:
    told: list[Any] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: told.append(context["message"]))
    app = App("flights")
    app.agent(app.topic("flights"))(function)
    app.plan()
    await loop.shutdown_asyncgens()
    assert told == []


@pytest.mark.parametrize(
    ("function", "options", "message"),
    [
        (lambda stream: None, {"name": "f"}, "async def"),
        (print, {}, "async def"),
        (by_name, {"concurrency": 0}, "concurrency=0"),
        (by_name, {"topic": []}, "list of topics is empty"),
    ],
)
def test_what_is_no_agent(function: Any, options: dict[str, Any], message: str) -> None:
    app = App("flights")
    with pytest.raises((TopologyError, ConfigError), match=message):
        app.agent(options.pop("topic", app.topic("flights")), **options)(function)


def test_decorators_without_parentheses() -> None:
    app = App("flights")
    with pytest.raises(TopologyError, match=r"@app.agent at .*test_agent_plan.py:\d+.* write @app.agent\(topic\)"):
        app.agent(by_name)
    with pytest.raises(TopologyError, match=r"write @app.source\(topic\)"):
        app.source(by_name)


async def test_send_and_cast_go_through_the_app(monkeypatch: pytest.MonkeyPatch) -> None:
    app = App("flights")
    sent: list[Any] = []

    async def send(topic: Any, **record: Any) -> None:
        sent.append((topic.name, record))

    monkeypatch.setattr(app, "send", send)

    @app.agent(app.topic("flights"))
    async def watch(stream: Any) -> str:
        return "called"

    await watch.send(key="a", value=1, timestamp=5)
    await watch.cast(2, key="b")
    assert sent == [("flights", {"key": "a", "value": 1, "timestamp": 5}), ("flights", {"key": "b", "value": 2})]
    assert await watch(None) == "called"


class Delay(Record):
    delay: int


async def _batches(stream: Any) -> None:
    async for batch in stream.batches():
        print({name: column.sum() for name, column in batch.columns.items()})


async def _batches_of_an_argument(stream: Any, *, items: dict[str, int] = {}) -> None:  # noqa: B006
    async for batch in stream.batches():
        print(items.values(), len(batch))


async def _batches_and_rows(stream: Any) -> None:
    async for _ in stream.batches():
        break
    async for _ in stream.items():
        pass


async def _batches_and_rows_within(stream: Any) -> None:
    async def rest() -> list[Any]:
        return [row async for row in stream.take(3)]

    async for _ in stream.batches():
        await rest()


@pytest.mark.parametrize(
    ("function", "columns"),
    [
        (_batches, {"delay"}),
        (_batches_of_an_argument, {"delay"}),
        (_batches_and_rows, None),
        (_batches_and_rows_within, None),
    ],
)
def test_columns_are_for_who_asks_the_stream_itself_for_nothing_else(function: Any, columns: Any) -> None:
    app = App("flights")
    app.agent(app.topic("flights", value_type=Delay))(function)
    assert agent_node(app).columns == columns
