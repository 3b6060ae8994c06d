"""Keys find their codes, however they look and however many there are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("numba", reason="the extra `fast`: pip install streams-engine[fast]")

from streams.kernels.compiled.key_table import KeyTable
from streams.spans import Spans


@given(st.lists(st.lists(st.binary(max_size=5), max_size=30), max_size=5))
def test_the_codes_are_those_of_a_dict(batches: list[list[bytes]]) -> None:
    table, code_of = KeyTable(), dict[bytes, int]()
    for keys in batches:
        expected = [code_of.setdefault(key, len(code_of)) for key in keys]
        assert table.encode(Spans.of(keys)).tolist() == expected


def test_a_table_grows() -> None:
    keys = [f"user-{n}".encode() * (n % 7) for n in range(20_000)]
    different = list(dict.fromkeys(keys))
    table = KeyTable()
    for at in range(0, len(different), 700):
        table.encode(Spans.of(different[at : at + 700]))
    assert [different[code] for code in table.encode(Spans.of(keys[::-1])).tolist()] == keys[::-1]
    assert len(table) == len(different) and table.key(17) == different[17]


def test_where_keys_go_is_known_to_nobody(twins: None) -> None:
    """Keys that all went to one place of one table would make each look for one as slow as a list's."""
    keys = [b"%08d" % number for number in range(50)]
    tables = [KeyTable(), KeyTable()]
    codes = [table.encode(Spans.of(keys)).tolist() for table in tables]
    assert codes[0] == codes[1] == list(range(50))
    assert tables[0]._places.tolist() != tables[1]._places.tolist()
