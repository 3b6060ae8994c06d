from __future__ import annotations

import struct
from collections import deque
from typing import Any

import pytest
from fastcrc import crc32
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from broker_embedded import errors
from broker_embedded.log.producers import CorruptSnapshotError, ProducerStateManager

fast = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

GAP = errors.OutOfOrderSequenceNumberError
FENCED = errors.InvalidProducerEpochError
TOP = 2**31 - 1


@pytest.mark.parametrize(
    "steps",
    [
        # (epoch, sequence, count) -> base offset of the append or of what it repeats, or the error
        [((0, 0, 1), 0), ((0, 1, 2), 1), ((0, 3, 1), 3)],
        [((0, 0, 1), 0), ((0, 2, 1), GAP), ((0, 1, 1), 1)],
        [((0, 0, 3), 0), ((0, 1, 1), GAP)],
        [((0, 0, 3), 0), ((0, 0, 3), 0), ((0, 3, 1), 3), ((0, 0, 3), 0)],
        [((0, 0, 3), 0), ((0, 0, 2), GAP)],
        [*[((0, n, 1), n) for n in range(6)], ((0, 1, 1), 1), ((0, 0, 1), GAP)],
        [((0, 500, 1), 0), ((0, 501, 1), 1)],
        [((3, 0, 1), 0), ((2, 1, 1), FENCED), ((3, 1, 1), 1)],
        [((0, 0, 1), 0), ((1, 1, 1), GAP), ((1, 0, 1), 1), ((0, 1, 1), FENCED)],
        [((0, 0, 1), 0), ((1, 0, 1), 1), ((1, 0, 1), 1)],
        [((0, TOP, 1), 0), ((0, 0, 1), 1), ((0, 1, 1), 2)],
        [((0, TOP - 1, 4), 0), ((0, 2, 1), 4), ((0, TOP - 1, 4), 0), ((0, 1, 1), GAP)],
    ],
    ids=[
        "in order",
        "gap",
        "overlap",
        "repeated, also later",
        "same start, other length",
        "five are remembered",
        "an unknown producer may begin anywhere",
        "old epoch",
        "a new epoch begins at 0",
        "repeated in a new epoch",
        "wraps",
        "wraps inside a batch",
    ],
)
def test_sequences(lab: Any, steps: list[Any]) -> None:
    log = lab.open()
    for (epoch, sequence, count), expected in steps:
        batch = lab.produce(5, sequence, count, epoch)
        end = log.log_end_offset
        if isinstance(expected, int):
            appended = log.append(batch)
            assert (appended.base_offset, appended.last_offset) == (expected, expected + count - 1)
            assert appended.is_duplicate == (expected < end)
        else:
            with pytest.raises(expected, match="orders-0: producer 5"):
                log.append(batch)
            assert log.log_end_offset == end


class Model:
    """The rule in a few lines: what was appended, of which the last five of an epoch answer again."""

    def __init__(self) -> None:
        self.epoch, self.next, self.end = -1, 0, 0
        self.last: deque[tuple[int, int, int]] = deque(maxlen=5)

    def append(self, epoch: int, sequence: int, count: int) -> int | type[Exception]:
        for first, number, offset in self.last:
            if (epoch, sequence, count) == (self.epoch, first, number):
                return offset
        if epoch < self.epoch:
            return FENCED
        expected = sequence if self.epoch == -1 else self.next if epoch == self.epoch else 0
        if sequence != expected:
            return GAP
        if epoch != self.epoch:
            self.last.clear()
        self.epoch, self.next, self.end = epoch, sequence + count, self.end + count
        self.last.append((sequence, count, self.end - count))
        return self.end - count


@fast
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 9), st.integers(1, 2)), max_size=40))
def test_sequences_are_those_of_a_model(lab: Any, steps: list[tuple[int, int, int]]) -> None:
    log, model = lab.open(), Model()
    for epoch, sequence, count in steps:
        expected = model.append(epoch, sequence, count)
        try:
            found: Any = log.append(lab.produce(5, sequence, count, epoch)).base_offset
        except errors.KafkaError as error:
            found = type(error)
        assert found == expected
    assert log.log_end_offset == model.end


def test_producers_do_not_mix(lab: Any) -> None:
    log = lab.open()
    for sequence in range(3):
        for producer_id in (1, 2):
            log.append(lab.produce(producer_id, sequence))
    assert log.append(lab.produce(1, 1)).base_offset == 2


def test_records_of_the_broker_have_no_sequence(lab: Any) -> None:
    log = lab.open()
    log.append(lab.produce(5, -1, epoch=2, txn=True), verified=True)
    log.append(lab.produce(5, -1, epoch=2, txn=True), verified=True)
    assert log.log_end_offset == 2
    with pytest.raises(FENCED):
        log.append(lab.produce(5, -1, epoch=1, txn=True), verified=True)


