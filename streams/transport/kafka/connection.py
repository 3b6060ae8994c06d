"""A Kafka cluster as one thing to ask: finds the broker for a request, goes on when it moves or a connection breaks.

Connections, security and the list of brokers are aiokafka's. Who leads a partition and who coordinates a group is asked
here, in versions that have topic ids. A request that waits (a fetch) would hold up those behind it on its connection,
so each kind of traffic has a `lane`, a connection of its own.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from broker_embedded.wire.messages import Request
from broker_embedded.wire.messages.cluster import ApiVersionsRequest
from broker_embedded.wire.messages.groups import FindCoordinatorRequest
from broker_embedded.wire.messages.topics import MetadataRequest, MetadataRequestTopic, MetadataResponse
from streams.transport.contract import ConnectionLostError, TopicPartition, TransportError
from streams.transport.error_codes import BusyError, RetryError, check
from streams.transport.kafka.leaders import ANY, Leaders
from streams.transport.kafka.logs import quietly
from streams.transport.kafka.requests import WireRequest
from streams.transport.kafka.timing import Timing
from streams.transport.kafka.wire import Wires

if TYPE_CHECKING:
    from aiokafka.client import AIOKafkaClient

log = logging.getLogger(__name__)

T = TypeVar("T")

_REFRESH_WITHIN_S = 5.0
_SOONER = 8  # a transaction is over a few milliseconds after the answer to its commit
_VERSION = "0.1.0"  # of the client software, for the broker's figures (KIP-511)
GROUP, TRANSACTION = 0, 1
_REFUSED = "the Kafka broker at {} does not let this client in"
# What aiokafka says of a connection that fails, what it means, what to look at.
_FAILURES = (
    ("UnsupportedSaslMechanism", _REFUSED, "has its listener this sasl_mechanism?"),
    ("Authentication", _REFUSED, "are user and password, or the token, right?"),
    ("Sasl", _REFUSED, "are user and password, or the token, right?"),
    (
        "CERTIFICATE_VERIFY_FAILED",
        "the certificate of the Kafka broker at {} does not pass",
        "does ssl_ca_location name who has signed it, is this address one of its names?",
    ),
    (" closed", "what listens at {} hangs up", "does it want TLS, or a user (security_protocol)?"),
    ("", "no Kafka broker answers at {}", "is it running, is the address right?"),
)


class KafkaConnection:
    """Asks a cluster. `security` is what aiokafka's client takes (`security_protocol`, `sasl_mechanism`, ...).

    `find` gives the address anew when an answer does not come; `cluster_id` is the only cluster to take answers from.
    """

    def __init__(
        self,
        bootstrap_servers: str,
        *,
        client_id: str = "streams",
        timing: Timing | None = None,
        security: Mapping[str, Any] | None = None,
        find: Callable[[], str] | None = None,
        cluster_id: str | None = None,
    ) -> None:
        self.bootstrap_servers = bootstrap_servers
        self._timing = timing or Timing()
        self._request_timeout_ms = self._timing.request_timeout_ms
        self.retry_timeout_s = self._timing.retry_timeout_ms / 1000
        self._client_id = client_id
        self.security = dict(security or {})
        self._find = find
        self._cluster_id = cluster_id
        self._client: AIOKafkaClient | None = None
        self._wires: dict[AIOKafkaClient, Wires] = {}
        self._refreshing: asyncio.Task[None] | None = None
        self.leaders = Leaders(self, self._timing.metadata_max_age_ms)
        self._coordinators: dict[tuple[int, str], int] = {}

    async def start(self) -> None:
        """Connect, unless it is done. Raises ConnectionLostError when no bootstrap server answers."""
        if self._client is None:
            self._client = await self._connect()

    async def _connect(self) -> AIOKafkaClient:
        from aiokafka.client import AIOKafkaClient
        from aiokafka.errors import KafkaError

        address = self.bootstrap_servers
        with quietly() as heard:
            client = AIOKafkaClient(
                bootstrap_servers=address,
                client_id=self._client_id,
                request_timeout_ms=self._request_timeout_ms,
                metadata_max_age_ms=self._timing.metadata_max_age_ms,
                connections_max_idle_ms=self._timing.connections_max_idle_ms,
                **self.security,
            )
            try:
                await client.bootstrap()
                await self._check_cluster(client)
            except BaseException as error:
                await self._close(client)
                if isinstance(error, KafkaError):
                    raise ConnectionLostError(_no_answer(address, heard)) from error
                raise
        return client

    async def _check_cluster(self, client: AIOKafkaClient) -> None:
        """Whoever listens at an address may be another broker than the one that did."""
        if self._cluster_id is None:
            return
        request = MetadataRequest([], allow_auto_topic_creation=False)
        self._check_answer(await self._send(client, request, ANY, "admin"))

    def _check_answer(self, answer: MetadataResponse) -> None:
        if self._cluster_id not in (None, answer.cluster_id):
            raise ConnectionLostError(
                f"at {self.bootstrap_servers} listens cluster {answer.cluster_id}, not {self._cluster_id}"
            )

    async def stop(self) -> None:
        refreshing, self._refreshing = self._refreshing, None
        if refreshing is not None:
            refreshing.cancel()
            await asyncio.wait([refreshing])
        client, self._client = self._client, None
        if client is not None:
            await self._close(client)

    async def _close(self, client: AIOKafkaClient) -> None:
        if (wires := self._wires.pop(client, None)) is not None:
            wires.close()
        await client.close()

    # Asking

    async def ask(
        self,
        request: Request,
        *,
        node: int = ANY,
        lane: str = "admin",
        last_version: int = 32_767,
        timeout_ms: int | None = None,
    ) -> Any:
        """The answer of one broker, or of any. Raises ConnectionLostError when none comes within `timeout_ms`."""
        return await self._send(self._open(), request, node, lane, last_version, timeout_ms)

    async def _send(
        self,
        client: AIOKafkaClient,
        request: Request,
        node: int,
        lane: str,
        last_version: int = 32_767,
        timeout_ms: int | None = None,
    ) -> Any:
        from aiokafka.errors import KafkaError

        if node == ANY:
            node = client.get_random_node()
            if node is None:
                raise ConnectionLostError(f"{type(request).__name__}: no broker is known")
        wires = self._wires.get(client) or self._wires.setdefault(client, Wires(client, self._request_timeout_ms))
        try:
            return await wires.send(node, WireRequest(request, last_version), lane, timeout_ms)
        except (TimeoutError, KafkaError, OSError) as error:
            raise ConnectionLostError(f"{type(request).__name__} to broker {node}: {error!r}") from error

    async def feature(self, name: str) -> int:
        """The level that the cluster has agreed on for a feature; 0 where it knows none (KIP-584)."""
        answer = await self.retry(lambda: self.ask(ApiVersionsRequest("streams-engine", _VERSION)))
        return next((row.max_version_level for row in answer.finalized_features if row.name == name), 0)

    async def ask_node(self, request: Request, node: int) -> Any:
        """The answer of one broker."""
        return await self.ask(request, node=node)

    async def nodes(self) -> list[int]:
        """The ids of all brokers."""
        return [row.node_id for row in (await self.metadata([])).brokers]

    async def ask_coordinator(
        self,
        request: Request,
        name: str,
        kind: int = GROUP,
        *,
        lane: str = "coordinator",
        last_version: int = 32_767,
        timeout_ms: int | None = None,
    ) -> Any:
        """The answer of the broker that coordinates a group or a transactional id."""
        node = await self.coordinator(name, kind, timeout_ms=timeout_ms)
        return await self.ask(request, node=node, lane=lane, last_version=last_version, timeout_ms=timeout_ms)

    async def coordinator(self, name: str, kind: int = GROUP, *, timeout_ms: int | None = None) -> int:
        """The id of that broker. The broker that is asked for it may be silent: no longer than usual, nor than
        `timeout_ms`.
        """
        node = self._coordinators.get((kind, name))
        if node is None:
            within_ms = min(timeout_ms or self._request_timeout_ms, self._request_timeout_ms)
            answer = await self.ask(FindCoordinatorRequest(kind, [name]), timeout_ms=within_ms)
            row = answer.coordinators[0]
            check(row.error_code, f"coordinator of {name!r}", row.error_message)
            node = self._coordinators[kind, name] = row.node_id
        return node

    async def retry(self, ask: Callable[[], Awaitable[T]], *, timeout_s: float | None = None) -> T:
        """What `ask` gives, asked again with growing pauses while it raises ConnectionLostError or RetryError.

        After `timeout_s` (the connection's, unless given) the error is let through.
        """
        deadline = time.monotonic() + (self.retry_timeout_s if timeout_s is None else timeout_s)
        attempt = 0
        while True:
            try:
                return await ask()
            except (ConnectionLostError, RetryError) as error:
                is_busy = isinstance(error, BusyError)
                pause_s = self._timing.pause_s(attempt) / (_SOONER if is_busy else 1)
                if time.monotonic() + pause_s > deadline:
                    raise
                log.debug("asking again in %.2f s: %s", pause_s, error)
            await asyncio.sleep(pause_s)
            attempt += 1
            if not is_busy:
                await self.refresh()

    async def refresh(self) -> None:
        """Forget who leads and coordinates, and learn of brokers anew, once for all who need it just now."""
        self.forget()
        if self._refreshing is None or self._refreshing.done():
            self._open()
            self._refreshing = asyncio.create_task(self._learn_brokers())
        refreshing = self._refreshing
        await asyncio.wait([refreshing])
        if not refreshing.cancelled():  # else the connection is being stopped, which the next question says
            refreshing.result()

    async def _learn_brokers(self) -> None:
        client, found = self._open(), self.bootstrap_servers if self._find is None else self._find()
        try:
            if found == self.bootstrap_servers and await _is_reached(client):
                await self._check_cluster(client)
                return
            self.bootstrap_servers = found
            self._client = await self._connect()
        except ConnectionLostError as error:
            log.debug("%s", error)
        else:
            await self._close(client)

    # What is known

    async def metadata(self, names: Iterable[str] | None) -> MetadataResponse:
        """What the cluster says of topics, or of all; none is made by asking."""
        names = None if names is None else list(names)
        return await self.retry(lambda: self.metadata_of(names))

    async def metadata_of(
        self, names: Sequence[str] | None, node: int = ANY, timeout_ms: int | None = None
    ) -> MetadataResponse:
        """What one broker says of topics, or of all."""
        rows = None if names is None else [MetadataRequestTopic(name) for name in names]
        request = MetadataRequest(rows, allow_auto_topic_creation=False)
        answer: MetadataResponse = await self.ask(request, node=node, timeout_ms=timeout_ms)
        self._check_answer(answer)  # aiokafka may have connected again by itself
        return answer

    async def check_partitions(self, tps: Iterable[TopicPartition]) -> None:
        """Raise UnknownTopicError for a partition that is not there, RetryError for one without a leader."""
        self.forget()
        await self.leaders.by_leader(tps)

    def any_node(self) -> int | None:
        """A broker that is known."""
        node: int | None = self._open().get_random_node()
        return node

    def forget(self) -> None:
        """Forget who leads and coordinates: ask again next time."""
        self.leaders.forget()
        self._coordinators.clear()

    def _open(self) -> AIOKafkaClient:
        if self._client is None:
            raise self.not_started()
        return self._client

    def not_started(self) -> TransportError:
        """What is said before `start` and after `stop`."""
        return TransportError(f"the connection to {self.bootstrap_servers} is not started: `await start()` first")


async def _is_reached(client: AIOKafkaClient) -> bool:
    """Whether one of the brokers that were known says which there are now."""
    with quietly():
        try:
            async with asyncio.timeout(_REFRESH_WITHIN_S):
                return bool(await client.force_metadata_update())
        except TimeoutError:
            return False


def _no_answer(address: str, heard: Iterable[str]) -> str:
    why = "; ".join(heard)
    what, question = next((what, question) for sign, what, question in _FAILURES if sign in why)
    return f"{what.format(address)} ({why}): {question}"
