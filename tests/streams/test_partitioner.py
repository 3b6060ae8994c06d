from __future__ import annotations

import pytest
from aiokafka.partitioner import murmur2 as aiokafka_murmur2
from hypothesis import given
from hypothesis import strategies as st

from streams.partitioner import murmur2, partition_for, partitions_for


# org.apache.kafka.common.utils.UtilsTest.testMurmur2
@pytest.mark.parametrize(
    ("key", "hash_"),
    [
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_murmur2_as_in_kafka(key: bytes, hash_: int) -> None:
    assert murmur2(key) == hash_


@given(st.binary(max_size=40))
def test_murmur2_as_in_aiokafka(key: bytes) -> None:
    assert murmur2(key) & 0xFFFFFFFF == aiokafka_murmur2(key) & 0xFFFFFFFF


@given(st.integers(1, 4), st.data())
def test_many_is_one_by_one(lengths: int, data: st.DataObject) -> None:
    sizes = data.draw(st.lists(st.integers(0, 13), min_size=lengths, max_size=lengths))
    draws = data.draw(st.integers(0, 2**32))
    keys = [((draws + n) % 2**64).to_bytes(16, "little")[: sizes[n % lengths]] for n in range(100)]
    for partitions in (1, 4, 7):
        found = partitions_for(keys, partitions)
        assert found.dtype == "int64"
        assert found.tolist() == [partition_for(key, partitions) for key in keys]


def test_few_or_no_keys() -> None:
    assert partitions_for([], 4).tolist() == []
    assert partitions_for([b"AA", b"a-key-of-its-own-length"], 4).tolist() == [
        partition_for(b"AA", 4),
        partition_for(b"a-key-of-its-own-length", 4),
    ]
