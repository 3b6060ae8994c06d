"""A record that a step can't handle: what each policy makes of it, whatever the step and whatever is wrong."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

import streams
from streams import agg
from streams.errors import DecodeError, EncodeError, RecordError, UserCodeError
from streams.policies import Policy
from streams.table import TableAccessError

BAD = 13
ROWS = [(b"a", b"1"), (b"b", b" 13 "), (b"c", b"2")]
"""The bad value is written with spaces: a dead letter made of the decoded value would lack them."""
HEADERS = [("trace", b"x"), ("empty", None)]
POISON = b"\xff\xfe"


def check(value: int) -> int:
    if value == BAD:
        raise ValueError("unlucky")
    return value


Build = Callable[[streams.App, Any, Policy | None], str]
"""Adds the step to an app; gives the step's name. Good values reach the topic "out"."""

STEPS: dict[str, Build] = {}


def step(build: Build) -> Build:
    STEPS[build.__name__] = build
    return build


def to_out(app: streams.App, stream: Any) -> None:
    stream.to(app.topic("out", key_type=str))


@step
def filter(app: streams.App, numbers: Any, on_error: Policy | None) -> str:
    to_out(app, numbers.stream().filter(lambda value: check(value) > 0, name="step", on_error=on_error))
    return "step"


@step
def map(app: streams.App, numbers: Any, on_error: Policy | None) -> str:
    mapped = numbers.stream().map(lambda key, value: (key, check(value)), name="step", on_error=on_error, key_type=str)
    to_out(app, mapped)
    return "step"


@step
def map_values(app: streams.App, numbers: Any, on_error: Policy | None) -> str:
    to_out(app, numbers.stream().map_values(check, name="step", on_error=on_error))
    return "step"


@step
def map_values_with_context(app: streams.App, numbers: Any, on_error: Policy | None) -> str:
    def with_context(value: int, ctx: Any) -> int:
        return check(value)

    to_out(app, numbers.stream().map_values(with_context, name="step", on_error=on_error))
    return "step"


@step
def flat_map(app: streams.App, numbers: Any, on_error: Policy | None) -> str:
    made = numbers.stream().flat_map(lambda k, v: [(k, check(v))], name="step", on_error=on_error, key_type=str)
    to_out(app, made)
    return "step"


@step
def flat_map_values(app: streams.App, numbers: Any, on_error: Policy | None) -> str:
    to_out(app, numbers.stream().flat_map_values(lambda v: [check(v)], name="step", on_error=on_error))
    return "step"


@step
def select_key(app: streams.App, numbers: Any, on_error: Policy | None) -> str:
    keyed = numbers.stream().select_key(lambda key, value: check(value) and key, name="step", on_error=on_error)
    to_out(app, keyed)
    return "step"


@step
def peek(app: streams.App, numbers: Any, on_error: Policy | None) -> str:
    to_out(app, numbers.stream().peek(check, name="step", on_error=on_error))
    return "step"


@step
def for_each(app: streams.App, numbers: Any, on_error: Policy | None) -> str:
    numbers.stream().for_each(check, name="step", on_error=on_error)
    to_out(app, numbers.stream().filter(lambda value: value != BAD))
    return "step"


@step
def joiner(app: streams.App, numbers: Any, on_error: Policy | None) -> str:
    table = app.topic("rights", key_type=str, value_type=int).table(name="rights-table")
    to_out(app, numbers.stream().left_join(table, lambda left, right: check(left), name="step", on_error=on_error))
    return "step"


@step
def choice_of_topic(app: streams.App, numbers: Any, on_error: Policy | None) -> str:
    app.topic("out", key_type=str)
    numbers.stream().to(lambda key, value: check(value) and "out", name="step", on_error=on_error)
    return "step"


@step
def reduce(app: streams.App, numbers: Any, on_error: Policy | None) -> str:
    table = numbers.stream().select_key(lambda v: "all", key_type=str).group_by_key(name="all")
    total = table.reduce(lambda old, new: old + new and check(new), name="step", on_error=on_error)
    to_out(app, total.emit("update").to_stream())
    return "step"


