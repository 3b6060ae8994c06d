"""A partition as the task reads it: what is taken, in which pieces, and which offset may be committed."""

from __future__ import annotations

from operator import itemgetter
from types import SimpleNamespace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

import streams
from broker_embedded import records
from streams.batch import Batch
from streams.operators.base import NO_TIME
from streams.operators.sources.source import Marker, SourceOperator, Undecodable
from streams.runtime import queue as queue_module
from streams.runtime.queue import PartitionQueue
from streams.runtime.stream_time import marker
from streams.transport.contract import Fetched, TopicPartition

TP = TopicPartition("numbers", 0)


class Failures:
    """Says whether a record that does not decode ends the app, and keeps the offsets of those that do not."""

    def __init__(self, stops: bool) -> None:
        self._stops = stops
        self.given_up: list[int] = []

    def stops(self, node: object) -> bool:
        return self._stops

    def give_up(self, node: object, record: Batch, index: int, error: Exception) -> None:
        self.given_up.append(int(record.offsets[index]))


def queue(offset: int = 0, *, internal: bool = False, failures: Failures | None = None) -> PartitionQueue:
    context: Any = SimpleNamespace(failures=failures or Failures(stops=True))
    app = streams.App("bench")
    stream = app.topic("numbers", key_type=str, value_type=int).stream()
    node = (stream.repartition(name="moved") if internal else stream).node
    return PartitionQueue(TP, SourceOperator(node, context), offset)


def raw(base: int, *values: int | bytes, times: list[int] | None = None, key: bytes | None = b"k") -> memoryview:
    encoded = [value if isinstance(value, bytes) else b"%d" % value for value in values]
    stamps = list(range(base, base + len(values))) if times is None else times
    return memoryview(records.encode([key] * len(values), encoded, stamps, base_offset=base))


def fetched(start: int, next_offset: int, *data: memoryview, end: int | None = None) -> Fetched:
    end = next_offset if end is None else end
    return Fetched(TP, list(data), start, next_offset, end, end, 0)


def taken(made: PartitionQueue, count: int = 1_000, until: int | None = None) -> Any:
    run = made.take(count, until)
    return run.values if isinstance(run, Batch) else run


def test_runs_of_at_most_so_many_records() -> None:
    made = queue()
    made.offer(fetched(0, 5, raw(0, 1, 2, 3), raw(3, 4, 5)))
    assert [taken(made, 2), made.consumed] == [[1, 2], 2]
    assert [taken(made, 2), made.consumed] == [[3, 4], 4]
    assert [taken(made, 2), made.consumed, made.is_empty()] == [[5], 5, True]
    assert taken(made) is None


def test_a_run_ends_before_what_is_later_but_for_its_first() -> None:
    made = queue()
    made.offer(fetched(0, 5, raw(0, 1, 2, 3, 4, 5, times=[10, 20, 15, 30, 5])))
    assert made.head() == 10
    assert [taken(made, until=20), made.stream_time, made.head()] == [[1, 2, 3], 20, 30]
    assert [taken(made, until=7), made.stream_time, made.head()] == [[4], 30, 5]
    assert [taken(made, until=4), made.stream_time, made.head()] == [[5], 30, None]


def test_a_start_in_the_middle_of_a_batch() -> None:
    made = queue(2)
    made.offer(fetched(2, 4, raw(0, 1, 2, 3, 4)))
    assert [taken(made), made.consumed] == [[3, 4], 4]


def test_gaps_count_as_consumed_only_when_all_before_them_is() -> None:
    """Control records, aborted data, what compaction removed."""
    made = queue()
    made.offer(fetched(0, 9, raw(0, 1, 2)))
    assert [taken(made, 1), made.consumed] == [[1], 1]
    assert [taken(made, 1), made.consumed] == [[2], 9]
    made.offer(fetched(9, 12))
    assert (made.consumed, made.is_empty()) == (12, True)
    made.offer(fetched(12, 20, raw(15, 3, 4)))
    assert [taken(made, 1), made.consumed] == [[3], 16]


def test_lagging_is_to_know_of_more_than_is_here() -> None:
    made = queue()
    assert not made.lagging()
    made.offer(fetched(0, 2, raw(0, 1, 2), end=10))
    assert not made.lagging()
    taken(made)
    assert made.lagging()
    made.offer(fetched(2, 10, raw(2, 3), end=10))
    taken(made)
    assert not made.lagging()


def test_what_does_not_decode_is_taken_in_its_place() -> None:
    made = queue()
    made.offer(fetched(0, 4, raw(0, 1, b"x", b"y", 4)))
    assert taken(made) == [1]
    for offset in (1, 2):
        assert made.head() == 0
        run = taken(made)
        assert isinstance(run, Undecodable) and run.offset == offset and made.consumed == offset + 1
    assert [taken(made), made.consumed] == [[4], 4]


