"""Record batches that are damaged, cut short, or lie: what is wrong is found, and named with its place."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest
from fastcrc import crc32
from hypothesis import given, settings
from hypothesis import strategies as st

from broker_embedded import records
from broker_embedded.records import CorruptBatchError, decode, decoder, encode, read_header, verify
from broker_embedded.records.compression import CODECS
from broker_embedded.records.varint import WORD_PADDING, VarintError, encode_varint

SMALL = encode([b"key", None], [b"value", b""], [1_000, 990], [[("name", b"x")], []], base_offset=300)
# 60 records of about 20 bytes, in each codec; enough for the columns.
LARGER = {
    codec: encode([b"key"] * 60, [b"value %d" % i for i in range(60)], range(60), codec=codec) for codec in CODECS
}

# Bytes outside the CRC: the broker sets them when it takes the batch, so nothing can tell that they changed.
UNCOVERED = {*range(8), *range(12, 16)}
# What is named for a change of each byte; where nothing is said here, the CRC.
NAMED = dict.fromkeys(range(8, 12), "length") | {16: "magic", 57: "CRC-32C|record count"}


def area(*records: bytes) -> bytes:
    return b"".join(encode_varint(len(record)) + record for record in records)


def record(
    *,
    attributes: bytes = b"\x00",
    timestamp: bytes = b"\x00",
    offset: bytes = b"\x00",
    key: bytes = b"\x02k",
    value: bytes = b"\x02v",
    headers: bytes = b"\x00",
) -> bytes:
    return attributes + timestamp + offset + key + value + headers


def batch_of(area: bytes, count: int = 1, attributes: int = 0, last_offset_delta: int | None = None) -> bytes:
    """A batch whose CRC holds, of records that may not."""
    last = count - 1 if last_offset_delta is None else last_offset_delta
    covered = struct.pack(">hiqqqhii", attributes, last, 1_000, 2_000, -1, -1, -1, count) + area
    return struct.pack(">qiibI", 300, 9 + len(covered), -1, 2, crc32.iscsi(covered)) + covered


def test_every_bit_of_a_batch_counts() -> None:
    for position in range(len(SMALL)):
        for bit in range(8):
            damaged = bytearray(SMALL)
            damaged[position] ^= 1 << bit
            if position in UNCOVERED:
                assert (verify(damaged).base_offset, verify(damaged).leader_epoch) != (300, -1)
            else:
                with pytest.raises(CorruptBatchError, match=NAMED.get(position, "CRC-32C of bytes 21-")):
                    verify(damaged)


@settings(deadline=None)
@given(st.sampled_from(CODECS), st.data())
def test_any_other_byte_anywhere_is_noticed(codec: str, data: st.DataObject) -> None:
    damaged = bytearray(LARGER[codec])
    position = data.draw(st.integers(0, len(damaged) - 1).filter(lambda position: position not in UNCOVERED))
    damaged[position] ^= data.draw(st.integers(1, 255))
    with pytest.raises(CorruptBatchError, match=NAMED.get(position, "CRC-32C of bytes 21-")):
        verify(damaged)


@pytest.mark.parametrize("check", [verify, decode])
def test_a_batch_is_whole_and_alone(check: Any) -> None:
    for cut in range(1, len(SMALL)):
        with pytest.raises(CorruptBatchError, match="length" if len(SMALL) - cut >= 61 else "header takes 61 bytes"):
            check(SMALL[:-cut])
    with pytest.raises(CorruptBatchError, match=rf"has {len(SMALL)} bytes, here are {len(SMALL) + 1}"):
        check(SMALL + b"\x00")


@pytest.mark.parametrize(
    ("position", "format", "value", "message"),
    [
        (16, ">b", 1, r"offset 300, byte 5 of the buffer: magic \(byte 16\) is 1"),
        (8, ">i", 48, r"length \(bytes 8-11\) is 48; a header alone makes 49"),
        (8, ">i", -1, r"length \(bytes 8-11\) is -1"),
        (57, ">i", -1, r"record count \(bytes 57-60\) is -1"),
    ],
)
def test_headers_that_cannot_be(position: int, format: str, value: int, message: str) -> None:
    damaged = bytearray(5) + SMALL
    struct.pack_into(format, damaged, 5 + position, value)
    with pytest.raises(CorruptBatchError, match=message):
        read_header(damaged, 5)
    with pytest.raises(CorruptBatchError, match=message):
        list(records.batches(damaged, 5))


@pytest.mark.parametrize(
    ("count", "last_offset_delta", "message"),
    [
        (3, 1, r"3 records \(bytes 57-60\) do not fit into offset deltas 0 to 1 \(bytes 23-26\)"),
        (0, -1, "0 records .* do not fit into offset deltas 0 to -1"),
        (1, -2, "1 records .* do not fit into offset deltas 0 to -2"),
    ],
)
def test_counts_that_contradict_each_other(count: int, last_offset_delta: int, message: str) -> None:
    with pytest.raises(CorruptBatchError, match=message):
        verify(batch_of(area(record()), count, last_offset_delta=last_offset_delta))


def test_fewer_records_than_offsets_are_what_compaction_leaves() -> None:
    assert verify(batch_of(area(record()), 1, last_offset_delta=9)).next_offset == 310
    emptied = batch_of(b"", 0, last_offset_delta=9)
    assert verify(emptied).next_offset == 310
    assert decode(emptied).values() == []
    assert records.read_control(batch_of(b"", 0, attributes=0x20, last_offset_delta=0)) is None


@pytest.mark.parametrize("codec", [5, 6, 7])
def test_codecs_that_are_not_known(codec: int) -> None:
    for check in (verify, decode):
        with pytest.raises(CorruptBatchError, match=rf"offset 300: codec {codec} in the attributes \(bytes 21-22\)"):
            check(batch_of(area(record()), attributes=codec))


ENDLESS = b"\x80" * 9 + b"\x80"
LIES = {
    "too many records": (
        area(record(value=b"\x10" + b"v" * 8)),
        2,
        "record 1 at byte 16 of .*: its length 0 is not within",
    ),
    "too few records": (area(record(), record(offset=b"\x02")), 1, "1 records take 9 bytes, here are 18"),
    "a billion records": (area(record()), 2**30, r"1073741824 records \(bytes 57-60\) cannot be in 9 bytes"),
    "no records but bytes": (b"\x00" * 9, 0, r"0 records \(bytes 57-60\) cannot be in 9 bytes"),
    "records without bytes": (b"", 1, "1 records .* cannot be in 0 bytes"),
    "a length past the end": (b"\x14" + record() + b"\x00", 1, "its length 10 is not within the 10 bytes"),
    "a negative length": (b"\x01" + record(), 1, "record 0 at byte 0 .*: its length -1"),
    "a length short of the record": (
        b"\x0e" + record() + b"\x00" * 2,
        1,
        "its value, 1 bytes at byte 7, runs past its end at byte 8",
    ),
    "a length beyond the record": (area(record() + b"\x00"), 1, "it has 0 headers after byte 8 and ends at byte 10"),
    "a length that does not end": (ENDLESS + record(), 1, "the varint at byte 0 is longer than 10 bytes"),
    "a timestamp that does not end": (area(record(timestamp=ENDLESS)), 1, "the varint at byte 2 is longer than 10"),
    "an offset that does not end": (area(record(offset=ENDLESS)), 1, "the varint at byte 3 is longer than 10 bytes"),
    "an offset past the last": (area(record(offset=b"\x02")), 1, "its offset delta 1 is not in 0 to 0"),
    "a negative offset": (area(record(offset=b"\x01")), 1, "its offset delta -1 is not in 0 to 0"),
    "an offset twice": (area(record(), record()), 2, "record 1 .* offset delta 0 is not in 1 to 1"),
    "a key past the record": (area(record(key=b"\x0ck")), 1, "its key, 6 bytes at byte 5, runs past its end at byte 9"),
    "a key past everything": (
        area(record(key=encode_varint(2**40))),
        1,
        "its key, 1099511627776 bytes at byte 10, runs past its end at byte 13",
    ),
    "a key that does not end": (area(record(key=ENDLESS)), 1, "the varint at byte 4 is longer than 10 bytes"),
    "a value past the record": (area(record(value=b"\x06v")), 1, "its value, 3 bytes at byte 7, runs past"),
    "a value that does not end": (area(record(value=ENDLESS)), 1, "the varint at byte 6 is longer than 10 bytes"),
    "no header count": (area(record(headers=b"")), 1, "its value, 1 bytes at byte 7, runs past its end at byte 8"),
    "headers without bytes": (area(record(headers=b"\x02")), 1, "it has 1 headers after byte 8 and ends at byte 9"),
    "fewer than no headers": (area(record(headers=b"\x01")), 1, "it has -1 headers after byte 8"),
}


@pytest.mark.parametrize("lie", LIES)
@pytest.mark.parametrize("first", [0, 100])
def test_records_that_lie(lie: str, first: int) -> None:
    """Alone, and after a hundred good ones, where the columns meet it first."""
    lying, count, message = LIES[lie]
    good = area(*(record(offset=encode_varint(i)) for i in range(first)))
    if not first:
        with pytest.raises(CorruptBatchError, match=f"^batch at offset 300: .*{message}"):
            decode(batch_of(lying, count))
    else:
        with pytest.raises(CorruptBatchError, match=r"^batch at offset 300: "):
            decode(batch_of(good + lying, first + count))


HEADER_LIES = {
    "more headers than bytes": (b"\x04\x02a\x02b", "a header's name has 8 bytes at byte 14"),
    "fewer headers than bytes": (b"\x02\x02a\x02b\x00", "end at byte"),
    "a null name": (b"\x02\x01\x02b", "a header's name has -1 bytes"),
    "a name past the record": (b"\x02\x20a\x02b", "a header's name has 16 bytes"),
    "a value past the record": (b"\x02\x02a\x20b", "a header's value has 16 bytes"),
    "a name that is not text": (b"\x02\x02\xff\x02b", "'utf-8' codec can't decode byte 0xff"),
    "a name that does not end": (b"\x02" + ENDLESS, "the varint at byte 9 is longer than 10 bytes"),
}


@pytest.mark.parametrize("lie", HEADER_LIES)
def test_headers_that_lie_are_found_when_they_are_asked_for(lie: str) -> None:
    headers, message = HEADER_LIES[lie]
    found = decode(batch_of(area(record(headers=headers), record(offset=b"\x02")), 2))
    assert found.values() == [b"v", b"v"]
    with pytest.raises(CorruptBatchError, match=f"headers of the record at offset 300.*{message}"):
        found.headers()


@pytest.mark.parametrize("codec", CODECS[1:])
@pytest.mark.parametrize("payload", [b"", b"\x01", b"garbage" * 20, bytes(100)])
def test_payloads_that_do_not_unpack(codec: str, payload: bytes) -> None:
    with pytest.raises(CorruptBatchError, match=rf"offset 300: the records .* do not unpack: {codec}"):
        decode(batch_of(payload, 1, attributes=CODECS.index(codec)))


@pytest.mark.parametrize("codec", CODECS[1:])
def test_payloads_that_unpack_to_too_much(codec: str, monkeypatch: pytest.MonkeyPatch) -> None:
    batch = encode([None], [bytes(1_000_000)], [0], codec=codec)
    monkeypatch.setattr(records, "MAX_UNCOMPRESSED_BYTES", 900_000)
    with pytest.raises(CorruptBatchError, match=rf"do not unpack: {codec}.* 900000 allowed|{codec}.* allowed"):
        decode(batch)


@st.composite
def mutated(draw: st.DrawFn) -> tuple[bytes, int]:
    """The records of a batch with a few bytes changed, removed or put in; and their number."""
    count = draw(st.sampled_from([1, 2, 29, 60]))
    field = st.none() | st.binary(max_size=3)
    keys = draw(st.lists(field, min_size=1, max_size=3))
    headers = [[], [("a", b"b")]] if draw(st.booleans()) else [[]]
    whole = encode(
        [keys[i % len(keys)] for i in range(count)],
        [b"value"] * count,
        range(count),
        [headers[i % len(headers)] for i in range(count)],
    )
    octets = bytearray(whole[61:])
    for _ in range(draw(st.integers(1, 3))):
        position = draw(st.integers(0, len(octets) - 1))
        replacement = draw(
            st.binary(max_size=2) | st.sampled_from([b"\x00", b"\x01", b"\x80", b"\xff\xff\xff\xff\x0f"])
        )
        octets[position : position + draw(st.integers(0, 2))] = replacement
    return bytes(octets), count


@settings(deadline=None)
@given(mutated())
def test_columns_accept_nothing_that_the_loop_does_not(mutated: tuple[bytes, int]) -> None:
    octets, count = mutated
    header = read_header(batch_of(octets, count))
    buffer = octets + WORD_PADDING
    areas = [decoder.Area(header, 0, len(octets))]
    columns = decoder._by_columns(buffer, areas) if 7 * count <= len(octets) else None
    if columns is not None:
        assert_equal(columns, decoder._one_by_one(buffer, areas))


def assert_equal(one: decoder.Columns, other: decoder.Columns) -> None:
    for name, column in one._asdict().items():
        np.testing.assert_array_equal(column, getattr(other, name), name)


@settings(deadline=None)
@given(mutated())
def test_damaged_records_are_read_or_refused_and_nothing_else(mutated: tuple[bytes, int]) -> None:
    try:
        found = decode(batch_of(*mutated))
        found.headers()
    except CorruptBatchError as error:
        assert str(error).startswith(("batch at offset 300: ", "headers of the record at offset 3"))
        assert not isinstance(error, VarintError)
    else:
        assert len(found.keys()) == len(found.values()) == mutated[1]
