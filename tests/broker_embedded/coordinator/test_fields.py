"""Fields of records, in both encodings."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker_embedded.coordinator.fields import FAULTS, Reader, Writer

maybe_text = st.none() | st.text(max_size=200)


@pytest.mark.parametrize("flexible", [False, True])
@given(st.integers(-128, 127), st.integers(-(2**15), 2**15 - 1), maybe_text, st.binary(max_size=300), st.uuids())
def test_fields_round_trip(flexible: bool, small: int, short: int, text: str | None, blob: bytes, key: UUID) -> None:
    writer = Writer(flexible).int8(small).int16(short).int32(short).int64(short).string(text).binary(blob).uuid(key)
    reader = Reader(writer.count(-1).tags().int8(1).data(), flexible=flexible)
    assert (reader.int8(), reader.int16(), reader.int32(), reader.int64()) == (small, short, short, short)
    assert (reader.nullable_string(), reader.binary(), reader.uuid(), reader.count()) == (text, blob, key, 0)
    assert (reader.tags(), reader.int8()) == ({}, 1)


def test_bytes() -> None:
    assert Writer().string(None).string("é").binary(b"x").count(2).tags().data().hex() == (
        "ffff" "0002c3a9" "0000000178" "00000002"
    )  # fmt: skip
    assert Writer(flexible=True).string(None).string("é").count(300).tags().data().hex() == "0003c3a9ad0200"


def test_tagged_fields_are_passed_over() -> None:
    reader = Reader(bytes.fromhex("02 00 01 61 05 00 7f"), flexible=True)
    assert reader.tags() == {0: b"a", 5: b""}
    assert reader.int8() == 0x7F


@pytest.mark.parametrize("flexible", [False, True])
@given(st.text(min_size=1, max_size=20), st.binary(min_size=1, max_size=20), st.data())
def test_what_is_cut_short_is_not_read_as_something_shorter(
    flexible: bool, text: str, blob: bytes, data: st.DataObject
) -> None:
    whole = Writer(flexible).string(text).binary(blob).tags({0: blob}).data()
    reader = Reader(whole[: data.draw(st.integers(0, len(whole) - 1))], flexible=flexible)
    with pytest.raises(FAULTS):
        reader.string(), reader.binary(), reader.tags()
