"""One client connection: frames in, requests handled one after the other, answers out in the same order.

The rules (Kafka: SocketServer): one request at a time per connection, so an answer never overtakes another; a Produce
with acks=0 has no answer, and an error in it closes the connection; a frame that can't be read, or a version that is
not served, closes the connection, with the reason in the log. A client that sends faster than it is answered, or does
not read its answers, is no longer read from.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections import deque
from typing import TYPE_CHECKING

from broker_embedded import handlers
from broker_embedded.errors import IllegalSaslStateError, KafkaError, SaslAuthenticationFailedError
from broker_embedded.handlers import RequestContext
from broker_embedded.security.authentication import check_admitted, open_session
from broker_embedded.session import Session
from broker_embedded.wire import codec, frames
from broker_embedded.wire.error_response import error_response
from broker_embedded.wire.frames import FrameReader, RequestHeader
from broker_embedded.wire.messages import Request, Response
from broker_embedded.wire.primitives import MalformedError

if TYPE_CHECKING:
    from broker_embedded.security.sasl import Sasl
    from broker_embedded.server import Server

log = logging.getLogger(__name__)

_PRODUCE, _API_VERSIONS = 0, 18
_QUEUE_HIGH, _QUEUE_LOW = 16, 4
_SASL_MAX_BYTES = 524_288  # Kafka: sasl.server.max.receive.size


class Connection(asyncio.BufferedProtocol):
    """The protocol object of one accepted connection."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._cluster = server.cluster
        self._reader = FrameReader(server.scratch, max_bytes=server.cluster.config.socket_request_max_bytes)
        self._requests: deque[bytearray] = deque()
        self._arrived: asyncio.Future[None] | None = None
        self._writable: asyncio.Future[None] | None = None
        self._reading_paused = False
        self._task: asyncio.Task[None] | None = None
        self.session = Session(listener=server.listener.name)
        self.active_at = server.loop.time()

    # asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        try:
            self.session = open_session(self._cluster, self._server.listener, transport)
        except SaslAuthenticationFailedError as error:
            self.close(str(error))
            return
        if not self.session.authenticated:
            self._reader.max_bytes = min(_SASL_MAX_BYTES, self._reader.max_bytes)
        connected = transport.get_extra_info("socket")
        if connected is not None and connected.family in (socket.AF_INET, socket.AF_INET6):
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._server.accept(self):
            self._task = self._server.loop.create_task(self._serve())

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._reader.buffer()

    def buffer_updated(self, nbytes: int) -> None:
        self.active_at = self._server.loop.time()
        try:
            self._requests.extend(self._reader.received(nbytes))
        except MalformedError as error:
            self.close(str(error))
            return
        if self._arrived is not None and not self._arrived.done() and self._requests:
            self._arrived.set_result(None)
        if len(self._requests) > _QUEUE_HIGH and not self._reading_paused:
            self._reading_paused = True
            self._transport.pause_reading()

    def pause_writing(self) -> None:
        self._writable = self._server.loop.create_future()

    def resume_writing(self) -> None:
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)
        self._writable = None

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.forget(self)
        self.resume_writing()
        if self._task is not None:
            self._task.cancel()

    def close(self, reason: str) -> None:
        """End the connection; `reason` goes to the log."""
        log.warning("closing the connection of %s: %s", self.peer, reason)
        self._transport.close()

    def abort(self) -> None:
        """End the connection at once: the broker stops."""
        self._transport.abort()

    @property
    def peer(self) -> str:
        name = self._transport.get_extra_info("peername")
        return f"{name[0]}:{name[1]}" if isinstance(name, tuple) else str(name)

    # Requests

    async def _serve(self) -> None:
        loop = self._server.loop
        try:
            while not self._transport.is_closing():
                if not self._requests:
                    self._arrived = loop.create_future()
                    await self._arrived
                frame = self._requests.popleft()
                if self._reading_paused and len(self._requests) <= _QUEUE_LOW:
                    self._reading_paused = False
                    self._transport.resume_reading()
                await self._answer(frame)
                self.active_at = loop.time()
                if self._writable is not None:
                    await self._writable
        except (MalformedError, IllegalSaslStateError, SaslAuthenticationFailedError) as error:
            self.close(str(error))
        except Exception:
            log.exception("a request of %s has failed; its connection is closed", self.peer)
            self._transport.close()

    async def _answer(self, frame: bytearray) -> None:
        sasl = self.session.sasl
        if sasl is not None and sasl.takes_raw_tokens:
            self._take_token(sasl, frame)
            return
        header = frames.read_request_header(frame)
        check_admitted(self.session, header.api_key, self._cluster.now_ms())
        served = handlers.versions(header.api_key)
        if served is None or not served[0] <= header.api_version <= served[1]:
            self._refuse(header)
            return
        request = codec.decode_request(header.api_key, header.api_version, frame, frames.body_position(frame, header))
        context = RequestContext(header.api_version, header.client_id or "", session=self.session)
        response = await self._handle(request, context)
        if header.api_key == _PRODUCE and getattr(request, "acks", -1) == 0:
            self._close_on_error(response)
            return
        self._send(header.api_key, header.api_version, header.correlation_id, response)
        if sasl is not None:
            self._follow(sasl)

    def _follow(self, sasl: Sasl) -> None:
        """What the connection does about the state that its authentication has come to."""
        if sasl.has_failed:
            self.close("its authentication has failed")
        elif sasl.is_done:
            self._reader.max_bytes = self._cluster.config.socket_request_max_bytes

    async def _handle(self, request: Request, context: RequestContext) -> Response:
        try:
            response: Response = await self._cluster.handle(request, context)
        except KafkaError as error:
            return error_response(request, error)
        except Exception as error:
            # A fault of ours: said in the log, and to the client as Kafka says it, which may ask again.
            log.exception("%s of %s has failed", type(request).__name__, self.peer)
            return error_response(request, KafkaError(f"{type(error).__name__}: {error}"))
        return response

    def _take_token(self, sasl: Sasl, frame: bytearray) -> None:
        """A token without a header: SaslHandshake came in version 0."""
        token = sasl.token(bytes(frame), self.session, self._cluster.now_ms())
        self._transport.writelines([len(token).to_bytes(4), token])
        self._follow(sasl)

    def _refuse(self, header: RequestHeader) -> None:
        """A version that is not served: ApiVersions says in version 0 which are, anything else ends the connection."""
        if header.api_key != _API_VERSIONS:
            name = frames.api_name(header.api_key)
            raise MalformedError(
                f"{name} in version {header.api_version} is not served ({handlers.versions(header.api_key)})"
            )
        from broker_embedded.handlers.k18_api_versions import unsupported

        self._send(_API_VERSIONS, 0, header.correlation_id, unsupported())

    def _send(self, api_key: int, version: int, correlation_id: int, response: Response) -> None:
        body = codec.encode_response(api_key, version, response)
        self._transport.writelines(frames.response_frame(api_key, version, correlation_id, body))

    def _close_on_error(self, response: Response) -> None:
        codes = [row.error_code for topic in response.responses for row in topic.partition_responses]  # type: ignore[attr-defined]
        if any(codes):
            self.close(f"errors {sorted(set(codes))} in a Produce with acks=0, which has no answer to say so")
