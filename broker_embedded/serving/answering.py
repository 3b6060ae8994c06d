"""What one client asks and is answered: a frame in, the pieces of its answer out. Knows no socket.

The rules (Kafka: SocketServer, KafkaApis): a Produce with acks=0 has no answer, and an error in it ends the connection,
as do a frame that can't be read and a version that is not served; ApiVersions in an unknown version is answered in
version 0 (KIP-511). An error of the whole request is said wherever its answer has a place for one.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from broker_embedded import handlers
from broker_embedded.errors import KafkaError
from broker_embedded.faults import LostAnswerError
from broker_embedded.handlers import RequestContext
from broker_embedded.security.authentication import check_admitted
from broker_embedded.wire import codec, frames
from broker_embedded.wire.error_response import error_response
from broker_embedded.wire.frames import RequestHeader
from broker_embedded.wire.messages import Buffer, Request, Response
from broker_embedded.wire.primitives import EncodeError, MalformedError

if TYPE_CHECKING:
    from broker_embedded.cluster import Cluster
    from broker_embedded.security.sasl import Sasl
    from broker_embedded.session import Session

log = logging.getLogger(__name__)

PRODUCE, _FETCH, _JOIN_GROUP, _SYNC_GROUP, _API_VERSIONS = 0, 1, 11, 14, 18
_FAILED = "%s in version %s of client %r has failed"
_WAIT_FOR_OTHERS = frozenset({_FETCH, _JOIN_GROUP, _SYNC_GROUP})


class Answerer:
    """Answers the requests of one connection, one after the other."""

    __slots__ = ("_cluster", "_context", "_session", "ending", "is_waiting")

    def __init__(self, cluster: Cluster, session: Session) -> None:
        self._cluster = cluster
        self._session = session
        self._context = RequestContext(session=session)
        self.ending: str | None = None
        """Why the connection is to be closed, once that is so."""
        self.is_waiting = False
        """Whether what is being handled is of no use without its client, and may be cancelled anywhere."""

    async def answer(self, frame: bytearray) -> list[Buffer] | None:
        """The answer to one request; None where it has none.

        Raises MalformedError, IllegalSaslStateError, SaslAuthenticationFailedError: then the connection has to end.
        """
        sasl = self._session.sasl
        if sasl is not None and sasl.takes_raw_tokens:
            return self._token(sasl, frame)
        header = frames.read_request_header(frame)
        api_key, version = header.api_key, header.api_version
        if sasl is not None:
            check_admitted(self._session, api_key, self._cluster.now_ms())
        served = handlers.versions(api_key)
        if served is None or not served[0] <= version <= served[1]:
            return self._unsupported(header)
        request = codec.decode_request(api_key, version, frame, frames.body_position(frame, header))
        response = await self._handle(request, header)
        if response is None:
            return None
        if api_key == PRODUCE and request.acks == 0:  # type: ignore[attr-defined]
            self._end_on_error(response)
            return None
        return self._encode(header, request, response)

    async def _handle(self, request: Request, header: RequestHeader) -> Response | None:
        self.is_waiting = header.api_key in _WAIT_FOR_OTHERS or self._cluster.faults is not None
        try:
            response: Response = await self._cluster.handle(request, self._context_of(header))
        except KafkaError as error:
            return error_response(request, error)
        except LostAnswerError as error:
            self.ending = str(error) if error.closes else None
            return None
        except Exception as error:
            log.exception(_FAILED, frames.api_name(header.api_key), header.api_version, header.client_id)
            return _server_error(request, error)
        finally:
            self.is_waiting = False
        return response

    def _context_of(self, header: RequestHeader) -> RequestContext:
        context, client_id = self._context, header.client_id or ""
        if context.api_version != header.api_version or context.client_id != client_id:
            context = self._context = RequestContext(header.api_version, client_id, session=self._session)
        return context

    def _encode(self, header: RequestHeader, request: Request, response: Response) -> list[Buffer]:
        try:
            body = codec.encode_response(header.api_key, header.api_version, response)
        except EncodeError as error:
            log.exception(_FAILED, frames.api_name(header.api_key), header.api_version, header.client_id)
            body = codec.encode_response(header.api_key, header.api_version, _server_error(request, error))
        return frames.response_frame(header.api_key, header.api_version, header.correlation_id, body)

    def _token(self, sasl: Sasl, frame: bytearray) -> list[Buffer]:
        """A token without a header: SaslHandshake came in version 0."""
        token = sasl.token(bytes(frame), self._session, self._cluster.now_ms())
        return [len(token).to_bytes(4), token]

    def _unsupported(self, header: RequestHeader) -> list[Buffer]:
        """A version that is not served: ApiVersions says in version 0 which are, anything else ends the connection."""
        if header.api_key != _API_VERSIONS:
            name = frames.api_name(header.api_key)
            raise MalformedError(
                f"{name} in version {header.api_version} is not served ({handlers.versions(header.api_key)})"
            )
        from broker_embedded.handlers.k18_api_versions import unsupported

        body = codec.encode_response(_API_VERSIONS, 0, unsupported())
        return frames.response_frame(_API_VERSIONS, 0, header.correlation_id, body)

    def _end_on_error(self, response: Response) -> None:
        rows = [row for topic in response.responses for row in topic.partition_responses]  # type: ignore[attr-defined]
        codes = sorted({row.error_code for row in rows if row.error_code})
        if codes:
            self.ending = f"errors {codes} in a Produce with acks=0, which has no answer to say so"


def _server_error(request: Request, error: Exception) -> Response:
    """What clients are told of a fault of ours: UNKNOWN_SERVER_ERROR, as Kafka says it."""
    return error_response(request, KafkaError(f"{type(error).__name__}: {error}"))
