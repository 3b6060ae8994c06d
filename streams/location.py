"""Where a key of a table is: its partition, and the worker that has it."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any, NamedTuple

from streams.errors import StreamsError, did_you_mean
from streams.partitioner import partition_for
from streams.serde import key_serde_for

if TYPE_CHECKING:
    from streams.app import App, AtWork
    from streams.graph.definitions import StoreDef


class Owner(NamedTuple):
    """A worker by its name in the group, and its host; `here`: it is the one of this process."""

    worker: str
    host: str
    here: bool


class Location(NamedTuple):
    """The partition of a key, and the worker that has it; `here`: in this process."""

    worker: str
    host: str
    partition: int
    here: bool


def this_worker(task: str) -> Owner:
    """Of a worker that is alone every task is its own."""
    return Owner("", socket.gethostname(), True)


def locate(app: App, table: str, key: Any) -> Location:
    """See `App.locate`. The partition is that of Kafka's clients: murmur2 of the key's bytes."""
    worker, plan = app.worker, app.plan()
    if worker is None:
        raise StreamsError(f"locate({table!r}): no worker runs {app.id!r} in this process")
    store = plan.stores.get(table)
    if store is None:
        raise StreamsError(f"locate({table!r}): the app has no such table.{did_you_mean(table, plan.stores)}")
    partition = _partition(store, key, worker)
    if store.is_global:
        return Location(*this_worker("")[:2], partition, True)
    task = next(sub.task_id(partition) for sub in plan.subtopologies if store in sub.stores)
    owner = worker.owner(task)
    if owner is None:
        raise StreamsError(
            f"locate({table!r}, {key!r}): nobody works on partition {partition} at the moment, as workers come or go. "
            "Ask again in a moment."
        )
    return Location(owner.worker, owner.host, partition, owner.here)


def _partition(store: StoreDef, key: Any, worker: AtWork) -> int:
    return partition_for(key_serde_for(store.key_type).encode(key), worker.outputs.partitions(store.changelog))
