"""Tables as agents use them: a mapping whose changes are kept, expire, and can be taken back."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from state.keys import window_key
from streams.app import App, AtWork
from streams.errors import ConfigError, EncodeError, UserCodeError
from streams.models import Record
from streams.policies import retry, skip
from streams.table import TableAccessError

HOUR = 3_600_000


class Stats(Record):
    flights: int
    delays: list[float]


def body(work: Any) -> Any:
    """An agent that calls `work(value)` and yields what it gives."""

    async def agent(stream: Any) -> Any:
        async for value in stream:
            yield work(value)

    return agent


async def ask(made: Any, *values: Any, timestamps: list[int] | None = None) -> list[Any]:
    return [value for _, value, _ in await made.send(list(values), timestamps)]


async def test_counts_and_survives_a_restart(app: App, bench: Any) -> None:
    table = app.Table("counts", key_type=str, value_type=int, default=int)

    def work(value: Any) -> int:
        table[value] += 1
        return table[value]

    made = bench(body(work), tables=[table])
    assert await ask(made, "a", "b", "a") == [1, 1, 2]
    await made.commit()
    assert made.changelog == [("counts", b"a", b"\x02"), ("counts", b"b", b"\x01")]
    assert await ask(made, "a") == [3]
    await made.restart()
    assert await ask(made, "a", "b") == [3, 2]


async def test_mapping(app: App, bench: Any) -> None:
    table = app.Table("t", key_type=str, value_type=int)

    def work(value: Any) -> Any:
        table.update({"b": 2, "a": 1, "c": 3})
        del table["b"]
        found = [
            list(table),
            list(table.items()),
            list(table.values()),
            list(table.keys()),
            len(table),
            "a" in table,
            "b" in table,
            table.get("b"),
            table.get("b", 7),
            table.setdefault("a", 9),
            table.setdefault("d", 4),
            table.pop("d"),
            table.pop("d", None),
            list(table.range("b", "d")),
            list(table.range(stop="b")),
        ]
        for missing in (lambda: table["b"], lambda: table.pop("b"), lambda: table.__delitem__("b")):
            with pytest.raises(KeyError):
                missing()
        table["a"] = None
        found.append(dict(table))
        table.clear()
        return [*found, len(table), bool(table)]

    made = bench(body(work), tables=[table])
    assert (await ask(made, 1))[0] == [
        ["a", "c"],
        [("a", 1), ("c", 3)],
        [1, 3],
        ["a", "c"],
        2,
        True,
        False,
        None,
        7,
        1,
        4,
        4,
        None,
        [("c", 3)],
        [("a", 1)],
        {"c": 3},
        0,
        False,
    ]
    await made.commit()
    assert {value for _, _, value in made.changelog} == {None}


@pytest.mark.parametrize(
    ("value_type", "first", "change", "expected"),
    [
        (list[int], [1], lambda value: value.append(2), [1]),
        (dict[str, int], {"a": 1}, lambda value: value.clear(), {"a": 1}),
        (Stats, Stats(1, [0.5]), lambda value: value.delays.append(1.0), Stats(1, [0.5])),
        (set[int], {1}, lambda value: value.add(2), {1}),
    ],
)
async def test_values_are_values(app: App, bench: Any, value_type: Any, first: Any, change: Any, expected: Any) -> None:
    table = app.Table("t", key_type=str, value_type=value_type)

    def work(_: Any) -> Any:
        table["k"] = first
        change(first)
        change(table["k"])
        return table["k"]

    made = bench(body(work), tables=[table])
    assert await ask(made, 1) == [expected]
    await made.commit()
    await made.restart()
    assert table._app is app


@pytest.mark.parametrize(
    ("key_type", "value_type", "key", "value"),
    [
        (int, float, 5, 1),
        (bytes, bytes, b"\xff", b"\x00"),
        (tuple[str, int], str, ("a", 1), "ü\U0001f600"),
        (None, None, "k", {"a": [1, None]}),
        (str, bool, "k", True),
        (str, int, "k", 2**63),
        (str, int | None, "k", -(2**63)),
        (str, None, "k", "text"),
        (str, Stats, "ü", Stats(1, [])),
    ],
)
async def test_types(app: App, bench: Any, key_type: Any, value_type: Any, key: Any, value: Any) -> None:
    table = app.Table("t", key_type=key_type, value_type=value_type)

    def work(how: Any) -> Any:
        if how == "put":
            table[key] = value
        return [table[key], list(table.items())]

    made = bench(body(work), tables=[table])
    (written,) = await ask(made, "put")
    await made.commit()
    await made.restart()
    (read,) = await ask(made, "get")
    assert written == read == [value, [(key, value)]]
    assert type(written[0]) is type(read[0])


@pytest.mark.parametrize(
    ("value_type", "wrong"),
    [
        (int, "one"),
        (int, 2**64),
        (int, True),
        (str, 1),
        (str, "\ud800"),
        (Stats, Stats("x", [])),
        (float, "x"),
        (None, {1}),
    ],
)
async def test_a_value_of_another_type_fails_at_its_record(app: App, bench: Any, value_type: Any, wrong: Any) -> None:
    table = app.Table("t", key_type=str, value_type=value_type)

    def work(value: Any) -> None:
        table["k"] = wrong

    made = bench(body(work), tables=[table])
    with pytest.raises((EncodeError, UserCodeError), match="table 't' does not take"):
        await made.send([1])


async def test_keys_of_another_type(app: App, bench: Any) -> None:
    table = app.Table("t", key_type=str, value_type=int)
    made = bench(body(lambda value: table.get(5)), tables=[table])
    with pytest.raises(UserCodeError):
        await made.send([1])


async def test_default(app: App, bench: Any) -> None:
    table = app.Table("t", key_type=str, value_type=list[int], default=lambda: [7])

    def work(_: Any) -> Any:
        return [table["k"], "k" in table, table.get("k"), table.setdefault("k"), "k" in table]

    made = bench(body(work), tables=[table])
    assert await ask(made, 1) == [[[7], False, None, [7], True]]
    with pytest.raises(ConfigError, match="lambda: 0"):
        app.Table("u", default=0)


async def test_outside_an_agent(app: App) -> None:
    table = app.Table("t", default=int)
    windowed = app.Table("w", default=int).tumbling("1h")
    with pytest.raises(TableAccessError, match="outside an agent"):
        table["a"]
    with pytest.raises(TableAccessError, match="only agents write"):
        table["a"] = 1
    with pytest.raises(TableAccessError, match="only agents write"):
        windowed["a"] += 1
    with pytest.raises(TableAccessError, match=r"\.now\(\)"):
        windowed["a"].current()


async def test_a_table_that_the_plan_does_not_know(app: App, bench: Any) -> None:
    tables = {"late": {"t": app.Table("t", default=int)}}

    def work(value: Any) -> Any:
        return tables["late"]["t"]["a"]

    made = bench(body(work), skip())
    with pytest.raises(TableAccessError, match="tables="):
        await made.send([1])


async def test_reports_read_the_tables_of_all_tasks(app: App, bench: Any) -> None:
    table = app.Table("t", key_type=str, value_type=int, default=int)
    windowed = app.Table("w", key_type=str, value_type=int, default=int).tumbling("1h")

    def work(value: Any) -> None:
        table[value] += 1
        windowed[value] += 1

    made = bench(body(work), tables=[table, windowed])
    await ask(made, "a", "b", "a", timestamps=[0, 1, HOUR])
    app.worker = AtWork(made.context.outputs, lambda: [made.context], lambda: 0)
    assert dict(table) == {"a": 2, "b": 1}
    assert (table["a"], table["zzz"], table.get("b"), "b" in table) == (2, 0, 1, True)
    assert windowed.at("a", HOUR + 5) == 1
    assert list(windowed.all_windows()) == [("a", 0, HOUR, 1), ("b", 0, HOUR, 1), ("a", HOUR, 2 * HOUR, 1)]


# -- what a failed record did is taken back


async def test_changes_of_a_failed_record_are_taken_back(app: App, bench: Any) -> None:
    table = app.Table("t", key_type=str, value_type=int, default=int)
    rows = app.Table("rows", key_type=str, value_type=list[int])

    def work(value: Any) -> None:
        table["n"] += 1
        table["n"] += 1
        rows["r"] = [value]
        table[f"only-{value}"] = 1
        if value == 2:
            raise LookupError

    made = bench(body(work), skip(), tables=[table, rows])
    await ask(made, 1, 2, 3)
    app.worker = AtWork(made.context.outputs, lambda: [made.context], lambda: 0)
    assert dict(table) == {"n": 4, "only-1": 1, "only-3": 1}
    assert dict(rows) == {"r": [3]}


async def test_a_retried_record_counts_once(app: App, bench: Any) -> None:
    table = app.Table("t", key_type=str, value_type=int, default=int)
    tries = []

    async def agent(stream: Any) -> None:
        async for value in stream:
            table["n"] += 1
            tries.append(value)
            await asyncio.sleep(0)
            if tries.count(value) < 3:
                raise ConnectionError

    made = bench(agent, retry(5, backoff="1ms"))
    await made.send([1, 2])
    await made.commit()
    assert made.changelog == [("t", b"n", b"\x02")]


async def test_a_failed_list_is_taken_back_whole(app: App, bench: Any) -> None:
    table = app.Table("t", key_type=str, value_type=int, default=int)

    async def agent(stream: Any) -> None:
        async for values in stream.take(2):
            for value in values:
                table["n"] += value
            if 1 in values:
                raise LookupError

    made = bench(agent, skip())
    await made.send([1, 2, 3, 4])
    await made.commit()
    assert made.changelog == [("t", b"n", b"\x07")]


# -- windows


async def test_tumbling(app: App, bench: Any) -> None:
    late = app.Table("late", key_type=str, value_type=int, default=int).tumbling("1h")

    def work(value: Any) -> list[int]:
        late["AA"] += value
        late["AA"] -= 1
        windows = late["AA"]
        return [windows.current(), windows.value(), windows.delta("1h"), windows.now(), windows.at(0)]

    made = bench(body(work), tables=[late])
    made.now_ms = 2 * HOUR
    assert await ask(made, 2, 3, 5, 7, timestamps=[0, 5, HOUR, 2 * HOUR]) == [
        [1, 1, 0, 0, 1],
        [3, 3, 0, 0, 3],
        [4, 4, 3, 0, 3],
        [6, 6, 4, 6, 3],
    ]
    await made.commit()
    assert [key for _, key, _ in made.changelog] == [window_key(start * HOUR, b"AA") for start in range(3)]
    await made.restart()
    assert await ask(made, 1, timestamps=[5]) == [[3, 3, 0, 6, 3]]


async def test_hopping(app: App, bench: Any) -> None:
    table = app.Table("t", key_type=str, value_type=int, default=int).hopping(10, 5)

    def work(_: Any) -> Any:
        table["k"] += 1
        return table["k"].current()

    made = bench(body(work), tables=[table])
    assert await ask(made, 1, 1, 1, timestamps=[0, 6_000, 9_000]) == [1, 1, 2]
    app.worker = AtWork(made.context.outputs, lambda: [made.context], lambda: 0)
    assert list(table.all_windows()) == [("k", 0, 10_000, 3), ("k", 5_000, 15_000, 2)]


async def test_windowed_mapping(app: App, bench: Any) -> None:
    table = app.Table("t", key_type=str, value_type=int).hopping(10, 5)

    def work(value: Any) -> Any:
        if value == 1:
            table["a"] = 5
            table["b"] = 6
            return [
                list(table.items()),
                list(table),
                len(table),
                "a" in table,
                table.get("c"),
                table.setdefault("c", 8),
            ]
        del table["a"]
        with pytest.raises(KeyError):
            table["a"].current()
        return [dict(table.items()), "a" in table, table["b"].delta(5)]

    made = bench(body(work), tables=[table])
    assert await ask(made, 1, 2, timestamps=[7_000, 7_000]) == [
        [[("a", 5), ("b", 6)], ["a", "b"], 2, True, None, 8],
        [{"b": 6, "c": 8}, False, 6],
    ]


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        ("+=", 14),
        ("-=", 10),
        ("*=", 24),
        ("/=", 6.0),
        ("//=", 6),
        ("%=", 0),
        ("**=", 144),
        ("<<=", 48),
        (">>=", 3),
        ("&=", 0),
        ("|=", 14),
        ("^=", 14),
    ],
)
async def test_in_place_operators(app: App, bench: Any, operation: str, expected: Any) -> None:
    table = app.Table("t", key_type=str).tumbling(10)

    def work(value: Any) -> Any:
        table["k"] = value
        exec(f"table['k'] {operation} 2", {"table": table})
        return table["k"].current()

    assert await ask(bench(body(work), tables=[table]), 12) == [expected]


async def test_windows_expire_by_stream_time_and_late_changes_are_counted(app: App, bench: Any) -> None:
    table = app.Table("t", key_type=str, value_type=int, default=int).tumbling(10, expires=20)

    def work(_: Any) -> Any:
        table["k"] += 1
        return [table["k"].current(), table["k"].at(0)]

    made = bench(body(work), tables=[table])
    assert await ask(made, 1, 1, timestamps=[0, 19_000]) == [[1, 1], [1, 1]]
    await made.commit()
    # the window [0, 10) goes when stream time is 20 s past its start; no commit needed for it to be out of sight
    assert await ask(made, 1, 1, 1, timestamps=[20_000, 5_000, 12_000]) == [[1, 0], [0, 0], [2, 0]]
    assert made.failures.counts == {("agent", "late"): 1}
    made.changelog.clear()
    await made.commit()
    assert made.changelog == [
        ("t", window_key(0, b"k"), None),
        ("t", window_key(10_000, b"k"), b"\x02"),
        ("t", window_key(20_000, b"k"), b"\x01"),
    ]
    await made.restart()
    assert await ask(made, 1, timestamps=[9_000]) == [[0, 0]]
    assert made.failures.counts == {("agent", "late"): 2}


async def test_a_window_that_comes_and_goes_between_two_commits_leaves_no_trace(app: App, bench: Any) -> None:
    table = app.Table("t", key_type=str, value_type=int, default=int).tumbling(10, expires=10)

    def work(_: Any) -> None:
        table["k"] += 1

    made = bench(body(work), tables=[table])
    await ask(made, 1, 1, timestamps=[0, 30_000])
    await made.commit()
    assert made.changelog == [("t", window_key(30_000, b"k"), b"\x01")]


async def test_time_behind_a_repartition_is_held_back(app: App, bench: Any) -> None:
    table = app.Table("t", key_type=str, value_type=int, default=int).tumbling(10, expires=10)

    def work(_: Any) -> Any:
        table["k"] += 1
        return table["k"].current()

    made = bench(body(work), tables=[table])
    made.context.time_bound = 5_000
    assert await ask(made, 1, 1, 1, timestamps=[0, 60_000, 1_000]) == [1, 1, 2]
    made.context.time_bound = 60_000
    assert await ask(made, 1, timestamps=[1_000]) == [0]


def plain_python(records: list[tuple[int, int]]) -> list[Any]:
    """What the agent below gives, by the rules alone: hopping(10, 5), expires=12, all in seconds."""
    windows: dict[int, int] = {}
    last: list[int] = []
    time, out = -1, []
    for value, at in records:
        time = max(time, at)
        for start in range(max(0, at - 5) // 5 * 5, at + 1, 5):
            if start + 12 > time:
                windows[start] = windows.get(start, 0) + value
        seen = [windows.get(start, 0) if start + 12 > time else 0 for start in (at // 5 * 5, (at - 5) // 5 * 5)]
        last = [*last, value][-3:]
        out.append([*seen, last])
    return out


@pytest.mark.parametrize("commit_each", [1, 2, 7, 40])
@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_batches_and_commits_change_nothing(app: App, bench: Any, commit_each: int, seed: int) -> None:
    table = app.Table("t", key_type=str, value_type=int, default=int).hopping(10, 5, expires=12)
    plain = app.Table("p", key_type=str, value_type=list[int], default=list)

    def work(value: Any) -> Any:
        table["k"] += value
        plain["k"] = [*plain["k"], value]
        plain["k"] = plain["k"][-3:]
        return [table["k"].current(), table["k"].delta(5), plain["k"]]

    rng = random.Random(seed)
    records = [(value, max(0, 2 * value + rng.randint(-12, 6))) for value in range(40)]
    made = bench(body(work), tables=[table, plain])
    out = []
    for start in range(0, 40, commit_each):
        part = records[start : start + commit_each]
        out += await ask(made, *(value for value, _ in part), timestamps=[1000 * at for _, at in part])
        await made.commit()
        if start % 3 == 0:
            await made.restart()
    assert out == plain_python(records)


@pytest.mark.parametrize("make", ["twice", "ttl"])
def test_windows_once_and_without_ttl(app: App, make: str) -> None:
    with pytest.raises(ConfigError):
        if make == "twice":
            app.Table("t").tumbling(10).hopping(10, 5)
        else:
            app.Table("t", ttl="1d").tumbling(10)


def test_the_windowed_table_stands_in_the_apps_tables(app: App) -> None:
    table = app.Table("t").tumbling("1h", expires="1d")
    assert app.tables["t"] is table
    assert (table.definition.window_size_ms, table.definition.retention_ms) == (HOUR, 24 * HOUR)
    assert app.Table("u").tumbling("1h").definition.retention_ms is None
    assert app.Table("v").tumbling("1h", expires=1).definition.retention_ms == HOUR
