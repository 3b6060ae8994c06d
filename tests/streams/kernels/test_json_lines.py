"""JSON objects decoded by the line: values and errors of one by one."""

from __future__ import annotations

from itertools import accumulate
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytest.importorskip("numba", reason="the extra `fast`: pip install streams-engine[fast]")

from streams import Record
from streams.serde import json_lines, serde_for
from streams.spans import Spans


class Held(Record):
    a: Any = None


PIECES = [
    b"{",
    b"}",
    b'{"a":1}',
    b'{"a":[{}',
    b",",
    b"{}",
    b'{"a":"',
    b'"}',
    b" ",
    b"\n",
    b"1",
    b'"a":',
    b"]",
    b"\\",
    b"\xff",
]
values = st.one_of(
    st.lists(st.sampled_from(PIECES), max_size=4).map(b"".join),
    st.lists(st.sampled_from(PIECES), max_size=4).map(lambda parts: b"{" + b"".join(parts) + b"}"),
    st.sampled_from([b'{"a":1}', b'{"a":{"b":[1,2]}}', b'{"b":2, "a":"x"}']),
)


def spans(data: list[bytes]) -> Spans:
    stops = np.array(list(accumulate(map(len, data))), np.int64)
    return Spans(b"".join(data), stops - np.array(list(map(len, data)), np.int64), stops)


def told(found: Any) -> Any:
    decoded, bad = found
    return decoded, [(row, str(error)) for row, error in bad]


@pytest.mark.parametrize("kind", [Held, Any, dict])
@given(data=st.lists(values, min_size=1, max_size=8), together=st.sampled_from([2, 3, 128]))
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_both_ways_give_the_same(
    twins: None, monkeypatch: pytest.MonkeyPatch, kind: Any, data: list[bytes], together: int
) -> None:
    monkeypatch.setattr(json_lines, "_TOGETHER", together)
    serde = serde_for(kind)
    found = json_lines.decode_spans(serde, spans(data))
    assert found is None or told(found) == told(serde.decode_many(data))


@pytest.mark.parametrize(
    "odd", [b'{"a":1}{"a":2}', b'{"a":[{}', b"{}]}", b'{"a":1', b'{"a":"}', b'{"}', b'{"a":1}\n{}']
)
def test_odd_values_among_plain_ones(twins: None, odd: bytes) -> None:
    data = [b'{"a":%d}' % number for number in range(300)]
    data[140] = data[141] = odd
    serde = serde_for(Held)
    found = json_lines.decode_spans(serde, spans(data))
    assert (found is None) == (not odd.endswith(b"}"))
    assert found is None or told(found) == told(serde.decode_many(data))
