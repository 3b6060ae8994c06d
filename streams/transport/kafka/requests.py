"""Our messages on their way to a broker: structs of `broker_embedded/wire/messages`, in the newest version that both
sides know.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from broker_embedded.wire import codec, frames
from broker_embedded.wire.messages import APIS, Request, Response
from broker_embedded.wire.primitives import Frame
from broker_embedded.wire.schema import versions
from streams.transport.contract import TransportError


@dataclass(frozen=True, slots=True)
class WireRequest:
    """A request, to be sent in the newest version up to `last_version` that the broker at the other end serves."""

    request: Request
    last_version: int = 32_767

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
    """A request in one version, which knows how its answer is read."""

    request: Request
    version: int

    def read(self, frame: Frame) -> Response:
        """The answer in a whole frame. Raises MalformedError."""
        at = frames.response_body_position(frame, self.request.api_key, self.version)
        return codec.decode_response(self.request.api_key, self.version, frame, at)
