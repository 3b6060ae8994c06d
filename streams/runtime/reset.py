"""Taking away what an app has done, so that it begins anew: all of it, or one store.

Only what is the app's own goes: committed offsets, changelogs, repartition and reply topics, local stores. The topics
that it reads and writes stay as they are, and so do the positions of its sources, which belong to the records that the
sources have put there.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from state.task_stores import TaskStores
from streams.admin.descriptions import MemberDescription
from streams.admin.groups import UnknownGroupError, describe_group, group_offsets, set_offsets
from streams.config import Settings
from streams.errors import StreamsError, TopologyError, did_you_mean
from streams.graph.plan import Plan
from streams.rpc.messages import made_ms
from streams.runtime.state_folders import state_folder, task_folders
from streams.runtime.topics import changelog_names, internal_topics, position_topic
from streams.transport.contract import TopicPartition, Transport
from streams.transport.group.member import remove_members

if TYPE_CHECKING:
    from streams.app import App


class WorkersThereError(StreamsError):
    """The app's group has members, which would write their own over what is taken away."""

    def __init__(self, group: str, members: Sequence[MemberDescription]) -> None:
        names = ", ".join(f"{member.instance_id or member.member_id} at {member.host}" for member in members)
        super().__init__(
            f"app {group!r} is at work: its group has the members {names}. Stop them there first (SIGTERM, Ctrl-C); "
            "one that was killed is taken for gone when its session is over (session_timeout_ms, by default 45 s)."
        )
        self.members = members


@dataclass(slots=True)
class Removal:
    """What is to go. `members` of the group have ended and are not known to have; `offsets` go back to the beginning,
    `topics` and `folders` are deleted, and each of `stores` is removed from a task's folder.
    """

    group: str
    members: list[str] = field(default_factory=list)
    offsets: dict[TopicPartition, int] = field(default_factory=dict)
    topics: list[str] = field(default_factory=list)
    folders: list[Path] = field(default_factory=list)
    stores: list[tuple[Path, str]] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.members or self.offsets or self.topics or self.folders or self.stores)

    def lines(self) -> Iterator[str]:
        """For people, one line each."""
        yield from (f"member {member} of group {self.group}, which has ended" for member in self.members)
        for topic in dict.fromkeys(tp.topic for tp in self.offsets):
            yield f"offsets of group {self.group} in {topic}: back to the beginning"
        yield from (f"topic {topic}" for topic in self.topics)
        yield from (f"folder {folder}" for folder in self.folders)
        yield from (f"store {store} in {folder}" for folder, store in self.stores)

    async def carry_out(self, transport: Transport) -> None:
        """Interrupted, it can be begun again. Offsets come first: they are refused to a group with members."""
        await remove_members(transport.asks, self.group, self.members)
        if self.offsets:
            await transport.asks.retry(lambda: set_offsets(transport.asks, self.group, self.offsets))
        await transport.delete(self.topics)
        for folder in self.folders:
            shutil.rmtree(folder)
        for folder, store in self.stores:
            with _opened(folder) as stores:
                stores.drop_store(store)


async def end_transactions(transport: Transport, workers: Iterable[str]) -> None:
    """Ends what a crash of `workers`, by their transactional ids, has left open: else new offsets wait for it."""
    for name in workers:
        producer = transport.producer(transactional_id=name)
        await producer.start()
        await producer.close()


async def removal_of_all(app: App, transport: Transport, *, workers: Collection[str], sources: bool) -> Removal:
    """Everything of the app; with `sources` also the positions of its sources, which then begin anew as well. Looks
    only. `workers` are members of the group of whom it is known that they have ended.

    Raises WorkersThereError while there are others.
    """
    plan, folder = app.plan(), state_folder(app.settings)
    members = await _members_gone(transport, app.id, workers)
    positions = [position_topic(app.id, source.name) for source in app.sources] if sources else []
    replies = [name for name in await transport.topics() if made_ms(name, app.id) is not None]
    internal = await internal_topics(transport, app.id, known=_own_topics(plan))
    present = await transport.describe([*_own_topics(plan), *internal, *replies, *positions])
    return Removal(
        app.id,
        members=[member.instance_id for member in members if member.instance_id is not None],
        offsets=await _offsets(app, transport),
        topics=sorted(present),
        folders=[folder] if folder.exists() else [],
    )


async def removal_of_store(app: App, transport: Transport, store: str, *, workers: Collection[str]) -> Removal:
    """One store, whether the app still names it or not. `workers` as in `removal_of_all`.

    Raises WorkersThereError while there are others, TopologyError if there is no store of that name.
    """
    await _members_gone(transport, app.id, workers)
    changelog = f"{app.id}-{store}-changelog"
    found = await internal_topics(transport, app.id, known=_own_topics(app.plan()))
    topics = [name for name in found if name == changelog]
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


async def _members_gone(transport: Transport, app_id: str, workers: Collection[str]) -> Sequence[MemberDescription]:
    """The members of the app's group, all of whom have ended. Raises WorkersThereError for others than `workers`."""
    members = await _members(transport, app_id)
    if at_work := [member for member in members if member.instance_id not in workers]:
        raise WorkersThereError(app_id, at_work)
    return members


async def _members(transport: Transport, group: str) -> Sequence[MemberDescription]:
    try:
        return (await transport.asks.retry(lambda: describe_group(transport.asks, group))).members
    except UnknownGroupError:
        return []


async def _offsets(app: App, transport: Transport) -> dict[TopicPartition, int]:
    """The beginning of each partition of the topics that the app reads and has committed an offset of."""
    plan = app.plan()
    read = {source.topic.name for sub in plan.subtopologies for source in sub.sources}
    outside = {name for name in read if not plan.topics[name].internal}
    committed = await transport.asks.retry(lambda: group_offsets(transport.asks, transport, app.id))
    found = {row.partition: row.offset for row in committed if row.partition.topic in outside and row.offset}
    earliest = await transport.earliest(found)
    return {tp: earliest[tp] for tp in sorted(found) if found[tp] > earliest[tp]}
