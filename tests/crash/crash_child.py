"""What runs in the children: the app, with everything that happens seldom made to happen often, and a mutation if the
environment names one.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from functools import partialmethod

from crash_app import app

from broker_embedded.cleaner import Cleaner
from broker_embedded.wire.messages.groups import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
)
from state.task_stores import TaskStores
from streams.runtime import assembly, loop, restore
from streams.runtime.commit import Commit
from streams.transport.embedded import EmbeddedTransport

TaskStores.__init__ = partialmethod(TaskStores.__init__, slice_entries=4)  # type: ignore[method-assign,assignment]
assembly.PURGE_RECORDS = 150
loop.OUTPUTS_EARLY = 400

EmbeddedTransport.__init__.__kwdefaults__["tick_interval_ms"] = 20
start_if_due = Cleaner.start_if_due


def compact_often(cleaner: Cleaner) -> None:
    for source in cleaner._cluster.logs():
        if source.config.compacts:
            source.roll_beyond(1_000)
    cleaner._checked_ms = 0
    start_if_due(cleaner)


Cleaner.start_if_due = compact_often  # type: ignore[method-assign]

steps = Commit.steps


def stores_first(commit: Commit) -> list[Callable[[], Awaitable[None]]]:
    """The local stores before the transaction."""
    order = steps(commit)
    order.remove(commit._write_stores)
    order.insert(order.index(commit._end), commit._write_stores)
    return order


def offsets_apart(commit: Commit) -> list[Callable[[], Awaitable[None]]]:
    """The offsets outside of the transaction."""

    async def send_offsets() -> None:
        rows = [(tp, offset) for task in commit._tasks for tp, offset in task.news().items()]
        topics = [
            OffsetCommitRequestTopic(tp.topic, partitions=[OffsetCommitRequestPartition(tp.partition, offset)])
            for tp, offset in rows
        ]
        if topics:
            group, generation, member, instance = commit._identity()
            request = OffsetCommitRequest(group, generation, member, instance, topics=topics)
            await commit._producer._handle(request)  # type: ignore[attr-defined]

    return [send_offsets if step == commit._send_offsets else step for step in steps(commit)]


async def no_look(*_: object) -> set[object]:
    return set()


mutation = os.environ.get("CRASH_MUTATION", "none")
if mutation.startswith("stores first"):
    Commit.steps = stores_first  # type: ignore[method-assign]
if mutation.endswith("no look at starts"):
    restore.undone = no_look  # type: ignore[assignment]
if mutation == "offsets apart":
    Commit.steps = offsets_apart  # type: ignore[method-assign]

__all__ = ["app"]
