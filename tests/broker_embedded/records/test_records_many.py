"""Several batches decoded at once: nothing but what each of them gives alone, one after the other."""

from __future__ import annotations

import struct
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker_embedded.records import CorruptBatchError, Records, decode, decode_many, decoder, encode, read_header
from broker_embedded.records.batch_header import write_header
from broker_embedded.records.compression import CODECS
from broker_embedded.records.varint import encode_varint

FIELD = (
    st.none() | st.binary(max_size=8) | st.sampled_from([1, 63, 64, 127, 128, 300]).map(lambda size: b"x\x00y" * size)
)
TEXT = st.sampled_from([b"a", b"user-00042", b'{"amount": 12.5, "at": 1700000000000}', b"z" * 70])
LOG_APPEND_TIME, DELETE_HORIZON = 0x08, 0x40


class Kind(NamedTuple):
    """Of batches: what is in their records, over and over, and what their header says."""

    rows: list[tuple[bytes | None, bytes | None, list[tuple[str, bytes | None]]]]
    times: list[int]
    offset_steps: list[int]
    codec: str
    attributes: int

    def batch(self, count: int, base_offset: int) -> bytes:
        if not count:
            return emptied(base_offset)
        rows = [self.rows[i % len(self.rows)] for i in range(count)]
        steps = [self.offset_steps[i % len(self.offset_steps)] for i in range(count)]
        batch = encode(
            [key for key, _, _ in rows],
            [value for _, value, _ in rows],
            [self.times[i % len(self.times)] for i in range(count)],
            [headers for _, _, headers in rows] if any(headers for _, _, headers in rows) else None,
            codec=self.codec,
            base_offset=base_offset,
            offsets=None if steps == [1] * count else (base_offset + np.cumsum(steps)).tolist(),
        )
        (attributes,) = struct.unpack_from(">h", batch, 21)
        struct.pack_into(">h", batch, 21, attributes | self.attributes)
        return bytes(batch)


def emptied(base_offset: int) -> bytes:
    """What compaction can leave of a batch."""
    batch = bytearray(61)
    write_header(
        batch,
        attributes=0,
        base_offset=base_offset,
        last_offset_delta=9,
        base_timestamp=0,
        max_timestamp=0,
        producer_id=-1,
        producer_epoch=-1,
        base_sequence=-1,
        count=0,
    )
    return bytes(batch)


PLAIN = st.builds(
    Kind,
    st.lists(st.tuples(TEXT, TEXT, st.just([])), min_size=1, max_size=4),
    st.lists(st.integers(1_700_000_000_000, 1_700_000_100_000), min_size=1, max_size=5),
    st.just([1]),
    st.sampled_from(["none", "zstd"]),
    st.just(0),
)
ANY = st.builds(
    Kind,
    st.lists(
        st.tuples(FIELD, FIELD, st.just([]) | st.lists(st.tuples(st.text(max_size=3), FIELD), max_size=2)),
        min_size=1,
        max_size=4,
    ),
    st.sampled_from([0, 64, 2**20, 2**41, 2**62]).flatmap(
        lambda span: st.lists(st.integers(-span, span), min_size=1, max_size=4)
    ),
    st.just([1]) | st.lists(st.sampled_from([1, 2, 63, 64, 100_000]), min_size=1, max_size=3),
    st.sampled_from(CODECS),
    st.sampled_from([0, 0, LOG_APPEND_TIME, DELETE_HORIZON]),
)


@st.composite
def logs(draw: st.DrawFn) -> list[bytes]:
    """Up to ten batches, mostly in the order of their offsets."""
    kind = PLAIN if draw(st.booleans()) else PLAIN | ANY
    counts = draw(st.lists(st.integers(0, 50) | st.sampled_from([0, 1, 1000]), max_size=10))
    made: list[bytes] = []
    for count in counts:
        following = read_header(made[-1]).next_offset + draw(st.sampled_from([0, 0, 7])) if made else 2**40
        made.append(draw(kind).batch(count, following))
    return draw(st.permutations(made)) if draw(st.sampled_from([False, False, True])) else made


def columns_of(found: Records) -> tuple[list[Any], ...]:
    return (found.offsets.tolist(), found.timestamps.tolist(), found.keys(), found.values(), found.headers())


def one_after_the_other(parts: list[tuple[list[Any], ...]]) -> tuple[list[Any], ...]:
    return tuple([each for part in parts for each in part[column]] for column in range(5))


@settings(deadline=None, max_examples=200)
@given(logs())
def test_they_are_what_each_of_them_is(batches: list[bytes]) -> None:
    alone = [decode(batch) for batch in batches]
    found = decode_many(batches)
    assert columns_of(found) == one_after_the_other([columns_of(each) for each in alone])
    assert found.has_headers == any(each.has_headers for each in alone)
    assert {column.dtype for column in (found.offsets, found.timestamps, found.key_start)} == {np.dtype(np.int64)}


