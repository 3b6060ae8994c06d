"""Record batches by themselves: what goes in comes out. Other people's encoders and decoders are in
test_records_oracles.py, damage in test_records_damage.py."""

from __future__ import annotations

import struct
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import pytest
from fastcrc import crc32
from hypothesis import given, settings
from hypothesis import strategies as st

from broker_embedded import records
from broker_embedded.records import (
    Records,
    decode,
    decoder,
    encode,
    encode_control,
    encoder,
    fields,
    read_control,
    verify,
)
from broker_embedded.records.compression import CODECS

INT64 = st.integers(-(2**63), 2**63 - 1)
# A number stands for a field of that many bytes: at the edges of a varint's width.
Field: TypeAlias = bytes | int | None
FIELD = st.none() | st.binary(max_size=8) | st.sampled_from([1, 2, 7, 63, 64, 65, 127, 128, 8191, 8192])
HEADERS = st.lists(st.tuples(st.text(max_size=5), FIELD), max_size=3)


class Sample(NamedTuple):
    """Up to 240 records, few of them different, so that both ways of doing things are met."""

    different: list[tuple[Field, Field, list[tuple[str, Field]]]]
    repeat: int
    times: list[int]
    offset_steps: list[int]
    null_keys: bool
    with_headers: bool

    def arguments(self) -> dict[str, Any]:
        """Of `encode`."""
        keys, values, headers = zip(*self.different * self.repeat, strict=True)
        count = len(values)
        offsets = 100 + np.cumsum([self.offset_steps[i % len(self.offset_steps)] for i in range(count)])
        return {
            "keys": [None if self.null_keys else made(key) for key in keys],
            "values": [made(value) for value in values],
            "timestamps": [self.times[i % len(self.times)] for i in range(count)],
            "headers": [[(name, made(value)) for name, value in each] for each in headers]
            if self.with_headers
            else None,
            "offsets": offsets.tolist() if self.offset_steps != [1] else None,
        }


def made(field: Field) -> bytes | None:
    return b"\x00x"[field % 2 :][:1] * field if isinstance(field, int) else field


SAMPLES = st.builds(
    Sample,
    st.lists(st.tuples(FIELD, FIELD, HEADERS), min_size=1, max_size=6),
    st.sampled_from([1, 2, 5, 30, 40]),
    st.sampled_from([0, 1, 63, 64, 8191, 8192, 2**20, 2**27, 2**34, 2**41, 2**48, 2**55, 2**62]).flatmap(
        lambda span: st.lists(st.integers(-span, span), min_size=1, max_size=7)
    ),
    st.just([1]) | st.lists(st.sampled_from([1, 1, 2, 63, 64, 100_000]), min_size=1, max_size=5),
    st.booleans(),
    st.booleans(),
)


def rows_of(found: Records) -> list[tuple[Any, ...]]:
    return list(
        zip(
            found.offsets.tolist(),
            found.timestamps.tolist(),
            found.keys(),
            found.values(),
            found.headers(),
            strict=True,
        )
    )


def rows_in(arguments: dict[str, Any], base_offset: int = 0) -> list[tuple[Any, ...]]:
    count = len(arguments["values"])
    offsets = arguments["offsets"] or range(base_offset, base_offset + count)
    headers = arguments["headers"] or [[]] * count
    return list(zip(offsets, arguments["timestamps"], arguments["keys"], arguments["values"], headers, strict=True))


@settings(deadline=None)
@given(SAMPLES, st.sampled_from(CODECS))
def test_what_is_encoded_is_decoded(sample: Sample, codec: str) -> None:
    arguments = sample.arguments()
    batch = encode(**arguments, codec=codec)
    header = verify(batch)
    assert header.codec == codec
    assert header.count == len(arguments["values"])
    assert header.max_timestamp == max(arguments["timestamps"])
    assert header.base_timestamp == arguments["timestamps"][0]
    assert header.next_offset == header.last_offset + 1 == rows_in(arguments)[-1][0] + 1
    assert rows_of(decode(batch)) == rows_in(arguments)


@settings(deadline=None)
@given(SAMPLES)
def test_the_loop_and_the_columns_do_the_same(sample: Sample) -> None:
    arguments = sample.arguments()
    with pytest.MonkeyPatch.context() as patch:
        batches, found = [], []
        for few in (0, 10**9):
            patch.setattr(encoder, "_FEW_RECORDS", few)
            patch.setattr(decoder, "_FEW_RECORDS", few)
            patch.setattr(fields, "_MANY_FIELDS", few)
            batches.append(encode(**arguments))
            found.append(rows_of(decode(batches[-1])))
    assert batches[0] == batches[1]
    assert found[0] == found[1]


@settings(deadline=None)
@given(st.lists(INT64, min_size=1, max_size=5), st.sampled_from([1, 50]))
def test_timestamps_of_any_distance(times: list[int], repeat: int) -> None:
    times = times * repeat
    batch = encode([None] * len(times), [b"v"] * len(times), times)
    assert decode(batch).timestamps.tolist() == times
    assert encode([None] * len(times), [b"v"] * len(times), np.array(times)) == batch