@step
def aggregate(app: streams.App, numbers: Any, on_error: Policy | None) -> str:
    table = numbers.stream().group_by_key().aggregate(0, lambda total, v: check(v), name="step", on_error=on_error)
    to_out(app, table.emit("update").to_stream())
    return "step"


@step
def behind_an_aggregate(app: streams.App, numbers: Any, on_error: Policy | None) -> str:
    table = numbers.stream().group_by_key().aggregate(last=agg.last(lambda v: v), name="latest").emit("update")
    to_out(app, table.to_stream().map_values(lambda row: check(row.last), name="step", on_error=on_error))
    return "step"


@step
def behind_other_steps(app: streams.App, numbers: Any, on_error: Policy | None) -> str:
    changed = numbers.stream().map_values(lambda v: v + 1).filter(lambda v: v > 0).flat_map_values(lambda v: [v])
    to_out(app, changed.map_values(lambda v: check(v - 1), name="step", on_error=on_error))
    return "step"


@step
def agent(app: streams.App, numbers: Any, on_error: Policy | None) -> str:
    out = app.topic("out", key_type=str)

    @app.agent(numbers, sink=[out], on_error=on_error)
    async def look(stream: Any) -> Any:
        async for value in stream:
            yield check(value)

    return "look"


@step
def value_for_a_sink(app: streams.App, numbers: Any, on_error: Policy | None) -> str:
    out = app.topic("out", key_type=str, value_type=int)
    wrong = numbers.stream().map_values(lambda value: "text" if value == BAD else value)
    wrong.to(out, name="step", on_error=on_error)
    return "step"


@step
def state_of_a_table(app: streams.App, numbers: Any, on_error: Policy | None) -> str:
    def last(old: int, new: int) -> int:
        return "text" if new == BAD else new  # type: ignore[return-value]

    table = numbers.stream().group_by_key().aggregate(0, last, name="step", on_error=on_error)
    to_out(app, table.emit("update").to_stream())
    return "step"


@step
def value_of_a_table(app: streams.App, numbers: Any, on_error: Policy | None) -> str:
    table = app.Table("remembered", key_type=str, value_type=int)
    out = app.topic("out", key_type=str)

    @app.agent(numbers, sink=[out], on_error=on_error)
    async def remember(stream: Any) -> Any:
        async for key, value in stream.items():
            table[key] = "text" if value == BAD else value  # type: ignore[assignment]
            yield value

    return "remember"


def built(lab: Any, name: str, policy: Policy | None, **settings: Any) -> tuple[streams.App, str]:
    app = lab.app(**settings)
    numbers = app.topic("numbers", key_type=str, value_type=int, partitions=1)
    return app, STEPS[name](app, numbers, policy)


async def fill(lab: Any, app: streams.App, written: Any) -> None:
    rows = [written(k, v, 10 * n, HEADERS if k == b"b" else []) for n, (k, v) in enumerate(ROWS)]
    await lab.write(app, "numbers", rows)


def good(records: list[Any]) -> list[int]:
    return [record.value for record in records]


# -- each step, each policy


@pytest.mark.parametrize("name", STEPS)
async def test_dead_letters_are_the_record_as_it_was_read(lab: Any, written: Any, name: str) -> None:
    app, step_name = built(lab, name, streams.dead_letter())
    async with lab.held(app):
        await fill(lab, app, written)
        await lab.run(app)
        assert good(await lab.read(app, "out")) == [1, 2]
        (letter,) = await lab.read(app, "lab-dead-letter")
    headers = dict(letter.headers)
    if "repartition" not in (headers["error.topic"] or b"").decode():
        assert (letter.key, letter.value, letter.timestamp) == (b"b", b" 13 ", 10)
        assert (headers["error.topic"], headers["error.offset"]) == (b"numbers", b"1")
    assert list(letter.headers)[:2] == HEADERS
    assert headers["error.step"] == step_name.encode()
    assert headers["error.partition"] == b"0"
    assert headers["error.type"] in (b"ValueError", b"EncodeError")
    assert re.match(rb".*test_error_policies\.py:\d+", headers["error.where"] or b"")


