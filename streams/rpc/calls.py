"""The ways to call an agent as a service, as Faust has them; the same inside a worker and on a client."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Iterable
from typing import Any, Generic, TypeVar

from streams.batch import Headers
from streams.durations import Duration

V = TypeVar("V")
R = TypeVar("R")

IN_FLIGHT_MAX = 10_000
"""So many requests of one `map` or `join` are waited for at a time."""

Some = Iterable[V] | AsyncIterable[V]


class Calls(Generic[V, R]):
    """Asks one agent, whose records are `V` and whose replies are `R`."""

    def ask(
        self,
        value: V,
        *,
        key: Any = None,
        partition: int | None = None,
        timestamp: int | None = None,
        headers: Headers = (),
        timeout: Duration | None = None,
    ) -> asyncio.Future[R]:
        """Sends a request, outside of any transaction; `await` the answer: what the agent yields first for it.

        Its key chooses the partition, unless `partition` is given. Its timestamp is the clock's unless given. Without
        `timeout` it is waited for as long as the setting `ask_timeout_ms` says.

        Awaiting raises AgentFailedError when the agent failed at it, NoReplyError when it was done and had yielded
        nothing, AskTimeoutError, and DecodeError for an answer that is not of the agent's type. Cancelling the answer
        forgets it; the request stays in the topic.
        """
        raise NotImplementedError

    async def ask_nowait(self, value: V, **options: Any) -> asyncio.Future[R]:
        """`ask`, under the name that it has in Faust for an answer to be awaited later."""
        return self.ask(value, **options)

    async def map(self, values: Some[V], key: Any = None, *, timeout: Duration | None = None) -> AsyncIterator[R]:
        """Asks for each value, and gives the answers as they come. Raises the first error that comes."""
        async for answer in self.kvmap(_with_key(key, values), timeout=timeout):
            yield answer

    async def kvmap(self, items: Some[tuple[Any, V]], *, timeout: Duration | None = None) -> AsyncIterator[R]:
        """`map` over (key, value) pairs."""
        window = _Window[R]()
        try:
            async for key, value in _aiter(items):
                window.add(self.ask(value, key=key, timeout=timeout))
                while window.arrived:
                    yield window.arrived.popleft().result()
                await window.room()
            while window.waiting or window.arrived:
                while window.arrived:
                    yield window.arrived.popleft().result()
                await window.news()
        finally:
            _forget(window.waiting)
            _forget(window.arrived)

    async def join(self, values: Some[V], key: Any = None, *, timeout: Duration | None = None) -> list[R]:
        """Asks for each value, and gives all answers in the order of the values. Raises the first error that comes."""
        return await self.kvjoin(_with_key(key, values), timeout=timeout)

    async def kvjoin(self, items: Some[tuple[Any, V]], *, timeout: Duration | None = None) -> list[R]:
        """`join` over (key, value) pairs."""
        window = _Window[R]()
        answers: list[asyncio.Future[R]] = []
        try:
            async for key, value in _aiter(items):
                answers.append(window.add(self.ask(value, key=key, timeout=timeout)))
                await window.room()
                window.check()
            while window.waiting:
                await window.news()
                window.check()
            return [answer.result() for answer in answers]
        finally:
            _forget(answers)


class _Window(Generic[R]):
    """Requests that are waited for together, and those that have come since somebody looked."""

    def __init__(self) -> None:
        self.waiting: set[asyncio.Future[R]] = set()
        self.arrived: deque[asyncio.Future[R]] = deque()
        self._wake = asyncio.Event()

    def add(self, answer: asyncio.Future[R]) -> asyncio.Future[R]:
        self.waiting.add(answer)
        answer.add_done_callback(self._arrive)
        return answer

    def _arrive(self, answer: asyncio.Future[R]) -> None:
        self.waiting.discard(answer)
        self.arrived.append(answer)
        self._wake.set()

    async def room(self) -> None:
        """Returns when another may be asked for."""
        while len(self.waiting) >= IN_FLIGHT_MAX:
            self._wake.clear()
            await self._wake.wait()

    async def news(self) -> None:
        """Returns when an answer has come, or none is waited for."""
        self._wake.clear()
        if self.waiting and not self.arrived:
            await self._wake.wait()

    def check(self) -> None:
        """Raises the error of one that has come."""
        while self.arrived:
            self.arrived.popleft().result()


async def _aiter(items: Some[V]) -> AsyncIterator[V]:
    if isinstance(items, AsyncIterable):
        async for item in items:
            yield item
    else:
        for item in items:
            yield item


async def _with_key(key: Any, values: Some[V]) -> AsyncIterator[tuple[Any, V]]:
    async for value in _aiter(values):
        yield key, value


def _forget(answers: Iterable[asyncio.Future[Any]]) -> None:
    """Nobody waits for these any more; what went wrong with them is told nobody."""
    for answer in list(answers):
        if not answer.cancel() and not answer.cancelled():
            answer.exception()
