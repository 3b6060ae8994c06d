"""Slots for groups: a dict of (key, start) in arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from state.keys import window_key
from streams.kernels import compiled
from streams.operators.aggregations.groups import Groups

pytestmark = pytest.mark.usefixtures("twin")

KEYS = [b"a", b"b", b"a\0", b"", b"a\0b", b"\xff", b"user-1", b"user-10", b"user-2"]
STARTS = st.integers(0, 8)
STEPS = st.lists(
    st.tuples(st.just("locate"), st.lists(st.tuples(st.sampled_from(KEYS), STARTS), min_size=1, max_size=12))
    | st.tuples(st.just("drop starts"), STARTS)
    | st.tuples(st.just("drop"), st.tuples(STARTS, st.lists(st.sampled_from(KEYS))))
    | st.tuples(st.just("compile"), st.none()),
    max_size=12,
)


def make(step_ms: int = 1) -> Any:
    """What an aggregation would take."""
    if compiled.ready():
        from streams.operators.aggregations.group_table import GroupTable

        return GroupTable()
    return Groups(step_ms)


def locate(groups: Any, pairs: list[tuple[bytes, int]]) -> tuple[Any, Any]:
    """Of one record, where the keys are the same: pairs may be more than records are."""
    keys = [key for key, _ in pairs]
    starts = np.array([start for _, start in pairs], np.int64)
    if len(set(keys)) > 1:
        return groups.locate(keys, np.arange(len(pairs)), starts)
    return groups.locate(keys[:1], np.zeros(len(pairs), np.intp), starts)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS, step_ms=st.sampled_from([1, 5, 1_000]))
def test_each_group_has_one_slot_of_its_own(twin: str, steps: list[Any], step_ms: int) -> None:
    groups: Any = Groups(step_ms)
    known: dict[tuple[bytes, int], int] = {}
    for what, given_ in steps:
        if what == "locate":
            pairs = [(key, n * step_ms) for key, n in given_]
            slots, fresh = locate(groups, pairs)
            found = dict(zip(pairs, slots.tolist(), strict=True))
            assert [found[pair] for pair in pairs] == slots.tolist()
            new = {pair for pair in pairs if pair not in known}
            assert set(fresh.tolist()) == {found[pair] for pair in new} and len(fresh) == len(new)
            assert all(known[pair] == slot for pair, slot in found.items() if pair in known)
            known |= found
            groups.dirty[slots] = True
        elif what == "drop starts":
            groups.drop_starts(given_ * step_ms)
            known = {pair: slot for pair, slot in known.items() if pair[1] > given_ * step_ms}
        elif what == "drop":
            start, keys = given_
            gone = [known.pop((key, start * step_ms)) for key in dict.fromkeys(keys) if (key, start * step_ms) in known]
            assert groups.drop(start * step_ms, keys) == gone
        elif twin == "compiled" and isinstance(groups, Groups):
            from streams.operators.aggregations.group_table import GroupTable

            groups = GroupTable.of(groups)
        check(groups, known)


def check(groups: Any, known: dict[tuple[bytes, int], int]) -> None:
    assert len(groups) == len(known) == len(set(known.values()))
    assert sorted(groups.slots().tolist()) == sorted(groups.dirty_slots().tolist()) == sorted(known.values())
    assert {start for _, start in known} <= set(groups.open_starts)
    for (key, start), slot in known.items():
        assert groups.key(slot) == key and groups.starts[slot] == start and groups.holds(start, key)
    for start in {start for _, start in known}:
        by_key = sorted((k, s) for (k, at), s in known.items() if at == start)
        assert groups.of_start(start).tolist() == [slot for _, slot in by_key]
    pairs, slots = list(known), np.array(list(known.values()), np.intp)
    assert groups.key_spans(slots).cut() == groups.keys(slots) == [key for key, _ in pairs]
    assert groups.key_spans(slots, with_starts=True).cut() == [window_key(start, key) for key, start in pairs]


def test_slots_are_used_again_and_begin_anew() -> None:
    groups = make(10)
    first, _ = locate(groups, [(b"a", 0), (b"b", 0)])
    groups.timestamps[first] = 77
    groups.dirty[first] = True
    groups.drop_starts(0)
    second, fresh = locate(groups, [(b"c", 10), (b"a", 10)])
    assert set(second.tolist()) == set(first.tolist()) == set(fresh.tolist())
    assert groups.timestamps[second].tolist() == [-1, -1] and not groups.dirty[second].any()
    assert not groups.holds(0, b"a")


def test_room_grows_with_the_groups() -> None:
    groups = make()
    pairs = [(str(n % 2_000).encode() * 40, n // 2_000) for n in range(5_000)]
    slots, fresh = locate(groups, pairs)
    assert len(set(slots.tolist())) == len(fresh) == 5_000 <= groups.capacity
    assert groups.keys(slots) == [key for key, _ in pairs]
    assert locate(groups, pairs)[0].tolist() == slots.tolist()


def test_windows_far_apart_cost_no_more_than_their_groups() -> None:
    groups = make()
    starts = [0, 1_700_000_000_000, 1_700_000_000_001]
    slots, _ = locate(groups, list(zip([b"a", b"b", b"a"], starts, strict=True)))
    assert groups.starts[slots].tolist() == starts


@pytest.mark.parametrize("twin", ["compiled"], indirect=True)
def test_what_changed_is_in_the_order_of_the_store(twin: str) -> None:
    groups = make()
    pairs = [(key, start) for key in KEYS for start in (-5, 0, 7, 2**40, -(2**40), 256, 255)]
    slots, _ = locate(groups, pairs)
    groups.dirty[slots] = True
    ordered = groups.key_spans(groups.dirty_slots(), with_starts=True).cut()
    assert ordered == sorted(window_key(start, key) for key, start in pairs)
