"""Our messages over aiokafka's connections.

aiokafka opens connections, secures them and keeps requests and answers together; what a request is, it leaves to an
object with a few methods. `WireRequest` is that object for any struct of `broker_embedded/wire/messages`, in the newest
version that both sides know.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from broker_embedded.wire import codec, frames
from broker_embedded.wire.messages import APIS, Request, Response
from broker_embedded.wire.schema import versions
from streams.transport.contract import TransportError


@dataclass(frozen=True, slots=True)
class WireRequest:
    """A request, to be sent in the newest version up to `last_version` that the broker at the other end serves."""

    request: Request
    last_version: int = 32_767

    @property
    def API_KEY(self) -> int:
        return self.request.api_key

    def prepare(self, served: Mapping[int, tuple[int, int]]) -> PreparedRequest:
        """The request in the version to use with a broker that serves `served`. Raises TransportError for none."""
        key = self.request.api_key
        first, last = served.get(key, (0, -1))
        known = versions(key)
        version = min(last, known[-1], self.last_version)
        if version < max(first, known[0]):
            raise TransportError(
                f"{APIS[key].name}: the broker serves versions {first} to {last}, "
                f"{known[0]} to {min(known[-1], self.last_version)} are wanted here"
            )
        return PreparedRequest(self.request, version)


@dataclass(frozen=True, slots=True)
class PreparedRequest:
    """A request in one version: bytes out, and the answer's bytes in."""

    request: Request
    version: int

    @property
    def RESPONSE_TYPE(self) -> PreparedRequest:
        return self

    def build_request_header(self, correlation_id: int, client_id: str) -> _Header:
        return _Header(self.request.api_key, self.version, correlation_id, client_id)

    def encode(self) -> bytes:
        return b"".join(codec.encode_request(self.request.api_key, self.version, self.request))

    def parse_response_header(self, answer: io.BytesIO) -> _AnswerHeader:
        return _AnswerHeader(int.from_bytes(answer.getbuffer()[:4], "big", signed=True))

    def decode(self, answer: io.BytesIO) -> Response:
        frame = answer.getvalue()
        at = frames.response_body_position(frame, self.request.api_key, self.version)
        return codec.decode_response(self.request.api_key, self.version, frame, at)

    def __str__(self) -> str:
        return f"{type(self.request).__name__} v{self.version}"


@dataclass(frozen=True, slots=True)
class _Header:
    api_key: int
    version: int
    correlation_id: int
    client_id: str

    def encode(self) -> bytes:
        pieces: list[Any] = frames.request_frame(self.api_key, self.version, self.correlation_id, self.client_id, [])
        return b"".join(pieces[1:])  # aiokafka writes the length


@dataclass(frozen=True, slots=True)
class _AnswerHeader:
    correlation_id: int