def test_what_does_not_decode_and_ends_nothing_goes_with_the_records_beside_it() -> None:
    failures = Failures(stops=False)
    made = queue(failures=failures)
    made.offer(fetched(0, 8, raw(0, b"a", 1, b"b", 3, b"c", 5, b"d", b"e")))
    assert [taken(made, 1), made.consumed, failures.given_up] == [[1], 2, [0]]
    assert [taken(made), made.consumed, failures.given_up] == [[3, 5], 6, [0, 2, 4]]
    assert [taken(made).offset, taken(made).offset, made.consumed, made.is_empty()] == [6, 7, 8, True]


def test_what_stood_beside_records_that_a_rule_leaves_out_comes_alone() -> None:
    failures = Failures(stops=False)
    made = queue(failures=failures)
    made.source._timed = lambda batch: []  # type: ignore[method-assign]
    made.offer(fetched(0, 3, raw(0, b"a", 1, 2)))
    assert not made.is_empty()
    assert [taken(made).offset, made.consumed, failures.given_up, made.is_empty()] == [0, 3, [], True]


def test_markers_are_taken_in_their_place() -> None:
    made = queue(internal=True)
    made.offer(fetched(0, 5, raw(0, marker(0, 7, False), key=None), raw(1, 1, 2), raw(3, marker(0, 9, True), key=None)))
    assert made.head() == NO_TIME
    first = taken(made)
    assert isinstance(first, Marker) and first.offset == 0 and made.consumed == 1
    assert [taken(made, 1), made.consumed, made.head()] == [[1], 2, 2]
    assert [taken(made, 1), made.consumed, made.head()] == [[2], 3, 2]
    assert isinstance(taken(made), Marker) and made.consumed == 5


def test_many_small_batches_are_decoded_together_up_to_a_bound(monkeypatch: Any) -> None:
    monkeypatch.setattr(queue_module, "DECODE_RECORDS", 4)
    made = queue()
    made.offer(fetched(0, 12, *[raw(at, at, at + 1) for at in range(0, 12, 2)]))
    assert [taken(made) for _ in range(3)] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]
    made.offer(fetched(12, 18, raw(12, *range(6))))
    assert taken(made) == list(range(6))


PIECES = st.lists(
    st.tuples(st.integers(0, 3), st.lists(st.sampled_from([1, 2, b"x"]), min_size=1, max_size=5)), max_size=6
)


@settings(max_examples=100, deadline=None)
@given(
    pieces=PIECES,
    counts=st.lists(st.integers(1, 6), min_size=1),
    start=st.integers(0, 12),
    fetches=st.integers(1, 3),
    stops=st.booleans(),
)
def test_every_record_is_taken_once_and_the_offset_to_commit_is_never_beyond(
    pieces: list[Any], counts: list[int], start: int, fetches: int, stops: bool
) -> None:
    batches: list[tuple[int, int, memoryview]] = []
    end = 0
    expected: list[tuple[int, Any]] = []
    for gap, values in pieces:
        base = end + gap
        batches.append((base, base + len(values), raw(base, *values)))
        expected += [(base + n, value) for n, value in enumerate(values) if base + n >= start]
        end = base + len(values)
    failures = Failures(stops)
    made = queue(start, failures=failures)
    found: list[tuple[int, Any]] = []
    calls = 0
    while True:
        if made.is_empty():
            more = [batch for batch in batches if batch[1] > made.fetch_offset][:fetches]
            if not more:
                break
            made.offer(fetched(made.fetch_offset, more[-1][1], *[data for _, _, data in more], end=end))
        run = made.take(counts[calls % len(counts)], None)
        calls += 1
        if isinstance(run, Batch):
            assert len(run) <= counts[(calls - 1) % len(counts)]
            found += zip(run.offsets.tolist(), run.values, strict=True)
        elif isinstance(run, Undecodable):
            found.append((run.offset, b"x"))
        found += [(offset, b"x") for offset in failures.given_up]
        failures.given_up.clear()
        found.sort(key=itemgetter(0))
        left = [offset for offset, _ in expected[len(found) :]]
        assert all(offset >= made.consumed for offset in left)
        assert all(offset < made.consumed for offset, _ in found)
    assert found == expected


def test_what_comes_behind_its_end_is_left_alone() -> None:
    made = queue()
    made.offer(fetched(0, 2, raw(0, 1, 2), end=4))
    made.ends = True
    assert [taken(made), made.lagging(), made.wants()] == [[1, 2], True, True]
    made.offer(fetched(2, 5, raw(2, 3, 4, 5), end=9))
    assert [taken(made), made.lagging(), made.wants()] == [[3, 4, 5], False, False]
