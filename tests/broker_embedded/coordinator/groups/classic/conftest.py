"""Short calls for members of classic groups."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import pytest

from broker_embedded.cluster import Cluster
from broker_embedded.handlers import RequestContext
from broker_embedded.session import Session
from broker_embedded.topics import Topic
from broker_embedded.wire.messages.groups import (
    DescribedGroup,
    DescribeGroupsRequest,
    HeartbeatRequest,
    JoinGroupRequest,
    JoinGroupRequestProtocol,
    JoinGroupResponse,
    LeaveGroupRequest,
    MemberIdentity,
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
    SyncGroupRequest,
    SyncGroupRequestAssignment,
    SyncGroupResponse,
)

SESSION_MS, REBALANCE_MS, DELAY_MS = 10_000, 60_000, 3_000
SUBSCRIBED_TO_T = bytes.fromhex("0000 00000001 0001 74 ffffffff")  # version 0, the topic "t", no user data

Asked = asyncio.Task[Any]


@dataclass
class Party:
    """A cluster and one of its groups. Requests that may wait are tasks; the others give their code, or a row."""

    cluster: Cluster
    clock: Any
    group_id: str = "g"
    tasks: list[Asked] = field(default_factory=list)

    def ask(self, request: Any, version: int = 9, client_id: str = "c") -> Asked:
        context = RequestContext(version, client_id, session=Session(client_host="127.0.0.1"))
        self.tasks.append(asyncio.ensure_future(self.cluster.handle(request, context)))
        return self.tasks[-1]

    def join(
        self,
        member_id: str = "",
        *,
        instance: str | None = None,
        protocols: tuple[str, ...] = ("range",),
        metadata: bytes = SUBSCRIBED_TO_T,
        version: int = 9,
        **fields: Any,
    ) -> Asked:
        rows = [JoinGroupRequestProtocol(name, metadata) for name in protocols]
        fields.setdefault("session_timeout_ms", SESSION_MS)
        fields.setdefault("rebalance_timeout_ms", REBALANCE_MS)
        fields.setdefault("protocol_type", "consumer")
        request = JoinGroupRequest(
            self.group_id, member_id=member_id, protocols=rows, group_instance_id=instance, **fields
        )
        return self.ask(request, version)

    async def new_id(self, **fields: Any) -> str:
        """The id that a newcomer is given first."""
        answer = await self.join(**fields)
        assert answer.error_code == 79
        found: str = answer.member_id
        return found

    async def come(self, **fields: Any) -> tuple[str, Asked]:
        """A newcomer asks for its id and joins with it."""
        member_id = await self.new_id(**fields)
        task = self.join(member_id, **fields)
        await settle()
        return member_id, task

    def sync(
        self, member_id: str, generation: int, assignments: dict[str, bytes] | None = None, **fields: Any
    ) -> Asked:
        rows = [SyncGroupRequestAssignment(*row) for row in (assignments or {}).items()]
        fields = {"protocol_type": "consumer", "protocol_name": "range"} | fields
        return self.ask(SyncGroupRequest(self.group_id, generation, member_id, assignments=rows, **fields), 5)

    async def heartbeat(self, member_id: str, generation: int, instance: str | None = None) -> int:
        code: int = (await self.ask(HeartbeatRequest(self.group_id, generation, member_id, instance), 4)).error_code
        return code

    async def leave(self, *members: tuple[str, str | None]) -> list[int]:
        rows = [MemberIdentity(member_id, instance) for member_id, instance in members]
        answer = await self.ask(LeaveGroupRequest(self.group_id, rows), 5)
        assert answer.error_code == 0
        return [row.error_code for row in answer.members]

    async def commit(
        self, member_id: str = "", generation: int = -1, offset: int = 1, version: int = 8, **fields: Any
    ) -> int:
        topics = [OffsetCommitRequestTopic("t", None, [OffsetCommitRequestPartition(0, offset)])]
        request = OffsetCommitRequest(self.group_id, generation, member_id, topics=topics, **fields)
        code: int = (await self.ask(request, version)).topics[0].partitions[0].error_code
        return code

    async def describe(self) -> DescribedGroup:
        row: DescribedGroup = (await self.ask(DescribeGroupsRequest([self.group_id]), 6)).groups[0]
        return row

    async def state(self) -> str:
        return (await self.describe()).group_state

    async def pass_ms(self, ms: int) -> None:
        """Time passes, and the broker notices at its end."""
        self.clock.now += ms
        self.cluster.tick()
        await settle()

    async def stable(self, count: int = 1, **fields: Any) -> tuple[list[str], int]:
        """Dynamic members of a new group, its leader first, each with its id as assignment; and their generation."""
        joins = [await self.come(**fields) for _ in range(count)]
        for _ in range(count):
            await self.pass_ms(DELAY_MS)
        answers: list[JoinGroupResponse] = [await task for _, task in joins]
        assert {answer.error_code for answer in answers} == {0}
        ids = [member_id for member_id, _ in joins]
        await self.assign(ids, answers[0].leader, answers[0].generation_id)
        return ids, answers[0].generation_id

    async def assign(self, ids: list[str], leader: str, generation: int, **fields: Any) -> None:
        """All send SyncGroup, the leader last."""
        waiting = [self.sync(member_id, generation, **fields) for member_id in ids if member_id != leader]
        await settle()
        waiting.append(self.sync(leader, generation, {member_id: member_id.encode() for member_id in ids}, **fields))
        answers: list[SyncGroupResponse] = await asyncio.gather(*waiting)
        assert {answer.error_code for answer in answers} == {0}


async def settle() -> None:
    """Let everything run that needs no clock."""
    for _ in range(8):
        await asyncio.sleep(0)


def add_topic(cluster: Cluster, name: str = "t") -> None:
    cluster.add_topics([Topic(name, uuid4(), 1)])


@pytest.fixture
async def make_party(folder: Any) -> Any:
    """Opens the folder, with settings."""
    parties: list[Party] = []

    def make(group_id: str = "g", **config: Any) -> Party:
        client = folder.open(**config)
        if "t" not in client.cluster.topics:
            add_topic(client.cluster)
        parties.append(Party(client.cluster, folder.clock, group_id))
        return parties[-1]

    yield make
    for party in parties:
        for task in party.tasks:
            task.cancel()
        await asyncio.gather(*party.tasks, return_exceptions=True)


@pytest.fixture
def party(make_party: Callable[..., Party]) -> Party:
    return make_party()


Settle = Callable[[], Awaitable[None]]


@pytest.fixture(name="settle")
def settle_fixture() -> Settle:
    return settle


@pytest.fixture(name="add_topic")
def add_topic_fixture() -> Callable[[Cluster], None]:
    return add_topic


@pytest.fixture
def party_type() -> type[Party]:
    """For tests that open clusters by themselves."""
    return Party
