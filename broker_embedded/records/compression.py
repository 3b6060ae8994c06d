"""The four codecs of Kafka's record batches, each as a pair of small functions over cramjam.

Snappy is written in the framing of xerial's snappy-java, which Java clients require, and read with or without it.
lz4 frames have independent blocks: Kafka's Java reader refuses linked ones (KIP-57).
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, TypeAlias

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
_OUTPUT_FULL = "failed to write whole buffer"  # how cramjam says that the output has no room left


class CorruptPayloadError(ValueError):
    """Compressed bytes that are damaged, cut short, or larger than allowed when unpacked."""


def compress(codec: str, data: Buffer, level: int | None = None) -> bytes:
    """Pack `data` with `codec`, one of CODECS; without `level` at 6 for gzip, at 1 for lz4 and zstd.

    Raises ValueError for an unknown codec, and for a level where there is none (none, snappy).

    >>> len(compress("zstd", b"a" * 10_000)) < 100
    True
    """
    if codec not in CODECS:
        raise ValueError(f"unknown codec {codec!r}; known: {', '.join(CODECS)}")
    if level is None:
        return _COMPRESSORS[codec](data)
    if codec not in _LEVELLED:
        raise ValueError(f"codec {codec!r} has no levels (level={level}); {', '.join(_LEVELLED)} have")
    return _LEVELLED[codec](data, level)


def decompress(codec: str, data: Buffer, max_bytes: int = MAX_UNCOMPRESSED_BYTES) -> bytes:
    """Unpack `data`, which may come to `max_bytes`.

    Raises CorruptPayloadError when it is damaged, cut short or comes to more; ValueError for an unknown codec.

    >>> decompress("snappy", compress("snappy", b"hello"))
    b'hello'
    """
    if codec not in CODECS:
        raise ValueError(f"unknown codec {codec!r}; known: {', '.join(CODECS)}")
    return _DECOMPRESSORS[codec](data, max_bytes)


def compress_gzip(data: Buffer, level: int = 6) -> bytes:
    return bytes(cramjam.gzip.compress(data, level=level))


def compress_snappy(data: Buffer) -> bytes:
    view = memoryview(data)
    parts = [_XERIAL_HEADER]
    for start in range(0, len(view), _XERIAL_BLOCK_BYTES):
        block = bytes(cramjam.snappy.compress_raw(view[start : start + _XERIAL_BLOCK_BYTES]))
        parts += (_BLOCK_LENGTH.pack(len(block)), block)
    return b"".join(parts)


def compress_lz4(data: Buffer, level: int = 1) -> bytes:
    packer = cramjam.lz4.Compressor(level=level, content_checksum=False, block_linked=False)
    packer.compress(bytes(data))
    return bytes(packer.finish())


def compress_zstd(data: Buffer, level: int = 1) -> bytes:
    return bytes(cramjam.zstd.compress(data, level=level))


def decompress_gzip(data: Buffer, max_bytes: int) -> bytes:
    return _decompress_bounded("gzip", cramjam.gzip.decompress_into, data, max_bytes)


def decompress_lz4(data: Buffer, max_bytes: int) -> bytes:
    return _decompress_bounded("lz4", cramjam.lz4.decompress_into, data, max_bytes)


def decompress_zstd(data: Buffer, max_bytes: int) -> bytes:
    return _decompress_bounded("zstd", cramjam.zstd.decompress_into, data, max_bytes)


def decompress_snappy(data: Buffer, max_bytes: int) -> bytes:
    view = memoryview(data)
    if view[: len(_XERIAL_MAGIC)] != _XERIAL_MAGIC:
        return _decompress_snappy_block(view, 0, max_bytes)
    parts: list[bytes] = []
    # Two version numbers follow the magic. Nobody looks: there is one version, and some write it little-endian.
    position = len(_XERIAL_HEADER)
    if position > len(view):
        raise CorruptPayloadError(f"snappy: the header of {position} bytes is cut short at {len(view)}")
    while position < len(view):
        start = position + _BLOCK_LENGTH.size
        if start > len(view):
            raise CorruptPayloadError(f"snappy: block length at byte {position} is cut short")
        (length,) = _BLOCK_LENGTH.unpack_from(view, position)
        position = start + length
        if not start <= position <= len(view):
            raise CorruptPayloadError(
                f"snappy: block of {length} bytes at byte {start} runs past the end at {len(view)}"
            )
        parts.append(_decompress_snappy_block(view[start:position], start, max_bytes))
        max_bytes -= len(parts[-1])
    return b"".join(parts)


def _decompress_snappy_block(block: memoryview, position: int, max_bytes: int) -> bytes:
    try:
        length = cramjam.snappy.decompress_raw_len(block)
        if length > max_bytes:
            raise CorruptPayloadError(
                f"snappy: the block at byte {position} comes to {length} bytes, {max_bytes} allowed"
            )
        return bytes(cramjam.snappy.decompress_raw(block))
    except cramjam.DecompressionError as error:
        raise CorruptPayloadError(f"snappy: the block at byte {position} is damaged: {error}") from error


def _decompress_bounded(name: str, unpack_into: Callable[[Any, Any], int], data: Buffer, max_bytes: int) -> bytes:
    # How much comes out is not known before. Memory of numpy's that is never touched costs nothing, so guess high.
    size = 16 * len(data) + 4096
    while True:
        output = np.empty(min(size, max_bytes), np.uint8)
        try:
            return output[: unpack_into(data, output)].tobytes()
        except cramjam.DecompressionError as error:
            if _OUTPUT_FULL not in str(error):
                raise CorruptPayloadError(f"{name}: {error}") from error
            if size >= max_bytes:
                raise CorruptPayloadError(
                    f"{name}: {len(data)} bytes come to more than the {max_bytes} allowed"
                ) from error
            size *= 16


_LEVELLED: dict[str, Callable[[Buffer, int], bytes]] = {
    "gzip": compress_gzip,
    "lz4": compress_lz4,
    "zstd": compress_zstd,
}
_COMPRESSORS: dict[str, Callable[[Buffer], bytes]] = {
    "none": bytes,
    "gzip": compress_gzip,
    "snappy": compress_snappy,
    "lz4": compress_lz4,
    "zstd": compress_zstd,
}
_DECOMPRESSORS: dict[str, Callable[[Buffer, int], bytes]] = {
    "none": lambda data, max_bytes: bytes(data),
    "gzip": decompress_gzip,
    "snappy": decompress_snappy,
    "lz4": decompress_lz4,
    "zstd": decompress_zstd,
}
