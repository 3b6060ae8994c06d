"""Outputs: records by topic and partition, in order, as record batches of bounded size."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from broker_embedded import records
from streams import lane as lane_module
from streams.lane import BATCH_BYTES_MAX
from streams.operators.outputs import Outputs
from streams.partitioner import partition_for
from streams.spans import Spans

Read = dict[tuple[str, int], list[Any]]


def read(outputs: Outputs) -> tuple[Read, list[int]]:
    """(key, value, timestamp, headers) by partition, and the number of records of each batch."""
    found: Read = {}
    counts = []
    for tp, data, count in outputs.drain():
        part = records.decode(memoryview(data))
        rows = zip(part.keys(), part.values(), part.timestamps.tolist(), part.headers(), strict=True)
        found.setdefault(tuple(tp), []).extend(rows)
        assert count == len(part)
        counts.append(count)
    return found, counts


def made(partitions: int = 1, codec: str = "none") -> Outputs:
    return Outputs(lambda topic: partitions, lambda topic: codec)


@pytest.mark.parametrize("partitions", [1, 2, 7])
def test_every_record_lies_in_the_partition_of_its_key_in_order(partitions: int) -> None:
    outputs = made(partitions)
    keys = [f"k{n % 13}".encode() for n in range(100)]
    for at in range(0, 100, 9):
        piece = keys[at : at + 9]
        outputs.add("out", piece, [str(at + n).encode() for n in range(len(piece))], list(range(at, at + len(piece))))
    assert outputs.pending_records == 100
    found, _ = read(outputs)
    assert outputs.pending_records == 0
    for (_, partition), rows in found.items():
        assert {partition_for(key, partitions) for key, *_ in rows} == {partition}
        assert [time for _, _, time, _ in rows] == sorted(time for _, _, time, _ in rows)
        assert [(keys[time], str(time).encode()) for *_, time, _ in rows] == [row[:2] for row in rows]
    assert sum(map(len, found.values())) == 100


def test_records_without_a_key_go_round_together() -> None:
    outputs = made(3)
    for n in range(6):
        outputs.add("out", [None, b"k", None], [b"%d" % n] * 3, [n] * 3)
    found, _ = read(outputs)
    keyed = partition_for(b"k", 3)
    assert [row[2] for row in found["out", keyed] if row[0] == b"k"] == list(range(6))
    without = {p: [row[2] for row in found["out", p] if row[0] is None] for p in range(3)}
    assert sorted(map(len, without.values())) == [4, 4, 4]
    assert all(times[::2] == times[1::2] for times in without.values())


def test_a_given_partition_wins() -> None:
    outputs = made(3)
    outputs.add("out", [b"a", None, b"b"], [b"1", b"2", None], [1, 2, 3], partition=2)
    assert read(outputs)[0] == {("out", 2): [(b"a", b"1", 1, []), (None, b"2", 2, []), (b"b", None, 3, [])]}


@pytest.mark.parametrize("first", [True, False])
def test_headers_stay_with_their_records(first: bool) -> None:
    outputs = made()
    with_headers: list[Any] = [[("h", b"1")], []]
    for headers in (with_headers, None) if first else (None, with_headers):
        outputs.add("out", [b"a", b"b"], [b"1", b"2"], [0, 0], headers)
    rows = read(outputs)[0]["out", 0]
    assert [row[3] for row in rows] == ([[("h", b"1")], [], [], []] if first else [[], [], [("h", b"1")], []])


def test_headers_are_spread_with_their_records() -> None:
    outputs = made(4)
    keys = [f"k{n}".encode() for n in range(20)]
    outputs.add("out", keys, keys, [0] * 20, [[("key", key)] for key in keys])
    assert all(row[3] == [("key", row[0])] for rows in read(outputs)[0].values() for row in rows)


def test_batches_have_a_bounded_number_of_records(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lane_module, "BATCH_RECORDS_MAX", 4)
    outputs = made()
    for n in range(10):
        outputs.add("out", [b"k"], [b"%d" % n], [n])
    found, counts = read(outputs)
    assert [row[2] for row in found["out", 0]] == list(range(10))
    assert max(counts) <= 4


def test_batches_have_a_bounded_size_and_one_large_record_is_sent_alone() -> None:
    outputs = made()
    values = [bytes([n]) * 200_000 for n in range(12)] + [b"x" * 2_000_000, b"y"]
    outputs.add("out", [b"k"] * 14, values, [0] * 14)
    batches = list(outputs.drain())
    assert [v for _, data, _ in batches for v in records.decode(memoryview(data)).values()] == values
    assert all(len(data) <= BATCH_BYTES_MAX or count == 1 for _, data, count in batches)


def test_topics_have_their_own_codec() -> None:
    outputs = Outputs(lambda topic: 1, lambda topic: "zstd" if topic == "small" else "none")
    for topic in ("small", "plain"):
        outputs.add(topic, [b"k"] * 50, [b"again and again"] * 50, [0] * 50)
    sizes = {tp.topic: len(data) for tp, data, _ in outputs.drain()}
    assert sizes["small"] < sizes["plain"] / 3


def test_nothing_added_is_nothing_sent() -> None:
    outputs = made()
    outputs.add("out", [], [], [])
    assert (outputs.pending_records, list(outputs.drain())) == (0, [])


def test_what_one_takes_of_another_goes_behind_its_own_in_one_batch() -> None:
    first, other = Outputs(lambda topic: 2, lambda topic: "none"), Outputs(lambda topic: 2, lambda topic: "none")
    first.add("out", [b"a"], [b"1"], [1], partition=0)
    other.add("out", [b"b"], [b"2"], [2], [(("h", b"x"),)], partition=0)
    other.add("out", [b"c"], [b"3"], [3], partition=1)
    first.take(other)
    assert (first.pending_records, other.pending_records, list(other.drain())) == (3, 0, [])
    batches = {tp.partition: records.decode(bytes(batch)) for tp, batch, _ in first.drain()}
    assert {partition: batch.values() for partition, batch in batches.items()} == {0: [b"1", b"2"], 1: [b"3"]}


def spans(data: list[bytes | None]) -> Spans:
    lengths = np.array([0 if one is None else len(one) for one in data])
    missing, stops = np.array([one is None for one in data]), np.cumsum(lengths)
    buffer = b"".join(one or b"" for one in data)
    return Spans(buffer, np.where(missing, -1, stops - lengths), np.where(missing, -1, stops))


@pytest.mark.parametrize("partitions", [1, 3])
def test_spans_go_where_lists_go_and_in_between(partitions: int) -> None:
    keys: list[bytes | None] = [b"a", b"bb", None, b"", b"ccc", b"a"]
    values: list[bytes | None] = [b"1", None, b"", b"4", b"five", b"6"]
    one, other = made(partitions), made(partitions)
    for outputs in (one, other):
        outputs.add("out", [b"a"], [b"0"], [1], [[("h", b"1")]])
    one.add_spans("out", spans(keys), spans(values), np.arange(6))
    other.add("out", keys, values, list(range(6)))
    one.add_spans("out", spans(keys), spans(values), np.arange(6), partition=0)
    other.add("out", keys, values, list(range(6)), partition=0)
    for outputs in (one, other):
        outputs.add("out", [b"a"], [b"7"], [1])
    assert one.pending_records == other.pending_records == 14
    taken = made(partitions)
    taken.take(one)
    assert (one.pending_records, taken.pending_records) == (0, 14)
    assert read(taken) == read(other)
