"""Columns of fetched batches: those of the decoder without compiled code, and its errors, whatever the bytes are."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytest.importorskip("numba", reason="the extra `fast`: pip install streams-engine[fast]")

from broker_embedded import records
from streams.kernels.compiled import record_reader

fields = st.none() | st.binary(max_size=3) | st.integers(60, 300).map(lambda size: b"x" * size)
headers = st.lists(st.tuples(st.text(max_size=3), st.none() | st.binary(max_size=3)), max_size=2)
rows = st.tuples(fields, fields, st.integers(-(2**40), 2**62), headers)


@st.composite
def batches(draw: st.DrawFn) -> bytearray:
    drawn = draw(st.lists(rows, min_size=1, max_size=40))
    keys, values, timestamps, given_headers = map(list, zip(*drawn, strict=True))
    made = records.encode(
        keys,
        values,
        timestamps,
        given_headers if draw(st.booleans()) else None,
        base_offset=draw(st.integers(0, 2**40)),
        codec=draw(st.sampled_from(["none", "lz4"])),
    )
    if draw(st.booleans()):
        records.set_append_time(made, 77)
    return made


def told(raw: list[bytearray], reader: records.Reader) -> object:
    try:
        found = records.decode_many(raw, reader)
    except records.CorruptBatchError as error:
        return str(error)
    columns = [getattr(found, name) for name in records.Records.__slots__ if name != "buffer"]
    return [None if column is None else np.asarray(column).tolist() for column in columns]


@given(st.lists(batches(), min_size=1, max_size=3))
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_both_find_the_same(twins: None, raw: list[bytearray]) -> None:
    assert told(raw, record_reader.read) == told(raw, records.read_records)


@given(batches(), st.data())
@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_both_say_the_same_of_broken_ones(twins: None, raw: bytearray, data: st.DataObject) -> None:
    for _ in range(data.draw(st.integers(1, 3))):
        raw[data.draw(st.integers(57, len(raw) - 1))] = data.draw(st.sampled_from([0, 1, 2, 127, 128, 255]))
    assert told([raw], record_reader.read) == told([raw], records.read_records)