@pytest.mark.parametrize("name", STEPS)
async def test_skipped_records_are_counted(lab: Any, written: Any, name: str) -> None:
    app, step_name = built(lab, name, streams.skip())
    async with lab.held(app):
        await fill(lab, app, written)
        worker = await lab.run(app)
        assert good(await lab.read(app, "out")) == [1, 2]
    assert worker.assembly.totals().dropped == {(step_name, "skip"): 1}


@pytest.mark.parametrize("name", STEPS)
async def test_a_worker_that_stops_says_where_and_keeps_nothing(lab: Any, written: Any, name: str) -> None:
    app, step_name = built(lab, name, None)
    async with lab.held(app):
        await fill(lab, app, written)
        with pytest.raises(RecordError) as failed:
            await lab.run(app)
        assert await lab.read(app, "out") == []
        topic = "lab-all-repartition" if name == "reduce" else "numbers"
        committed = await open_offsets(lab, app, topic)
    error = failed.value
    assert isinstance(
        error, EncodeError if name in ("value_for_a_sink", "state_of_a_table", "value_of_a_table") else UserCodeError
    )
    assert (error.step, error.topic, error.partition) == (step_name, topic, 0)
    assert str(error).startswith(f"{step_name}, {topic}-0 @ {error.offset}: ")
    assert "test_error_policies.py:" in str(error.line)
    assert committed is None
    (failure,) = lab.watcher.failures
    assert (failure.error, failure.task) == (error, f"{topic}-0")
    assert lab.watcher.ended[0].reason == "failed"


async def open_offsets(lab: Any, app: streams.App, topic: str) -> Any:
    from streams.transport.contract import TopicPartition
    from streams.transport.opening import open_transport

    transport, _ = await open_transport(app.settings)
    tp = TopicPartition(topic, 0)
    found = (await transport.committed(app.id, [tp]))[tp]
    await transport.stop()
    return found


# -- retries


@pytest.mark.parametrize("name", ["map_values", "aggregate", "agent", "filter", "map_values_with_context"])
async def test_retries_back_off_and_end_in_the_policy_given(lab: Any, written: Any, name: str) -> None:
    policy = streams.retry(4, backoff="1s", longest="3s", then=streams.dead_letter("broken"))
    app, step_name = built(lab, name, policy)
    async with lab.held(app):
        await fill(lab, app, written)
        worker = await lab.run(app)
        assert good(await lab.read(app, "out")) == [1, 2]
        assert [letter.value for letter in await lab.read(app, "broken")] == [b" 13 "]
    assert lab.clock.slept == [1, 2, 3, 3]
    (counts,) = [task.failures.counts for task in worker.assembly.tasks]
    assert counts == {(step_name, "retry"): 4, (step_name, "dead_letter"): 1}


@pytest.mark.parametrize("form", ["function", "aggregate", "agent"])
async def test_a_retry_that_succeeds_repeats_nothing_else(lab: Any, written: Any, form: str) -> None:
    app = lab.app(on_error=streams.retry(3, backoff="1s"))
    numbers = app.topic("numbers", key_type=str, value_type=int)
    out = app.topic("out", key_type=str)
    calls: list[int] = []

    def unlucky(value: int) -> int:
        calls.append(value)
        if value == BAD and calls.count(BAD) < 3:
            raise OSError("not yet")
        return value

    if form == "function":
        numbers.stream().map_values(unlucky).to(out)
    elif form == "aggregate":
        totals = numbers.stream().group_by_key().aggregate(0, lambda total, value: unlucky(value), name="totals")
        totals.emit("update").to_stream().to(out)
    else:

        @app.agent(numbers, sink=[out])
        async def look(stream: Any) -> Any:
            async for value in stream:
                yield unlucky(value)

    async with lab.held(app):
        await fill(lab, app, written)
        await lab.run(app)
        assert good(await lab.read(app, "out")) == [1, 13, 2]
    assert calls == [1, 13, 13, 13, 2]
    assert lab.clock.slept == [1, 2]


