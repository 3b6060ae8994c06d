"""Keys find their codes, however they look and however many there are."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("numba", reason="the extra `fast`: pip install streams-engine[fast]")

from streams.kernels.compiled.key_table import KeyTable
from streams.operators.aggregations.groups import Groups
from streams.spans import Spans


def spans(keys: list[bytes]) -> Spans:
    stops = np.cumsum([len(key) for key in keys], dtype=np.int64)
    return Spans(b"".join(keys), stops - np.array([len(key) for key in keys], np.int64), stops)


@given(st.lists(st.lists(st.binary(max_size=5), max_size=30), max_size=5))
def test_the_codes_are_those_of_a_dict(batches: list[list[bytes]]) -> None:
    by_table, by_dict = Groups(), Groups()
    for keys in batches:
        assert by_table.encode_spans(spans(keys)).tolist() == by_dict.encode_keys(keys).tolist()


def test_a_table_grows() -> None:
    keys = [f"user-{n}".encode() for n in range(20_000)]
    table = KeyTable()
    for at in range(0, len(keys), 700):
        table.add(keys[at : at + 700])
    assert table.find(spans(keys[::-1])).tolist() == list(range(len(keys)))[::-1]
    assert table.find(spans([b"", b"user-20000"])).tolist() == [-1, -1]
