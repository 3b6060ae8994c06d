"""One broker as a scenario sees it: ask something, get the answer as a dict; all that was said is kept."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable
from typing import Any, NamedTuple

from tests.interop.diff.messages import Row, Versions, decode_response, definitions, encode_request

CLOSED: Row = {"connection": "closed"}
"""In the place of an answer: the broker hung up."""
_TIMEOUT_S = 20.0


class Exchange(NamedTuple):
    """What was asked, and what came back."""

    api: str
    version: int
    fields: Row
    answer: Row


class Asked:
    """A connection to one broker, for one scenario at one version of the API that it is about.

    `name` is a word of its own for topics, groups and transactional ids.
    """

    def __init__(self, bootstrap: str, offered: dict[int, Versions], subject: str, version: int, name: str) -> None:
        self._bootstrap, self._offered = bootstrap, offered
        self._subject, self._correlation_id = subject, 0
        self._socket: socket.socket | None = None
        self.version, self.name = version, name
        self.said: list[Exchange] = []

    def __call__(self, api: str, version: int | None = None, **fields: Any) -> Row:
        """The answer. The subject is asked in its version, everything else in the newest."""
        return self._ask(api, self._choose(api, version), fields, self.said)

    def until(self, reached: Callable[[Row], bool], api: str, version: int | None = None, **fields: Any) -> Row:
        """Ask again until the answer is as wanted, and keep only that: metadata takes its time on one of them."""
        for _ in range(400):
            kept: list[Exchange] = []
            answer = self._ask(api, self._choose(api, version), fields, kept)
            if reached(answer):
                break
        self.said += kept
        return answer

    def _choose(self, api: str, version: int | None) -> int:
        if version is not None:
            return version
        definition = definitions()[f"{api}Request"]
        return self.version if api == self._subject else min(definition.versions[1], self._offered[definition.key][1])

    def _ask(self, api: str, version: int, fields: Row, kept: list[Exchange]) -> Row:
        self._correlation_id += 1
        frame = encode_request(api, version, self._correlation_id, fields)
        answer = self.send(frame)
        decoded = CLOSED if answer is None else decode_response(api, version, answer)
        kept.append(Exchange(api, version, fields, decoded))
        return decoded

    def send(self, frame: bytes) -> bytes | None:
        """The answer to a frame; None when the broker hung up."""
        if self._socket is None:
            host, _, port = self._bootstrap.rpartition(":")
            self._socket = socket.create_connection((host, int(port)), timeout=_TIMEOUT_S)
        self._socket.sendall(struct.pack(">i", len(frame)) + frame)
        header = self._receive(4)
        return None if header is None else self._receive(struct.unpack(">i", header)[0])

    def _receive(self, count: int) -> bytes | None:
        assert self._socket is not None
        data = b""
        while len(data) < count:
            try:
                more = self._socket.recv(count - len(data))
            except ConnectionResetError:
                more = b""
            if not more:
                self.close()
                return None
            data += more
        return data

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def offered(bootstrap: str) -> dict[int, Versions]:
    """What a broker says it serves: versions by key."""
    asked = Asked(bootstrap, {}, "ApiVersions", 0, "")
    try:
        return {
            row["apiKey"]: Versions((row["minVersion"], row["maxVersion"])) for row in asked("ApiVersions")["apiKeys"]
        }
    finally:
        asked.close()
