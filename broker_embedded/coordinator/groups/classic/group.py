"""A group led by one of its members (Kafka: ClassicGroup): what it is, what it is asked, and its clock.

How members come, go and are given their parts is in `join`, `leave`, `rebalance` and `sync`. A record is written when
a generation is given its assignments, when a group becomes empty, and when a static member gets another id; a
rebalance that a crash cuts short leaves the generation before it.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Self

from broker_embedded.coordinator.groups.classic import join, leave, rebalance, states, sync
from broker_embedded.coordinator.groups.classic.member import Member
from broker_embedded.coordinator.groups.classic.members import Members
from broker_embedded.coordinator.groups.classic.records import (
    GroupValue,
    MemberValue,
    encode_group_key,
    encode_group_value,
)
from broker_embedded.coordinator.groups.classic.states import State
from broker_embedded.coordinator.groups.classic.subscription import subscribed_topics
from broker_embedded.coordinator.groups.group import CONSUMER_PROTOCOL, Kind, Row
from broker_embedded.errors import (
    CoordinatorNotAvailableError,
    IllegalGenerationError,
    NonEmptyGroupError,
    RebalanceInProgressError,
    UnknownMemberIdError,
)
from broker_embedded.wire.messages.groups import DescribedGroup, DescribedGroupMember, HeartbeatResponse

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from broker_embedded.cluster import Cluster
    from broker_embedded.session import RequestContext
    from broker_embedded.wire.messages.groups import (
        HeartbeatRequest,
        JoinGroupRequest,
        JoinGroupResponse,
        LeaveGroupRequest,
        LeaveGroupResponse,
        SyncGroupRequest,
        SyncGroupResponse,
    )

log = logging.getLogger(__name__)


class ClassicGroup:
    """One group; empty to begin with."""

    kind: Kind = "classic"

    def __init__(self, cluster: Cluster, group_id: str) -> None:
        self.cluster = cluster
        self.group_id = group_id
        self.members = Members()
        self.generation = 0
        self.protocol_type = ""
        self.protocol_name: str | None = None
        self.phase = State.EMPTY
        self.phase_since_ms = cluster.now_ms()
        self.subscribed: frozenset[str] | None = None
        """The topics that members read; None where that is not known."""
        self.rebalance = rebalance.Clock()

    @classmethod
    def from_value(cls, cluster: Cluster, group_id: str, value: GroupValue) -> Self:
        """The group that a record tells of: stable if it has members."""
        group = cls(cluster, group_id)
        group.protocol_type, group.protocol_name = value.protocol_type, value.protocol
        group.generation, group.phase_since_ms = value.generation, value.state_since_ms
        for row in value.members:
            timeouts = (row.rebalance_timeout_ms, row.session_timeout_ms)
            protocols = ((value.protocol or "", row.subscription),)
            ids = (row.member_id, row.instance_id, row.client_id, row.client_host)
            group.members.add(Member(*ids, *timeouts, protocols, row.assignment))
        group.members.leader_id = value.leader if (value.leader or "") in group.members else group.members.leader_id
        group.phase = State.STABLE if value.members else State.EMPTY
        group.subscribed = group.compute_subscribed()
        return group

    def value(self, members: Members | None = None, assignments: Mapping[str, bytes] | None = None) -> GroupValue:
        """The group as a record, with other members or assignments if these are given."""
        members = self.members if members is None else members
        rows = tuple(
            MemberValue(
                *(member.member_id, member.instance_id, member.client_id, member.client_host),
                *(member.rebalance_timeout_ms, member.session_timeout_ms, member.metadata(self.protocol_name)),
                member.assignment if assignments is None else assignments.get(member.member_id, b""),
            )
            for member in members
        )
        since_ms = self.phase_since_ms
        return GroupValue(self.protocol_type, self.generation, self.protocol_name, members.leader_id, since_ms, rows)

    def write(self, value: GroupValue) -> None:
        """Write a record of the group. Raises KafkaStorageError."""
        self.cluster.groups.write(self.group_id, self.rows(value))

    def rows(self, value: GroupValue | None = None) -> list[Row]:
        """What `__consumer_offsets` says of the group, or is to say."""
        return [(encode_group_key(self.group_id), encode_group_value(self.value() if value is None else value))]

    def move(self, phase: State) -> None:
        states.check(self.group_id, self.phase, phase)
        self.phase = phase
        self.phase_since_ms = self.cluster.now_ms()

    def compute_subscribed(self) -> frozenset[str] | None:
        if self.protocol_type != CONSUMER_PROTOCOL:
            return None
        return subscribed_topics(member.metadata(self.protocol_name) for member in self.members)

    def heard_of(self, member: Member) -> None:
        """A member is alive: its session begins anew."""
        member.expires_ms = self.cluster.now_ms() + member.session_timeout_ms

    # What a group is

    @property
    def state(self) -> str:
        return self.phase.value

    @property
    def is_empty(self) -> bool:
        return self.phase is State.EMPTY

    def is_subscribed_to(self, topic: str) -> bool:
        if self.subscribed is None:
            return self.protocol_type == CONSUMER_PROTOCOL
        return topic in self.subscribed

    def describe(self) -> DescribedGroup:
        """As DescribeGroups answers; what members say to the leader stands there of a stable group only."""
        is_stable = self.phase is State.STABLE
        protocol = self.protocol_name if is_stable else None
        rows = [
            DescribedGroupMember(
                *(member.member_id, member.instance_id, member.client_id, member.client_host),
                member.metadata(protocol),
                member.assignment,
            )
            for member in self.members
        ]
        return DescribedGroup(self.group_id, 0, None, self.state, self.protocol_type, protocol or "", rows)

    # Requests of members

    async def join(self, request: JoinGroupRequest, context: RequestContext) -> JoinGroupResponse:
        return await join.join(self, request, context)

    async def sync(self, request: SyncGroupRequest, context: RequestContext) -> SyncGroupResponse:
        return await sync.sync(self, request)

    def leave(self, request: LeaveGroupRequest, context: RequestContext) -> LeaveGroupResponse:
        return leave.leave(self, request)

    def heartbeat(self, request: HeartbeatRequest, context: RequestContext) -> HeartbeatResponse:
        self.check_alive()
        member = self.members.find(request.member_id, request.group_instance_id)
        self.check_generation(request.generation_id)
        self.heard_of(member)
        if self.phase is State.PREPARING_REBALANCE:
            raise RebalanceInProgressError(f"group {self.group_id!r} is rebalancing: join again")
        return HeartbeatResponse()

    def check_alive(self) -> None:
        if self.phase is State.DEAD:
            raise CoordinatorNotAvailableError(f"group {self.group_id!r} has been removed: ask again")

    def check_generation(self, generation: int) -> None:
        if generation != self.generation:
            raise IllegalGenerationError(
                f"group {self.group_id!r} is at generation {self.generation}, not {generation}: join again"
            )

    # Offsets and administration

    def check_commit(
        self,
        member_id: str,
        generation_or_epoch: int,
        instance_id: str | None,
        *,
        transactional: bool,
        api_version: int,
        partitions: Collection[tuple[str, int]] = (),
    ) -> None:
        """A commit of a member counts as a heartbeat."""
        self.check_alive()
        if generation_or_epoch < 0 and self.is_empty:
            return
        if generation_or_epoch >= 0 or member_id or instance_id is not None:
            member = self.members.find(member_id, instance_id)
            self.check_generation(generation_or_epoch)
            if not transactional and self.phase in (State.STABLE, State.PREPARING_REBALANCE):
                self.heard_of(member)
        elif not transactional:
            raise UnknownMemberIdError(
                f"group {self.group_id!r} has members, and only they commit offsets: "
                "commit as one of them, stop them first, or use another group"
            )
        if not transactional and self.phase is State.COMPLETING_REBALANCE:
            raise RebalanceInProgressError(f"group {self.group_id!r} is rebalancing: sync, or join again")

    def check_offset_fetch(self, member_id: str | None, epoch: int) -> None:
        """Anybody may ask."""

    def check_delete(self) -> None:
        self.check_alive()
        if not self.is_empty:
            raise NonEmptyGroupError(f"group {self.group_id!r} has {len(self.members)} members: stop them first")

    def check_offset_delete(self) -> None:
        if self.protocol_type != CONSUMER_PROTOCOL:  # of others nobody knows what they read
            self.check_delete()

    def unused_since(self, commit_timestamp_ms: int) -> int | None:
        if not self.protocol_type:
            return commit_timestamp_ms
        if self.is_empty:
            return commit_timestamp_ms if self.phase_since_ms < 0 else self.phase_since_ms
        if self.phase is State.STABLE and self.subscribed is not None:
            return commit_timestamp_ms  # of topics that nobody reads any more: the caller leaves the others alone
        return None

    # Life

    def loaded(self, now_ms: int) -> None:
        for member in self.members:
            self.heard_of(member)
        if len(self.members) > self.cluster.config.group_max_size:
            rebalance.prepare(self, "the group has more members than group.max.size allows")

    def tick(self, now_ms: int) -> None:
        unused = [member_id for member_id, due_ms in self.members.pending.items() if due_ms <= now_ms]
        for member_id in unused:
            log.info("group %r: the id %r was not used in time to join", self.group_id, member_id)
            self.members.remove(member_id)
        if unused:
            rebalance.stop_waiting(self)
        silent = [member for member in self.members if member.expires_ms <= now_ms and not member.is_alive]
        for member in silent:
            log.info("group %r: nothing heard of member %r in time: removed", self.group_id, member.member_id)
            self.remove_member(member)
        if silent:
            rebalance.after_removal(self, f"nothing heard of {', '.join(one.member_id for one in silent)} in time")
        rebalance.tick(self, now_ms)

    def remove_member(self, member: Member) -> None:
        """Let a member go; what waits of it is answered, and may join again."""
        member.dismiss(UnknownMemberIdError.info.code)
        self.members.remove(member.member_id)
        self.rebalance.unsynced.discard(member.member_id)

    def tombstones(self) -> list[Row]:
        return [(encode_group_key(self.group_id), None)]

    def close(self) -> None:
        self.phase = State.DEAD
        for member in self.members:
            member.dismiss(CoordinatorNotAvailableError.info.code)
