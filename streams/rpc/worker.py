"""What a worker has of both sides: it asks agents for the app's own code, and sends what its agents answer."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from streams.errors import RecordError
from streams.outgoing import Outgoing, Sent, Unsent
from streams.rpc.asker import Asker, Question
from streams.rpc.messages import (
    CORRELATION_ID,
    FAILURE,
    Failure,
    Request,
    encoded_failure,
    failed,
)
from streams.serde import Serde, serde_for
from streams.transport.contract import Transport

if TYPE_CHECKING:
    from streams.agent import Agent
    from streams.app import App

log = logging.getLogger(__name__)

ASKED_S = 1.0
"""So long after a reply the next request is waited for."""
CLOSING_S = 5.0
"""How long at most the last replies are waited for when a worker ends."""


class WorkerRpc:
    """`partitions` tells how many a topic has."""

    def __init__(
        self, app: App, transport: Transport, partitions: Callable[[str], int], now_ms: Callable[[], int]
    ) -> None:
        self._app = app
        self._partitions_of = partitions
        self._partitions: dict[str, int] = {}
        self._now_ms = now_ms
        self._outgoing = Outgoing(transport.producer(), self._look_up, self._partitions)
        self.asker = Asker(transport, self._outgoing, app.settings)
        self.asking: Counter[str] = Counter()
        """How many answers the agents of a task wait for, by the task's id."""
        self._replied_s = -ASKED_S
        self.replies = 0
        self.lost_replies = 0
        """Replies that could not be sent: whoever asked is gone."""

    def ask(self, question: Question, timeout_s: float, task: str | None) -> asyncio.Future[Any]:
        """Asks; `task` is the id of the one whose agent does."""
        answer = self.asker.ask(question, timeout_s, self._wake)
        if task is not None:
            self.asking[task] += 1
            answer.add_done_callback(partial(self._answered, task))
        return answer

    def _wake(self) -> None:
        """The loop is to look for new records."""
        if self._app.worker is not None:
            self._app.worker.wake()

    def _answered(self, task: str, answer: asyncio.Future[Any]) -> None:
        self.asking[task] -= 1
        if not self.asking[task]:
            del self.asking[task]

    def replies_of(self, agent: Agent[Any, Any]) -> AgentReplies:
        """What sends the replies of an agent."""
        return AgentReplies(self, agent.name, serde_for(agent.reply_type))

    @property
    def is_asked(self) -> bool:
        """Whether somebody was answered just now."""
        return time.monotonic() - self._replied_s < ASKED_S

    def reply(self, request: Request, value: bytes | None, failure: Failure | None = None) -> None:
        """Sends a reply, as soon as it goes."""
        self._replied_s = time.monotonic()
        headers: list[tuple[str, bytes | None]] = [(CORRELATION_ID, request.correlation_id)]
        if failure is not None:
            headers.append((FAILURE, encoded_failure(failure)))
        told: asyncio.Future[Sent] = asyncio.get_running_loop().create_future()
        told.add_done_callback(self._replied)
        self._outgoing.send(Unsent(request.reply_to, 0, None, value, self._now_ms(), headers, told))

    def _replied(self, told: asyncio.Future[Sent]) -> None:
        if not told.cancelled() and told.exception() is None:
            self.replies += 1
        else:
            self.lost_replies += 1

    async def _look_up(self, topics: set[str]) -> None:
        """Notes the partitions of the app's topics; those for replies have one."""
        for topic in topics:
            with contextlib.suppress(KeyError):
                self._partitions[topic] = self._partitions_of(topic)

    async def close(self) -> None:
        """Sends what there is to say, and ends."""
        try:
            async with asyncio.timeout(CLOSING_S):
                await self._outgoing.close()
        except TimeoutError:
            log.warning("replies of agents were not taken for %.0f s: who waits for them hears nothing", CLOSING_S)
        await self.asker.close()


class AgentReplies:
    """The replies of one agent, as bytes of its type."""

    def __init__(self, rpc: WorkerRpc, agent: str, serde: Serde[Any]) -> None:
        self._rpc = rpc
        self._agent = agent
        self._serde = serde

    def reply(self, request: Request, value: Any) -> None:
        """The answer; an error if it is not of the type that the agent declares."""
        try:
            data = None if value is None else self._serde.encode(value)
        except Exception as error:  # noqa: BLE001 - told to whoever asks
            self.failed(request, RecordError(f"the answer {value!r} does not encode: {error}"))
        else:
            self._rpc.reply(request, data)

    def no_reply(self, request: Request) -> None:
        """The agent was done with the request and had yielded nothing."""
        self._rpc.reply(request, None, Failure(self._agent))

    def failed(self, request: Request, error: RecordError) -> None:
        """The agent failed at the request."""
        self._rpc.reply(request, None, failed(self._agent, error))