@settings(deadline=None)
@given(logs())
def test_the_loop_and_the_columns_do_the_same(batches: list[bytes]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        found = []
        for few in (0, 10**9):
            patch.setattr(decoder, "_FEW_RECORDS", few)
            found.append(columns_of(decode_many(batches)))
    assert found[0] == found[1]


USUAL = Kind([(b"a", b"value", [])], [1_700_000_000_000, 1_700_000_000_250], [1], "none", 0)
KINDS = {
    "usual": [USUAL],
    "with gaps": [USUAL._replace(offset_steps=[1, 3])],
    "some with gaps": [USUAL, USUAL._replace(offset_steps=[1, 2])],
    "with headers": [USUAL._replace(rows=[(b"a", b"value", [("name", b"x")])])],
    "some with headers": [USUAL, USUAL._replace(rows=[(b"a", b"value", [("name", b"x")]), (b"a", b"value", [])])],
    "without keys": [USUAL._replace(rows=[(None, b"value", [])])],
    "some without values": [USUAL, USUAL._replace(rows=[(b"a", None, []), (b"b", b"value", [])])],
    "full of zeros": [USUAL, USUAL._replace(rows=[(b"a", b"\x00\x0a\x00" * 9, [])])],
    "stamped by the broker": [USUAL, USUAL._replace(attributes=LOG_APPEND_TIME)],
    "packed": [USUAL, USUAL._replace(codec="zstd"), USUAL._replace(codec="snappy")],
}


@pytest.mark.parametrize("kinds", KINDS)
def test_the_loop_is_not_needed_for(kinds: str, monkeypatch: pytest.MonkeyPatch) -> None:
    batches = [kind.batch(40, 1_000 * at) for at, kind in enumerate(KINDS[kinds] * 2)]
    alone = [columns_of(decode(batch)) for batch in batches]
    monkeypatch.delattr(decoder, "_one_by_one")
    assert columns_of(decode_many(batches)) == one_after_the_other(alone)


def area(first: int, stop: int, value: bytes) -> bytes:
    records = [
        b"\x00\x00" + encode_varint(i) + b"\x01" + encode_varint(len(value)) + value + b"\x00"
        for i in range(first, stop)
    ]
    return b"".join(encode_varint(len(record)) + record for record in records)


def batch_of(records: bytes, count: int, base_offset: int) -> bytes:
    batch = bytearray(emptied(base_offset)) + records
    struct.pack_into(">i", batch, 8, len(batch) - 12)
    struct.pack_into(">i", batch, 23, 49)
    struct.pack_into(">i", batch, 57, count)
    return bytes(batch)


GOOD = batch_of(area(0, 50, b"value"), 50, 100)
DAMAGED = {
    "a record of the next one's": batch_of(area(0, 50, b"value") + area(0, 1, b"value"), 50, 200),
    "a record too few": batch_of(area(0, 49, b"value"), 50, 200),
    "too small": batch_of(area(0, 49, b""), 50, 200),
    "nothing": batch_of(b"", 50, 200),
    "bytes and no records": batch_of(b"\x00" * 9, 0, 200),
    "offsets that start again": batch_of(area(0, 25, b"value") + area(0, 25, b"value"), 50, 200),
    "offsets past the last": batch_of(area(1, 51, b"value"), 50, 200),
    "one offset past the last": batch_of(area(0, 51, b"value"), 51, 200),
    "an offset before the first": batch_of(area(-1, 49, b"value"), 50, 200),
    "not whole": batch_of(area(0, 50, b"value"), 50, 200)[:-1],
    "half a header": GOOD[:30],
    "not packed": encode([b"k"], [b"v"], [0], codec="zstd", base_offset=200)[:61] + b"\x08" * 9,
}


@pytest.mark.parametrize("damage", DAMAGED)
@pytest.mark.parametrize("place", range(3))
def test_the_one_that_is_wrong_is_named_as_it_is_alone(damage: str, place: int) -> None:
    batches = [GOOD, emptied(150), GOOD]
    batches.insert(place, DAMAGED[damage])
    with pytest.raises(CorruptBatchError) as alone:
        decode(DAMAGED[damage])
    with pytest.raises(CorruptBatchError) as together:
        decode_many(batches)
    assert str(together.value) == str(alone.value)


def test_records_end_where_their_batch_does() -> None:
    """Two batches whose records are one chain, as many as both say together, but not as each of them says."""
    one = batch_of(area(0, 49, b"value") + area(0, 1, b"value"), 49, 100)
    other = batch_of(area(1, 49, b"value"), 49, 200)
    with pytest.raises(CorruptBatchError, match=r"^batch at offset 100: 49 records take \d+ bytes"):
        decode_many([one, other])


@settings(deadline=None)
@given(st.data())
def test_together_they_are_refused_when_one_is_alone(data: st.DataObject) -> None:
    batches = [
        bytearray(batch_of(area(0, count, value), count, 100))
        for count, value in ((50, b"\x00\x0a\x00"), (1, b""), (50, b"value"))
    ]
    for _ in range(data.draw(st.integers(1, 2))):
        batch = data.draw(st.sampled_from(batches))
        position = data.draw(st.integers(61, len(batch) - 1))
        batch[position] = data.draw(st.sampled_from([0, 1, 2, 128, 255]) | st.integers(0, 255))
    try:
        alone = [columns_of(decode(batch)) for batch in batches]
    except CorruptBatchError:
        with pytest.raises(CorruptBatchError):
            columns_of(decode_many(batches))
    else:
        assert columns_of(decode_many(batches)) == one_after_the_other(alone)


def test_of_none_there_are_none() -> None:
    assert columns_of(decode_many([])) == ([], [], [], [], [])
