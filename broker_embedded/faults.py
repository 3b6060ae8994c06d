"""Test control over any request: wait, answer with an error, give no answer, hang up, or crash.

`broker.faults()` of a running broker has them; tests add to it from their own thread. A cluster has none of this until
its `faults` is set, so it costs nothing.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from msgspec.structs import fields

from broker_embedded.errors import ERRORS, error_class
from broker_embedded.fetching.sessions import topic_name
from broker_embedded.wire.messages import Message

if TYPE_CHECKING:
    from broker_embedded.cluster import Cluster
    from broker_embedded.handlers import RequestContext
    from broker_embedded.wire.messages import Request


class SimulatedCrash(BaseException):
    """The process is gone at this point. Not an Exception, so that nothing on the way up handles it."""


class LostAnswerError(Exception):
    """The client gets no answer; `closes` says that its connection ends, too."""

    def __init__(self, message: str, *, closes: bool) -> None:
        super().__init__(message)
        self.closes = closes


@dataclass(slots=True)
class Fault:
    """What happens to the next `times` requests that have the API key, the client id and the topic; None is any.

    In order: wait for `until`, wait `delay_ms`, then one of these: `crash`; `close` the connection; `drop` the answer,
    which leaves the connection open; answer with the `error` of a code. With `after` all that happens when the request
    has been handled, and its answer is lost.

    An error is said wherever answers of the API have a place for one: of a Produce in the row of each partition, say.
    `crash` is meant for requests in the process; to a client over the wire it is a `close`. Requests in the process
    have no connection: `close` and `drop` raise LostAnswerError there. A Fetch within a session names no topics
    (KIP-227), so `topic` meets only the first of a session.

    Raises ValueError for two of the four at once, for an error code that Kafka does not have, and for an API key that
    is no number: it would never meet a request.

    >>> not_leader = Fault(api_key=0, topic="flights", error=6, times=2)  # two Produce
    >>> answer_lost = Fault(api_key=0, client_id="billing", close=True, after=True)
    >>> Fault(error=6, drop=True)
    Traceback (most recent call last):
    ...
    ValueError: a fault is one of crash, close, drop and error; this one is drop and error
    """

    api_key: int | None = None
    error: int = 0
    crash: bool = False
    delay_ms: int = 0
    until: asyncio.Event | None = None
    after: bool = False
    times: int = 1
    client_id: str | None = None
    topic: str | None = None
    close: bool = False
    drop: bool = False

    def __post_init__(self) -> None:
        kinds = [name for name in ("crash", "close", "drop", "error") if getattr(self, name)]
        if len(kinds) > 1:
            raise ValueError(f"a fault is one of crash, close, drop and error; this one is {' and '.join(kinds)}")
        if not isinstance(self.api_key, int | None):
            raise ValueError(f"api_key={self.api_key!r}: it is the number of a request; 0 is Produce, 1 Fetch")
        if self.error not in ERRORS:
            raise ValueError(f"{self.error} is no error code of Kafka's; broker_embedded.errors.ERRORS has them all")

    def hits(self, cluster: Cluster, request: Request, context: RequestContext) -> bool:
        """Whether it is meant for this request."""
        return (
            self.api_key in (None, request.api_key)
            and self.client_id in (None, context.client_id)
            and (self.topic is None or self.topic in topics_of(cluster, request))
        )

    async def strike(self, request: Request) -> None:
        if self.until is not None:
            await self.until.wait()
        if self.delay_ms:
            await asyncio.sleep(self.delay_ms / 1000)
        where = f"injected fault {'after' if self.after else 'before'} {type(request).__name__}"
        if self.crash:
            raise SimulatedCrash(where)
        if self.close or self.drop:
            raise LostAnswerError(where, closes=self.close)
        if self.error:
            raise error_class(self.error)(where)


class Faults:
    """The faults of a cluster, in the order in which they were added; a request meets the first that is meant for it.

    Tests add faults from any thread, while the broker takes them from its own.

    >>> faults = Faults().add(Fault(api_key=26, crash=True))
    >>> [fault.api_key for fault in faults.waiting]
    [26]
    >>> import broker_embedded
    >>> with broker_embedded.running() as broker:
    ...     _ = broker.faults().add(Fault(api_key=3, delay_ms=20)).add(Fault(api_key=3, close=True))
    ...     len(broker.faults().waiting)
    2
    """

    def __init__(self) -> None:
        self.waiting: list[Fault] = []
        self._lock = threading.Lock()

    def add(self, fault: Fault) -> Faults:
        """Let `fault` happen, from the next request on; gives these faults, for one more `add`."""
        with self._lock:
            self.waiting.append(fault)
        return self

    def clear(self) -> None:
        """Let nothing more happen; what has begun goes on."""
        with self._lock:
            self.waiting.clear()

    async def handle(
        self, cluster: Cluster, request: Request, context: RequestContext, answer: Callable[[], Awaitable[Any]]
    ) -> Any:
        """Let `answer` handle the request, with the first fault that waits for it around it."""
        fault = self._take(cluster, request, context)
        if fault is None:
            return await answer()
        if not fault.after:
            await fault.strike(request)
        result = await answer()
        if fault.after:
            await fault.strike(request)
        return result

    def _take(self, cluster: Cluster, request: Request, context: RequestContext) -> Fault | None:
        with self._lock:
            for fault in self.waiting:
                if fault.hits(cluster, request, context):
                    fault.times -= 1
                    if fault.times <= 0:
                        self.waiting.remove(fault)
                    return fault
        return None


def topics_of(cluster: Cluster, request: Message) -> set[str]:
    """The topics that a request names, or gives the ids of.

    In Kafka's definitions a row for a topic is in a list that has `topic` in its name.
    """
    return {topic_name(cluster, *named) for named in _named(request)}


def _named(message: Message) -> Iterator[tuple[str, Any]]:
    for field in fields(type(message)):
        rows = getattr(message, field.name)
        if not isinstance(rows, list):
            continue
        for row in rows:
            if isinstance(row, Message):
                if "topic" in field.name:
                    names = (getattr(row, name, None) for name in ("name", "topic", "topic_name"))
                    yield next(filter(None, names), ""), getattr(row, "topic_id", None)
                yield from _named(row)
            elif isinstance(row, str) and "topic" in field.name:
                yield row, None
