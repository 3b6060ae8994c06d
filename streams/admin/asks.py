"""What an admin needs of a transport: to put a question to the right broker."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Protocol, TypeVar

from broker_embedded.wire.messages import Request
from streams.transport.contract import TopicPartition

T = TypeVar("T")


class Asks(Protocol):
    """Kept by `KafkaConnection`, and by `InProcess` for a broker in this process."""

    async def ask(self, request: Request) -> Any:
        """The answer of any broker."""

    async def ask_node(self, request: Request, node: int) -> Any:
        """The answer of one broker."""

    async def ask_coordinator(self, request: Request, name: str, *, last_version: int = 32_767) -> Any:
        """The answer of the broker that coordinates a group."""

    async def coordinator(self, name: str) -> int:
        """The id of the broker that coordinates a group."""

    async def nodes(self) -> list[int]:
        """The ids of all brokers."""

    async def check_partitions(self, tps: Iterable[TopicPartition]) -> None:
        """Raise UnknownTopicError for a partition that is not there, RetryError for one without a leader."""

    async def retry(self, ask: Callable[[], Awaitable[T]]) -> T:
        """What `ask` gives, asked again while an error is of the kind that passes."""
