"""Slots for groups: a dict of (key, start) in arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.operators.aggregations.groups import Groups

KEYS = [b"a", b"b", b"c", b""]
BATCH = st.tuples(
    st.just("locate"), st.lists(st.tuples(st.sampled_from(KEYS), st.integers(0, 8)), min_size=1, max_size=12)
)
STEPS = st.lists(
    BATCH
    | st.tuples(st.just("drop start"), st.integers(0, 8))
    | st.tuples(st.just("drop"), st.tuples(st.integers(0, 8), st.lists(st.sampled_from(KEYS)))),
    max_size=12,
)


@settings(max_examples=100, deadline=None)
@given(steps=STEPS, step_ms=st.sampled_from([1, 5, 1_000]))
def test_each_group_has_one_slot_of_its_own(steps: list[Any], step_ms: int) -> None:
    groups = Groups(step_ms)
    known: dict[tuple[bytes, int], int] = {}
    for what, given_ in steps:
        if what == "locate":
            codes = groups.encode_keys([key for key, _ in given_])
            starts = np.array([n * step_ms for _, n in given_], np.int64)
            slots, fresh = groups.locate(codes, starts)
            pairs = [(key, n * step_ms) for key, n in given_]
            found = dict(zip(pairs, slots.tolist(), strict=True))
            assert [found[pair] for pair in pairs] == slots.tolist()
            new = {pair for pair in pairs if pair not in known}
            assert set(fresh.tolist()) == {found[pair] for pair in new} and len(fresh) == len(new)
            assert all(known[pair] == slot for pair, slot in found.items() if pair in known)
            known |= found
            groups.dirty[slots] = True
        elif what == "drop start":
            groups.drop_start(given_ * step_ms)
            known = {pair: slot for pair, slot in known.items() if pair[1] != given_ * step_ms}
        else:
            start, keys = given_
            groups.drop(start * step_ms, keys)
            known = {(key, at): slot for (key, at), slot in known.items() if at != start * step_ms or key not in keys}
        assert len(groups) == len(known) == len(set(known.values()))
        assert sorted(groups.dirty_slots().tolist()) == sorted(known.values())
        for (key, start), slot in known.items():
            assert groups.key(slot) == key and groups.starts[slot] == start and groups.holds(start, key)
        for start in {start for _, start in known}:
            assert groups.of_start(start) == [
                slot for _, slot in sorted((k, s) for (k, at), s in known.items() if at == start)
            ]


def test_slots_are_used_again_and_begin_anew() -> None:
    groups = Groups(10)
    first, _ = groups.locate(groups.encode_keys([b"a", b"b"]), np.array([0, 0]))
    groups.timestamps[first] = 77
    groups.dirty[first] = True
    groups.drop_start(0)
    second, fresh = groups.locate(groups.encode_keys([b"c", b"a"]), np.array([10, 10]))
    assert set(second.tolist()) == set(first.tolist()) == set(fresh.tolist())
    assert groups.timestamps[second].tolist() == [-1, -1] and not groups.dirty[second].any()
    assert not groups.holds(0, b"a")


def test_room_grows_with_the_groups() -> None:
    groups = Groups()
    keys = [str(n).encode() for n in range(5_000)]
    slots, fresh = groups.locate(groups.encode_keys(keys), np.zeros(5_000, np.int64))
    assert len(set(slots.tolist())) == len(fresh) == 5_000 <= groups.capacity
    assert groups.keys(slots) == keys


def test_windows_far_apart_cost_no_more_than_their_groups() -> None:
    groups = Groups(1)
    starts = np.array([0, 1_700_000_000_000, 1_700_000_000_001], np.int64)
    slots, _ = groups.locate(groups.encode_keys([b"a", b"b", b"a"]), starts)
    assert groups.starts[slots].tolist() == starts.tolist()