@settings(deadline=None)
@given(
    st.integers(1, 400),
    st.sampled_from([0, 1, 7, 8, 47, 49]),
    st.sampled_from([0, 1, 7, 8, 30, 500]),
    st.sampled_from([0, 0.01, 0.2, 0.5]),
    st.randoms(),
)
def test_fields_of_like_width_are_cut_at_once_whatever_their_bytes(
    count: int, spread: int, width: int, odd: float, random: Any
) -> None:
    odd_ones = [None, b"", b"\x00", b"x\x00" * (width // 2)]
    fields = [
        random.choice(odd_ones) if random.random() < odd else random.randbytes(width + random.randint(0, spread))
        for _ in range(count)
    ]
    others = [random.randbytes(random.randint(0, 3)) for _ in range(count)]
    found = decode(encode(fields, others, [0] * count))
    assert (found.keys(), found.values()) == (fields, others)
    found = decode(encode([None] * count, fields, [0] * count))
    assert (found.keys(), found.values()) == ([None] * count, fields)
    middle = found.slice(count // 3, count // 2)
    assert (len(middle), middle.values()) == (count // 2 - count // 3, fields[count // 3 : count // 2])


@pytest.mark.parametrize("count", [500, 40_000])
@pytest.mark.parametrize("keyed", [True, False])
def test_large_batches(count: int, keyed: bool) -> None:
    keys = [b"user-%05d" % (i * 7919 % 10_000) if keyed else None for i in range(count)]
    values = [b'{"amount": %d, "at": %d}' % (i % 1000, 1_700_000_000_000 + i) for i in range(count)]
    times = 1_700_000_000_000 + np.arange(count) * 3
    found = decode(encode(keys, values, times, base_offset=2**40))
    assert (found.keys(), found.values()) == (keys, values)
    assert found.timestamps.tolist() == times.tolist()
    assert found.offsets.tolist() == list(range(2**40, 2**40 + count))


@pytest.mark.parametrize("codec", CODECS)
def test_values_of_megabytes(codec: str) -> None:
    values = [bytes(3_000_000), b"", np.arange(700_000).tobytes()]
    assert decode(encode([None, b"k" * 1_000_000, None], values, [1, 2, 3], codec=codec)).values() == values


def test_records_full_of_what_looks_like_the_beginning_of_records() -> None:
    values = [b"\x00\x86\x01\x00" * (i % 9) + b"\x00\x10\x00" * (i % 4) for i in range(200)]
    found = decode(encode([b""] * 200, values, [5] * 200))
    assert (found.keys(), found.values()) == ([b""] * 200, values)


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_the_buffer_can_be_used_again(kind: Any) -> None:
    original = encode([b"k"], [b"v"], [7], [[("name", b"x")]])
    reused = bytearray(original)
    found = decode(memoryview(reused) if kind is memoryview else kind(reused))
    reused[:] = bytes(len(reused))
    assert rows_of(found) == [(0, 7, b"k", b"v", [("name", b"x")])]
    assert isinstance(found.values()[0], bytes)


def test_has_headers() -> None:
    assert not decode(encode([None], [None], [0], [[]])).has_headers
    found = decode(encode([None] * 2, [None] * 2, [0] * 2, [[], [("a", None), ("a", b"")]]))
    assert found.has_headers
    assert found.slice(1, 2).headers() == [[("a", None), ("a", b"")]]


@pytest.mark.parametrize("count", [1, 200])
def test_log_append_time_is_the_max_timestamp_for_all(count: int) -> None:
    batch = with_attributes(encode([None] * count, [b"v"] * count, list(range(count))), 0x08)
    assert verify(batch).is_log_append_time
    assert decode(batch).timestamps.tolist() == [count - 1] * count


def test_with_a_delete_horizon_timestamps_still_count_from_the_base() -> None:
    """Kafka's compaction writes the horizon into the base timestamp and the deltas anew (KIP-534)."""
    batch = with_attributes(encode([b"k", b"l"], [None, b"v"], [5_000, 1_000]), 0x40)
    header = verify(batch)
    assert header.has_delete_horizon
    assert header.base_timestamp == 5_000
    assert decode(batch).timestamps.tolist() == [5_000, 1_000]


def with_attributes(batch: bytearray, attributes: int) -> bytearray:
    struct.pack_into(">h", batch, 21, attributes)
    struct.pack_into(">I", batch, 17, crc32.iscsi(bytes(batch[21:])))
    return batch


def test_fields_of_a_producer_are_set_in_place() -> None:
    batch = encode([b"k"], [b"v"], [7], codec="zstd", base_offset=9)
    made_with_them = encode(
        [b"k"],
        [b"v"],
        [7],
        codec="zstd",
        base_offset=9,
        producer_id=2**40,
        producer_epoch=3,
        base_sequence=2**31 - 1,
        is_transactional=True,
    )
    records.set_producer(batch, producer_id=2**40, producer_epoch=3, base_sequence=2**31 - 1, is_transactional=True)
    assert batch == made_with_them
    header = verify(batch)
    assert (header.producer_id, header.producer_epoch, header.base_sequence) == (2**40, 3, 2**31 - 1)
    assert header.is_transactional
    records.set_producer(
        batch,
        producer_id=records.NO_PRODUCER_ID,
        producer_epoch=records.NO_PRODUCER_EPOCH,
        base_sequence=records.NO_SEQUENCE,
        is_transactional=False,
    )
    assert batch == encode([b"k"], [b"v"], [7], codec="zstd", base_offset=9)


def test_an_offset_is_set_outside_the_crc() -> None:
    batch = encode([b"k"] * 2, [b"v"] * 2, [7, 8])
    crc = verify(batch).crc
    records.set_offset(batch, 2**40, 5)
    header = verify(batch)
    assert (header.crc, header.base_offset, header.leader_epoch) == (crc, 2**40, 5)
    assert (header.last_offset, header.next_offset) == (2**40 + 1, 2**40 + 2)
    assert decode(batch).offsets.tolist() == [2**40, 2**40 + 1]


@pytest.mark.parametrize("commit", [True, False])
def test_control_batches(commit: bool) -> None:
    batch = encode_control(
        commit=commit, producer_id=5, producer_epoch=2, coordinator_epoch=7, timestamp=1_000, base_offset=40
    )
    header = verify(batch)
    assert header.is_control
    assert header.is_transactional
    assert (header.producer_id, header.producer_epoch, header.base_sequence) == (5, 2, records.NO_SEQUENCE)
    assert (header.base_offset, header.count, header.max_timestamp) == (40, 1, 1_000)
    assert read_control(batch) is commit
    # Bytes of EndTransactionMarker: key version and type, value version and coordinator epoch.
    assert rows_of(decode(batch)) == [
        (40, 1_000, b"\x00\x00" + (b"\x00\x01" if commit else b"\x00\x00"), b"\x00\x00\x00\x00\x00\x07", [])
    ]


def test_other_control_records_are_neither_commit_nor_abort() -> None:
    leader_change = with_attributes(encode([struct.pack(">hh", 0, 2)], [b""], [0]), 0x20)
    assert read_control(leader_change) is None


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        (encode([b"\x00\x00\x00\x01"], [b""], [0], base_offset=6), "batch at offset 6 is not a control batch"),
        (with_attributes(encode([b"\x00"], [b""], [0]), 0x20), r"key b'\\x00' is not that of a control record"),
        (with_attributes(encode([None], [b""], [0]), 0x20), "key None is not that of a control record"),
    ],
)
def test_what_is_no_control_record(batch: bytearray, message: str) -> None:
    with pytest.raises(records.CorruptBatchError, match=message):
        read_control(batch)


def test_batches_are_walked_and_a_cut_one_is_left_out() -> None:
    parts = [encode([None] * n, [b"v"] * n, [n] * n, base_offset=10 * n) for n in (1, 3, 2)]
    stored = b"".join(parts)
    assert [(header.base_offset, bytes(view)) for header, view in records.batches(stored)] == [
        (10, parts[0]),
        (30, parts[1]),
        (20, parts[2]),
    ]
    assert [header.count for header, _ in records.batches(memoryview(stored), len(parts[0]))] == [3, 2]
    for cut in range(1, len(parts[2]) + 1):
        assert [header.count for header, _ in records.batches(stored[:-cut])] == [1, 3]
    assert list(records.batches(b"")) == []


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (([], [], []), ValueError, "at least one"),
        (([b"k"], [b"v", b"w"], [1, 2]), ValueError, r"as many keys \(1\) and timestamps \(2\) as values \(2\)"),
        (([b"k"], [b"v"], [1], [[], []]), ValueError, r"and headers \(2\)"),
        ((["k"], [b"v"], [1]), TypeError, "key of record 0 is str 'k'; bytes or None expected"),
        (([b"k"] * 200, [b"v"] * 199 + [1.5], [1] * 200), TypeError, "value of record 199 is float 1.5"),
        (([b"k"] * 200, ["v"] * 200, [1] * 200), TypeError, "value of record 0 is str 'v'"),
    ],
)
def test_what_cannot_be_a_batch(arguments: tuple[Any, ...], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        encode(*arguments)


@pytest.mark.parametrize("offsets", [[5, 5], [6, 5], [5]])
def test_offsets_ascend(offsets: list[int]) -> None:
    with pytest.raises(ValueError, match="one for each, ascending"):
        encode([None] * 2, [None] * 2, [0, 0], offsets=offsets)


def test_an_unknown_codec_is_named_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="unknown codec 'lzo'; known: none, gzip, snappy, lz4, zstd"):
        encode([None], [None], [0], codec="lzo")
