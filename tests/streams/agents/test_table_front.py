"""Numbers in front of a table's view: whatever an agent does, all is as without them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from streams.app import App
from streams.operators.agents import agent_run
from streams.policies import skip
from streams.table import Table

KEYS = ["a", "b", "c"]


class Named(str):
    """Text that no dict finds by its characters."""

    def __hash__(self) -> int:
        return 7


NUMBERS = st.one_of(st.integers(-3, 3), st.sampled_from([2**63 - 1, -(2**63 - 1), 2**63 - 2, True]))
DONE = st.one_of(
    st.tuples(st.just("add"), st.sampled_from(KEYS), NUMBERS),
    st.tuples(st.just("set"), st.sampled_from([*KEYS, *map(Named, KEYS)]), NUMBERS),
    st.tuples(st.sampled_from(["get", "delete", "has", "pop", "named"]), st.sampled_from(KEYS), st.just(0)),
    st.tuples(st.sampled_from(["items", "fail"]), st.just(""), st.just(0)),
)
RECORDS = st.lists(st.lists(DONE, max_size=6), min_size=1, max_size=8)
STEPS = st.lists(st.one_of(RECORDS, st.sampled_from(["commit", "restart", "look"])), min_size=1, max_size=5)


def does(table: Table[Any, Any], steps: list[Any]) -> list[Any]:
    """What the steps of one record see."""
    seen: list[Any] = []
    for what, key, value in steps:
        try:
            match what:
                case "add":
                    table[key] += value
                case "set":
                    table[key] = value
                case "get":
                    seen.append(table[key])
                case "has":
                    seen.append((key in table, table.get(key, "no")))
                case "named":
                    seen.append(table[Named(key)])
                case "delete":
                    del table[key]
                case "pop":
                    seen.append(table.pop(key, "no"))
                case "items":
                    seen.append(list(table.items()))
                case "fail":
                    raise ValueError("this record")
        except (KeyError, OverflowError) as error:
            seen.append(type(error).__name__)
    return seen


async def run(app: App, bench: Any, view: str, steps: list[Any]) -> list[Any]:
    """What is seen and what is left in the end, with timestamps."""
    table = app.Table("t", key_type=str, value_type=int, default=int)

    async def agent(stream: Any) -> Any:
        if view == "take":
            async for records in stream.take(2):
                yield [does(table, one) for one in records]
        else:
            async for one in stream:
                yield does(table, one)

    made = bench(agent, skip(), tables=[table], of=app)
    seen: list[Any] = []
    for step in steps:
        if step == "commit":
            await made.commit()
        elif step == "restart":
            await made.commit()
            await made.restart()
        elif step == "look":
            seen.append(list(made.context.view(table.definition).items()))
        else:
            seen.append(await made.send(step))
    await made.commit()
    await made.close()
    with made.stores.key_value("t").scan(None, None) as rows:
        return [*seen, made.changelog, list(rows)]


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(steps=[[[("set", "a", 1), ("set", Named("a"), 2), ("get", "a", 0)]]], view="rows")
@given(steps=STEPS, view=st.sampled_from(["rows", "take"]))
async def test_nothing_shows(bench: Any, monkeypatch: pytest.MonkeyPatch, steps: list[Any], view: str) -> None:
    with_front = await run(App("with"), bench, view, steps)
    with monkeypatch.context() as without:
        without.setattr(agent_run, "fronts_for", lambda tables, run, context: [])
        assert with_front == await run(App("without"), bench, view, steps)


async def test_lets_go_of_all_when_there_are_too_many(bench: Any, app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.operators.agents.table_front.HELD_MOST", 2)
    table = app.Table("t", key_type=str, value_type=int, default=int)

    async def agent(stream: Any) -> None:
        async for value in stream:
            table[str(value % 5)] += value

    made = bench(agent, tables=[table])
    for _ in range(3):
        await made.send(list(range(10)))
        assert len(made.context.view(table.definition).front.values) <= 5
    assert list(made.context.view(table.definition).items()) == [(str(key), 3 * (2 * key + 5)) for key in range(5)]


async def test_what_is_not_hashable_is_a_key_as_well(bench: Any, app: App) -> None:
    table = app.Table("t", key_type=list[int], value_type=int, default=int)

    async def agent(stream: Any) -> Any:
        async for value in stream:
            table[[value]] += 1
            yield table[[value]], [value] in table, table.get([7])

    made = bench(agent, tables=[table])
    assert [value for _, value, _ in await made.send([1, 1])] == [(1, True, None), (2, True, None)]
