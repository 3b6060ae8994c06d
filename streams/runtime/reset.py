"""Taking away what an app has done, so that it begins anew: all of it, or one store.

Only what is the app's own goes: committed offsets, changelogs, repartition topics, local stores. The topics that it
reads and writes stay as they are, and so do the positions of its sources, which belong to the records that the sources
have put there.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from state.task_stores import TaskStores
from streams.config import Settings
from streams.errors import TopologyError, did_you_mean
from streams.graph.plan import Plan
from streams.runtime.folders import state_folder, task_folders
from streams.runtime.topics import changelog_names, internal_topics, position_topic
from streams.transport.contract import Committed, GroupIdentity, TopicPartition, Transport

if TYPE_CHECKING:
    from streams.app import App


@dataclass(slots=True)
class Removal:
    """What is to go. `offsets` go back to the beginning, `topics` and `folders` are deleted, and each of `stores` is
    removed from a task's folder.
    """

    group: str
    offsets: dict[TopicPartition, int] = field(default_factory=dict)
    topics: list[str] = field(default_factory=list)
    folders: list[Path] = field(default_factory=list)
    stores: list[tuple[Path, str]] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.offsets or self.topics or self.folders or self.stores)

    def lines(self) -> Iterator[str]:
        """For people, one line each."""
        for topic in dict.fromkeys(tp.topic for tp in self.offsets):
            yield f"offsets of group {self.group} in {topic}: back to the beginning"
        yield from (f"topic {topic}" for topic in self.topics)
        yield from (f"folder {folder}" for folder in self.folders)
        yield from (f"store {store} in {folder}" for folder, store in self.stores)

    async def carry_out(self, transport: Transport) -> None:
        """Interrupted, it can be begun again."""
        for folder in self.folders:
            shutil.rmtree(folder)
        for folder, store in self.stores:
            with _opened(folder) as stores:
                stores.drop_store(store)
        await transport.delete(self.topics)
        if self.offsets:
            producer = transport.producer()
            await producer.start()
            offsets = {tp: Committed(at) for tp, at in self.offsets.items()}
            await producer.send_offsets(GroupIdentity(self.group), offsets)
            await producer.close()


async def removal_of_all(app: App, transport: Transport, *, workers: Iterable[str], sources: bool) -> Removal:
    """Everything of the app; with `sources` also the positions of its sources, which then begin anew as well. What a
    crash of `workers` has left open is ended.
    """
    plan, folder = app.plan(), state_folder(app.settings)
    for name in workers:  # else the offsets would have to be waited for
        producer = transport.producer(transactional_id=name)
        await producer.start()
        await producer.close()
    positions = [position_topic(app.id, source.name) for source in app.sources] if sources else []
    present = await transport.describe([*_own_topics(plan), *await internal_topics(transport, app.id), *positions])
    return Removal(
        app.id,
        offsets=await _offsets(app, transport),
        topics=sorted(present),
        folders=[folder] if folder.exists() else [],
    )


async def removal_of_store(app: App, transport: Transport, store: str) -> Removal:
    """One store, whether the app still names it or not. Raises TopologyError if there is none of that name."""
    changelog = f"{app.id}-{store}-changelog"
    topics = [name for name in await internal_topics(transport, app.id) if name == changelog]
    by_folder = local_stores(app.settings)
    places = [(folder, store) for folder, names in by_folder.items() if store in names]
    if not (topics or places):
        known = {name for names in by_folder.values() for name in names} | set(app.plan().stores)
        raise TopologyError(
            f"{app.id} has no store {store!r} to remove.{did_you_mean(store, known)} "
            f"There are {', '.join(sorted(known)) or 'none'}."
        )
    return Removal(app.id, topics=topics, stores=places)


def local_stores(settings: Settings) -> dict[Path, list[str]]:
    """The stores in the folders of each task of an app."""
    found: dict[Path, list[str]] = {}
    for path in task_folders(settings):
        with _opened(path) as stores:
            found[path] = stores.undeclared_stores()
    return found


@contextmanager
def _opened(folder: Path) -> Iterator[TaskStores]:
    from state.backends.rocks import RocksBackend

    stores = TaskStores(RocksBackend(folder), [], lambda *_: None)
    try:
        yield stores
    finally:
        stores.close()


def _own_topics(plan: Plan) -> list[str]:
    changelogs = [name for sub in plan.subtopologies for name in changelog_names(sub, plan.app_id)]
    return [*changelogs, *(node.topic.name for sub in plan.subtopologies for node in sub.repartitions)]


async def _offsets(app: App, transport: Transport) -> dict[TopicPartition, int]:
    """The beginning of each partition of the topics that the app reads and has committed an offset of."""
    read = {source.topic.name for sub in app.plan().subtopologies for source in sub.sources}
    infos = await transport.describe([name for name in read if not app.plan().topics[name].internal])
    tps = [TopicPartition(info.name, partition) for info in infos.values() for partition in range(info.partitions)]
    committed = await transport.committed(app.id, tps)
    earliest = await transport.earliest(tps)
    moved = [tp for tp, position in committed.items() if position is not None and position.offset > earliest[tp]]
    return {tp: earliest[tp] for tp in sorted(moved)}
