"""Frames: four bytes of length, then a request or response with its header. No I/O.

Headers (RequestHeader.json, ResponseHeader.json): a request says key, version, correlation id and client id, and in
flexible versions tags; a response says the correlation id, and in flexible versions tags. ApiVersions never has tags in
its response header, so that a client which does not know the broker's versions can read it (KIP-511).
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from broker_embedded.wire.messages import APIS, Buffer
from broker_embedded.wire.primitives import (
    Frame,
    MalformedError,
    read_string,
    skip_tags,
    varint,
    write_string,
)
from broker_embedded.wire.schema import schema

_LENGTH = struct.Struct(">i")
_REQUEST = struct.Struct(">hhi")
_RESPONSE = struct.Struct(">ii")
_FIRST_ALLOCATION_BYTES = 1 << 20  # a frame takes more only as its bytes come in
_LARGE_BYTES = 1 << 17  # up to here a copy is quicker than one more call of the system, which also wakes the reader
_API_VERSIONS = 18


class RequestHeader(NamedTuple):
    api_key: int
    api_version: int
    correlation_id: int
    client_id: str | None
    body_at: int  # where the body begins in the frame


def is_flexible(api_key: int, version: int) -> bool:
    return schema(api_key, version, "request").is_flexible


def read_request_header(frame: Frame) -> RequestHeader:
    """The header of a request; `body_at` is behind the tags where the version is one that we know.

    Raises MalformedError.
    """
    try:
        api_key, version, correlation_id = _REQUEST.unpack_from(frame)
        client_id, at = read_string(frame, _REQUEST.size)
        return RequestHeader(api_key, version, correlation_id, client_id, at)
    except (struct.error, UnicodeDecodeError) as error:
        raise MalformedError(f"the header of a request: {error}") from error


def body_position(frame: Frame, header: RequestHeader) -> int:
    """Where the body begins: behind the header's tags, if the version has them. Raises MalformedError."""
    if not is_flexible(header.api_key, header.api_version):
        return header.body_at
    try:
        return skip_tags(frame, header.body_at)
    except IndexError as error:
        raise MalformedError(f"byte {header.body_at}: the header of a request ends in its tags") from error


def request_frame(
    api_key: int, version: int, correlation_id: int, client_id: str | None, body: list[Buffer]
) -> list[Buffer]:
    """A whole frame, in pieces."""
    pieces: list[Buffer] = [_REQUEST.pack(api_key, version, correlation_id)]
    write_string(pieces.append, client_id)
    if is_flexible(api_key, version):
        pieces.append(varint(0))
    pieces += body
    return [_LENGTH.pack(sum(map(len, pieces))), *pieces]


def response_frame(api_key: int, version: int, correlation_id: int, body: list[Buffer]) -> list[Buffer]:
    """A whole frame, in pieces."""
    tags = b"\0" if api_key != _API_VERSIONS and is_flexible(api_key, version) else b""
    size = 4 + len(tags) + sum(map(len, body))
    return [_RESPONSE.pack(size, correlation_id) + tags, *body]


def joined(pieces: list[Buffer], size: int) -> list[Buffer]:
    """Pieces of `size` bytes in all as few pieces to send; large ones are not copied."""
    if size < _LARGE_BYTES:
        return [b"".join(pieces)]
    found: list[Buffer] = []
    small: list[Buffer] = []
    for piece in pieces:
        if len(piece) < _LARGE_BYTES:
            small.append(piece)
            continue
        if small:
            found.append(b"".join(small))
            small = []
        found.append(piece)
    return [*found, b"".join(small)] if small else found


def response_body_position(frame: Frame, api_key: int, version: int) -> int:
    """Where the body of a response begins that is no ApiVersions v0 fallback. Raises MalformedError."""
    if api_key == _API_VERSIONS or not is_flexible(api_key, version):
        return 4
    return skip_tags(frame, 4)


def api_name(api_key: int) -> str:
    return APIS[api_key].name if api_key in APIS else f"API key {api_key}"


class FrameReader:
    """Cuts what a connection receives into frames.

    `buffer` is where the next bytes go: a scratch buffer that all connections of a loop share, or the frame itself once
    its length is known, so that a large frame is received in place. A length that can't be is a `fault`, behind the
    frames that came before it; from then on nothing is read.

    >>> reader = FrameReader(bytearray(64), max_bytes=1 << 20)
    >>> reader.buffer()[:8] = bytes([0, 0, 0, 2, 7, 8, 0, 0])
    >>> reader.received(8)
    [bytearray(b'\\x07\\x08')]
    """

    def __init__(self, scratch: bytearray, *, max_bytes: int) -> None:
        self._scratch = memoryview(scratch)
        self.max_bytes = max_bytes
        self.fault: MalformedError | None = None
        self._head = b""  # less than a length
        self._frame: bytearray | None = None
        self._size = self._filled = 0

    def buffer(self) -> memoryview:
        if self._frame is None:
            return self._scratch
        if self._filled == len(self._frame):
            self._frame.extend(bytes(min(self._filled, self._size - self._filled)))
        return memoryview(self._frame)[self._filled :]

    def received(self, count: int) -> list[bytearray]:
        """`count` bytes have come into `buffer`; the frames that are whole now."""
        if self.fault is not None:
            return []
        if self._frame is not None:
            self._filled += count
            if self._filled < self._size:
                return []
            frame, self._frame = self._frame, None
            return [frame]
        return self._cut(self._scratch[:count] if not self._head else self._head + bytes(self._scratch[:count]))

    def _cut(self, data: bytes | memoryview) -> list[bytearray]:
        self._head = b""
        frames: list[bytearray] = []
        at, end = 0, len(data)
        while end - at >= 4:
            size = _LENGTH.unpack_from(data, at)[0]
            if not 0 <= size <= self.max_bytes:
                text = f"a frame of {size} bytes; 0 to {self.max_bytes} (socket.request.max.bytes)"
                self.fault = MalformedError(text)
                return frames
            at += 4
            if end - at < size:
                self._begin(size, data[at:])
                return frames
            frames.append(bytearray(data[at : at + size]))
            at += size
        self._head = bytes(data[at:])
        return frames

    def _begin(self, size: int, start: bytes | memoryview) -> None:
        self._size, self._filled = size, len(start)
        self._frame = bytearray(min(size, max(_FIRST_ALLOCATION_BYTES, 2 * len(start))))
        self._frame[: len(start)] = start
