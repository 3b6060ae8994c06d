"""An agent of an app, asked from outside of its workers."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, TypeVar

from streams.batch import Headers
from streams.durations import Duration
from streams.outgoing import Sent
from streams.rpc.calls import Calls

if TYPE_CHECKING:
    from streams.agent import Agent
    from streams.client import Client
    from streams.config import Settings
    from streams.rpc.asker import Asker

V = TypeVar("V")
R = TypeVar("R")


class AgentCalls(Calls[V, R]):
    """Asks an agent; made by `client.agent(name)`."""

    def __init__(self, client: Client, agent: Agent[V, R], asker: Asker, settings: Settings) -> None:
        self._client = client
        self._agent = agent
        self._asker = asker
        self._settings = settings

    def __repr__(self) -> str:
        return f"<calls of agent {self._agent.name}>"

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
        """See `Calls.ask`."""
        from streams.rpc.questions import question, seconds

        time_ms = time.time_ns() // 1_000_000 if timestamp is None else timestamp
        asked = question(self._agent, value, key, partition, time_ms, headers)
        return self._asker.ask(asked, seconds(timeout, self._settings))

    def send(self, *, key: Any = None, value: V | None = None, **options: Any) -> asyncio.Future[Sent]:
        """Sends a record to the agent's topic; `options` are those of `client.send`."""
        return self._client.send(self._agent.topic, key=key, value=value, **options)

    def cast(self, value: V | None = None, *, key: Any = None, **options: Any) -> asyncio.Future[Sent]:
        """`send`, value first: nobody waits for what the agent yields."""
        return self.send(key=key, value=value, **options)
