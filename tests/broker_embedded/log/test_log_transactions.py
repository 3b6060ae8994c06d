from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from broker_embedded import records

fast = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

PRODUCERS = st.sampled_from([1, 2, 3])
steps = st.lists(
    st.one_of(
        st.tuples(st.just("plain"), st.integers(1, 3)),
        st.tuples(st.just("write"), PRODUCERS, st.integers(1, 3)),
        st.tuples(st.just("commit"), PRODUCERS),
        st.tuples(st.just("abort"), PRODUCERS),
        st.tuples(st.just("restart")),
        st.tuples(st.just("crash")),
        st.tuples(st.just("sync")),
    ),
    max_size=40,
)


class Model:
    """Every offset with the transaction it belongs to; a transaction is open, committed or aborted."""

    def __init__(self) -> None:
        self.rows: list[str | None] = []
        self.states: dict[str, str] = {}
        self.current: dict[int, str] = {}
        self.first: dict[int, int] = {}

    def write(self, producer_id: int, count: int) -> None:
        if producer_id not in self.current:
            name = self.current[producer_id] = f"{producer_id}/{len(self.rows)}"
            self.states[name] = "open"
            self.first[producer_id] = len(self.rows)
        self.rows += [self.current[producer_id]] * count

    def end(self, producer_id: int, state: str) -> None:
        self.states[self.current.pop(producer_id, "")] = state
        self.first.pop(producer_id, None)
        self.rows.append("marker")

    @property
    def stable(self) -> int:
        return min(self.first.values(), default=len(self.rows))

    def visible(self) -> list[int]:
        return [
            offset
            for offset, name in enumerate(self.rows[: self.stable])
            if name is None or self.states.get(name) == "committed"
        ]


def _read_committed(lab: Any, log: Any, max_bytes: int) -> list[int]:
    """As a consumer does it: a batch of an aborted producer is skipped until its marker."""
    offset, seen = 0, []
    while (result := log.read(offset, max_bytes, isolation="read_committed")).data:
        aborted = sorted(result.aborted, key=lambda pair: pair[1])
        skipping: set[int] = set()
        for header, batch in records.batches(result.data[0]):
            while aborted and aborted[0][1] <= header.last_offset:
                skipping.add(aborted.pop(0)[0])
            if header.is_control:
                if records.read_control(batch) is False:
                    skipping.discard(header.producer_id)
            elif not (header.is_transactional and header.producer_id in skipping):
                seen += range(header.base_offset, header.next_offset)
        offset = result.next_offset
    assert offset == log.last_stable_offset
    return seen


@fast
@given(steps, st.integers(300, 1_500), st.integers(0, 1_000))
def test_interleaved_transactions(lab: Any, steps: list[Any], segment_bytes: int, max_bytes: int) -> None:
    config = {"segment_bytes": segment_bytes, "index_interval_bytes": 100}
    log, model = lab.open(**config), Model()
    sequences = dict.fromkeys((1, 2, 3), 0)
    for name, *arguments in steps:
        match name, arguments:
            case "plain", [count]:
                log.append(lab.batch(count))
                model.rows += [None] * count
            case "write", [producer_id, count]:
                log.append(lab.produce(producer_id, sequences[producer_id], count, txn=True))
                sequences[producer_id] += count
                model.write(producer_id, count)
            case (("commit" | "abort"), [producer_id]):
                log.append_marker(producer_id, 0, commit=name == "commit")
                model.end(producer_id, "committed" if name == "commit" else "aborted")
            case "restart", _:
                log = lab.restart(log, **config)
            case "crash", _:
                log = lab.crash(log, **config)
            case "sync", _:
                log.sync()
        assert log.log_end_offset == len(model.rows)
        assert log.last_stable_offset == model.stable
        assert log.open_transactions() == model.first
    assert _read_committed(lab, log, max_bytes) == model.visible()
    lab.release()


def test_aborted_are_those_that_touch_what_was_read(lab: Any) -> None:
    log = lab.open()
    for producer_id in (1, 2):
        log.append(lab.produce(producer_id, 0, txn=True))  # offsets 0 and 2
        log.append_marker(producer_id, 0, commit=False)  # 1 and 3
    log.append(lab.batch())  # 4
    one = len(lab.batch())
    assert log.read(0, one, isolation="read_committed").aborted == [(1, 0)]
    assert log.read(2, one, isolation="read_committed").aborted == [(2, 2)]
    assert log.read(0, 1 << 20, isolation="read_committed").aborted == [(1, 0), (2, 2)]
    assert log.read(4, one, isolation="read_committed").aborted == []
    assert log.read(0, 1 << 20).aborted == []


def test_aborted_that_begin_later_are_left_out(lab: Any) -> None:
    log = lab.open()
    for producer_id in (1, 2):
        log.append(lab.produce(producer_id, 0, txn=True))  # offsets 0 and 1
    for producer_id in (2, 1):
        log.append_marker(producer_id, 0, commit=False)
    assert log.read(0, 1, isolation="read_committed").aborted == [(1, 0)]


def test_transaction_index_has_kafkas_layout(lab: Any) -> None:
    log = lab.open()
    log.append(lab.batch())
    log.append(lab.produce(1, 0, txn=True))
    log.append(lab.produce(2, 0, txn=True))
    log.append_marker(1, 0, commit=False)
    log.append_marker(2, 0, commit=False)
    log.close()
    entries = [(1, 1, 3, 2), (2, 2, 4, 5)]  # producer, first, last, last stable offset afterwards
    expected = b"".join(b"\0\0" + b"".join(number.to_bytes(8) for number in entry) for entry in entries)
    assert (log.folder / f"{0:020d}.txnindex").read_bytes() == expected


def test_an_abort_that_was_synced_is_still_written_by_close(lab: Any) -> None:
    log = lab.open()
    log.append(lab.produce(1, 0, txn=True))
    log = lab.restart(log)
    log.append_marker(1, 0, commit=False)
    log.sync()
    log = lab.restart(log)
    assert log.read(0, 1 << 20, isolation="read_committed").aborted == [(1, 0)]


def test_a_marker_without_a_transaction_changes_nothing(lab: Any) -> None:
    log = lab.open()
    log.append_marker(1, 0, commit=False)
    log.append(lab.batch())
    assert log.last_stable_offset == 2
    assert log.read(0, 1 << 20, isolation="read_committed").aborted == []
    log.close()
    assert lab.names(log, ".txnindex") == []


def test_the_stable_offset_does_not_fall_below_the_start(lab: Any) -> None:
    log = lab.open()
    log.append(lab.produce(1, 0, 5, txn=True))
    assert log.delete_records(3) == 3
    assert log.last_stable_offset == 3
