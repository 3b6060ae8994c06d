"""Who asks agents: requests out, and the replies that come to a topic of its own.

There is one for a process that runs a worker, and one for a client. It reads its reply topic with one coroutine for all
that it has asked; a request that is waited for is a future in a dict and no task.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable
from functools import partial
from itertools import count
from typing import Any, NamedTuple, Protocol

from broker_embedded import records
from streams.batch import Headers
from streams.config import Settings
from streams.errors import AskTimeoutError, DecodeError, StreamsError
from streams.outgoing import Sent, Unsent
from streams.rpc.messages import (
    CORRELATION_ID,
    FAILURE,
    REPLY_TOPIC_CONFIG,
    Request,
    decoded_failure,
    headers_of,
    made_ms,
)
from streams.serde import Serde
from streams.transport.contract import (
    Fetched,
    OffsetOutOfRangeError,
    TopicPartition,
    Transport,
    TransportError,
    UnknownTopicError,
)
from streams.transport.making import Making

log = logging.getLogger("streams.rpc")

WAIT_MS = 5_000
"""How long a fetch of replies waits."""
STALE_MS = 24 * 3_600_000
"""Reply topics so old whose last reply is as old are of processes that were killed."""


class Question(NamedTuple):
    """What is asked of an agent: a record for its topic, and how the answer is decoded."""

    agent: str
    topic: str
    key: bytes | None
    value: bytes | None
    timestamp: int
    headers: Headers
    partition: int | None
    replies: Serde[Any]


class Sends(Protocol):
    """Sends records outside of transactions."""

    def send(self, record: Unsent) -> None: ...


class Asker:
    """`outgoing` sends the requests, `transport` brings the replies. The name of the reply topic begins with the app's
    id; the settings say how it is made.
    """

    def __init__(self, transport: Transport, outgoing: Sends, settings: Settings) -> None:
        app_id = settings.id
        self._making = Making.of(settings)
        self._transport = transport
        self._outgoing = outgoing
        self._app_id = app_id
        self._prefix = os.urandom(8)
        self._numbers = count()
        self._pending: dict[bytes, tuple[Question, asyncio.Future[Any]]] = {}
        self._unsent: list[tuple[bytes, Callable[[], None]]] = []
        self._reader: asyncio.Task[None] | None = None
        self._is_open = False
        self.topic = f"{app_id}-{int(time.time()):x}-{self._prefix.hex()}-reply"
        self.asked = 0
        self.answered = 0
        self.unmatched = 0
        """Replies that nobody waited for: too late, or repeated."""

    def __len__(self) -> int:
        """How many requests are waited for."""
        return len(self._pending)

    def ask(self, question: Question, timeout_s: float, sent: Callable[[], None] = lambda: None) -> asyncio.Future[Any]:
        """Asks; the future is the reply. Cancelling it forgets the request. `sent` is called when the request is in the
        topic.
        """
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Any] = loop.create_future()
        correlation_id = self._prefix + next(self._numbers).to_bytes(8, "big")
        late = loop.call_later(timeout_s, _expire, answer, question, timeout_s)
        self._pending[correlation_id] = question, answer
        answer.add_done_callback(partial(self._forget, correlation_id, late))
        self.asked += 1
        self._unsent.append((correlation_id, sent))
        if self._reader is None or self._reader.done():
            self._reader = loop.create_task(self._read(), name=f"replies to {self._app_id}")
        elif self._is_open:
            self._send()
        return answer

    async def close(self) -> None:
        """Nobody is waited for any more; the reply topic goes."""
        for question, answer in list(self._pending.values()):
            if not answer.done():
                answer.set_exception(StreamsError(f"closed before agent {question.agent!r} had answered"))
                answer.exception()  # whoever waited may be gone as well
        if self._reader is None:
            return
        self._reader.cancel()
        await asyncio.gather(self._reader, return_exceptions=True)
        try:
            await self._transport.delete([self.topic])
        except TransportError as error:
            log.debug("reply topic %s stays: %s", self.topic, error)

    def _forget(self, correlation_id: bytes, late: asyncio.TimerHandle, answer: asyncio.Future[Any]) -> None:
        late.cancel()
        del self._pending[correlation_id]

    # -- requests

    def _send(self) -> None:
        unsent, self._unsent = self._unsent, []
        loop = asyncio.get_running_loop()
        for correlation_id, sent in unsent:
            if correlation_id not in self._pending:
                continue
            question, answer = self._pending[correlation_id]
            headers = (*question.headers, *headers_of(Request(self.topic, correlation_id)))
            told: asyncio.Future[Sent] = loop.create_future()
            told.add_done_callback(partial(_sent, answer, sent))
            q = question
            self._outgoing.send(Unsent(q.topic, q.partition, q.key, q.value, q.timestamp, headers, told))

    # -- replies

    async def _read(self) -> None:
        """Reads replies for ever; what makes that impossible is told to all who wait."""
        try:
            await self._open()
            position = (await self._transport.earliest([self._tp]))[self._tp]
            self._is_open = True
            self._send()
            while True:
                position = await self._fetch(position)
        except Exception as error:  # noqa: BLE001 - handed to all who wait
            self._unsent.clear()
            for _, answer in list(self._pending.values()):
                if not answer.done():
                    answer.set_exception(error)
        finally:
            self._is_open = False

    @property
    def _tp(self) -> TopicPartition:
        return TopicPartition(self.topic, 0)

    async def _open(self) -> None:
        await self._transport.create([self._making.spec(self.topic, 1, REPLY_TOPIC_CONFIG)])
        await self._remove_stale()

    async def _fetch(self, position: int) -> int:
        try:
            found = await self._transport.fetch({self._tp: position}, isolation="read_uncommitted", wait_ms=WAIT_MS)
        except OffsetOutOfRangeError as error:
            return error.earliest if position < error.earliest else error.latest
        except UnknownTopicError:  # removed as if it were a dead process's
            await self._open()
            return 0
        for fetched in found:
            self._take(fetched)
            position = fetched.next_offset
        return position

    def _take(self, fetched: Fetched) -> None:
        for piece in fetched.data:
            for header, data in records.batches(piece):
                if header.is_control:
                    continue
                part = records.decode(data)
                rows = zip(part.offsets.tolist(), part.values(), part.headers(), strict=True)
                for offset, value, headers in rows:
                    if offset >= fetched.start_offset:
                        self._answer(value, dict(headers))

    def _answer(self, value: bytes | None, headers: dict[str, bytes | None]) -> None:
        waiting = self._pending.get(headers.get(CORRELATION_ID) or b"")
        if waiting is None or waiting[1].done():
            self.unmatched += 1
            return
        question, answer = waiting
        self.answered += 1
        if FAILURE in headers:
            answer.set_exception(decoded_failure(headers[FAILURE] or b"").error())
            return
        try:
            answer.set_result(None if value is None else question.replies.decode(value))
        except Exception as error:  # noqa: BLE001 - told to whoever waits
            answer.set_exception(
                DecodeError(f"the answer of agent {question.agent!r} is not of the type that it declares: {error}")
            )

    async def _remove_stale(self) -> None:
        """Reply topics that killed processes have left behind. One that is in use after all is made again."""
        now_ms = time.time_ns() // 1_000_000
        made = {name: made_ms(name, self._app_id) for name in await self._transport.topics()}
        tps = [TopicPartition(name, 0) for name, at in made.items() if at is not None and now_ms - at > STALE_MS]
        if tps:
            ends = await self._transport.latest(tps, "read_uncommitted")
            recent = await self._transport.at_time(tps, now_ms - STALE_MS)
            await self._transport.delete([tp.topic for tp in tps if recent[tp] >= ends[tp]])


def _expire(answer: asyncio.Future[Any], question: Question, timeout_s: float) -> None:
    if not answer.done():
        answer.set_exception(AskTimeoutError(question.agent, question.topic, timeout_s))


def _sent(answer: asyncio.Future[Any], tell: Callable[[], None], told: asyncio.Future[Sent]) -> None:
    error = None if told.cancelled() else told.exception()
    if error is None:
        tell()
    elif not answer.done():
        answer.set_exception(error)
