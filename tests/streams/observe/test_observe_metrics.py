"""The figures of a worker for Prometheus."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

import streams
from streams.observe.metrics import registry
from streams.runtime.observer import Silent, Stopped
from streams.runtime.steps import on_step
from streams.runtime.worker import Worker


def figures(worker: Worker) -> dict[str, float]:
    text = generate_latest(registry(worker)).decode()
    families = text_string_to_metric_families(text)
    return {_name(sample): sample.value for family in families for sample in family.samples}


def _name(sample: Any) -> str:
    labels = [sample.labels[name] for name in ("step", "reason") if name in sample.labels]
    return ",".join([sample.name, *labels])


def app(folder: Path, store: str) -> streams.App:
    made = streams.App("figures", data_dir=str(folder), store=store, on_error="skip")
    numbers = made.topic("numbers", key_type=str, value_type=int, partitions=2)
    numbers.stream().group_by_key().count(name="counts")
    numbers.stream().map_values(lambda value: 1 // value, name="divide").for_each(lambda value: None)
    return made


async def test_figures_of_requests(tmp_path: Path) -> None:
    made = app(tmp_path, "memory")

    @made.agent()
    async def double(stream: Any) -> Any:
        async for number in stream:
            yield 2 * number

    @made.task
    async def asks() -> None:
        assert await double.join([1, 2, 3]) == [2, 4, 6]
        done.set()

    done, worker = asyncio.Event(), Worker(made, Silent())
    running = asyncio.ensure_future(worker.run())
    async with asyncio.timeout(20):
        await done.wait()
    found = {name: value for name, value in figures(worker).items() if "as" in name or "repl" in name or "answ" in name}
    assert found == {
        "streams_asks_total": 3,
        "streams_asks_waiting": 0,
        "streams_answers_total": 3,
        "streams_answers_unmatched_total": 0,
        "streams_replies_total": 3,
        "streams_replies_lost_total": 0,
    }
    worker.stop()
    await running


@pytest.mark.parametrize("store", ["memory", "rocksdb"])
async def test_figures_of_a_worker(tmp_path: Path, store: str) -> None:
    first = app(tmp_path, store)
    async with first.client() as client:
        await client.send_many("numbers", [(f"k{n}", n % 4) for n in range(20)] + [(None, 1)])
        worker = Worker(first, Silent(), until_end=True)
        assert figures(worker) == {}
        memory: list[float] = []

        def look(step: str) -> None:
            if step == "commit: done":
                memory.append(figures(worker)["streams_state_memory_bytes"])

        forget = on_step(look)
        await worker.run()
        forget()
        found = figures(worker)
        del found["streams_state_memory_bytes"]
        assert memory[-1] > 0 or store == "rocksdb"
        assert found.pop("streams_commits_total") >= 1
        assert found == {
            "streams_records_total": 21,
            "streams_records_dropped_total,counts,null_key": 1,
            "streams_records_dropped_total,divide,skip": 5,
            "streams_restore_records_total": 0,
            "streams_compiled": 0,
        }
        again = Worker(app(tmp_path, store), Silent(), until_end=True)
        await again.run()
        restored = figures(again)["streams_restore_records_total"]
        assert restored > 0 if store == "memory" else restored == 0


async def test_the_manual_has_every_metric(tmp_path: Path) -> None:
    page = (Path(__file__).parents[3] / "docs" / "reference" / "metrics.md").read_text(encoding="utf-8")
    made = app(tmp_path, "memory")
    async with made.client() as client:
        await client.send_many("numbers", [("a", 0)])
        worker = Worker(made, Silent(), until_end=True)
        await worker.run()
    assert {name for name in figures(worker) if f"`{name.partition(',')[0]}" not in page} == set()


async def test_what_was_dropped_is_told(tmp_path: Path) -> None:
    told: list[Stopped] = []

    class Watcher(Silent):
        def stopped(self, summary: Stopped) -> None:
            told.append(summary)

    made = app(tmp_path, "memory")
    async with made.client() as client:
        await client.send_many("numbers", [("a", 0), (None, 0)])
        await Worker(made, Watcher(), until_end=True).run()
    assert told[0].dropped == (("counts", "null_key", 1), ("divide", "skip", 2))
