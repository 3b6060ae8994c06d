"""Compiled functions of keys: what Kafka's partitioner and the stores' layouts give."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("numba", reason="the extra `fast`: pip install streams-engine[fast]")

from state.keys import window_key
from streams.kernels.compiled.keys import partitions_of, window_keys
from streams.partitioner import partition_for
from streams.spans import Spans

keys = st.lists(st.binary(max_size=20), min_size=1, max_size=20)


@settings(deadline=None)
@given(keys, st.integers(1, 1000))
def test_partitions(drawn: list[bytes], count: int) -> None:
    assert partitions_of(Spans.of(drawn), count).tolist() == [partition_for(key, count) for key in drawn]
    assert partitions_of(Spans.of([None, *drawn]), count).tolist()[0] == -1


@settings(deadline=None)
@given(keys, st.integers(-(2**63), 2**63 - 1))
def test_keys_in_windows(drawn: list[bytes], start: int) -> None:
    assert window_keys(Spans.of(drawn), np.full(len(drawn), start)).cut() == [window_key(start, key) for key in drawn]
