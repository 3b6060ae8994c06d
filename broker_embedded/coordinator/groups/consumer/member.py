"""A member of a consumer group, as data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from uuid import UUID

Partition = tuple[UUID, int]
Partitions = frozenset[Partition]

NOTHING: Partitions = frozenset()

JOINING_EPOCH = 0
LEAVING_EPOCH = -1
AWAY_EPOCH = -2
"""Of a static member that has left and said that it will be back."""


class MemberState(IntEnum):
    """How far a member has come on its way to the target; numbered as in the records."""

    STABLE = 0
    UNREVOKED_PARTITIONS = 1  # it has yet to give up some
    UNRELEASED_PARTITIONS = 2  # it waits for some that others have not given up
    UNKNOWN = 127


@dataclass(frozen=True, slots=True)
class ClassicMember:
    """What is known besides of a member that speaks the classic protocol: while a group is being upgraded."""

    session_timeout_ms: int
    protocols: tuple[tuple[str, bytes], ...]  # name and metadata, in the member's order


@dataclass(frozen=True, slots=True)
class Member:
    """Partitions, assigned or still to be revoked, go with the epoch in which the member got them."""

    member_id: str
    instance_id: str | None = None
    rack_id: str | None = None
    client_id: str = ""
    client_host: str = ""
    topics: frozenset[str] = frozenset()
    regex: str = ""
    rebalance_timeout_ms: int = -1
    assignor: str | None = None
    classic: ClassicMember | None = None
    epoch: int = 0
    previous_epoch: int = -1
    state: MemberState = MemberState.STABLE
    assigned: Mapping[Partition, int] = field(default_factory=dict)
    revoking: Mapping[Partition, int] = field(default_factory=dict)

    def has_reached(self, epoch: int) -> bool:
        return self.state is MemberState.STABLE and self.epoch == epoch


def by_topic(partitions: Iterable[Partition]) -> dict[UUID, list[int]]:
    """Partitions as requests and records have them, in order.

    >>> topic = UUID(int=1)
    >>> list(by_topic([(topic, 2), (topic, 0)]).values())
    [[0, 2]]
    """
    found: dict[UUID, list[int]] = {}
    for topic, partition in sorted(partitions):
        found.setdefault(topic, []).append(partition)
    return found
