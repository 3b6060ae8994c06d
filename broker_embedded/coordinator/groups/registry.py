"""All groups of a cluster, of either protocol: found by id, loaded from `__consumer_offsets`, removed when unused.

A group is written down by its kind, one record or several; this module knows which kind owns which records, and
nothing of what is in them. Of a group that has offsets and no record of its own (a client that only commits) nothing
is written: it is made when somebody asks for it.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Final, TypeVar

from broker_embedded.coordinator.fields import INT16
from broker_embedded.errors import (
    GroupIdNotFoundError,
    IllegalGenerationError,
    InvalidGroupIdError,
    KafkaError,
    UnknownMemberIdError,
)

if TYPE_CHECKING:
    from broker_embedded.cluster import Cluster
    from broker_embedded.coordinator.groups.classic.group import ClassicGroup
    from broker_embedded.coordinator.groups.group import Group, Kind, Row

log = logging.getLogger(__name__)

G = TypeVar("G", bound="Group")

_OWNERS: Final[dict[int, Kind]] = {2: "classic", **dict.fromkeys((3, 4, 5, 6, 7, 8, 16), "consumer")}
"""Type of a record's key to the kind of group it is of. `<kind>/loading.py` has `apply(groups, key_type, key, value)`,
called once for each key with its newest value, in the order of key types, and never for one that was removed."""

_GROUP_NOT_FOUND_SINCE = 9  # the version of OffsetCommit that has GROUP_ID_NOT_FOUND


class Groups:
    """The groups of a cluster by id."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.by_id: dict[str, Group] = {}
        self._expired_ms = cluster.now_ms()

    def get(self, group_id: str) -> Group | None:
        """A group that has members, had some, or has offsets; None for any other."""
        found = self.by_id.get(group_id)
        if found is None and group_id in self.cluster.offsets.group_ids():
            found = self.create_classic(group_id)
        return found

    def find(self, group_id: str) -> Group:
        """As `get`. Raises InvalidGroupIdError for an empty id, GroupIdNotFoundError."""
        if not group_id:
            raise InvalidGroupIdError("the group id is empty")
        found = self.get(group_id)
        if found is None:
            raise GroupIdNotFoundError(f"group {group_id!r} does not exist")
        return found

    def of_member(self, group_id: str) -> Group:
        """The group that a client says it is a member of. Raises InvalidGroupIdError, UnknownMemberIdError."""
        try:
            return self.find(group_id)
        except GroupIdNotFoundError as error:
            raise UnknownMemberIdError(f"{error}: join it") from None

    def to_join(self, group_id: str, member_id: str) -> Group:
        """The group that a classic member comes to: a new one, written down, if the member is new as well.

        Raises InvalidGroupIdError, UnknownMemberIdError, KafkaStorageError.
        """
        found = self.get(group_id) if group_id else self.find(group_id)
        if found is not None and (found.kind == "classic" or not found.is_empty):
            return found
        if member_id:
            raise UnknownMemberIdError(f"group {group_id!r} has no members: join without a member id")
        group = self.create_classic(group_id)
        try:
            self.write(group_id, [*(found.tombstones() if found else ()), *group.rows()])
        except KafkaError:
            self.by_id.pop(group_id)
            if found is not None:
                self.add(found)
            raise
        return group

    def all(self, kind: Kind | None = None) -> list[Group]:
        """Every group, or those of one kind, by id."""
        for group_id in self.cluster.offsets.group_ids():
            self.get(group_id)
        return [group for _, group in sorted(self.by_id.items()) if kind in (None, group.kind)]

    def create_classic(self, group_id: str) -> ClassicGroup:
        """A new group without members; nothing is written down."""
        from broker_embedded.coordinator.groups.classic.group import ClassicGroup  # when first needed

        return self.add(ClassicGroup(self.cluster, group_id))

    def add(self, group: G) -> G:
        """Know `group`, in place of what had its id."""
        self.by_id[group.group_id] = group
        return group

    def remove(self, group: Group) -> None:
        """Delete a group with its offsets; whoever waits in it is answered. Raises KafkaStorageError."""
        self.cluster.offsets.remove_all(group.group_id, group.tombstones())
        self.by_id.pop(group.group_id, None)
        group.close()

    def write(self, group_id: str, rows: Sequence[Row]) -> None:
        """Append rows to the partition of `__consumer_offsets` that holds the group: all of them or none.

        Write first and change memory after it. Raises KafkaStorageError, and nothing is written then.
        """
        self.cluster.offsets.write(group_id, rows)

    # Offsets

    def check_commit(
        self,
        group_id: str,
        member_id: str = "",
        generation_or_epoch: int = -1,
        instance_id: str | None = None,
        *,
        transactional: bool = False,
        api_version: int,
        partitions: Collection[tuple[str, int]] = (),
    ) -> None:
        """Whether a client may commit offsets for a group, which need not exist. Raises KafkaError."""
        if not group_id and transactional:
            raise InvalidGroupIdError("the group id is empty")
        is_simple = generation_or_epoch < 0
        group = self.by_id.get(group_id) if is_simple else self.get(group_id)
        if group is not None:
            group.check_commit(
                *(member_id, generation_or_epoch, instance_id),
                transactional=transactional,
                api_version=api_version,
                partitions=partitions,
            )
        elif not is_simple:
            if transactional or api_version < _GROUP_NOT_FOUND_SINCE:
                raise IllegalGenerationError(f"group {group_id!r} does not exist: join first")
            raise GroupIdNotFoundError(f"group {group_id!r} does not exist: join first")

    def check_offset_fetch(self, group_id: str, member_id: str | None, epoch: int) -> None:
        """Whether a client may ask for offsets; a group that does not exist has none. Raises KafkaError."""
        group = self.by_id.get(group_id)
        if group is not None:
            group.check_offset_fetch(member_id, epoch)

    # Life

    def load(self) -> None:
        """Take over what the offsets have met in `__consumer_offsets` that is of groups."""
        self.by_id.clear()
        for key_type, key, value in self._rows():
            kind = _OWNERS.get(key_type)
            if kind is None:
                log.debug("a record of type %d in __consumer_offsets is of no kind known here: left alone", key_type)
                continue
            module = import_module(f"broker_embedded.coordinator.groups.{kind}.loading")
            module.apply(self, key_type, key, value)
        for group in list(self.by_id.values()):
            group.loaded(self.cluster.now_ms())

    def _rows(self) -> Iterator[tuple[int, bytes, bytes]]:
        rows = [(INT16.unpack_from(key)[0], key, value) for key, value in self.cluster.offsets.take_others().items()]
        yield from sorted(rows, key=lambda row: row[0])

    def tick(self, now_ms: int) -> None:
        """Fire timeouts of members and rebalances; now and then let go of offsets and groups without use."""
        for group in list(self.by_id.values()):
            group.tick(now_ms)
        if now_ms - self._expired_ms >= self.cluster.config.offsets_retention_check_interval_ms:
            self._expired_ms = now_ms
            for group in self.all():
                self._expire(group, now_ms)

    def _expire(self, group: Group, now_ms: int) -> None:
        retention_ms = self.cluster.config.offsets_retention_minutes * 60_000
        offsets = self.cluster.offsets
        expired = []
        for key, value in offsets.committed(group.group_id).items():
            since_ms = group.unused_since(value.commit_timestamp)
            if since_ms is not None and now_ms - since_ms >= retention_ms and not group.is_subscribed_to(key[0]):
                expired.append(key)
        kept = offsets.unstable(group.group_id)
        offsets.remove(group.group_id, [key for key in expired if key not in kept])
        if group.is_empty and group.group_id not in offsets.group_ids():
            self.remove(group)

    def close(self) -> None:
        """Answer everyone who waits."""
        for group in self.by_id.values():
            group.close()
