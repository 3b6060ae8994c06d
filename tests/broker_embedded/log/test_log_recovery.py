from __future__ import annotations

import itertools
import logging
import os
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from broker_embedded import errors

fast = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
SEGMENTS = {"segment_bytes": 600, "index_interval_bytes": 100}


def _filled(lab: Any) -> Any:
    log = lab.open(**SEGMENTS)
    for number in range(29):
        if number % 5 == 4:
            log.append(lab.produce(9, number // 5 * 2, 2, txn=True))
            if number % 2:
                log.append_marker(9, 0, commit=number % 3 == 0)
        else:
            log.append(lab.batch(1 + number % 3, value_bytes=number, timestamp=1_000 + number * 37 % 11))
    return log


def _files(log: Any, *suffixes: str) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in log.folder.iterdir() if path.suffix in suffixes}


def _goes_on(lab: Any, log: Any) -> None:
    data, batch = lab.read_all(log), lab.batch(2)
    appended = log.append(batch)
    assert lab.read_all(log) == data + lab.stored(batch, appended.base_offset)


@fast
@given(st.data())
def test_any_cut_leaves_whole_batches(lab: Any, data: Any) -> None:
    log = _filled(lab)
    before = lab.read_all(log)
    folder = lab.kill(log)
    last = folder / lab.names(log, ".log")[-1]
    ends = list(itertools.accumulate(header.length_bytes for header in lab.headers(last.read_bytes())))
    kept_bytes = data.draw(st.integers(0, ends[-1]))
    with open(last, "r+b") as file:
        file.truncate(kept_bytes)
    log = lab.open(folder, clean=data.draw(st.booleans()), **SEGMENTS)
    whole_bytes = max(end for end in (0, *ends) if end <= kept_bytes)
    after = before[: len(before) - ends[-1] + whole_bytes]
    assert lab.read_all(log) == after
    assert log.log_end_offset == lab.headers(after)[-1].next_offset
    assert last.stat().st_size == whole_bytes
    _goes_on(lab, log)


@fast
@given(st.data())
def test_damage_in_the_tail_is_cut(lab: Any, data: Any) -> None:
    log = _filled(lab)
    before = lab.read_all(log)
    folder = lab.kill(log)
    last = folder / lab.names(log, ".log")[-1]
    content = bytearray(last.read_bytes())
    lengths = [header.length_bytes for header in lab.headers(content)]
    number = data.draw(st.integers(0, len(lengths) - 1))
    # Nothing in Kafka's format protects a batch's leader epoch, bytes 12 to 15.
    byte = data.draw(st.integers(0, lengths[number] - 1).filter(lambda at: not 12 <= at < 16))
    content[sum(lengths[:number]) + byte] ^= data.draw(st.integers(1, 255))
    last.write_bytes(content)
    log = lab.open(folder, clean=False, **SEGMENTS)
    assert lab.read_all(log) == before[: len(before) - len(content) + sum(lengths[:number])]
    _goes_on(lab, log)


@pytest.mark.parametrize("garbage", [bytes(5), bytes(1000), b"\xff" * 1000, b"abc"], ids=repr)
def test_garbage_behind_the_last_batch(lab: Any, garbage: bytes, caplog: pytest.LogCaptureFixture) -> None:
    log = _filled(lab)
    before = lab.read_all(log)
    folder = lab.kill(log)
    last = folder / lab.names(log, ".log")[-1]
    last.write_bytes(last.read_bytes() + garbage)
    with caplog.at_level(logging.WARNING):
        log = lab.open(folder, clean=False, recovery_point=log.log_end_offset, **SEGMENTS)
    assert lab.read_all(log) == before
    assert f"orders-0: {len(garbage)} bytes cut from the end of {last}" in caplog.text


@pytest.mark.parametrize("policy", ["delete", "compact"])
def test_damage_in_a_finished_segment_ends_the_log_there(lab: Any, policy: str) -> None:
    log = _filled(lab)
    before = lab.read_all(log)
    names = lab.names(log, ".log")
    folder = lab.kill(log)
    content = bytearray((folder / names[1]).read_bytes())
    first_bytes = lab.headers(content)[0].length_bytes
    content[first_bytes + 30] ^= 1
    (folder / names[1]).write_bytes(content)
    log = lab.open(folder, clean=False, cleanup_policy=policy, **SEGMENTS)
    assert lab.names(log, ".log") == names[:2]
    assert lab.read_all(log) == before[: (folder / names[0]).stat().st_size + first_bytes]
    _goes_on(lab, log)


def test_segments_below_the_recovery_point_are_not_checked(lab: Any) -> None:
    log = _filled(lab)
    names = lab.names(log, ".log")
    folder = lab.kill(log)
    content = bytearray((folder / names[0]).read_bytes())
    content[30] ^= 1
    (folder / names[0]).write_bytes(content)
    log = lab.open(folder, clean=False, recovery_point=int(names[1][:-4]) + 1, **SEGMENTS)
    assert lab.names(log, ".log") == names


def test_what_was_aborted_before_a_segment_was_finished_is_known(lab: Any) -> None:
    """The sync came before: it left the index of the aborted transactions out."""
    log = lab.open(segment_bytes=400)
    log.append(lab.produce(9, 0, txn=True))
    log.append_marker(9, 0, commit=False)
    log.sync()
    aborted = list(log._aborted.entries)
    log.append(lab.batch(1, value_bytes=300))
    folder = lab.kill(log)
    (folder / lab.names(log, ".txnindex")[0]).unlink()  # as a power cut may
    log = lab.open(folder, clean=False, recovery_point=log.recovery_point)
    assert log._aborted.entries == aborted


@pytest.mark.parametrize(
    ("policy", "is_synced", "segments"), [("delete", 0, 2), ("compact", 0, 2), ("compact", 1, None)]
)
def test_a_hole_between_segments_ends_the_log(lab: Any, policy: str, is_synced: bool, segments: int | None) -> None:
    """Compaction makes holes as well, but only in what is synced; it is looked at when an index is damaged."""
    log = _filled(lab)
    names = lab.names(log, ".log")
    folder = lab.kill(log)
    cut = lab.headers((folder / names[1]).read_bytes())[-1].length_bytes
    with open(folder / names[1], "r+b") as file:
        file.truncate((folder / names[1]).stat().st_size - cut)
    for name in lab.names(log, ".txnindex")[:1] if is_synced else ():
        (folder / name).write_bytes(b"damaged")
    recovery_point = log.log_end_offset if is_synced else 0
    log = lab.open(folder, clean=False, recovery_point=recovery_point, cleanup_policy=policy, **SEGMENTS)
    assert lab.names(log, ".log") == names[:segments]
    assert lab.read_all(log)[-100:] == (folder / names[:segments][-1]).read_bytes()[-100:]


def test_reading_comes_to_the_end_where_no_batch_is_left(lab: Any) -> None:
    log = _filled(lab)
    *_, before, last = lab.names(log, ".log")
    folder = lab.kill(log)
    os.truncate(folder / last, 0)
    kept = lab.headers((folder / before).read_bytes())[:-1]
    os.truncate(folder / before, sum(header.length_bytes for header in kept))
    log = lab.open(folder, clean=False, recovery_point=int(last[:-4]), cleanup_policy="compact", **SEGMENTS)
    assert log.log_end_offset == int(last[:-4]) > kept[-1].next_offset
    assert log.read(kept[-1].next_offset, 100) == log.read(log.log_end_offset, 100)


@fast
@given(st.sets(st.sampled_from([".index", ".timeindex", ".txnindex", ".snapshot"])), st.booleans())
def test_what_goes_with_the_segments_is_made_again(lab: Any, suffixes: set[str], damaged: bool) -> None:
    log = _filled(lab)
    open_before, aborted = log.open_transactions(), list(log._aborted.entries)
    log.close()
    before = _files(log, ".log", ".index", ".timeindex", ".txnindex")
    for path in list(log.folder.iterdir()):
        if path.suffix in suffixes:
            if damaged:
                path.write_bytes(b"\xff" * (len(path.read_bytes()) + 3))
            else:
                path.unlink()
    log = lab.open(log.folder, clean=False, **SEGMENTS)
    assert log.open_transactions() == open_before
    assert log._aborted.entries == aborted
    log.close()
    assert _files(log, ".log", ".index", ".timeindex", ".txnindex") == before


@pytest.mark.parametrize("damaged", [True, False])
def test_lost_indexes_after_a_clean_shutdown(lab: Any, damaged: bool) -> None:
    log = _filled(lab)
    before = lab.read_all(log)
    log.close()
    files = _files(log, ".index", ".timeindex", ".txnindex")
    for name in files:
        if damaged:
            (log.folder / name).write_bytes(b"\xff" * 13)
        elif not name.endswith(".txnindex"):
            (log.folder / name).unlink()
    log = lab.open(log.folder, **SEGMENTS)
    assert lab.read_all(log, 100) == before
    assert log.offset_for_timestamp(1_010) is not None
    assert _files(log, ".index", ".timeindex", ".txnindex") == files


def test_producers_come_from_the_newest_sound_snapshot(lab: Any) -> None:
    log = _filled(lab)
    log.append(lab.produce(77, 0))
    log.close()
    assert f"{log.log_end_offset:020d}.snapshot" in lab.names(log)
    for breaking in (lambda path: None, lambda path: path.write_bytes(b"no"), lambda path: path.unlink()):
        for path in sorted(log.folder.glob("*.snapshot"))[-2:]:
            breaking(path)
        log = lab.open(log.folder, **SEGMENTS)
        assert list(log.open_transactions()) == [9]
        assert log.append(lab.produce(77, 0)).is_duplicate
        with pytest.raises(errors.OutOfOrderSequenceNumberError):
            log.append(lab.produce(9, 99, txn=True))
        log.close()


def test_snapshots_do_not_pile_up(lab: Any) -> None:
    log = lab.open()
    for number in range(5):
        log.append(lab.produce(1, number))
        log = lab.restart(log)
    assert lab.names(log, ".snapshot") == [f"{5:020d}.snapshot"]


def test_left_overs_are_removed(lab: Any) -> None:
    log = _filled(lab)
    log.close()
    left = ["00000000000000000000.log.deleted", "00000000000000000099.index", "leader-epoch-checkpoint.tmp"]
    for name in left:
        (log.folder / name).write_bytes(b"")
    log = lab.open(log.folder, **SEGMENTS)
    assert not set(left) & set(lab.names(log))


def test_a_log_that_ends_before_its_start_begins_anew(lab: Any) -> None:
    log = _filled(lab)
    folder = lab.kill(log)
    log = lab.open(folder, clean=False, log_start_offset=1_000, **SEGMENTS)
    assert (log.log_start_offset, log.log_end_offset, log.open_transactions()) == (1_000, 1_000, {})
    assert log.append(lab.batch()).base_offset == 1_000


@fast
@given(st.integers(0, 70))
def test_truncate_to(lab: Any, offset: int) -> None:
    log = _filled(lab)
    before = lab.read_all(log)
    end = log.truncate_to(offset)
    assert end <= max(offset, 0)
    kept = [header for header in lab.headers(before) if header.last_offset < offset]
    assert lab.read_all(log) == before[: sum(header.length_bytes for header in kept)]
    assert log.log_end_offset == (kept[-1].next_offset if kept else 0)
    _goes_on(lab, log)
    data, txns = lab.read_all(log), log.open_transactions()
    log = lab.crash(log, **SEGMENTS)
    assert (lab.read_all(log), log.open_transactions()) == (data, txns)


def test_leader_epochs(lab: Any) -> None:
    log = lab.open()
    log.append(lab.batch(3))
    log.leader_epoch = 4
    log.epochs.assign(4, log.log_end_offset)
    log.append(lab.batch(2))
    assert (log.folder / "leader-epoch-checkpoint").read_text() == "0\n2\n0 0\n4 3\n"
    assert [header.leader_epoch for header in lab.headers(lab.read_all(log))] == [0, 4]
    (log.folder / "leader-epoch-checkpoint").write_bytes(bytes(8))  # as a power cut may leave it
    log = lab.crash(log)
    assert log.epochs.entries == [(0, 0), (4, 3)]
    assert log.leader_epoch == 4
    log.delete_records(4)
    assert log.epochs.entries == [(4, 4)]