async def test_every_record_has_its_own_retries(lab: Any, written: Any) -> None:
    """Rows that a commit emits carry no offset; their attempts are told apart all the same."""
    app = lab.app()
    numbers = app.topic("numbers", key_type=str, value_type=int)
    failures: list[int] = []

    def fails_twice(value: int) -> int:
        if failures.count(value) < 2:
            failures.append(value)
            raise OSError("not yet")
        return value

    latest = numbers.stream().group_by_key().reduce(lambda old, new: new, name="latest").emit("commit")
    latest.to_stream().map_values(fails_twice, on_error=streams.retry(2, backoff="1s")).to(app.topic("out"))
    async with lab.held(app):
        await fill(lab, app, written)
        await lab.run(app)
        assert sorted(good(await lab.read(app, "out"))) == [1, 2, 13]
    assert sorted(failures) == [1, 1, 2, 2, 13, 13]


async def test_what_the_app_says_holds_where_a_step_says_nothing(lab: Any, written: Any) -> None:
    app = lab.app(on_error="dead-letter:all-broken")
    numbers = app.topic("numbers", key_type=str, value_type=int)
    numbers.stream().map_values(check, name="first").to(app.topic("out"))
    numbers.stream().map_values(check, name="second", on_error=streams.skip()).for_each(lambda value: None)
    async with lab.held(app):
        await fill(lab, app, written)
        worker = await lab.run(app)
        (letter,) = await lab.read(app, "all-broken")
    assert dict(letter.headers)["error.step"] == b"first"
    assert worker.assembly.totals().dropped == {("first", "dead_letter"): 1, ("second", "skip"): 1}


async def test_no_policy_covers_an_app_that_is_wrong(lab: Any, written: Any) -> None:
    app = lab.app(on_error="skip")
    numbers = app.topic("numbers", key_type=str, value_type=int)
    app.Table("late", key_type=str, value_type=int, default=int)
    numbers.stream().map_values(lambda value: app.tables["late"].definition and app.tables["missing"])
    numbers.stream().to(lambda key, value: "undeclared", name="choose")
    async with lab.held(app):
        await fill(lab, app, written)
        with pytest.raises(streams.errors.TopologyError, match="the topic name 'undeclared'"):
            await lab.run(app)


async def test_a_table_written_outside_an_agent_says_where(lab: Any, written: Any) -> None:
    app = lab.app(on_error="skip")
    late = app.Table("late", key_type=str, value_type=int, default=int)

    def write(value: int) -> bool:
        late["a"] = value
        return True

    app.topic("numbers", key_type=str, value_type=int).stream().filter(write, name="step")
    async with lab.held(app):
        await fill(lab, app, written)
        with pytest.raises(TableAccessError, match=r"only agents write.* \(.*test_error_policies\.py:\d+ in write\)"):
            await lab.run(app)


# -- what does not decode, what does not encode


@pytest.mark.parametrize(
    ("key", "value", "part"), [(b"b", POISON, "value"), (POISON, b"13", "key"), (POISON, POISON, "key")]
)
async def test_what_does_not_decode(lab: Any, written: Any, key: bytes, value: bytes, part: str) -> None:
    def make(**settings: Any) -> streams.App:
        app = lab.app(**settings)
        app.topic("numbers", key_type=str, value_type=int, partitions=1).stream().to(app.topic("out", key_type=str))
        return app

    app = make()
    rows = [written(b"a", b"1"), written(key, value, 10, HEADERS), written(b"c", b"2")]
    async with lab.held(app):
        await lab.write(app, "numbers", rows)
        with pytest.raises(DecodeError) as failed:
            await lab.run(app)
        assert str(failed.value).startswith(f"numbers-source, numbers-0 @ 1: the {part} does not decode: ")
        assert "test_error_policies.py:" in str(failed.value)
        await lab.run(app := make(on_error="dead-letter"))
        (letter,) = await lab.read(app, "lab-dead-letter")
        assert good(await lab.read(app, "out")) == [1, 2]
    assert (letter.key, letter.value, letter.timestamp) == (key, value, 10)
    assert [*letter.headers][:2] == HEADERS
    headers = dict(letter.headers)
    assert headers["error.type"] == b"DecodeError"
    assert (headers["error.message"] or b"").startswith(f"the {part} does not decode".encode())


