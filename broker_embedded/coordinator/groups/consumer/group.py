"""A consumer group: its state, its deadlines, and what is asked of it (Kafka: ConsumerGroup)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Literal

from broker_embedded.coordinator.groups.classic.group import ClassicGroup
from broker_embedded.coordinator.groups.consumer import admission, classic_members, migration, subscriptions
from broker_embedded.coordinator.groups.consumer.changes import changes, tombstones
from broker_embedded.coordinator.groups.consumer.member import Member, MemberState
from broker_embedded.coordinator.groups.consumer.settings import settings_of
from broker_embedded.coordinator.groups.consumer.state import State
from broker_embedded.coordinator.groups.group import CONSUMER_PROTOCOL, Kind
from broker_embedded.errors import (
    IllegalGenerationError,
    KafkaError,
    NonEmptyGroupError,
    RebalanceInProgressError,
    StaleMemberEpochError,
    UnknownMemberIdError,
    UnsupportedVersionError,
)
from broker_embedded.security.acls import Operation, ResourceType

if TYPE_CHECKING:
    from broker_embedded.cluster import Cluster
    from broker_embedded.coordinator.groups.group import Group, Row
    from broker_embedded.session import RequestContext
    from broker_embedded.wire.messages.groups import (
        HeartbeatRequest,
        HeartbeatResponse,
        JoinGroupRequest,
        JoinGroupResponse,
        LeaveGroupRequest,
        LeaveGroupResponse,
        SyncGroupRequest,
        SyncGroupResponse,
    )

log = logging.getLogger(__name__)

Deadline = Literal["session", "rebalance", "join", "sync"]
_REASONS: dict[Deadline, str] = {
    "session": "nothing was heard of it in time",
    "rebalance": "it has not given up its partitions in time",
    "join": "it has not joined again in time",
    "sync": "it has not fetched its assignment in time",
}
_COMMITS_WITH_EPOCH_SINCE = 9  # OffsetCommit


class ConsumerGroup:
    """`data` is replaced, never changed: by `put`, once the difference is written down."""

    kind: Kind = "consumer"
    protocol_type = CONSUMER_PROTOCOL

    def __init__(self, cluster: Cluster, group_id: str, replaced: Group | None = None) -> None:
        """A new one; `replaced` is the group of another kind that has its id, until the first change."""
        self.cluster = cluster
        self.group_id = group_id
        self._replaced = replaced
        self.data = State()
        self.deadlines: dict[tuple[Deadline, str], int] = {}
        """By what is waited for and the id of the member that owes it."""
        self._names: frozenset[str] | None = None
        self._seen_topics: frozenset[str] | None = None

    # Changes

    def put(self, state: State) -> None:
        """Write down what `state` changes, and have it from now on.

        Raises KafkaStorageError, and nothing has changed then.
        """
        rows = changes(self.group_id, self.data, state)
        if rows:
            before = () if self._replaced is None else self._replaced.tombstones()
            self.cluster.groups.write(self.group_id, [*before, *rows])
            self.data = state
            self._names = None
            self._take_over()

    def _take_over(self) -> None:
        replaced, self._replaced = self._replaced, None
        if self.cluster.groups.by_id.get(self.group_id) is not self:
            self.cluster.groups.add(self)
        if isinstance(replaced, ClassicGroup):
            for old in replaced.members:
                old.dismiss(RebalanceInProgressError.info.code)
            for member in self.data.members.values():
                self.heard_of(member)

    def remove(self, member_ids: Collection[str], reason: str) -> None:
        """Let members go. The others get what they had with their next heartbeats. Raises KafkaStorageError."""
        log.info("group %r: removed %s, as %s", self.group_id, ", ".join(map(repr, member_ids)), reason)
        state = self.data.copy()
        state.remove_members(member_ids)
        if migration.may_downgrade(self.cluster, state):
            migration.downgrade(self, state, "the last member of the consumer protocol is gone")
            return
        state.epoch += 1
        state.metadata_hash = subscriptions.metadata_hash(subscriptions.read_names(state), self.cluster.topics)
        self.put(state)
        self.forget_deadlines(member_ids)

    def end(self) -> None:
        """Another group has taken the place of this one."""
        self.data, self._names = State(), None
        self.deadlines.clear()

    def forget_deadlines(self, member_ids: Collection[str], *whats: Deadline) -> None:
        """Some of what the members owe, or all of it."""
        for what in whats or _REASONS:
            for member_id in member_ids:
                self.deadlines.pop((what, member_id), None)

    # What a heartbeat needs to know

    @property
    def names(self) -> frozenset[str]:
        """The topics that the group reads."""
        if self._names is None:
            self._names = subscriptions.read_names(self.data)
        return self._names

    def looks_for_topics(self, state: State, has_new_regex: bool) -> bool:
        """Whether regular expressions have to be looked at: a member has another one, or there are other topics."""
        if not has_new_regex:
            has_regex = any(member.regex for member in state.members.values())
            if not has_regex or self._seen_topics == self.cluster.topics.keys():
                return False
        self._seen_topics = frozenset(self.cluster.topics)
        return True

    def reader_of(self, context: RequestContext) -> Callable[[str], bool]:
        """Tells of a topic whether the client may know of it."""
        authorizer, session = self.cluster.authorizer, context.session
        if authorizer is None or context.in_process:
            return lambda topic: True
        who = (session.principal, session.client_host)
        return lambda topic: authorizer.allows(*who, Operation.DESCRIBE, ResourceType.TOPIC, topic)

    def heard_of(self, member: Member) -> None:
        """A member is alive: its session begins anew."""
        if member.classic is None:
            timeout_ms = settings_of(self.cluster, self.group_id).session_timeout_ms
        else:
            timeout_ms = member.classic.session_timeout_ms
        self.deadlines["session", member.member_id] = self.cluster.now_ms() + timeout_ms

    def watch_rebalance(self, member: Member) -> None:
        """A member has made a step: if it has to give up something, its time for that begins."""
        if member.state is MemberState.UNREVOKED_PARTITIONS and member.classic is None:
            self.deadlines["rebalance", member.member_id] = self.cluster.now_ms() + member.rebalance_timeout_ms
        else:
            self.forget_deadlines([member.member_id], "rebalance")

    def owes(self, member: Member, what: Literal["join", "sync"]) -> None:
        """A classic member has its rebalance timeout for that; a first deadline to join stays."""
        due_ms = self.cluster.now_ms() + member.rebalance_timeout_ms
        if what == "sync" or (what, member.member_id) not in self.deadlines:
            self.deadlines[what, member.member_id] = due_ms

    # What a group is

    def find(self, member_id: str, instance_id: str | None = None) -> Member:
        """A member. Raises UnknownMemberIdError, and FencedInstanceIdError if another one has its instance id."""
        if instance_id is not None:
            return admission.check_instance(self.data.static_member(instance_id), instance_id, member_id)
        member = self.data.members.get(member_id)
        if member is None:
            raise UnknownMemberIdError(f"group {self.group_id!r} has no member {member_id!r}")
        return member

    @property
    def state(self) -> str:
        return self.data.name

    @property
    def is_empty(self) -> bool:
        return not self.data.members

    def is_subscribed_to(self, topic: str) -> bool:
        return topic in self.names

    # Requests of classic members

    async def join(self, request: JoinGroupRequest, context: RequestContext) -> JoinGroupResponse:
        return classic_members.join(self, request, context)

    async def sync(self, request: SyncGroupRequest, context: RequestContext) -> SyncGroupResponse:
        return classic_members.sync(self, request)

    def heartbeat(self, request: HeartbeatRequest, context: RequestContext) -> HeartbeatResponse:
        return classic_members.heartbeat(self, request)

    def leave(self, request: LeaveGroupRequest, context: RequestContext) -> LeaveGroupResponse:
        return classic_members.leave(self, request)

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
        is_nobody = generation_or_epoch < 0 and not member_id and instance_id is None
        if (generation_or_epoch < 0 and self.is_empty) or (transactional and is_nobody):
            return
        member = self.find(member_id)
        if not transactional and member.classic is None and api_version < _COMMITS_WITH_EPOCH_SINCE:
            raise UnsupportedVersionError(
                f"members of the consumer group {self.group_id!r} commit with OffsetCommit {_COMMITS_WITH_EPOCH_SINCE} "
                f"or newer, not {api_version}: upgrade the client"
            )
        if not self._had_since(member, generation_or_epoch, partitions):
            self._check_epoch(member, generation_or_epoch)

    def _had_since(self, member: Member, epoch: int, partitions: Collection[tuple[str, int]]) -> bool:
        """Whether the member has had all of `partitions` since an epoch before its own (KIP-1251).

        It may commit them then, as nobody else has had them; its heartbeat has been faster than its commit.
        """
        if not partitions or epoch >= member.epoch:
            return False
        epochs = {**member.assigned, **member.revoking}
        topics = self.cluster.topics
        return all(epochs.get((topics[name].id, index), epoch + 1) <= epoch for name, index in partitions)

    def check_offset_fetch(self, member_id: str | None, epoch: int) -> None:
        if member_id is not None or epoch >= 0:
            self._check_epoch(self.find(member_id or ""), epoch)

    def _check_epoch(self, member: Member, epoch: int) -> None:
        if epoch != member.epoch:
            error: type[KafkaError] = StaleMemberEpochError if member.classic is None else IllegalGenerationError
            raise error(
                f"member {member.member_id!r} of group {self.group_id!r} is at epoch {member.epoch}, not {epoch}"
            )

    def check_delete(self) -> None:
        if not self.is_empty:
            raise NonEmptyGroupError(f"group {self.group_id!r} has {len(self.data.members)} members: stop them first")

    def check_offset_delete(self) -> None:
        """Of topics that nobody reads, any time."""

    def unused_since(self, commit_timestamp_ms: int) -> int | None:
        return commit_timestamp_ms  # of topics that nobody reads: the caller leaves the others alone

    # Life

    def loaded(self, now_ms: int) -> None:
        timeout_ms = settings_of(self.cluster, self.group_id).session_timeout_ms
        for member in self.data.members.values():
            self.deadlines["session", member.member_id] = now_ms + timeout_ms
            self.watch_rebalance(member)

    def tick(self, now_ms: int) -> None:
        for (what, member_id), due_ms in list(self.deadlines.items()):
            if member_id not in self.data.members:
                self.forget_deadlines([member_id])
            elif due_ms <= now_ms:
                self.remove([member_id], _REASONS[what])

    def tombstones(self) -> Sequence[Row]:
        return tombstones(self.group_id, self.data)

    def close(self) -> None:
        """Nobody waits in a consumer group: answers are given at once."""
        self.deadlines.clear()
