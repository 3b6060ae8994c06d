"""The codecs alone: against pyarrow's and the standard library's, in Kafka's framings, and with damaged input."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Callable
from itertools import pairwise

import aiokafka.codec
import cramjam
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker_embedded.records import compression
from broker_embedded.records.compression import CODECS, CorruptPayloadError, compress, decompress

PACKED = CODECS[1:]
SAMPLE = b"".join(b'{"user": "user-%05d", "amount": %d.25}' % (i * 7919 % 10_000, i % 500) for i in range(3_000))
ANY = st.binary(max_size=300) | st.builds(bytes.__mul__, st.binary(max_size=9), st.sampled_from([1, 100, 9_000]))


def pyarrow_packs(codec: str) -> Callable[[bytes], bytes]:
    return lambda data: pa.Codec(codec).compress(data, asbytes=True)


def pyarrow_unpacks(codec: str, size: int) -> Callable[[bytes], bytes]:
    return lambda data: pa.Codec(codec).decompress(data, size, asbytes=True)


@settings(deadline=None)
@given(ANY, st.sampled_from(CODECS))
def test_what_is_packed_is_unpacked(data: bytes, codec: str) -> None:
    assert decompress(codec, compress(codec, data)) == data
    assert decompress(codec, memoryview(compress(codec, memoryview(bytearray(data))))) == data


@settings(deadline=None)
@given(ANY.filter(len), st.sampled_from(PACKED))  # an empty snappy stream, a header alone, is not read by aiokafka
def test_aiokafka_unpacks_ours_and_we_unpack_theirs(data: bytes, codec: str) -> None:
    assert getattr(aiokafka.codec, f"{codec}_decode")(compress(codec, data)) == data
    assert decompress(codec, getattr(aiokafka.codec, f"{codec}_encode")(data)) == data


@pytest.mark.parametrize("codec", ["gzip", "lz4", "zstd"])
def test_pyarrow_unpacks_ours_and_we_unpack_theirs(codec: str) -> None:
    assert pyarrow_unpacks(codec, len(SAMPLE))(compress(codec, SAMPLE)) == SAMPLE
    assert decompress(codec, pyarrow_packs(codec)(SAMPLE)) == SAMPLE


def test_snappy_without_framing_is_read_too() -> None:
    """librdkafka and other C clients write it so; pyarrow knows no other."""
    assert decompress("snappy", pyarrow_packs("snappy")(SAMPLE)) == SAMPLE


def test_snappy_is_written_in_blocks_as_snappy_java_does() -> None:
    """Magic, two versions, then blocks of at most 32 KiB before packing, each behind its length."""
    packed = compress("snappy", SAMPLE)
    assert packed[:16] == b"\x82SNAPPY\x00" + struct.pack(">ii", 1, 1)
    ends = block_ends(packed)
    assert ends[-1] == len(packed)
    for index, (start, stop) in enumerate(pairwise(ends)):
        expected = SAMPLE[index * 32 * 1024 :][: 32 * 1024]
        assert pyarrow_unpacks("snappy", len(expected))(packed[start + 4 : stop]) == expected


def block_ends(packed: bytes) -> list[int]:
    """Where the header and each block of a framed snappy stream end."""
    ends = [16]
    while ends[-1] < len(packed):
        ends.append(ends[-1] + 4 + struct.unpack_from(">i", packed, ends[-1])[0])
    return ends


def test_versions_of_snappy_framing_are_not_looked_at() -> None:
    packed = bytearray(compress("snappy", b"hello"))
    packed[8:16] = struct.pack("<ii", 1, 1)
    assert decompress("snappy", packed) == b"hello"


def test_lz4_frames_are_as_kafka_reads_them() -> None:
    """Version 1, independent blocks, no dictionary: KafkaLZ4BlockInputStream refuses the rest."""
    magic, flags = struct.unpack_from("<IB", compress("lz4", SAMPLE))
    assert magic == 0x184D2204
    assert flags >> 6 == 1
    assert flags & 0b0010_0000
    assert not flags & 0b0000_0011


def test_gzip_members_behind_each_other_are_one() -> None:
    assert decompress("gzip", gzip.compress(b"one, ") + gzip.compress(b"two")) == b"one, two"


@pytest.mark.parametrize("codec", ["gzip", "lz4", "zstd"])
def test_levels(codec: str) -> None:
    sizes = {level: len(compress(codec, SAMPLE, level)) for level in (1, 9)}
    assert sizes[9] < sizes[1]
    assert decompress(codec, compress(codec, SAMPLE, 9)) == SAMPLE
    assert compress(codec, SAMPLE) == compress(codec, SAMPLE, {"gzip": 6, "lz4": 1, "zstd": 1}[codec])


@pytest.mark.parametrize("codec", ["none", "snappy"])
def test_no_levels(codec: str) -> None:
    with pytest.raises(ValueError, match=f"codec '{codec}' has no levels .level=3.; gzip, lz4, zstd have"):
        compress(codec, SAMPLE, 3)


@pytest.mark.parametrize("function", [compress, decompress])
def test_unknown_codecs(function: Callable[[str, bytes], bytes]) -> None:
    with pytest.raises(ValueError, match="unknown codec 'brotli'; known: none, gzip, snappy, lz4, zstd"):
        function("brotli", b"")


@pytest.mark.parametrize("codec", PACKED)
def test_cut_payloads_are_refused(codec: str) -> None:
    packed = compress(codec, SAMPLE)
    # A framed snappy stream does not say how many blocks it has: cut between two, it is whole.
    whole = block_ends(packed) if codec == "snappy" else []
    for cut in {*range(60), *range(60, len(packed), 97)}.difference(whole):
        with pytest.raises(CorruptPayloadError, match=f"^{codec}: "):
            decompress(codec, packed[:cut])


@pytest.mark.parametrize("codec", PACKED)
@settings(deadline=None)
@given(payload=st.binary(max_size=60))
def test_garbage_is_refused_or_unpacked_and_nothing_else(codec: str, payload: bytes) -> None:
    head = compress(codec, b"")[:16]
    for data in (payload, head + payload):
        try:
            assert len(decompress(codec, data, 100_000)) <= 100_000
        except CorruptPayloadError as error:
            assert str(error).startswith(f"{codec}: ")


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (b"\x00\x00", "block length at byte 16 is cut short"),
        (b"\x00\x00\x00\x05abcd", "block of 5 bytes at byte 20 runs past the end at 24"),
        (b"\xff\xff\xff\xff", "block of -1 bytes at byte 20"),
        (b"\x00\x00\x00\x04abcd", "the block at byte 20 is damaged"),
    ],
)
def test_damaged_snappy_frames(frame: bytes, message: str) -> None:
    with pytest.raises(CorruptPayloadError, match=message):
        decompress("snappy", compress("snappy", b"") + frame)


@pytest.mark.parametrize("codec", PACKED)
def test_as_much_as_is_allowed_and_no_more(codec: str) -> None:
    packed = compress(codec, bytes(500_000))
    assert decompress(codec, packed, 500_000) == bytes(500_000)
    for allowed in (499_999, 70_000, 1, 0):
        with pytest.raises(CorruptPayloadError, match="allowed"):
            decompress(codec, packed, allowed)


def test_a_bomb_is_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    """40 KB of zstd that come to 1 GB take no more memory than is allowed."""
    bomb = bytes(cramjam.zstd.compress(bytes(2**20), level=1)) * 1024
    sizes: list[int] = []
    empty = compression.np.empty
    monkeypatch.setattr(compression.np, "empty", lambda size, dtype: sizes.append(size) or empty(size, dtype))
    with pytest.raises(CorruptPayloadError, match=f"{len(bomb)} bytes come to more than the 10000000 allowed"):
        decompress("zstd", bomb, 10_000_000)
    assert max(sizes) == 10_000_000
