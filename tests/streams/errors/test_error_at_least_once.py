"""`processing_guarantee="at_least_once"`: no transactions; after a crash records are repeated, never lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

import streams
from streams.errors import StreamsError
from streams.runtime.steps import on_step

VALUES = list(range(1, 21))
STEPS = [
    "commit: emit and save",
    "commit: begin transaction",
    "commit: send changelog",
    "commit: send outputs",
    "commit: send offsets",
    "commit: end transaction",
    "commit: write stores",
    "commit: done",
]


class Crashed(StreamsError):
    pass


@contextmanager
def crash_at(step: str) -> Iterator[None]:
    def observe(reached: str) -> None:
        if reached == step:
            raise Crashed(step)

    forget = on_step(observe)
    try:
        yield
    finally:
        forget()


def sums(lab: Any, guarantee: str = "at_least_once") -> streams.App:
    app = lab.app(processing_guarantee=guarantee)
    numbers = app.topic("numbers", key_type=str, value_type=int)
    numbers.stream().to(app.topic("copies", key_type=str, value_type=int))
    totals = numbers.stream().group_by_key().aggregate(0, lambda total, value: total + value, name="totals")
    totals.emit("update").to_stream().to(app.topic("changes", key_type=str, value_type=int))

    @app.source(numbers)
    def feed(position: int = 0) -> Any:
        for value in VALUES[position:]:
            yield streams.Position(value), "all", value

    return app


async def total(app: streams.App) -> int:
    async with app.client() as client:
        found: int = await client.table("totals").get("all")
        return found


async def values(lab: Any, app: streams.App, topic: str) -> list[int]:
    return [record.value for record in await lab.read(app, topic)]


async def test_it_works(lab: Any) -> None:
    async with lab.held(app := sums(lab)):
        await lab.run(app)
        assert lab.watcher.begun[0].guarantee == "at_least_once"
        assert await values(lab, app, "copies") == VALUES
        assert await total(app) == sum(VALUES)
        assert lab.watcher.ended[0].records == len(VALUES)
        await lab.run(again := sums(lab))
        assert lab.watcher.ended[0].records == 0
        assert await total(again) == sum(VALUES)


@pytest.mark.parametrize("step", STEPS)
async def test_after_a_crash_records_are_repeated_not_lost(lab: Any, step: str) -> None:
    async with lab.held(app := sums(lab)):
        with crash_at(step), pytest.raises(Crashed):
            await lab.run(app)
        await lab.run(app := sums(lab))
        counts = Counter(await values(lab, app, "copies"))
        assert set(counts) == set(VALUES)
        assert await total(app) >= sum(VALUES)


async def test_a_crash_between_outputs_and_offsets_repeats_them(lab: Any) -> None:
    async with lab.held(app := sums(lab)):
        async with app.client() as client:
            await client.send_many("numbers", [("all", value) for value in (100, 200)])
        with crash_at("commit: send offsets"), pytest.raises(Crashed):
            await lab.run(app)
        assert await values(lab, app, "copies") == [100, 200]
        await lab.run(app := sums(lab))
        assert Counter(await values(lab, app, "copies")) == Counter([100, 200] * 2 + VALUES)
        assert await total(app) == 2 * 300 + sum(VALUES)


async def test_exactly_once_repeats_nothing(lab: Any) -> None:
    async with lab.held(app := sums(lab, "exactly_once")):
        with crash_at("commit: send offsets"), pytest.raises(Crashed):
            await lab.run(app)
        assert await values(lab, app, "copies") == []
        await lab.run(app := sums(lab, "exactly_once"))
        assert await values(lab, app, "copies") == VALUES
        assert await total(app) == sum(VALUES)
