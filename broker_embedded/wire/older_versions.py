"""Messages whose older versions have another shape: one of what is a list in newer ones.

Handlers see only the newest shape. For each such message: the last version of the old shape, the struct of that shape,
and the way from one to the other. The newest shape with more than one element can't be said in an old version; only a
client would try (KIP-699, KIP-709, KIP-345, KIP-516, KIP-890).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from broker_embedded.wire.messages import Message
from broker_embedded.wire.messages.groups import (
    Coordinator,
    FindCoordinatorRequest,
    FindCoordinatorResponse,
    LeaveGroupRequest,
    LeaveGroupResponse,
    MemberIdentity,
    OffsetFetchRequest,
    OffsetFetchRequestGroup,
    OffsetFetchRequestTopics,
    OffsetFetchResponse,
    OffsetFetchResponseGroup,
    OffsetFetchResponseTopics,
)
from broker_embedded.wire.messages.topics import DeleteTopicsRequest, DeleteTopicState
from broker_embedded.wire.messages.transactions import (
    AddPartitionsToTxnRequest,
    AddPartitionsToTxnResponse,
    AddPartitionsToTxnResult,
    AddPartitionsToTxnTopic,
    AddPartitionsToTxnTopicResult,
    AddPartitionsToTxnTransaction,
)


class Older(NamedTuple):
    """`upgrade` makes the newest shape of the old one, `downgrade` the old one of the newest."""

    last_version: int
    type: type[Message]
    upgrade: Callable[[Any], Any]
    downgrade: Callable[[Any], Any]


class OneGroupOffsetFetch(Message):
    group_id: str
    topics: list[OffsetFetchRequestTopics] | None = None
    require_stable: bool = False


def _offset_fetch_up(old: OneGroupOffsetFetch) -> OffsetFetchRequest:
    return OffsetFetchRequest([OffsetFetchRequestGroup(old.group_id, topics=old.topics)], old.require_stable)


def _offset_fetch_down(new: OffsetFetchRequest) -> OneGroupOffsetFetch:
    (group,) = new.groups
    return OneGroupOffsetFetch(group.group_id, group.topics, new.require_stable)


class OneGroupOffsets(Message):
    topics: list[OffsetFetchResponseTopics] = []
    error_code: int = 0
    throttle_time_ms: int = 0


def _offsets_up(old: OneGroupOffsets) -> OffsetFetchResponse:
    return OffsetFetchResponse([OffsetFetchResponseGroup("", old.topics, old.error_code)], old.throttle_time_ms)


def _offsets_down(new: OffsetFetchResponse) -> OneGroupOffsets:
    (group,) = new.groups
    return OneGroupOffsets(group.topics, group.error_code, new.throttle_time_ms)


class OneCoordinatorKey(Message):
    key: str
    key_type: int = 0


def _find_up(old: OneCoordinatorKey) -> FindCoordinatorRequest:
    return FindCoordinatorRequest(old.key_type, [old.key])


def _find_down(new: FindCoordinatorRequest) -> OneCoordinatorKey:
    (key,) = new.coordinator_keys
    return OneCoordinatorKey(key, new.key_type)


class OneCoordinator(Message):
    error_code: int = 0
    error_message: str | None = None
    node_id: int = -1
    host: str = ""
    port: int = -1
    throttle_time_ms: int = 0


def _found_up(old: OneCoordinator) -> FindCoordinatorResponse:
    row = Coordinator("", old.node_id, old.host, old.port, old.error_code, old.error_message)
    return FindCoordinatorResponse([row], old.throttle_time_ms)


def _found_down(new: FindCoordinatorResponse) -> OneCoordinator:
    (row,) = new.coordinators
    return OneCoordinator(row.error_code, row.error_message, row.node_id, row.host, row.port, new.throttle_time_ms)


class OneMemberLeaves(Message):
    group_id: str
    member_id: str


def _leave_up(old: OneMemberLeaves) -> LeaveGroupRequest:
    return LeaveGroupRequest(old.group_id, [MemberIdentity(old.member_id)])


def _leave_down(new: LeaveGroupRequest) -> OneMemberLeaves:
    (member,) = new.members
    return OneMemberLeaves(new.group_id, member.member_id)


class OneMemberLeft(Message):
    error_code: int = 0
    throttle_time_ms: int = 0


def _left_up(old: OneMemberLeft) -> LeaveGroupResponse:
    return LeaveGroupResponse(old.error_code, throttle_time_ms=old.throttle_time_ms)


def _left_down(new: LeaveGroupResponse) -> OneMemberLeft:
    codes = [new.error_code, *(member.error_code for member in new.members)]
    return OneMemberLeft(next((code for code in codes if code), 0), new.throttle_time_ms)


class DeleteTopicsByName(Message):
    topic_names: list[str] = []
    timeout_ms: int = 60_000


def _delete_up(old: DeleteTopicsByName) -> DeleteTopicsRequest:
    return DeleteTopicsRequest([DeleteTopicState(name) for name in old.topic_names], old.timeout_ms)


def _delete_down(new: DeleteTopicsRequest) -> DeleteTopicsByName:
    return DeleteTopicsByName([topic.name or "" for topic in new.topics], new.timeout_ms)


class OneTransactionAdds(Message):
    v3_and_below_transactional_id: str
    v3_and_below_producer_id: int
    v3_and_below_producer_epoch: int
    v3_and_below_topics: list[AddPartitionsToTxnTopic] = []


def _add_up(old: OneTransactionAdds) -> AddPartitionsToTxnRequest:
    row = AddPartitionsToTxnTransaction(
        old.v3_and_below_transactional_id,
        old.v3_and_below_producer_id,
        old.v3_and_below_producer_epoch,
        topics=old.v3_and_below_topics,
    )
    return AddPartitionsToTxnRequest([row])


def _add_down(new: AddPartitionsToTxnRequest) -> OneTransactionAdds:
    (row,) = new.transactions
    return OneTransactionAdds(row.transactional_id, row.producer_id, row.producer_epoch, row.topics)


class OneTransactionAdded(Message):
    results_by_topic_v3_and_below: list[AddPartitionsToTxnTopicResult] = []
    throttle_time_ms: int = 0


def _added_up(old: OneTransactionAdded) -> AddPartitionsToTxnResponse:
    row = AddPartitionsToTxnResult("", old.results_by_topic_v3_and_below)
    return AddPartitionsToTxnResponse(0, [row], old.throttle_time_ms)


def _added_down(new: AddPartitionsToTxnResponse) -> OneTransactionAdded:
    (row,) = new.results_by_transaction
    return OneTransactionAdded(row.topic_results, new.throttle_time_ms)


OLDER = {
    (9, "request"): Older(7, OneGroupOffsetFetch, _offset_fetch_up, _offset_fetch_down),
    (9, "response"): Older(7, OneGroupOffsets, _offsets_up, _offsets_down),
    (10, "request"): Older(3, OneCoordinatorKey, _find_up, _find_down),
    (10, "response"): Older(3, OneCoordinator, _found_up, _found_down),
    (13, "request"): Older(2, OneMemberLeaves, _leave_up, _leave_down),
    (13, "response"): Older(2, OneMemberLeft, _left_up, _left_down),
    (20, "request"): Older(5, DeleteTopicsByName, _delete_up, _delete_down),
    (24, "request"): Older(3, OneTransactionAdds, _add_up, _add_down),
    (24, "response"): Older(3, OneTransactionAdded, _added_up, _added_down),
}
