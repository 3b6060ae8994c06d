"""Under what conditions an app is run: whose clock it goes by, how it waits, what it does where the app does not say.

A worker and the test driver differ in these, and in nothing that processes records.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from streams.graph.definitions import TopicDef
from streams.graph.nodes import Emit

Sleep = Callable[[float], Awaitable[Any]]
"""Waits that many seconds, as `asyncio.sleep` does."""


def wall_ms() -> int:
    """The clock on the wall."""
    return time.time_ns() // 1_000_000


def declared(topic: TopicDef) -> int | None:
    """How many partitions a topic says it has."""
    return topic.partitions


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """`now_ms` is the clock, `sleep` waits before a record is tried again. `emit`: when results leave of a step that
    does not say. `partitions` tells how many a topic is to have, None where that is open. In a `replay` nobody is idle:
    what a partition lacks may still come. Without `sources` nobody feeds the topics from within. Who `shares` works as
    a member of the app's group, others beside it. `slot` is the seat that the worker is to have, None the first that is
    free; with `serves` it may be the one that holds the folder of the built-in broker.
    """

    now_ms: Callable[[], int] = wall_ms
    sleep: Sleep = asyncio.sleep
    emit: Emit = "commit"
    partitions: Callable[[TopicDef], int | None] = declared
    replay: bool = False
    sources: bool = True
    shares: bool = False
    slot: int | None = None
    serves: bool = True