async def test_what_does_not_decode_is_not_tried_again(lab: Any, written: Any) -> None:
    app = lab.app(on_error=streams.retry(3, then=streams.skip()))
    app.topic("numbers", value_type=int).stream().to(app.topic("out"))
    async with lab.held(app):
        await lab.write(app, "numbers", [written(None, b"1"), written(None, POISON), written(None, b"2")])
        worker = await lab.run(app)
        assert good(await lab.read(app, "out")) == [1, 2]
    assert lab.clock.slept == []
    assert worker.assembly.totals().dropped == {("numbers-source", "skip"): 1}


async def test_a_key_that_does_not_encode_for_a_repartition(lab: Any, written: Any) -> None:
    app = lab.app(on_error="dead-letter")
    numbers = app.topic("numbers", key_type=str, value_type=int)
    keyed = numbers.stream().group_by(lambda value: 7 if value == BAD else f"k{value}", name="by", key_type=str)
    keyed.count(name="counts").emit("update").to_stream().to(app.topic("out", key_type=str))
    async with lab.held(app):
        await fill(lab, app, written)
        await lab.run(app)
        assert sorted(record.key for record in await lab.read(app, "out")) == ["k1", "k2"]
        (letter,) = await lab.read(app, "lab-dead-letter")
    headers = dict(letter.headers)
    assert (letter.key, letter.value) == (b"b", b" 13 ")
    assert headers["error.step"] == b"by-repartition"
    assert headers["error.message"] == (
        b"the key does not fit topic 'lab-by-repartition': int where str is declared: 7. "
        b"Give a str, or declare the type that is meant."
    )


async def test_a_source_that_yields_a_wrong_type(lab: Any) -> None:
    app = lab.app(on_error="dead-letter")
    numbers = app.topic("numbers", key_type=str, value_type=int)

    @app.source(numbers)
    def rows(position: int = 0) -> Any:
        for n in range(position, 3):
            yield streams.Position(n + 1), f"k{n}", "one" if n == 1 else n

    numbers.stream().to(app.topic("out"))
    async with lab.held(app):
        await lab.run(app)
        assert good(await lab.read(app, "out")) == [0, 2]
        (letter,) = await lab.read(app, "lab-dead-letter")
    headers = dict(letter.headers)
    assert (letter.key, letter.value) == (b"k1", b"one")
    assert headers["error.step"] == b"rows"
    assert "error.offset" not in headers  # the record was never read from a topic


async def test_a_record_of_several_windows_is_one_dead_letter(lab: Any, written: Any) -> None:
    app = lab.app()
    numbers = app.topic("numbers", key_type=str, value_type=int)
    hops = numbers.stream().group_by_key().windowed_by(streams.HoppingWindow("4s", step="1s"))
    summed = hops.aggregate(0, lambda total, value: total + check(value), name="sums", on_error=streams.dead_letter())
    summed.emit("update").to_stream().map(lambda window, total: (window.key, total), key_type=str).to(
        app.topic("out", key_type=str)
    )
    async with lab.held(app):
        await lab.write(app, "numbers", [written(key, value, 10_000) for key, value in ROWS])
        worker = await lab.run(app)
        assert good(await lab.read(app, "out")) == [1] * 4 + [2] * 4
        assert [letter.value for letter in await lab.read(app, "lab-dead-letter")] == [b" 13 "]
    assert worker.assembly.totals().dropped == {("sums", "dead_letter"): 1}


async def test_lists_of_an_agent_are_dead_letters_one_by_one(lab: Any, written: Any) -> None:
    """Also where a list was collected over several batches."""
    app = lab.app(on_error="dead-letter", batch_records_max=1)
    numbers = app.topic("numbers", key_type=str, value_type=int)

    @app.agent(numbers)
    async def look(stream: Any) -> None:
        async for rows in stream.take(3, within=60):
            check(rows[1])

    async with lab.held(app):
        await fill(lab, app, written)
        await lab.run(app)
        letters = await lab.read(app, "lab-dead-letter")
    assert [(letter.key, letter.value) for letter in letters] == ROWS
