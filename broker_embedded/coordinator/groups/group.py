"""What the broker asks of a group, whichever protocol its members speak (Kafka: Group).

A classic group is led by one of its members, which assigns the partitions (JoinGroup, SyncGroup); a consumer group by
the broker (KIP-848). Both take the requests of classic members: a consumer group has some while it is being upgraded.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
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

Kind = Literal["classic", "consumer"]
Row = tuple[bytes, bytes | None]
"""A key and a value for `__consumer_offsets`; None removes the key."""

CONSUMER_PROTOCOL = "consumer"
"""The protocol type of consumers, of both kinds; Connect has another."""


def host_of(context: RequestContext) -> str:
    """Where a member is, as Java writes an address without a name."""
    host = context.session.client_host
    return f"/{host}" if host else ""


class Group(Protocol):
    """A group with members, or one that is known because of its offsets.

    What is asked raises KafkaError where the whole of it fails; handlers make codes of that.
    """

    @property
    def group_id(self) -> str: ...

    @property
    def kind(self) -> Kind: ...

    @property
    def state(self) -> str:
        """As Kafka names it: "Empty", "Stable", ..."""

    @property
    def protocol_type(self) -> str:
        """ "consumer" for consumers; empty for a group that never had members."""

    @property
    def is_empty(self) -> bool:
        """Whether it has no members."""

    def is_subscribed_to(self, topic: str) -> bool:
        """Whether a member reads `topic`, or may: its offsets are not to be deleted then."""

    # Requests of classic members

    async def join(self, request: JoinGroupRequest, context: RequestContext) -> JoinGroupResponse: ...

    async def sync(self, request: SyncGroupRequest, context: RequestContext) -> SyncGroupResponse: ...

    def heartbeat(self, request: HeartbeatRequest, context: RequestContext) -> HeartbeatResponse: ...

    def leave(self, request: LeaveGroupRequest, context: RequestContext) -> LeaveGroupResponse: ...

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
        """Whether a member, or someone who claims to be one, may commit offsets. Raises KafkaError.

        A consumer group takes those of an older epoch too, for `partitions` that the member has had since (KIP-1251).
        """

    def check_offset_fetch(self, member_id: str | None, epoch: int) -> None:
        """Whether a member may ask for offsets. Raises KafkaError."""

    def check_delete(self) -> None:
        """Whether the group may be deleted. Raises NonEmptyGroupError."""

    def check_offset_delete(self) -> None:
        """Whether offsets of topics that nobody reads may be deleted. Raises NonEmptyGroupError."""

    def unused_since(self, commit_timestamp_ms: int) -> int | None:
        """Since when an offset of that age is without use, for its expiry (KIP-211); None while it is in use."""

    # Life

    def loaded(self, now_ms: int) -> None:
        """All records of the group have been read: members have their session timeout from now on."""

    def tick(self, now_ms: int) -> None:
        """Fire the timeouts that are due."""

    def tombstones(self) -> Sequence[Row]:
        """The rows that remove the group from `__consumer_offsets`; its offsets are not among them."""

    def close(self) -> None:
        """Answer everyone who waits: the group is gone, or the broker closes."""
