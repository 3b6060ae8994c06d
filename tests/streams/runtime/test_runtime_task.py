"""A task: which record comes next, what holds it back, and what it tells those behind it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import streams
from streams.operators.base import NO_TIME
from streams.runtime import task as task_module
from streams.runtime.stream_time import marker, read_marker
from streams.transport.contract import TopicPartition

TOPICS = ["first", "second", "third"]


def merged(seen: list[Any], topics: list[str]) -> streams.App:
    """An app that sees the records of some topics in the order in which its task takes them."""
    app = streams.App("bench")
    first, *others = (app.topic(name, key_type=str, value_type=int).stream() for name in topics)
    first.merge(*others).for_each(lambda value, ctx: seen.append((ctx.topic, value, ctx.timestamp, ctx.stream_time)))
    return app


def in_order(logs: list[list[tuple[int, int]]]) -> list[tuple[int, int]]:
    """Always the head with the smallest timestamp; of equal ones that of the first log: (log, value)."""
    waiting = [list(log) for log in logs]
    order = []
    while any(waiting):
        at = min((at for at, log in enumerate(waiting) if log), key=lambda at: (waiting[at][0][1], at))
        order.append((at, waiting[at].pop(0)[0]))
    return order


LOGS = st.lists(st.lists(st.integers(0, 9), max_size=9), min_size=2, max_size=3)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    logs=LOGS,
    raw_size=st.integers(1, 4),
    rows_max=st.sampled_from([1, 2, 3, 100]),
    fetched=st.integers(1, 3),
    first_fetch=st.integers(0, 2),
)
@example(logs=[[5], [3, 5]], raw_size=2, rows_max=100, fetched=3, first_fetch=0)
@example(logs=[[1, 9], [2]], raw_size=1, rows_max=100, fetched=1, first_fetch=0)
@example(logs=[[9], [1]], raw_size=1, rows_max=100, fetched=1, first_fetch=0)
async def test_records_come_in_the_order_of_their_timestamps_however_they_are_cut(
    task_bench: Callable[..., Any], logs: list[list[int]], raw_size: int, rows_max: int, fetched: int, first_fetch: int
) -> None:
    seen: list[Any] = []
    made = task_bench(merged(seen, TOPICS[: len(logs)]), "first", rows_max=rows_max)
    for name, times in zip(TOPICS, logs, strict=False):
        rows = [(b"k", b"%d" % n, time) for n, time in enumerate(times)]
        for at in range(0, len(rows), raw_size):
            made.logs[name].append(rows[at : at + raw_size], gap=at % 2)
    made.open()
    # The first fetch has room for one partition only: the others are known to have more.
    made.fetch(fetched, topics=[TOPICS[first_fetch]])
    await made.task.turn()
    await made.run(fetched)
    expected = in_order([list(enumerate(times)) for times in logs])
    assert [(TOPICS.index(topic), value) for topic, value, *_ in seen] == expected
    times = [time for _, _, time, _ in seen]
    assert [stream_time for *_, stream_time in seen] == [max(times[: n + 1]) for n in range(len(times))]
    assert made.task.drained()
    assert made.task.positions() == {log.tp: log.end for log in made.logs.values()}


async def test_a_partition_known_to_have_more_is_waited_for(task_bench: Callable[..., Any]) -> None:
    seen: list[Any] = []
    made = task_bench(merged(seen, TOPICS[:2]), "first")
    made.logs["first"].append([(b"k", b"1", 100)])
    made.logs["second"].append([(b"k", b"2", 50)])
    made.open()
    made.fetch(topics=["first"])
    assert await made.task.turn() == 0 and not seen
    made.fetch()
    await made.run()
    assert [value for _, value, *_ in seen] == [2, 1]


async def test_an_empty_partition_holds_nobody_back(task_bench: Callable[..., Any]) -> None:
    seen: list[Any] = []
    made = task_bench(merged(seen, TOPICS[:2]), "first")
    made.logs["first"].append([(b"k", b"1", 100)])
    made.open()
    await made.run()
    assert [value for _, value, *_ in seen] == [1]


async def test_partitions_with_data_waiting_are_not_asked_for(task_bench: Callable[..., Any]) -> None:
    made = task_bench(merged([], TOPICS[:2]), "first", rows_max=1)
    for n in range(3):
        made.logs["first"].append([(b"k", b"1", n)])
    made.logs["second"].append([(b"k", b"1", 5)])
    made.open()
    asked = lambda: [queue.tp.topic for queue in made.task.wants()]  # noqa: E731
    assert asked() == ["first", "second"]
    made.fetch(3)
    assert asked() == []
    await made.task.turn()
    assert asked() == []
    for _ in range(2):
        await made.task.turn()
    assert asked() == ["first"]


async def test_the_context_knows_stream_time_behind_a_filter(task_bench: Callable[..., Any]) -> None:
    """Records that a step left out have moved time all the same, whatever the batches."""
    for rows_max in (1, 2, 100):
        seen: list[int] = []
        app = streams.App("bench")
        stream = app.topic("first", key_type=str, value_type=int).stream()
        stream.filter(lambda v: v != 2).flat_map_values(lambda v: [v, v]).for_each(
            lambda value, ctx, seen=seen: seen.append(ctx.stream_time)
        )
        made = task_bench(app, "first", rows_max=rows_max)
        made.logs["first"].append([(b"k", b"1", 10), (b"k", b"2", 90), (b"k", b"3", 20), (b"k", b"4", 95)])
        made.open()
        await made.run()
        assert seen == [10, 10, 90, 90, 95, 95], rows_max


@pytest.mark.parametrize("rows_max", [1, 100])
async def test_a_stream_merged_with_itself_has_each_record_once(task_bench: Callable[..., Any], rows_max: int) -> None:
    seen: list[int] = []
    app = streams.App("bench")
    stream = app.topic("first", key_type=str, value_type=int).stream()
    stream.merge(stream, name="once").for_each(seen.append)
    made = task_bench(app, "first", rows_max=rows_max)
    made.logs["first"].append([(b"k", b"%d" % n, n) for n in range(3)])
    made.open()
    await made.run()
    assert seen == [0, 1, 2]  # as Kafka Streams has it


# -- long batches are cut


async def test_turns_are_cut_to_what_fits(task_bench: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """A record costs a millisecond of the injected clock: after some turns ten fit, whatever the batch holds."""
    clock = [0.0]
    monkeypatch.setattr(task_module, "process_time", lambda: clock[0])
    app = streams.App("bench")

    def slow(value: int) -> None:
        clock[0] += 0.001

    app.topic("first", key_type=str, value_type=int).stream().for_each(slow)
    made = task_bench(app, "first", rows_max=16_384)
    made.logs["first"].append([(b"k", b"1", 0)] * 8_000)
    made.open()
    made.fetch()
    sizes = [await made.task.turn() for _ in range(5)]
    assert sizes == [1_024, 10, 10, 10, 10]


async def test_turns_grow_where_records_are_cheap(
    task_bench: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(task_module, "process_time", lambda: 0.0)
    app = streams.App("bench")
    app.topic("first", key_type=str, value_type=int).stream().for_each(lambda value: None)
    made = task_bench(app, "first", rows_max=5_000)
    made.logs["first"].append([(b"k", b"1", 0)] * 16_000)
    made.open()
    made.fetch()
    assert [await made.task.turn() for _ in range(5)] == [1_024, 2_048, 4_096, 5_000, 3_832]


# -- errors


async def test_what_does_not_decode_goes_to_the_policy_in_its_place(task_bench: Callable[..., Any]) -> None:
    seen: list[Any] = []
    made = task_bench(merged(seen, TOPICS[:1]), "first", policy=streams.skip(), rows_max=1)
    made.logs["first"].append([(b"k", b"1", 0), (b"k", b"x", 1), (b"k", b"3", 2)])
    made.open()
    made.fetch()
    await made.task.turn()
    assert made.task.positions() == {TopicPartition("first", 0): 1} and not made.failures.counts
    await made.run()
    assert [value for _, value, *_ in seen] == [1, 3]
    assert made.failures.counts == {("first-source", "skip"): 1}


# -- time behind a repartition


def behind(seen: list[Any]) -> streams.App:
    app = streams.App("bench")
    moved = app.topic("first", key_type=str, value_type=int).stream().repartition(name="moved")
    window = moved.group_by_key().windowed_by(streams.TumblingWindow(0.01))
    window.count(name="n").emit("close").to_stream().for_each(lambda key, value: seen.append((key.start, value)))
    return app


MOVED = "bench-moved-repartition"


async def test_windows_wait_for_the_slowest_writer(task_bench: Callable[..., Any]) -> None:
    seen: list[Any] = []
    made = task_bench(behind(seen), MOVED, writers={MOVED: 2})
    log = made.logs[MOVED]
    log.append([(b"k", b"1", 0), (b"k", b"1", 100)])
    log.append([(None, marker(0, 100, False), 100)])
    made.open()
    await made.run()
    assert seen == [] and made.task.stream_time == NO_TIME
    log.append([(None, marker(1, 5, False), 5)])
    await made.run()
    assert seen == [] and made.task.stream_time == 5
    log.append([(b"k", b"1", 6), (None, marker(1, 30, False), 30)])
    await made.run()
    assert seen == [(0, 2)] and made.task.stream_time == 30
    assert not made.failures.counts


async def test_an_idle_writer_holds_nobody_back(task_bench: Callable[..., Any]) -> None:
    seen: list[Any] = []
    made = task_bench(behind(seen), MOVED, writers={MOVED: 2})
    log = made.logs[MOVED]
    log.append([(b"k", b"1", 0), (b"k", b"1", 100), (None, marker(0, 100, False), 100)])
    log.append([(None, marker(1, NO_TIME, True), 0)])
    made.open()
    await made.run()
    assert seen == [(0, 1)]
    log.append([(b"k", b"1", 3), (None, marker(1, 3, False), 3)])
    await made.run()
    assert seen == [(0, 1)]
    assert made.failures.counts == {("n", "late"): 1}


async def test_behind_writers_that_hold_nothing_back_time_is_the_records(
    task_bench: Callable[..., Any],
) -> None:
    seen: list[Any] = []
    made = task_bench(behind(seen), MOVED, writers={})
    made.logs[MOVED].append([(b"k", b"1", 0), (b"k", b"1", 10), (None, marker(0, 5, False), 5)])
    made.open()
    await made.run()
    assert seen == [(0, 1)]


async def test_times_of_writers_outlive_a_restart(task_bench: Callable[..., Any]) -> None:
    app = behind([])
    made = task_bench(app, MOVED, writers={MOVED: 2})
    made.logs[MOVED].append([(b"k", b"1", 50), (None, marker(0, 50, False), 50), (None, marker(1, 40, False), 40)])
    made.open()
    await made.run()
    await made.task.prepare()
    again = task_bench(app, MOVED, writers={MOVED: 2})
    again.task.context.clocks._stores = made.stores
    again.task.context.stores = made.stores
    again.open()
    assert (again.task.stream_time, again.task.context.time_bound) == (40, 40)


def told(made: Any, *, quiet: bool = True) -> list[tuple[int, int, bool]]:
    """The markers that a task adds now."""
    from broker_embedded import records
    from streams.operators.outputs import Outputs

    outputs = Outputs(lambda topic: 1, lambda topic: "none")
    made.task.mark_time(outputs, lambda topic: 2, quiet=quiet)
    parts = {tp.partition: records.decode(memoryview(data)) for tp, data, _ in outputs.drain()}
    assert set(parts) in (set(), {0, 1})
    return [read_marker(value) for value in parts[0].values() if value is not None] if parts else []


async def test_a_task_tells_its_time_when_it_has_changed(task_bench: Callable[..., Any]) -> None:
    made = task_bench(behind([]), "first", idle_after_ms=1_000)
    made.open()
    made.logs["first"].append([(b"k", b"1", 70)])
    await made.run()
    assert made.task.has_news()
    assert told(made) == [(0, 70, False)]
    assert told(made) == []
    made.logs["first"].append([(b"k", b"1", 60), (b"k", b"1", 80)])
    await made.run()
    assert told(made) == [(0, 80, False)]
    made.now_ms = 999
    assert told(made) == []
    made.now_ms = 1_000
    assert told(made, quiet=False) == []
    assert told(made) == [(0, 80, True)]
    made.logs["first"].append([(b"k", b"1", 75)])
    await made.run()
    assert told(made) == [(0, 80, False)]


async def test_a_task_without_any_record_says_that_it_is_idle_once_all_is_read(task_bench: Callable[..., Any]) -> None:
    made = task_bench(behind([]), "first")
    made.logs["first"].skip(3)
    made.open()
    assert told(made) == []
    await made.run()
    assert told(made) == [(0, NO_TIME, True)]


async def test_in_a_replay_nobody_is_idle(task_bench: Callable[..., Any]) -> None:
    made = task_bench(behind([]), "first", idle_after_ms=None)
    made.logs["first"].append([(b"k", b"1", 70)])
    made.open()
    await made.run()
    made.now_ms = 10**9
    assert told(made) == [(0, 70, False)]


async def test_a_task_that_feeds_no_repartition_tells_nothing(task_bench: Callable[..., Any]) -> None:
    made = task_bench(merged([], TOPICS[:1]), "first")
    made.logs["first"].append([(b"k", b"1", 70)])
    made.open()
    await made.run()
    assert told(made) == []


# -- news


async def test_there_is_news_when_an_offset_moved_until_it_is_committed(task_bench: Callable[..., Any]) -> None:
    made = task_bench(merged([], TOPICS[:2]), "first")
    made.logs["first"].append([(b"k", b"1", 0)])
    made.open()
    assert not made.task.has_news() and made.task.news() == {}
    await made.run()
    assert made.task.has_news() and made.task.news() == {TopicPartition("first", 0): 1}
    made.task.committed()
    assert not made.task.has_news()
    made.outputs.add("out", [b"k"], [b"v"], [0])
    assert made.task.has_news()


async def test_behind_writers_a_task_without_any_record_tells_how_far_it_has_heard(
    task_bench: Callable[..., Any],
) -> None:
    """Until all of them have told something of theirs may be on its way, from another worker too."""
    app = streams.App("bench")
    first = app.topic("first", key_type=str, value_type=int).stream()
    first.repartition(name="moved").repartition(name="again").for_each(print)
    made = task_bench(app, MOVED, writers={MOVED: 2})
    log = made.logs[MOVED]
    made.open()
    assert told(made) == []
    log.append([(None, marker(0, 90, False), 90)])
    await made.run()
    assert told(made) == []
    log.append([(None, marker(1, 70, False), 70)])
    await made.run()
    assert told(made) == [(0, 70, False)]
    log.append([(None, marker(1, 70, True), 70)])
    await made.run()
    assert told(made) == [(0, 90, False)]
    log.append([(None, marker(0, 90, True), 90)])
    await made.run()
    assert told(made) == [(0, NO_TIME, True)]
