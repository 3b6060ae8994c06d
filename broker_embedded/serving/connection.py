"""One client connection: bytes in, requests handled one after the other, answers out in the same order.

As in Kafka (SocketServer), one request at a time is handled, so an answer never overtakes another. A client that sends
faster than it is answered, or does not read its answers, is no longer read from, so what a connection holds is bounded.

When a client hangs up, a request that waits for what others do ends, any other is handled to its end; and each Produce
that came before is still appended: with acks=0 a producer sends and goes.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import sys
from collections import deque
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, cast

from broker_embedded.errors import IllegalSaslStateError, SaslAuthenticationFailedError
from broker_embedded.faults import SimulatedCrash
from broker_embedded.security.authentication import open_session
from broker_embedded.serving.answering import PRODUCE, Answerer
from broker_embedded.session import Session
from broker_embedded.wire.frames import FrameReader, joined
from broker_embedded.wire.messages import Buffer
from broker_embedded.wire.primitives import MalformedError

if TYPE_CHECKING:
    from broker_embedded.security.sasl import Sasl
    from broker_embedded.serving.server import Server

log = logging.getLogger(__name__)

_QUEUE_HIGH, _QUEUE_LOW = 16, 4
_QUEUE_HIGH_BYTES, _QUEUE_LOW_BYTES = 1 << 20, 1 << 18
_OUT_BYTES = 1 << 16  # answers to requests that came together are sent together, up to this
_TURN = 16  # requests; then others have theirs
_SASL_MAX_BYTES = 524_288  # Kafka: sasl.server.max.receive.size
_PRODUCE_KEY = PRODUCE.to_bytes(2)


class Connection(asyncio.BufferedProtocol):
    """The protocol object of one accepted connection."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._cluster = server.cluster
        self._reader = FrameReader(server.scratch, max_bytes=server.cluster.config.socket_request_max_bytes)
        self._requests: deque[bytearray] = deque()
        self._requests_bytes = 0
        self._out: list[Buffer] = []
        self._out_bytes = 0
        self._writable: asyncio.Future[None] | None = None
        self._reading_paused = False
        self._is_lost = self._is_ended = False
        self._task: asyncio.Task[None] | None = None  # while there is something to handle
        self.session = Session(listener=server.listener.name)
        self.active_ms = self._cluster.now_ms()

    # asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport = cast(asyncio.Transport, transport)  # other loops have kinds of their own
        refusal = self._server.add(self)
        try:
            self.session = open_session(self._cluster, self._server.listener, transport)
        except SaslAuthenticationFailedError as error:
            refusal = str(error)
        if refusal is not None:
            self.close(refusal)
            return
        if not self.session.authenticated:
            self._reader.max_bytes = min(_SASL_MAX_BYTES, self._reader.max_bytes)
        _configure(transport.get_extra_info("socket"))
        self._answerer = Answerer(self._cluster, self.session)

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._reader.buffer()

    def buffer_updated(self, nbytes: int) -> None:
        if self._is_ended:  # TLS may have something left
            return
        self.active_ms = self._cluster.now_ms()
        for frame in self._reader.received(nbytes):
            self._requests.append(frame)
            self._requests_bytes += len(frame)
        if self._task is None and (self._requests or self._reader.fault is not None):
            task = _begin(self._server.loop, self._serve())
            self._task = None if task.done() else task
        if not self._reading_paused and self._is_full():
            self._reading_paused = True
            self._transport.pause_reading()

    def _is_full(self) -> bool:
        is_full = len(self._requests) > _QUEUE_HIGH or self._requests_bytes > _QUEUE_HIGH_BYTES
        return is_full or self._reader.fault is not None

    def pause_writing(self) -> None:
        self._writable = self._server.loop.create_future()

    def resume_writing(self) -> None:
        self.active_ms = self._cluster.now_ms()
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)
        self._writable = None

    def connection_lost(self, exc: Exception | None) -> None:
        self._is_lost = True
        self.resume_writing()
        if self._task is None:
            self._server.forget(self)
        elif self._answerer.is_waiting:
            self._task.cancel()

    # Its end

    def close(self, reason: str, level: int = logging.WARNING) -> None:
        """End the connection when its answers are sent; `reason` goes to the log."""
        if self.is_closing:
            return
        log.log(level, "closing the connection of %s: %s", self.peer, reason)
        self._flush()
        self._end()
        self._transport.close()

    def abort(self) -> None:
        """End the connection at once."""
        self._end()
        self._transport.abort()

    def _end(self) -> None:
        self._is_ended = True
        self._requests.clear()

    @property
    def is_closing(self) -> bool:
        return self._transport.is_closing()

    @property
    def is_idle(self) -> bool:
        """Whether nothing is being handled: it is the client's turn to send or to read."""
        return self._task is None or self._writable is not None

    @property
    def peer(self) -> str:
        name = self._transport.get_extra_info("peername")
        return f"{name[0]}:{name[1]}" if isinstance(name, tuple) else str(name)

    # Requests

    async def _serve(self) -> None:
        """What has come, and what comes meanwhile."""
        try:
            while self._requests and (not self._is_lost or self._requests[0].startswith(_PRODUCE_KEY)):
                await self._answer_some()
            if self._reader.fault is not None:
                raise self._reader.fault
        except (MalformedError, IllegalSaslStateError, SaslAuthenticationFailedError) as error:
            self.close(str(error))
        except SimulatedCrash:
            self.abort()
        except Exception:
            log.exception("a request of %s has failed; its connection is closed", self.peer)
            self.abort()
        finally:
            self._task = None
            if self._is_lost:
                self._server.forget(self)

    async def _answer_some(self) -> None:
        """Those that are here, up to so many that others wait for their turn too long."""
        for _ in range(_TURN):
            pieces = await self._answer(self._take())
            if pieces is not None:
                self._send(pieces)
            if self._answerer.ending is not None:
                self.close(self._answerer.ending)
            if self.session.sasl is not None:
                self._follow(self.session.sasl)
            if self._writable is not None:
                await self._writable
            if not self._requests or self._is_lost:
                return
            if self.is_closing:  # a write has found out that the client is gone: `connection_lost` says so next
                break
        await asyncio.sleep(0)

    async def _answer(self, frame: bytearray) -> list[Buffer] | None:
        try:
            return await self._answerer.answer(frame)
        except asyncio.CancelledError:
            if not self._is_lost or self._task is None:  # it is not for this one
                raise
            self._task.uncancel()  # by `connection_lost`; what else has come is looked at
            return None

    def _take(self) -> bytearray:
        frame = self._requests.popleft()
        self._requests_bytes -= len(frame)
        if (
            self._reading_paused
            and len(self._requests) <= _QUEUE_LOW
            and self._requests_bytes <= _QUEUE_LOW_BYTES
            and self._reader.fault is None
        ):
            self._reading_paused = False
            self._transport.resume_reading()
        return frame

    def _follow(self, sasl: Sasl) -> None:
        """What the connection does about the state that its authentication has come to."""
        if sasl.has_failed:
            self.close("its authentication has failed")
        elif sasl.is_done:
            self._reader.max_bytes = self._cluster.config.socket_request_max_bytes

    # Answers

    def _send(self, pieces: list[Buffer]) -> None:
        """At once, or together with the answers to what came together with this request."""
        self._out += pieces
        self._out_bytes += sum(map(len, pieces))
        if not self._requests or self._out_bytes >= _OUT_BYTES:
            self._flush()
        elif len(self._out) == len(pieces):
            self._server.loop.call_soon(self._flush)  # should the next one have to wait

    def _flush(self) -> None:
        out, size = self._out, self._out_bytes
        if out:
            self._out, self._out_bytes = [], 0
            if not self._transport.is_closing():
                for piece in joined(out, size):
                    self._transport.write(piece)


def _begin(loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    if sys.version_info >= (3, 12):
        return asyncio.Task(work, loop=loop, eager_start=True)  # most requests are handled before it returns
    return loop.create_task(work)


def _configure(connected: Any) -> None:
    """As Kafka does: small answers go out at once, and a host that is gone without a word is found out."""
    if connected is not None and connected.family in (socket.AF_INET, socket.AF_INET6):
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
