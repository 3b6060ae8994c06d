"""Record batches from spans: the bytes of the encoder that takes lists, whatever the records are."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytest.importorskip("numba", reason="the extra `fast`: pip install streams-engine[fast]")

from streams import lane as lane_module
from streams.kernels import compiled
from streams.lane import Lane
from streams.spans import Spans

fields = st.none() | st.binary(max_size=3) | st.integers(60, 9000).map(lambda size: b"x" * size)
times = st.integers(-1, 4_000_000_000_000)
pieces = st.lists(st.lists(st.tuples(fields, fields, times), min_size=1, max_size=5), min_size=1, max_size=4)


def spans(data: list[bytes | None]) -> Spans:
    """Some bytes stand between the rows."""
    lengths = np.array([0 if one is None else len(one) for one in data])
    stops = np.cumsum(lengths + 2)
    missing = np.array([one is None for one in data])
    buffer = b"".join(b"--" + (one or b"") for one in data)
    return Spans(buffer, np.where(missing, -1, stops - lengths), np.where(missing, -1, stops))


@given(pieces, st.sampled_from(["none", "lz4"]), st.integers(2, 9))
@settings(deadline=None, max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_both_give_the_same_bytes(
    monkeypatch: pytest.MonkeyPatch, twins: None, drawn: list, codec: str, limit: int
) -> None:
    monkeypatch.setattr(lane_module, "BATCH_RECORDS_MAX", limit)
    monkeypatch.setattr(lane_module, "BATCH_BYTES_MAX", 20_000)
    spanned, listed = Lane(), Lane()
    for rows in drawn:
        keys, values, timestamps = map(list, zip(*rows, strict=True))
        spanned.add_spans(spans(keys), spans(values), np.array(timestamps))
        listed.extend(keys, values, timestamps, None)
    found = list(spanned.batches(codec))
    assert found == list(listed.batches(codec))
    with monkeypatch.context() as patch:
        patch.setattr(compiled, "ready", lambda _rows=None: False)
        assert found == list(spanned.batches(codec))
