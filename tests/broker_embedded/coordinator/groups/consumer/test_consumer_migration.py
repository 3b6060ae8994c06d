"""Classic groups become consumer groups and the other way round, while their members go on."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker_embedded.coordinator.groups.consumer.embedded_protocol import (
    MalformedError,
    decode_assignment,
    decode_subscription,
    encode_assignment,
)
from broker_embedded.handlers import RequestContext
from broker_embedded.wire.messages.groups import (
    HeartbeatRequest,
    JoinGroupRequest,
    JoinGroupRequestProtocol,
    LeaveGroupRequest,
    MemberIdentity,
    SyncGroupRequest,
    SyncGroupRequestAssignment,
)

Owned = dict[str, list[int]]


def rows(partitions: Owned) -> bytes:
    parts = [struct.pack(">i", len(partitions))]
    for topic, indexes in partitions.items():
        parts += [
            struct.pack(">h", len(topic)),
            topic.encode(),
            struct.pack(f">i{len(indexes)}i", len(indexes), *indexes),
        ]
    return b"".join(parts)


def subscription(topics: str, owned: Owned, version: int = 1) -> bytes:
    names = b"".join(struct.pack(">h", len(name)) + name.encode() for name in topics.split())
    return struct.pack(">hi", version, len(topics.split())) + names + struct.pack(">i", -1) + rows(owned)


@dataclass
class OldMember:
    """A consumer with the classic protocol, as cooperative ones do: it says what it has when it joins."""

    at: Any
    topics: str = "a"
    instance_id: str | None = None
    protocols: tuple[str, ...] = ("cooperative",)
    member_id: str = ""
    generation: int = -1
    has: set[tuple[str, int]] = field(default_factory=set)

    async def call(self, request: Any, version: int) -> Any:
        return await self.at.cluster.handle(request, RequestContext(version, "old", in_process=True))

    async def join(self, owned: Owned | None = None) -> Any:
        owned = {} if owned is None else owned
        data = subscription(self.topics, owned)
        protocols = [JoinGroupRequestProtocol(name, data) for name in self.protocols]
        request = JoinGroupRequest("g", 45_000, self.member_id, "consumer", protocols, 60_000, self.instance_id)
        response = await self.call(request, 9)
        if response.error_code == 79:
            self.member_id = response.member_id
            return await self.join(owned)
        self.member_id, self.generation = response.member_id or self.member_id, response.generation_id
        return response

    async def sync(self, assignments: dict[str, Owned] | None = None) -> int:
        given = [
            SyncGroupRequestAssignment(member_id, encode_assignment(1, owned))
            for member_id, owned in (assignments or {}).items()
        ]
        name = self.protocols[0]
        request = SyncGroupRequest("g", self.generation, self.member_id, self.instance_id, "consumer", name, given)
        response = await self.call(request, 5)
        if response.error_code == 0:
            self.has = set(decode_assignment(bytes(response.assignment)).partitions)
        code: int = response.error_code
        return code

    async def heartbeat(self) -> int:
        request = HeartbeatRequest("g", self.generation, self.member_id, self.instance_id)
        code: int = (await self.call(request, 4)).error_code
        return code

    async def leave(self) -> list[int]:
        response = await self.call(LeaveGroupRequest("g", [MemberIdentity(self.member_id)]), 5)
        return [row.error_code for row in response.members]

    def owned(self) -> Owned:
        found: Owned = {}
        for topic, index in sorted(self.has):
            found.setdefault(topic, []).append(index)
        return found


@pytest.fixture
async def old(folder: Any, coordinator_of: Any) -> AsyncIterator[OldMember]:
    """The one member of a stable classic group, with all of topic a."""
    opened = folder.open(group_initial_rebalance_delay_ms=0)
    at = coordinator_of(opened.cluster, opened.clock)
    at.create(a=4, b=1)
    member = OldMember(at)
    await member.join()
    await member.sync({member.member_id: {"a": [0, 1, 2, 3]}})
    assert at.cluster.groups.by_id["g"].state == "Stable"
    yield member


def kind(at: Any) -> str:
    found: str = at.cluster.groups.by_id["g"].kind
    return found


def beat(at: Any, **fields: Any) -> Any:
    """A heartbeat of the member that speaks the other protocol; the epochs are not what is tested here."""
    return at.send("new", at.group().data.members["new"].epoch, **fields)


async def test_up_and_down(old: OldMember) -> None:
    at = old.at
    assert (old.generation, len(old.has)) == (1, 4)
    assert at.join("new").member_epoch == 2
    assert kind(at) == "consumer"
    # the old member learns of it, gives up half, and joins again without it
    assert await old.heartbeat() == 27
    joined = await old.join(old.owned())
    assert (joined.error_code, joined.generation_id, joined.leader, joined.members) == (0, 1, "", [])
    assert (joined.protocol_type, joined.protocol_name, joined.skip_assignment) == ("consumer", "cooperative", False)
    assert await old.sync() == 0
    assert old.has == {("a", 0), ("a", 1)}
    assert await old.heartbeat() == 27
    assert (await old.join(old.owned())).generation_id == 2
    assert await old.sync() == 0
    assert await old.heartbeat() == 0
    assert at.assigned(at.send("new", 2)) == {("a", 2), ("a", 3)}
    assert at.group().state == "Stable"
    # the new one leaves: a classic group again, which rebalances
    at.send("new", -1)
    assert kind(at) == "classic"
    assert await old.heartbeat() == 27
    again = await old.join(old.owned())
    assert (again.generation_id, again.leader) == (3, old.member_id)
    assert await old.sync({old.member_id: {"a": [0, 1, 2, 3]}}) == 0
    assert len(old.has) == 4


async def test_a_restart_in_between(old: OldMember, folder: Any, coordinator_of: Any) -> None:
    old.at.join("new")
    before = old.at.group().data
    folder.kill()
    opened = folder.open()
    old.at = coordinator_of(opened.cluster, opened.clock)
    assert old.at.group().data == before
    assert await old.heartbeat() == 27
    old.at.send("new", -1)
    folder.kill()
    opened = folder.open()
    old.at = coordinator_of(opened.cluster, opened.clock)
    assert kind(old.at) == "classic"
    assert await old.heartbeat() == 22  # the rebalance is not written down, but its generation is
    assert (await old.join()).error_code == 0


async def test_an_old_member_waits_for_what_others_give_up(old: OldMember) -> None:
    at = old.at
    at.join("new")
    await old.join({})  # as eager members do: it has given up everything
    assert await old.sync() == 0
    assert old.has == {("a", 0), ("a", 1)}
    beat(at)
    at.wait()
    second = OldMember(at, protocols=("cooperative", "range"))
    await second.join()
    assert await second.sync() == 0
    assert second.has == set()
    assert await second.heartbeat() == 0  # what it is to get is not free yet
    has = at.assigned(at.join("new"))
    for _ in range(4):
        for member in (old, second):
            if await member.heartbeat() == 27:
                await member.join(member.owned())
                assert await member.sync() == 0
            assert not old.has & second.has and not has & (old.has | second.has)
        told = at.assigned(beat(at, has=has))
        has = has if told is None else told
    assert (await old.heartbeat(), await second.heartbeat()) == (0, 0)
    found = sorted(old.has | second.has | has)
    assert found == [("a", index) for index in range(4)]
    assert at.group().state == "Stable"


async def test_sync_while_there_are_new_targets(old: OldMember) -> None:
    at = old.at
    at.join("new")
    await old.join({})
    at.wait()
    at.join("newer")
    assert await old.sync() == 27
    assert await old.heartbeat() == 27


async def test_members_of_the_wrong_kind(old: OldMember) -> None:
    at = old.at
    at.join("new")
    stranger = OldMember(at, member_id="new", generation=2)
    assert (await stranger.heartbeat(), await stranger.sync()) == (25, 25)
    old.generation += 7
    assert (await old.heartbeat(), await old.sync()) == (22, 22)
    assert await OldMember(at, member_id="nobody").leave() == [25]
    assert (await OldMember(at, protocols=("unknown",)).join()).error_code == 23
    assert (await OldMember(at, protocols=()).join()).error_code == 23
    assert at.code("new", 2) == 0


async def test_deadlines_of_old_members(old: OldMember) -> None:
    at = old.at
    at.join("new")
    assert await old.heartbeat() == 27
    at.wait(30_000)
    beat(at)
    assert await old.heartbeat() == 27  # it lives, but does not join
    at.wait(30_000)
    beat(at)
    assert old.member_id not in at.group().data.members
    late = OldMember(at)
    await late.join()
    at.wait(30_000)
    await late.heartbeat()
    beat(at)
    at.wait(30_000)  # nor does this one fetch what it has got
    assert list(at.group().data.members) == ["new"]


async def test_who_waits_in_the_classic_group_is_told_to_come_again(old: OldMember) -> None:
    second = OldMember(old.at)
    waiting = asyncio.create_task(second.join())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    old.at.join("new")
    assert (await waiting).error_code == 27
    assert kind(old.at) == "consumer"


async def test_a_static_member_changes_its_protocol(old: OldMember) -> None:
    """Both ways: it gets what it had under its old id."""
    at = old.at
    static = OldMember(at, instance_id="i")
    joining = asyncio.create_task(static.join())
    await asyncio.sleep(0)
    await old.join()
    await joining
    await asyncio.gather(static.sync(), old.sync({old.member_id: {"a": [0, 1]}, static.member_id: {"a": [2, 3]}}))
    assert static.has == {("a", 2), ("a", 3)}
    up = at.join("s2", instance_id="i")
    assert kind(at) == "consumer" and static.member_id not in at.group().data.members
    assert at.assigned(up) == {("a", 2), ("a", 3)}
    back = OldMember(at, instance_id="i")
    assert (await back.join({"a": [2, 3]})).error_code == 0
    assert kind(at) == "classic"
    assert await back.sync() == 0
    assert back.has == {("a", 2), ("a", 3)}


async def test_an_empty_group_changes_its_kind_without_ado(old: OldMember) -> None:
    at = old.at
    await old.leave()
    assert at.join("new").member_epoch == 2
    at.send("new", -1)
    assert kind(at) == "consumer"
    old.member_id = ""
    assert (await old.join()).error_code == 0
    assert kind(at) == "classic"


REFUSED = ["policy", "protocol type", "user data", "malformed"]


@pytest.mark.parametrize("why", REFUSED)
async def test_groups_that_stay_what_they_are(old: OldMember, why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    group = old.at.cluster.groups.by_id["g"]
    member = next(iter(group.members))
    if why == "policy":
        monkeypatch.setattr("broker_embedded.coordinator.groups.consumer.migration.policy", lambda cluster: "downgrade")
    elif why == "protocol type":
        group.protocol_type = "connect"
    elif why == "user data":
        member.assignment = member.assignment[:-4] + struct.pack(">i", 1) + b"x"
    else:
        member.assignment = b"\0"
    assert old.at.code("new", 0, topics="a", has=set(), rebalance_timeout_ms=1) == 69
    assert kind(old.at) == "classic" and await old.heartbeat() == 0


async def test_no_old_members_where_the_policy_is_disabled(old: OldMember, monkeypatch: pytest.MonkeyPatch) -> None:
    old.at.join("new")
    monkeypatch.setattr("broker_embedded.coordinator.groups.consumer.migration.policy", lambda cluster: "disabled")
    assert (await old.join()).error_code == 23


# What consumers say to each other


def test_subscriptions_of_all_versions() -> None:
    data = subscription("a b", {"a": [0, 2]}, version=7)
    data += struct.pack(">i", 5) + struct.pack(">h", 4) + b"rack"
    found = decode_subscription(data)
    assert (found.version, found.topics, found.rack_id) == (3, {"a", "b"}, "rack")
    assert found.owned == {("a", 0), ("a", 2)}
    assert decode_subscription(subscription("a", {}, version=0)[:-4]).owned == frozenset()


@given(st.binary(max_size=60))
def test_anything_else_is_malformed(data: bytes) -> None:
    for decode in (decode_subscription, decode_assignment):
        try:
            decode(data)
        except MalformedError:
            continue


@given(st.dictionaries(st.text(max_size=5), st.frozensets(st.integers(0, 2**31 - 1), min_size=1, max_size=4)))
def test_assignments(partitions: dict[str, frozenset[int]]) -> None:
    found = decode_assignment(encode_assignment(1, partitions))
    assert found.partitions == {(topic, index) for topic, indexes in partitions.items() for index in indexes}
    assert found.user_data == b""
