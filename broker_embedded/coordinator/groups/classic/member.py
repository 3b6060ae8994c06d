"""A member of a classic group (Kafka: ClassicGroupMember)."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self
from uuid import uuid4

from broker_embedded.coordinator.groups.group import host_of
from broker_embedded.errors import FencedInstanceIdError, RebalanceInProgressError
from broker_embedded.wire.messages.groups import JoinGroupResponse, SyncGroupResponse

if TYPE_CHECKING:
    from broker_embedded.session import RequestContext
    from broker_embedded.wire.messages.groups import JoinGroupRequest

_REBALANCE_IN_PROGRESS = RebalanceInProgressError.info.code
_FENCED = FencedInstanceIdError.info.code

Protocols = tuple[tuple[str, bytes], ...]
"""What a member can be led by, in its order of preference: names, and what it says under each to the leader."""


def new_member_id(client_id: str, instance_id: str | None) -> str:
    """An id that tells people whose it is."""
    return f"{client_id if instance_id is None else instance_id}-{uuid4()}"


def protocols_of(request: JoinGroupRequest) -> Protocols:
    return tuple((row.name, bytes(row.metadata)) for row in request.protocols)


def rebalance_timeout_of(request: JoinGroupRequest) -> int:
    """Version 0 has none, and means the session timeout."""
    return request.session_timeout_ms if request.rebalance_timeout_ms < 0 else request.rebalance_timeout_ms


@dataclass(slots=True, eq=False)
class Member:
    """What a member has said last, what it was given, and the request of it that waits."""

    member_id: str
    instance_id: str | None
    client_id: str
    client_host: str
    rebalance_timeout_ms: int
    session_timeout_ms: int
    protocols: Protocols
    assignment: bytes = b""
    expires_ms: int = 0
    """When it is taken for dead if nothing is heard of it."""
    is_new: bool = False
    """It has no answer to its first JoinGroup yet, and so no id to send heartbeats with."""
    joining: asyncio.Future[JoinGroupResponse] | None = None
    syncing: asyncio.Future[SyncGroupResponse] | None = None

    @classmethod
    def joins(cls, member_id: str, request: JoinGroupRequest, context: RequestContext) -> Self:
        return cls(
            member_id,
            request.group_instance_id,
            context.client_id,
            host_of(context),
            rebalance_timeout_of(request),
            request.session_timeout_ms,
            protocols_of(request),
            is_new=True,
        )

    def under(self, member_id: str, request: JoinGroupRequest) -> Self:
        """This static member after a restart: with another id and what it says now; nothing waits."""
        return replace(
            self,
            member_id=member_id,
            rebalance_timeout_ms=rebalance_timeout_of(request),
            session_timeout_ms=request.session_timeout_ms,
            protocols=protocols_of(request),
            is_new=False,
            joining=None,
            syncing=None,
        )

    def says(self, request: JoinGroupRequest) -> None:
        """Take over what a member says with a JoinGroup."""
        self.rebalance_timeout_ms = rebalance_timeout_of(request)
        self.session_timeout_ms = request.session_timeout_ms
        self.protocols = protocols_of(request)

    @property
    def is_static(self) -> bool:
        """KIP-345: it has an id of its own that outlives restarts."""
        return self.instance_id is not None

    @property
    def is_alive(self) -> bool:
        """Whether it needs no heartbeat: a request of it waits for others. New members may be gone all the same."""
        return not self.is_new and (self.joining is not None or self.syncing is not None)

    def metadata(self, protocol: str | None) -> bytes:
        return dict(self.protocols).get(protocol or "", b"")

    def vote(self, candidates: Collection[str]) -> str:
        """Its favourite of the protocols that all members know."""
        return next(name for name, _ in self.protocols if name in candidates)

    # Requests that wait

    def wait_to_join(self) -> asyncio.Future[JoinGroupResponse]:
        """Park a JoinGroup; an older one of the same member is told to ask again."""
        self.answer_join(JoinGroupResponse(_REBALANCE_IN_PROGRESS, member_id=self.member_id))
        self.joining = asyncio.get_running_loop().create_future()
        return self.joining

    def wait_to_sync(self) -> asyncio.Future[SyncGroupResponse]:
        """Park a SyncGroup; an older one of the same member is told to ask again."""
        self.answer_sync(SyncGroupResponse(_REBALANCE_IN_PROGRESS))
        self.syncing = asyncio.get_running_loop().create_future()
        return self.syncing

    def answer_join(self, response: JoinGroupResponse) -> None:
        """Answer the JoinGroup that waits, if one does."""
        waiting, self.joining = self.joining, None
        _answer(waiting, response)

    def answer_sync(self, response: SyncGroupResponse) -> bool:
        """Answer the SyncGroup that waits; whether one did."""
        waiting, self.syncing = self.syncing, None
        _answer(waiting, response)
        return waiting is not None

    def dismiss(self, error_code: int) -> None:
        """Answer whatever waits with an error."""
        self.answer_join(JoinGroupResponse(error_code, member_id=self.member_id if error_code == _FENCED else ""))
        self.answer_sync(SyncGroupResponse(error_code))


def _answer(waiting: asyncio.Future[Any] | None, response: Any) -> None:
    if waiting is not None and not waiting.done():
        waiting.set_result(response)
