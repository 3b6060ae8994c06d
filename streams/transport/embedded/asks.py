"""Questions to the broker in this process, put as to a cluster of one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any, TypeVar

from broker_embedded.cluster import Cluster
from broker_embedded.errors import KafkaError
from broker_embedded.session import RequestContext
from broker_embedded.wire.messages import Request
from streams.transport.contract import TopicPartition, UnknownTopicError
from streams.transport.error_codes import as_transport_error

T = TypeVar("T")


_CONTEXT = RequestContext(client_id="streams", in_process=True)


class InProcess:
    """The whole cluster is one broker, and here."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def ask(self, request: Request) -> Any:
        try:
            return await self._cluster.handle(request, _CONTEXT)
        except KafkaError as error:
            raise as_transport_error(error.code, type(request).__name__, str(error)) from error

    async def ask_node(self, request: Request, node: int) -> Any:
        return await self.ask(request)

    async def ask_coordinator(self, request: Request, name: str, **_: Any) -> Any:
        return await self.ask(request)

    async def coordinator(self, name: str) -> int:
        return self._cluster.config.node_id

    async def nodes(self) -> list[int]:
        return [self._cluster.config.node_id]

    async def check_partitions(self, tps: Iterable[TopicPartition]) -> None:
        for tp in tps:
            if self._cluster.find_log(*tp) is None:
                raise UnknownTopicError(f"{tp}: there is no such partition")

    async def retry(self, ask: Callable[[], Awaitable[T]]) -> T:
        return await ask()