def test_outside_of_an_open_transaction(lab: Any) -> None:
    log = lab.open()
    log.append(lab.produce(5, 0, txn=True))
    with pytest.raises(errors.InvalidTxnStateError, match="open since offset 0"):
        log.append(lab.produce(5, 1))
    log.append_marker(5, 0, commit=True)
    log.append(lab.produce(5, 1))


@pytest.mark.parametrize(
    ("epoch", "coordinator_epoch", "error"),
    [(3, 6, FENCED), (4, 5, errors.TransactionCoordinatorFencedError), (4, 6, None), (5, 7, None)],
)
def test_markers_are_fenced(lab: Any, epoch: int, coordinator_epoch: int, error: Any) -> None:
    log = lab.open()
    log.append(lab.produce(5, 0, epoch=4, txn=True))
    log.append_marker(5, 4, commit=True, coordinator_epoch=6)
    if error is None:
        log.append_marker(5, epoch, commit=True, coordinator_epoch=coordinator_epoch)
        assert log.append(lab.produce(5, 1 if epoch == 4 else 0, epoch=epoch)).base_offset == 3
    else:
        with pytest.raises(error):
            log.append_marker(5, epoch, commit=True, coordinator_epoch=coordinator_epoch)
        assert log.log_end_offset == 2


def test_a_marker_that_bumps_the_epoch_fences_the_old(lab: Any) -> None:
    log = lab.open()
    log.append(lab.produce(5, 0, txn=True))
    log.append_marker(5, 1, commit=False)
    with pytest.raises(FENCED):
        log.append(lab.produce(5, 1, txn=True))
    log.append(lab.produce(5, 0, epoch=1, txn=True))


def test_producers_expire_by_the_clock_not_by_their_records(lab: Any) -> None:
    log = lab.open(producer_id_expiration_ms=1_000, retention_ms=-1)
    log.append(lab.batch(timestamp=5, producer_id=1, producer_epoch=0, base_sequence=0))
    log.append(lab.produce(2, 0, txn=True))
    log.enforce_retention()
    assert len(log.producers) == 2
    lab.now_ms += 1_000
    log.enforce_retention()
    assert [log.producers.get(producer_id) is None for producer_id in (1, 2)] == [True, False]


def test_snapshot_has_kafkas_layout(lab: Any) -> None:
    log = lab.open()
    log.append(lab.produce(7, 40, 3, epoch=2))
    log.append(lab.produce(8, 0, 1, epoch=0, txn=True))
    log.append_marker(9, 6, commit=True, coordinator_epoch=4)
    log.close()
    data = (log.folder / f"{5:020d}.snapshot").read_bytes()
    rows = [
        (7, 2, 42, 2, 2, lab.now_ms, -1, -1),
        (8, 0, 0, 3, 0, lab.now_ms, -1, 3),
        (9, 6, -1, -1, 0, lab.now_ms, 4, -1),
    ]
    body = struct.pack(">i", 3) + b"".join(struct.pack(">qhiqiqiq", *row) for row in rows)
    assert data == struct.pack(">hI", 1, crc32.iscsi(body)) + body


def test_snapshot_comes_back(lab: Any) -> None:
    log = lab.restart(_some_producers(lab))
    assert log.append(lab.produce(7, 40, 3, epoch=2)) == (0, 2, lab.now_ms, True)
    assert log.open_transactions() == {8: 3, 6: 4}
    assert list(log.open_transactions()) == [8, 6]
    with pytest.raises(errors.TransactionCoordinatorFencedError):
        log.append_marker(9, 6, commit=True, coordinator_epoch=3)


def _some_producers(lab: Any) -> Any:
    log = lab.open()
    log.append(lab.produce(7, 40, 3, epoch=2))
    log.append(lab.produce(8, 0, 1, epoch=0, txn=True))
    log.append(lab.produce(6, TOP, 2, epoch=0, txn=True))
    log.append_marker(9, 6, commit=True, coordinator_epoch=4)
    return log


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[:-1],
        lambda data: data + b"x",
        lambda data: b"\0\2" + data[2:],
        lambda data: data[:20] + bytes([data[20] ^ 1]) + data[21:],
    ],
)
def test_damaged_snapshot(lab: Any, damage: Any) -> None:
    data = _some_producers(lab).producers.to_snapshot()
    producers = ProducerStateManager("orders-0")
    producers.load_snapshot(data, 0)
    with pytest.raises(CorruptSnapshotError):
        producers.load_snapshot(damage(data), 0)
    assert len(producers) == 4
