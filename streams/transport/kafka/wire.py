"""A connection as we use it. aiokafka opens it, secures it and says who one is; from then on its bytes are read here.

aiokafka reads through a stream, 64 kB at a time, and copies an answer twice. Here a large answer is received in place,
and what it holds are views of it. aiokafka goes on to watch whether the connection is used, and to close it.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import TYPE_CHECKING, Any, cast

from broker_embedded.wire import codec, frames
from broker_embedded.wire.frames import FrameReader
from broker_embedded.wire.messages import Response
from broker_embedded.wire.primitives import MalformedError
from streams.transport.kafka.logs import quietly
from streams.transport.kafka.requests import PreparedRequest, WireRequest

if TYPE_CHECKING:
    from aiokafka.client import AIOKafkaClient
    from aiokafka.conn import AIOKafkaConnection

_ANSWER_BYTES_MOST = 0x7FFFFFFF
_SCRATCH_BYTES = 1 << 18


class Wires:
    """The connections of a client, by broker and lane."""

    def __init__(self, client: AIOKafkaClient, timeout_ms: int) -> None:
        self._client = client
        self._timeout_s = timeout_ms / 1000
        self._wires: dict[tuple[int, str], Wire] = {}
        self._scratch = bytearray(_SCRATCH_BYTES)
        self._is_closed = False

    def close(self) -> None:
        """The client is about to be closed: a connection that is being opened is not to be left."""
        self._is_closed = True

    async def send(self, node: int, request: WireRequest, lane: str, timeout_ms: int | None) -> Any:
        """The answer of a broker. Raises aiokafka's errors and TimeoutError."""
        wire = self._wires.get((node, lane))
        if wire is None or not wire.is_open:
            wire = await self._open(node, lane)
        answer = wire.send(request)
        try:
            async with asyncio.timeout(self._timeout_s if timeout_ms is None else timeout_ms / 1000):
                return await answer
        except TimeoutError:
            wire.close()  # or the answer would be taken for the next one's
            raise

    async def _open(self, node: int, lane: str) -> Wire:
        from aiokafka.errors import NodeNotReadyError

        with quietly() as heard:
            connection = await self._client._get_conn(node, group=lane)
        if connection is not None and self._is_closed:
            connection.close()
            connection = None
        if connection is None:
            raise NodeNotReadyError("; ".join(heard) or f"no connection to broker {node}")
        wire = self._wires.get((node, lane))
        if wire is None or wire.connection is not connection:  # else somebody else was faster
            wire = self._wires[node, lane] = Wire(connection, self._scratch)
        return wire


class Wire(asyncio.BufferedProtocol):
    """Takes a connection over that is ready: nothing is under way on it."""

    def __init__(self, connection: AIOKafkaConnection, scratch: bytearray) -> None:
        self.connection = connection
        self._frames = FrameReader(scratch, max_bytes=_ANSWER_BYTES_MOST)
        # aiokafka's own list, so that it sees that the connection is in use, and fails what is in it when it closes.
        self._asked: deque[tuple[int, PreparedRequest, asyncio.Future[Response]]] = connection._requests
        self._transport = cast(asyncio.Transport, connection._writer.transport)
        connection._read_task.cancel()
        self._transport.set_protocol(self)

    @property
    def is_open(self) -> bool:
        return bool(self.connection.connected())

    def send(self, request: WireRequest) -> asyncio.Future[Response]:
        """Puts a request on its way; the future gives its answer."""
        prepared = request.prepare(self.connection._versions)
        number = self.connection._next_correlation_id()
        key, version, name = request.request.api_key, prepared.version, self.connection._client_id
        pieces = frames.request_frame(key, version, number, name, codec.encode_request(key, version, request.request))
        answer: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
        self._asked.append((number, prepared, answer))
        self.connection._last_action = time.monotonic()
        for piece in frames.joined(pieces, sum(map(len, pieces))):
            self._transport.write(piece)
        return answer

    def close(self) -> None:
        """No answer came in time."""
        from aiokafka.conn import CloseReason

        self.connection.close(reason=CloseReason.CONNECTION_TIMEOUT)

    # What comes

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._frames.buffer()

    def buffer_updated(self, nbytes: int) -> None:
        self.connection._last_action = time.monotonic()
        for frame in self._frames.received(nbytes):
            self._take(frame)
        if self._frames.fault is not None:
            self._break(self._frames.fault)

    def _take(self, frame: bytearray) -> None:
        if not self._asked:
            self._break(MalformedError("an answer that nobody has asked for"))
            return
        number, prepared, answer = self._asked[0]
        if int.from_bytes(frame[:4], "big", signed=True) != number:
            self._break(MalformedError(f"the answer to request {number} was to come"))
            return
        self._asked.popleft()
        if answer.done():
            return  # nobody waits any more
        try:
            answer.set_result(prepared.read(frame))
        except MalformedError as error:
            answer.set_exception(error)

    def _break(self, fault: Exception) -> None:
        from aiokafka.conn import CloseReason

        self.connection.close(reason=CloseReason.OUT_OF_SYNC, exc=fault)

    def connection_lost(self, exc: Exception | None) -> None:
        from aiokafka.conn import CloseReason

        self.connection._protocol.connection_lost(exc)
        self.connection.close(reason=CloseReason.CONNECTION_BROKEN, exc=exc)
