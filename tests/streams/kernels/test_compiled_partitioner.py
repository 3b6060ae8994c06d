"""The compiled partitioner gives what Kafka's does."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("numba", reason="the extra `fast`: pip install streams-engine[fast]")

from streams.kernels.compiled.partitioner import partitions_of
from streams.partitioner import partition_for
from streams.spans import Spans

keys = st.lists(st.binary(max_size=20), min_size=1, max_size=20)


@settings(deadline=None)
@given(keys, st.integers(1, 1000))
def test_partitions(drawn: list[bytes], count: int) -> None:
    assert partitions_of(Spans.of(drawn), count).tolist() == [partition_for(key, count) for key in drawn]
    assert partitions_of(Spans.of([None, *drawn]), count).tolist()[0] == -1
