"""The four codecs of Kafka's record batches, each as a pair of small functions over cramjam.

Snappy is written in the framing of xerial's snappy-java, which Java clients require, and read with or without it.
lz4 frames have independent blocks: Kafka's Java reader refuses linked ones (KIP-57).
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import TypeAlias

import cramjam
import numpy as np

Buffer: TypeAlias = bytes | bytearray | memoryview

# In the order of the codec ids in a batch's attributes (Kafka's CompressionType).
CODECS = ("none", "gzip", "snappy", "lz4", "zstd")

# A small payload can claim to be enormous (zstd: 128 KiB from 4 bytes). Beyond this a batch is refused unread.
MAX_UNCOMPRESSED_BYTES = 256 * 1024 * 1024

_XERIAL_MAGIC = b"\x82SNAPPY\x00"
_XERIAL_HEADER = _XERIAL_MAGIC + struct.pack(">ii", 1, 1)  # version, oldest version that can read it
_XERIAL_BLOCK_BYTES = 32 * 1024
_BLOCK_LENGTH = struct.Struct(">i")


class CorruptPayloadError(ValueError):
    """Compressed bytes that are damaged, cut short, or larger than allowed when unpacked."""


def compress(codec: str, data: Buffer, level: int | None = None) -> bytes:
    """Pack `data` with `codec`; `level` None means 6 for gzip, 1 for lz4 and zstd. Snappy has no levels.

    Raises ValueError for an unknown codec, or for a level where there is none.

    >>> len(compress("zstd", b"a" * 10_000)) < 100
    True
    """
    return _codec(_COMPRESSORS, codec)(data, level)


def decompress(codec: str, data: Buffer, max_bytes: int = MAX_UNCOMPRESSED_BYTES) -> bytes:
    """Unpack `data`, at most `max_bytes` of it.

    Raises CorruptPayloadError when the bytes are damaged, cut short or unpack to more; ValueError for an unknown codec.

    >>> decompress("snappy", compress("snappy", b"hello"))
    b'hello'
    """
    return _codec(_DECOMPRESSORS, codec)(data, max_bytes)


def _codec(
    table: dict[str, Callable[[Buffer, int], bytes]] | dict[str, Callable[[Buffer, int | None], bytes]], name: str
):  # type: ignore[no-untyped-def]
    try:
        return table[name]
    except KeyError:
        raise ValueError(f"unknown codec {name!r}; known: {', '.join(CODECS)}") from None


def compress_none(data: Buffer, level: int | None = None) -> bytes:
    return bytes(data)


def compress_gzip(data: Buffer, level: int | None = None) -> bytes:
    return bytes(cramjam.gzip.compress(data, level=6 if level is None else level))


def compress_snappy(data: Buffer, level: int | None = None) -> bytes:
    if level is not None:
        raise ValueError(f"snappy has no compression levels, got level={level}")
    view = memoryview(data)
    parts = [_XERIAL_HEADER]
    for start in range(0, len(view), _XERIAL_BLOCK_BYTES):
        block = bytes(cramjam.snappy.compress_raw(view[start : start + _XERIAL_BLOCK_BYTES]))
        parts += (_BLOCK_LENGTH.pack(len(block)), block)
    return b"".join(parts)


def compress_lz4(data: Buffer, level: int | None = None) -> bytes:
    packer = cramjam.lz4.Compressor(level=1 if level is None else level, content_checksum=False, block_linked=False)
    packer.compress(data)
    return bytes(packer.finish())


def compress_zstd(data: Buffer, level: int | None = None) -> bytes:
    return bytes(cramjam.zstd.compress(data, level=1 if level is None else level))


def decompress_none(data: Buffer, max_bytes: int = MAX_UNCOMPRESSED_BYTES) -> bytes:
    return bytes(data)


def decompress_gzip(data: Buffer, max_bytes: int = MAX_UNCOMPRESSED_BYTES) -> bytes:
    return _decompress_bounded("gzip", cramjam.gzip.decompress_into, data, max_bytes)


def decompress_lz4(data: Buffer, max_bytes: int = MAX_UNCOMPRESSED_BYTES) -> bytes:
    return _decompress_bounded("lz4", cramjam.lz4.decompress_into, data, max_bytes)


def decompress_zstd(data: Buffer, max_bytes: int = MAX_UNCOMPRESSED_BYTES) -> bytes:
    return _decompress_bounded("zstd", cramjam.zstd.decompress_into, data, max_bytes)


def decompress_snappy(data: Buffer, max_bytes: int = MAX_UNCOMPRESSED_BYTES) -> bytes:
    view = memoryview(data)
    if view[:8] != _XERIAL_MAGIC:
        return _decompress_snappy_block(view, 0, max_bytes)
    parts: list[bytes] = []
    # The two version fields are not checked: some writers put them in the wrong byte order, and there is only one.
    position = len(_XERIAL_HEADER)
    while position < len(view):
        if position + 4 > len(view):
            raise CorruptPayloadError(f"snappy: block length at byte {position} is cut short")
        (length,) = _BLOCK_LENGTH.unpack_from(view, position)
        position += 4
        if not 0 <= length <= len(view) - position:
            raise CorruptPayloadError(f"snappy: block of {length} bytes at byte {position} runs past the end")
        parts.append(_decompress_snappy_block(view[position : position + length], position, max_bytes))
        max_bytes -= len(parts[-1])
        position += length
    return b"".join(parts)


def _decompress_snappy_block(block: memoryview, position: int, max_bytes: int) -> bytes:
    try:
        length = cramjam.snappy.decompress_raw_len(block)
        if length > max_bytes:
            raise CorruptPayloadError(
                f"snappy: block at byte {position} unpacks to {length} bytes, {max_bytes} allowed"
            )
        return bytes(cramjam.snappy.decompress_raw(block))
    except cramjam.DecompressionError as error:
        raise CorruptPayloadError(f"snappy: block at byte {position}: {error}") from error


def _decompress_bounded(name: str, into: Callable[[Buffer, object], int], data: Buffer, max_bytes: int) -> bytes:
    # The unpacked size is not known. A numpy buffer that is never touched costs no memory, so the guess is generous.
    size = 16 * len(data) + 4096
    while True:
        output = np.empty(min(size, max_bytes), np.uint8)
        try:
            length = into(data, output)
        except cramjam.DecompressionError as error:
            if "failed to write whole buffer" not in str(error):
                raise CorruptPayloadError(f"{name}: {error}") from error
            if size >= max_bytes:
                raise CorruptPayloadError(f"{name}: {len(data)} bytes unpack to more than {max_bytes}") from error
            size *= 16
        else:
            return output[:length].tobytes()


_COMPRESSORS: dict[str, Callable[[Buffer, int | None], bytes]] = {
    "none": compress_none,
    "gzip": compress_gzip,
    "snappy": compress_snappy,
    "lz4": compress_lz4,
    "zstd": compress_zstd,
}
_DECOMPRESSORS: dict[str, Callable[[Buffer, int], bytes]] = {
    "none": decompress_none,
    "gzip": decompress_gzip,
    "snappy": decompress_snappy,
    "lz4": decompress_lz4,
    "zstd": decompress_zstd,
}
