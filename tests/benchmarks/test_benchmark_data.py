"""The data sets are what the workloads say they are, and the bounds and the facts agree on every answer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import numpy as np
import pytest

from benchmarks import data, messy, workload
from benchmarks.data import FIRST_MS, Dataset

WITH_BOUND = ("windowed", "windowed-short", "stateless", "agent", "join", "keyed")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(data, "CACHE", tmp_path)
    yield tmp_path


def test_events_has_the_groups_the_workload_states() -> None:
    facts = Dataset("events", 1_000_000).facts
    assert len(np.unique(facts.user * 100 + (facts.ts - FIRST_MS) // 10_000)) == 216_143
    assert facts.amount.min() >= 0 and facts.amount.max() <= 500


def test_a_longer_run_repeats_the_events_with_time_moved_on() -> None:
    facts = Dataset("events", 1_000_010).facts
    assert facts.user[1_000_000:].tolist() == facts.user[:10].tolist()
    assert facts.amount[1_000_000:].tolist() == facts.amount[:10].tolist()
    assert (facts.ts[1_000_000:] - facts.ts[:10]).tolist() == [1_000_000] * 10


def test_a_smaller_run_is_the_head_of_a_larger_one() -> None:
    assert Dataset("events", 500).values() == Dataset("events", 1000).values()[:500]


def test_a_value_of_events_is_the_fact() -> None:
    events = Dataset("events", 100)
    decoded = [json.loads(value) for value in events.values()]
    assert [tuple(value) for value in decoded] == [("user", "amount", "ts")] * 100
    assert [value["amount"] for value in decoded] == events.facts.amount.tolist()
    assert [value["ts"] for value in decoded] == events.facts.ts.tolist()


def test_messy_says_the_same_facts_differently() -> None:
    events, mess = Dataset("events", 20_000), Dataset("messy", 20_000)
    decoded = {}
    for value, decodable in zip(mess.values(), mess.facts.decodable, strict=True):
        if decodable:
            fact = json.loads(value)
            decoded[fact["ts"]] = fact
        else:
            with pytest.raises(ValueError):
                json.loads(value)
    amounts = dict(zip(events.facts.ts.tolist(), events.facts.amount.tolist(), strict=True))
    assert all(fact.get("amount") in (None, amounts[ts]) for ts, fact in decoded.items())
    users = dict(zip(events.facts.ts.tolist(), events.facts.user.tolist(), strict=True))
    assert all(fact["user"] == events.key(users[ts]).decode() for ts, fact in decoded.items())
    assert len(decoded) + np.count_nonzero(~mess.facts.decodable) == 20_000


def test_messy_is_as_messy_as_stated() -> None:
    mess = Dataset("messy", 50_000)
    values, facts = mess.values(), mess.facts
    assert 280 < np.mean([len(value) for value in values]) < 330
    escaped = [b"\\" in value or not value.isascii() for value in values]
    assert np.mean(escaped) == pytest.approx(messy.ESCAPED, abs=0.01)
    assert np.mean(np.isnan(facts.amount)) == pytest.approx(messy.WITHOUT_AMOUNT, abs=0.01)
    assert np.mean(~facts.decodable) == pytest.approx(messy.UNDECODABLE, abs=0.001)
    youngest = np.maximum.accumulate(facts.ts)
    assert np.mean(facts.ts < youngest) == pytest.approx(messy.OUT_OF_ORDER, abs=0.01)
    assert (youngest - facts.ts).max() < messy.LATENESS_MS
    assert len({tuple(json.loads(value)) for value in values[:1000] if value.endswith(b"}")} - {()}) > 100


def test_updates_reach_every_key_as_often() -> None:
    facts = Dataset("updates", 4_000).facts
    assert np.bincount(facts.user).tolist() == [4] * 1_000


@pytest.mark.parametrize("name", ["events", "messy"])
def test_batches_hold_the_values_of_their_partition_in_order(name: str) -> None:
    from broker_embedded import records

    dataset = Dataset(name, 5_000)
    values, partitions = dataset.values(), dataset.partitions()
    for partition in range(data.PARTITIONS):
        rows = np.flatnonzero(partitions == partition)
        found = [records.decode(batch) for _, batch in records.batches(dataset.batches(partition))]
        assert [value for batch in found for value in batch.values()] == [values[row] for row in rows]
        keys = list(chain.from_iterable(batch.keys() for batch in found))
        assert keys == [dataset.key(user) for user in dataset.facts.user[rows]]
        assert [ts for batch in found for ts in batch.timestamps.tolist()] == dataset.facts.ts[rows].tolist()


def test_closing_records_come_an_hour_later_to_each_partition() -> None:
    from broker_embedded import records

    dataset = Dataset("events", 1_000)
    for partition in range(data.PARTITIONS):
        closing = records.decode(dataset.closing(partition))
        assert closing.timestamps.tolist() == [FIRST_MS + 999 + 3_600_000]
        keys = closing.keys()
        assert [data.partition_of(key) for key in keys if key] == [partition]


def test_a_cached_data_set_is_read_again(cache: Path) -> None:
    made = Dataset("events", 100).values()
    assert [folder.name for folder in cache.iterdir()] == [f"events-100-v{data.FORMAT}"]
    assert Dataset("events", 100).values() == made


@pytest.mark.parametrize("dataset", ["events", "messy"])
@pytest.mark.parametrize("name", WITH_BOUND)
def test_the_bound_gives_the_answer_of_the_facts(name: str, dataset: str) -> None:
    module = workload.load(name)
    inputs = module.inputs(dataset, 20_000)
    done = module.bound({topic: data.values() for topic, data in inputs.items()})
    workload.check(module.answer(done), module.expected(inputs))


@pytest.mark.parametrize("dataset", ["events", "messy"])
def test_the_compiled_bound_gives_the_answer_of_the_facts(dataset: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("numba", reason="the extra `fast`: pip install streams-engine[fast]")
    from benchmarks import bound_kernel
    from streams.spans import Spans

    monkeypatch.setattr(bound_kernel, "CHUNK", 3_000)
    data = Dataset(dataset, 20_000)
    blob, stops = data.packed_values()
    done = bound_kernel.windowed(Spans(blob, np.concatenate([[0], stops[:-1]]), stops))
    workload.check(bound_kernel.answer(done), workload.load("windowed").expected({"events": data}))


@pytest.mark.parametrize("found", [{"a": 1}, {"a": 1, "b": 3}, {"a": 1, "b": 2, "c": 3}])
def test_a_wrong_answer_is_refused(found: workload.Answer) -> None:
    with pytest.raises(workload.WrongAnswerError, match=r"1 of 2 entries differ"):
        workload.check(found, {"a": 1, "b": 2})
