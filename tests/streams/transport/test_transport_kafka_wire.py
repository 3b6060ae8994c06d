"""What comes over a connection, cut and put together: answers in order, large ones in place, nonsense ends it."""

from __future__ import annotations

from collections import deque
from typing import Any

import pytest

from broker_embedded.wire import codec, frames
from broker_embedded.wire.messages.groups import HeartbeatRequest, HeartbeatResponse
from broker_embedded.wire.messages.records import FetchableTopicResponse, FetchRequest, FetchResponse, PartitionData
from streams.transport.kafka.requests import WireRequest
from streams.transport.kafka.wire import Wire

HEARTBEAT, FETCH = 12, 1


class Connection:
    """As much of aiokafka's as a wire needs, and what is written to it."""

    def __init__(self) -> None:
        self._requests: deque[Any] = deque()
        self._versions = {HEARTBEAT: (0, 4), FETCH: (4, 12)}
        self._client_id = "test"
        self._last_action = 0.0
        self._number = 0
        self.closed: list[Any] = []
        self._writer = self.transport = self._read_task = self._protocol = self
        self.written = b""

    def _next_correlation_id(self) -> int:
        self._number += 1
        return self._number

    def set_protocol(self, protocol: Wire) -> None: ...
    def cancel(self) -> None: ...
    def connection_lost(self, error: Exception | None) -> None: ...

    def connected(self) -> bool:
        return not self.closed

    def write(self, data: bytes) -> None:
        self.written += data

    def close(self, reason: Any = None, exc: Exception | None = None) -> None:
        if self.closed:
            return
        self.closed.append((reason.name, exc))
        for _, _, answer in self._requests:
            answer.set_exception(ConnectionError("closed"))
        self._requests = deque()


@pytest.fixture
def connection() -> Connection:
    return Connection()


@pytest.fixture
def wire(connection: Connection) -> Wire:
    return Wire(connection, bytearray(64))  # type: ignore[arg-type]


def receive(wire: Wire, data: bytes, step: int) -> None:
    """`data` comes in pieces of up to `step` bytes."""
    at = 0
    while at < len(data):
        room = wire.get_buffer(-1)
        size = min(len(room), step, len(data) - at)
        room[:size] = data[at : at + size]
        del room  # as event loops do
        wire.buffer_updated(size)
        at += size


def answer(key: int, version: int, number: int, response: Any) -> bytes:
    return b"".join(frames.response_frame(key, version, number, codec.encode_response(key, version, response)))


@pytest.mark.parametrize("step", [1, 7, 1 << 20])
async def test_answers_come_to_who_asked(step: int, connection: Connection, wire: Wire) -> None:
    small = wire.send(WireRequest(HeartbeatRequest("g", 1, "m")))
    large = wire.send(WireRequest(FetchRequest()))
    last = wire.send(WireRequest(HeartbeatRequest("g", 1, "m")))
    assert connection.written.count(b"test") == 3
    rows = [
        FetchableTopicResponse("t", partitions=[PartitionData(0, records=b"x" * 3_000_000 if step > 7 else b"x" * 300)])
    ]
    data = answer(HEARTBEAT, 4, 1, HeartbeatResponse(27))
    data += answer(FETCH, 12, 2, FetchResponse(responses=rows)) + answer(HEARTBEAT, 4, 3, HeartbeatResponse())
    receive(wire, data, step)
    assert (await small).error_code == 27
    assert bytes((await large).responses[0].partitions[0].records) == rows[0].partitions[0].records
    assert (await last).error_code == 0
    assert wire.is_open


async def test_an_answer_that_nobody_waits_for_is_let_go(wire: Wire) -> None:
    given_up, waited_for = (wire.send(WireRequest(HeartbeatRequest("g", 1, "m"))) for _ in range(2))
    given_up.cancel()
    receive(wire, answer(HEARTBEAT, 4, 1, HeartbeatResponse()) + answer(HEARTBEAT, 4, 2, HeartbeatResponse(5)), 64)
    assert (await waited_for).error_code == 5


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (answer(HEARTBEAT, 4, 9, HeartbeatResponse()), "the answer to request 1 was to come"),
        (b"\xff\xff\xff\xff", "a frame of -1 bytes"),
    ],
)
async def test_nonsense_ends_the_connection(data: bytes, says: str, connection: Connection, wire: Wire) -> None:
    asked = wire.send(WireRequest(HeartbeatRequest("g", 1, "m")))
    receive(wire, data, 64)
    ((reason, error),) = connection.closed
    assert reason == "OUT_OF_SYNC" and says in str(error)
    with pytest.raises(ConnectionError):
        await asked


async def test_an_answer_that_cannot_be_read_is_an_error(wire: Wire) -> None:
    asked = wire.send(WireRequest(HeartbeatRequest("g", 1, "m")))
    receive(wire, b"\0\0\0\6\0\0\0\1\0\0", 64)
    with pytest.raises(ValueError, match="response 12"):
        await asked


async def test_a_lost_connection_fails_what_was_asked(connection: Connection, wire: Wire) -> None:
    asked = wire.send(WireRequest(HeartbeatRequest("g", 1, "m")))
    wire.connection_lost(None)
    assert connection.closed == [("CONNECTION_BROKEN", None)]
    with pytest.raises(ConnectionError):
        await asked
