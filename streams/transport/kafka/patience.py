"""Requests that the broker may answer later than aiokafka's clients wait: a JoinGroup waits for the other members."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from streams.transport.kafka.requests import WireRequest

if TYPE_CHECKING:
    from aiokafka.client import AIOKafkaClient


async def send(client: AIOKafkaClient, node: int, request: WireRequest, lane: str, timeout_ms: int | None) -> Any:
    """As the client's `send`, with another timeout for this request. aiokafka has one for all, which a connection reads
    when it sends.
    """
    if timeout_ms is None:
        return await client.send(node, request, group=lane)
    from aiokafka.conn import CloseReason
    from aiokafka.errors import NodeNotReadyError, RequestTimedOutError

    if not await client.ready(node, group=lane):
        raise NodeNotReadyError(f"no connection to broker {node}")
    connection = client._conns[node, lane]
    usual_s, connection._request_timeout = connection._request_timeout, timeout_ms / 1000
    try:
        answer = connection.send(request)
    finally:
        connection._request_timeout = usual_s
    try:
        return await answer
    except TimeoutError as error:
        connection.close(reason=CloseReason.CONNECTION_TIMEOUT)
        raise RequestTimedOutError from error
    except asyncio.CancelledError:
        connection.close(reason=CloseReason.SHUTDOWN)  # the next one would wait for this one's answer
        raise
